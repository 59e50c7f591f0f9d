"""`tillstream consent at|history ADDRESS`: what an address might receive, when, and why."""

import argparse
from collections.abc import Mapping

import msgspec

from agents.cli.failures import CommandFailed
from agents.cli.looking import database, looked_at, looking_arguments
from agents.cli.meant import definitions_argument, settings_meant
from agents.cli.printing import Printer, json_argument
from agents.replay.arrivals import LATEST, instant_said
from agents.replay.published import number_or_text
from agents.reports.consent import Cause, ConsentStory, consent_story
from agents.settings import Settings
from schemas.values import EventId, Instant
from streams.consent.history import Change, Permission, permissions
from streams.instants import to_timestamp


class ConsentAt(msgspec.Struct, frozen=True, kw_only=True):
    """What the addresses of a person might receive at an instant; at: None: as known now."""

    at: str | None
    permissions: list[Permission]
    causes: dict[EventId, Cause]


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    at = actions.add_parser("at", help="what an address might receive at an instant, and why")
    at.add_argument("--time", metavar="T", help="RFC 3339 (default: as known now)")
    definitions_argument(at)
    history = actions.add_parser("history", help="all it ever said, and who said it")
    for action in (at, history):
        action.add_argument(
            "address", metavar="ADDRESS", help="an address, or any identifier of a person"
        )
        looking_arguments(action)
        json_argument(action)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Returns: 1 where nothing is known of the address.

    Raises: CommandFailed.
    """
    printer = Printer(as_json=options.json)
    with database(looked_at(options, settings)) as client:
        story = consent_story(client, options.store, options.address)
    if not story.addresses:
        printer.line(f"nothing is known of {options.address} in the store {options.store}")
        printer.data(None)
        return 1
    if options.action == "history":
        printer.data(story)
        _show_history(printer, story)
    else:
        _show_at(printer, story, options, settings)
    return 0


def _show_at(
    printer: Printer, story: ConsentStory, options: argparse.Namespace, settings: Settings
) -> None:
    at = _instant(options.time)
    rules = settings_meant(options, settings)
    found = [
        permission
        for kind, address in story.addresses
        for permission in permissions(kind, address, story.changes, rules, at)
    ]
    told = None if options.time is None else to_timestamp(at)
    printer.data(ConsentAt(at=told, permissions=found, causes=story.causes))
    when = "is known now" if told is None else f"was known at {told}"
    printer.heading(f"Consent of {options.address} in {story.store}, as it {when}")
    printer.table(
        ("address", "channel", "word", "marketing", "transactional"),
        [
            (
                one.address,
                one.channel,
                one.word,
                _answer(one.marketing, one),
                _answer(one.transactional, one),
            )
            for one in found
        ],
    )
    printer.line()
    for one in found:
        _show_why(printer, one, story.causes)


def _instant(text: str | None) -> Instant:
    if text is None:
        return LATEST
    try:
        return instant_said(number_or_text(text))
    except ValueError as error:
        raise CommandFailed(f"--time: '{text}' {error}") from error


def _answer(objection: str | None, permission: Permission) -> str:
    if objection is None:
        return "yes"
    why = ", ".join(permission.suppressed) if objection == "suppressed" else permission.word
    return f"no: {objection} ({why})"


def _show_why(printer: Printer, permission: Permission, causes: Mapping[EventId, Cause]) -> None:
    place = f"{permission.address}, {permission.channel}"
    if permission.word_by is None:
        printer.line(f"{place}: never asked")
    else:
        printer.line(f"{place}: {permission.word}, {_by(permission.word_by, causes)}")
    if permission.suppressed_by is not None:
        state = ", ".join(permission.suppressed) or "not suppressed any more"
        printer.line(f"{place}: {state}, {_by(permission.suppressed_by, causes)}")


def _show_history(printer: Printer, story: ConsentStory) -> None:
    printer.heading(f"Consent of {', '.join(address for _, address in story.addresses)}")
    for change in story.changes:
        suppressed = f", suppressed: {', '.join(change.suppressed)}" if change.suppressed else ""
        bounces = f", {change.soft_bounces} soft bounces" if change.soft_bounces else ""
        printer.line(
            f"{change.known_at[:19].replace('T', ' ')}  {change.channel:<8} {change.word:<8} "
            f"{change.address}{suppressed}{bounces}"
        )
        printer.line(f"{'':21}{_by(change, story.causes)}")


def _by(change: Change, causes: Mapping[EventId, Cause]) -> str:
    """`by Subscribed e-17 (list newsletter) from shop, known since ...`."""
    cause = causes.get(change.cause)
    known = f"known since {change.known_at}"
    if cause is None:
        return f"by {change.cause}, {known}"
    said = ", ".join(f"{name} {value}" for name, value in cause.said.items())
    return (
        f"by {cause.metric} {cause.event_id}{f' ({said})' if said else ''} from {cause.source}, "
        f"happened {cause.occurred_at}, {known}"
    )
