"""How a person came to be one, as an SVG picture: identifiers at the left, each with lines to the
profiles it ever pointed to; profiles to the right of those that became part of them.

Lengths are in pixels. The same person gives the same bytes.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from html import escape
from typing import NamedTuple

from agents.reports.joins import IdentifierTold, JoinTold, PersonTold
from schemas.values import Identifier, ProfileId

POINTS = ("first-seen", "link-taken", "answered", "handed-over", "split")
"""Rules by which an identifier points to a profile from then on."""

VALUE_MAX, ID_SHOWN = 30, 8
WIDTH, HEIGHT, ROW, LANE, MARGIN, TOP = 270.0, 38.0, 52.0, 210.0, 20.0, 64.0
INK, QUIET, POINTER, MERGE, REFUSAL = "#2b2f36", "#6b7280", "#9aa1ab", "#2e7d46", "#b3473d"
NAMED, NAMELESS, OTHER, PLAIN = "#e3f3e6", "#f0f1f3", "#fff3d6", "#ffffff"


class Box(NamedTuple):
    """x, y: its upper left corner. level: the column."""

    x: float
    y: float
    level: int

    @property
    def left(self) -> tuple[float, float]:
        return self.x, self.y + HEIGHT / 2

    @property
    def right(self) -> tuple[float, float]:
        return self.x + WIDTH, self.y + HEIGHT / 2


def picture(person: PersonTold) -> str:
    """The picture as text."""
    identifiers = _column(person.identifiers)
    profiles = _profiles(person, identifiers)
    boxes = [*identifiers.values(), *profiles.values()]
    width = max((box.x for box in boxes), default=MARGIN) + WIDTH + MARGIN
    height = max((box.y for box in boxes), default=TOP) + HEIGHT + MARGIN
    title = f"How profile {person.profile_id} came to be one person"
    theirs = {person.profile_id, *person.merged}
    lines = [_line(one, identifiers, profiles, theirs) for one in person.joins]
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
                f'viewBox="0 0 {width:g} {height:g}" role="img" '
                'font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif" font-size="12">'
            ),
            f"<title>{escape(title)}</title>",
            f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#ffffff"/>',
            _text(MARGIN, 26, title, size=15),
            *dict.fromkeys(line for line in lines if line),
            *(_identifier(one, identifiers[one.kind, one.value]) for one in person.identifiers),
            *(_profile(one, box, person) for one, box in profiles.items()),
            "</svg>\n",
        ]
    )


# --- where things are ----------------------------------------------------------------------------


def _column(identifiers: Iterable[IdentifierTold]) -> dict[Identifier, Box]:
    return {
        (one.kind, one.value): Box(MARGIN, TOP + ROW * row, 0)
        for row, one in enumerate(identifiers)
    }


def _profiles(person: PersonTold, identifiers: Mapping[Identifier, Box]) -> dict[ProfileId, Box]:
    """Each profile to the right of what became part of it, about as high as what leads to it."""
    losers: dict[ProfileId, list[ProfileId]] = {}
    sources: dict[ProfileId, list[Identifier]] = {}
    shown: dict[ProfileId, None] = {}
    for one in person.joins:
        if one.rule in ("merged", "refused", *POINTS):
            shown |= dict.fromkeys(one.profiles)
        if one.rule == "merged":
            losers.setdefault(one.profiles[0], []).append(one.profiles[1])
        if one.rule in POINTS and one.identifier is not None:
            sources.setdefault(one.profiles[0], []).append(one.identifier)
    levels: dict[ProfileId, int] = {}

    def level(profile_id: ProfileId) -> int:
        if profile_id not in levels:
            below = [level(loser) for loser in losers.get(profile_id, ())]
            levels[profile_id] = 1 + max(below, default=0)
        return levels[profile_id]

    placed: dict[ProfileId, Box] = {}
    lowest: dict[int, float] = {}
    for one_id in sorted(shown, key=lambda one: (level(one), *_first(sources, identifiers, one))):
        column = level(one_id)
        heights = [identifiers[one].y for one in sources.get(one_id, ()) if one in identifiers]
        heights += [placed[loser].y for loser in losers.get(one_id, ())]
        wanted = sum(heights) / len(heights) if heights else TOP
        y = max(wanted, lowest.get(column, TOP))
        lowest[column] = y + ROW
        placed[one_id] = Box(MARGIN + column * (WIDTH + LANE), y, column)
    return placed


def _first(
    sources: Mapping[ProfileId, Sequence[Identifier]],
    identifiers: Mapping[Identifier, Box],
    profile_id: ProfileId,
) -> tuple[float, ProfileId]:
    known = (one for one in sources.get(profile_id, ()) if one in identifiers)
    return min((identifiers[one].y for one in known), default=TOP), profile_id


# --- what is drawn -------------------------------------------------------------------------------


def _line(
    one: JoinTold,
    identifiers: Mapping[Identifier, Box],
    profiles: Mapping[ProfileId, Box],
    theirs: Set[ProfileId],
) -> str:
    """A line for what points, merges or is refused; nothing for the rest.

    theirs: the ids of the person; a refusal begins at somebody else's.
    """
    if one.rule in POINTS and one.identifier is not None and one.identifier in identifiers:
        return _curve(identifiers[one.identifier].right, profiles[one.profiles[0]].left, POINTER)
    if one.rule in ("merged", "refused"):
        winner, loser = one.profiles[:2]
        refused = one.rule == "refused"
        if refused and loser in theirs:
            winner, loser = loser, winner
        start, end = profiles[loser], profiles[winner]
        why = " ".join(one.identifier)[:VALUE_MAX] if one.identifier else ""
        colour = REFUSAL if refused else MERGE
        x, y = start.right
        to = end.left if end.level > start.level else end.right
        return (
            _curve(start.right, to, colour, dashed=refused)
            + _text(x + 8, y - 6, f"{one.rule} {one.at[:10]}", colour=colour)
            + _text(x + 8, y + 16, why, colour=QUIET)
        )
    return ""


def _curve(
    start: tuple[float, float], end: tuple[float, float], colour: str, *, dashed: bool = False
) -> str:
    """From a right side to a left side; between two right sides it goes around."""
    (x, y), (to_x, to_y) = start, end
    reach = LANE / 2
    bend = to_x - reach if to_x > x else to_x + reach
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<path d="M{x:g} {y:g} C{x + reach:g} {y:g} {bend:g} {to_y:g} {to_x:g} {to_y:g}" '
        f'fill="none" stroke="{colour}" stroke-width="1.5"{dashes}/>'
        f'<circle cx="{to_x:g}" cy="{to_y:g}" r="3" fill="{colour}"/>'
    )


def _identifier(one: IdentifierTold, box: Box) -> str:
    line = REFUSAL if one.shared else POINTER
    note = "shared by too many" if one.shared else f"since {one.since[:10]}"
    return _box(box, PLAIN, line, one.value, f"{one.kind}, {note}")


def _profile(profile_id: ProfileId, box: Box, person: PersonTold) -> str:
    if profile_id == person.profile_id:
        return _box(box, NAMED, MERGE, profile_id[:ID_SHOWN], "the person")
    if profile_id not in person.merged:
        return _box(box, OTHER, "#c58a00", profile_id[:ID_SHOWN], "somebody else")
    named = "named" if profile_id.startswith("i") else "nameless"
    return _box(box, NAMELESS, POINTER, profile_id[:ID_SHOWN], f"{named}, now the person's")


def _box(box: Box, fill: str, line: str, headline: str, below: str) -> str:
    shown = headline if len(headline) <= VALUE_MAX else headline[: VALUE_MAX - 1] + "…"
    return (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{WIDTH:g}" height="{HEIGHT:g}" rx="5" '
        f'fill="{fill}" stroke="{line}" stroke-width="1.2"/>'
        + _text(box.x + 10, box.y + 16, shown, bold=True)
        + _text(box.x + 10, box.y + 31, below, colour=QUIET)
    )


def _text(
    x: float, y: float, text: str, *, size: int = 12, colour: str = INK, bold: bool = False
) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}"{weight}>'
        f"{escape(text)}</text>"
    )
