"""`tillstream worker`: one worker process (agents/worker.py)."""

import argparse

from agents import worker
from agents.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    worker.arguments(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    return worker.run(settings, simulated=options.simulated)
