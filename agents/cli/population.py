"""`tillstream population compute`: rank the profiles for `top` and `bottom`, now."""

import argparse
import asyncio
import time

import msgspec

from agents.cli.failures import CommandFailed
from agents.cli.looking import database
from agents.cli.printing import Printer, json_argument, printer_for
from agents.live.asking import NotReached, reached
from agents.population import measured, publish_cuts, ranking_stores
from agents.settings import Settings
from agents.switches import AnotherPublishes
from schemas.records import Cut
from schemas.topics import INGEST_ROWS, STORE_EVENTS, SWITCHES
from schemas.values import StoreId, Timestamp
from streams.definitions.program import Program
from streams.instants import to_timestamp
from streams.segments.ranked import Figure, shown
from streams.segments.texts import leaf_text


class RankedBy(msgspec.Struct, frozen=True, kw_only=True):
    """cut: who has so much or more (`bottom`: or less) is inside. None: nobody is ranked."""

    ranking: str
    cut: str | None
    was: str | None
    profiles: int


class Computed(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. number: of the record in the log."""

    store: StoreId
    at: Timestamp
    number: int
    rankings: list[RankedBy]


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    meaning = (
        "rank the profiles for `top` and `bottom` from the timeline, and put the cuts in force"
    )
    compute = actions.add_parser("compute", help=meaning, description=meaning)
    compute.add_argument("--store", default="main", help="the store (default: main)")
    json_argument(compute)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Returns: 1 where the definitions in force rank nobody."""
    printer = printer_for(options)
    try:
        computed = asyncio.run(_compute(settings, options.store))
    except (NotReached, AnotherPublishes) as error:
        raise CommandFailed(str(error)) from error
    printer.data(computed)
    if computed is None:
        printer.line(f"the definitions in force of store {options.store} have no `top` or `bottom`")
        return 1
    _show(printer, computed)
    return 0


async def _compute(settings: Settings, store: StoreId) -> Computed | None:
    async with reached(settings, STORE_EVENTS, INGEST_ROWS, SWITCHES) as there:
        found = (await ranking_stores(there)).get(store)
        if found is None:
            return None
        _, program = found
        now = time.time_ns() // 1_000_000
        with database(there) as client:
            cuts = measured(client, program, now)
        number = await publish_cuts(there, program, cuts, now)
    rankings = _rankings(program, cuts)
    return Computed(store=store, at=to_timestamp(now), number=number, rankings=rankings)


def _rankings(program: Program, cuts: tuple[Cut, ...]) -> list[RankedBy]:
    new = {cut.ranking: cut for cut in cuts}
    old = {cut.ranking: cut for cut in program.cuts}

    def limit(name: str, cut: Cut | None) -> str | None:
        if cut is None:
            return None
        return shown(program.rankings[name].condition, Figure(cut.total, cut.count))

    return [
        RankedBy(
            ranking=leaf_text(ranking.condition),
            cut=limit(name, new.get(name)),
            was=limit(name, old.get(name)),
            profiles=new[name].profiles if name in new else 0,
        )
        for name, ranking in program.rankings.items()
    ]


def _show(printer: Printer, computed: Computed) -> None:
    printer.table(
        ("ranking", "cut", "was", "profiles"),
        [
            (one.ranking, one.cut or "-", one.was or "-", f"{one.profiles:,}")
            for one in computed.rankings
        ],
    )
    printer.line(
        f"as of {computed.at}; in force from their place in the log on (number {computed.number})"
    )
