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


def main(parent: int, program: list[str]) -> None:
    """Put this process on the leash, then become `program`.

    Raises: OSError, where the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit("the parent ended before its child began")
    os.execv(program[0], program)  # noqa: S606


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
