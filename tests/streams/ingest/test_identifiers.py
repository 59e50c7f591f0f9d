"""What an identifier looks like once it is normalised, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.definitions import IdentifierRules, StoreSettings
from streams.ingest.identifiers import KINDS, Refusal, normalised
from streams.ingest.settings import IngestSettings, settings_of

PLAIN = IngestSettings()
GERMAN = IngestSettings(default_region="DE")


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("ann@example.com", "ann@example.com"),
        (" Ann@Example.COM\n", "ann@example.com"),
        ("\u200bann@example.com\ufeff", "ann@example.com"),
        ("a.n.n+tag@gmail.com", "a.n.n+tag@gmail.com"),
        ("ann@bücher.de", "ann@xn--bcher-kva.de"),
        ("ann@BÜCHER.de.", "ann@xn--bcher-kva.de"),
        ("ann@xn--bcher-kva.de", "ann@xn--bcher-kva.de"),
        ("ann@straße.de", "ann@xn--strae-oqa.de"),
        ("ann@bu\u0308cher.de", "ann@xn--bcher-kva.de"),
        ("ann@例え。jp", "ann@xn--r8jz45g.jp"),
        ("ann@ｅｘａｍｐｌｅ.com", "ann@example.com"),
        ("jürgen@example.com", "jürgen@example.com"),
        ("o'neil@example.co.uk", "o'neil@example.co.uk"),
        ("a..b@docomo.ne.jp", "a..b@docomo.ne.jp"),
        ("test@test.com", "test@test.com"),
        ("guest@example.com", "guest@example.com"),
        ("аnn@example.com", "аnn@example.com"),  # the first letter is Cyrillic
    ],
)
def test_an_email_is_written_in_one_way(written: str, address: str) -> None:
    assert normalised("email", written, PLAIN) == address


@pytest.mark.parametrize(
    ("written", "refusal"),
    [
        ("", Refusal.EMPTY),
        ("\u200b\u2060\x00", Refusal.EMPTY),
        ("ann", Refusal.NO_DOMAIN),
        ("ann@", Refusal.NO_DOMAIN),
        ("ann@localhost", Refusal.NO_DOMAIN),
        ("ann@10.0.0.1", Refusal.NO_DOMAIN),
        ("ann@-example.com", Refusal.NO_DOMAIN),
        ("ann@example..com", Refusal.NO_DOMAIN),
        ("ann@[10.0.0.1]", Refusal.NO_DOMAIN),
        ("ann@a＠b.com", Refusal.NO_DOMAIN),
        ("@example.com", Refusal.NOT_AN_EMAIL),
        ("a@b@example.com", Refusal.NOT_AN_EMAIL),
        ("a b@example.com", Refusal.NOT_AN_EMAIL),
        ("Ann <ann@example.com>", Refusal.NOT_AN_EMAIL),
        ("a\u200bnn@example.com", Refusal.INVISIBLE),
        ("a\x00nn@example.com", Refusal.INVISIBLE),
        ("a" * 65 + "@example.com", Refusal.NOT_AN_EMAIL),
        ("ann@" + "a." * 125 + "com", Refusal.TOO_LONG),
        ("x" * 10_000, Refusal.TOO_LONG),
        ("ä" * 257, Refusal.TOO_LONG),
        ("null", Refusal.JUNK),
        ("Undefined", Refusal.JUNK),
    ],
)
def test_what_is_no_email_is_refused(written: str, refusal: Refusal) -> None:
    assert normalised("email", written, PLAIN) is refusal


@pytest.mark.parametrize(
    ("written", "settings", "number"),
    [
        ("+4930123456", PLAIN, "+4930123456"),
        ("+49 (0)30 / 12 34 56", PLAIN, "+4930123456"),
        ("tel:+49-30-123456", PLAIN, "+4930123456"),
        ("030 123456", GERMAN, "+4930123456"),
        ("0049 30 123456", GERMAN, "+4930123456"),
        ("+1 555 010 0123", GERMAN, "+15550100123"),
        ("030 123456", PLAIN, Refusal.NO_COUNTRY),
        ("call me", PLAIN, Refusal.NO_COUNTRY),
        ("555 0100", IngestSettings(default_region="US"), Refusal.NOT_A_PHONE),
        ("123", GERMAN, Refusal.NOT_A_PHONE),
        ("+49", GERMAN, Refusal.NOT_A_PHONE),
        ("call me", GERMAN, Refusal.NOT_A_PHONE),
        ("+999123456789", PLAIN, Refusal.NOT_A_PHONE),
        ("00000000", GERMAN, Refusal.JUNK),
    ],
)
def test_a_phone_number_is_written_as_e164(
    written: str, settings: IngestSettings, number: str | Refusal
) -> None:
    assert normalised("phone", written, settings) == number


@pytest.mark.parametrize(
    "junk",
    [
        "null", "NULL", "undefined", "None", "nil", "NaN", "n/a", "guest", "Guest", "anonymous",
        "unknown", "0", "00", "-1", "-", "?", "[object Object]", "{}", "true",
        "00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    ],
)  # fmt: skip
def test_placeholders_are_no_identifiers(junk: str) -> None:
    for kind in KINDS:
        assert normalised(kind, f" {junk} ", PLAIN) is Refusal.JUNK


@pytest.mark.parametrize(
    "ordinary", ["17", "-17", "01", "test", "Guest-17", "A b", "c/17", "nullable", "10", "Ünal"]
)
def test_ordinary_names_are_kept_as_they_are(ordinary: str) -> None:
    assert normalised("external_id", ordinary, PLAIN) == ordinary


def test_a_store_adds_junk_of_its_own_also_in_other_spellings() -> None:
    rules = IdentifierRules(junk=(" Walk-In ", "+4930000000", "noreply@shop.de"))
    settings = settings_of(StoreSettings(identifiers=rules))
    assert normalised("external_id", "walk-in", settings) is Refusal.JUNK
    assert normalised("external_id", "null", settings) is Refusal.JUNK
    assert normalised("phone", "+49 30 000000", settings) is Refusal.JUNK
    assert normalised("email", "NoReply@Shop.de", settings) is Refusal.JUNK
    assert normalised("email", "ann@shop.de", settings) == "ann@shop.de"


ALMOST = st.text(alphabet="aÄßİ.@ +49\u200b\u0130\u00ad\u3002Ａ０٣-", max_size=24)


@given(st.sampled_from(KINDS), st.text(max_size=40) | ALMOST | st.emails(), st.booleans())
def test_normalising_twice_changes_nothing(kind: str, value: str, german: bool) -> None:
    settings = GERMAN if german else PLAIN
    once = normalised(kind, value, settings)
    if not isinstance(once, Refusal):
        assert normalised(kind, once, settings) == once
        assert once.isprintable()
        assert once == once.strip()
