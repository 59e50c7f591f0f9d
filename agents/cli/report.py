"""`tillstream report attribution|funnels|totals|recognised`: what the sends did; who was known."""

import argparse
from datetime import date
from pathlib import Path

from clickhouse_connect.driver.client import Client

from agents.cli.failures import CommandFailed
from agents.cli.looking import database, looked_at, looking_arguments
from agents.cli.printing import Printer, json_argument
from agents.cli.telling_recognised import show_recognised
from agents.definitions import load
from agents.demo.making import DEFINITIONS
from agents.demo.place import NAMESPACE
from agents.reports.attribution import attribution
from agents.reports.funnels import funnels
from agents.reports.recognised import recognised
from agents.reports.totals import totals
from agents.settings import Settings
from schemas.definitions import StoreSettings
from schemas.values import Instant, StoreId
from streams.attribution.rules import MODELS, CreditRules, rules_of
from streams.definitions.program import compile_program
from streams.instants import DAY, to_instant, to_timestamp


def arguments(parser: argparse.ArgumentParser) -> None:
    reports = parser.add_subparsers(dest="report", metavar="REPORT", required=True)
    told = {
        "attribution": "revenue by flow, message and channel, with the windows as they are set",
        "funnels": "by flow: triggered, sent, held, dropped, skipped, refused, and why",
        "totals": "events by metric, sums of value, people in segments",
        "recognised": "how many events found their person, and when",
    }
    for name, meaning in told.items():
        report = reports.add_parser(name, help=meaning, description=meaning)
        if name in ("attribution", "funnels"):
            report.add_argument("--from", dest="since", type=_day, metavar="DAY", default=0)
            report.add_argument(
                "--to", dest="until", type=_day, metavar="DAY", help="this day included"
            )
        if name == "attribution":
            report.add_argument("--model", choices=MODELS, default="last")
            report.add_argument(
                "--definitions",
                type=Path,
                metavar="DIR",
                help="whose windows count (default: the demo's for the demo, else the defaults)",
            )
        looking_arguments(report)
        json_argument(report)


def _day(text: str) -> Instant:
    """Midnight UTC of `2011-03-01`, or an instant with its zone."""
    try:
        return to_instant(f"{date.fromisoformat(text)}T00:00:00Z")
    except ValueError:
        return to_instant(text)


def run(options: argparse.Namespace, settings: Settings) -> int:
    printer = Printer(as_json=options.json)
    looked = looked_at(options, settings)
    with database(looked) as client:
        match options.report:
            case "attribution":
                folder = options.definitions
                if folder is None and looked.namespace == NAMESPACE:
                    folder = DEFINITIONS
                _attribution(printer, client, options, rules_in(folder, options.store))
            case "funnels":
                _funnels(printer, client, options)
            case "recognised":
                found = recognised(client, options.store)
                printer.data(found)
                printer.heading(f"Events of {options.store} that found their person")
                show_recognised(printer, found)
            case _:
                _totals(printer, client, options)
    return 0


def rules_in(folder: Path | None, store: StoreId) -> CreditRules:
    """What a store has written down about attribution; the defaults where there is no folder.

    Raises: CommandFailed.
    """
    if folder is None:
        return rules_of(StoreSettings(store=store))
    loaded = load(folder)
    if loaded.errors:
        raise CommandFailed("\n".join(map(str, loaded.errors)))
    return rules_of(compile_program(loaded.documents, version="report").settings)


def _period(options: argparse.Namespace) -> tuple[Instant, Instant]:
    """[from, to): the last day is included."""
    until = FAR if options.until is None else options.until + DAY
    return options.since, until


ATTRIBUTED = (
    "flow", "message", "channel", "sends", "delivered", "opened", "clicked", "orders", "revenue",
)  # fmt: skip
FAR: Instant = to_instant("2200-01-01T00:00:00Z")


def _attribution(
    printer: Printer, client: Client, options: argparse.Namespace, rules: CreditRules
) -> None:
    since, until = _period(options)
    rows = attribution(client, since, until, options.model, rules)
    printer.data(rows)
    end = "now" if until == FAR else to_timestamp(until - DAY)[:10]
    printer.heading(
        f"Attributed revenue of {options.store}, {options.model} touch, "
        f"{to_timestamp(since)[:10]} to {end}"
    )
    if not rows:
        printer.line("Nothing was sent in this time, and no order is credited to a send.")
        return
    printer.table(
        ATTRIBUTED,
        [
            (
                row.flow or row.campaign or "",
                row.message,
                row.channel,
                row.sends,
                row.delivered,
                row.opened,
                row.clicked,
                row.conversions,
                ", ".join(f"{money} {currency}" for currency, money in row.revenue.items()),
            )
            for row in rows
        ],
    )


def _funnels(printer: Printer, client: Client, options: argparse.Namespace) -> None:
    rows = funnels(client, options.store, *_period(options))
    printer.data(rows)
    if not rows:
        printer.line(f"No flow of {options.store} decided anything in this time.")
    for row in rows:
        printer.heading(f"{row.flow}: triggered {row.triggered:,}, sent {row.sent:,}")
        printer.table(
            ("outcome", "reason", "how often"),
            [
                (outcome, reason, count)
                for outcome, reasons in row.reasons.items()
                for reason, count in reasons.items()
            ],
        )


def _totals(printer: Printer, client: Client, options: argparse.Namespace) -> None:
    found = totals(client)
    printer.data(found)
    printer.heading(f"Events of {options.store}")
    printer.table(
        ("metric", "events", "value"),
        [
            (row.metric, row.events, ", ".join(f"{m} {c}" for c, m in row.revenue.items()))
            for row in found.metrics
            if row.store == options.store
        ],
    )
    printer.heading("People in segments")
    segments = [row for row in found.segments if row.store == options.store]
    printer.bars([(row.segment, row.profiles) for row in segments])
