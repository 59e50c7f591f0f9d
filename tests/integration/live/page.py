"""The commands of a page and what it says that they print."""

import re
from pathlib import Path
from typing import NamedTuple

ANYTHING = "…"

_BLOCK = re.compile(r"^```sh\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)


class Shown(NamedTuple):
    """A command, and the lines that it prints among others, in this order."""

    command: str
    lines: tuple[str, ...]

    def missing(self, output: str) -> str | None:
        """The first line of the page that `output` does not have where it should; None: all."""
        printed = iter(output.splitlines())
        for line in self.lines:
            expected = re.compile(".*".join(map(re.escape, line.split(ANYTHING))))
            if not any(expected.fullmatch(found.strip()) for found in printed):
                return line
        return None


def commands_of(page: Path) -> list[Shown]:
    """Every block of commands, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Shown(command, tuple(line.strip() for line in (printed or "").splitlines() if line))
        for command, printed in _BLOCK.findall(text)
    ]
