"""Segment calls: what they become, what is wrong with them and where."""

from pathlib import Path
from typing import Any

import pytest

from schemas.events import Event, RejectedEvent
from streams.ingest.segment import (
    ADDRESS,
    AMOUNTS,
    CLIENT_CHANNELS,
    CLIENT_LIBRARIES,
    METRICS,
    TRAITS,
)
from streams.ingest.settings import IngestSettings
from streams.instants import to_instant
from tests.streams.ingest.reading import accepted, changed, payload, rejected, take, written

IDENTIFY = payload("segment_identify")
ALIAS = payload("segment_alias")
PAGE = payload("segment_page")
COURSE = payload("segment_track_course_clicked")
ORDER = payload("segment_track_order_completed") | {"userId": "c-17"}

CHANNEL_AND_CONTEXT = {"channel": "browser", "context": IDENTIFY["context"]}


def call(document: dict[str, Any], **paths: Any) -> bytes:
    """A published call with changes; `__` stands for a dot."""
    for path, to in paths.items():
        document = changed(document, path.replace("__", "."), to)
    return written(document)


def track(event: str = "Played", **paths: Any) -> bytes:
    return call({"type": "track", "event": event, "userId": "c-17"}, **paths)


# --- the four calls ------------------------------------------------------------------------------


def test_identify_sets_traits_and_takes_email_and_phone_out_of_them() -> None:
    event = accepted(call(IDENTIFY, traits__phone="+15005550006"))
    assert (event.metric, event.id) == ("Identify", "022bb90c-bbac-11e4-8dfc-aa07a5b093db")
    assert event.occurred_at == to_instant("2015-02-23T22:28:55.111Z")
    assert (event.trust, event.source) == ("client", "segment")
    assert event.identifiers == (
        ("external_id", "97980cfea0067"),
        ("email", "peter@example.com"),
        ("phone", "+15005550006"),
        ("anonymous_id", "507f191e810c19729de860ea"),
    )
    assert event.traits == {
        "name": "Peter Gibbons",
        "plan": "premium",
        "logins": 5,
        "address1": "6th St",
        "city": "San Francisco",
        "region": "CA",
        "postal_code": "94103",
        "country": "USA",
    }
    assert event.properties == {"$unknown": CHANNEL_AND_CONTEXT}


def test_a_page_call_is_a_viewed_page() -> None:
    event = accepted(call(PAGE, category="Landing"))
    assert event.metric == "Viewed Page"
    assert event.properties == {
        "title": "Welcome | Initech",
        "url": "http://www.example.com",
        "name": "Home",
        "category": "Landing",
        "$unknown": CHANNEL_AND_CONTEXT,
    }
    assert accepted(call(PAGE, properties__name="Start")).properties["name"] == "Start"
    assert "name" not in accepted(call(PAGE, name=..., properties=...)).properties


def test_an_alias_names_the_previous_id_under_each_kind_it_may_be_of() -> None:
    event = accepted(written(ALIAS))
    previous = "39239-239239-239239-23923"
    assert event.metric == "Alias"
    assert event.identifiers == (
        ("external_id", "507f191e81"),
        ("anonymous_id", "507f191e810c19729de860ea"),
    )
    assert event.properties["previous"] == {"external_id": previous, "anonymous_id": previous}


def test_an_alias_of_its_own_anonymous_id_is_one_of_an_anonymous_id() -> None:
    event = accepted(call(ALIAS, previousId=ALIAS["anonymousId"]))
    assert event.properties["previous"] == {"anonymous_id": ALIAS["anonymousId"]}
    assert accepted(call(ALIAS, previousId=17)).properties["previous"]["external_id"] == "17"


def test_a_track_of_the_shops_own_words_keeps_its_name() -> None:
    event = accepted(written(COURSE))
    assert (event.metric, event.trust) == ("Course Clicked", "client")
    assert event.occurred_at == to_instant("2015-12-12T19:11:01.249Z")
    assert event.properties == {
        "title": "Intro to Analytics",
        "$unknown": {"context": COURSE["context"]},
    }


# --- e-commerce ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "metric", "micros", "currency"),
    [
        ("order_completed", "Placed Order", 22_500_000, "USD"),
        ("order_refunded", "Refunded Order", 30_000_000, "USD"),
        ("checkout_started", "Started Checkout", 25_000_000, "USD"),
        ("product_added", "Added to Cart", None, None),
        ("product_viewed", "Viewed Product", 18_990_000, "USD"),
    ],
)
def test_the_published_tracks_become_our_metrics(
    name: str, metric: str, micros: int | None, currency: str | None
) -> None:
    document = payload(f"segment_track_{name}") | {"anonymousId": "a-9"}
    event = accepted(written(document))
    assert (event.metric, event.value, event.currency) == (metric, micros, currency)
    assert event.trust == "server"
    expected = dict(document["properties"])
    if "products" in expected:
        expected["items"] = expected.pop("products")
    assert event.properties == expected


def test_every_event_of_the_table_has_a_metric_of_its_own() -> None:
    assert [accepted(track(f" {name} ")).metric for name in METRICS] == [*METRICS.values()]
    assert len(set(METRICS.values())) == len(METRICS)


def test_items_that_are_there_stay_and_products_beside_them() -> None:
    properties = {"items": [1], "products": [2]}
    assert accepted(call(ORDER, properties=properties)).properties == properties
    assert accepted(track(properties={"products": [2]})).properties == {"products": [2]}


@pytest.mark.parametrize(
    ("properties", "event", "micros"),
    [
        ({"revenue": "19.99", "total": 25}, "Order Completed", 19_990_000),
        ({"revenue": None, "total": 25}, "Order Completed", 25_000_000),
        ({"value": 5}, "Order Completed", 5_000_000),
        ({}, "Order Completed", None),
        ({"revenue": 19.99}, "Upgraded", 19_990_000),
        ({"value": 5, "total": "many", "currency": "coins"}, "Level Up", None),
    ],
)
def test_money_is_revenue_and_in_commerce_also_total_or_value(
    properties: dict[str, Any], event: str, micros: int | None
) -> None:
    assert accepted(track(event, properties=properties)).value == micros


def test_an_amount_is_kept_exactly() -> None:
    raw = track(properties={"revenue": 0.5}).replace(b"0.5", b"12345678901.123456")
    for value in (raw, raw.replace(b'"type"', b'"shipping": 1, "type"')):
        assert accepted(value).value == 12_345_678_901_123_456


# --- identifiers, traits, trust ------------------------------------------------------------------


def test_traits_of_the_call_go_before_those_of_its_context() -> None:
    traits = {"firstName": "Ann", "last_name": "Lee", "lastName": "Li", "email": "ann@example.com"}
    inherited = {"email": "old@example.com", "plan": "gold", "firstName": "A", "phone": None}
    event = accepted(track(traits=traits, context={"traits": inherited}))
    assert dict(event.identifiers) == {"external_id": "c-17", "email": "ann@example.com"}
    assert event.traits == {
        "first_name": "Ann",
        "last_name": "Lee",
        "lastName": "Li",
        "plan": "gold",
    }
    assert event.properties == {}
    assert accepted(track(context={"traits": inherited})).traits["first_name"] == "A"


@pytest.mark.parametrize(
    ("address", "traits"),
    [
        ({"city": "Wien", "door": 4}, {"city": "Wien", "address": {"door": 4}}),
        ({"city": "Wien"}, {"city": "Wien"}),
        ("Graben 1", {"address": "Graben 1"}),
        (None, {"address": None}),
        ({}, {}),
    ],
)
def test_an_address_comes_apart_into_traits(address: Any, traits: dict[str, Any]) -> None:
    assert accepted(track(traits={"address": address})).traits == traits


def test_a_trait_stays_in_the_address_where_its_name_is_taken() -> None:
    traits = {"city": "Graz", "address": {"city": "Wien"}}
    assert accepted(track(traits=traits)).traits == traits


@pytest.mark.parametrize(
    ("paths", "trust"),
    [
        ({}, "server"),
        ({"channel": "server"}, "server"),
        ({"channel": "browser"}, "client"),
        ({"channel": "mobile"}, "client"),
        ({"context": {"library": {"name": "analytics.js"}}}, "client"),
        ({"context": {"library": {"name": "analytics-ios"}}}, "client"),
        ({"context": {"library": {"name": "analytics-python"}}}, "server"),
        ({"context": {"library": "analytics.js"}}, "server"),
        ({"channel": "browser", "trust": "server"}, "server"),
        ({"trust": "client"}, "client"),
    ],
)
def test_what_anybody_can_call_is_trusted_as_a_client(paths: dict[str, Any], trust: str) -> None:
    assert accepted(track(**paths)).trust == trust


def test_transport_is_read_and_not_kept_and_unknown_keys_are() -> None:
    event = accepted(
        track(
            messageId="m-1",
            originalTimestamp="2025-11-22T09:00:00Z",
            sentAt="x",
            receivedAt="y",
            version=2,
            integrations={"All": False},
            writeKey="k",
            projectId="p",
            _metadata={},
            received_at=1,
            backfill=True,
            store="second",
            source="app",
            groupId="g-1",
            email="ann@example.com",
        )
    )
    assert (event.id, event.backfill, event.store, event.source) == ("m-1", True, "second", "app")
    assert event.occurred_at == to_instant("2025-11-22T09:00:00Z")
    assert event.properties == {"$unknown": {"groupId": "g-1", "email": "ann@example.com"}}
    assert event.identifiers == (("external_id", "c-17"),)


def test_a_stores_own_kind_may_stand_beside_the_user_id() -> None:
    own = IngestSettings(kinds=(("loyalty_card", "strong"),))
    event = accepted(track(loyalty_card="L-7"), stores={"main": own})
    assert event.identifiers == (("external_id", "c-17"), ("loyalty_card", "L-7"))
    assert event.properties == {}


# --- what is wrong -------------------------------------------------------------------------------

WRONG: dict[str, tuple[bytes, str, str | int]] = {
    "no type": (call(IDENTIFY, type=...), "missing", "$.type"),
    "a type that is a number": (call(IDENTIFY, type=1), "wrong-type", "$.type"),
    "a call that is not taken": (call(IDENTIFY, type="group"), "wrong-type", "$.type"),
    "no event": (call(COURSE, event=...), "missing", "$.event"),
    "a blank event": (track(" "), "missing", "$.event"),
    "a long event": (track("x" * 129), "too-long", "$.event"),
    "no previous id": (call(ALIAS, previousId=...), "missing", "$.previousId"),
    "a previous id with a fraction": (call(ALIAS, previousId=1.5), "wrong-type", "$.previousId"),
    "an alias of nobody": (call(ALIAS, userId=None), "wrong-type", "$.userId"),
    "no identifier": (track(userId=None), "no-identifier", "$"),
    "a user id with a fraction": (track(userId=1.5), "wrong-type", "$.userId"),
    "an anonymous id with a fraction": (track(anonymousId=1.5), "wrong-type", "$.anonymousId"),
    "a mistyped id": (track(user_id="c-17", userId=...), "unknown-key", "$.user_id"),
    "a mistyped key": (track(propertys={}), "unknown-key", "$.propertys"),
    "an e-mail that is a number": (track(traits={"email": 1}), "wrong-type", "$.traits.email"),
    "a phone that is a number": (
        track(context={"traits": {"phone": 49}}),
        "wrong-type",
        "$.context.traits.phone",
    ),
    "traits that are a list": (track(traits=[]), "wrong-type", "$.traits"),
    "traits of the context that are text": (
        track(context={"traits": "x"}),
        "wrong-type",
        "$.context.traits",
    ),
    "a time without a zone": (track(timestamp="2025-11-22T10:00:00"), "bad-time", "$.timestamp"),
    "an original time without a zone": (
        track(originalTimestamp="2025-11-22T10:00:00"),
        "bad-time",
        "$.originalTimestamp",
    ),
    "a long message id": (track(messageId="x" * 513), "too-long", "$.messageId"),
    "revenue with a sign": (
        track(properties={"revenue": "$19.99"}),
        "bad-value",
        "$.properties.revenue",
    ),
    "a total that is a list": (
        call(ORDER, properties={"total": []}),
        "wrong-type",
        "$.properties.total",
    ),
    "a currency in words": (
        call(ORDER, properties__currency="dollars"),
        "bad-currency",
        "$.properties.currency",
    ),
    "a currency that is a number": (
        call(ORDER, properties__currency=840),
        "wrong-type",
        "$.properties.currency",
    ),
    "a large number among the products": (
        call(ORDER, properties__products=[{"quantity": 1 << 64}]),
        "number-out-of-range",
        "$.properties.products[0].quantity",
    ),
    "a large number among the items": (
        call(ORDER, properties={"items": [1 << 64], "products": []}),
        "number-out-of-range",
        "$.properties.items[0]",
    ),
    "a large number in properties": (
        track(properties={"a": 1 << 64}),
        "number-out-of-range",
        "$.properties.a",
    ),
    "a large number in traits": (
        track(traits={"a": 1 << 64}, context={"traits": {"b": 1}}),
        "number-out-of-range",
        "$.traits.a",
    ),
    "a large number in traits of the context": (
        track(context={"traits": {"firstName": 1 << 64}}),
        "number-out-of-range",
        "$.context.traits.firstName",
    ),
    "a large postal code": (
        track(traits={"address": {"postalCode": 1 << 64}}),
        "number-out-of-range",
        "$.traits.address.postalCode",
    ),
    "a large number in the context": (
        track(context={"screen": {"width": 1 << 64}}),
        "number-out-of-range",
        "$.context.screen.width",
    ),
    "cut off": (track()[:-1], "not-json", len(track()) - 1),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named_in_segments_words(case: str) -> None:
    value, reason, place = WRONG[case]
    assert rejected(value) == (reason, place)


def test_a_call_that_lies_deep_is_rejected_for_that() -> None:
    deep = track(properties={"a": "deep"}).replace(b'"deep"', b"[" * 70 + b"]" * 70)
    assert rejected(deep)[0] == "too-deep"


# --- which shape it is ---------------------------------------------------------------------------


def test_metric_or_profile_makes_it_a_store_event_whatever_else_it_has() -> None:
    good = {"metric": "Played", "profile": {"email": "a@b.de"}}
    extra: dict[str, Any] = {"type": "track", "data": {}, "userId": "c-17"}
    event = accepted(written(good | extra))
    assert (event.metric, event.properties["$unknown"]) == ("Played", extra)
    assert rejected(written({"metric": "x"} | extra)) == ("missing", "$.profile")
    assert rejected(written({"profile": {}} | extra)) == ("missing", "$.metric")


def test_what_has_no_shape_is_a_store_event_that_lacks_something() -> None:
    assert rejected(b"{}") == ("missing", "$.metric")
    assert rejected(b'{"type":"order"}') == ("missing", "$.metric")
    assert rejected(b'{"type":"screen","event":"x"}') == ("wrong-type", "$.type")
    assert rejected(b'{"userId":"c-17"}') == ("missing", "$.type")


def test_no_detail_holds_an_identifier() -> None:
    for value in (
        track(" ", userId="very.secret@example.com"),
        track(traits={"email": "very.secret@nowhere"}, userId=None),
        call(ALIAS, userId="very.secret", previousId={"very.secret": 1}),
    ):
        said: Event | RejectedEvent = take(value)
        assert isinstance(said, RejectedEvent)
        assert "secret" not in f"{said.detail}{said.field}"


def test_the_page_has_every_name_that_is_taken_as_another() -> None:
    page = (Path(__file__).parents[3] / "docs" / "event-shapes.md").read_text(encoding="utf-8")
    for sent, ours in METRICS.items():
        assert f"| `{sent}` | `{ours}` |" in page
    named = {*CLIENT_CHANNELS, *CLIENT_LIBRARIES, *AMOUNTS, *TRAITS, *TRAITS.values()}
    for word in named | {*ADDRESS, *ADDRESS.values()}:
        assert f"`{word}`" in page
