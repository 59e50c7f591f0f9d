"""How the explanation of a membership reads."""

from clickhouse_connect.driver.client import Client

from agents.cli.failures import CommandFailed
from agents.cli.printing import Printer
from agents.cli.telling import leaf_of
from agents.reports.membership import Explained, Part, explain_segment
from schemas.records import DefinitionsPublished
from schemas.values import Instant, ProfileId, SegmentId
from streams.ids import Ids


def explained(
    client: Client,
    published: DefinitionsPublished,
    segment: SegmentId,
    profile_id: ProfileId,
    at: Instant,
    ids: Ids,
) -> Explained | None:
    """Explain it; None: the person was not there yet.

    Raises: CommandFailed.
    """
    documents = published.documents
    try:
        return explain_segment(client, published.store, documents, segment, profile_id, at, ids)
    except KeyError as error:
        there = sorted(str(one["segment"]) for one in documents if "segment" in one)
        raise CommandFailed(
            f"there is no segment '{segment}' in these definitions; there are: "
            f"{', '.join(there) or 'none'}"
        ) from error


def show(printer: Printer, found: Explained) -> None:
    """Print it."""
    inside = f"in it since {found.since}" if found.inside else "not in it"
    printer.heading(f"Segment {found.segment}, profile {found.profile_id}, at {found.at}: {inside}")
    for line in _lines(found.condition, 0):
        printer.line(line)
    flip = found.next_flip
    printer.line(
        f"Time alone may change that at {flip}." if flip else "Time alone will not change that."
    )
    merged = f" of {len(found.profiles)} profiles that are one" if len(found.profiles) > 1 else ""
    printer.line(
        f"Told from {found.events:,} events{merged}, as these definitions would have it had they "
        "been there from the start."
    )


def _lines(part: Part, depth: int) -> list[str]:
    indent = "  " * depth
    if part.leaf is None:
        answer = "yes" if part.holds else "no"
        below = [line for one in part.parts for line in _lines(one, depth + 1)]
        of = " of" if part.word in ("all", "any", "none") else ""
        return [f"{indent}{answer}: {part.word}{of}", *below]
    leaf = part.leaf
    told = {
        "leaf": leaf.leaf,
        "holds": leaf.holds,
        "value": leaf.value,
        "next_flip": leaf.next_flip,
    }
    lines = [f"{indent}{leaf_of(told)}"]
    if leaf.events:
        lines.append(f"{indent}     by {', '.join(leaf.events)}")
    if leaf.note:
        lines.append(f"{indent}     {leaf.note}")
    return lines
