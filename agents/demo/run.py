"""The demo, run: the log is made and fed while the live path works it off; then all is compared,
reconciled and reported.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from agents.demo.chance import sample
from agents.demo.live import Live
from agents.demo.log import SINCE, UNTIL, UNTIL_QUICK
from agents.demo.making import STORE, Digests, Made, make, store_settings
from agents.demo.place import demo_settings
from agents.demo.shop import read_invoices, reconcile, to_event
from agents.demo.stories import Story, tell
from agents.reports.attribution import AttributionRow, attribution
from agents.reports.funnels import FunnelRow, funnels
from agents.reports.recognised import Recognised, recognised
from agents.reports.totals import Totals, totals
from agents.sender.letters import Letters
from agents.sender.reference import Figures, ReferenceSender
from agents.sender.smtp import Catcher, SmtpDelivery
from agents.settings import Settings
from schemas.topics import TOPICS
from schemas.values import Instant, Money, SendId
from streams.attribution.rules import rules_of
from streams.instants import DAY

HANDED_OVER = 1_000
"""How many sends are really delivered by SMTP, to a catcher on this machine."""

TEMPLATES = Path(__file__).parents[2] / "deploy" / "demo" / "templates"

Progress = Callable[[str, Instant, Instant], None]
"""Told (what is being done, log made up to, live path done up to)."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of the shop, as the events add up and as the timeline has it."""

    metric: str
    events: int
    shop: Money
    timeline: Money


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a demo came to. All but `seconds` and the rates is the same in every run."""

    events: int
    topics: dict[str, int]
    same_as_made: bool
    is_reconciled: bool
    differs: list[str]
    reconciled: list[Checked]
    totals: Totals
    recognised: Recognised
    funnels: list[FunnelRow]
    attribution: list[AttributionRow]
    sender: Figures
    smtp_accepted: int
    stories: list[Story]
    seconds: dict[str, float]
    events_per_second: float


async def run(settings: Settings, *, quick: bool, progress: Progress) -> Outcome:
    """Run the demo from nothing to its report; nothing is left running."""
    until = UNTIL_QUICK if quick else UNTIL
    place = demo_settings(settings)
    seconds: dict[str, float] = {}
    began = time.monotonic()
    async with Live(place) as live:
        seconds["start"] = time.monotonic() - began
        fed = time.monotonic()
        assert place.secret is not None
        made = make(until, partitions=place.partitions, secret=place.secret.encode())
        events, sends = await _through(live, made, progress)
        await live.sunk()
        seconds["live"] = time.monotonic() - fed
        progress("delivering", until, until)
        figures, accepted = await _deliver(live, sends)
        written = await live.digests()
        seconds["deliver"] = time.monotonic() - fed - seconds["live"]
        outcome = _report(live, made, written, until)
    seconds["all"] = time.monotonic() - began
    return msgspec.structs.replace(
        outcome,
        events=events,
        sender=figures,
        smtp_accepted=accepted,
        seconds={what: round(took, 1) for what, took in seconds.items()},
        events_per_second=round(events / seconds["live"]),
    )


async def _through(live: Live, made: Made, progress: Progress) -> tuple[int, list[SendId]]:
    """Feed the log while it is made; wait until the live path has come to its end.

    Returns: how many events there were, and the ids of the sends.
    """
    clocks: dict[int, Instant] = dict.fromkeys(range(live.settings.partitions), SINCE)
    sends: list[SendId] = []
    events, end = 0, SINCE

    async def follow() -> None:
        while min(clocks.values()) < end - 1 or not complete.is_set():
            sends.extend(await live.follow(clocks))
            progress("running", end, min(clocks.values()))

    complete = asyncio.Event()
    following = asyncio.create_task(follow())
    try:
        for piece in made.rounds:
            for partition, records in enumerate(piece.partitions):
                await live.feeder.feed(partition, records)
                events += sum(not record.headers for record in records)
            end = piece.end
            await asyncio.sleep(0)
            if following.done():
                break
        complete.set()
        await following
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
    return events, sends


async def _deliver(live: Live, sends: list[SendId]) -> tuple[Figures, int]:
    """Let the reference sender deliver: a sample by SMTP, the rest into its ledger only."""
    chosen = sample(sends, HANDED_OVER, "handed over")
    letters = Letters(TEMPLATES, unsubscribe_url="https://shop.example/u/{token}")
    async with Catcher() as catcher:
        email = SmtpDelivery("127.0.0.1", catcher.port, sender="shop@shop.example", letters=letters)
        sender = ReferenceSender(
            live.settings,
            live.folder / "sends.sqlite",
            {"email": email},
            simulated=True,
            handed_over=chosen.__contains__,
        )
        delivering = asyncio.create_task(sender.run())
        ends = await live.command_ends()
        done, _ = await asyncio.wait(
            {delivering, asyncio.create_task(sender.drained(ends))},
            return_when=asyncio.FIRST_COMPLETED,
        )
        for task in done:
            task.result()
        figures = sender.figures()
        sender.stop()
        await delivering
        return figures, catcher.accepted


def _report(live: Live, made: Made, written: Digests, until: Instant) -> Outcome:
    """Compare, reconcile and ask the database."""
    rules = rules_of(store_settings())
    since, end = SINCE - DAY, until + DAY
    found = totals(live.client)
    checked = reconciled(found, until)
    differing = differences(made.digests, written)
    counts = written.records()
    return Outcome(
        events=0,
        topics={one.name: counts[one.name] for one in TOPICS if one.name in counts},
        same_as_made=not differing,
        differs=differing,
        is_reconciled=all(Decimal(row.shop) == Decimal(row.timeline) for row in checked),
        reconciled=checked,
        totals=found,
        recognised=recognised(live.client, STORE),
        funnels=funnels(live.client, STORE, since, end),
        attribution=attribution(live.client, since, end, "last", rules),
        sender=Figures(
            delivered={}, expired=0, suppressed=0, failed=0, in_doubt=0, repeats=0, read=0
        ),
        smtp_accepted=0,
        stories=tell(live.client, STORE),
        seconds={},
        events_per_second=0,
    )


def differences(made: Digests, written: Digests) -> list[str]:
    """Where the live path said something else than the core in memory: byte by byte."""
    one, other = made.seen(), written.seen()
    return [
        f"{topic}/{partition}: made {one.get((topic, partition))}, "
        f"live {other.get((topic, partition))}"
        for topic, partition in sorted(one.keys() | other.keys())
        if one.get((topic, partition)) != other.get((topic, partition))
    ]


def reconciled(totals: Totals, until: Instant) -> list[Checked]:
    """The shop's own sums, from its lines, beside those of the timeline."""
    in_timeline: Mapping[str, Mapping[str, Money]] = {
        row.metric: row.revenue for row in totals.metrics if row.store == STORE
    }
    shop = reconcile(map(to_event, read_invoices(until=until)))
    return [
        Checked(
            metric=metric,
            events=sums.events,
            shop=f"{sums.total:f}",
            timeline=in_timeline.get(metric, {}).get("GBP", "0"),
        )
        for metric, sums in shop.items()
    ]
