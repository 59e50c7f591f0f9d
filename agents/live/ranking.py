"""The population is measured at each store's rhythm, while `up` runs."""

import asyncio

from agents.clickhouse import open_client
from agents.live.kept import Say, keep_looking
from agents.population import measured, publish_cuts, ranking_stores
from agents.settings import Settings
from schemas.records import Cut
from schemas.rows import DefinitionsRow
from schemas.values import Instant
from streams.definitions.program import Program


async def keep_ranking(settings: Settings, say: Say) -> None:
    """Measure whatever is due, until cancelled. settings: with the addresses of the servers."""
    measured_at: dict[str, Instant] = {}
    await keep_looking(
        lambda now: rank_what_is_due(settings, now, measured_at, say),
        failed="the profiles could not be ranked",
        say=say,
    )


async def rank_what_is_due(
    settings: Settings, now: Instant, measured_at: dict[str, Instant], say: Say
) -> int:
    """Measure the stores whose time has come, and publish what was found.

    measured_at: version of definitions -> when it was measured last; kept up to date.
    Returns: how many stores were measured.
    """
    measured_now = 0
    for store, (row, program) in (await ranking_stores(settings)).items():
        if not is_due(row, program, now, measured_at.get(program.version)):
            continue
        at = instant_of(row, program, now)
        cuts = await asyncio.to_thread(_measure, settings, program, at)
        measured_at[program.version] = now
        if not cuts and not row.cuts:
            continue
        number = await publish_cuts(settings, program, cuts, at)
        say(f"the profiles of store {store} are ranked anew (number {number})")
        measured_now += 1
    return measured_now


def is_due(row: DefinitionsRow, program: Program, now: Instant, before: Instant | None) -> bool:
    """Has a multiple of the store's rhythm passed since, or was a ranking never measured?"""
    last = max([before or 0, *(cut.at for cut in row.cuts)])
    every = program.settings.rank_every
    known = {cut.ranking for cut in program.cuts}
    return now // every > last // every or (before is None and not known >= set(program.rankings))


def instant_of(row: DefinitionsRow, program: Program, now: Instant) -> Instant:
    """As of when to measure: the last multiple of the rhythm; now, where that was done before."""
    multiple = now // program.settings.rank_every * program.settings.rank_every
    return multiple if row.cuts and multiple > max(cut.at for cut in row.cuts) else now


def _measure(settings: Settings, program: Program, now: Instant) -> tuple[Cut, ...]:
    client = open_client(settings)
    try:
        return measured(client, program, now)
    finally:
        client.close()
