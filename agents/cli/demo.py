"""`tillstream demo`: a year of a real shop's orders through the whole path."""

import argparse
import asyncio
import sys

import msgspec

from agents.demo.log import SINCE, UNTIL, UNTIL_QUICK
from agents.demo.run import run as run_demo
from agents.demo.show import show
from agents.demo.watch import Watch
from agents.logs import configure
from agents.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="one month instead of a year")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run the demo and show what came of it. Returns: 1 where a comparison did not hold."""
    configure("warning")
    with Watch(SINCE, UNTIL_QUICK if options.quick else UNTIL) as watch:
        outcome = asyncio.run(run_demo(settings, quick=options.quick, progress=watch))
    if options.json:
        sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
    else:
        show(outcome)
    reconciled = all(float(row.shop) == float(row.timeline) for row in outcome.reconciled)
    return 0 if outcome.same_as_made and reconciled else 1
