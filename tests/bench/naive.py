"""Our core in stock Faust, as somebody would write it first: one event at a time.

    python -m tests.bench.naive

Three agents of one app, a table each. Every event is read, stepped and written by itself: its row
goes into a Faust table, each output is awaited (`topic.send`). At-least-once: after a crash events
are applied again. Left out are rounds (records are applied as they arrive), clocks, timers,
transactions and what an erasure takes away. The settings are those with which stock Faust is
fastest (docs/speed.md).
"""

import asyncio
import os
from typing import Any

import faust
import msgspec

from agents.settings import Settings
from agents.topics import topic_name
from schemas.records import INNER_SCHEMA, DefinitionsPublished, EventArrived, Passed
from schemas.topics import IDENTITY_REQUESTS, PROFILE_UPDATES, STORE_EVENTS, TOPICS, Topic
from schemas.values import RECORD
from streams.core import BACK, NEXT, PEER, Core, Output
from streams.definitions.switch import in_force
from streams.identity.step import IdentityCore
from streams.ids import Ids
from streams.ingest.read import EventReader
from streams.ingest.records import Tick
from streams.profile.step import ProfileCore

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Passed).decode
_to_json = msgspec.json.Encoder().encode


class Path:
    """The three agents: what each of them does with one event."""

    def __init__(self, settings: Settings) -> None:
        ids = Ids(settings.secret_bytes)
        self._reader = EventReader(ids)
        self._identity: Core[Any] = IdentityCore(ids)
        self._profile: Core[Any] = ProfileCore(ids)
        self.app = app = faust.App(
            topic_name(settings, "naive"),
            broker=[f"kafka://{address}" for address in settings.kafka or ()],
            store="memory://",
            datadir=str(settings.data / "naive"),
            topic_partitions=settings.partitions,
            topic_replication_factor=1,
            topic_disable_leader=True,
            web_enabled=False,
            stream_wait_empty=False,
            broker_commit_interval=1.0,
            broker_max_poll_records=2_000,
            producer_linger=0.02,
        )
        topics = {topic.name: self._topic(settings, topic) for topic in TOPICS}
        self._requests = topics[IDENTITY_REQUESTS.name]
        self._updates = topics[PROFILE_UPDATES.name]
        self._of_identity = topics | {NEXT: self._updates, PEER: self._requests}
        self._of_profile = topics | {PEER: self._updates, BACK: self._requests}
        self._identities = self._table("identities", settings)
        self._profiles = self._table("profiles", settings)
        app.agent(topics[STORE_EVENTS.name], name="ingest")(self.ingest)
        app.agent(self._requests, name="identity")(self.identity)
        app.agent(self._updates, name="profile")(self.profile)

    def _topic(self, settings: Settings, topic: Topic) -> Any:
        name = topic_name(settings, topic.name)
        return self.app.topic(name, key_type=bytes, value_type=bytes, value_serializer="raw")

    def _table(self, name: str, settings: Settings) -> Any:
        return self.app.Table(
            name, partitions=settings.partitions, key_type=bytes, value_type=bytes
        )

    async def ingest(self, stream: Any) -> None:
        """Read what the store pushed and send it on; definitions are taken up by all at once."""
        async for event in stream.events():
            message = event.message
            received_at = round(message.timestamp * 1000)
            origin = (received_at, message.partition, message.offset)
            said = self._reader(message, received_at)
            if isinstance(said, DefinitionsPublished):
                row = in_force(None, said, (received_at, 0, 0))
                self._reader.adopt(said)
                self._identity = self._identity.adopt(row)
                self._profile = self._profile.adopt(row)
            elif isinstance(said, tuple) and not isinstance(said, Tick):
                key, happened = said
                passed = Passed(INNER_SCHEMA, received_at, RECORD, origin, EventArrived(happened))
                await self._requests.send(key=key.encode(), value=_pack(passed))

    async def identity(self, stream: Any) -> None:
        """Resolve one event, or hear one word about an identifier."""
        async for event in stream.events():
            await self._apply(event, self._identity, self._identities, self._of_identity)

    async def profile(self, stream: Any) -> None:
        """Apply one event to its person."""
        async for event in stream.events():
            await self._apply(event, self._profile, self._profiles, self._of_profile)

    async def _apply(self, event: Any, core: Core[Any], rows: Any, topics: dict[str, Any]) -> None:
        key, passed = event.key, _unpack(event.value)
        instant, origin = passed.instant, passed.origin
        kept = rows.get(key)
        row = None if kept is None else core.decode(kept)
        row, outputs = core.step(row, key.decode(), passed.body, instant, origin)
        if row is not None and (blob := core.encode(row)) != kept:
            rows[key] = blob
        for index, output in enumerate(outputs):
            value = _value_of(
                output, Passed(INNER_SCHEMA, instant, passed.kind, (*origin, index), output.record)
            )
            await topics[output.to].send(key=output.key.encode(), value=value)


def _value_of(output: Output, passed: Passed) -> bytes:
    return _pack(passed) if output.to in (NEXT, PEER, BACK) else _to_json(output.record)


def main() -> None:
    """Work until told to stop."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app = Path(Settings.from_environ(os.environ)).app
    worker = faust.Worker(app, loop=loop, loglevel="warn", override_logging=False)
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
