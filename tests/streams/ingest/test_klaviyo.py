"""The body of Klaviyo's Events API: what it becomes, what is wrong with it and where."""

from typing import Any

import pytest

from schemas.events import RejectedEvent
from streams.ingest.settings import IngestSettings
from streams.instants import to_instant
from tests.streams.ingest.reading import accepted, changed, payload, rejected, take, written

BODY = payload("klaviyo_create_event")
EVENT = "data.attributes"
PERSON = "data.attributes.profile.data.attributes"
METRIC = "data.attributes.metric.data.attributes"


def body(**paths: Any) -> bytes:
    """The published body with changes; `__` stands for a dot, `EVENT`, `PERSON` for their paths."""
    document = BODY
    for path, to in paths.items():
        written_path = path.replace("EVENT", EVENT).replace("PERSON", PERSON)
        document = changed(document, written_path.replace("__", "."), to)
    return written(document)


def test_the_published_body_becomes_an_event() -> None:
    event = accepted(written(BODY))
    assert (event.metric, event.source, event.trust) == ("Viewed Product", "klaviyo", "server")
    assert event.occurred_at == to_instant("2022-11-08T00:00:00Z")
    assert (event.value, event.currency, event.backfill) == (9_990_000, "USD", False)
    assert event.identifiers == (
        ("email", "sarah.mason@klaviyo-demo.com"),
        ("phone", "+15005550006"),
    )
    assert event.traits == {
        "pseudonym": "Dr. Octopus",
        "first_name": "Sarah",
        "last_name": "Mason",
        "organization": "Example Corporation",
        "locale": "en-US",
        "title": "Regional Manager",
        "image": "https://images.pexels.com/photos/3760854/pexels-photo-3760854.jpeg",
        "address1": "89 E 42nd St",
        "address2": "1st floor",
        "city": "New York",
        "country": "United States",
        "latitude": "40.7128",
        "longitude": "74.0060",
        "region": "NY",
        "postal_code": "10017",
        "timezone": "America/New_York",
        "ip": "127.0.0.1",
        "skus": None,
    }
    meta = BODY["data"]["attributes"]["profile"]["data"]["attributes"]["meta"]
    assert event.properties == {
        "Brand": "Kids Book",
        "ProductID": 1111,
        "ProductName": "Winnie the Pooh",
        "$unknown": {f"{PERSON}.meta": meta},
    }


def test_what_is_not_there_is_no_trait_and_null_removes_one() -> None:
    event = accepted(
        body(
            PERSON__first_name=None,
            PERSON__last_name=...,
            PERSON__location={"city": None},
            PERSON__properties=None,
            PERSON__meta=None,
            PERSON__title=...,
            PERSON__image=...,
            EVENT__properties=None,
        )
    )
    assert event.traits == {
        "first_name": None,
        "organization": "Example Corporation",
        "locale": "en-US",
        "city": None,
    }
    assert event.properties == {}
    assert "city" not in accepted(body(PERSON__location=...)).traits


def test_klaviyos_names_go_before_custom_properties_of_the_same_name() -> None:
    event = accepted(body(PERSON__properties={"city": "Boston", "plan": "gold"}, PERSON__meta=...))
    assert (event.traits["city"], event.traits["plan"]) == ("New York", "gold")
    assert event.properties["$unknown"] == {f"{PERSON}.properties.city": "Boston"}


@pytest.mark.parametrize(
    ("meta", "removed"),
    [
        ({"patch_properties": {"unset": "plan"}}, {"plan"}),
        ({"patch_properties": {"unset": ["plan", 1, "size"]}}, {"plan", "size"}),
        ({"patch_properties": {"unset": 5}}, set()),
        ({"patch_properties": {"append": {"plan": "x"}}}, set()),
        ({"patch_identifiers": None}, set()),
    ],
)
def test_a_trait_that_is_unset_is_removed_other_patches_are_kept_unread(
    meta: dict[str, Any], removed: set[str]
) -> None:
    event = accepted(body(PERSON__meta=meta))
    assert {name for name, trait in event.traits.items() if trait is None} == removed
    assert event.properties["$unknown"] == {f"{PERSON}.meta": meta}


def test_a_trait_that_is_set_and_unset_is_set() -> None:
    meta = {"patch_properties": {"unset": "pseudonym"}}
    assert accepted(body(PERSON__meta=meta)).traits["pseudonym"] == "Dr. Octopus"


def test_all_four_identifiers_count_and_the_exchange_id_does_not() -> None:
    event = accepted(
        body(
            PERSON__external_id="c-17",
            PERSON__anonymous_id=9,
            PERSON___kx="N4bG",
            PERSON__meta=...,
            data__attributes__profile__data__id="01GDDKASAP8TKDDA2GRZDSVP4H",
            data__attributes__metric__data__attributes__service="api",
        )
    )
    assert event.identifiers == (
        ("external_id", "c-17"),
        ("email", "sarah.mason@klaviyo-demo.com"),
        ("phone", "+15005550006"),
        ("anonymous_id", "9"),
    )
    assert event.properties["$unknown"] == {
        f"{METRIC}.service": "api",
        "data.attributes.profile.data.id": "01GDDKASAP8TKDDA2GRZDSVP4H",
        f"{PERSON}._kx": "N4bG",
    }


def test_the_exchange_id_alone_identifies_nobody() -> None:
    assert rejected(body(PERSON={"_kx": "N4bG"})) == ("no-identifier", f"$.{PERSON}")


def test_unique_id_is_the_id_and_without_it_the_whole_content_is() -> None:
    assert accepted(body(EVENT__unique_id="o-1")).id == "o-1"
    # Klaviyo's own default is profile, metric and second: two products of one second were one.
    other = body(EVENT__properties={"ProductID": 2222})
    assert accepted(body()).id == accepted(body()).id != accepted(other).id


def test_back_fill_and_our_own_words_beside_the_body() -> None:
    event = accepted(
        body(EVENT__backfill=True, store="second", trust="client", source="pos", received_at=1)
    )
    assert (event.backfill, event.store, event.trust, event.source) == (
        True,
        "second",
        "client",
        "pos",
    )


def test_a_stores_own_kind_may_stand_beside_the_email() -> None:
    own = IngestSettings(kinds=(("loyalty_card", "strong"),))
    value = body(PERSON__loyalty_card="L-7", PERSON__nickname="Sal", PERSON__phone="1", x=[1])
    event = accepted(value, stores={"main": own})
    assert ("loyalty_card", "L-7") in event.identifiers
    assert dict(event.identifiers)["phone"] == "+15005550006"
    assert event.properties["$unknown"].keys() == {
        f"{PERSON}.meta",
        f"{PERSON}.nickname",
        f"{PERSON}.phone",
        "x",
    }
    said = take(body(PERSON__loyalty_card=[1]), stores={"main": own})
    assert isinstance(said, RejectedEvent)
    assert (said.reason, said.field) == ("wrong-type", f"$.{PERSON}.loyalty_card")


def test_an_amount_is_kept_exactly() -> None:
    raw = body(EVENT__value=0.5).replace(b'"value": 0.5', b'"value": 12345678901.123456')
    assert accepted(raw).value == 12_345_678_901_123_456
    assert accepted(raw.replace(b'"data"', b'"note": 1, "data"', 1)).value == 12_345_678_901_123_456
    assert accepted(body(EVENT__value="39.80")).value == 39_800_000
    assert accepted(body(EVENT__value=None)).value is None


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "a body that is no object": ({"data": 5}, "wrong-type", "$.data"),
    "a bulk job": ({"data__type": "event-bulk-create-job"}, "wrong-type", "$.data.type"),
    "no type": ({"data__type": ...}, "missing", "$.data.type"),
    "no attributes": ({"EVENT": ...}, "missing", "$.data.attributes"),
    "no metric": ({"EVENT__metric": ...}, "missing", "$.data.attributes.metric"),
    "a metric that is a name": (
        {"EVENT__metric": "Placed Order"},
        "wrong-type",
        "$.data.attributes.metric",
    ),
    "an empty metric": (
        {"data__attributes__metric__data__attributes__name": " "},
        "missing",
        f"$.{METRIC}.name",
    ),
    "a metric that is a number": (
        {"data__attributes__metric__data__attributes__name": 1},
        "wrong-type",
        f"$.{METRIC}.name",
    ),
    "no profile": ({"EVENT__profile": ...}, "missing", "$.data.attributes.profile"),
    "no identifier": ({"PERSON": {}}, "no-identifier", f"$.{PERSON}"),
    "an e-mail that is a number": ({"PERSON__email": 1}, "wrong-type", f"$.{PERSON}.email"),
    "a phone that is a number": (
        {"PERSON__phone_number": 1},
        "wrong-type",
        f"$.{PERSON}.phone_number",
    ),
    "an external id with a fraction": (
        {"PERSON__external_id": 1.5},
        "wrong-type",
        f"$.{PERSON}.external_id",
    ),
    "a name that is a number": (
        {"PERSON__first_name": 1},
        "wrong-type",
        f"$.{PERSON}.first_name",
    ),
    "a mistyped identifier": (
        {"PERSON__external_id": ..., "PERSON__externalId": "1"},
        "unknown-key",
        f"$.{PERSON}.externalId",
    ),
    "a mistyped place": (
        {"PERSON__location": {"time_zone": "Europe/Berlin"}},
        "unknown-key",
        f"$.{PERSON}.location.time_zone",
    ),
    "a mistyped currency": (
        {"EVENT__value_currency": ..., "EVENT__valueCurrency": "EUR"},
        "unknown-key",
        "$.data.attributes.valueCurrency",
    ),
    "a time without a zone": (
        {"EVENT__time": "2022-11-08T00:00:00"},
        "bad-time",
        "$.data.attributes.time",
    ),
    "a time long ago": (
        {"EVENT__time": "1989-01-01T00:00:00Z"},
        "time-too-early",
        "$.data.attributes.time",
    ),
    "a value that is words": ({"EVENT__value": "free"}, "bad-value", "$.data.attributes.value"),
    "a currency of two letters": (
        {"EVENT__value_currency": "US"},
        "bad-currency",
        "$.data.attributes.value_currency",
    ),
    "a unique id that is long": (
        {"EVENT__unique_id": "x" * 513},
        "too-long",
        "$.data.attributes.unique_id",
    ),
    "a store that is none": ({"store": "A/B"}, "bad-store", "$.store"),
    "a large number in properties": (
        {"EVENT__properties": {"a": [1 << 64]}},
        "number-out-of-range",
        "$.data.attributes.properties.a[0]",
    ),
    "a large number in custom properties": (
        {"PERSON__properties": {"a": 1 << 64}},
        "number-out-of-range",
        f"$.{PERSON}.properties.a",
    ),
    "a large postal code": (
        {"PERSON__location__zip": 1 << 64},
        "number-out-of-range",
        f"$.{PERSON}.location.zip",
    ),
    "a large number in an unknown key": (
        {"EVENT__note": 10**400},
        "number-out-of-range",
        "$.data.attributes.note",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named_in_klaviyos_words(case: str) -> None:
    changes, reason, place = WRONG[case]
    assert rejected(body(**changes)) == (reason, place)


def test_bytes_are_as_strictly_read_as_the_stores_own() -> None:
    value = body()
    assert rejected(value[:-1]) == ("not-json", len(value) - 1)
    deep = body(PERSON__properties={"a": "deep"}).replace(b'"deep"', b"[" * 60 + b"]" * 60)
    assert rejected(deep)[0] == "too-deep"
    assert rejected(value.replace(b"Kids", b"\xff"))[0] == "not-utf-8"
