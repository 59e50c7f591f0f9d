"""Lines over time as an SVG: one panel a figure, one below the other."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, PANEL_HEIGHT, LEFT, TOP, GAP = 860, 130, 70, 46, 46
COLOURS = ("#1f6feb", "#d1570b", "#2da44e", "#8250df")

Lines = Mapping[str, Sequence[float]]


def svg(title: str, minutes: Sequence[float], panels: Mapping[str, Lines]) -> str:
    """panels: figure and unit -> line -> one value an instant of `minutes`."""
    height = TOP + len(panels) * (PANEL_HEIGHT + GAP)
    space = 'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg {space} viewBox="0 0 {WIDTH} {height}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="15">{escape(title)}</text>',
    ]
    for number, (name, lines) in enumerate(panels.items()):
        parts += _panel(name, minutes, lines, TOP + number * (PANEL_HEIGHT + GAP))
    return "\n".join([*parts, "</svg>", ""])


def _panel(name: str, minutes: Sequence[float], lines: Lines, top: float) -> list[str]:
    most = max((value for values in lines.values() for value in values), default=0) or 1
    wide = WIDTH - LEFT - 20
    bottom = top + PANEL_HEIGHT
    parts = [
        f'<text x="{LEFT}" y="{top - 6}" font-weight="bold">{escape(name)}</text>',
        f'<path d="M{LEFT} {top}V{bottom}H{WIDTH - 20}" fill="none" stroke="#888"/>',
        f'<text x="{LEFT - 6}" y="{top + 10}" text-anchor="end">{most:,.6g}</text>',
        f'<text x="{LEFT - 6}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{WIDTH - 20}" y="{bottom + 14}" text-anchor="end">{minutes[-1]:.0f} min</text>',
    ]
    for number, (line, values) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(
            f"{LEFT + wide * minute / minutes[-1]:.1f},{bottom - PANEL_HEIGHT * value / most:.1f}"
            for minute, value in zip(minutes, values, strict=True)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        parts.append(
            f'<text x="{LEFT + 220 + 150 * number}" y="{top - 6}" fill="{colour}">'
            f"{escape(line)}</text>"
        )
    return parts
