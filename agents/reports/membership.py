"""Why somebody is in a segment, at any instant: from the timeline, by the code that runs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from agents.population import teller_at
from agents.reports.events import events_of, one_person
from schemas import conditions as c
from schemas.outputs import Evidence
from schemas.values import Instant, ProfileId, SegmentId, StoreId, Timestamp
from streams.ids import Ids
from streams.instants import to_timestamp
from streams.segments.person import Person
from streams.segments.rfm import GROUPS
from streams.segments.texts import leaf_text


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a condition: `all`, `any`, `none` with its parts, a group of customers with its cut
    points, or a leaf with what was found.
    """

    word: str
    holds: bool
    leaf: Evidence | None = None
    parts: list["Part"] = []


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """One membership at one instant.

    at: the instant. inside: is the profile in it? since: since when. next_flip: when time alone may
    change that. profiles: the ids that were this person then.
    """

    segment: SegmentId
    store: StoreId
    profile_id: ProfileId
    profiles: list[ProfileId]
    at: Timestamp
    events: int
    inside: bool
    since: Timestamp | None
    next_flip: Timestamp | None
    condition: Part


def explain_segment(
    client: Client,
    store: StoreId,
    documents: Sequence[Mapping[str, Any]],
    segment: SegmentId,
    profile_id: ProfileId,
    at: Instant,
    ids: Ids,
) -> Explained | None:
    """Tell the person again up to `at` and ask each leaf. None: the person was not there yet.

    Raises: KeyError where no such segment is defined.
    """
    teller = teller_at(client, documents, ids, at)
    compiled = teller.program.segments[segment]
    who, profiles = one_person(client, store, profile_id, at)
    events = events_of(client, store, profiles, at)
    row = teller.tell(who, events, until=at)
    if row is None:
        return None
    person = Person(row, teller.program)
    inside, flip = compiled.condition.ask(person, at)
    membership = row.segments.get(segment)
    since = None if membership is None else membership.since
    assert inside is (since is not None), "what is kept is what is asked"
    leaves = iter(compiled.condition.explain(person, at))
    return Explained(
        segment=segment,
        store=store,
        profile_id=who,
        profiles=profiles,
        at=to_timestamp(at),
        events=len(events),
        inside=inside,
        since=None if since is None else to_timestamp(since),
        next_flip=None if flip is None else to_timestamp(flip),
        condition=_part(compiled.definition.where, leaves),
    )


def _part(condition: c.Condition, leaves: Iterator[Evidence]) -> Part:
    """The tree, with the evidence of its leaves, which comes in their order."""
    match condition:
        case c.AllOf(conditions) | c.AnyOf(conditions) | c.NoneOf(conditions):
            parts = [_part(one, leaves) for one in conditions]
            answers = [part.holds for part in parts]
            match condition:
                case c.AllOf():
                    return Part(word="all", holds=all(answers), parts=parts)
                case c.AnyOf():
                    return Part(word="any", holds=any(answers), parts=parts)
                case _:
                    return Part(word="none", holds=not any(answers), parts=parts)
        case c.RfmIs(groups):
            parts = [_part(GROUPS[group], leaves) for group in groups]
            holds = any(part.holds for part in parts)
            return Part(word=leaf_text(condition), holds=holds, parts=parts)
        case _:
            evidence = next(leaves)
            return Part(word="leaf", holds=evidence.holds, leaf=evidence)
