"""`tillstream explain SEND-ID`: the chain from the triggering event to the outcome of a send."""

import argparse

from agents.cli.looking import database, looked_at, looking_arguments
from agents.cli.printing import Printer, json_argument
from agents.cli.telling import evidence_of, line_of
from agents.reports.stories import SendStory, send_story
from agents.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("send_id", metavar="SEND-ID", help="as in `send-commands` and decisions")
    looking_arguments(parser)
    json_argument(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Tell why. Returns: 1 where no such send is known."""
    printer = Printer(as_json=options.json)
    with database(looked_at(options, settings)) as client:
        story = send_story(client, options.send_id)
    if story is None:
        printer.line(f"no send {options.send_id} is known")
        printer.data(None)
        return 1
    printer.data(story)
    _tell(printer, story)
    return 0


def _tell(printer: Printer, story: SendStory) -> None:
    printer.heading(f"Send {story.send_id} to profile {story.profile_id}")
    for row in story.rows:
        printer.line(line_of(row))
        for text in evidence_of(row):
            printer.line(f"{'':32}{text}")
    if story.command is None:
        printer.line("No command was written.")
        return
    command = story.command
    variant = f", variant {command['variant']}" if command["variant"] else ""
    printer.line(
        f"Command: {command['channel']}, template {command['template']}{variant}, attempt "
        f"{command['attempt']}, to go out before {command['valid_until']}"
    )
