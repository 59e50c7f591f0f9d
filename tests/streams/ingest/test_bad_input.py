"""Bad input by hand: every reason, with the field or the position it names (docs/bad-input.md)."""

import json
from pathlib import Path

import pytest

from schemas.events import Event, RejectedEvent
from streams.ingest.identifiers import Refusal
from streams.ingest.read import EVENT_BYTES_MAX
from streams.ingest.rejection import Reason
from tests.streams.ingest.reading import accepted, rejected, take, with_

GOOD = b'{"id":"g","metric":"Placed Order","profile":{"email":"ann@example.com"}}'


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


START = len('{"metric":"Placed Order","profile":{"email":"ann@example.com"},')

TABLE: dict[str, tuple[bytes | None, str, str | int | None]] = {
    "no value": (None, "empty", None),
    "empty value": (b"", "empty", None),
    "blanks": (b" \n", "empty", None),
    "broken UTF-8": (b'{"metric":"\xff"}', "not-utf-8", 11),
    "broken UTF-8 in an unknown key": (with_('"x\udcff":1'), "not-utf-8", START + 2),
    "half an encoded surrogate": (with_('"source":"\udced\udca0\udc80"'), "not-utf-8", START + 10),
    "broken UTF-8 in value": (with_('"value":"\udcff"'), "not-utf-8", START + 9),
    "UTF-16": (GOOD.decode().encode("utf-16"), "not-utf-8", 0),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, "not-json", None),
    "no JSON": (b"hello", "not-json", None),
    "cut off": (GOOD[:-1], "not-json", len(GOOD) - 1),
    "two documents": (GOOD + GOOD, "not-json", len(GOOD)),
    "trailing comma": (GOOD[:-1] + b",}", "not-json", len(GOOD)),
    "single quotes": (b"{'metric':1}", "not-json", 1),
    "leading zero": (with_('"value":01'), "not-json", START + 9),
    "NaN": (with_('"value":NaN'), "not-json", START + 8),
    "NaN in properties": (with_('"properties":{"price":NaN}'), "not-json", START + 22),
    "Infinity": (with_('"value":Infinity'), "not-json", START + 8),
    "half a surrogate pair": (with_(r'"source":"\ud83d"'), "not-json", START + 10),
    "the other half": (with_(r'"source":"a\\\udc00b"'), "not-json", START + 13),
    "two first halves": (with_(r'"source":"\ud83d\ud83d\ude00"'), "not-json", START + 10),
    "a first half, then a letter": (with_(r'"source":"\ud83d-"'), "not-json", START + 10),
    "half a surrogate pair in value": (with_(r'"value":"\ud83d"'), "not-json", START + 9),
    "many brackets in text without an end": (b'{"a":"' + b"[" * 100, "not-json", 106),
    "more closed than opened": (b'{"a":[' + b"[]," * 70 + b"[]]]}", "not-json", 219),
    "a number": (b"17", "not-an-object", "$"),
    "a list": (b"[" + GOOD + b"]", "not-an-object", "$"),
    "null": (b"null", "not-an-object", "$"),
    "1,000 lists": (with_(f'"properties":{{"a":{nested(1000)}}}'), "too-deep", START + 80),
    "65 levels": (with_(f'"properties":{{"a":{nested(63)}}}'), "too-deep", START + 80),
    "deep in an unknown key": (with_(f'"x":{nested(1000)}'), "too-deep", START + 67),
    "deep, never closed": (b"[" * 1_000_000, "too-deep", 64),
    "deep objects": (b'{"a":' * 70 + b"1" + b"}" * 70, "too-deep", 320),
    "deep behind a wrong type": (
        f'{{"metric":1,"x":{nested(500)}}}'.encode(),
        "too-deep",
        16 + 63,
    ),
    "deep behind brackets in text": (
        with_(f'"source":"]]]\\"]","properties":{{"a":{nested(100)}}}'),
        "too-deep",
        START + 98,
    ),
    "1e400": (with_('"value":1e400'), "bad-value", "$.value"),
    "1e400 in properties": (
        with_('"properties":{"a":{"b":[1,1e400]}}'),
        "number-out-of-range",
        "$.properties.a.b[1]",
    ),
    "-1e400 in traits": (
        with_('"id":"1"', '"email":"a@b.de","traits":{"x y":-1e400}'),
        "number-out-of-range",
        "$.profile.traits.x y",
    ),
    "1e400 in an unknown key": (with_('"shipping":1e400'), "number-out-of-range", "$.shipping"),
    "10^400": (with_(f'"value":1{"0" * 400}'), "bad-value", "$.value"),
    "10^400 in properties": (
        with_(f'"properties":{{"a":1{"0" * 400}}}'),
        "number-out-of-range",
        "$.properties.a",
    ),
    "10^5000 in properties": (
        with_(f'"properties":{{"a":1{"0" * 5000}}}'),
        "number-out-of-range",
        "$",
    ),
    "an exponent beyond reason": (
        with_('"properties":{"a":1e99999999999999999999},"x":1'),
        "number-out-of-range",
        "$",
    ),
    "2^64 in traits_once": (
        with_('"id":"1"', '"email":"a@b.de","traits_once":{"a":18446744073709551616}'),
        "number-out-of-range",
        "$.profile.traits_once.a",
    ),
    "a large number below a key that may be an address": (
        with_('"properties":{"ann@example.com":1e400}'),
        "number-out-of-range",
        "$.properties[...]",
    ),
    "no metric": (b'{"profile":{"email":"a@b.de"}}', "missing", "$.metric"),
    "no profile": (b'{"metric":"x"}', "missing", "$.profile"),
    "blank metric": (b'{"metric":" ","profile":{"email":"a@b.de"}}', "missing", "$.metric"),
    "null metric": (
        b'{"metric":null,"profile":{"email":"a@b.de"}}',
        "wrong-type",
        "$.metric",
    ),
    "metric of 129 characters": (
        b'{"metric":"%s","profile":{"email":"a@b.de"}}' % (b"x" * 129),
        "too-long",
        "$.metric",
    ),
    "zero-width metric": (
        '{"metric":"Placed\u200bOrder","profile":{"email":"a@b.de"}}'.encode(),
        "bad-metric",
        "$.metric",
    ),
    "metric is a number": (b'{"metric":1,"profile":{}}', "wrong-type", "$.metric"),
    "e-mail is a number": (
        b'{"metric":"x","profile":{"email":1}}',
        "wrong-type",
        "$.profile.email",
    ),
    "profile is a list": (b'{"metric":"x","profile":[]}', "wrong-type", "$.profile"),
    "traits is text": (with_('"id":"1"', '"traits":"x"'), "wrong-type", "$.profile.traits"),
    "properties is a list": (with_('"properties":[]'), "wrong-type", "$.properties"),
    "value is a list": (with_('"value":[1]'), "wrong-type", "$.value"),
    "value is true": (with_('"value":true'), "wrong-type", "$.value"),
    "backfill is text": (with_('"backfill":"yes"'), "wrong-type", "$.backfill"),
    "external id is an object": (
        with_('"id":"1"', '"external_id":{}'),
        "wrong-type",
        "$.profile.external_id",
    ),
    "external id with a fraction": (
        with_('"id":"1"', '"external_id":17.5'),
        "wrong-type",
        "$.profile.external_id",
    ),
    "trust is unknown": (with_('"trust":"admin"'), "wrong-type", "$.trust"),
    "mistyped key": (with_('"propertys":{}'), "unknown-key", "$.propertys"),
    "mistyped identifier": (
        b'{"metric":"x","profile":{"externalId":"1"}}',
        "unknown-key",
        "$.profile.externalId",
    ),
    "value is words": (with_('"value":"free"'), "bad-value", "$.value"),
    "value is 'NaN'": (with_('"value":"NaN"'), "bad-value", "$.value"),
    "value with a comma": (with_('"value":"39,80"'), "bad-value", "$.value"),
    "value with an underscore": (with_('"value":"1_000"'), "bad-value", "$.value"),
    "value text too fine": (with_('"value":"0.0000001"'), "bad-value", "$.value"),
    "value too large": (with_('"value":9223372036855'), "bad-value", "$.value"),
    "value a little too large": (with_('"value":9223372036854.775808'), "bad-value", "$.value"),
    "value of 65 digits": (with_(f'"value":0.{"1" * 63}'), "bad-value", "$.value"),
    "currency of two letters": (with_('"currency":"EU"'), "bad-currency", "$.currency"),
    "time without zone": (with_('"time":"2025-11-22T10:00:00"'), "bad-time", "$.time"),
    "time is words": (with_('"time":"yesterday"'), "bad-time", "$.time"),
    "30 February": (with_('"time":"2025-02-30T10:00:00Z"'), "bad-time", "$.time"),
    "year 9999": (with_('"time":"9999-12-31T23:59:59Z"'), "time-too-late", "$.time"),
    "year 9999 as a number": (with_('"time":253402300799'), "time-too-late", "$.time"),
    "10^400 as time": (with_(f'"time":1{"0" * 400}'), "time-too-late", "$.time"),
    "a year and a second ahead": (
        with_('"time":"2026-11-22T10:00:01Z"'),
        "time-too-late",
        "$.time",
    ),
    "1989": (with_('"time":"1989-12-31T23:59:59.999Z"'), "time-too-early", "$.time"),
    "time zero": (with_('"time":0'), "time-too-early", "$.time"),
    "store with capitals": (with_('"store":"Main"'), "bad-store", "$.store"),
    "store with a slash": (with_('"store":"a/b"'), "bad-store", "$.store"),
    "store with our own name": (with_('"store":"position"'), "bad-store", "$.store"),
    "id of 513 bytes": (with_(f'"id":"{"x" * 513}"'), "too-long", "$.id"),
    "source of 129 characters": (with_(f'"source":"{"x" * 129}"'), "too-long", "$.source"),
    "no identifier": (b'{"metric":"x","profile":{}}', "no-identifier", "$.profile"),
    "only null": (b'{"metric":"x","profile":{"email":null}}', "no-identifier", "$.profile"),
    "only zero-width characters": (
        '{"metric":"x","profile":{"external_id":"\u200b\ufeff"}}'.encode(),
        "no-identifier",
        "$.profile",
    ),
    "only junk": (b'{"metric":"x","profile":{"external_id":0}}', "no-identifier", "$.profile"),
}


@pytest.mark.parametrize("case", TABLE)
def test_bad_input_is_rejected_with_its_reason_and_place(case: str) -> None:
    value, reason, place = TABLE[case]
    found = rejected(value)
    assert found[0] == reason
    if place is not None:
        assert found[1] == place
    assert found[1] is not None or reason == "empty"


def test_the_table_has_a_case_for_every_reason_of_store_events() -> None:
    control = (Reason.UNKNOWN_CONTROL, Reason.NOT_AUTHENTIC, Reason.OUT_OF_SEQUENCE)
    of_control_records = {reason.value for reason in control}
    reasons = {reason.value for reason in Reason} - of_control_records - {Reason.TOO_LARGE.value}
    assert {reason for _, reason, _ in TABLE.values()} == reasons


def test_the_page_names_every_reason() -> None:
    page = (Path(__file__).parents[3] / "docs" / "bad-input.md").read_text(encoding="utf-8")
    for word in (*Reason, *Refusal):
        assert f"`{word.value}`" in page


def test_five_megabytes_are_accepted_and_a_byte_more_is_not() -> None:
    start, end = with_('"source":"shop","properties":{"text":"').removesuffix(b"}"), b'"}}'
    text = b"x" * (EVENT_BYTES_MAX - len(start) - len(end))
    assert len(accepted(start + text + end).properties["text"]) == len(text)
    said = take(start + text + b"x" + end)
    assert isinstance(said, RejectedEvent)
    assert (said.reason, said.position) == ("too-large", EVENT_BYTES_MAX)


def test_64_levels_are_accepted() -> None:
    value = with_(f'"properties":{{"a":{nested(62)}}}')
    assert accepted(value).properties["a"] != []


def test_many_brackets_side_by_side_or_in_text_are_not_deep() -> None:
    items = json.dumps([{"name": 'a " [[[ \\'}] * 1000)
    assert len(accepted(with_(f'"properties":{{"items":{items}}}')).properties["items"]) == 1000
    plain = json.dumps([{"name": "[[["}] * 1000)
    assert len(accepted(with_(f'"properties":{{"items":{plain}}}')).properties["items"]) == 1000


def test_the_reason_does_not_depend_on_the_depth_of_the_stack() -> None:
    def below(frames: int) -> Event | RejectedEvent:
        return take(TABLE["deep behind a wrong type"][0]) if not frames else below(frames - 1)

    assert below(0) == below(600)


def test_of_equal_keys_the_last_one_counts() -> None:
    profile = b'"profile":{"email":"a@b.de"}'
    assert accepted(b'{"metric":"x","metric":"y",' + profile + b"}").metric == "y"
    assert accepted(b'{"metric":1,"metric":"y",' + profile + b"}").metric == "y"
    assert rejected(b'{"metric":"x","metric":1,' + profile + b"}") == ("wrong-type", "$.metric")
    twice = with_('"properties":{"a":1,"a":2},"value":1,"value":"2"')
    assert (accepted(twice).properties, accepted(twice).value) == ({"a": 2}, 2_000_000)


def test_a_refused_identifier_is_reported_and_the_event_goes_on() -> None:
    value = with_(
        '"id":"1"',
        '"external_id":"\\u200b\\u200d","email":"nobody","phone":"null","device_id":"d-3"',
    )
    event = accepted(value)
    assert event.identifiers == (("device_id", "d-3"),)
    assert [(one.kind, one.reason) for one in event.refused] == [
        ("external_id", "empty"),
        ("email", "no-domain"),
        ("phone", "junk"),
    ]


def test_no_detail_holds_an_identifier() -> None:
    secret = "very.secret@example"
    for value in (
        with_('"id":"1"', f'"email":"{secret}"'),
        with_('"id":1', f'"email":["{secret}"]'),
        with_('"time":"x"', f'"email":"{secret}.com"'),
        with_(f'"{secret}":1e400', f'"email":"{secret}.com"'),
        with_('"id":"1"', f'"{secret}":1'),
    ):
        said = take(value)
        assert isinstance(said, RejectedEvent)
        assert "secret" not in f"{said.detail}{said.field}"


def test_good_events_between_bad_ones_go_through_unchanged() -> None:
    alone = accepted(GOOD)
    for value, _, _ in TABLE.values():
        take(value)
        assert take(GOOD) == alone
