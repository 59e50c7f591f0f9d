"""Become another program that cannot outlive its parent: `leash.py PARENT PROGRAM [ARGUMENT...]`.

The kernel sends SIGTERM when the parent is gone, however it went (PR_SET_PDEATHSIG, which survives
exec). PARENT is compared after that is asked for: a parent that died before is noticed too. Run by
its path, as a script without site-packages, because it must start fast and needs none.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int | None = None) -> None:
    """Ask the kernel to end this process when its parent is gone.

    parent: who it should be (a parent that is gone already is noticed); None: whoever it is now.

    Raises: OSError, where the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if parent is not None and os.getppid() != parent:
        sys.exit("the parent ended before its child began")


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606
