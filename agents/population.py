"""The profiles of a store, ranked: from the timeline to cuts in the log.

In: the rankings that definitions in force ask for, the timeline. Out: one record with every cut, in
every partition of `store-events`, in one transaction. An exact query sums and ranks inside of the
database; where a ranking has filters, or ranks by a property, the events of its metric are read and
filtered by the code that does so in the profiles.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from clickhouse_connect.driver.client import Client

from agents.settings import Settings
from agents.switches import Control, in_force, publish
from schemas import conditions as c
from schemas.outputs import CutStated, PopulationStated
from schemas.records import Cut, PopulationMeasured
from schemas.rows import DefinitionsRow
from schemas.values import Instant, Micros, StoreId
from streams.definitions.program import Program
from streams.definitions.switch import program_of
from streams.ids import Ids
from streams.ingest.control import population
from streams.instants import to_timestamp
from streams.profile.teller import Teller
from streams.segments.features import compile_amounts
from streams.segments.ranked import Figure, Ranking, cut_of, key_of, shown
from streams.segments.texts import leaf_text
from streams.segments.values import compile_filters

FIGURES: Final[Mapping[str | None, tuple[str, str, str]]] = {
    None: ("toInt256(events)", "toInt256(1)", "toInt256(events)"),
    "total": ("micros", "toInt256(1)", "micros"),
    "average": (
        "micros",
        "toInt256(events)",
        "intDiv(micros * toInt256('100000000000000000000'), events)",
    ),
    "min": ("toInt256(least)", "toInt256(1)", "toInt256(least)"),
    "max": ("toInt256(most)", "toInt256(1)", "toInt256(most)"),
}
"""Measure -> the figure (total, parts), and what sorts as it does. Averages that differ do so by
more than what is cut off here: nobody has ten to the tenth events.
"""

CUT = """
SELECT toString(<total>), toString(<parts>), profiles FROM
(
    SELECT
        *, count() OVER () AS profiles,
        row_number() OVER (ORDER BY <sorted> <direction>) AS place
    FROM
    (
        SELECT
            profile_id, count() AS events, sum(toInt256(ifNull(value_micros, 0))) AS micros,
            min(value_micros) AS least, max(value_micros) AS most
        FROM united_events
        WHERE <counted> AND (NOT {valued:Bool} OR
            (value_micros IS NOT NULL AND currency IN ('', {currency:String})))
        GROUP BY profile_id
    )
)
WHERE place = intDiv(profiles * {share:UInt64} + 999999, 1000000)
"""

TOLD = """
SELECT profile_id, value_micros, currency, properties FROM united_events WHERE <counted>
"""

COUNTED = """
    store = {store:String} AND metric = {metric:String}
        AND toUnixTimestamp64Milli(received_at) <= {at:Int64}
        AND toUnixTimestamp64Milli(occurred_at) >= {since:Int64}
        AND toUnixTimestamp64Milli(occurred_at) < {until:Int64}
"""

BEGINNING: Instant = 0

_properties = msgspec.json.Decoder(dict[str, Any]).decode


class _Told(NamedTuple):
    """What of an event counts."""

    properties: dict[str, Any]
    value: Micros | None
    currency: str | None


def measured(client: Client, program: Program, at: Instant) -> tuple[Cut, ...]:
    """The cuts through the profiles of the program's store, as the timeline has them at `at`."""
    cuts = (_measured(client, program, one, at) for _, one in sorted(program.rankings.items()))
    return tuple(cut for cut in cuts if cut is not None)


def _measured(client: Client, program: Program, ranking: Ranking, at: Instant) -> Cut | None:
    condition, settings = ranking.condition, program.settings
    since, until = bounds(condition.window, at)
    asked = {
        "store": settings.store,
        "metric": condition.event.metric,
        "at": at,
        "since": since,
        "until": until,
    }
    if condition.event.where or condition.of not in (None, "value"):
        rows = client.query(TOLD.replace("<counted>", COUNTED), parameters=asked).result_rows
        return cut_of(condition, _figures(condition, rows, settings.currency), at)
    total, parts, in_order = FIGURES[condition.measure]
    query = (
        CUT.replace("<counted>", COUNTED)
        .replace("<total>", total)
        .replace("<parts>", parts)
        .replace("<sorted>", in_order)
        .replace("<direction>", "ASC" if condition.bottom else "DESC")
    )
    asked |= {
        "valued": condition.measure is not None,
        "currency": settings.currency,
        "share": condition.share,
    }
    for found, divided_by, profiles in client.query(query, parameters=asked).result_rows:
        return Cut(key_of(condition), int(found), int(divided_by), profiles, at)
    return None


def bounds(window: c.Window | None, at: Instant) -> tuple[Instant, Instant]:
    """From when on, and up to when (not included), an event counts at `at`."""
    now = at + 1
    match window:
        case c.InLast(span):
            return now - span, now
        case c.AtLeastAgo(span):
            return BEGINNING, now - span
        case c.Ago(near, far):
            return now - far, now - near
        case c.Before(end):
            return BEGINNING, min(end, now)
        case c.After(start):
            return start, now
        case c.Between(start, end):
            return start, min(end, now)
        case _:
            return BEGINNING, now


def _figures(condition: c.Ranked, rows: Any, currency: str) -> Iterator[Figure]:
    """Of each profile that has an event which counts."""
    passes = compile_filters(condition.event.where)
    amounts_of = None if condition.of is None else compile_amounts(condition.of, currency)
    amounts: defaultdict[str, list[Micros]] = defaultdict(list)
    for profile, value, named, properties in rows:
        told: Any = _Told(_properties(properties), value, named or None)
        if passes is not None and not passes(told):
            continue
        amounts[profile] += (0,) if amounts_of is None else amounts_of(told).amounts
    for found in amounts.values():
        if not found:
            continue
        match condition.measure:
            case None:
                yield Figure(len(found), 1)
            case "total":
                yield Figure(sum(found), 1)
            case "average":
                yield Figure(sum(found), len(found))
            case measure:
                yield Figure(min(found) if measure == "min" else max(found), 1)


def teller_at(
    client: Client, documents: Sequence[Mapping[str, Any]], ids: Ids, at: Instant
) -> Teller:
    """Tells people again up to `at`; what they rank by is cut where it was measured last by then.

    Raises: DefinitionsError.
    """
    teller = Teller(documents, ids)
    if not teller.program.rankings:
        return teller
    every = teller.program.settings.rank_every
    return Teller(documents, ids, measured(client, teller.program, at // every * every))


async def publish_cuts(
    settings: Settings, program: Program, cuts: tuple[Cut, ...], at: Instant
) -> int:
    """Put the cuts in force from here on. Returns: the number of the record.

    Raises: AnotherPublishes.
    """
    store = program.settings.store
    stated = tuple(
        CutStated(
            ranking=leaf_text(program.rankings[cut.ranking].condition),
            cut=shown(program.rankings[cut.ranking].condition, Figure(cut.total, cut.count)),
            profiles=cut.profiles,
        )
        for cut in cuts
    )

    def numbered(number: int) -> Control:
        note = PopulationStated(store=store, number=number, at=to_timestamp(at), cuts=stated)
        record = PopulationMeasured(store, number, cuts)
        return Control(*population(record, settings.secret_bytes), note)

    number, _ = await publish(settings, store, numbered)
    return number


async def ranking_stores(settings: Settings) -> dict[StoreId, tuple[DefinitionsRow, Program]]:
    """The stores whose definitions in force rank somebody."""
    rows = (await in_force(settings)).definitions
    programs = {
        store: (row, await asyncio.to_thread(program_of, row)) for store, row in rows.items()
    }
    return {store: found for store, found in programs.items() if found[1].rankings}
