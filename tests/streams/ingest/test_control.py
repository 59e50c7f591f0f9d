"""Records of `store-events` that are no store events."""

import pytest

from schemas.events import Event, RejectedEvent
from schemas.records import DefinitionsPublished
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.control import definitions, sends, tick
from streams.ingest.read import EventReader, read
from streams.ingest.records import Tick
from streams.ingest.settings import IngestSettings
from streams.replay import MemoryRecord
from streams.sends.stops import Switch
from tests.streams.ingest.reading import RECEIVED_AT

IDS = Ids(REPLAY_SECRET)
PUBLISHED = DefinitionsPublished(
    "main",
    "v1",
    "ann",
    (
        {"store": "main", "identifiers": {"kinds": {"card": "strong"}, "junk": ["walk-in"]}},
        {"segment": "vip", "where": {"did": "Placed Order", "times": ">= 2"}},
    ),
)
STOP = Switch("main", 1, "welcome", "sms", stopped=True, author="ann")


def said_of(value: bytes | None, headers: tuple[tuple[str, bytes], ...]) -> object:
    return read(value, headers, received_at=RECEIVED_AT, settings=IngestSettings(), ids=IDS)


def test_a_tick_is_a_tick() -> None:
    assert isinstance(said_of(*tick()), Tick)


def test_published_definitions_arrive_as_they_were_published() -> None:
    assert said_of(*definitions(PUBLISHED, REPLAY_SECRET)) == PUBLISHED


def test_the_word_that_sends_stop_arrives_as_it_was_published() -> None:
    assert said_of(*sends(STOP, REPLAY_SECRET)) == STOP


def test_what_was_signed_as_one_kind_is_not_authentic_as_another() -> None:
    value, (_, mac) = sends(STOP, REPLAY_SECRET)
    said = said_of(value, (("tillstream", b"definitions"), mac))
    assert isinstance(said, RejectedEvent)
    assert said.reason == "not-authentic"


def test_definitions_that_cannot_be_compiled_reach_no_worker() -> None:
    documents = ({"segment": "vip", "where": {"did_what": "Placed Order"}},)
    said = said_of(*definitions(DefinitionsPublished("main", "v", "", documents), REPLAY_SECRET))
    assert isinstance(said, RejectedEvent)
    assert said.reason == "wrong-type"
    assert "did_what" in said.detail


def test_the_order_of_keys_survives_because_it_ranks_a_stores_own_kinds() -> None:
    kinds = {"zebra_id": "weak", "ant_id": "weak"}
    documents = ({"store": "main", "identifiers": {"kinds": kinds}},)
    said = said_of(*definitions(DefinitionsPublished("main", "v", "", documents), REPLAY_SECRET))
    assert isinstance(said, DefinitionsPublished)
    assert list(said.documents[0]["identifiers"]["kinds"]) == ["zebra_id", "ant_id"]


def test_a_headers_value_may_be_missing() -> None:
    value, _ = definitions(PUBLISHED, REPLAY_SECRET)
    for headers in (
        (("tillstream", b"definitions"),),
        (("tillstream", b"definitions"), ("tillstream-mac", None)),
        (("tillstream", b"definitions"), ("tillstream-mac", b"00")),
        definitions(PUBLISHED, b"another secret, also long")[1],
        definitions(PUBLISHED, REPLAY_SECRET)[1][:1],
    ):
        said = said_of(value, headers)  # type: ignore[arg-type]
        assert isinstance(said, RejectedEvent)
        assert said.reason == "not-authentic"


def test_changed_definitions_are_not_authentic() -> None:
    value, headers = definitions(PUBLISHED, REPLAY_SECRET)
    for changed in (value.replace(b"vip", b"vio"), None, b"\xff"):
        said = said_of(changed, headers)
        assert isinstance(said, RejectedEvent)
        assert said.reason == "not-authentic"


@pytest.mark.parametrize("value", [b"{}", b"[", b"\xff", b"[" * 10_000])
def test_what_we_signed_but_cannot_read_is_rejected(value: bytes) -> None:
    mac = IDS.derive("definitions-mac", value.decode("latin-1")).encode()
    said = said_of(value, (("tillstream", b"definitions"), ("tillstream-mac", mac)))
    assert isinstance(said, RejectedEvent)
    assert said.reason == "wrong-type"


@pytest.mark.parametrize("kind", [b"", b"tock", b"\xff", None])
def test_an_unknown_control_record_is_rejected(kind: bytes) -> None:
    said = said_of(b"{}", (("tillstream", kind),))
    assert isinstance(said, RejectedEvent)
    assert said.reason == "unknown-control"


def test_headers_of_others_are_let_alone() -> None:
    value = b'{"metric":"x","profile":{"email":"a@b.de"}}'
    assert isinstance(said_of(value, (("traceparent", b"00-1"),)), Event)


def test_a_reader_gives_the_key_and_reads_by_the_definitions_in_force() -> None:
    reader = EventReader(IDS, IngestSettings(default_region="DE"))
    value = b'{"metric":"x","profile":{"card":"7","phone":"030 123456","external_id":"Walk-In"}}'
    record = MemoryRecord(0, RECEIVED_AT, None, value)
    said = reader(record, RECEIVED_AT)
    assert isinstance(said, tuple)
    assert said[0] == "main/external_id/Walk-In"
    reader.adopt(PUBLISHED)
    said = reader(record, RECEIVED_AT)
    assert isinstance(said, tuple)
    assert said[0] == "main/phone/+4930123456"
    assert said[1].identifiers == (("phone", "+4930123456"), ("card", "7"))
    assert isinstance(reader(MemoryRecord(1, RECEIVED_AT, None, *tick()), RECEIVED_AT), Tick)
