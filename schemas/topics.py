"""Every topic, declared once: created from here, never by accident (auto-create is off).

Names get the namespace in front (`demo-store-events`). `partitions=None`: the setting
`TILLSTREAM_PARTITIONS`; all partitioned topics of a deployment have the same number, so partition p
of what a station writes to the outside has one writer and one order.
"""

from typing import Literal

import msgspec

from schemas.values import Millis

DAY: Millis = 86_400_000
MIB = 1 << 20


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic.

    retention_ms: None keeps for ever. timestamp: who stamps a record, the broker when it appends
    ("log-append") or its writer ("create"). max_bytes: the largest record the broker takes.
    """

    name: str
    key: str
    value: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    public: bool
    partitions: int | None = None
    retention_ms: Millis | None = None
    compacted: bool = False
    timestamp: Literal["log-append", "create"] = "create"
    max_bytes: int = 6 * MIB


LARGEST_WITH_HEADERS = 7 * MIB
"""For topics that take the largest record of another, whole, with headers that say why."""

STORE_EVENTS = Topic(
    name="store-events",
    key="any",
    value="store event (JSON), tick, definitions, stops, erasure, split",
    writers=("store", "senders", "ticker", "command line"),
    readers=("ingest",),
    public=True,
    timestamp="log-append",
)
STORE_EVENTS_REJECTED = Topic(
    name="store-events-rejected",
    key="as it came",
    value=(
        "the original bytes; reason, detail, field, position, topic, partition, offset in the "
        "headers"
    ),
    writers=("ingest",),
    readers=("store", "operations"),
    public=True,
    max_bytes=LARGEST_WITH_HEADERS,
)
IDENTITY_REQUESTS = Topic(
    name="identity-requests",
    key="store, kind and value of an identifier",
    value="schemas/records.py (msgpack)",
    writers=("ingest", "identity", "profile"),
    readers=("identity",),
    public=False,
    retention_ms=7 * DAY,
)
PROFILE_UPDATES = Topic(
    name="profile-updates",
    key="profile id",
    value="schemas/records.py (msgpack)",
    writers=("identity", "profile"),
    readers=("profile",),
    public=False,
    retention_ms=7 * DAY,
)
CONSENT = Topic(
    name="consent",
    key="store, kind and value of an address; `clock/<partition>`",
    value="consent-stated, clock (JSON)",
    writers=("identity",),
    readers=("senders", "timeline"),
    public=True,
    compacted=True,
)
SWITCHES = Topic(
    name="switches",
    key="definitions/<store>, `sends/<store>/<flow>/<channel>`, `population/<store>`",
    value="definitions-announced, sends-switched, population-stated (JSON); all in partition 0",
    writers=("command line",),
    readers=("senders", "command line"),
    public=True,
    compacted=True,
)
IDENTITY_MERGES = Topic(
    name="identity-merges",
    key="profile id",
    value="identity-merged (JSON)",
    writers=("profile",),
    readers=("timeline",),
    public=True,
)
IDENTITY_CONFLICTS = Topic(
    name="identity-conflicts",
    key="profile id",
    value="identity-conflict (JSON)",
    writers=("profile",),
    readers=("timeline", "operations"),
    public=True,
)
IDENTITY_ERASURES = Topic(
    name="identity-erasures",
    key="profile id",
    value="profile-erased (JSON)",
    writers=("profile",),
    readers=("timeline", "store", "operations"),
    public=True,
)
IDENTITY_SPLITS = Topic(
    name="identity-splits",
    key="profile id",
    value="profile-split (JSON)",
    writers=("profile",),
    readers=("timeline", "store", "operations", "command line"),
    public=True,
)
SEGMENT_CHANGES = Topic(
    name="segment-changes",
    key="profile id",
    value="segment-changed (JSON)",
    writers=("profile",),
    readers=("timeline", "store"),
    public=True,
)
FLOW_TRIGGERS = Topic(
    name="flow-triggers",
    key="profile id",
    value="flow-triggered (JSON)",
    writers=("profile",),
    readers=("timeline", "store"),
    public=True,
)
SEND_COMMANDS = Topic(
    name="send-commands",
    key="profile id",
    value="send-command, clock (JSON)",
    writers=("profile",),
    readers=("senders", "timeline"),
    public=True,
)
SEND_DECISIONS = Topic(
    name="send-decisions",
    key="profile id",
    value="send-decided (JSON)",
    writers=("profile",),
    readers=("timeline", "operations"),
    public=True,
)
NOTIFICATIONS = Topic(
    name="notifications",
    key="profile id",
    value="notification-requested (JSON)",
    writers=("profile",),
    readers=("store",),
    public=True,
)
DEFINITIONS = Topic(
    name="definitions",
    key="store",
    value="definitions-stated (JSON); all in partition 0",
    writers=("ingest",),
    readers=("command line", "back-fill"),
    public=True,
    compacted=True,
    max_bytes=LARGEST_WITH_HEADERS,
)
TIMELINE = Topic(
    name="timeline",
    key="profile id; `definitions/<store>`",
    value="timeline-entry, definitions-switched, profile-split (JSON)",
    writers=("profile",),
    readers=("timeline", "back-fill", "command line"),
    public=True,
)
DEAD_LETTERS = Topic(
    name="dead-letters",
    key="as it came",
    value="the whole record; reason, station, topic, partition, offset in the headers",
    writers=("identity", "profile"),
    readers=("operations",),
    public=True,
    max_bytes=LARGEST_WITH_HEADERS,
)
INGEST_ROWS = Topic(
    name="ingest-changelog",
    key="position/<partition>, definitions/<store>, stops/<store>",
    value="schemas/rows.py (msgpack)",
    writers=("ingest",),
    readers=("ingest",),
    public=False,
    compacted=True,
)
IDENTITY_ROWS = Topic(
    name="identity-changelog",
    key="identifier, position/<partition>, definitions/<store>, stops/<store>",
    value="schemas/rows.py (msgpack)",
    writers=("identity",),
    readers=("identity",),
    public=False,
    compacted=True,
)
PROFILE_ROWS = Topic(
    name="profile-changelog",
    key="profile id, position/<partition>, definitions/<store>, stops/<store>",
    value="schemas/rows.py (msgpack)",
    writers=("profile",),
    readers=("profile", "command line"),
    public=False,
    compacted=True,
)

TOPICS: tuple[Topic, ...] = (
    STORE_EVENTS,
    STORE_EVENTS_REJECTED,
    DEFINITIONS,
    IDENTITY_REQUESTS,
    PROFILE_UPDATES,
    CONSENT,
    SWITCHES,
    IDENTITY_MERGES,
    IDENTITY_CONFLICTS,
    IDENTITY_ERASURES,
    IDENTITY_SPLITS,
    SEGMENT_CHANGES,
    FLOW_TRIGGERS,
    SEND_COMMANDS,
    SEND_DECISIONS,
    NOTIFICATIONS,
    TIMELINE,
    DEAD_LETTERS,
    INGEST_ROWS,
    IDENTITY_ROWS,
    PROFILE_ROWS,
)
"""In the order of the path."""
