"""The columns that the timeline sink inserts, table by table. A test compares with the database."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from schemas.topics import (
    CONSENT,
    FLOW_TRIGGERS,
    IDENTITY_CONFLICTS,
    IDENTITY_ERASURES,
    IDENTITY_MERGES,
    IDENTITY_SPLITS,
    SEGMENT_CHANGES,
    SEND_COMMANDS,
    SEND_DECISIONS,
    TIMELINE,
)

NAME = "LowCardinality(String)"
TEXT = "String"
INSTANT = "DateTime64(3, 'UTC')"
KAFKA: Mapping[str, str] = MappingProxyType({"kafka_partition": "UInt16", "kafka_offset": "UInt64"})
"""Where a row comes from; the offset is its version."""


class Table(msgspec.Struct, frozen=True):
    """A table, the topic it is filled from, and its columns with their types, in order.

    record: the `type` of the records of the topic that become rows.
    """

    name: str
    topic: str
    record: str
    columns: dict[str, str]


EVENTS = Table(
    "events",
    TIMELINE.name,
    "timeline-entry",
    {
        "store": NAME,
        "profile_id": TEXT,
        "occurred_at": INSTANT,
        "metric": NAME,
        "event_id": TEXT,
        "received_at": INSTANT,
        "origin": "Array(Int64)",
        "trust": NAME,
        "source": NAME,
        "backfill": "Bool",
        "identifiers": TEXT,
        "traits": TEXT,
        "traits_once": TEXT,
        "properties": TEXT,
        "value_micros": "Nullable(Int64)",
        "currency": NAME,
        "moved_from": TEXT,
        **KAFKA,
    },
)
SEGMENT_CHANGED = Table(
    "segment_changes",
    SEGMENT_CHANGES.name,
    "segment-changed",
    {
        "id": TEXT,
        "store": NAME,
        "profile_id": TEXT,
        "segment": NAME,
        "change": NAME,
        "at": INSTANT,
        "decided_at": INSTANT,
        "evidence": TEXT,
        **KAFKA,
    },
)
FLOW_TRIGGERED = Table(
    "flow_triggers",
    FLOW_TRIGGERS.name,
    "flow-triggered",
    {
        "id": TEXT,
        "store": NAME,
        "profile_id": TEXT,
        "flow": NAME,
        "version": NAME,
        "trigger": NAME,
        "trigger_event_id": TEXT,
        "started_at": INSTANT,
        "decided_at": INSTANT,
        **KAFKA,
    },
)
SENDS = Table(
    "sends",
    SEND_COMMANDS.name,
    "send-command",
    {
        "id": TEXT,
        "store": NAME,
        "profile_id": TEXT,
        "channel": NAME,
        "address": TEXT,
        "template": NAME,
        "flow": NAME,
        "flow_run_id": TEXT,
        "campaign": NAME,
        "message": NAME,
        "variant": NAME,
        "subject": TEXT,
        "attempt": "UInt16",
        "transactional": "Bool",
        "context": TEXT,
        "decided_at": INSTANT,
        "valid_until": INSTANT,
        **KAFKA,
    },
)
SEND_DECIDED = Table(
    "send_decisions",
    SEND_DECISIONS.name,
    "send-decided",
    {
        "id": TEXT,
        "store": NAME,
        "profile_id": TEXT,
        "flow": NAME,
        "flow_run_id": TEXT,
        "message": NAME,
        "channel": NAME,
        "outcome": NAME,
        "reason": NAME,
        "reasons": "Array(LowCardinality(String))",
        "send_id": TEXT,
        "until": "Nullable(DateTime64(3, 'UTC'))",
        "trigger_event_id": TEXT,
        "decided_at": INSTANT,
        "evidence": TEXT,
        **KAFKA,
    },
)
MERGES = Table(
    "identity_merges",
    IDENTITY_MERGES.name,
    "identity-merged",
    {
        "id": TEXT,
        "store": NAME,
        "winner": TEXT,
        "loser": TEXT,
        "decided_at": INSTANT,
        **KAFKA,
    },
)

CONSENT_WORDS = Table(
    "consent_words",
    CONSENT.name,
    "consent-stated",
    {
        "store": NAME,
        "kind": NAME,
        "address": TEXT,
        "channels": TEXT,
        "suppressed": TEXT,
        "details": TEXT,
        "decided_at": INSTANT,
        "cause": TEXT,
        **KAFKA,
    },
)

ERASURES = Table(
    "erasures",
    IDENTITY_ERASURES.name,
    "profile-erased",
    {
        "id": TEXT,
        "store": NAME,
        "request": TEXT,
        "outcome": NAME,
        "profile_ids": "Array(String)",
        "decided_at": INSTANT,
        **KAFKA,
    },
)

CONFLICTS = Table(
    "identity_conflicts",
    IDENTITY_CONFLICTS.name,
    "identity-conflict",
    {
        "id": TEXT,
        "store": NAME,
        "profiles": "Array(String)",
        "external_ids": "Array(String)",
        "reason": NAME,
        "decided_at": INSTANT,
        "because": TEXT,
        **KAFKA,
    },
)

SPLITS = Table(
    "identity_splits",
    IDENTITY_SPLITS.name,
    "profile-split",
    {
        "id": TEXT,
        "store": NAME,
        "split": TEXT,
        "outcome": NAME,
        "identifiers": TEXT,
        "old": TEXT,
        "new": TEXT,
        "known_as": "Array(String)",
        "author": TEXT,
        "reason": TEXT,
        "decided_at": INSTANT,
        **KAFKA,
    },
)

TABLES: tuple[Table, ...] = (
    EVENTS,
    SEGMENT_CHANGED,
    FLOW_TRIGGERED,
    SENDS,
    SEND_DECIDED,
    MERGES,
    CONSENT_WORDS,
    ERASURES,
    CONFLICTS,
    SPLITS,
)
"""In the order of the path."""
