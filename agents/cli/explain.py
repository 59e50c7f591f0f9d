"""`tillstream explain SEND-ID`: the chain from the triggering event to the outcome of a send.

`--profile WHO --flow FLOW` explains every way of a person through a flow, and what was refused.
`segment ID --profile WHO [--at T]` explains why a person is in a segment, or not.
"""

import argparse
from collections.abc import Sequence

from agents.cli.explain_segment import explained, show
from agents.cli.failures import CommandFailed, NotThere
from agents.cli.looking import (
    at_argument,
    database,
    ids_of,
    instant_meant,
    looked_at,
    looking_arguments,
)
from agents.cli.meant import definitions_argument, flow_named, published_meant
from agents.cli.printing import Printer, json_argument
from agents.cli.telling import leaf_of
from agents.reports.explanations import Explanation, Teller, explain_flow, explain_send
from agents.reports.people import profiles_meant
from agents.settings import Settings
from schemas.records import DefinitionsPublished


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        metavar="SEND-ID | segment ID",
        nargs="*",
        help="a send, as in `send-commands` and decisions; or a segment",
    )
    parser.add_argument("--profile", metavar="WHO", help="a profile id or an identifier")
    parser.add_argument("--flow", metavar="FLOW", help="the flow that is meant")
    at_argument(parser, "of a segment: at this instant (default: now)")
    definitions_argument(parser)
    looking_arguments(parser)
    json_argument(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Tell why. Returns: 1 where nothing is known of it.

    Raises: CommandFailed.
    """
    match options.what:
        case ["segment", segment] if options.profile is not None:
            return _segment(options, settings, segment)
        case [send_id] if send_id != "segment" and options.profile is None:
            return _sends(options, settings, send_id)
        case [] if options.profile is not None and options.flow is not None:
            return _sends(options, settings, None)
    raise CommandFailed(
        "explain takes a SEND-ID, or --profile and --flow, or `segment ID` and --profile"
    )


def _segment(options: argparse.Namespace, settings: Settings, segment: str) -> int:
    printer = Printer(as_json=options.json)
    published = published_meant(options, settings)
    looked = looked_at(options, settings)
    with database(looked) as client:
        meant = profiles_meant(client, options.store, options.profile)
        at, ids = instant_meant(options, client, looked), ids_of(looked)
        found = explained(client, published, segment, meant[0], at, ids) if meant else None
    printer.data(found)
    if found is None:
        when = "" if options.at is None else " yet"
        printer.line(f"nobody was known as {options.profile} in the store {options.store}{when}")
        return 1
    show(printer, found)
    return 0


def _sends(options: argparse.Namespace, settings: Settings, send_id: str | None) -> int:
    printer = Printer(as_json=options.json)
    looked = looked_at(options, settings)
    published = published_meant(options, settings)
    found = _explain(options, looked, published, send_id)
    if not found and send_id is None:
        flow_named(published.documents, options.flow)  # a name that is none is said to be so
    printer.data(found if send_id is None else found[0] if found else None)
    for explanation in found:
        _tell(printer, explanation, published.version)
    if not found:
        what = f"no send {send_id} is known"
        never = f"{options.profile} never came to {options.flow}"
        printer.line(never if send_id is None else what)
        return 1
    return 0


def _explain(
    options: argparse.Namespace,
    settings: Settings,
    published: DefinitionsPublished,
    send_id: str | None,
) -> Sequence[Explanation]:
    with database(settings) as client:
        teller = Teller(client, published, ids_of(settings))
        if send_id is not None:
            found = explain_send(client, send_id, teller)
            return [] if found is None else [found]
        meant = profiles_meant(client, options.store, options.profile)
        if not meant:
            raise NotThere(f"nobody known as {options.profile} in the store {options.store}")
        return explain_flow(client, options.store, meant[0], options.flow, teller)


def _tell(printer: Printer, explanation: Explanation, version: str) -> None:
    what = f"Send {explanation.send}" if explanation.send else f"Flow {explanation.flow}"
    printer.heading(f"{what} of profile {explanation.profile_id}")
    for link in explanation.links:
        printer.line(f"{link.at[:19].replace('T', ' ')}  {link.kind:<10} {link.words}")
        for leaf in link.evidence:
            if "leaf" in leaf:
                printer.line(f"{'':32}{leaf_of(leaf)}")
    if explanation.told_again == "differs":
        printer.line(
            f"Waits and splits are not told: by the definitions {version} the history comes to "
            f"other decisions than were recorded under {explanation.version}"
        )
    if explanation.send is not None and explanation.command is None:
        printer.line("No command was written.")
