"""The path in memory: it lets go of what nobody needs, and reads again what it had to forget."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.values import Instant
from streams.intake import Write
from streams.replay import Replay
from tests.streams.toy import ToyIdentity, ToyProfile, ToyReader

WHAT = ("start", "order", "stop", "browse")
PEOPLE = ("a", "b", "c", "d")

events = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(WHAT),
        st.sampled_from(PEOPLE),
        st.sampled_from((None, *PEOPLE)),
    ),
    min_size=1,
    max_size=60,
)


def toy(**bounds: int) -> Replay:
    return Replay(2, reader=ToyReader, identity=ToyIdentity(), profile=ToyProfile(), **bounds)


def fed(
    replay: Replay, history: list[tuple[int, str, str, str | None]], *, at_once: bool
) -> list[Write]:
    """All that is said; `at_once`: of a backlog, else tick by tick."""
    said: list[Write] = []
    for number, (partition, what, person, other) in enumerate(history):
        at: Instant = 1_000 + 3 * number
        quoted = f'"{other}"' if other else "null"
        value = f'["{what}", "{person}", {quoted}, {number}]'
        replay.append(partition, value.encode(), at)
        if number % 10 == 9 or number == len(history) - 1:
            for source in range(2):
                replay.append(source, None, at + 2)
            if not at_once:
                said += replay.run()
    for later in range(5):
        for source in range(2):
            replay.append(source, None, 2_000 + 500 * later)
    return said + replay.run()


def by_partition(said: list[Write]) -> dict[tuple[str, int], list[Write]]:
    """The order holds within a partition of a topic; between topics there is none."""
    places: dict[tuple[str, int], list[Write]] = {}
    for write in said:
        places.setdefault((write.topic, write.partition), []).append(write)
    return places


# what the two bounds forget overlaps here: late messages first, then waiting records beyond them
OVERLAPPING = (
    [(0, "start", "a", None)] * 8
    + [(0, "start", "a", "b"), (0, "start", "b", "c")]
    + [(0, "start", "a", None)] * 6
    + [(0, "start", "a", "d")]
    + [(0, "start", "c", None)] * 3
    + [(0, "start", "a", None), (0, "start", "c", None), (0, "start", "c", "d")]
    + [(0, "start", "c", "a")] * 3
)


@settings(max_examples=80, deadline=None)
@given(events)
@example(OVERLAPPING)
def test_with_hardly_any_room_the_log_is_read_again_and_the_same_is_said(
    history: list[tuple[int, str, str, str | None]],
) -> None:
    roomy, narrow = toy(), toy(waiting_max=3)
    said = fed(roomy, history, at_once=True)
    assert by_partition(fed(narrow, history, at_once=True)) == by_partition(said)
    for stage in ("identity", "profile"):
        assert dict(rows(narrow, stage)) == dict(rows(roomy, stage))


@settings(max_examples=80, deadline=None)
@given(events)
def test_a_backlog_says_the_same_as_tick_by_tick(
    history: list[tuple[int, str, str, str | None]],
) -> None:
    at_once = fed(toy(), history, at_once=True)
    assert by_partition(fed(toy(), history, at_once=False)) == by_partition(at_once)


def rows(replay: Replay, stage: str) -> list[tuple[bytes, bytes]]:
    return [(key, row) for _, key, row in replay.rows(stage)]  # type: ignore[arg-type]
