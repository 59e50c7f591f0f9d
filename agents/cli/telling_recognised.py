"""How the report on recognised events reads: in `report recognised`, and at the end of the demo."""

from agents.cli.printing import Printer
from agents.reports.recognised import Recognised

COLUMNS = (
    "comes with", "events", "at once", "in a day", "in 7 days", "in 30 days", "later", "never",
)  # fmt: skip


def show_recognised(printer: Printer, found: Recognised) -> None:
    """Print it."""
    printer.table(
        COLUMNS,
        [
            (
                row.kind,
                row.events,
                row.at_once,
                row.within_day,
                row.within_7_days,
                row.within_30_days,
                row.later,
                row.never,
            )
            for row in found.kinds
        ],
    )
    printer.line()
    printer.line(
        f"{found.merges:,} profiles became part of another; {found.refused:,} pairs were connected "
        f"and stay apart; {found.shared:,} devices or addresses are used by so many people that "
        "they link nobody any more."
    )
