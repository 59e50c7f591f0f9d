"""`tillstream demo`: a year of a real shop's orders through the whole path."""

import argparse
import asyncio

from agents.cli.printing import json_argument, printer_for
from agents.demo.log import SINCE, UNTIL, UNTIL_QUICK
from agents.demo.run import run as run_demo
from agents.demo.show import show
from agents.demo.watch import Watch
from agents.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="one month instead of a year")
    json_argument(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run the demo and show what came of it. Returns: 1 where a comparison did not hold."""
    with Watch(SINCE, UNTIL_QUICK if options.quick else UNTIL) as watch:
        outcome = asyncio.run(run_demo(settings, quick=options.quick, progress=watch))
    show(outcome, printer_for(options))
    return 0 if outcome.same_as_made and outcome.is_reconciled else 1
