"""`tillstream explain SEND-ID`: the chain from the triggering event to the outcome of a send.

`--profile WHO --flow FLOW` explains every way of a person through a flow, and what was refused.
"""

import argparse
from collections.abc import Sequence

from agents.cli.failures import CommandFailed
from agents.cli.looking import database, looked_at, looking_arguments
from agents.cli.meant import definitions_argument, published_meant
from agents.cli.printing import Printer, json_argument
from agents.cli.telling import leaf_of
from agents.reports.explanations import Explanation, Teller, explain_flow, explain_send
from agents.reports.people import profiles_meant
from agents.settings import Settings
from schemas.records import DefinitionsPublished
from streams.ids import Ids


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "send_id", metavar="SEND-ID", nargs="?", help="as in `send-commands` and decisions"
    )
    parser.add_argument("--profile", metavar="WHO", help="a profile id or an identifier")
    parser.add_argument("--flow", metavar="FLOW", help="the flow that is meant")
    definitions_argument(parser)
    looking_arguments(parser)
    json_argument(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Tell why. Returns: 1 where nothing is known of it.

    Raises: CommandFailed.
    """
    by_send = options.send_id is not None
    if by_send == (options.profile is not None and options.flow is not None):
        raise CommandFailed("explain takes a SEND-ID, or --profile and --flow")
    printer = Printer(as_json=options.json)
    looked = looked_at(options, settings)
    published = published_meant(options, settings)
    found = _explain(options, looked, published)
    printer.data(found if not by_send else found[0] if found else None)
    for explanation in found:
        _tell(printer, explanation, published.version)
    if not found:
        what = f"no send {options.send_id} is known"
        printer.line(what if by_send else f"{options.profile} never came to {options.flow}")
        return 1
    return 0


def _explain(
    options: argparse.Namespace, settings: Settings, published: DefinitionsPublished
) -> Sequence[Explanation]:
    with database(settings) as client:
        teller = Teller(client, published, Ids(settings.secret_bytes))
        if options.send_id is not None:
            found = explain_send(client, options.send_id, teller)
            return [] if found is None else [found]
        meant = profiles_meant(client, options.store, options.profile)
        if not meant:
            raise CommandFailed(f"nobody known as {options.profile} in the store {options.store}")
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
