"""A shop for tests about people: events go in, profiles come out, all through the real path."""

from typing import Any

import msgspec

from schemas.records import DefinitionsPublished
from schemas.rows import IdentityRow, ProfileRow
from schemas.values import Instant, ProfileId
from streams.identity.keys import key_of
from streams.identity.step import IdentityCore
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.control import definitions, tick
from streams.ingest.read import EventReader
from streams.instants import SECOND, to_timestamp
from streams.intake import Write
from streams.profile.step import ProfileCore
from streams.replay import Replay
from tests.scenarios.play import documents_of

BEGIN: Instant = 1_774_000_000_000
KINDS = ("external_id", "email", "phone", "anonymous_id", "device_id", "cart_token")
MINUTE = 60 * SECOND
ROUNDS = 20


class Shop:
    """Two partitions; a minute passes between events unless it is said otherwise."""

    def __init__(self, wanted: str = "store: main") -> None:
        ids = Ids(REPLAY_SECRET)
        self.identity, self.profile = IdentityCore(ids), ProfileCore(ids)
        self.path = Replay(
            2,
            reader=lambda: EventReader(ids),
            identity=self.identity,
            profile=self.profile,
        )
        self.now = BEGIN
        self.said: dict[str, list[dict[str, Any]]] = {}
        self.written: list[Write] = []
        published = DefinitionsPublished("main", "1", "ann", documents_of(wanted))
        value, headers = definitions(published, REPLAY_SECRET)
        for partition in range(2):
            self.path.append(partition, value, self.now, headers=headers)
        self.count = 0
        self.wait(MINUTE)

    def event(self, metric: str, **said: Any) -> str:
        """Identifiers by their kind; `properties`, `traits`, `trust`, `value`, `store`, `time`;
        `rounds`: how many pass until the next one.
        """
        rounds = said.pop("rounds", ROUNDS)
        self.count += 1
        event_id = f"e{self.count}"
        profile = {kind: said.pop(kind) for kind in KINDS if kind in said}
        profile |= {name: said.pop(name) for name in ("traits", "traits_once") if name in said}
        event = {
            "id": event_id,
            "metric": metric,
            "time": to_timestamp(self.now),
            "profile": profile,
            **said,
        }
        self.path.append(self.count % 2, msgspec.json.encode(event), self.now)
        self.wait(MINUTE, rounds)
        return event_id

    def wait(self, span: int, rounds: int = ROUNDS) -> None:
        """Let time pass; in as many rounds as there are by default every merge comes to its end."""
        value, headers = tick()
        for part in range(1, rounds + 1):
            for partition in range(2):
                self.path.append(
                    partition, value, self.now + span * part // rounds, headers=headers
                )
            for write in self.path.run():
                self.written.append(write)
                if write.value and write.value[:1] == b"{" and write.key[:6] != b"clock/":
                    record = msgspec.json.decode(write.value)
                    self.said.setdefault(write.topic, []).append(record)
        self.now += span

    # --- what came of it -------------------------------------------------------------------------

    def profiles(self) -> dict[ProfileId, ProfileRow]:
        """All profiles that were not merged away."""
        rows = [self.profile.decode(row) for _, _, row in self.path.rows("profile")]
        return {row.id: row for row in rows if row.to is None and row.events}

    def who(self, kind: str, value: str, store: str = "main") -> ProfileRow:
        """The profile an identifier leads to."""
        key = key_of(store, (kind, value)).encode()
        rows: dict[bytes, IdentityRow] = {
            at: self.identity.decode(row) for _, at, row in self.path.rows("identity")
        }
        return self.profiles()[rows[key].profile_id]

    def told(self, topic: str) -> list[dict[str, Any]]:
        return self.said.get(topic, [])

    def changes(self) -> list[tuple[str, str]]:
        return [(one["change"], one["segment"]) for one in self.told("segment-changes")]

    def sends(self) -> list[tuple[str, str, str | None]]:
        return [
            (one["message"] or one["flow"], one["outcome"], one["reason"])
            for one in self.told("send-decisions")
        ]
