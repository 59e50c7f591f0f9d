"""An identifier is taken out of a profile: from here on it is somebody else's, and its past too.

In:    a split that was asked for (identity), the new profile's beginning (the old one), and the
       history of both, told again from the timeline.
Out:   to each identifier that it points to the new profile (identity), to that one what is its own,
       the answer (`identity-splits`), a mark (`timeline`), the events that moved, and what changed.
State: the sides of the split in both rows. The old profile goes on as it was, and keeps beside it
       (`retold`) what is known without the events that go; that takes its place when all is told.
       The new one starts no flow until it has its history.

Splitting must not raise: that would stop the worker. Telling again may.
"""

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec

from schemas.events import Event
from schemas.outputs import Evidence, ProfileSplit
from schemas.records import EventResolved
from schemas.rows import ProfileRow, Side
from schemas.splits import EventsTold, EventTold, Parted, SplitAsked, SplitOff
from schemas.topics import IDENTITY_SPLITS, TIMELINE
from schemas.values import Identifier, Instant, ProfileId
from streams.consent.state import ADDRESS_KINDS
from streams.consent.statements import ConsentRules
from streams.core import BACK, PEER, Output
from streams.definitions.program import Program
from streams.flows.entry import end
from streams.flows.moment import Moment
from streams.flows.sending import say
from streams.identity.held import EXTERNAL_ID, pointing_to
from streams.identity.keys import key_of
from streams.identity.links import SPLIT
from streams.ids import Ids
from streams.instants import to_timestamp
from streams.profile.arrival import is_repeat, name_of
from streams.profile.facts import (
    named_by,
    names_a_person,
    note_figures,
    note_identifiers,
    note_lists,
    note_traits,
    says_erased,
)
from streams.profile.merge import names_again, repointed
from streams.profile.recent import remembered, unite
from streams.profile.sides import awaits_history, is_quiet, stranger
from streams.profile.split_history import events_in
from streams.profile.timeline import timeline_entry
from streams.segments.features import note
from streams.segments.membership import Change, because_of, carry_features, evaluate

FACTS: Final = (
    "traits",
    "lists",
    "features",
    "figures",
    "events",
    "recent",
    "first_seen_at",
    "last_seen_at",
    "erased_at",
)
"""What events have said of a row."""

Outcome: TypeAlias = Literal["split", "unknown", "already-split", "only-identifier", "busy"]


# --- the split -----------------------------------------------------------------------------------


def nobody_to_split(key: ProfileId, body: SplitAsked, now: Instant, ids: Ids) -> list[Output]:
    """Say that the identifier points to nobody."""
    return [Output(IDENTITY_SPLITS.name, key, _answer(key, body, "unknown", (), now, ids))]


def split(moment: Moment, body: SplitAsked) -> list[Output]:
    """Let the identifiers go to a profile of their own; what their events have started ends. The
    same split again changes nothing.
    """
    row, program, now, ids = moment.row, moment.program, moment.now, moment.ids
    if any(side.split == body.split for side in row.sides):
        return []
    named, *others = body.identifiers
    ours = [one for one in others if stranger(row, one) is None]
    body = msgspec.structs.replace(body, identifiers=(named, *ours))
    outcome = _outcome(row, body, program)
    known_as = (row.id, *row.absorbed)
    answer = _answer(row.id, body, outcome, known_as, now, ids)
    outputs = [Output(IDENTITY_SPLITS.name, row.id, answer)]
    if outcome != "split":
        return outputs
    outputs.append(Output(TIMELINE.name, row.id, answer))
    is_known_by = named[1] in row.identifiers.get(named[0], ())
    outputs.append(Output(PEER, body.into, _parted(row, body, program, now)))
    side = Side(body.split, True, body.into, list(body.identifiers))
    row.sides.append(side)
    _end_runs(moment, body.identifiers)
    if is_known_by and named[0] == EXTERNAL_ID:
        outputs += _name_again(row, side, now)
    row.retold = ProfileRow(store=row.store, id=row.id, definitions=row.definitions)
    return outputs


def _outcome(row: ProfileRow, body: SplitAsked, program: Program) -> Outcome:
    if not body.into:
        return "unknown"
    named = body.identifiers[0]
    if any(side.stays and named in side.identifiers for side in row.sides):
        return "already-split"
    if not set(pointing_to(row)).difference(body.identifiers):
        return "only-identifier"
    return "busy" if awaits_history(row) or program.past.shadow else "split"


def _parted(row: ProfileRow, body: SplitAsked, program: Program, now: Instant) -> Parted:
    """Take out of the row what goes with the identifiers. Consent stays with each address."""
    going = set(body.identifiers)
    claimed = tuple(one for one in row.claimed if one in going)
    row.claimed = [one for one in row.claimed if one not in going]
    row.retired = [one for one in row.retired if (EXTERNAL_ID, one) not in going]
    named: list[tuple[Identifier, Instant]] = []
    for kind, value in body.identifiers:
        values = row.identifiers.get(kind, {})
        at = values.pop(value, None)
        if at is not None or (kind, value) not in claimed:
            named.append(((kind, value), now if at is None else at))
        if kind in row.identifiers and not values:
            del row.identifiers[kind]
        newest = row.ordered_with.get(kind)
        if newest is not None and newest[1] == value:
            del row.ordered_with[kind]
        for channel, states in row.consent.items():
            if ADDRESS_KINDS[channel] == kind:
                states.pop(value, None)
    return Parted(
        row.store,
        body.split,
        body.identifiers[0],
        (row.id, *row.absorbed),
        tuple(named),
        claimed,
        tuple(one for one in pointing_to(row) if names_a_person(program, one[0])),
        tuple(
            (side.split, side.other, tuple(side.identifiers))
            for side in row.sides
            if not side.stays
        ),
        body.identifiers[0][1] if body.identifiers[0][0] == EXTERNAL_ID else "",
    )


def _name_again(row: ProfileRow, side: Side, now: Instant) -> list[Output]:
    """Where the external id that went had taken the place of another, that one names this profile
    again.
    """
    ours = [one for one in row.retired if stranger(row, (EXTERNAL_ID, one)) is None]
    if not ours:
        return []
    side.again = ours[-1]
    row.retired.remove(side.again)
    row.identifiers[EXTERNAL_ID] = {side.again: now}
    return [names_again(row.store, side.again)]


def begin_apart(row: ProfileRow, body: Parted) -> list[Output]:
    """Be who was split off, without history yet; have the identifiers point here. Said again it
    changes nothing.
    """
    if any(side.split == body.split for side in row.sides):
        return []
    for (kind, value), at in body.identifiers:
        values = row.identifiers.setdefault(kind, {})
        values[value] = min(at, values.get(value, at))
    row.claimed += [one for one in body.claimed if one not in row.claimed]
    strangers = list(body.strangers)
    row.sides.append(Side(body.split, False, body.known_as[0], strangers, again=body.again))
    ours = pointing_to(row)
    for name, other, identifiers in body.before:
        strangers = [one for one in identifiers if one not in ours]
        row.sides.append(Side(name, False, other, strangers, next=None))
    return [
        Output(
            BACK,
            key_of(row.store, one),
            SplitOff(row.store, one, body.known_as, row.id, one == body.asked_for),
        )
        for one in (*(named for named, _ in body.identifiers), *body.claimed)
    ]


def hand_over(row: ProfileRow, to: ProfileId, body: EventResolved) -> list[Output]:
    """Send an event on that was resolved before its identifier knew of the split; what it linked
    here belongs there, too.
    """
    handed = EventResolved(body.event, body.resolved_by, body.retired, handed_on=row.id)
    outputs = [Output(PEER, to, handed)]
    ours = pointing_to(row)
    named = (one for one in named_by(body.event) if one not in ours)
    linked = (one for one in named if stranger(row, one) is None)
    return [*outputs, *(repointed(row.store, one, row.id, to) for one in linked)]


def _answer(
    profile_id: ProfileId,
    body: SplitAsked,
    outcome: Outcome,
    known_as: tuple[ProfileId, ...],
    now: Instant,
    ids: Ids,
) -> ProfileSplit:
    return ProfileSplit(
        id="p" + ids.derive("split", body.store, body.split, profile_id),
        store=body.store,
        split=body.split,
        outcome=outcome,
        identifiers=body.identifiers,
        old=profile_id,
        new=body.into,
        known_as=known_as,
        author=body.author,
        reason=body.reason,
        decided_at=to_timestamp(now),
    )


def facts_of(row: ProfileRow) -> ProfileRow:
    """A copy of what events have said of a row."""
    facts = {name: getattr(row, name) for name in FACTS}
    bare = ProfileRow(store=row.store, id=row.id, definitions=row.definitions, **facts)
    return _decode(_encode(bare))


# --- its history ---------------------------------------------------------------------------------


def note_facts(moment: Moment, event: Event, rules: ConsentRules) -> None:
    """Count an event, and keep what it says of the person; nobody is asked and nothing starts."""
    row = moment.row
    row.events += 1
    row.first_seen_at = min(row.first_seen_at or event.received_at, event.received_at)
    row.last_seen_at = max(row.last_seen_at, event.occurred_at)
    note_traits(moment, event)
    note_lists(moment, event, rules)
    note_figures(row, event, moment.program.settings.currency)
    if says_erased(event):
        row.erased_at = max(event.received_at, row.erased_at or 0)
    moment.features.update(note(moment.program, row, event))


def note_beside(moment: Moment, event: Event, rules: ConsentRules) -> None:
    """Keep an event that comes while history is told again, as it is to be kept then."""
    retold = moment.row.retold
    assert retold is not None, "nothing is told again"
    is_repeat(retold, event, moment.now, moment.program.settings.deduplicate_for)
    _note_beside(moment, retold, event, rules)


def _beside(moment: Moment, row: ProfileRow) -> Moment:
    """The same moment in another row, of which nothing is said."""
    if row.definitions != moment.program.mark:
        carry_features(row, moment.program)
        row.definitions = moment.program.mark
    return Moment(row, moment.program, moment.plans, moment.ids, moment.now)


def _note_beside(moment: Moment, retold: ProfileRow, event: Event, rules: ConsentRules) -> None:
    """Count an event in the row that is told again. Lists ask for consent, which stays with each
    address: the person's own is asked.
    """
    retold.consent, retold.identifiers = moment.row.consent, moment.row.identifiers
    note_facts(_beside(moment, retold), event, rules)
    retold.consent, retold.identifiers = {}, {}


def hear_history(moment: Moment, body: EventsTold, rules: ConsentRules) -> list[Change]:
    """Take in the next part of a side's history, once. Returns: what changed, when all is in."""
    row = moment.row
    side = next((one for one in row.sides if one.split == body.split), None)
    if side is None or side.next != body.number:
        return []
    side.next = None if body.is_last else body.number + 1
    within, told_of = moment.program.settings.deduplicate_for, b""
    for told in events_in(body):
        name, at = name_of(told.event), told.event.received_at
        told_of = remembered(told_of, name, at, within) or told_of
        if not side.stays:
            _move_here(moment, told)
            if remembered(row.recent, name, at, within) is None:  # it was pushed again
                continue
            note_facts(moment, told.event, rules)
        if row.retold is not None:
            _note_beside(moment, row.retold, told.event, rules)
    if not side.stays:
        row.recent, _ = unite(row.recent, told_of)
    if row.retold is not None:
        row.retold.recent, _ = unite(row.retold.recent, told_of)
    moment.joined.clear()
    return [] if side.next is not None else _all_told(moment)


def _move_here(moment: Moment, told: EventTold) -> None:
    """Say that an event is of this profile, and take the identifiers that it names."""
    event = told.event
    note_identifiers(moment, event, EventResolved(event, event.identifiers[0]))
    entry = timeline_entry(moment.row.id, event, told.origin, moved_from=told.profile_id)
    moment.outputs.append(entry)


def _all_told(moment: Moment) -> list[Change]:
    """One side's history is in: put what was told again in its place, and ask every segment."""
    row, program = moment.row, moment.program
    is_told = not any(side.stays and side.next is not None for side in row.sides)
    if row.retold is not None and is_told:
        for name in FACTS:
            setattr(row, name, getattr(row.retold, name))
        row.retold = None
    if is_quiet(row):
        return []
    moment.features, moment.traits, moment.channels, moment.lists = set(), set(), set(), set()
    changes = evaluate(
        row, program, program.segments, moment.now, due=None, ids=moment.ids, by_definition=True
    )
    because = Evidence(leaf=SPLIT, holds=True, value=", ".join(_splits(row.sides)))
    return [because_of(change, because) for change in changes]


def _splits(sides: Iterable[Side]) -> list[str]:
    return [side.split for side in sides]


def _end_runs(moment: Moment, going: Iterable[Identifier]) -> None:
    """End the runs that an event has started which is not of this profile any more."""
    row = moment.row
    for run in list(row.runs):
        if run.trigger.identifiers and run.trigger.identifiers[0] in going:
            say(moment, run, None, "skipped", (SPLIT,))
            end(moment, run, moment.plans.flows.get(run.flow), for_good=True)


_decode = msgspec.msgpack.Decoder(ProfileRow).decode
_encode = msgspec.msgpack.Encoder().encode
