"""Late events: what would have changed a membership before changes it now, and says so."""

from schemas.outputs import Evidence, SegmentChanged
from tests.scenarios.play import Stage, play

RECENT = "segment: recent\nwhere: {did: Placed Order, in_last: 30d}"
QUIET = "segment: quiet\nwhere: {all: [{did: Placed Order}, {did_not: Placed Order, in_last: 30d}]}"
FUNNEL = "segment: went\nwhere: {sequence: [{did: Viewed}, {did_not: Placed Order, within: 4h}]}"


def reasons(stage: Stage) -> list[tuple[str, str, Evidence]]:
    """(change, its instant, the first of its evidence)."""
    changes = [one.record for one in stage.outputs if isinstance(one.record, SegmentChanged)]
    return [(one.change, one.at, one.evidence[0]) for one in changes]


def test_an_event_of_last_week_counts_from_its_arrival_on_for_what_is_left() -> None:
    stage = play(
        RECENT,
        """
        day 10  Placed Order late=7d id=o-1  -> entered recent
        day 33                               -> exited recent
        day 40  Placed Order late=30d
        """,
    )
    entered, exited = reasons(stage)
    at = "2026-01-04T00:00:00.000Z"
    assert entered[:2] == ("entered", "2026-01-11T00:00:00.000Z")
    assert entered[2] == Evidence(leaf="late", holds=True, value=at, events=("o-1",))
    assert exited[2].leaf.startswith("did Placed Order"), "time alone did that"


def test_a_late_order_takes_out_who_came_in_for_want_of_it() -> None:
    stage = play(
        QUIET,
        """
        day  0  Placed Order
        day 30                            -> entered quiet
        day 35  Placed Order late=20d id=o-2  -> exited quiet
        day 45                            -> entered quiet
        """,
    )
    _, exited, again = reasons(stage)
    assert (exited[0], exited[2].leaf, exited[2].value) == (
        "exited",
        "late",
        "2026-01-16T00:00:00.000Z",
    )
    assert again[2].leaf != "late"


def test_what_did_not_happen_in_time_did_after_all() -> None:
    stage = play(
        FUNNEL,
        """
        day 0 10:00  Viewed
        day 0 14:00                            -> entered went
        day 0 15:00  Placed Order late=3h id=o  -> exited went
        """,
    )
    assert [one[2].leaf == "late" for one in reasons(stage)] == [False, True]


def test_what_takes_a_minute_to_come_is_not_late() -> None:
    script = "day 0  Placed Order late={}  -> entered recent"
    in_time, late = (play(RECENT, script.format(span)) for span in ("60s", "61s"))
    assert reasons(in_time)[0][2].leaf.startswith("did Placed Order")
    assert reasons(late)[0][2].leaf == "late"


def test_a_late_word_about_a_trait_moves_since_when_it_is_held() -> None:
    play(
        "segment: gold\nwhere: {trait: plan, held: gold, for: 10d}",
        """
        day  5  Identify trait.plan=gold
        day  8  Identify trait.plan=gold late=7d
        day 11                                    -> entered gold
        day 12  Identify trait.plan=tin late=9d   -> exited gold
        day 15                                    -> entered gold
        """,
    )
