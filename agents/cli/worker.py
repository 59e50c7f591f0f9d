"""`tillstream worker`: one worker process (agents/worker.py)."""

import argparse

from agents import worker
from agents.cli.failures import CommandFailed
from agents.live.asking import NotReached
from agents.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    worker.arguments(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Work until told to stop.

    Raises: CommandFailed, where the cluster is away or refuses.
    """
    try:
        worker.run(settings, simulated=options.simulated)
    except NotReached as error:
        raise CommandFailed(str(error)) from error
