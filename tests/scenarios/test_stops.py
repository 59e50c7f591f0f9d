"""Sends stopped and resumed: through the whole path, and again from what its rows have kept."""

import pytest

from schemas.records import DefinitionsPublished
from schemas.rows import Position
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.control import definitions, sends, tick
from streams.ingest.read import EventReader
from streams.passing import PassIntake
from streams.published import InForce
from streams.replay import MemoryRecord
from streams.sends.stops import Switch
from tests.scenarios.play import Stage, documents_of, event_of
from tests.scenarios.shop import Shop

FLOWS = """
store: main
address: Beispielgasse 1, Berlin
---
flow: thanks
trigger: {did: Placed Order}
steps:
  - {send: thanks-1, channel: email, template: t, smart_sending: false}
---
flow: receipt
trigger: {did: Placed Order}
steps:
  - {send: receipt-1, channel: email, template: t, transactional: true}
"""


class Stopping(Shop):
    """A shop whose sends are stopped and resumed. number: of its first definitions."""

    def __init__(self, number: int = 1) -> None:
        super().__init__()
        self.number = 0
        self.publish(FLOWS, number=number)
        self.event("Subscribed", email="ann@example.com", properties={"channel": "email"})
        self.orders = 0

    def switch(self, *, stopped: bool, flow: str | None = None, number: int | None = None) -> None:
        self.number += 1
        word = Switch("main", number or self.number, flow, None, stopped, "lee")
        value, headers = sends(word, REPLAY_SECRET)
        for partition in range(2):
            self.path.append(partition, value, self.now, headers=headers)

    def publish(self, wanted: str, *, number: int) -> None:
        self.number = max(number, self.number)
        published = DefinitionsPublished(
            "main", f"v{number}", "ann", documents_of(wanted), number=number
        )
        value, headers = definitions(published, REPLAY_SECRET)
        for partition in range(2):
            self.path.append(partition, value, self.now, headers=headers)

    def order(self) -> list[tuple[str, str, str | None]]:
        """What became of the sends of one more order."""
        before = len(self.sends())
        self.orders += 1
        self.event("Placed Order", email="ann@example.com")
        return sorted(self.sends()[before:])

    def rejections(self) -> list[str]:
        """The reasons, of the records of ours that were rejected since the last call."""
        value, headers = tick()
        for partition in range(2):
            self.path.append(partition, value, self.now, headers=headers)
        return [
            dict(write.headers)["reason"].decode()
            for write in self.path.run()
            if write.topic == "store-events-rejected"
        ]


SENT = [("receipt-1", "sent", None), ("thanks-1", "sent", None)]


@pytest.fixture
def shop() -> Stopping:
    return Stopping()


def test_what_becomes_due_while_sends_are_stopped_is_dropped_and_says_by_whom(
    shop: Stopping,
) -> None:
    assert shop.order() == SENT
    since = shop.now
    shop.switch(stopped=True)
    assert shop.order() == [
        ("receipt-1", "dropped", "stopped"),
        ("thanks-1", "dropped", "stopped"),
    ]
    (evidence,) = shop.told("send-decisions")[-1]["evidence"]
    assert evidence["leaf"] == "stopped"
    assert evidence["value"].startswith("all sends, by lee, since ")
    assert len(shop.told("send-commands")) == 2, "of the first order"
    shop.switch(stopped=False)
    assert shop.order() == SENT
    assert shop.now > since


def test_the_stop_of_a_flow_leaves_the_others_alone(shop: Stopping) -> None:
    shop.switch(stopped=True, flow="thanks")
    assert shop.order() == [("receipt-1", "sent", None), ("thanks-1", "dropped", "stopped")]


def test_new_definitions_lift_no_stop(shop: Stopping) -> None:
    shop.switch(stopped=True, flow="thanks")
    shop.publish(FLOWS, number=3)
    assert shop.order() == [("receipt-1", "sent", None), ("thanks-1", "dropped", "stopped")]


def test_an_old_word_that_is_appended_again_lifts_nothing(shop: Stopping) -> None:
    shop.switch(stopped=True, number=5)
    shop.switch(stopped=False, number=6)
    shop.switch(stopped=True, number=7)
    shop.path.run()
    shop.switch(stopped=False, number=6)
    assert shop.rejections() == ["out-of-sequence"] * 2
    assert shop.order()[0] == ("receipt-1", "dropped", "stopped")


def test_old_definitions_that_are_appended_again_do_not_come_into_force(shop: Stopping) -> None:
    shop.publish("store: main", number=2)
    shop.publish("store: main", number=2)
    shop.publish(FLOWS, number=1)
    assert shop.rejections() == ["out-of-sequence"] * 4
    assert shop.order() == [], "the newest definitions have no flow"


def test_a_log_from_before_there_were_numbers_is_read_as_it_was() -> None:
    shop = Stopping(number=0)
    shop.publish(FLOWS, number=0)
    assert shop.rejections() == []
    shop.publish("store: main", number=1)
    shop.publish(FLOWS, number=0)
    assert shop.rejections() == ["out-of-sequence"] * 2
    assert shop.order() == []


def test_a_worker_that_begins_anew_knows_the_stops_from_its_rows(shop: Stopping) -> None:
    shop.switch(stopped=True, flow="thanks")
    shop.order()
    kept = [InForce(seat.rows.items()) for seat in shop.path._seats.values()]
    assert [([*one.definitions], [*one.stops]) for one in kept] == [(["main"], ["main"])] * 6

    ingest = PassIntake(
        EventReader(Ids(REPLAY_SECRET)), 0, Position(partitions=2), in_force=kept[0]
    )
    told = [sends(Switch("main", 2, "thanks", None, False, "lee"), REPLAY_SECRET), tick()]
    ingest.read(MemoryRecord(n, shop.now, None, *record) for n, record in enumerate(told))
    work = ingest.next()
    assert work is not None
    clocks = ["identity-requests"] * 2
    assert [write.topic for write in work.writes] == ["store-events-rejected", *clocks]

    anew = Stage(FLOWS)
    for row in kept[-1].rows:
        anew.core = anew.core.adopt(row)
    email = (("email", "ann@example.com"),)
    anew.happen(event_of("Subscribed", "s", shop.now, email, {"channel": "email"}))
    anew.happen(event_of("Placed Order", "o", shop.now, email, {}))
    assert sorted(text for _, text in anew.told if "starts" not in text) == [
        "drops thanks-1: stopped",
        "sends receipt-1 to ann@example.com",
    ]
