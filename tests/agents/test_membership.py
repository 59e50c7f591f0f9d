"""Explaining, previewing and counting segments: told from the timeline as the path keeps them."""

import random
from collections.abc import Iterator

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from agents.columns import SHAPES
from agents.drawing.sizes import picture
from agents.migrations import migrate
from agents.reports.membership import Explained, Part, explain_segment
from agents.reports.preview import preview
from agents.reports.sizes import DayOfSegment, sizes
from schemas.rows import ProfileRow
from schemas.topics import IDENTITY_MERGES, SEGMENT_CHANGES, TIMELINE
from schemas.values import Instant
from streams.instants import to_timestamp
from tests.scenarios.play import documents_of
from tests.streams.identity.people import BEGIN, IDS, Kind, also, history
from tests.streams.profile.test_backfill import NEW, World, arrivals, published

GROUPED = """
segment: grouped
where: {all: [{rfm: [recent, loyal]}, {did: Placed Order, times: "< 3"}]}
"""
DEFINITIONS = f"{NEW}---{GROUPED}"
DOCUMENTS = documents_of(DEFINITIONS)
CLOSING = 12


class Told:
    """A history that was played, and the timeline that it left; rows as they were at its ticks."""

    def __init__(self, client: Client, seed: int) -> None:
        rng = random.Random(seed)
        kind = Kind(conflicts=True, dense=True) if seed % 2 else Kind(conflicts=True, shared=True)
        events = [one for one in also(rng, history(rng, kind)) if "scribed" not in one["metric"]]
        self.rows: dict[Instant, list[ProfileRow]] = {}
        world = World(rng.randint(1, 2))
        world.publish(published("new", DEFINITIONS))
        queue = arrivals(rng, events)
        closing = 0
        while closing < CLOSING:
            while queue and queue[0][0] < world.now + 5_000:
                at, partition, value = queue.pop(0)
                world.append(partition % world.partitions, at, value)
            world.tick()
            closing += not queue
            self.rows[world.now - 1] = world.rows()
        for table in ("events", "identity_merges", "segment_changes"):
            client.command(f"TRUNCATE TABLE {table}")
        offset = 0
        for topic in (TIMELINE, IDENTITY_MERGES, SEGMENT_CHANGES):
            shape = SHAPES[topic.name]
            values = [one.value for one in world.said if one.topic == topic.name]
            lines = [shape.decode(value) for value in values]
            if lines:
                table = shape.rows(lines, 0, range(offset, offset + len(lines)))
                client.insert_arrow(shape.table.name, table, settings={"async_insert": 0})
                offset += len(lines)
        self.end = world.now - 1


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        migrate(opened)
        yield opened


def inside(row: ProfileRow) -> set[str]:
    return {name for name, one in row.segments.items() if one.since is not None}


@pytest.mark.parametrize("seed", range(2))
def test_what_is_explained_is_what_was_kept_at_any_instant_also_through_merges(
    client: Client, seed: int
) -> None:
    told = Told(client, seed)
    rng = random.Random(seed)
    quiet = [at for at in told.rows if at > told.end - 30_000]
    for at in (*rng.sample([one for one in told.rows if one not in quiet], 2), told.end):
        for row in told.rows[at]:
            if not row.events or row.proposal is not None or row.to_join:
                continue
            for segment in ("spenders", "quiet", "edited", "recent", "in-order", "grouped"):
                found = explain_segment(client, "main", DOCUMENTS, segment, row.id, at, IDS)
                assert found is not None
                if found.profile_id == row.id and found.events == row.events:
                    assert found.inside is (segment in inside(row)), (segment, to_timestamp(at))
                    assert found.condition.holds is found.inside
    everybody = [row for row in told.rows[told.end] if row.events]
    asked = [
        explain_segment(client, "main", DOCUMENTS, "buyers", row.id, told.end, IDS)
        for row in everybody
    ]
    assert [one.events for one in asked if one] == [row.events for row in everybody]


@pytest.mark.parametrize("seed", range(2))
def test_a_preview_is_what_there_would_be(client: Client, seed: int) -> None:
    told = Told(client, seed)
    people = [row for row in told.rows[told.end] if row.events]
    found = preview(client, "main", DOCUMENTS, "spenders", told.end, IDS)
    assert found.everybody == len(people)
    assert found.profiles == sum("spenders" in inside(row) for row in people)
    for one in found.overlap:
        assert one.profiles == sum(one.segment in inside(row) for row in people), one.segment
        assert one.both == sum({one.segment, "spenders"} <= inside(row) for row in people)


@pytest.mark.parametrize("seed", range(2))
def test_sizes_by_day_end_at_the_size_that_is_there(client: Client, seed: int) -> None:
    told = Told(client, seed)
    for segment in ("buyers", "quiet", "recent"):
        days = sizes(client, "main", segment, "UTC")
        now = sum(segment in inside(row) for row in told.rows[told.end])
        assert (days[-1].profiles if days else 0) == now
        assert all(day.net == day.joined - day.left for day in days)


def test_each_leaf_is_told_with_its_value_its_events_and_its_flip(client: Client) -> None:
    world = World(1)
    world.publish(published("new", DEFINITIONS))
    order = {"metric": "Placed Order", "profile": {"external_id": "c-1"}, "currency": "EUR"}
    for number in range(2):
        event = order | {"id": f"o-{number}", "value": 25, "time": to_timestamp(BEGIN + number)}
        world.append(0, BEGIN + 10 + number, msgspec.json.encode(event))
    for _ in range(2):
        world.tick()
    client.command("TRUNCATE TABLE events")
    shape = SHAPES[TIMELINE.name]
    lines = [shape.decode(one.value) for one in world.said if one.topic == TIMELINE.name]
    client.insert_arrow("events", shape.rows(lines, 0, range(len(lines))))
    (row,) = world.rows()

    def at(instant: Instant, segment: str) -> Explained:
        found = explain_segment(client, "main", DOCUMENTS, segment, row.id, instant, IDS)
        assert found is not None
        return found

    now = at(world.now, "spenders")
    assert (now.inside, now.since, now.events) == (True, to_timestamp(BEGIN + 11), 2)
    leaf = now.condition.leaf
    assert leaf is not None
    assert (leaf.value, leaf.events) == ("50.00", ("o-1", "o-0"))
    assert leaf.next_flip == now.next_flip == to_timestamp(BEGIN + 3000 * 86_400_000)
    before = at(BEGIN + 10, "spenders")
    assert (before.inside, before.events) == (False, 1), "at a past instant the future is not known"
    tree = at(world.now, "neither").condition
    assert (tree.word, tree.holds, [part.holds for part in tree.parts]) == (
        "none",
        False,
        [False, True],
    )
    early = explain_segment(client, "main", DOCUMENTS, "spenders", row.id, BEGIN, IDS)
    assert early is None
    assert isinstance(tree, Part)


def test_a_picture_shows_every_day() -> None:
    days = [
        DayOfSegment(day=f"2026-03-0{n}", joined=n, left=1, net=n - 1, profiles=n * 3)
        for n in range(1, 6)
    ]
    drawn = picture("a < b", days)
    assert drawn == picture("a < b", days)
    assert "a &lt; b" in drawn
    assert drawn.count("<rect") == 1 + 2 * len(days)
    assert all(day.day in drawn for day in days)


def test_a_group_of_customers_is_explained_by_its_cut_points_and_what_follows_by_its_own(
    client: Client,
) -> None:
    told = Told(client, 0)
    (row, *_) = (row for row in told.rows[told.end] if "grouped" in inside(row))
    found = explain_segment(client, "main", DOCUMENTS, "grouped", row.id, told.end, IDS)
    assert found is not None
    group, last = found.condition.parts
    assert (group.word, group.holds) == ("rfm recent, loyal", True)
    assert [part.word for part in group.parts] == ["all", "all"]
    assert last.leaf is not None
    assert last.leaf.leaf == "did Placed Order < 3"
