"""`tillstream replay --log NAMESPACE`: what a recorded log comes to now, and came to then."""

import argparse
import asyncio
import sys
from dataclasses import replace

from agents.cli.failures import CommandFailed
from agents.cli.looking import cluster
from agents.cli.printing import Printer, printer_for
from agents.demo.place import NAMESPACE, demo_settings
from agents.replay.comparison import Compared
from agents.replay.recorded import Compare, NothingRecorded, compare
from agents.settings import Settings


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Returns: the exit code, 1 where something is not the same."""
    if options.log == NAMESPACE and settings.embedded_kafka:
        settings = demo_settings(settings)
    settings = replace(settings, namespace=options.log)
    if settings.embedded_kafka and not (settings.data / "kafka").exists():
        raise CommandFailed(f"--log: there is no broker's data in {settings.data / 'kafka'}")
    try:
        outcome = asyncio.run(_compare(settings, quiet=not sys.stderr.isatty()))
    except NothingRecorded as error:
        raise CommandFailed(f"--log: {error}") from error
    _show_compared(printer_for(options), outcome)
    return 0 if outcome.equal else 1


async def _compare(settings: Settings, *, quiet: bool) -> Compare:
    def progress(done: int, of: int) -> None:
        if not quiet:
            sys.stderr.write(f"\r{done:,} of {of:,} records")

    async with cluster(settings) as connected:
        outcome = await compare(connected, progress=progress)
    if not quiet:
        sys.stderr.write("\r\033[K")
    return outcome


def _show_compared(printer: Printer, outcome: Compare) -> None:
    rate = outcome.records / outcome.seconds
    rows = []
    for one in outcome.compared:
        topic = f"{one.topic} ({one.station})" if one.station else one.topic
        rows.append((topic, one.partition, one.records, _told(one)))
    printer.table(("topic", "partition", "records", "outcome"), rows)
    printer.line()
    same = "no byte is different" if outcome.equal else "it is not the same"
    printer.line(
        f"{outcome.records:,} records of store-events in {outcome.partitions} partitions replayed "
        f"in {outcome.seconds:.1f} s ({rate:,.0f}/s): {same}"
    )
    printer.data(
        {
            "equal": outcome.equal,
            "records": outcome.records,
            "partitions": outcome.partitions,
            "seconds": round(outcome.seconds, 3),
            "records_per_second": round(rate),
            "topics": [one._asdict() for one in outcome.compared],
        }
    )


def _told(one: Compared) -> str:
    found = one.difference
    if found is None:
        return f"equal; {one.not_yet:,} not said yet" if one.not_yet else "equal"
    offset = "" if found.offset is None else f"offset {found.offset:,}: "
    both = f"; then {found.then!r}" if found.then is not None else ""
    both += f"; now {found.now!r}" if found.now is not None else ""
    return f"{offset}{found.what}{both}"
