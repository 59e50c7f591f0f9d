"""Laws of the shapes that are not ours: whatever is done to a good one, it is judged."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Event, RejectedEvent
from streams.ingest.rejection import Reason
from streams.instants import to_instant
from tests.streams.ingest.reading import PAYLOADS, RECEIVED_AT, accepted, payload, take, written
from tests.streams.ingest.test_read import JSON

REASONS = {reason.value for reason in Reason}
GOOD = [
    document if document.get("userId") or "data" in document else document | {"userId": "c-17"}
    for document in (payload(path.stem) for path in sorted(PAYLOADS.glob("*.json")))
]
EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples"
OTHERS = sorted([*EXAMPLES.glob("klaviyo-*.json"), *EXAMPLES.glob("segment-call-*.json")])
NOON = to_instant("2026-11-22T12:00:00Z")
Place = tuple[str | int, ...]


def paths(level: Any, path: Place = ()) -> Iterator[Place]:
    """Every place in a document, the outermost first."""
    inner: Any = ()
    if isinstance(level, dict):
        inner = level.items()
    elif isinstance(level, list):
        inner = enumerate(level)
    for key, below in inner:
        yield (*path, key)
        yield from paths(below, (*path, key))


NEW = JSON | st.sampled_from(["a@b.de", "null", 1 << 64, "12,5", "", -1])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good payload in which a few places were replaced, removed, renamed or added to."""
    document = json.loads(written(draw(st.sampled_from(GOOD))))
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from([("x",), *paths(document)]))
        level = document
        for key in parents:
            level = level[key]
        said = draw(NEW) if isinstance(level, list) else level.pop(last, None)
        match draw(st.sampled_from(["replace", "remove", "rename", "add"])):
            case _ if isinstance(level, list):
                level[last] = said
            case "replace":
                level[last] = draw(NEW)
            case "rename":
                level[draw(st.sampled_from([f"{last}s", f"_{last}", last.upper()]))] = said
            case "add":
                level[last] = said
                level[draw(st.text(max_size=8) | st.sampled_from(["metric", "data"]))] = draw(NEW)
    return written(document)


def judged(value: bytes) -> None:
    said = take(value)
    if isinstance(said, RejectedEvent):
        assert said.reason in REASONS
        assert said.detail
        assert (said.field is None) != (said.position is None)
        assert said.field is None or said.field.startswith("$")
    else:
        assert said.identifiers
        assert said.id
        assert said.metric
        assert said.occurred_at <= said.received_at
        packed = msgspec.msgpack.encode(said)
        assert msgspec.msgpack.decode(packed, type=Event) == said
    assert take(value) == said


@given(mutated())
def test_any_mutation_is_accepted_or_rejected_with_reason_and_place(value: bytes) -> None:
    judged(value)


@given(st.sampled_from(GOOD), st.data())
def test_so_is_any_mutation_of_the_bytes(document: dict[str, Any], data: st.DataObject) -> None:
    value = bytearray(written(document))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(value) - 1))
        value[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    said = take(bytes(value))
    if isinstance(said, RejectedEvent):
        assert said.reason in REASONS
        assert said.reason == "empty" or (said.field is None) != (said.position is None)


@pytest.mark.parametrize("document", GOOD, ids=lambda one: one.get("event", one.get("type", "")))
def test_the_order_of_keys_does_not_count_and_a_repeat_is_the_same(
    document: dict[str, Any],
) -> None:
    backwards = json.loads(written(document), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    # without a time, the time of receipt belongs to the derived id
    later = RECEIVED_AT + (60_000 if "timestamp" in document or "data" in document else 0)
    assert accepted(written(backwards), received_at=later).id == accepted(written(document)).id


@pytest.mark.parametrize("document", GOOD, ids=lambda one: one.get("event", one.get("type", "")))
def test_a_closer_look_finds_the_same_and_keeps_what_made_it_necessary(
    document: dict[str, Any],
) -> None:
    at_once, closely = accepted(written(document)), accepted(written(document | {"zzz": 1}))
    unknown = at_once.properties.get("$unknown", {}) | {"zzz": 1}
    assert closely.properties == at_once.properties | {"$unknown": unknown}
    same = ("metric", "occurred_at", "trust", "identifiers", "traits", "value", "currency")
    assert [getattr(closely, name) for name in same] == [getattr(at_once, name) for name in same]


# --- golden examples -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.name)
def test_each_example_of_another_shape_is_accepted(path: Path) -> None:
    accepted(path.read_bytes(), received_at=NOON)


def test_an_order_is_the_same_event_in_every_shape() -> None:
    names = ("store-event", "klaviyo-event", "segment-call-track")
    ours, klaviyos, segments = (
        accepted((EXAMPLES / f"{name}.1.json").read_bytes(), received_at=NOON) for name in names
    )
    for other in (klaviyos, segments):
        for field in ("id", "metric", "occurred_at", "store", "trust", "value", "currency"):
            assert getattr(other, field) == getattr(ours, field)
        assert other.identifiers == ours.identifiers[:4]
        assert other.properties["items"] == ours.properties["items"]
        assert (
            other.traits.items()
            >= {
                "first_name": "Ann",
                "plan": "gold",
                "city": "Berlin",
                "country": "Germany",
                "postal_code": "10115",
            }.items()
        )
