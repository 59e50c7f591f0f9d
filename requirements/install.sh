#!/usr/bin/env bash
# Makes .venv from the hashed lock and installs the project into it, editable.
#
#     requirements/install.sh packages     the virtual environment and everything in lock.txt
#     requirements/install.sh project      the project itself (no dependency is looked for)
#     requirements/install.sh bench        what runs beside it in benchmarks, from bench.txt
#
# PYTHON: the interpreter to build on (default python3). Run by make.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
VENV=.venv

say() { printf '==> %s\n' "$*" >&2; }
stop() { printf '\nerror: %s\n' "$*" >&2; exit 1; }

packages() {
    command -v "$PYTHON" >/dev/null ||
        stop "there is no '$PYTHON' on the PATH. Install Python 3.11 or later, or name one: make PYTHON=/path/to/python3.11"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        stop "'$PYTHON' is $("$PYTHON" --version 2>&1); Tillstream needs 3.11 or later. Name another: make PYTHON=/path/to/python3.11"
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
        stop "'$PYTHON' has no venv module. On Debian and Ubuntu: apt-get install python3-venv"

    say "virtual environment in $VENV ($("$PYTHON" --version 2>&1))"
    [ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
    say "packages from requirements/lock.txt (about 450 MB to fetch the first time, 1.3 GB on disk)"
    "$VENV/bin/python" -m pip install --disable-pip-version-check --require-hashes -r requirements/lock.txt ||
        stop "the packages could not be installed; the reason is above. Without a network: is a package mirror set in pip's own configuration?"
}

project() {
    "$VENV/bin/python" -m pip install --disable-pip-version-check --quiet \
        --no-index --no-deps --no-build-isolation --editable . ||
        stop "the project itself could not be installed into $VENV; the reason is above"
}

bench() {
    say "packages from requirements/bench.txt"
    "$VENV/bin/python" -m pip install --disable-pip-version-check --quiet \
        --require-hashes -r requirements/bench.txt ||
        stop "Quix Streams could not be installed; the reason is above. The other benchmarks do without it: $VENV/bin/python -m pytest -m bench"
}

case "${1:-}" in
    packages | project | bench) "$1" ;;
    *) stop "say 'packages', 'project' or 'bench'" ;;
esac
