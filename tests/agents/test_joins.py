"""How a person came to be one, as it is told from the timeline and drawn."""

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree as ET

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from agents.drawing.joins import picture
from agents.migrations import migrate
from agents.reports.joins import PersonTold, explain_person
from schemas.outputs import ProfileErased
from schemas.records import DefinitionsPublished
from schemas.topics import IDENTITY_ERASURES
from schemas.values import ProfileId
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import to_timestamp
from tests.agents.kept import keep
from tests.agents.told_timelines import insert
from tests.scenarios.shop import Shop
from tests.scenarios.test_split import ANN as ACCOUNT
from tests.scenarios.test_split import BOB, joined

IDS = Ids(REPLAY_SECRET)
ANN = {"external_id": "17", "email": "ann@example.com"}
SVG = "{http://www.w3.org/2000/svg}"


class Asking(NamedTuple):
    shop: Shop
    client: Client

    def about(self, profile_id: ProfileId) -> PersonTold:
        keep(self.client, self.shop)
        found = explain_person(
            self.client, DefinitionsPublished("main", "", "", ()), profile_id, IDS
        )
        assert found is not None
        return found

    def rules(self, profile_id: ProfileId) -> list[tuple[str, str | None]]:
        return [(one.rule, one.event) for one in self.about(profile_id).joins]


@pytest.fixture
def asking() -> Iterator[Asking]:
    with clickhouse_connect.get_client(dsn="chdb://memory") as client:
        migrate(client)
        yield Asking(Shop(), client)


def test_browsing_that_becomes_known_is_told_with_the_event_that_joined_it(
    asking: Asking,
) -> None:
    shop = asking.shop
    looked = shop.event("Viewed Product", anonymous_id="laptop", trust="client")
    bought = shop.event("Placed Order", **ANN, anonymous_id="laptop")
    ann = shop.who("email", "ann@example.com").id
    found = asking.about(ann)
    (nameless,) = found.merged
    seen = f"was seen with external_id 17 in Placed Order {bought}"
    look = f"seen in Viewed Product {looked}"
    assert [one.words for one in found.joins] == [
        f"anonymous_id laptop was first {look}: it gives the profile {nameless}",
        f"external_id 17 was first seen in Placed Order {bought}: it gives the profile {ann}",
        f"email ann@example.com {seen}: it points to {ann}",
        f"anonymous_id laptop {seen}: {nameless} is asked to join {ann}",
        f"{nameless} became part of {ann}: anonymous_id laptop {seen}",
    ]
    (merge,) = shop.told("identity-merges")
    assert found.joins[-1].at == merge["decided_at"]
    assert asking.about(nameless) == found, "any id they ever had will do"


def test_an_event_that_was_there_before_the_link_is_told_so(asking: Asking) -> None:
    shop = asking.shop
    bought = shop.event("Placed Order", **ANN, cart_token="cart", rounds=0)
    looked = shop.event("Viewed Product", cart_token="cart")
    assert asking.rules(shop.who("email", "ann@example.com").id)[-2:] == [
        ("overtaken", looked),
        ("merged", bought),
    ]


def test_a_refusal_an_alias_and_a_shared_browser_are_told(asking: Asking) -> None:
    shop = asking.shop
    shop.event("Placed Order", **ANN, anonymous_id="kiosk")
    other = shop.event("Placed Order", external_id="18", email="ann@example.com")
    handed = shop.event("Placed Order", external_id="19", anonymous_id="kiosk")
    alias = shop.event("Alias", external_id="20", properties={"previous": {"external_id": "17"}})
    for number in range(3):
        shop.event("Placed Order", external_id=f"k{number}", anonymous_id="kiosk")
    sixth = shop.event("Placed Order", external_id="k3", anonymous_id="kiosk")
    told = asking.rules(shop.who("external_id", "20").id)
    for rule, event in (
        ("refused", other),
        ("handed-over", handed),
        ("alias", alias),
        ("merged", alias),
        ("shared", sixth),
    ):
        assert told.count((rule, event)) == 1, rule
    (refused,) = [
        one for one in asking.about(shop.who("external_id", "18").id).joins if one.rule == "refused"
    ]
    assert refused.words.endswith("two different external ids (17 and 18)")


def test_what_a_client_says_of_an_address_is_told_to_join_nothing(asking: Asking) -> None:
    shop = asking.shop
    shop.event("Placed Order", external_id="18", email="bob@example.com")
    said = shop.event("Identify", external_id="17", email="bob@example.com", trust="client")
    assert ("client-said", said) in asking.rules(shop.who("external_id", "17").id)
    bobs = asking.rules(shop.who("email", "bob@example.com").id)
    assert "client-said" not in [rule for rule, _ in bobs]


def test_a_split_is_told_to_both_with_who_made_it_and_what_was_before(asking: Asking) -> None:
    desk = joined()
    asking = asking._replace(shop=desk)
    desk.ask(*BOB, *desk.companions(*BOB))
    desk.tell()
    desk.event("Identify", external_id="c-1", email=BOB[1])
    ann, bob = desk.who(*ACCOUNT).id, desk.who(*BOB).id
    told = [one for one in asking.about(bob).joins if one.identifier == BOB]
    assert [one.rule for one in told] == ["link-taken", "split", "refused"]
    assert told[0].profiles == (ann,)
    assert told[1].words == (
        f"email {BOB[1]} was split from {ann} by sue: wrong alias: it points to {bob}"
    )
    assert told[2].words.endswith("support has split them")
    assert ("split", None) in asking.rules(ann)
    assert asking.about(bob).identifiers[-1].profile_id == bob
    assert [one.value for one in asking.about(ann).identifiers if one.profile_id == ann] == ["c-1"]


def test_of_somebody_erased_it_is_told_when_and_nothing_else(asking: Asking) -> None:
    erased = ProfileErased(
        id="d1",
        store="main",
        request="r1",
        outcome="erased",
        profile_ids=("i0", "n1"),
        decided_at=to_timestamp(asking.shop.now),
    )
    insert(asking.client, IDENTITY_ERASURES.name, [erased])
    found = asking.about("n1")
    assert [(one.rule, one.at) for one in found.joins] == [("erased", erased.decided_at)]
    assert found.identifiers == []


def test_a_picture_has_every_identifier_and_profile_inside_and_a_line_for_each_merge(
    asking: Asking,
) -> None:
    shop = asking.shop
    shop.event("Viewed Product", anonymous_id='<"&>')
    shop.event("Placed Order", **ANN, anonymous_id='<"&>')
    shop.event("Placed Order", external_id="18", email="ann@example.com")
    shop.event("Alias", external_id="20", properties={"previous": {"external_id": "17"}})
    found = asking.about(shop.who("external_id", "20").id)
    root = ET.fromstring(picture(found))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    boxes = [
        tuple(float(one.attrib[name]) for name in ("x", "y", "width", "height"))
        for one in root.iter(f"{SVG}rect")
        if "x" in one.attrib
    ]
    assert len(boxes) == 4 + 4, "four identifiers; the person, two of theirs, somebody else"
    assert all(x + w <= width and y + h <= height for x, y, w, h in boxes)
    assert len({(x, y) for x, y, _, _ in boxes}) == len(boxes), "none covers another"
    texts = [one.text or "" for one in root.iter(f"{SVG}text")]
    assert '<"&>' in texts
    assert sum(text.startswith("merged ") for text in texts) == 2
    assert sum(text.startswith("refused ") for text in texts) == 1
