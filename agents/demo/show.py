"""What a person sees at the end of the demo: tables in a terminal, plain text elsewhere."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agents.demo.run import Outcome
from agents.demo.stories import Story
from agents.reports.stories import StoryRow

SEGMENTS_MAX = 10
ROWS_MAX = 14
BAR_WIDTH = 30
LINE_WIDTH = 110


def show(outcome: Outcome, console: Console | None = None) -> None:
    """Print the whole outcome."""
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=LINE_WIDTH)
    _flow_of_events(console, outcome)
    _reconciled(console, outcome)
    _segments(console, outcome)
    _funnels(console, outcome)
    _attribution(console, outcome)
    for story in outcome.stories:
        _story(console, story)
    _further(console, outcome)


def _table(title: str, *columns: str) -> Table:
    """Names to the left, numbers (a leading `#`) to the right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.lstrip("#"), justify="right" if column.startswith("#") else "left")
    return table


def _print(console: Console, table: Table) -> None:
    console.print()
    console.print(table)


def _flow_of_events(console: Console, outcome: Outcome) -> None:
    table = _table("The path", "topic", "#records")
    table.add_row("store-events (in)", f"{outcome.events:,}")
    for topic, records in outcome.topics.items():
        table.add_row(topic, f"{records:,}")
    _print(console, table)
    profiles = sum(outcome.totals.profiles.values())
    console.print(
        f"{outcome.events:,} events, {profiles:,} profiles, in {outcome.seconds['live']} s through "
        f"a real Kafka, log made on the way: {outcome.events_per_second:,.0f} events/s; "
        f"{outcome.seconds['all']} s in all"
    )
    if outcome.same_as_made:
        console.print("The live path said exactly what the core in memory said: no byte differs.")
    for line in outcome.differs:
        console.print(f"DIFFERS: {line}", style="red")
    sender = outcome.sender
    console.print(
        f"Sender: {sum(sender.delivered.values()):,} delivered, each once "
        f"({outcome.smtp_accepted:,} of them by SMTP, the rest into the ledger only), "
        f"{sender.expired} expired, {sender.suppressed} stopped by the last look, "
        f"{sender.failed} failed"
    )


def _reconciled(console: Console, outcome: Outcome) -> None:
    table = _table("The shop's own sums, GBP", "metric", "#events", "#shop's lines", "#timeline")
    for row in outcome.reconciled:
        table.add_row(row.metric, f"{row.events:,}", row.shop, row.timeline)
    _print(console, table)


def _segments(console: Console, outcome: Outcome) -> None:
    table = _table("The largest segments", "segment", "#profiles", "")
    segments = sorted(outcome.totals.segments, key=lambda row: (-row.profiles, row.segment))
    largest = max((row.profiles for row in segments), default=1) or 1
    for row in segments[:SEGMENTS_MAX]:
        bar = "█" * round(BAR_WIDTH * row.profiles / largest)
        table.add_row(row.segment, f"{row.profiles:,}", bar)
    _print(console, table)


def _funnels(console: Console, outcome: Outcome) -> None:
    table = _table("Flows", "flow", "#triggered", "#sent", "#held", "dropped or skipped, by reason")
    for row in outcome.funnels:
        reasons = [
            f"{reason} {count:,}"
            for kind in ("dropped", "skipped")
            for reason, count in row.reasons.get(kind, {}).items()
        ]
        table.add_row(
            row.flow, f"{row.triggered:,}", f"{row.sent:,}", f"{row.held:,}", ", ".join(reasons)
        )
    _print(console, table)


def _attribution(console: Console, outcome: Outcome) -> None:
    table = _table(
        "Attributed revenue, last touch, synthetic reactions to real orders",
        "flow",
        "message",
        "channel",
        "#sends",
        "#opened",
        "#clicked",
        "#orders",
        "#revenue",
    )
    for row in outcome.attribution:
        revenue = ", ".join(f"{money} {currency}" for currency, money in row.revenue.items())
        table.add_row(
            row.flow,
            row.message,
            row.channel,
            f"{row.sends:,}",
            f"{row.opened:,}",
            f"{row.clicked:,}",
            f"{row.conversions:,}",
            revenue,
        )
    _print(console, table)


def _story(console: Console, story: Story) -> None:
    console.print()
    console.print(f"Somebody {story.who}: {story.profile_id}", style="bold")
    for member in story.segments:
        why = "; ".join(_leaf(leaf) for leaf in member.why)
        console.print(f"  in {member.segment} since {member.since[:16]}: {escape(why)}")
    shown = [row for row in story.rows if row.kind not in ("entered", "exited")]
    for row in _ends_of(shown):
        console.print(f"  {_line(row)}" if row is not None else "  ...", overflow="ellipsis")


def _ends_of(rows: list[StoryRow]) -> Iterable[StoryRow | None]:
    """The first and last rows of a long story, a gap between."""
    if len(rows) <= ROWS_MAX:
        return rows
    return [*rows[: ROWS_MAX // 2], None, *rows[-ROWS_MAX // 2 :]]


def _line(row: StoryRow) -> str:
    why = f" ({row.reason})" if row.reason else ""
    return escape(f"{row.at[:16].replace('T', ' ')}  {row.kind:<9} {row.name}{why}")


def _leaf(leaf: dict[str, object]) -> str:
    value = f" ({leaf['value']})" if leaf.get("value") is not None else ""
    return f"{leaf['leaf']}{value}" if leaf["holds"] else f"not: {leaf['leaf']}{value}"


def _further(console: Console, outcome: Outcome) -> None:
    console.print()
    console.print("Look further:", style="bold")
    if outcome.stories:
        console.print(f"  tillstream profile show {outcome.stories[0].profile_id}")
    sends = [row.id for story in outcome.stories for row in story.rows if row.kind == "commanded"]
    if sends:
        console.print(f"  tillstream explain {sends[0]}")
    console.print("  tillstream report attribution --from 2011-01-01 --to 2011-12-31")
    console.print("  tillstream replay --log demo")
