"""How far the path and its timeline have come: for who asks the timeline about all that was
received until some instant.
"""

import asyncio
from collections.abc import Mapping

import msgspec
from aiokafka import TopicPartition

from agents.admin import committed_offsets
from agents.live.tailing import is_clock
from agents.reader import reader_of
from agents.settings import Settings
from agents.timeline import GROUP
from agents.topics import ends_of, places_of, topic_name
from schemas.outputs import ClockStruck
from schemas.topics import SEND_COMMANDS, TIMELINE
from schemas.values import Instant
from streams.instants import to_instant
from streams.memory_backfill import ROUNDS_MAX_ON_THE_WAY

ASK_SECONDS = 0.25

_clock = msgspec.json.Decoder(ClockStruck).decode


async def received_and_stored(settings: Settings, until: Instant) -> None:
    """Wait until the database has all of the timeline that comes of what was received before
    `until`, whatever partition it is in: also what merges sent on to other profiles.
    """
    await rounds_done(settings, until, count=ROUNDS_MAX_ON_THE_WAY + 1)
    await all_stored(settings)


async def rounds_done(settings: Settings, after: Instant, *, count: int = 1) -> None:
    """Wait for so many rounds of every partition that are done from now on and end behind
    `after`.
    """
    places = places_of(settings, SEND_COMMANDS)
    rounds = dict.fromkeys((place.partition for place in places), 0)
    async with reader_of(settings, places) as reader:
        await reader.seek_to_end(*places)
        while min(rounds.values()) < count:
            for record in await reader.records():
                if is_clock(record) and to_instant(_clock(record.value).at) > after:
                    rounds[record.partition] += 1


async def all_stored(settings: Settings) -> None:
    """Wait until the timeline sink has put into the database what the timeline has now."""
    ends = await ends_of(settings, places_of(settings, TIMELINE), committed=True)
    await stored(settings, ends)


async def stored(settings: Settings, ends: Mapping[TopicPartition, int]) -> None:
    """Wait until the timeline sink has put into the database what stands before these ends."""
    group = topic_name(settings, GROUP)
    left = dict(ends)
    while left:
        known = await committed_offsets(settings, group)
        left = {
            place: end
            for place, end in left.items()
            if end > 0 and (place not in known or known[place].offset < end)
        }
        if left:
            await asyncio.sleep(ASK_SECONDS)
