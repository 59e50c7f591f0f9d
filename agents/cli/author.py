"""`--author`: who publishes."""

import argparse
import getpass

AUTHOR_CHARACTERS_MAX = 100


def author_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--author`."""
    parser.add_argument("--author", metavar="NAME", help="who says so (default: your login)")


def author_of(options: argparse.Namespace) -> str:
    """Who publishes: as it was said, else the login."""
    if options.author is not None:
        return str(options.author).strip()[:AUTHOR_CHARACTERS_MAX]
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
