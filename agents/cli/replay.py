"""`tillstream replay`: events and definitions in, files out; or a recorded log, compared."""

import argparse
import gc
import sys
from pathlib import Path

from agents.cli.failures import CommandFailed
from agents.cli.printing import Printer, json_argument, printer_for
from agents.replay.arrivals import EventFile, instant_said
from agents.replay.published import Wrong, editions, number_or_text
from agents.replay.run import Outcome, replay_file
from agents.settings import Settings
from schemas.values import Instant
from streams.instants import to_timestamp

REFUSED_SHOWN_MAX = 20
GARBAGE_MAX = 100_000
"""The core makes no cycles: looking for them more often costs a fifth of the time."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--definitions",
        action="append",
        metavar="DIR[@T]",
        help="a folder of definitions; with @T it takes the place of the former at T",
    )
    parser.add_argument("--events", type=Path, metavar="FILE", help="store events, one JSON a line")
    parser.add_argument("--until", metavar="T", help="the last instant (default: the last arrival)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the files are written")
    parser.add_argument(
        "--log",
        metavar="NAMESPACE",
        help="replay a recorded store-events instead, and compare every public topic",
    )
    json_argument(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    gc.freeze()
    gc.set_threshold(GARBAGE_MAX, 50, 50)
    given = (options.definitions, options.events, options.out, options.until)
    if options.log is None:
        return _replay_file(options)
    if any(one is not None for one in given):
        raise CommandFailed("replay --log takes its events and definitions from the log alone")
    from agents.cli import replay_log

    return replay_log.run(options, settings)


def _replay_file(options: argparse.Namespace) -> int:
    named = {"--definitions": options.definitions, "--events": options.events, "--out": options.out}
    missing = [name for name, value in named.items() if value is None]
    if missing:
        raise CommandFailed(f"replay needs {', '.join(missing)}")
    until = _until(options.until)
    if not options.events.is_file():
        raise CommandFailed(f"--events: there is no file {options.events}")
    if options.out.exists() and not options.out.is_dir():
        raise CommandFailed(f"--out: {options.out} is not a folder")
    try:
        found = editions(options.definitions)
    except Wrong as wrong:
        raise CommandFailed("\ntillstream: ".join(wrong.args)) from wrong
    outcome = replay_file(EventFile(options.events), found, until=until, out=options.out)
    _complain(outcome)
    _show(printer_for(options), outcome)
    return 0


def _until(text: str | None) -> Instant | None:
    if text is None:
        return None
    try:
        return instant_said(number_or_text(text))
    except ValueError as error:
        raise CommandFailed(f"--until: '{text}' {error}") from error


def _complain(outcome: Outcome) -> None:
    """Say on stderr which lines did not arrive, and what failed."""
    for line in outcome.refused[:REFUSED_SHOWN_MAX]:
        sys.stderr.write(f"tillstream: line {line.line}: {line.detail}; it is in rejected.jsonl\n")
    more = len(outcome.refused) - REFUSED_SHOWN_MAX
    if more > 0:
        sys.stderr.write(f"tillstream: and {more:,} lines more\n")
    if aside := outcome.counts["dead-letters.jsonl"]:
        sys.stderr.write(f"tillstream: {aside:,} records failed: see dead-letters.jsonl\n")


def _show(printer: Printer, outcome: Outcome) -> None:
    rate = outcome.lines / outcome.seconds if outcome.seconds else 0.0
    printer.table(("file", "lines"), outcome.counts.items())
    printer.line()
    later = f", {outcome.later:,} after --until" if outcome.later else ""
    printer.line(
        f"{outcome.lines:,} lines{later}, {outcome.events:,} events accepted, "
        f"{outcome.seconds:.2f} s, {rate:,.0f} lines/s"
    )
    printer.data(
        {
            "until": None if outcome.until is None else to_timestamp(outcome.until),
            "lines": outcome.lines,
            "later": outcome.later,
            "events": outcome.events,
            "files": outcome.counts,
            "seconds": round(outcome.seconds, 3),
            "lines_per_second": round(rate),
        }
    )
