"""`tillstream events push|tail|find`: events in, records out, and where an event is."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Iterable
from typing import Any

import msgspec

from agents.cli import events_find
from agents.cli.failures import CommandFailed
from agents.cli.printing import Printer, json_argument, printer_for
from agents.definitions_log import definitions_in_force
from agents.live.asking import NotReached, reached
from agents.live.pushing import (
    Bad,
    Checker,
    Good,
    Pushed,
    PushFailed,
    Source,
    Unreadable,
    open_source,
    push,
)
from agents.live.tailing import Tail, Tailed
from agents.settings import Settings
from schemas.topics import INGEST_ROWS, STORE_EVENTS, STORE_EVENTS_REJECTED, TOPICS, Topic
from streams.definitions.problems import near

SHOWN_MAX = 20
CHECKED_AT_ONCE = 1_000
PUBLIC = {topic.name: topic for topic in TOPICS if topic.public}


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    pushing = actions.add_parser("push", help="check events, then append them to store-events")
    pushing.add_argument(
        "file", metavar="FILE", help="JSON lines, one document or an array; - reads"
    )
    pushing.add_argument(
        "--skip-bad", action="store_true", help="push the good ones, leave out what is wrong"
    )
    json_argument(pushing)
    tailing = actions.add_parser("tail", help="print the records of a public topic as they come")
    tailing.add_argument("topic", metavar="TOPIC", help=", ".join(PUBLIC))
    tailing.add_argument("--from-beginning", action="store_true", help="not only what comes now")
    tailing.add_argument("--clocks", action="store_true", help="also those that only say the time")
    tailing.add_argument("--json", action="store_true", help="print one JSON document a record")
    events_find.arguments(actions.add_parser("find", help="where an event is, and what it led to"))


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Returns: 1 where an event is wrong, or is not found.

    Raises: CommandFailed.
    """
    try:
        match options.action:
            case "push":
                return _push(options, settings)
            case "tail":
                return _tail(options, settings)
            case _:
                return events_find.run(options, settings)
    except (NotReached, PushFailed) as error:
        raise CommandFailed(str(error)) from error


# --- push ----------------------------------------------------------------------------------------


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file. counted: in lines or events; bad: what was not pushed, and why;
    warnings: of metrics that may be misspelt.
    """

    pushed: int
    counted: str
    bad: list[Bad]
    events: list[Pushed]
    warnings: list[str]


def _push(options: argparse.Namespace, settings: Settings) -> int:
    printer = printer_for(options)
    try:
        source = open_source(options.file)
    except OSError as error:
        raise CommandFailed(f"{options.file} cannot be read: {error.strerror}") from error
    except Unreadable as error:
        raise CommandFailed(f"{options.file}: {error}") from error
    outcome = asyncio.run(_pushed(settings, source, skip_bad=options.skip_bad))
    printer.data(outcome)
    if outcome.bad:
        _complain(outcome, options.skip_bad)
    _show(printer, outcome)
    return 1 if outcome.bad and not options.skip_bad else 0


async def _pushed(settings: Settings, source: Source, *, skip_bad: bool) -> Outcome:
    done: list[Pushed] = []
    async with reached(settings, STORE_EVENTS, INGEST_ROWS) as there:
        check = Checker(there, (await definitions_in_force(there)).values())
        bad = await _wrong(source, check)
        if skip_bad or not bad:
            await _push_good(there, _good(source, check), source.counted, done)
        metrics = sorted({one.metric for one in done})
        warnings = [told for one in metrics if (told := check.nearly(one)) is not None]
    return Outcome(
        pushed=len(done), counted=source.counted, bad=bad, events=done, warnings=warnings
    )


async def _wrong(source: Source, check: Checker) -> list[Bad]:
    """What is wrong in it. Ctrl-C is heard in between."""
    bad = []
    for number, value in source:
        if number % CHECKED_AT_ONCE == 0:
            await asyncio.sleep(0)
        said = check(number, value)
        if isinstance(said, Bad):
            bad.append(said)
    return bad


async def _push_good(
    there: Settings, events: Iterable[Good], counted: str, done: list[Pushed]
) -> None:
    """Push them. Who is interrupted is told how far it came."""
    try:
        await push(there, events, noted=done.append)
    except asyncio.CancelledError:
        upto = f", up to {counted} {done[-1].number:,}" if done else ""
        sys.stderr.write(
            f"tillstream: interrupted. The broker confirmed {len(done):,} events{upto}, and may "
            "have more. Push the file again: an event with an id, or with a time, is recognised "
            "and counted once\n"
        )
        raise


def _good(source: Source, check: Checker) -> Iterable[Good]:
    for number, value in source:
        said = check(number, value)
        if isinstance(said, Good):
            yield said


def _complain(outcome: Outcome, skip_bad: bool) -> None:
    """Say on standard error what is wrong, line by line."""
    for one in outcome.bad[:SHOWN_MAX]:
        where = f", {one.field}" if one.field else ""
        at = f", byte {one.position}" if one.position is not None and not one.field else ""
        sys.stderr.write(f"{outcome.counted} {one.number}: {one.reason}{where}{at}: {one.detail}\n")
    more = len(outcome.bad) - SHOWN_MAX
    if more > 0:
        sys.stderr.write(f"and {more:,} more\n")
    if not skip_bad:
        sys.stderr.write(
            "tillstream: nothing was pushed; put these right, or leave them out with --skip-bad\n"
        )


def _show(printer: Printer, outcome: Outcome) -> None:
    if outcome.events and len(outcome.events) <= SHOWN_MAX:
        printer.table(
            (outcome.counted, "metric", "id", "partition", "offset"),
            [(one.number, one.metric, one.id, one.partition, one.offset) for one in outcome.events],
        )
    if outcome.events:
        left = f", {len(outcome.bad):,} left out" if outcome.bad else ""
        told = "1 event is" if outcome.pushed == 1 else f"{outcome.pushed:,} events are"
        printer.line(f"{told} in store-events{left}")
    elif not outcome.bad:
        printer.line("there was no event in it")
    for warning in outcome.warnings:
        printer.line(f"warning: {warning}")


# --- tail ----------------------------------------------------------------------------------------


def _tail(options: argparse.Namespace, settings: Settings) -> int:
    topic = PUBLIC.get(options.topic)
    if topic is None:
        raise CommandFailed(
            f"'{options.topic}' is no public topic{near(options.topic, PUBLIC)}; there are: "
            f"{', '.join(PUBLIC)}"
        )
    printer = Printer()
    asyncio.run(_tailed(settings, topic, options, printer))
    return 0


async def _tailed(
    settings: Settings, topic: Topic, options: argparse.Namespace, printer: Printer
) -> None:
    """Print until Ctrl-C or SIGTERM."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with reached(settings, topic) as there:
        tail = Tail(there, topic, from_beginning=options.from_beginning, clocks=options.clocks)
        async for record in tail.records(stopping):
            printer.line(_json(record) if options.json else _line(record, topic))
            sys.stdout.flush()


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _line(record: Tailed, topic: Topic) -> str:
    """`2026-03-02 09:00:00.250  1/17  {...}`; of what was rejected, the reason before it."""
    why = ""
    if topic is STORE_EVENTS_REJECTED:
        field, detail = record.headers.get("field"), record.headers.get("detail")
        why = f"{record.headers.get('reason')}{f' {field}' if field else ''}: {detail}  "
    elif record.headers:
        why = " ".join(f"{name}={value}" for name, value in record.headers.items()) + "  "
    value = record.value if isinstance(record.value, str) else _json(record.value)
    at = record.at[:23].replace("T", " ")
    return f"{at}  {record.partition}/{record.offset}  {why}{value}"
