"""Asking before what cannot be undone."""

import sys

from agents.cli.failures import CommandFailed


def agreed(command: str, word: str) -> bool:
    """Ask for `word`; say whether it was typed.

    Raises: CommandFailed, where nobody can answer.
    """
    if not sys.stdin.isatty():
        raise CommandFailed(f"{command} asks first, and nobody can answer here: say --yes")
    sys.stderr.write(f"type {word} to go on: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == word
