"""What follows from what was touched in a row: segments are asked, flows start and go on.

In: a moment, with what was touched. Out: changes of segments, flow triggers, what flows say.
"""

import msgspec

from schemas.events import Event
from schemas.records import Backfilled
from schemas.rows import FeatureState, ProfileRow
from schemas.topics import SEGMENT_CHANGES
from schemas.values import Instant
from streams.core import Output
from streams.flows.entry import (
    RUNS_MAX,
    TOO_MANY_RUNS,
    await_dates,
    end,
    enter_by_list,
    enter_by_segment,
)
from streams.flows.moment import Moment, part_of
from streams.flows.run import advance, go_on
from streams.flows.sending import say
from streams.profile.facts import coarsen
from streams.profile.sides import is_quiet
from streams.segments.membership import Change, adopt, because_late, evaluate, next_flip
from streams.segments.person import TO_COME
from streams.segments.united import take_over_past, unite_memberships
from streams.visits import AT_ONCE


def look(moment: Moment, event: Event | None) -> None:
    """Look at the segments that what was touched may change; start the flows of those entered."""
    row, program = moment.row, moment.program
    if is_quiet(row):
        return
    if moment.features or moment.traits or moment.channels or moment.lists:
        segments = program.segments_for(
            features=moment.features,
            traits=moment.traits,
            channels=moment.channels,
            lists=moment.lists,
        )
        moment.features, moment.traits, moment.channels, moment.lists = set(), set(), set(), set()
        if not segments and row.definitions:
            return
    elif row.definitions:
        return
    else:
        segments = set()
    changes = evaluate(row, program, segments, moment.now, due=None, ids=moment.ids)
    announce(moment, because_late(changes, event), event)


def flip(moment: Moment, at: Instant) -> None:
    """Look at the segments that time alone changes at `at`, or changed before."""
    if (due := next_flip(moment.row)) is not None and due <= at:
        changes = evaluate(moment.row, moment.program, (), moment.now, due=at, ids=moment.ids)
        announce(moment, changes, None)
        settle(moment, None)


def look_at_union(moment: Moment) -> None:
    """Look at all that a merge may have changed, once, however many were absorbed at this instant.

    A flow starts for a segment that nobody of them was in.
    """
    row = moment.row
    losers, row.united = row.united, {}
    changes = unite_memberships(row, losers, moment.program, moment.now, ids=moment.ids)
    running = [run for run in row.runs if not run.anew and run.trigger.kind != TO_COME]
    for run in running[: max(0, len(running) - RUNS_MAX)]:
        say(moment, run, None, "skipped", (TOO_MANY_RUNS,))
        end(moment, run, moment.plans.flows.get(run.flow))
        coarsen(row, "runs")
    announce(moment, changes, None)
    await_dates(moment)
    go_on(moment)
    settle(moment, None)


def hear_past(moment: Moment, body: Backfilled) -> None:
    """Take over what was filled in. What this changes starts no flow."""
    row, program, now = moment.row, moment.program, moment.now
    features = _decode_features(body.features)
    touched = take_over_past(row, body.profile_id, body.switch, features, program, now)
    if touched:
        segments = program.segments_for(features=touched)
        changes = evaluate(
            row, program, segments, now, due=None, ids=moment.ids, by_definition=True
        )
        announce(moment, changes, None)


def announce(moment: Moment, changes: list[Change], event: Event | None) -> None:
    key = moment.row.id
    outputs = moment.outputs
    for change in changes:
        outputs.append(Output(SEGMENT_CHANGES.name, key, change.output))
    for change in changes:
        if change.entered and not change.by_definition:
            enter_by_segment(moment, change.segment, change.at, change.output.id, event)


def enter_lists(moment: Moment, event: Event | None) -> None:
    if is_quiet(moment.row):
        moment.joined.clear()
    while moment.joined:
        name, cause = moment.joined.pop(0)
        enter_by_list(moment, name, event, cause)


def settle(moment: Moment, event: Event | None) -> None:
    """Let runs go on and look at what they touched, until nothing is left to do at once.

    Ends: a run leads forward, and no flow starts a second run while one goes on.
    """
    look(moment, event)
    enter_lists(moment, event)
    while moment.ready:
        run = moment.ready.pop(0)
        if run.ended_at is None:
            part_of(run.flow, advance, moment, run)
            look(moment, None)
            enter_lists(moment, None)


def take_over(moment: Moment) -> None:
    """Bring a row to the definitions in force. What this changes starts no flow."""
    for change in adopt(moment.row, moment.program, moment.now, ids=moment.ids):
        moment.outputs.append(Output(SEGMENT_CHANGES.name, moment.row.id, change.output))
    await_dates(moment)
    go_on(moment)


def next_wake(row: ProfileRow) -> Instant | None:
    """The least of the segments' flips and the runs' instants; at once after a merge."""
    if row.united:
        return AT_ONCE
    wake_at = next_flip(row)
    for run in row.runs:
        if run.wake_at is not None and (wake_at is None or run.wake_at < wake_at):
            wake_at = run.wake_at
    return wake_at


_decode_features = msgspec.msgpack.Decoder(dict[str, FeatureState]).decode
