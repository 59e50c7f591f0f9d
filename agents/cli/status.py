"""`tillstream status`: how the path stands, stage by stage."""

import argparse
import asyncio
import time

from agents.cli.looking import cluster, looked_at, looking_arguments
from agents.cli.printing import Printer, json_argument, printer_for
from agents.demo.place import NAMESPACE as DEMO
from agents.settings import Settings
from agents.standing import TOPICS, Standing, standing
from schemas.values import Instant
from streams.instants import to_timestamp

NO_WORKER = "No worker answers on this machine: start the path with `tillstream up`."
NOTHING_OF_THE_DEMO = (
    "The demo has come to its end: nothing of it runs. These are its last figures."
)


def arguments(parser: argparse.ArgumentParser) -> None:
    looking_arguments(parser)
    json_argument(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Look and tell. Returns: 1 where no worker answers or one is not ready."""
    looked = looked_at(options, settings)
    found = asyncio.run(_look(looked))
    printer = printer_for(options)
    printer.data(found)
    _tell(printer, found, demo=looked.namespace == DEMO)
    return 0 if found.workers and all(worker.ready for worker in found.workers) else 1


async def _look(settings: Settings) -> Standing:
    async with cluster(settings, *TOPICS) as there:
        return await standing(there)


def _tell(printer: Printer, found: Standing, *, demo: bool) -> None:
    if not found.workers:
        printer.line(NOTHING_OF_THE_DEMO if demo else NO_WORKER)
    printer.heading("Stages")
    printer.table(
        ("stage", "partitions", "steps/s", "lag", "waiting", "clock", "behind", "held back by"),
        [
            (
                stage.stage,
                stage.partitions,
                stage.steps_per_second,
                stage.lag,
                stage.waiting,
                "" if stage.clock is None else to_timestamp(stage.clock),
                _behind(stage.clock),
                stage.held_back_by,
            )
            for stage in found.stages
        ],
    )
    printer.heading("Set aside (markers of transactions counted)")
    printer.table(("topic", "records"), list(found.set_aside.items()))
    if found.backfills:
        printer.heading("Back-fills")
        printer.table(
            ("store", "version", "profiles", "partitions"),
            [
                (one.store, one.version, one.profiles, "{} of {}".format(*one.partitions))
                for one in found.backfills
            ],
        )
    printer.heading("Workers")
    for worker in found.workers:
        said = "ready" if worker.ready else f"not ready: {'; '.join(worker.why_not)}"
        ticks = ", ticks" if worker.ticked_seconds_ago is not None else ""
        printer.line(f"process {worker.pid}: {len(worker.partitions)} partitions{ticks}, {said}")


def _behind(clock: Instant | None) -> str:
    """How far time in the log lags behind the wall."""
    if clock is None:
        return ""
    seconds = time.time() - clock / 1000
    return f"{seconds:.1f} s" if seconds < 3600 else f"{seconds / 86_400:.1f} days"
