"""`tillstream definitions check DIR`: every error at once, with file and line."""

import argparse
from pathlib import Path

from agents.definitions import check
from agents.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    checking = actions.add_parser("check", help="print every error of a folder")
    checking.add_argument("folder", type=Path, metavar="DIR")


def run(options: argparse.Namespace, settings: Settings) -> int:  # noqa: ARG001
    return check(options.folder)
