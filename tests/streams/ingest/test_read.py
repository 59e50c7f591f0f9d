"""What an accepted store event becomes."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Event, RejectedEvent
from schemas.values import Micros
from streams.ingest.rejection import Reason
from streams.ingest.settings import IngestSettings
from streams.instants import to_instant
from tests.streams.ingest.reading import RECEIVED_AT, accepted, rejected, take, with_

EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples"
REASONS = {reason.value for reason in Reason}


def sent(**keys: Any) -> bytes:
    return json.dumps({"metric": "Viewed", "profile": {"email": "a@b.de"}, **keys}).encode()


# --- golden examples -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("store-event*.json")), ids=lambda p: p.name)
def test_each_example_of_a_store_event_is_accepted(path: Path) -> None:
    accepted(path.read_bytes(), received_at=to_instant("2026-11-22T12:00:00Z"))


def test_the_full_example_becomes_the_event_written_beside_it() -> None:
    event = accepted(
        (EXAMPLES / "store-event.1.json").read_bytes(),
        received_at=to_instant("2026-11-22T10:00:00.250Z"),
    )
    fields = json.loads(msgspec.json.encode(msgspec.structs.asdict(event)))
    assert json.loads((EXAMPLES / "event.1.json").read_text(encoding="utf-8")) == fields


def test_the_example_of_a_rejection_is_what_is_said_of_it() -> None:
    said = json.loads((EXAMPLES / "rejected-event.1.json").read_text(encoding="utf-8"))
    assert msgspec.to_builtins(take(b'{"metric":"x","profile":{"email":17}}')) == said


# --- defaults ------------------------------------------------------------------------------------


def test_only_metric_and_one_identifier_are_needed() -> None:
    event = accepted(b'{"metric":"Viewed","profile":{"anonymous_id":"a"}}')
    assert (event.occurred_at, event.received_at) == (RECEIVED_AT, RECEIVED_AT)
    assert (event.store, event.trust, event.source, event.backfill) == ("main", "server", "", False)
    assert (event.value, event.currency, event.traits, event.properties) == (None, None, {}, {})


def test_null_is_as_good_as_nothing() -> None:
    keys = ("id", "time", "store", "trust", "properties", "value", "currency", "source", "backfill")
    profile = {"email": "a@b.de", "phone": None, "traits": None, "traits_once": None}
    nothing = sent(profile=profile, **dict.fromkeys(keys))
    assert accepted(nothing) == accepted(sent())


def test_null_stays_in_traits_where_it_removes() -> None:
    profile = {"email": "a@b.de", "traits": {"city": None}}
    assert accepted(sent(profile=profile)).traits == {"city": None}


def test_a_bound_topic_ignores_the_store_that_a_record_claims() -> None:
    assert accepted(sent(store="other"), bound_store="mine").store == "mine"
    assert accepted(sent(store="Not/A Store"), bound_store="mine").store == "mine"
    assert accepted(sent(store="other")).store == "other"


def test_the_metric_is_trimmed() -> None:
    assert accepted(sent(metric=" Placed Order\n")).metric == "Placed Order"
    assert len(accepted(sent(metric="ä" * 128)).metric) == 128


# --- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "instant"),
    [
        ('"2025-11-22T09:00:00Z"', "2025-11-22T09:00:00Z"),
        ('"2025-11-22T10:00:00+01:00"', "2025-11-22T09:00:00Z"),
        ('"2025-11-22 09:00:00.1239Z"', "2025-11-22T09:00:00.123Z"),
        ('"2016-12-31T23:59:60Z"', "2017-01-01T00:00:00Z"),
        ('"1990-01-01T00:00:00Z"', "1990-01-01T00:00:00Z"),
        ("1763802000", "2025-11-22T09:00:00Z"),
        ("1763802000.5", "2025-11-22T09:00:00.5Z"),
        ("1763802000123", "2025-11-22T09:00:00.123Z"),
        ("631152000", "1990-01-01T00:00:00Z"),
    ],
)
def test_a_time_may_be_rfc_3339_or_a_number_of_seconds_or_milliseconds(
    time: str, instant: str
) -> None:
    event = accepted(with_(f'"time":{time}'))
    assert (event.occurred_at, event.claimed_at) == (to_instant(instant), None)


def test_what_lies_ahead_is_brought_back_and_the_claim_is_kept() -> None:
    event = accepted(sent(time="2026-11-22T10:00:00Z"))
    assert (event.occurred_at, event.claimed_at) == (
        RECEIVED_AT,
        to_instant("2026-11-22T10:00:00Z"),
    )
    assert accepted(sent(time="2025-11-22T10:00:00Z")).claimed_at is None


# --- money ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "micros"),
    [
        ("39.80", 39_800_000),
        ('"39.80"', 39_800_000),
        ('" 39.8 "', 39_800_000),
        ("-5", -5_000_000),
        ("0.001", 1_000),
        ('"0.000001"', 1),
        ("1e3", 1_000_000_000),
        ('"1.5E2"', 150_000_000),
        ("0.30000000000000004", 300_000),
        ("33.333333333333336", 33_333_333),
        ("0.0000005", 0),
        ("0.0000015", 2),
        ("1e-999999", 0),
        ("-0.0", 0),
        ('"9223372036854.775807"', (1 << 63) - 1),
        ("12345678901.123456", 12_345_678_901_123_456),
        ('"\\u0031"', 1_000_000),
    ],
)
def test_an_amount_is_kept_exactly(written: str, micros: Micros) -> None:
    assert accepted(with_(f'"value":{written}')).value == micros


@given(st.integers(-(1 << 63) + 1, (1 << 63) - 1), st.booleans())
def test_any_amount_of_six_places_is_kept_exactly(micros: int, quoted: bool) -> None:
    sign, size = "-" * (micros < 0), abs(micros)
    text = f"{sign}{size // 1_000_000}.{size % 1_000_000:06d}"
    written = f'"{text}"' if quoted else text
    assert accepted(with_(f'"value":{written}')).value == micros


def test_a_currency_is_upper_cased() -> None:
    assert accepted(sent(currency="eur")).currency == "EUR"


# --- ids -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "id_"), [("o-1", "o-1"), (1001, "1001"), (7.0, "7"), (" x ", "x")])
def test_an_id_of_its_own_is_kept(own: Any, id_: str) -> None:
    assert accepted(sent(id=own)).id == id_


@pytest.mark.parametrize("own", ["", " ", "null", "undefined", 0])
def test_an_id_that_is_a_placeholder_is_none(own: Any) -> None:
    assert accepted(sent(id=own)).id == accepted(sent()).id


def test_an_event_without_id_gets_one_from_its_full_content() -> None:
    one = sent(time="2025-11-22T09:00:00Z", properties={"order": 1, "x": [1, 2]}, value=5)
    same = with_('"value":"5.0","properties":{"x":[1,2],"order":1},"time":1763802000')
    same = same.replace(b"Placed Order", b"Viewed").replace(b"ann@example.com", b" A@B.de")
    later = RECEIVED_AT + 60_000
    assert accepted(one).id == accepted(same).id == accepted(one, received_at=later).id
    others = [
        sent(time="2025-11-22T09:00:00Z", properties={"order": 2, "x": [1, 2]}, value=5),
        sent(time="2025-11-22T09:00:01Z", properties={"order": 1, "x": [1, 2]}, value=5),
        sent(time="2025-11-22T09:00:00Z", properties={"order": 1, "x": [1, 2]}, value=6),
        sent(time="2025-11-22T09:00:00Z", properties={"order": 1, "x": [1, 2]}, value=5, store="b"),
    ]
    assert len({accepted(each).id for each in (one, *others)}) == 5


def test_a_claim_that_was_clamped_still_tells_two_events_apart() -> None:
    soon = [sent(time=f"2025-11-22T10:00:0{second}Z") for second in (1, 2)]
    assert len({accepted(each).id for each in soon}) == 2


def test_two_equal_page_views_without_a_time_stay_two() -> None:
    assert accepted(sent()).id != accepted(sent(), received_at=RECEIVED_AT + 1).id


# --- keys ----------------------------------------------------------------------------------------


def test_unknown_keys_are_kept_below_a_property_of_their_own() -> None:
    profile = {"email": "a@b.de", "nickname": "Ann"}
    event = accepted(sent(profile=profile, shipping={"carrier": "x"}, properties={"a": 1}))
    assert event.properties == {
        "a": 1,
        "$unknown": {"shipping": {"carrier": "x"}, "profile.nickname": "Ann"},
    }
    event = accepted(sent(shipping=1.5, properties={"$unknown": 2}))
    assert event.properties == {"$unknown": {"shipping": 1.5, "properties.$unknown": 2}}


def test_a_key_that_only_looks_like_one_that_is_there_is_kept() -> None:
    assert accepted(sent(value=1, values=[1])).properties == {"$unknown": {"values": [1]}}
    assert rejected(sent(values=[1])) == ("unknown-key", "$.values")
    assert accepted(sent(**{"x" * 65: 1})).properties == {"$unknown": {"x" * 65: 1}}


def test_an_event_out_of_a_replay_file_is_the_same_event() -> None:
    assert accepted(sent(received_at="2025-11-22T10:00:00Z")) == accepted(sent())


def test_a_stores_own_kinds_are_identifiers_strong_ones_before_weak_ones() -> None:
    own = IngestSettings(kinds=(("ios_id", "weak"), ("loyalty_card", "strong")))
    profile = {"ios_id": 5, "loyalty_card": "L-7", "anonymous_id": "a", "email": "a@b.de"}
    event = accepted(sent(profile=profile), stores={"main": own})
    assert [kind for kind, _ in event.identifiers] == [
        "email",
        "loyalty_card",
        "anonymous_id",
        "ios_id",
    ]
    assert dict(event.identifiers)["ios_id"] == "5"
    assert event.properties == {}
    elsewhere = accepted(sent(profile=profile, store="other"), stores={"main": own})
    assert elsewhere.properties == {
        "$unknown": {"profile.ios_id": 5, "profile.loyalty_card": "L-7"}
    }


def test_a_stores_own_kind_of_a_wrong_type_is_rejected_null_is_not() -> None:
    own: dict[str, Any] = {"kinds": (("loyalty_card", "strong"),)}
    profile: dict[str, Any] = {"email": "a@b.de", "loyalty_card": True}
    said = take(sent(profile=profile), **own)
    assert isinstance(said, RejectedEvent)
    assert (said.reason, said.field) == ("wrong-type", "$.profile.loyalty_card")
    profile["loyalty_card"] = None
    assert accepted(sent(profile=profile), **own).identifiers == (("email", "a@b.de"),)


def test_a_refused_identifier_of_a_stores_own_kind_is_not_kept_as_a_property() -> None:
    event = accepted(
        sent(profile={"email": "a@b.de", "card": "guest"}), kinds=(("card", "strong"),)
    )
    assert [one.kind for one in event.refused] == ["card"]
    assert event.properties == {}


# --- laws ----------------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_no_bytes_raise(value: bytes) -> None:
    assert take(value)


@given(st.text(max_size=100))
def test_no_text_raises(text: str) -> None:
    assert take(text.encode(errors="surrogatepass"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["id", "metric", "time", "store", "profile", "trust", "properties", "value", "currency", "x"]
)
PROFILES = st.dictionaries(
    st.sampled_from(["external_id", "email", "phone", "anonymous_id", "traits", "nick"]),
    JSON | st.sampled_from(["a@b.de", "c-17", "null"]),
    max_size=4,
)


@given(
    st.dictionaries(KEYS, JSON, max_size=6),
    st.text(min_size=1, max_size=10) | JSON,
    PROFILES,
)
def test_any_object_is_accepted_or_rejected_with_reason_and_place(
    document: dict[str, Any], metric: Any, profile: dict[str, Any]
) -> None:
    value = json.dumps({**document, "metric": metric, "profile": profile}).encode()
    said = take(value)
    if isinstance(said, RejectedEvent):
        assert said.reason in REASONS
        assert said.detail
        assert (said.field is None) != (said.position is None)
    else:
        assert said.identifiers
        assert said.id
        assert said.occurred_at <= said.received_at
        packed = msgspec.msgpack.encode(said)
        assert msgspec.msgpack.decode(packed, type=Event) == said


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4), st.text(max_size=20))
def test_what_was_accepted_and_sent_again_is_accepted_as_the_same(
    properties: dict[str, Any], external_id: str
) -> None:
    first = take(sent(properties=properties, profile={"external_id": external_id}, value="1.5"))
    if isinstance(first, RejectedEvent):
        return
    again = {
        "id": first.id,
        "metric": first.metric,
        "time": first.occurred_at,
        "store": first.store,
        "profile": dict(first.identifiers),
        "properties": first.properties,
        "value": "1.5",
    }
    assert accepted(msgspec.json.encode(again)) == first


def test_what_is_said_of_a_product_is_about_nobody_and_needs_the_product() -> None:
    said = accepted(
        b'{"metric":"Catalog Item Updated","profile":{"email":"ann@example.com"},'
        b'"properties":{"product_id":17,"price":"9.50"}}'
    )
    assert said.identifiers == (("$product", "17"),)
    nobody = b'{"metric":"Catalog Item Updated","properties":{"product_id":"p1"}}'
    assert accepted(nobody).identifiers == (("$product", "p1"),)
    for product in (b"", b'"product_id":""', b'"product_id":null', b'"product_id":true'):
        value = b'{"metric":"Catalog Item Updated","properties":{%s}}' % product
        assert rejected(value) == ("no-identifier", "$.properties.product_id")
    assert rejected(nobody.replace(b"{", b'{"trust":"client",', 1)) == ("missing", "$.profile")
