"""What an event leaves in a profile: the newest wins, clients add nothing strong, caps hold."""

from itertools import permutations, product
from typing import Any

import msgspec
import pytest

from schemas.events import Event
from schemas.records import ConsentChanged, DefinitionsPublished, EventResolved
from schemas.rows import ListMembership, ProfileRow
from streams.consent.state import granted, state_of
from streams.definitions.switch import in_force
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import DAY
from streams.lists import is_member, leave, on_it_since, unite
from streams.money import MICROS_MAX
from streams.profile.step import ProfileCore
from streams.profile.store import ready
from streams.profile.united import absorb
from tests.scenarios.play import documents_of, event_of

DEFINITIONS = in_force(
    None,
    DefinitionsPublished(
        "main", "v1", "ann", documents_of("store: main\nidentifiers: {kinds: {card: strong}}")
    ),
    (),
)
STORE = ready(DEFINITIONS)
CORE = ProfileCore(Ids(REPLAY_SECRET)).adopt(DEFINITIONS)
START = 1_774_000_000_000
ANN = (("external_id", "c-1"), ("email", "a@example.com"))


def told(*events: Event, row: ProfileRow | None = None) -> ProfileRow:
    for event in events:
        body = EventResolved(event, event.identifiers[0])
        row, _ = CORE.step(row, "i-1", body, event.received_at, (1,))
    assert row is not None
    return row


def identify(number: int, late: int = 0, once: Any = None, **traits: Any) -> Event:
    event = event_of("Identify", f"e{number}", START + number, ANN, {}, late=late, traits=traits)
    return msgspec.structs.replace(event, traits_once=once or {})


def values(row: ProfileRow) -> dict[str, Any]:
    return {name: trait.value for name, trait in row.traits.items()}


def test_the_newest_value_of_a_trait_wins_whatever_the_order_of_arrival() -> None:
    newer, older = identify(10, city="Bonn"), identify(20, late=15, city="Ulm")
    assert values(told(newer, older)) == values(told(older, newer)) == {"city": "Bonn"}


def test_of_two_values_of_one_instant_the_larger_wins() -> None:
    one, other = identify(10, city="Bonn"), identify(11, late=1, city="Ulm")
    assert values(told(one, other)) == values(told(other, one)) == {"city": "Ulm"}


def test_a_removed_trait_does_not_come_back_with_an_older_event() -> None:
    row = told(identify(10, city=None), identify(20, late=15, city="Ulm"))
    assert values(row) == {"city": None}
    assert values(told(identify(30, city="Bonn"), row=row)) == {"city": "Bonn"}


def test_a_value_said_again_is_held_since_it_was_first_said() -> None:
    row = told(
        identify(10, plan="gold"), identify(20, plan="gold"), identify(25, late=19, plan="x")
    )
    trait = row.traits["plan"]
    assert (trait.value, trait.since, trait.occurred_at) == ("gold", START + 10, START + 20)
    row = told(identify(30, late=15, plan="gold"), row=row)
    assert row.traits["plan"].since == START + 10
    assert row.traits["plan"].occurred_at == START + 20
    row = told(identify(40, plan=True), identify(50, plan=1), row=row)
    assert (row.traits["plan"].value, row.traits["plan"].since) == (1, START + 50)


def test_since_when_a_value_is_held_depends_on_no_order_of_arrival() -> None:
    for said in product(("gold", "tin", None), repeat=4):
        if max(map(said.count, said)) > 2:
            continue
        words = [identify(100 + i, late=90, plan=value) for i, value in enumerate(said)]
        first = next(i for i in range(4) if len(set(said[i:])) == 1)
        for order in permutations(words):
            trait = told(*order).traits["plan"]
            assert (trait.value, trait.since) == (said[3], START + 10 + first), (said, order)


def test_of_a_value_said_often_the_last_time_counts_where_another_came_in_between() -> None:
    words = [identify(10 + i, plan="gold") for i in range(4)]
    trait = told(*words, identify(20, late=9, plan="tin")).traits["plan"]
    assert (trait.value, trait.since) == ("gold", START + 13)


def by_client(event: Event) -> Event:
    return msgspec.structs.replace(event, trust="client")


def test_a_clients_trait_overwrites_none_that_a_server_said_in_any_order() -> None:
    client, server = by_client(identify(20, city="Ulm", plan="x")), identify(10, city="Bonn")
    for events in ((client, server), (server, client)):
        row = told(*events)
        assert values(row) == {"city": "Bonn", "plan": "x"}
        assert row.traits["plan"].since == START + 20
    row = told(client, server, by_client(identify(30, plan="y", city="Ulm")))
    assert values(row) == {"city": "Bonn", "plan": "y"}
    assert row.traits["plan"].since == START + 30


def test_a_client_brings_back_no_trait_that_a_server_removed() -> None:
    row = told(identify(10, city=None), by_client(identify(20, once={"city": "Ulm"}, city="Ulm")))
    assert values(row) == {"city": None}
    row = told(by_client(identify(10, city=None)), by_client(identify(20, once={"city": "Ulm"})))
    assert values(row) == {"city": "Ulm"}


def test_traits_once_are_set_if_not_yet_set() -> None:
    row = told(
        identify(1, once={"source": "ad", "none": None}),
        identify(2, once={"source": "shop"}),
        identify(3, source=None),
        identify(4, once={"source": "mail"}),
    )
    assert values(row) == {"source": "mail"}


def test_a_client_adds_no_strong_identifier_but_the_one_it_was_found_by() -> None:
    who = (("email", "a@example.com"), ("phone", "+4930"), ("card", "7"), ("anonymous_id", "x"))
    row = told(event_of("Viewed Product", "e", START, who, {}, trust="client"))
    assert row.identifiers == {"email": {"a@example.com": START}, "anonymous_id": {"x": START}}
    row = told(event_of("Viewed Product", "f", START, who, {}), row=row)
    assert list(row.identifiers["card"]) == ["7"]


def test_a_client_erases_nobody_and_joins_no_list() -> None:
    listed = {"list": "newsletter"}
    said: tuple[tuple[str, dict[str, Any]], ...]
    said = (("Profile Erased", {}), ("Joined List", listed), ("Confirmed Subscription", listed))
    row = None
    for metric, properties in said:
        row = told(event_of(metric, metric, START, ANN, properties, trust="client"), row=row)
    assert row is not None
    assert row.erased_at is None
    assert row.lists == {}
    assert told(event_of("Profile Erased", "e", START, ANN, {}), row=row).erased_at == START


LISTED = {"list": "newsletter"}


def word_of(row: ProfileRow) -> str:
    return state_of(row.consent["email"]["a@example.com"])


def test_a_confirmation_of_what_was_not_asked_grants_nothing_and_joins_nothing() -> None:
    confirms = event_of("Confirmed Subscription", "c", START + 9, ANN, LISTED)
    row = told(confirms)
    assert word_of(row) == "never"
    assert row.lists == {}
    row = told(event_of("Subscribed", "s", START, ANN, LISTED), confirms)
    assert word_of(row) == "granted"
    assert row.lists["newsletter"].joined_at == START + 9
    proof = {**LISTED, "historical_import": True}
    row = told(event_of("Confirmed Subscription", "c", START + 9, ANN, proof))
    assert word_of(row) == "granted"
    assert row.lists["newsletter"].joined_at == START + 9


@pytest.mark.parametrize("named", [{}, LISTED])
def test_a_list_is_joined_by_a_request_and_its_confirmation_in_either_order(
    named: dict[str, str],
) -> None:
    confirms = event_of("Confirmed Subscription", "c", START + 9, ANN, named)
    asks = event_of("Subscribed", "s", START + 5, ANN, LISTED)
    late = msgspec.structs.replace(asks, received_at=START + 20)
    for events in ((asks, confirms), (confirms, late)):
        row = told(*events)
        assert word_of(row) == "granted"
        assert row.lists["newsletter"].joined_at == START + 9


def test_a_confirmation_of_one_list_joins_no_other() -> None:
    confirms = event_of("Confirmed Subscription", "c", START + 9, ANN, {"list": "other"})
    asks = event_of("Subscribed", "s", START, ANN, LISTED)
    late = msgspec.structs.replace(asks, received_at=START + 20)
    for events in ((asks, confirms), (confirms, late)):
        assert not told(*events).lists["newsletter"].joined_at


@pytest.mark.parametrize("denies", [{}, {"channel": "email"}])
def test_a_list_is_not_joined_by_a_confirmation_after_a_denial(denies: dict[str, str]) -> None:
    asks = event_of("Subscribed", "s", START, ANN, LISTED)
    denial = event_of("Unsubscribed", "u", START + 5, ANN, denies)
    for named in ({}, LISTED):
        confirms = event_of("Confirmed Subscription", "c", START + 9, ANN, named)
        row = told(asks, denial, confirms)
        assert word_of(row) == "denied"
        assert not row.lists["newsletter"].joined_at
        again = event_of("Subscribed", "s2", START + 20, ANN, LISTED)
        assert not told(again, row=row).lists["newsletter"].joined_at
        confirms = event_of("Confirmed Subscription", "c2", START + 25, ANN, named)
        assert told(confirms, row=row).lists["newsletter"].joined_at == START + 25


def test_a_denial_said_again_takes_no_newer_grant_back() -> None:
    denial = event_of("Unsubscribed", "u", START, ANN, {"channel": "email"})
    grant = event_of("Subscribed", "s", START + 5, ANN, {"method": "form"})
    later = START + 30 * DAY
    row = told(denial, grant, msgspec.structs.replace(denial, received_at=later))
    assert row.events == 3, "the profile itself has forgotten by then"
    assert word_of(row) == "granted"
    later += 30 * DAY
    another = msgspec.structs.replace(denial, received_at=later, occurred_at=later)
    assert word_of(told(another, row=row)) == "denied", "it happened at another time"


def test_leaving_a_list_takes_back_a_request_whichever_comes_first() -> None:
    """Asked, left, then confirmed by the letter that was still under way."""
    told_of = (("Subscribed", 1), ("Left List", 5), ("Confirmed Subscription", 9))
    for left in ("Left List", "Unsubscribed"):
        for order in permutations(told_of):
            row = None
            for came, (metric, at) in enumerate(order):
                named = left if metric == "Left List" else metric
                event = event_of(named, metric, START + 20 + came, ANN, LISTED, late=20 + came - at)
                row = told(event, row=row)
            assert row is not None
            assert not is_member(row.lists["newsletter"]), order
            assert word_of(row) == ("granted" if left == "Left List" else "denied"), order


def test_who_was_put_on_a_list_stays_when_a_request_is_taken_back_late() -> None:
    asks = event_of("Subscribed", "s", START + 1, ANN, LISTED)
    confirms = event_of("Confirmed Subscription", "c", START + 9, ANN, LISTED)
    put = event_of("Joined List", "j", START + 10, ANN, LISTED, late=3)
    leaves = event_of("Left List", "l", START + 11, ANN, LISTED, late=6)
    for order in permutations((asks, put, leaves, confirms)):
        arrived = [
            msgspec.structs.replace(event, received_at=START + 20 + came)
            for came, event in enumerate(order)
        ]
        listed = told(*arrived).lists["newsletter"]
        assert (is_member(listed), on_it_since(listed)) == (True, START + 7), order
    left = told(asks, confirms, leaves).lists["newsletter"]
    other = told(put).lists["newsletter"]
    assert not is_member(left)
    united = unite(left, other)
    assert (is_member(united), on_it_since(united)) == (True, START + 7)
    assert unite(other, left) == united


def test_a_list_of_an_earlier_version_is_left_and_joined_as_before() -> None:
    former = ListMembership(joined_at=START + 5, left_at=START + 1, since=START + 5)
    leave(former, START + 3)
    assert (is_member(former), on_it_since(former)) == (True, START + 5)
    leave(former, START + 7)
    assert not is_member(former)


def on_list(word: str, number: int, at: int) -> Event:
    metric = {"+": "Joined List", "-": "Left List"}[word]
    return event_of(metric, f"l{number}", START + at, ANN, {"list": "fans"})


def test_a_list_is_counted_from_the_first_joining_after_the_last_leaving() -> None:
    for words, since in (
        ("+1 +5", 1),
        ("+1 -3 +5", 5),
        ("-3 +5 +7", 5),
        ("+1 -1 +4", 4),
        ("+1 -3", None),
        ("-3", None),
    ):
        said = [on_list(one[0], i, int(one[1:])) for i, one in enumerate(words.split())]
        for order in permutations(said):
            listed = told(*order).lists["fans"]
            assert (on_it_since(listed) - START if is_member(listed) else None) == since, words


def test_of_joinings_between_the_first_and_the_last_none_is_remembered() -> None:
    said = [on_list("+", i, at) for i, at in enumerate((1, 5, 9))]
    listed = told(*said, on_list("-", 3, 3)).lists["fans"]
    assert on_it_since(listed) == START + 9


def test_a_flow_or_an_import_that_joins_again_does_not_begin_anew() -> None:
    proof = {"list": "fans", "historical_import": True}
    again = event_of("Subscribed", "s", START + 9, ANN, proof)
    listed = told(on_list("+", 1, 1), again).lists["fans"]
    assert (on_it_since(listed), listed.joined_at) == (START + 1, START + 9)


def test_orders_are_counted_in_the_stores_currency() -> None:
    order = event_of("Placed Order", "o1", START + 5, ANN, {}, money="20.50")
    foreign = msgspec.structs.replace(order, id="o2", currency="USD", occurred_at=START - 5)
    free = msgspec.structs.replace(order, id="o3", value=None, occurred_at=START)
    figures = told(order, foreign, free).figures
    assert (figures.orders, figures.revenue) == (3, 20_500_000)
    assert (figures.first_order_at, figures.last_order_at) == (START - 5, START + 5)


def test_revenue_stands_at_the_largest_amount_and_the_row_is_flagged() -> None:
    order = event_of("Placed Order", "o1", START, ANN, {}, money="9223372036854.775807")
    row = told(order)
    assert row.coarsened == []
    row = told(msgspec.structs.replace(order, id="o2"), row=row)
    assert (row.figures.revenue, row.coarsened) == (MICROS_MAX, ["totals"])
    assert CORE.decode(CORE.encode(row)) == row


def test_a_row_stays_bounded() -> None:
    row = None
    for number in range(400):
        who = (*ANN[:1], ("email", f"m{number}@x.de"), ("cart_token", f"t{number}"))
        event = event_of(
            "Subscribed",
            f"e{number}",
            START + number,
            who,
            {"channel": "email"},
            traits={f"t{number}": "x" * 250, f"large{number % 7}": ["y" * 30_000]},
        )
        row = told(msgspec.structs.replace(event, traits_once={f"o{number}": 1}), row=row)
    for number in range(700):
        event = event_of("Joined List", f"j{number}", START, ANN, {"list": f"l{number}"})
        row = told(event, row=row)
    assert row is not None
    assert len(CORE.encode(row)) < 256_000
    assert set(row.coarsened) == {"identifiers", "traits", "consent", "lists"}
    assert "m399@x.de" in row.consent["email"]


def much_said(numbers: range) -> ProfileRow:
    """All kinds of words about an e-mail address and a phone for each number, with long texts."""
    row, came = None, START
    for number in numbers:
        mail, phone = ("email", f"m{number}@x.de"), ("phone", f"+4930{number:07}")
        for metric, channel, more in product(
            ("Subscribed", "Confirmed Subscription", "Suppressed", "Unsuppressed", "Unsubscribed"),
            ("email", "sms"),
            ({"method": "\u00fc" * 200}, {"list": "d" * 128}, {"method": "m" * 200}),
        ):
            came += 1
            who = (ANN[0], mail if channel == "email" else phone)
            event = event_of(metric, f"e{came}", came, who, {"channel": channel, **more})
            row = told(msgspec.structs.replace(event, source="\u00fc" * 200), row=row)
        row = told(event_of("Subscribed", f"s{number}", came + 1, (ANN[0], mail), {}), row=row)
    assert row is not None
    return row


def test_what_was_said_about_consent_keeps_within_its_share_of_a_row() -> None:
    row, lost = much_said(range(45)), much_said(range(30, 60))
    absorb(row, "i-2", lost, STORE.program, START, Ids(REPLAY_SECRET))
    for one in (row, lost):
        assert len(CORE.encode(one)) < 64_000
        assert "consent" in one.coarsened
        assert {state_of(state) for state in one.consent["sms"].values()} == {"denied"}
        assert {state_of(state) for state in one.consent["email"].values()} == {"granted"}


def test_names_and_texts_that_are_too_long_are_not_kept_or_cut() -> None:
    long = "n" * 129
    row = told(
        identify(1, once={long: 1}, **{long: 1, "n" * 128: 1}),
        event_of("Subscribed", "s", START, ANN, {"list": long, "method": long}, trust="client"),
        event_of("Unsubscribed", "u", START, ANN, {"method": long}),
    )
    assert list(row.traits) == ["n" * 128]
    assert row.lists == {}
    assert row.consent["email"]["a@example.com"].method == "n" * 128
    cut = told(event_of("Unsubscribed", "u", START, ANN, {"method": "\u20ac" * 128}))
    assert cut.consent["email"]["a@example.com"].method == "\u20ac" * 42, (
        "128 bytes of whole characters"
    )
    assert set(row.coarsened) == {"traits", "lists", "consent"}


def test_a_full_row_still_lets_a_trait_be_removed() -> None:
    row = told(identify(1, large="x" * 63_900), identify(2, **{f"t{i}": 1 for i in range(200)}))
    assert row.coarsened == ["traits"]
    assert values(told(identify(3, t7=None), row=row))["t7"] is None


HOSTILE = """
store: main
address: Somewhere 1
---
segment: bought-what-they-viewed
where: {sequence: [{did: Viewed Product}, {did: Placed Order}], in_last: 30d}
---
segment: spends
where: {did: Viewed Product, total: {is: "> 3"}, in_last: 900d}
---
flow: viewed
trigger: {did: Viewed Product}
filter: {none: [{did: Placed Order, where: {product_id: {trigger: product_id}}}]}
key: product_id
steps:
  - wait: 10d
  - {send: m, channel: email, template: t}
---
flow: ordered
trigger: {did: Placed Order}
filter: {none: [{did: Viewed Product, where: {ids: {trigger: ids}}}]}
steps:
  - wait: 10d
"""


def hostile(number: int, text: str) -> Event:
    """One of a thousand: what a client may write, each time otherwise, each text 5 MB."""
    other = f"{number}{text}"
    metric = ("Viewed Product", "Subscribed", "Unsubscribed", "Placed Order", "Left List")[
        number % 5
    ]
    event = event_of(
        metric,
        f"e{number}",
        START + number,
        (*ANN[:1], ("email", f"m{number}@x.de"), ("anonymous_id", f"a{number}")),
        {
            "product_id": other if number % 2 else f"{number}",
            "ids": [other, other],
            "list": other if number % 3 else f"{number}" * 20,
            "method": other,
            "reason": other,
            other: other,
        },
        money="9000000000000",
        trust="client",
        traits={other: 1, f"t{number}": other, f"u{number}": "u" * 240, f"v{number}": [other]},
    )
    return msgspec.structs.replace(event, source=other)


def test_a_thousand_hostile_events_leave_a_row_that_can_be_kept() -> None:
    core = CORE.adopt(
        in_force(None, DefinitionsPublished("main", "v2", "ann", documents_of(HOSTILE)), ())
    )
    text, row = "y" * 5_000_000, None
    for number in range(1000):
        event = hostile(number, text)
        row, _ = core.step(row, "i-1", EventResolved(event, ANN[0]), event.received_at, (1,))
    assert row is not None
    assert len(core.encode(row)) < 256_000
    assert {"traits", "lists", "consent", "kept", "totals", "trigger"} <= set(row.coarsened)


def test_words_about_addresses_the_row_no_longer_holds_are_forgotten_first() -> None:
    row = told(event_of("Subscribed", "s", START, ANN, {"channel": "email"}))
    for number in range(80):
        word = granted((START, START, 9), None, None)
        changed = ConsentChanged("main", ("email", f"m{number}@x.de"), "email", word, "e")
        row, _ = CORE.step(row, "i-1", changed, START, (1,))
    assert list(row.identifiers["email"]) == ["a@example.com"]
    assert "a@example.com" in row.consent["email"]
    assert len(row.consent["email"]) == 60


def test_words_without_an_address_are_for_the_one_in_use_or_written_to() -> None:
    phone = (*ANN, ("phone", "+4930123456"))
    row = told(event_of("Placed Order", "o", START, phone, {}))
    only = ANN[:1]

    def said(metric: str, **properties: Any) -> list[str]:
        event = event_of(metric, f"{metric}{properties}", START + 9, only, properties)
        _, outputs = CORE.step(row, "i-1", EventResolved(event, only[0]), START + 9, (1,))
        return sorted(output.key for output in outputs if output.to == "back")

    assert said("Subscribed", channel="email") == ["main/email/a@example.com"]
    assert said("Subscribed", channel="push") == []
    assert said("Bounced Email", bounce="hard") == []
    assert said("Suppressed", channel="in_app") == []
    assert row.consent["in_app"]["i-1"].suppressed == ("manual",)
    assert said("Unsubscribed") == [
        "main/email/a@example.com",
        "main/phone/+4930123456",
    ]
    assert said("Left List", list="x") == []
