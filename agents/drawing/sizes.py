"""A segment's size by day as an SVG picture: the size as a line, joined and left as bars below.

Lengths are in pixels. The same days give the same bytes.
"""

from collections.abc import Sequence
from html import escape

from agents.reports.sizes import DayOfSegment

WIDTH, HEIGHT, MOVES = 880.0, 220.0, 90.0
LEFT, RIGHT, TOP, GAP, BOTTOM = 70.0, 20.0, 44.0, 24.0, 30.0
INK, JOINED, GONE, LINE, GRID = "#2b2f36", "#2e7d46", "#b3473d", "#1f3a5f", "#e2e5ea"
DAYS_NAMED = 6


def picture(title: str, days: Sequence[DayOfSegment]) -> str:
    """The picture as text. days: at least one."""
    width, height = LEFT + WIDTH + RIGHT, TOP + HEIGHT + GAP + MOVES + BOTTOM
    largest = max(1, *(day.profiles for day in days))
    moved = max(1, *(max(day.joined, day.left) for day in days))
    step = WIDTH / len(days)
    middle = TOP + HEIGHT + GAP + MOVES / 2
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
            'font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif" font-size="12">'
        ),
        f"<title>{escape(title)}: profiles by day</title>",
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="#ffffff"/>',
        _text(LEFT, 26, title, size=15),
    ]
    for share in (0.0, 0.5, 1.0):
        y = TOP + HEIGHT * (1 - share)
        parts += [
            f'<path d="M{LEFT:.1f} {y:.1f}h{WIDTH:.1f}" stroke="{GRID}"/>',
            _text(LEFT - 8, y + 4, f"{round(largest * share):,}", anchor="end"),
        ]
    points = " ".join(
        f"{LEFT + step * (i + 0.5):.1f},{TOP + HEIGHT * (1 - day.profiles / largest):.1f}"
        for i, day in enumerate(days)
    )
    parts.append(f'<polyline points="{points}" fill="none" stroke="{LINE}" stroke-width="2"/>')
    parts.append(f'<path d="M{LEFT:.1f} {middle:.1f}h{WIDTH:.1f}" stroke="{GRID}"/>')
    for i, day in enumerate(days):
        x, room = LEFT + step * (i + 0.1), MOVES / 2 / moved
        up, down = day.joined * room, day.left * room
        parts += [
            (
                f'<rect x="{x:.1f}" y="{middle - up:.1f}" width="{step * 0.8:.1f}" '
                f'height="{up:.1f}" fill="{JOINED}"/>'
            ),
            (
                f'<rect x="{x:.1f}" y="{middle:.1f}" width="{step * 0.8:.1f}" '
                f'height="{down:.1f}" fill="{GONE}"/>'
            ),
        ]
    parts += [
        _text(LEFT - 8, middle - 8, f"+{moved:,}", anchor="end"),
        _text(LEFT - 8, middle + 16, f"-{moved:,}", anchor="end"),
    ]
    every = max(1, -(-len(days) // DAYS_NAMED))
    parts += [
        _text(LEFT + step * (i + 0.5), height - 10, day.day, anchor="middle")
        for i, day in enumerate(days)
        if i % every == 0
    ]
    return "\n".join([*parts, "</svg>\n"])


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="{INK}">{escape(text)}</text>'
    )
