"""Small histories for the tests of the black-box door."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.cli.main import main

DEFINITIONS = {
    "store.yaml": """\
        store: main
        address: Beispielgasse 1, 10115 Berlin
        """,
    "cart.yaml": """\
        flow: cart
        trigger: {did: Started Checkout}
        re_entry: always
        steps:
          - wait: 4h
          - send: cart-1
            channel: email
            template: reminder
            smart_sending: false
        """,
    "fresh.yaml": """\
        segment: fresh
        where: {did: Started Checkout, in_last: 1d}
        """,
}


def definitions_in(folder: Path, files: dict[str, str] = DEFINITIONS) -> Path:
    """Write a folder of definitions."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def event(metric: str, time: str | None, **more: Any) -> bytes:
    """A line about Ann."""
    said = {"metric": metric, "profile": {"email": "ann@example.com"}} | more
    return msgspec.json.encode(said if time is None else said | {"time": time})


SUBSCRIBED = event("Subscribed", "2026-03-01T08:00:00Z", properties={"channel": "email"})


class Door:
    """`tillstream replay` on a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.definitions = definitions_in(folder / "definitions")
        self.out = folder / "out"
        self.printed = self.complained = ""

    def call(self, *words: str) -> int:
        """Call the command; keeps what it prints."""
        code = main(["replay", *words])
        self.printed, self.complained = self._capsys.readouterr()
        return code

    def replay(self, lines: list[bytes], *words: str) -> dict[str, list[Any]]:
        """Replay lines; returns the decoded files by their names."""
        events = self.folder / "events.jsonl"
        events.write_bytes(b"".join(line + b"\n" for line in lines))
        asked = ["--definitions", f"{self.definitions}", "--events", f"{events}"]
        assert self.call(*asked, "--out", f"{self.out}", *words) == 0, self.complained
        return {
            path.stem: [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
            for path in self.out.iterdir()
        }
