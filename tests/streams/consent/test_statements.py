"""What each kind of event says about consent, and about whose."""

from typing import Any

import msgspec
import pytest

from schemas.definitions import ProfileList, SmsKeywords, StoreSettings
from schemas.records import AddressState
from schemas.rows import ProfileRow
from streams.consent.receiving import address_of, may_receive
from streams.consent.state import (
    HARD_BOUNCE,
    NEVER,
    SPAM_COMPLAINT,
    denied,
    granted,
    join,
    state_of,
    suppressed,
)
from streams.consent.statements import address_statements, rules_of, statements
from tests.scenarios.play import event_of

LISTS = {
    "double": ProfileList("double"),
    "single": ProfileList("single", "single"),
    "staff": ProfileList("staff", "none"),
}
RULES = rules_of(StoreSettings(), LISTS)
EMAIL, PHONE, DEVICE = ("email", "a@example.com"), ("phone", "+4930123456"), ("device_id", "d-3")


def said(metric: str, *who: tuple[str, str], trust: str = "server", **said: Any) -> dict[str, str]:
    """Channel -> state or suppression, as one event says it."""
    event = event_of(metric, "e1", 1000, who or (EMAIL, PHONE), said, trust=trust)
    return {
        channel: ",".join(state.suppressed) or state_of(state)
        for _, channel, state in address_statements(event, RULES)
    }


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({}, {"email": "granted"}),
        ({"channel": "sms"}, {"sms": "granted"}),
        ({"channel": "SMS"}, {"sms": "granted"}),
        ({"channel": ""}, {"email": "granted"}),
        ({"channel": "fax"}, {}),
        ({"channel": "fax", "list": "double"}, {}),
        ({"channel": "fax", "purpose": "transactional"}, {}),
        ({"list": "double"}, {"email": "pending"}),
        ({"list": "unheard-of"}, {"email": "pending"}),
        ({"list": ["single"]}, {"email": "pending"}),
        ({"list": 5}, {"email": "pending"}),
        ({"list": "double", "historical_import": True}, {"email": "granted"}),
        ({"list": "single"}, {"email": "granted"}),
        ({"list": "staff"}, {"email": "granted"}),
        ({"channel": "push"}, {}),
    ],
)
def test_a_subscription_grants_or_asks(properties: dict[str, Any], words: dict[str, str]) -> None:
    assert said("Subscribed", **properties) == words


def test_who_leaves_only_a_phone_subscribes_to_texts() -> None:
    assert said("Subscribed", PHONE) == {"sms": "granted"}


def test_a_confirmation_by_text_opts_in_e_mail_too_and_a_browser_confirms_nothing() -> None:
    both = {"sms": "granted", "email": "granted"}
    imported = {"historical_import": True}
    assert said("Confirmed Subscription", channel="sms", **imported) == both
    assert said("Confirmed Subscription", **imported) == {"email": "granted"}
    assert said("Confirmed Subscription", channel="sms").keys() == both.keys()
    assert said("Confirmed Subscription", trust="client") == {}


def test_a_channel_that_there_is_not_grants_and_lifts_nothing_and_denies_everywhere() -> None:
    assert said("Confirmed Subscription", channel="fax") == {}
    assert said("Joined List", channel="fax", list="staff") == {}
    assert said("Unsuppressed", channel="fax") == {}
    assert said("Unsubscribed", EMAIL, channel="fax") == {"email": "denied"}
    assert said("Suppressed", EMAIL, channel="fax") == {"email": "manual"}


def test_a_denial_without_a_channel_is_for_all_of_them() -> None:
    assert said("Unsubscribed", EMAIL, PHONE, DEVICE) == dict.fromkeys(
        ("email", "sms", "whatsapp", "push"), "denied"
    )
    assert said("Unsubscribed", channel="sms") == {"sms": "denied"}
    assert said("Unsubscribed", list="double") == {}
    assert said("Unsubscribed", channel="email", list="staff") == {"email": "denied"}


def test_who_is_put_on_an_opt_out_list_has_consent_until_they_deny() -> None:
    assert said("Joined List", list="staff") == {"email": "granted"}
    assert said("Joined List", list="double") == {}
    event = event_of("Joined List", "e", 9000, (EMAIL,), {"list": "staff"})
    ((_, _, grant),) = address_statements(event, RULES)
    assert state_of(join(grant, denied((5, 5, 9), None, None))) == "denied"


@pytest.mark.parametrize(
    ("reason", "suppressed"),
    [(None, "manual"), ("hard-bounce", "hard-bounce"), ("we dislike them", "manual")],
)
def test_a_suppression_has_a_reason_we_know(reason: str | None, suppressed: str) -> None:
    assert said("Suppressed", channel="email", reason=reason) == {"email": suppressed}


@pytest.mark.parametrize(
    ("reason", "left"),
    [(None, ()), ("hard-bounce", ()), ("we liked them again", (HARD_BOUNCE,))],
)
def test_a_suppression_is_lifted_by_its_reason_or_altogether(
    reason: str | None, left: tuple[str, ...]
) -> None:
    event = event_of("Unsuppressed", "e", 1000, (EMAIL,), {"channel": "email", "reason": reason})
    ((_, _, lift),) = address_statements(event, RULES)
    assert join(suppressed((5, 5, 9), HARD_BOUNCE), lift).suppressed == left
    assert said("Unsuppressed", trust="client") == {}


def test_a_complaint_denies_and_suppresses() -> None:
    for metric, meant in (("Marked Email as Spam", EMAIL), ("Marked SMS as Spam", PHONE)):
        event = event_of(metric, "e", 9, (EMAIL, PHONE), {})
        ((address, _, state),) = address_statements(event, RULES)
        assert (address, state_of(state)) == (meant, "denied")
        assert state.suppressed == ("spam-complaint",)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("STOP", {"sms": "denied"}),
        (" please, Stop! ", {"sms": "denied"}),
        ("stopping by later", {}),
        ("Start", {"sms": "granted"}),
        ("start now", {}),
        ("STOP, do not START", {"sms": "denied"}),
        ("ＳＴＯＰ", {"sms": "denied"}),
        ("help", {}),
        ("Yes!", {"sms": "never", "email": "never"}),
        (None, {}),
    ],
)
def test_replies_to_texts(body: str | None, words: dict[str, str]) -> None:
    assert said("Received SMS Reply", body=body) == words


def test_a_stores_own_keywords_and_who_may_say_start() -> None:
    keywords = SmsKeywords(stop=("no more",), match={"stop": "exact", "start": "word"})
    rules = rules_of(StoreSettings(sms_keywords=keywords), {})

    def says(body: str, trust: str = "server") -> list[str]:
        event = event_of("Received SMS Reply", "e", 9, (PHONE,), {"body": body}, trust=trust)
        return [state_of(state) for _, state in statements(event, rules)]

    assert says("No  more.") == ["denied"]
    assert says("no more texts") == []
    assert says("I start again") == ["granted"]
    assert says("start", "client") == []


@pytest.mark.parametrize(
    ("metric", "properties"),
    [
        ("Suppressed", {}),
        ("Unsuppressed", {}),
        ("Bounced Email", {"bounce": "hard"}),
        ("Bounced SMS", {"bounce": "hard"}),
        ("Received Email", {}),
        ("Marked Email as Spam", {}),
        ("Marked SMS as Spam", {}),
        ("Received SMS Reply", {"body": "STOP"}),
        ("Received SMS Reply", {"body": "START"}),
        ("Confirmed Subscription", {}),
        ("Joined List", {"list": "staff"}),
    ],
)
def test_what_needs_a_server_says_nothing_from_a_client(
    metric: str, properties: dict[str, Any]
) -> None:
    event = event_of(metric, "e", 9, (EMAIL, PHONE), properties)
    assert statements(event, RULES)
    assert not statements(msgspec.structs.replace(event, trust="client"), RULES)


def test_a_client_grants_only_where_nothing_was_ever_denied() -> None:
    event = event_of("Subscribed", "e", 9000, (EMAIL,), {}, trust="client")
    ((_, _, grant),) = address_statements(event, RULES)
    assert state_of(grant) == "granted"
    for at in ((5, 5), (8999, 8999), (9001, 9001)):
        no = denied(at, None, None)
        assert state_of(join(no, grant)) == state_of(join(grant, no)) == "denied"
    assert state_of(join(grant, granted((5, 5, 9), None, None))) == "granted"
    complaint = join(suppressed((5, 5, 9), SPAM_COMPLAINT), grant)
    assert complaint.suppressed == (SPAM_COMPLAINT,)


def test_a_client_asks_after_a_denial_too_and_imports_no_history() -> None:
    event = event_of("Subscribed", "e", 9000, (EMAIL,), {"list": "double"}, trust="client")
    ((_, _, asks),) = address_statements(event, RULES)
    assert state_of(join(denied((5, 5, 9), None, None), asks)) == "pending"
    assert said("Subscribed", trust="client", list="double", historical_import=True) == {
        "email": "pending"
    }


def test_a_denial_counts_whoever_says_it() -> None:
    assert said("Unsubscribed", EMAIL, trust="client") == {"email": "denied"}


def test_bounces_and_deliveries_are_of_their_channel() -> None:
    assert said("Bounced Email", bounce="hard") == {"email": "hard-bounce"}
    assert said("Bounced SMS", bounce="hard") == {"sms": "hard-bounce"}
    event = event_of("Bounced Email", "e", 9, (EMAIL,), {"bounce": "soft"})
    assert [state.soft_bounces for _, state in statements(event, RULES)] == [1]
    event = event_of("Received Email", "e", 9, (EMAIL,), {})
    assert [state.delivered_at for _, state in statements(event, RULES)] == [9]


def test_other_events_say_nothing() -> None:
    assert said("Placed Order") == {}
    assert statements(event_of("Placed Order", "e", 9, (EMAIL,), {}), RULES) == []


def profile(**states: AddressState) -> ProfileRow:
    emails = {"new@x.de": 2, "old@x.de": 1}
    row = ProfileRow(id="i-1", identifiers={"email": emails, "phone": {"+49301": 1}})
    for name, state in states.items():
        row.consent.setdefault("email", {})[f"{name}@x.de"] = state
    return row


def test_the_address_in_use_is_the_newest_that_consented_else_the_newest() -> None:
    yes = granted((5, 5, 9), None, None)
    assert address_of(profile(), "email") == "new@x.de"
    assert address_of(profile(old=yes), "email") == "old@x.de"
    assert address_of(profile(old=yes, new=yes), "email") == "new@x.de"
    dead = join(yes, suppressed((6, 6, 9), HARD_BOUNCE))
    assert address_of(profile(old=yes, new=dead), "email") == "old@x.de"
    assert address_of(profile(), "push") is None
    assert address_of(profile(), "in_app") == "i-1"


def test_who_may_receive() -> None:
    settings = StoreSettings(consent={"email": "not_denied", "sms": "not_denied"})
    explicit = StoreSettings()
    yes = granted((5, 5, 9), None, None)
    assert may_receive(profile(new=yes), "email", explicit)
    assert not may_receive(profile(new=NEVER), "email", explicit)
    assert may_receive(profile(new=NEVER), "email", settings)
    assert not may_receive(profile(), "sms", settings)
    assert not may_receive(profile(), "push", settings)
    assert may_receive(profile(), "in_app", explicit)
    assert not may_receive(
        profile(new=join(yes, suppressed((6, 6, 9), HARD_BOUNCE))), "email", explicit
    )
