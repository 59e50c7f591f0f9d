"""From a send command to what is read: Liquid templates, one text and one HTML file each.

`<template>.txt.liquid` begins with a line `Subject: ...` (the command's own subject, a template
too, wins); `<template>.html.liquid` is optional and escaped. A template sees the traits by their
names, `trigger` (properties of the event that started the flow), `unsubscribe_url` and
`postal_address`. A marketing e-mail without these two is refused: it must not go out.
"""

from pathlib import Path
from typing import Any, NamedTuple

from liquid import Environment, FileSystemLoader
from liquid.exceptions import LiquidError

from schemas.outputs import SendCommand

_SUBJECT = "Subject:"


class Letter(NamedTuple):
    """What is delivered. html: None where the template has none."""

    subject: str
    text: str
    html: str | None


class LetterRefused(Exception):
    """This command has no letter that may go out; the message says why, without personal data."""


class Letters:
    """Renders the templates of a folder.

    unsubscribe_url: with `{token}` where the command's unsubscribe token goes.
    """

    def __init__(self, folder: Path, *, unsubscribe_url: str) -> None:
        assert "{token}" in unsubscribe_url
        self._folder, self._unsubscribe_url = folder, unsubscribe_url
        self._plain = Environment(loader=FileSystemLoader(folder))
        self._html = Environment(loader=FileSystemLoader(folder), autoescape=True)

    def unsubscribe_url(self, command: SendCommand) -> str:
        return self._unsubscribe_url.format(token=command.unsubscribe_token)

    def render(self, command: SendCommand) -> Letter:
        """Render the letter of a command.

        Raises: LetterRefused.
        """
        try:
            letter = self._render(command, self._seen_by_template(command))
        except LiquidError as error:
            raise LetterRefused(f"template {command.template}: {type(error).__name__}") from error
        if command.channel == "email" and not command.transactional:
            for part in (letter.text, letter.html):
                self._check_marketing(command, part)
        return letter

    def _seen_by_template(self, command: SendCommand) -> dict[str, Any]:
        traits = command.context.get("traits", {})
        return {
            **traits,
            **command.context,
            "unsubscribe_url": self.unsubscribe_url(command),
            "postal_address": command.postal_address or "",
        }

    def _render(self, command: SendCommand, seen: dict[str, Any]) -> Letter:
        text = self._plain.get_template(f"{command.template}.txt.liquid").render(**seen)
        subject = ""
        if text.startswith(_SUBJECT):
            subject, _, text = text.partition("\n")
            subject = subject.removeprefix(_SUBJECT)
        if command.subject is not None:
            subject = self._plain.from_string(command.subject).render(**seen)
        html = None
        if (self._folder / f"{command.template}.html.liquid").exists():
            html = self._html.get_template(f"{command.template}.html.liquid").render(**seen)
        # A line break in a subject would begin a header of its own.
        return Letter(" ".join(subject.split()), text.strip() + "\n", html)

    def _check_marketing(self, command: SendCommand, part: str | None) -> None:
        if part is None:
            return
        if self.unsubscribe_url(command) not in part:
            raise LetterRefused(f"template {command.template}: no unsubscribe link")
        address = command.postal_address
        if not address or not (address in part or address.replace("&", "&amp;") in part):
            raise LetterRefused(f"template {command.template}: no postal address")
