"""Three people whose story is told at the end of the demo, chosen by what happened to them."""

from collections.abc import Mapping

import msgspec
from clickhouse_connect.driver.client import Client

from agents.reports.stories import StoryRow, profile_story
from schemas.values import ProfileId, SegmentId, StoreId, Timestamp

_CHOICES: Mapping[str, str] = {
    "to whom everything happened once": """
        SELECT profile_id FROM send_decisions FINAL WHERE store = {store:String}
        GROUP BY profile_id
        ORDER BY uniqExact(outcome, reason) DESC, count() ASC, profile_id LIMIT 1
    """,
    "who unsubscribed": """
        SELECT profile_id FROM send_decisions FINAL WHERE store = {store:String}
        GROUP BY profile_id
        HAVING countIf(outcome = 'sent') > 0 AND countIf(reason = 'no-consent') > 0
        ORDER BY maxIf(decided_at, reason = 'no-consent') > minIf(decided_at, outcome = 'sent')
            DESC, countIf(reason = 'no-consent') DESC, profile_id LIMIT 1
    """,
    "who was left alone on purpose": """
        SELECT profile_id FROM send_decisions FINAL WHERE store = {store:String}
        GROUP BY profile_id HAVING countIf(reason = 'holdout') > 0
        ORDER BY countIf(outcome = 'sent') DESC, profile_id LIMIT 1
    """,
}

_SEGMENTS = """
    SELECT segment, argMax(change, (decided_at, at, kafka_offset)) AS newest,
        argMax(at, (decided_at, at, kafka_offset)) AS since,
        argMax(evidence, (decided_at, at, kafka_offset)) AS why
    FROM segment_changes FINAL
    WHERE store = {store:String} AND profile_id = {profile:String}
    GROUP BY segment HAVING newest = 'entered' ORDER BY segment
"""


class MemberOf(msgspec.Struct, frozen=True, kw_only=True):
    """A segment a person is in, since when, and why: the evidence as it was found then."""

    segment: SegmentId
    since: Timestamp
    why: list[dict[str, object]]


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """One person's story. who: why this person was chosen."""

    who: str
    profile_id: ProfileId
    segments: list[MemberOf]
    rows: list[StoryRow]


def tell(client: Client, store: StoreId) -> list[Story]:
    """Tell the stories of three people; of fewer where nothing of the kind happened to anybody."""
    stories: list[Story] = []
    told: set[ProfileId] = set()
    for who, query in _CHOICES.items():
        found = client.query(query, parameters={"store": store}).first_row
        if found is None or found[0] in told:
            continue
        profile_id = found[0]
        told.add(profile_id)
        story = profile_story(client, store, profile_id)
        stories.append(
            Story(
                who=who,
                profile_id=profile_id,
                segments=members_of(client, store, profile_id),
                rows=story.rows,
            )
        )
    return stories


def members_of(client: Client, store: StoreId, profile_id: ProfileId) -> list[MemberOf]:
    """The segments a person is in, with the evidence of the entry."""
    found = client.query(_SEGMENTS, parameters={"store": store, "profile": profile_id}).result_rows
    return [
        MemberOf(segment=segment, since=str(since), why=msgspec.json.decode(why))
        for segment, _, since, why in found
    ]
