"""`tillstream COMMAND ...`: finds the command, builds the settings, runs it.

Exit codes: 0 done; 1 done, and the answer is no (a check that found errors, a comparison that
differs, an id that is not there); 2 called wrongly or a bad setting; 130 interrupted.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from agents.cli.failures import CommandFailed, NotThere
from agents.logs import configure
from agents.settings import Settings, SettingsError

COMMANDS: Mapping[str, str] = {
    "up": "the live pipeline: broker, database, workers, timeline",
    "events": "push events; tail a topic; find what became of an event",
    "reset": "delete what the namespace holds",
    "demo": "a year of a real shop's orders through the whole path",
    "replay": "the whole path in memory: events in, files out; or a recorded log, compared",
    "definitions": "check definitions; publish them",
    "flow": "draw a flow; preview whom it would let in",
    "population": "rank the profiles for `top` and `bottom`",
    "sends": "stop sends, all or some of them; resume them; what is stopped",
    "catalog": "watch what stores say of products for whom it concerns",
    "identity": "explain how a person came to be one; split, or erase, a person",
    "profile": "show one person: traits, consent, segments, timeline; export all that is held",
    "consent": "what an address might receive at any instant, and why; all it ever said",
    "segment": "preview one before it is published; its size by day",
    "explain": "why a send was made, or not; why somebody is in a segment, or not",
    "report": "attribution, funnels, totals; how many events found their person",
    "dead-letters": "what was set aside and why; push it again",
    "status": "how the path stands: rates, lag, clocks and who holds them back",
    "schemas": "JSON Schemas of every public topic",
    "worker": "run a worker process",
    "sink": "run the timeline sink by itself",
    "sender": "run the reference sender by itself; --dry delivers to nobody",
}
"""command -> what it does. Its module is agents/cli/<command>.py."""


def module_of(command: str) -> str:
    """Where a command is written."""
    return f"agents.cli.{command.replace('-', '_')}"


def _is_text(value: str) -> bool:
    """Not so where the shell handed over bytes that are no UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except (SettingsError, CommandFailed) as error:
        sys.stderr.write(f"tillstream: {error}\n")
        return 1 if isinstance(error, NotThere) else 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        sys.stderr.write(f"tillstream: {error.filename}: {error.strerror}\n")
        return 2


def _run(words: list[str]) -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(
        prog="tillstream", description="A streaming CRM for online stores."
    )
    parser.add_argument("--version", action="version", version=version("tillstream"))
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    asked = next((word for word in words if not word.startswith("-")), None)
    for name, meaning in COMMANDS.items():
        command = commands.add_parser(name, help=meaning, description=meaning)
        if name == asked:  # only this one is imported: the others cost seconds
            module = importlib.import_module(module_of(name))
            module.arguments(command)
    options = parser.parse_args(words)
    for name, value in vars(options).items():
        if isinstance(value, str) and not _is_text(value):
            parser.error(f"{name}: {value!r} is not valid UTF-8")
    module = importlib.import_module(module_of(options.command))
    configure("warning", libraries=False)
    return int(module.run(options, Settings.from_environ(os.environ)))


if __name__ == "__main__":
    sys.exit(main())
