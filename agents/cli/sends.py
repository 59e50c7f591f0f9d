"""`tillstream sends stop|resume|status`: all sends, those of a flow, those on a channel."""

import argparse
import asyncio
import time
from typing import get_args

import msgspec

from agents.cli.author import author_argument, author_of
from agents.cli.failures import CommandFailed
from agents.cli.printing import Printer, json_argument, printer_for
from agents.live.asking import NotReached, reached
from agents.settings import Settings
from agents.switches import (
    AnotherPublishes,
    Control,
    in_force,
    publish,
    switches,
)
from schemas.outputs import SendsSwitched
from schemas.topics import INGEST_ROWS, STORE_EVENTS, SWITCHES
from schemas.values import Channel, FlowId, StoreId
from streams.ingest.control import sends
from streams.instants import to_timestamp
from streams.sends.stops import Switch, scope


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """Sends that are stopped. said_at: by the watch of whoever said so; in_the_log_at: from when on
    no send is decided, None: ingest has not come so far.
    """

    store: StoreId
    flow: FlowId | None
    channel: Channel | None
    author: str
    said_at: str
    in_the_log_at: str | None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, and what is stopped now. number: of what was published; None: nothing was."""

    store: StoreId
    number: int | None
    stopped: list[Stopped]


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    told = {
        "stop": "decide no more sends, and deliver none that is not out yet: all of the store's, "
        "or those of a flow, on a channel. What becomes due meanwhile is dropped",
        "resume": "lift the stop of exactly this flow and channel",
        "status": "what is stopped, since when, and by whom",
    }
    for name, meaning in told.items():
        action = actions.add_parser(name, help=meaning, description=meaning)
        action.add_argument("--store", default="main", help="the store (default: main)")
        if name != "status":
            action.add_argument("--flow", metavar="F", help="only of this flow")
            action.add_argument("--channel", choices=get_args(Channel), help="only on this channel")
            author_argument(action)
        json_argument(action)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Returns: 1 where `resume` finds nothing to lift."""
    printer = printer_for(options)
    try:
        answer = asyncio.run(_run(options, settings))
    except (NotReached, AnotherPublishes) as error:
        raise CommandFailed(str(error)) from error
    printer.data(answer)
    if options.action != "status":
        _tell(printer, options, answer)
    _show(printer, answer, again=options.action != "status")
    return 1 if options.action == "resume" and answer.number is None else 0


async def _run(options: argparse.Namespace, settings: Settings) -> Answer:
    async with reached(settings, STORE_EVENTS, INGEST_ROWS, SWITCHES) as there:
        number = None
        if options.action != "status":
            number = await _switch(there, options)
        return Answer(
            store=options.store, number=number, stopped=await _stopped(there, options.store)
        )


async def _switch(settings: Settings, options: argparse.Namespace) -> int | None:
    """Publish the word, where it changes something. Returns: its number."""
    stop: bool = options.action == "stop"
    store, flow, channel = options.store, options.flow, options.channel
    if stop:
        await _expect_flow(settings, store, flow)
    stopped = await _stopped(settings, store)
    if stop == any((one.flow, one.channel) == (flow, channel) for one in stopped):
        return None
    author = author_of(options)

    def numbered(number: int) -> Control:
        switch = Switch(store, number, flow, channel, stop, author)
        note = SendsSwitched(
            **msgspec.structs.asdict(switch), at=to_timestamp(time.time_ns() // 1_000_000)
        )
        return Control(*sends(switch, settings.secret_bytes), note)

    number, _ = await publish(settings, store, numbered)
    return number


async def _expect_flow(settings: Settings, store: StoreId, flow: FlowId | None) -> None:
    """A stop of a flow that is not there would stop nothing.

    Raises: CommandFailed.
    """
    kept = (await in_force(settings)).definitions.get(store)
    if kept is None:
        raise CommandFailed(f"store {store} has no definitions in force: it sends nothing")
    flows = [str(one["flow"]) for one in kept.published.documents if "flow" in one]
    if flow is not None and flow not in flows:
        there = ", ".join(flows) or "none"
        raise CommandFailed(f"store {store} has no flow `{flow}`; its flows: {there}")


async def _stopped(settings: Settings, store: StoreId) -> list[Stopped]:
    """The stops that were published last, and since when ingest has them."""
    known = (await in_force(settings)).stops.get(store)
    since = {(one.flow, one.channel): one.at for one in (known.said.stops if known else ())}
    found = []
    for one in await switches(settings):
        if isinstance(one, SendsSwitched) and one.store == store and one.stopped:
            at = since.get((one.flow, one.channel))
            found.append(
                Stopped(
                    store=store,
                    flow=one.flow,
                    channel=one.channel,
                    author=one.author,
                    said_at=one.at,
                    in_the_log_at=None if at is None else to_timestamp(at),
                )
            )
    return found


def _tell(printer: Printer, options: argparse.Namespace, answer: Answer) -> None:
    what = scope(options.flow, options.channel)
    match options.action, answer.number:
        case "stop", None:
            printer.line(f"store {answer.store}: {what} stopped already; nothing was published")
        case "stop", _:
            printer.line(
                f"store {answer.store}: {what} stopped. No send is decided from this place in "
                "store-events on, and senders deliver none of those decided before"
            )
        case _, None:
            printer.line(f"store {answer.store}: {what} not stopped by a stop of its own")
        case _:
            printer.line(
                f"store {answer.store}: {what} resumed. What was dropped meanwhile stays so"
            )


def _show(printer: Printer, answer: Answer, *, again: bool) -> None:
    if not answer.stopped:
        printer.line(f"store {answer.store}: nothing is stopped")
        return
    if again:
        printer.line("stopped now:")
    printer.table(
        ("stopped", "by", "said at", "in the log since"),
        [
            (
                scope(one.flow, one.channel),
                one.author,
                one.said_at,
                one.in_the_log_at or "not yet",
            )
            for one in answer.stopped
        ],
    )
