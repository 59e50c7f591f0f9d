"""What an address might receive at any instant of the past, by the words the path said then."""

from collections.abc import Iterator
from typing import Any

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from agents.migrations import migrate
from agents.reports.consent import ConsentStory, consent_story
from schemas.definitions import StoreSettings
from schemas.values import Instant
from streams.consent.history import permissions
from streams.instants import to_instant, to_timestamp
from tests.agents.kept import keep
from tests.scenarios.shop import MINUTE, Shop

ANN, OLD, PHONE = "ann@example.com", "ann@old.example.com", "+4930123456"
PINGS = """
store: main
address: "Beispielgasse 1, 10115 Berlin"
---
flow: ping
trigger: {did: Ping}
steps:
  - {send: by-email, channel: email, template: t, smart_sending: false}
  - {send: by-sms, channel: sms, template: t, smart_sending: false, quiet_hours: ignore}
---
list: newsletter
"""


@pytest.fixture
def client() -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        migrate(opened)
        yield opened


def might(story: ConsentStory, kind: str, address: str, at: Instant) -> dict[str, Any]:
    """Channel -> (word, objection to marketing, objection to what is owed)."""
    settings = StoreSettings()
    return {
        one.channel: (one.word, one.marketing, one.transactional)
        for one in permissions(kind, address, story.changes, settings, at)
    }


def test_every_instant_has_the_answer_that_was_right_then(client: Client) -> None:
    shop = Shop(PINGS)
    begin = shop.now
    shop.event("Subscribed", external_id="17", email=ANN, properties={"list": "newsletter"})
    asked = shop.now
    confirmed = shop.event("Confirmed Subscription", email=ANN, properties={"method": "link"})
    granted = shop.now
    bounced = shop.event("Bounced Email", email=ANN, properties={"bounce": "hard"})
    dead = shop.now
    shop.event("Unsuppressed", email=ANN, properties={"channel": "email"})
    denied = shop.event("Unsubscribed", email=ANN, properties={"channel": "email"})
    keep(client, shop)

    story = consent_story(client, "main", "Ann@Example.com")
    assert [story.addresses[0]] == [("email", ANN)]
    assert might(story, "email", ANN, begin - 1) == {"email": ("never", "no-consent", None)}
    assert might(story, "email", ANN, asked - 1) == {"email": ("pending", "no-consent", None)}
    assert might(story, "email", ANN, granted - 1) == {"email": ("granted", None, None)}
    assert might(story, "email", ANN, dead - 1) == {
        "email": ("granted", "suppressed", "suppressed")
    }
    (now,) = permissions("email", ANN, story.changes, StoreSettings(), shop.now)
    assert (now.word, now.marketing, now.transactional) == ("denied", "no-consent", None)
    assert now.word_by is not None
    assert story.causes[now.word_by.cause].event_id == denied
    (then,) = permissions("email", ANN, story.changes, StoreSettings(), dead - 1)
    assert then.word_by is not None
    assert then.suppressed_by is not None
    assert story.causes[then.word_by.cause].event_id == confirmed
    assert story.causes[then.word_by.cause].said == {"method": "link"}
    assert story.causes[then.suppressed_by.cause].event_id == bounced


def test_a_grant_that_came_too_late_was_not_known_before(client: Client) -> None:
    """What happened at nine and was told at ten was not known at half past nine."""
    shop = Shop(PINGS)
    nine = shop.now
    shop.wait(60 * MINUTE)
    shop.event("Subscribed", email=ANN, time=to_timestamp(nine), properties={"channel": "email"})
    keep(client, shop)
    story = consent_story(client, "main", ANN)
    assert might(story, "email", ANN, nine + 30 * MINUTE)["email"][0] == "never"
    assert might(story, "email", ANN, nine + 60 * MINUTE)["email"][0] == "granted"
    assert story.changes[0].said_at == to_timestamp(nine)


def test_whichever_address_is_asked_for_all_of_the_person_are_told(client: Client) -> None:
    shop = Shop(PINGS)
    shop.event("Subscribed", email=OLD, properties={"channel": "email"})
    shop.event("Subscribed", email=ANN, phone=PHONE, properties={"channel": "sms"})
    shop.event("Identify", external_id="17", email=OLD)
    shop.event("Identify", external_id="17", email=ANN)
    shop.event("Received SMS Reply", phone=PHONE, properties={"body": "please STOP it"})
    keep(client, shop)
    for asked in (ANN, OLD, PHONE, "external_id/17"):
        story = consent_story(client, "main", asked)
        assert set(story.addresses) == {("email", ANN), ("email", OLD), ("phone", PHONE)}
        assert might(story, "email", OLD, shop.now)["email"] == ("granted", None, None)
        assert might(story, "email", ANN, shop.now)["email"] == ("never", "no-consent", None)
        assert might(story, "phone", PHONE, shop.now)["sms"] == ("denied", "no-consent", None)
        assert "body" not in msgspec.json.encode(story).decode()
    assert consent_story(client, "main", ANN).addresses[0] == ("email", ANN)
    assert consent_story(client, "main", "nobody@example.com").addresses == []


def test_every_send_was_decided_by_what_is_told_later(client: Client) -> None:
    shop = Shop(PINGS)
    who = {"external_id": "17", "email": ANN, "phone": PHONE}
    for metric, said in (
        ("Identify", {}),
        ("Subscribed", {"channel": "email"}),
        ("Subscribed", {"channel": "sms"}),
        ("Received SMS Reply", {"body": "stop"}),
        ("Bounced Email", {"bounce": "hard"}),
        ("Received SMS Reply", {"body": "start"}),
        ("Unsuppressed", {"channel": "email"}),
        ("Marked Email as Spam", {}),
        ("Subscribed", {"channel": "email"}),
        ("Unsubscribed", {}),
    ):
        shop.event(metric, properties=said, **who)
        shop.event("Ping", **who)
    keep(client, shop)
    story = consent_story(client, "main", ANN)
    decisions = shop.told("send-decisions")
    outcomes = set()
    for decided in decisions:
        address = ("email", ANN) if decided["channel"] == "email" else ("phone", PHONE)
        objection = might(story, *address, to_instant(decided["decided_at"]))[decided["channel"]][1]
        assert (objection is None) == (decided["outcome"] == "sent")
        assert decided["reason"] == objection
        outcomes.add((decided["channel"], decided["reason"]))
    assert len(decisions) == 20
    assert len(outcomes) == 5, "text messages are suppressed by nobody"
