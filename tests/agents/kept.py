"""What a shop of the tests was told, kept in the timeline's tables as the sink keeps it."""

from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from agents.redaction import moved_before, take_moved
from schemas.outputs import (
    ConsentStated,
    FlowTriggered,
    IdentityConflict,
    IdentityMerged,
    ProfileSplit,
    SegmentChanged,
    SendCommand,
    SendDecided,
    TimelineEntry,
)
from schemas.topics import (
    CONSENT,
    FLOW_TRIGGERS,
    IDENTITY_CONFLICTS,
    IDENTITY_MERGES,
    IDENTITY_SPLITS,
    SEGMENT_CHANGES,
    SEND_COMMANDS,
    SEND_DECISIONS,
    TIMELINE,
)
from tests.agents.told_timelines import insert
from tests.scenarios.shop import Shop

KINDS: dict[str, Any] = {
    TIMELINE.name: TimelineEntry,
    SEGMENT_CHANGES.name: SegmentChanged,
    FLOW_TRIGGERS.name: FlowTriggered,
    SEND_COMMANDS.name: SendCommand,
    SEND_DECISIONS.name: SendDecided,
    IDENTITY_MERGES.name: IdentityMerged,
    CONSENT.name: ConsentStated,
    IDENTITY_CONFLICTS.name: IdentityConflict,
    IDENTITY_SPLITS.name: ProfileSplit,
}


def keep(client: Client, shop: Shop) -> None:
    """Fill the tables with all that the shop was told; what they held before is gone."""
    for table in (
        "events",
        "segment_changes",
        "flow_triggers",
        "sends",
        "send_decisions",
        "identity_merges",
        "consent_words",
        "identity_conflicts",
        "identity_splits",
    ):
        client.command(f"TRUNCATE TABLE {table}")
    for topic, kind in KINDS.items():
        tag = kind.__struct_config__.tag
        records = [one for one in shop.told(topic) if one["type"] == tag]
        insert(client, topic, [msgspec.convert(one, kind) for one in records])
    take_moved(client, moved_before(client))
