"""What a command prints: `rich` in a terminal, plain text elsewhere, one JSON document on `--json`.

A command says everything twice, once for people (`heading`, `line`, `table`, `bars`) and once as
data (`data`); which of the two is written is decided here and nowhere else.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

BAR_WIDTH = 32
EIGHTHS = " ▏▎▍▌▋▊▉"


def json_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


class Printer:
    """Where a command's answer goes.

    as_json: only `data` is written. terminal: colours and lines; None: if the stream is one.
    """

    def __init__(
        self, *, as_json: bool = False, stream: TextIO | None = None, terminal: bool | None = None
    ) -> None:
        self.as_json = as_json
        self._stream = stream or sys.stdout
        self._rich = self._stream.isatty() if terminal is None else terminal
        self._console = Console(file=self._stream, highlight=False, force_terminal=terminal)

    def heading(self, text: str) -> None:
        """Begin a part."""
        if self.as_json:
            return
        if self._rich:
            self._console.print(f"\n[bold]{escape(text)}[/bold]")
        else:
            self._write(f"\n{text}\n{'-' * len(text)}\n")

    def line(self, text: str = "") -> None:
        """Print one line as it is."""
        if self.as_json:
            return
        if self._rich:
            self._console.print(escape(text), soft_wrap=True)
        else:
            self._write(f"{text}\n")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print rows below the names of their columns; numbers stand to the right."""
        if self.as_json:
            return
        content = [tuple(row) for row in rows]
        texts = [tuple(map(shown, row)) for row in content]
        right = [bool(content) and all(_is_number(row[i]) for row in content) for i in _of(columns)]
        if self._rich:
            self._rich_table(columns, texts, right)
            return
        widths = [max(map(len, (columns[i], *(row[i] for row in texts)))) for i in _of(columns)]
        for row in (tuple(columns), tuple("-" * width for width in widths), *texts):
            cells = (
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(row, widths, right, strict=True)
            )
            self._write("  ".join(cells).rstrip() + "\n")

    def bars(self, rows: Iterable[tuple[str, float]]) -> None:
        """Print a number and a bar for each label; the longest bar is the largest number."""
        if self.as_json:
            return
        content = list(rows)
        labels = max((len(label) for label, _ in content), default=0)
        numbers = max((len(shown(number)) for _, number in content), default=0)
        largest = max((number for _, number in content), default=0)
        for label, number in content:
            self.line(
                f"{label.ljust(labels)}  {shown(number).rjust(numbers)}  {bar(number, largest)}"
            )

    def data(self, value: Any) -> None:
        """Print the whole answer as one JSON document (on `--json` only)."""
        if self.as_json:
            document = msgspec.json.encode(value, order="deterministic")
            self._write(msgspec.json.format(document, indent=2).decode() + "\n")

    def _rich_table(
        self, columns: Sequence[str], texts: Iterable[Sequence[str]], right: Sequence[bool]
    ) -> None:
        table = Table(box=None, header_style="dim", pad_edge=False)
        for column, to_right in zip(columns, right, strict=True):
            table.add_column(escape(column), justify="right" if to_right else "left")
        for row in texts:
            table.add_row(*map(escape, row))
        self._console.print(table)

    def _write(self, text: str) -> None:
        self._stream.write(text)


def printer_for(options: argparse.Namespace) -> Printer:
    """The printer that the command line asks for (`json_argument`)."""
    return Printer(as_json=options.json)


def shown(value: object) -> str:
    """A cell as people read it: `1,234`, `0.50`, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def bar(number: float, largest: float, width: int = BAR_WIDTH) -> str:
    """A bar of blocks, `width` long where `number` is `largest`."""
    if largest <= 0 or number <= 0:
        return ""
    eighths = max(1, round(8 * width * number / largest))
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).strip()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _of(columns: Sequence[str]) -> range:
    return range(len(columns))
