"""What the path says -> the files of the outcome, a JSON object a line, the same bytes every time.

Public records are written as the topics carry them, in the order in which they were said. Profiles
and credits are made at the end. Every file is there, if only empty.
"""

from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import msgspec

from agents.replay.profiles import profile_state, read_row
from schemas.definitions import StoreSettings
from schemas.outputs import IdentityMerged, SendCommand, TimelineEntry
from schemas.replay import RejectedLine, SetAside
from schemas.topics import (
    DEAD_LETTERS,
    FLOW_TRIGGERS,
    IDENTITY_CONFLICTS,
    IDENTITY_ERASURES,
    IDENTITY_MERGES,
    IDENTITY_SPLITS,
    NOTIFICATIONS,
    SEGMENT_CHANGES,
    SEND_COMMANDS,
    SEND_DECISIONS,
    STORE_EVENTS_REJECTED,
    TIMELINE,
)
from schemas.values import EventId, Instant, Origin, ProfileId, StoreId
from streams.attribution.credit import credit
from streams.attribution.rules import CONVERSION, TOUCHES, rules_of
from streams.attribution.touches import observed, united
from streams.instants import to_timestamp
from streams.intake import Write

PUBLIC = (
    SEGMENT_CHANGES,
    FLOW_TRIGGERS,
    SEND_COMMANDS,
    SEND_DECISIONS,
    NOTIFICATIONS,
    IDENTITY_MERGES,
    IDENTITY_CONFLICTS,
    IDENTITY_ERASURES,
    IDENTITY_SPLITS,
)
"""Topics whose records are lines as they are."""

FILES = (
    "profiles.jsonl",
    *(f"{topic.name}.jsonl" for topic in PUBLIC),
    "rejected.jsonl",
    "credits.jsonl",
    "dead-letters.jsonl",
)

_encode = msgspec.json.Encoder(order="deterministic").encode
_read_entry = msgspec.json.Decoder(TimelineEntry).decode
_read_merge = msgspec.json.Decoder(IdentityMerged).decode
_read_command = msgspec.json.Decoder(SendCommand).decode


class _Entry(msgspec.Struct, tag_field="type", tag="timeline-entry"):
    """The part of a timeline entry that is asked for each event."""

    event_id: EventId
    profile_id: ProfileId
    metric: str
    origin: Origin


_read_part = msgspec.json.Decoder(_Entry).decode


class Written:
    """The files of a folder while they are written.

    counts: lines of each file. events: how many events were accepted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.counts = dict.fromkeys(FILES, 0)
        self.events = 0
        self._stack = ExitStack()
        self._events: dict[ProfileId, list[tuple[Origin, str, EventId]]] = defaultdict(list)
        self._entries: list[TimelineEntry] = []
        self._commands: list[SendCommand] = []
        self._merges: list[IdentityMerged] = []

    def __enter__(self) -> Self:
        """Make the folder and every file in it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._files = {
            name: self._stack.enter_context((self._folder / name).open("wb")) for name in FILES
        }
        return self

    def __exit__(self, *failure: object) -> None:
        """Close the files."""
        self._stack.close()

    def refused(self, lines: Iterable[RejectedLine]) -> None:
        """Write the lines that did not even arrive."""
        for line in lines:
            self._line("rejected.jsonl", line)

    def hear(self, writes: Iterable[Write]) -> None:
        """Take what the path says, in its order. What is taken away from a topic is no line."""
        for write in writes:
            topic, value = write.topic, write.value
            if value is None:
                continue
            if topic == TIMELINE.name:
                if not write.key.startswith(b"definitions/"):
                    self._timeline(value)
            elif topic == STORE_EVENTS_REJECTED.name:
                self._line("rejected.jsonl", _rejected(write, value))
            elif topic == DEAD_LETTERS.name:
                self._line("dead-letters.jsonl", _set_aside(write, value))
            elif topic in _RAW and not write.key.startswith(b"clock/"):
                self._raw(f"{topic}.jsonl", value)
                if topic == SEND_COMMANDS.name:
                    self._commands.append(_read_command(value))
                elif topic == IDENTITY_MERGES.name:
                    self._merges.append(_read_merge(value))

    def finish(self, profiles: Iterable[bytes], settings: Mapping[StoreId, StoreSettings]) -> None:
        """Write what is known only at the end: profiles and credits.

        settings: of each store that has some.
        """
        events = self._events_by_profile()
        states = (
            profile_state(row, events.get(row.id, ()))
            for row in map(read_row, profiles)
            if row.to is None and not row.gone_at
        )
        for state in sorted(states, key=lambda state: state.profile_id):
            self._line("profiles.jsonl", state)
        stores = {entry.store for entry in self._entries}
        for store in sorted(stores):
            rules = rules_of(settings.get(store, StoreSettings(store=store)))
            touches, conversions = observed(self._entries, self._commands, self._merges, rules)
            for given in credit(touches, conversions, rules):
                self._line("credits.jsonl", given)

    def _events_by_profile(self) -> dict[ProfileId, list[EventId]]:
        """The events of each profile and of those merged into it, once each, as they arrived."""
        into = united(self._merges)
        gathered: dict[ProfileId, dict[tuple[str, EventId], Origin]] = defaultdict(dict)
        for profile, entries in self._events.items():
            first = gathered[into.get(profile, profile)]
            for origin, metric, event_id in entries:
                first[metric, event_id] = min(origin, first.get((metric, event_id), origin))
        return {
            profile: [event_id for _, event_id in sorted(first, key=first.__getitem__)]
            for profile, first in gathered.items()
        }

    def _timeline(self, value: bytes) -> None:
        self.events += 1
        part = _read_part(value)
        self._events[part.profile_id].append((part.origin, part.metric, part.event_id))
        if part.metric in TOUCHES or part.metric == CONVERSION:
            self._entries.append(_read_entry(value))

    def _line(self, name: str, record: Any) -> None:
        self._raw(name, _encode(record))

    def _raw(self, name: str, line: bytes) -> None:
        self._files[name].write(line + b"\n")
        self.counts[name] += 1


_RAW = frozenset(topic.name for topic in PUBLIC)


def rejected_line(
    number: int,
    line: bytes,
    reason: str,
    detail: str,
    field: str | None = None,
    position: int | None = None,
    at: Instant | None = None,
) -> RejectedLine:
    """A line of `rejected.jsonl`."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = None
    return RejectedLine(
        line=number,
        received_at=None if at is None else to_timestamp(at),
        reason=reason,
        detail=detail,
        field=field,
        position=position,
        value=text,
        value_base64=b64encode(line).decode() if text is None else None,
    )


def _rejected(write: Write, value: bytes) -> RejectedLine:
    """What ingest rejected; the record's key is the number of its line."""
    said = {name: text.decode() for name, text in write.headers}
    return rejected_line(
        int(write.key),
        value,
        said["reason"],
        said["detail"],
        said["field"] or None,
        int(said["position"]) if said["position"] else None,
        write.timestamp,
    )


def _set_aside(write: Write, value: bytes) -> SetAside:
    said = {name: text.decode() for name, text in write.headers}
    return SetAside(
        station=said["station"],
        key=write.key.decode(),
        at=to_timestamp(write.timestamp),
        reason=said["reason"],
        value_base64=b64encode(value).decode(),
    )
