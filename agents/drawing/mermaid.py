"""A flow as a Mermaid flowchart, for pages that draw it themselves."""

from collections.abc import Sequence

from agents.drawing.blocks import Block

SHAPES = {
    "trigger": ('(["', '"])'),
    "split": ('{{"', '"}}'),
    "split-trigger": ('{{"', '"}}'),
    "split-random": ('{{"', '"}}'),
    "wait-for": ('{{"', '"}}'),
    "exit": ('(["', '"])'),
}
"""Kind of block -> what stands around its text; else a plain box."""

Loose = tuple[str, str]
"""A line that leads to whatever comes next: (where from, its label)."""


def mermaid(blocks: Sequence[Block]) -> str:
    """The source of a flowchart from top to bottom."""
    chart = _Chart()
    loose = chart.draw(blocks, [])
    if loose:
        chart.box('(["end"])', loose)
    return "\n".join(["flowchart TD", *(f"  {line}" for line in chart.lines)]) + "\n"


class _Chart:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self._boxes = 0

    def draw(self, blocks: Sequence[Block], loose: list[Loose]) -> list[Loose]:
        """Draw blocks below what is loose. Returns: what is loose after them."""
        for block in blocks:
            before, after = SHAPES.get(block.kind, ('["', '"]'))
            text = "<br>".join(map(escaped, block.lines))
            name = self.box(f"{before}{text}{after}", loose)
            if block.branches:
                loose = [
                    end
                    for when, branch in block.branches
                    for end in self.draw(branch, [(name, escaped(when))])
                ]
            else:
                loose = [] if block.ends else [(name, "")]
        return loose

    def box(self, shape: str, loose: list[Loose]) -> str:
        name = f"b{self._boxes}"
        self._boxes += 1
        self.lines.append(f"{name}{shape}")
        for source, label in loose:
            arrow = f'-->|"{label}"|' if label else "-->"
            self.lines.append(f"{source} {arrow} {name}")
        return name


def escaped(text: str) -> str:
    """Text that Mermaid takes as text."""
    named = {"&": "#amp;", "#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;"}
    return "".join(named.get(character, character) for character in text)
