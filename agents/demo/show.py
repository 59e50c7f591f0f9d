"""What a person sees at the end of the demo."""

import os
import shutil
import sys
from collections.abc import Iterable

from agents.cli.printing import Printer
from agents.cli.telling import leaf_of, line_of
from agents.cli.telling_recognised import show_recognised
from agents.demo.run import Outcome
from agents.demo.stories import Story
from agents.reports.stories import StoryRow

SEGMENTS_MAX = 10
STORY_ROWS_MAX = 14


def show(outcome: Outcome, printer: Printer) -> None:
    """Print the whole outcome."""
    printer.data(outcome)
    _path(printer, outcome)
    _reconciled(printer, outcome)
    _recognised(printer, outcome)
    _segments(printer, outcome)
    _funnels(printer, outcome)
    _attribution(printer, outcome)
    for story in outcome.stories:
        _story(printer, story)
    _further(printer, outcome)


def _path(printer: Printer, outcome: Outcome) -> None:
    printer.heading("The path")
    topics = [("store-events (in)", outcome.events), *outcome.topics.items()]
    printer.table(("topic", "records"), topics)
    profiles = sum(outcome.totals.profiles.values())
    printer.line()
    printer.line(
        f"{outcome.events:,} events and {profiles:,} profiles in {outcome.seconds['live']} s "
        f"through a real Kafka ({outcome.events_per_second:,.0f} events/s, the log being made at "
        f"the same time); {outcome.seconds['all']} s in all."
    )
    if outcome.same_as_made:
        printer.line("The live path said what the core in memory said: no byte differs.")
    for line in outcome.differs:
        printer.line(f"DIFFERENT: {line}")
    sender = outcome.sender
    printer.line(
        f"The sender delivered {sum(sender.delivered.values()):,} messages, each once "
        f"({outcome.smtp_accepted:,} by SMTP, the others into its ledger only); "
        f"{sender.expired} expired, {sender.suppressed} stopped by its last look at consent, "
        f"{sender.failed} failed."
    )


def _reconciled(printer: Printer, outcome: Outcome) -> None:
    same = "equal" if outcome.is_reconciled else "DIFFERENT"
    printer.heading(f"The shop's own sums and those of the timeline, GBP: {same}")
    rows = [(row.metric, row.events, row.shop, row.timeline) for row in outcome.reconciled]
    printer.table(("metric", "events", "shop's lines", "timeline"), rows)


def _recognised(printer: Printer, outcome: Outcome) -> None:
    printer.heading("Events that found their person, and how long it took (synthetic browsers)")
    show_recognised(printer, outcome.recognised)


def _segments(printer: Printer, outcome: Outcome) -> None:
    printer.heading("The largest segments")
    segments = sorted(outcome.totals.segments, key=lambda row: (-row.profiles, row.segment))
    printer.bars([(row.segment, row.profiles) for row in segments[:SEGMENTS_MAX]])


def _funnels(printer: Printer, outcome: Outcome) -> None:
    printer.heading("Flows")
    printer.table(
        ("flow", "triggered", "sent", "held", "dropped", "skipped", "refused"),
        [
            (row.flow, row.triggered, row.sent, row.held, row.dropped, row.skipped, row.refused)
            for row in outcome.funnels
        ],
    )
    printer.line()
    for row in outcome.funnels:
        reasons = row.reasons.get("dropped", {}) | row.reasons.get("skipped", {})
        told = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
        printer.line(f"{row.flow}, not sent: {told or 'none'}")


def _attribution(printer: Printer, outcome: Outcome) -> None:
    printer.heading("Attributed revenue, last touch (real orders, synthetic reactions)")
    printer.table(
        ("flow", "message", "channel", "sends", "opened", "clicked", "orders", "revenue"),
        [
            (
                row.flow,
                row.message,
                row.channel,
                row.sends,
                row.opened,
                row.clicked,
                row.conversions,
                ", ".join(f"{money} {currency}" for currency, money in row.revenue.items()),
            )
            for row in outcome.attribution
        ],
    )


def _story(printer: Printer, story: Story) -> None:
    printer.heading(f"Somebody {story.who}: {story.profile_id}")
    for member in story.segments:
        printer.line(f"in {member.segment} since {member.since[:16]}")
        for leaf in member.why:
            printer.line(f"    {leaf_of(leaf)}")
    for row in _ends_of([row for row in story.rows if row.kind not in ("entered", "exited")]):
        printer.line("..." if row is None else line_of(row))


def _ends_of(rows: list[StoryRow]) -> Iterable[StoryRow | None]:
    """The first and the last rows of a long story, a gap (None) between."""
    if len(rows) <= STORY_ROWS_MAX:
        return rows
    half = STORY_ROWS_MAX // 2
    return [*rows[:half], None, *rows[-half:]]


def _further(printer: Printer, outcome: Outcome) -> None:
    tillstream = command_name()
    printer.heading("Look further")
    if outcome.stories:
        printer.line(f"{tillstream} profile show {outcome.stories[0].profile_id}")
        printer.line(f"{tillstream} identity explain {outcome.stories[0].profile_id}")
    commanded = (
        row.id for story in outcome.stories for row in story.rows if row.kind == "commanded"
    )
    for send_id in [*commanded][:1]:
        printer.line(f"{tillstream} explain {send_id}")
    printer.line(f"{tillstream} report attribution --from 2010-12-01 --to 2011-12-31")
    printer.line(f"{tillstream} replay --log demo")


def command_name() -> str:
    """How to call the command from here: by its name where that is found, else by its path."""
    if shutil.which("tillstream") is not None:
        return "tillstream"
    return os.path.relpath(sys.argv[0])
