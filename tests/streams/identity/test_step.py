"""What a record does to one identifier's row."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Event
from schemas.outputs import ConsentStated
from schemas.records import (
    ConsentChanged,
    ConsentClaimed,
    DefinitionsPublished,
    EventArrived,
    EventResolved,
    Forget,
    Linked,
    Merge,
    Repoint,
)
from schemas.rows import IdentityRow
from schemas.values import Identifier, Properties, Trust
from streams.consent.statements import addresses_meant
from streams.core import NEXT, PEER, Core, Output
from streams.definitions.switch import in_force
from streams.identity.addresses import HOLDERS_MAX
from streams.identity.keys import identifier_of, key_of
from streams.identity.links import LINKS_MAX
from streams.identity.step import IdentityCore
from streams.ids import REPLAY_SECRET, Ids

IDS = Ids(REPLAY_SECRET)
CORE = IdentityCore(IDS)
NOW = 1_700_000_000_000

CUSTOMER: Identifier = ("external_id", "c-17")
EMAIL: Identifier = ("email", "ann@example.com")
PHONE: Identifier = ("phone", "+4930123456")
BROWSER: Identifier = ("anonymous_id", "a-9")
DEVICE: Identifier = ("device_id", "d-3")


def event(
    *identifiers: Identifier,
    metric: str = "Viewed Product",
    trust: Trust = "server",
    at: int = NOW,
    properties: Properties | None = None,
) -> Event:
    return Event(
        schema=1,
        id=f"{metric}-{at}",
        metric=metric,
        occurred_at=at,
        received_at=at,
        store="main",
        trust=trust,
        identifiers=identifiers,
        traits={},
        traits_once={},
        properties=properties or {},
        value=None,
        currency=None,
        source="",
        backfill=False,
    )


class World:
    """Rows by key; what is said to peers is applied at once, in order."""

    def __init__(self, core: IdentityCore = CORE) -> None:
        self.core = core
        self.rows: dict[str, bytes] = {}
        self.said: list[Output] = []

    def step(self, key: str, body: object, now: int = NOW) -> list[Output]:
        blob = self.rows.get(key)
        row = None if blob is None else self.core.decode(blob)
        row, outputs = self.core.step(row, key, body, now, (now, 0, 0))  # type: ignore[arg-type]
        if row is not None:
            self.rows[key] = self.core.encode(row)
        return outputs

    def arrive(self, arrived: Event) -> list[Output]:
        """All that one event causes at this station."""
        todo = [(key_of(arrived.store, arrived.identifiers[0]), EventArrived(arrived))]
        todo += [
            (key_of(arrived.store, address), ConsentClaimed(arrived, address))  # type: ignore[misc]
            for address in addresses_meant(arrived)
        ]
        said = []
        while todo:
            for output in self.step(*todo.pop(0), arrived.received_at):  # type: ignore[arg-type]
                said.append(output)
                if output.to == PEER:
                    todo.append((output.key, output.record))  # type: ignore[arg-type]
        return said

    def row(self, identifier: Identifier) -> IdentityRow:
        return self.core.decode(self.rows[key_of("main", identifier)])


def profiles(outputs: list[Output]) -> list[str]:
    return [one.key for one in outputs if isinstance(one.record, EventResolved)]


def test_it_is_a_core() -> None:
    core: Core[IdentityRow] = CORE
    assert core.stage == "identity"


def test_an_event_goes_to_the_profile_of_its_strongest_identifier() -> None:
    world = World()
    first = world.arrive(event(CUSTOMER, EMAIL))
    assert profiles(first) == [IDS.profile("main", CUSTOMER, strong=True)]
    assert first[0].to == NEXT
    assert first[0].record == EventResolved(event(CUSTOMER, EMAIL), CUSTOMER)


def test_an_identifier_seen_once_with_a_person_finds_that_person_alone() -> None:
    world = World()
    person = profiles(world.arrive(event(CUSTOMER, EMAIL, BROWSER)))
    assert profiles(world.arrive(event(EMAIL))) == person
    assert profiles(world.arrive(event(BROWSER))) == person
    assert world.row(BROWSER).announcer == CUSTOMER


def test_where_two_pointers_differ_a_merge_is_asked_for_and_both_stay_until_it_is_agreed() -> None:
    world = World()
    mail = profiles(world.arrive(event(EMAIL)))
    said = world.arrive(event(CUSTOMER, EMAIL))
    customer = profiles(said)
    asked = [one for one in said if isinstance(one.record, Merge)]
    assert [(one.to, one.key, one.record) for one in asked] == [
        (NEXT, mail[0], Merge("main", customer[0], True, EMAIL))
    ]
    assert profiles(world.arrive(event(EMAIL))) == mail
    assert world.row(EMAIL).holders == mail + customer


def test_a_profile_that_is_only_weakly_known_is_nameless() -> None:
    assert profiles(World().arrive(event(BROWSER)))[0].startswith("n")
    assert profiles(World().arrive(event(EMAIL)))[0].startswith("i")


def test_a_repeated_event_changes_nothing_and_is_forwarded_again() -> None:
    world = World()
    subscribed = event(CUSTOMER, EMAIL, BROWSER, metric="Subscribed")
    world.arrive(subscribed)
    before = dict(world.rows)
    again = world.arrive(subscribed)
    assert world.rows == before
    assert [type(one.record) for one in again if one.to != PEER] == [EventResolved]


def test_links_are_announced_once() -> None:
    world = World()
    world.arrive(event(CUSTOMER, EMAIL))
    again = world.arrive(event(CUSTOMER, EMAIL, at=NOW + 1))
    assert not [one for one in again if isinstance(one.record, Linked)]


def test_the_oldest_link_is_forgotten_first() -> None:
    world = World()
    for number in range(LINKS_MAX + 1):
        world.arrive(event(CUSTOMER, ("cart_token", f"t-{number}")))
    links = world.row(CUSTOMER).links
    assert len(links) == LINKS_MAX
    assert links[0] == "cart_token/t-1"


def test_a_client_announces_weak_identifiers_alone() -> None:
    world = World()
    said = world.arrive(event(CUSTOMER, EMAIL, PHONE, BROWSER, trust="client"))
    linked = [one.record.identifier for one in said if isinstance(one.record, Linked)]
    assert linked == [BROWSER]
    assert key_of("main", EMAIL) not in world.rows


def test_what_a_client_says_of_a_strong_identifier_joins_nothing() -> None:
    linked = Linked("main", EMAIL, "i1", CUSTOMER, True, False)
    row, said = CORE.step(None, key_of("main", EMAIL), linked, NOW, (NOW, 0, 0))
    assert row is not None
    assert (row.profile_id, row.holders, said) == ("", [], [])


def test_what_a_client_has_announced_a_server_announces_again_once() -> None:
    world = World()
    world.arrive(event(CUSTOMER, BROWSER, trust="client"))
    by_server = [
        one.record.by_server
        for at in (1, 2)
        for one in world.arrive(event(CUSTOMER, BROWSER, at=NOW + at))
        if isinstance(one.record, Linked)
    ]
    assert by_server == [True]
    again = world.arrive(event(CUSTOMER, BROWSER, trust="client", at=NOW + 3))
    assert not [one for one in again if isinstance(one.record, Linked)]
    forget = Forget("main", CUSTOMER, BROWSER)
    world.step(key_of("main", CUSTOMER), forget)
    assert world.row(CUSTOMER).links == []


def test_repeated_words_of_a_client_are_announced_once() -> None:
    world = World()
    world.arrive(event(CUSTOMER, BROWSER, trust="client"))
    again = world.arrive(event(CUSTOMER, BROWSER, trust="client", at=NOW + 1))
    assert not [one for one in again if isinstance(one.record, Linked)]


def test_consent_is_told_to_senders_and_to_the_holder() -> None:
    world = World()
    said = world.arrive(event(EMAIL, metric="Subscribed"))
    person = profiles(said)[0]
    assert [(one.to, one.key) for one in said] == [
        (NEXT, person),
        ("consent", key_of("main", EMAIL)),
        (NEXT, person),
    ]
    stated, changed = said[1].record, said[2].record
    assert isinstance(stated, ConsentStated)
    assert isinstance(changed, ConsentChanged)
    assert stated.channels == {"email": "granted"}
    assert stated.cause == changed.cause == f"Subscribed-{NOW}"
    assert changed.state == world.row(EMAIL).consent["email"]


def test_consent_for_another_address_goes_to_the_row_of_that_address() -> None:
    world = World()
    said = world.arrive(event(CUSTOMER, EMAIL, metric="Subscribed"))
    person = profiles(said)[0]
    assert [type(one.record) for one in said] == [
        EventResolved,
        Linked,
        ConsentStated,
        ConsentChanged,
    ]
    assert said[-1].key == person
    assert world.row(CUSTOMER).consent == {}


def test_stop_reaches_every_profile_that_holds_the_phone() -> None:
    world = World()
    phone = profiles(world.arrive(event(PHONE)))
    others = [profiles(world.arrive(event(("external_id", f"c-{n}"), PHONE)))[0] for n in range(3)]
    stop = event(PHONE, metric="Received SMS Reply", at=NOW + 1, properties={"body": "Please stop"})
    told = [one.key for one in world.arrive(stop) if isinstance(one.record, ConsentChanged)]
    assert told == phone + others


def test_a_new_holder_is_told_what_the_address_may_receive() -> None:
    world = World()
    world.arrive(event(EMAIL, metric="Unsubscribed"))
    said = world.arrive(event(CUSTOMER, EMAIL))
    person = profiles(said)[0]
    told = [one for one in said if isinstance(one.record, ConsentChanged)]
    assert {one.key for one in told} == {person}
    assert told[0].record.cause == "linked"  # type: ignore[attr-defined]


def test_a_device_keeps_the_consent_to_push_for_the_profile_it_points_to() -> None:
    world = World()
    granted = {"channel": "push"}
    said = world.arrive(event(DEVICE, metric="Subscribed", properties=granted))
    person = profiles(said)
    assert [one.key for one in said if isinstance(one.record, ConsentChanged)] == person
    assert world.row(DEVICE).holders == []
    said = world.arrive(event(CUSTOMER, DEVICE))
    customer = profiles(said)
    assert [world.row(DEVICE).profile_id] == customer
    assert [one.key for one in said if isinstance(one.record, ConsentChanged)] == customer
    assert [one.key for one in said if isinstance(one.record, Merge)] == person


def test_consent_for_an_address_nobody_holds_is_kept_until_somebody_does() -> None:
    world = World()
    claimed = ConsentClaimed(event(CUSTOMER, DEVICE, metric="Unsubscribed"), DEVICE)
    said = world.step(key_of("main", DEVICE), claimed)
    assert [type(one.record) for one in said] == [ConsentStated]
    said = world.arrive(event(CUSTOMER, DEVICE))
    assert [one.key for one in said if isinstance(one.record, ConsentChanged)] == profiles(said)


def test_an_address_has_at_most_ten_holders() -> None:
    world = World()
    for number in range(HOLDERS_MAX + 5):
        world.arrive(event(("external_id", f"c-{number}"), EMAIL))
    assert len(world.row(EMAIL).holders) == HOLDERS_MAX


def test_repointing_follows_the_profile_it_points_to_and_no_other() -> None:
    world = World()
    person = profiles(world.arrive(event(EMAIL)))[0]
    key = key_of("main", EMAIL)
    assert world.step(key, Repoint("main", EMAIL, "i-other", "i0")) == []
    assert world.row(EMAIL).profile_id == person
    world.step(key, Repoint("main", EMAIL, person, "i0"))
    assert (world.row(EMAIL).profile_id, world.row(EMAIL).holders) == ("i0", ["i0"])


def test_a_record_that_is_not_for_identity_is_refused() -> None:
    with pytest.raises(AssertionError, match="no record for identity"):
        CORE.step(None, key_of("main", EMAIL), EventResolved(event(EMAIL), EMAIL), NOW, ())


def test_there_are_no_timers() -> None:
    row = IdentityRow()
    assert CORE.wake_at(row) is None
    assert CORE.asleep(row) is row
    with pytest.raises(AssertionError, match="no timers"):
        CORE.wake(row, "main/email/a@b.de", NOW, NOW)


def test_a_stores_own_strong_kind_makes_a_named_profile_in_that_store_alone() -> None:
    documents = ({"store": "main", "identifiers": {"kinds": {"loyalty_card": "strong"}}},)
    core = CORE.adopt(in_force(None, DefinitionsPublished("main", "v1", "test", documents), ()))
    card: Identifier = ("loyalty_card", "77")
    assert profiles(World(core).arrive(event(card)))[0].startswith("i")
    assert profiles(World(CORE).arrive(event(card)))[0].startswith("n")


def test_two_stores_share_no_profile_and_no_row() -> None:
    assert key_of("a", EMAIL) != key_of("b", EMAIL)
    assert IDS.profile("a", EMAIL, strong=True) != IDS.profile("b", EMAIL, strong=True)


@given(
    st.from_regex(r"[a-z0-9-]+", fullmatch=True),
    st.from_regex(r"[a-z_]+", fullmatch=True),
    st.text(),
)
def test_a_key_names_its_store_and_its_identifier(store: str, kind: str, value: str) -> None:
    assert identifier_of(key_of(store, (kind, value))) == (store, (kind, value))


IDENTIFIERS = st.lists(
    st.sampled_from([CUSTOMER, ("external_id", "c-2"), EMAIL, PHONE, BROWSER, DEVICE]),
    min_size=1,
    unique=True,
)
METRICS = st.sampled_from(
    ["Viewed Product", "Subscribed", "Unsubscribed", "Bounced Email", "Received Email"]
)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    count = draw(st.integers(1, 8))
    return [
        event(
            *draw(IDENTIFIERS),
            metric=draw(METRICS),
            trust=draw(st.sampled_from(["server", "client"])),
            at=NOW + number,
        )
        for number in range(count)
    ]


@given(histories())
def test_equal_histories_give_equal_rows_and_outputs(history: list[Event]) -> None:
    one, other = World(), World()
    assert [one.arrive(each) for each in history] == [
        other.arrive(each) for each in copy.deepcopy(history)
    ]
    assert one.rows == other.rows


@given(histories())
def test_a_repeat_says_nothing_that_a_row_did_not_know(history: list[Event]) -> None:
    world = World()
    for each in history:
        world.arrive(each)
        before = dict(world.rows)
        again = world.arrive(each)
        assert world.rows == before
        assert {type(one.record) for one in again} <= {EventResolved}


@given(histories())
def test_a_row_survives_being_written_and_read(history: list[Event]) -> None:
    world = World()
    for each in history:
        world.arrive(each)
    for blob in world.rows.values():
        assert CORE.encode(CORE.decode(blob)) == blob
