"""A flow as an SVG picture: blocks from top to bottom, branches side by side.

Every block stands on an axis; the branches of a block stand below it, each on an axis of its own,
and what follows stands on the block's axis again, below the longest branch. Lengths are in pixels.
The same flow gives the same bytes.
"""

from collections.abc import Sequence
from html import escape
from textwrap import wrap
from typing import NamedTuple

from agents.drawing.blocks import Block

CHARACTERS_MAX = 38
CHARACTER, BOLD, LINE, PADDING = 7.2, 8.2, 17.0, 10.0
GAP, LANE, MARGIN = 34.0, 28.0, 20.0
BOX_MIN = 90.0
EMPTY_LANE = 110.0
"""The room of a branch without steps: its label."""

COLOURS = {
    "trigger": ("#1f3a5f", "#1f3a5f", "#ffffff"),
    "send": ("#e3f3e6", "#2e7d46", "#14361f"),
    "wait": ("#f0f1f3", "#9aa1ab", "#2b2f36"),
    "split": ("#fff3d6", "#c58a00", "#4a3400"),
    "act": ("#ece7f8", "#6b4fb3", "#2d1f57"),
    "exit": ("#fbe4e2", "#b3473d", "#541d17"),
    "end": ("#ffffff", "#6b7280", "#2b2f36"),
}
"""Family of blocks -> fill, line, text."""

FAMILIES = {
    "wait-until": "wait",
    "wait-for-date": "wait",
    "wait-for": "split",
    "split-trigger": "split",
    "split-random": "split",
}
"""Kind of block -> its family, where that is not its own name; all others act."""


class Point(NamedTuple):
    x: float
    y: float


class Loose(NamedTuple):
    """A line that leads to whatever comes next, as far as it is drawn."""

    points: tuple[Point, ...]


def svg(blocks: Sequence[Block], title: str) -> str:
    """The picture as text."""
    picture = _Picture()
    left, right = _reach(blocks)
    axis = MARGIN + left
    loose, bottom = picture.draw(blocks, axis, MARGIN, [])
    if loose:
        _, bottom = picture.draw([Block("end", ("end",))], axis, bottom, loose)
    width, height = round(axis + right + MARGIN), round(bottom - GAP + MARGIN)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" '
        'font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif" font-size="13">'
    )
    return "\n".join(
        [
            head,
            f"<title>{escape(title)}</title>",
            f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>',
            *picture.lines,
            *picture.boxes,
            "</svg>\n",
        ]
    )


def _wrapped(block: Block) -> list[tuple[str, bool]]:
    """The lines of a box, and whether they are of its headline."""
    return [
        (part, number == 0)
        for number, line in enumerate(block.lines)
        for part in wrap(line, CHARACTERS_MAX) or [""]
    ]


def _size(block: Block) -> tuple[float, float]:
    """Width and height of the box."""
    lines = _wrapped(block)
    width = max(len(line) * (BOLD if bold else CHARACTER) for line, bold in lines) + 2 * PADDING
    return max(BOX_MIN, width), len(lines) * LINE + PADDING


def _reach(blocks: Sequence[Block]) -> tuple[float, float]:
    """How far blocks reach to the left and to the right of their axis."""
    left = right = 0.0
    for block in blocks:
        half = _size(block)[0] / 2
        lanes = sum(_lane(branch) for _, branch in block.branches)
        lanes += LANE * max(0, len(block.branches) - 1)
        left, right = max(left, half, lanes / 2), max(right, half, lanes / 2)
    return left, right


def _lane(branch: Sequence[Block]) -> float:
    return max(EMPTY_LANE, 2 * max(_reach(branch)))


class _Picture:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.boxes: list[str] = []

    def draw(
        self, blocks: Sequence[Block], axis: float, top: float, loose: list[Loose]
    ) -> tuple[list[Loose], float]:
        """Draw blocks from `top` on. Returns: what is loose below, and where the next begin."""
        for block in blocks:
            width, height = _size(block)
            for one in loose:
                self._arrow(one, Point(axis, top))
            self._box(block, axis, top, width, height)
            bottom = top + height
            top = bottom + GAP
            if block.branches:
                loose, top = self._branches(block, axis, bottom)
            else:
                loose = [] if block.ends else [Loose((Point(axis, bottom),))]
        return loose, top

    def _branches(self, block: Block, axis: float, bottom: float) -> tuple[list[Loose], float]:
        lanes = [_lane(branch) for _, branch in block.branches]
        left = axis - (sum(lanes) + LANE * (len(lanes) - 1)) / 2
        split, top = bottom + GAP / 2, bottom + GAP / 2 + LINE + GAP
        loose: list[Loose] = []
        lowest = top
        for lane, (when, branch) in zip(lanes, block.branches, strict=True):
            middle = left + lane / 2
            left += lane + LANE
            start = Loose((Point(axis, bottom), Point(axis, split), Point(middle, split)))
            self._label(when, Point(middle + 6, split + LINE))
            ends, end = self.draw(branch, middle, top, [start])
            loose += ends if branch else [Loose((*start.points, Point(middle, top - GAP / 2)))]
            lowest = max(lowest, end)
        return loose, lowest

    def _arrow(self, loose: Loose, to: Point) -> None:
        """Down, across just above the box, and into it."""
        *_, last = loose.points
        across = to.y - GAP / 2
        points = [*loose.points, Point(last.x, across), Point(to.x, across)]
        if last.x == to.x:
            points = list(loose.points)
        route = " ".join(f"{'L' if i else 'M'}{p.x:g} {p.y:g}" for i, p in enumerate([*points, to]))
        self.lines.append(f'<path d="{route}" fill="none" stroke="#6b7280" stroke-width="1.4"/>')
        x, y = to
        self.lines.append(
            f'<path d="M{x - 4:g} {y - 7:g} L{x:g} {y:g} L{x + 4:g} {y - 7:g} Z" fill="#6b7280"/>'
        )

    def _box(self, block: Block, axis: float, top: float, width: float, height: float) -> None:
        family = FAMILIES.get(block.kind, block.kind)
        fill, line, text = COLOURS.get(family, COLOURS["act"])
        round_ends = 14 if family in ("trigger", "exit", "end") else 5
        self.boxes.append(
            f'<rect x="{axis - width / 2:g}" y="{top:g}" width="{width:g}" height="{height:g}" '
            f'rx="{round_ends}" fill="{fill}" stroke="{line}" stroke-width="1.2"/>'
        )
        for number, (words, is_headline) in enumerate(_wrapped(block)):
            bold = ' font-weight="600"' if is_headline else ""
            y = top + PADDING / 2 + LINE * (number + 0.75)
            self.boxes.append(
                f'<text x="{axis:g}" y="{y:g}" text-anchor="middle" fill="{text}"{bold}>'
                f"{escape(words)}</text>"
            )

    def _label(self, words: str, at: Point) -> None:
        self.boxes.append(
            f'<text x="{at.x:g}" y="{at.y:g}" fill="#4b5563" font-size="12">{escape(words)}</text>'
        )
