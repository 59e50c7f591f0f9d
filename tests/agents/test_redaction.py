"""What was erased is no more in ClickHouse, under whichever id it came, also what comes later."""

from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from msgspec.structs import replace

from agents.columns import SHAPES
from agents.migrations import migrate
from agents.redaction import TakenAway
from agents.settings import Settings
from agents.timeline import TimelineSink, Waiting, is_mark
from schemas.outputs import (
    ConsentStated,
    IdentityMerged,
    ProfileErased,
    ProfileSplit,
    TimelineEntry,
)
from schemas.topics import (
    CONSENT,
    IDENTITY_ERASURES,
    IDENTITY_MERGES,
    IDENTITY_SPLITS,
    TIMELINE,
)
from schemas.values import Record

AT = "2010-12-01T08:26:00.000Z"
PEOPLE = "SELECT store, profile_id FROM events ORDER BY store, profile_id"


@pytest.fixture
def client() -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        migrate(opened)
        yield opened


def sink(client: Client) -> TimelineSink:
    nowhere = Settings(data=Path("unused"), kafka=("localhost:1",), secret="x" * 16)
    return TimelineSink(nowhere, client)


def come_in(sink: TimelineSink, topic: str, *records: Record) -> None:
    """As one range that was read: inserted, then redacted."""
    sink._redact([inserted(sink, topic, *records)])


def inserted(sink: TimelineSink, topic: str, *records: Record) -> Waiting:
    shape, waiting = SHAPES[topic], Waiting(0)
    read = [shape.decode(msgspec.json.encode(record)) for record in records]
    waiting.lines = [one for one in read if not is_mark(shape, one)]
    waiting.offsets = list(range(len(waiting.lines)))
    sink._insert_now(shape, 0, waiting, f"{topic}-{records}")
    return waiting


def entry(profile_id: str, store: str = "main") -> TimelineEntry:
    return TimelineEntry(
        event_id=f"e-{profile_id}",
        store=store,
        profile_id=profile_id,
        metric="Placed Order",
        occurred_at=AT,
        received_at=AT,
        origin=(1291191960000, 0, 1, 0),
        trust="server",
        source="shop",
        backfill=False,
        identifiers=(("email", "ann@example.com"),),
        properties={},
        value="1.00",
        currency="EUR",
    )


def moved(profile_id: str, new: str) -> TimelineEntry:
    """The entry of `profile_id`, as it stands under another profile after a split."""
    return replace(entry(profile_id), profile_id=new, moved_from=profile_id)


def split() -> ProfileSplit:
    return ProfileSplit(
        id="p1",
        store="main",
        split="s1",
        outcome="split",
        identifiers=(("email", "ann@example.com"),),
        old="i1",
        new="i5",
        known_as=("i1",),
        author="sue",
        reason="a mistake",
        decided_at=AT,
    )


def erased(*profile_ids: str) -> ProfileErased:
    return ProfileErased(
        id="d1",
        store="main",
        request="r",
        outcome="erased",
        profile_ids=profile_ids,
        decided_at=AT,
    )


def people(client: Client) -> list[tuple[str, str]]:
    return [tuple(row) for row in client.query(PEOPLE).result_rows]


def test_the_rows_of_all_ids_that_somebody_had_go_and_those_of_others_stay(client: Client) -> None:
    """n1 was merged into i0 as the tables know, i9 as the erasure says."""
    timeline = sink(client)
    ids = ("i0", "i9", "n1", "i2")
    merged = IdentityMerged(id="m", store="main", winner="i0", loser="n1", decided_at=AT)
    come_in(timeline, TIMELINE.name, *map(entry, ids), entry("i0", "other"))
    come_in(timeline, IDENTITY_MERGES.name, merged)
    come_in(timeline, IDENTITY_ERASURES.name, erased("i0", "i9"))
    assert people(client) == [("main", "i2"), ("other", "i0")]


def test_what_comes_in_after_the_word_about_it_goes_too_also_after_a_restart(
    client: Client,
) -> None:
    come_in(sink(client), IDENTITY_ERASURES.name, erased("i0"))
    again = sink(client)
    come_in(again, TIMELINE.name, entry("i0"), entry("i2"))
    assert people(client) == [("main", "i2")]


def test_what_was_taken_away_from_consent_goes_from_its_history_but_not_what_follows(
    client: Client,
) -> None:
    words = [
        ConsentStated(
            store="main",
            kind="email",
            address=address,
            channels={"email": "denied"},
            suppressed={},
            details={},
            decided_at=AT,
            cause=f"e{number}",
        )
        for number, address in enumerate(("ann@example.com", "bob@example.com", "ann@example.com"))
    ]
    timeline = sink(client)
    come_in(timeline, CONSENT.name, *words)
    taken = Waiting(0)
    taken.taken = [TakenAway("main/email/ann@example.com", 0, 2)]
    timeline._redact([taken])
    said = client.query("SELECT address, cause FROM consent_words ORDER BY cause").result_rows
    assert [tuple(row) for row in said] == [("bob@example.com", "e1"), ("ann@example.com", "e2")]


def test_what_moved_to_somebody_and_their_erasure_leave_nothing_though_they_come_at_once(
    client: Client,
) -> None:
    here = sink(client)
    come_in(here, TIMELINE.name, entry("i1"))
    events = inserted(here, TIMELINE.name, moved("i1", "i5"))
    here._redact([events, inserted(here, IDENTITY_ERASURES.name, erased("i5"))])
    assert people(client) == []


def test_an_event_that_moved_stands_under_one_profile_whichever_row_came_first(
    client: Client,
) -> None:
    here = sink(client)
    come_in(here, TIMELINE.name, entry("i1"), entry("i2"), entry("i1", "other"))
    come_in(here, TIMELINE.name, moved("i1", "i5"), split())
    come_in(here, TIMELINE.name, moved("i3", "i6"))
    come_in(sink(client), TIMELINE.name, entry("i3"), entry("i4"))
    assert people(client) == [
        ("main", "i2"),
        ("main", "i4"),
        ("main", "i5"),
        ("main", "i6"),
        ("other", "i1"),
    ]


def test_what_moved_stays_away_though_it_was_erased_or_moved_on_before_its_old_row_came(
    client: Client,
) -> None:
    """As where the tables are filled anew, and the partition of whom it was before comes last."""
    here = sink(client)
    come_in(here, TIMELINE.name, moved("i1", "i5"))
    come_in(here, IDENTITY_ERASURES.name, erased("i5"))
    come_in(here, TIMELINE.name, moved("i2", "i6"))
    come_in(here, TIMELINE.name, replace(moved("i2", "i7"), moved_from="i6"))
    come_in(sink(client), TIMELINE.name, entry("i1"), entry("i2"), entry("i3"))
    assert people(client) == [("main", "i3"), ("main", "i7")]


@pytest.mark.parametrize("who", ["i1", "i5"])
def test_an_erasure_of_either_deletes_who_split_them(client: Client, who: str) -> None:
    here = sink(client)
    come_in(here, IDENTITY_SPLITS.name, split())
    assert client.command("SELECT count() FROM identity_splits") == 1
    come_in(here, IDENTITY_ERASURES.name, erased(who))
    assert client.command("SELECT count() FROM identity_splits") == 0
