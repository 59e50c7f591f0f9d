"""Definitions that change in mid-stream: the real path says what the path in memory says."""

from zlib import crc32

import msgspec
import pytest

from agents.demo.log import SINCE, LogRecord, Round
from schemas.outputs import SegmentChanged
from schemas.topics import SEGMENT_CHANGES
from streams.instants import SECOND
from streams.visits import FEW
from tests.conftest import SECRET
from tests.integration.path.reading import Said, values_of
from tests.integration.path.running import Deployment
from tests.integration.path.shop import (
    CLOSING,
    PARTITIONS,
    Shop,
    a_tick,
    core_in_memory,
    play,
    rows_of,
    said_by,
    the_definitions,
)
from tests.scenarios.edited_shop import ADDED_AT, EDITED_AT, REMOVED_AT, open_edited_shop

pytestmark = [pytest.mark.integration, pytest.mark.prove]


async def test_workers_that_are_killed_while_definitions_change_say_the_same(
    path: Deployment,
) -> None:
    shop = open_edited_shop(SECRET.encode())
    path.start_worker()
    fed = 0
    for switched_at in (ADDED_AT, EDITED_AT, REMOVED_AT):
        until = next(i for i, piece in enumerate(shop.rounds) if piece.end > switched_at)
        await path.feed(shop.rounds[fed : until + 1])
        await path.passes(shop.rounds[until - 1].end)
        path.workers[-1].kill()
        path.start_worker()
        fed = until + 1
    await path.feed(shop.rounds[fed:])
    await path.comes_to(shop.end)
    await path.expect_the_same_as(shop)


# --- many profiles -------------------------------------------------------------------------------

CROWD = PARTITIONS * (FEW + 500)
ROUND = SECOND // 4
SWITCH = 4
"""The round in which the definitions change; the visits take the ten rounds after it."""
ROUNDS = 18
COMERS = ({"segment": "comers", "where": {"did": "Came"}},)
VISITORS = ({"segment": "visitors", "where": {"did": "Came"}},)


def came(person: int, number: int, at: int) -> LogRecord:
    who = f"c-{person}"
    event = {"id": f"{who}-{number}", "metric": "Came", "profile": {"external_id": who}}
    return LogRecord(at, f"external_id/{who}".encode(), msgspec.json.encode(event))


def open_crowd(secret: bytes) -> Shop:
    """Everybody comes in the first round, a few in every other; new definitions on the way."""
    replay, made = core_in_memory(secret), list[Round]()
    said: Said = {}
    for number in range(ROUNDS + CLOSING):
        begin = SINCE + number * ROUND
        people = range(CROWD) if number == 0 else range(number, CROWD, 400)
        if number > ROUNDS:
            people = range(0)
        pieces: tuple[list[LogRecord], ...] = tuple([] for _ in range(PARTITIONS))
        for piece in pieces:
            if number == 0:
                piece.append(the_definitions(secret, begin, "one", COMERS))
            if number == SWITCH:
                piece.append(the_definitions(secret, begin, "two", VISITORS))
        for person in people:
            record = came(person, number, begin + 1 + person % (ROUND - 1))
            pieces[crc32(record.key) % PARTITIONS].append(record)
        for piece in pieces:
            piece.sort()
            piece.append(a_tick(begin + ROUND))
        play(replay, pieces)
        said_by(replay, said)
        made.append(Round(begin + ROUND, pieces, []))
    return Shop(made, said, rows_of(replay))


async def test_a_worker_that_is_killed_while_many_are_visited_says_the_same(
    path: Deployment,
) -> None:
    crowd = open_crowd(SECRET.encode())
    changes = values_of(crowd.said, SEGMENT_CHANGES, SegmentChanged)
    assert len({one.at for one in changes if one.segment == "visitors"}) > FEW, "little by little"
    path.start_worker()
    fed = 0
    for until in (SWITCH + 3, SWITCH + 7):
        await path.feed(crowd.rounds[fed:until])
        await path.passes(crowd.rounds[until - 2].end)
        path.workers[-1].kill()
        path.start_worker()
        fed = until
    await path.feed(crowd.rounds[fed:])
    await path.comes_to(crowd.end)
    await path.expect_the_same_as(crowd)
