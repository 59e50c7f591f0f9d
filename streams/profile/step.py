"""What a record, or time alone, does to one person: composes the rest over one row.

In:    events with their profile, words about consent, merges that are asked for (identity); what
       profiles say to each other to agree on a merge (profile).
Out:   timeline, segment changes, flow triggers, send decisions and commands, merges and conflicts;
       words about consent of addresses that an event did not name, and where the identifiers of
       somebody merged point, go back to identity.
State: one row a profile (`ProfileRow`).
"""

from collections.abc import Mapping
from functools import partial
from typing import Self

import msgspec

from schemas.events import Event
from schemas.records import (
    Absorb,
    Accept,
    Backfilled,
    Body,
    ConsentChanged,
    ErasureAsked,
    EventResolved,
    Merge,
    Moved,
    Propose,
    Refuse,
    Retired,
    Shared,
    Stop,
    Withdraw,
)
from schemas.rows import PROFILE_ROW_SCHEMA, DefinitionsRow, FeatureState, ProfileRow, StopsRow
from schemas.topics import SEGMENT_CHANGES
from schemas.values import Instant, Origin, Stage, StoreId
from streams.consent.said import SMS_REPLY, with_keyword
from streams.core import PEER, Output, Stepped, Touched
from streams.definitions.products import is_of_the_catalogue
from streams.definitions.program import Program
from streams.flows.entry import (
    RUNS_MAX,
    TOO_MANY_RUNS,
    await_dates,
    end,
    enter_by_event,
    enter_by_list,
    enter_by_segment,
)
from streams.flows.moment import Moment, part_of
from streams.flows.run import advance, go_on, hear, resume
from streams.flows.sending import say
from streams.flows.told import Told
from streams.ids import Ids
from streams.profile.arrival import claim_devices, is_repeat
from streams.profile.disabled import disable
from streams.profile.erasure import erase, gone, nobody
from streams.profile.expiry import note_expired
from streams.profile.facts import (
    coarsen,
    hear_consent,
    note_consent,
    note_erasure,
    note_figures,
    note_identifiers,
    note_lists,
    note_traits,
)
from streams.profile.merge import (
    answer,
    hear_acceptance,
    hear_move,
    hear_refusal,
    redirect,
    release,
    report,
    retire,
    wish,
)
from streams.profile.store import NOTHING, Store, ready, relocate_runs
from streams.profile.timeline import timeline_entry
from streams.profile.united import absorb
from streams.segments.features import note
from streams.segments.membership import (
    Change,
    adopt,
    ask_ranked,
    because_late,
    carry_features,
    carry_over,
    evaluate,
    is_under,
    next_flip,
)
from streams.segments.person import TO_COME
from streams.segments.united import take_over_past, unite_memberships
from streams.sends.outcome import OUTCOMES, SEND_EXPIRED, completed, note_reported, send_of
from streams.versions import NewerSchema
from streams.visits import AT_ONCE, Visits

WAKES_MAX = 10_000
"""Instants that one wake works off; more is a loop, and an error."""


class ProfileCore:
    """The station `profile`. Rows are keyed by profile id.

    stores: of the stores that have published definitions. stops: of those that have stopped sends.
    told:   where to write down what flows do on the way; None: nobody asks.
    """

    stage: Stage = "profile"
    has_timers = True

    def __init__(
        self,
        ids: Ids,
        stores: Mapping[StoreId, Store] | None = None,
        stops: Mapping[StoreId, tuple[Stop, ...]] | None = None,
        told: list[Told] | None = None,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self._ids, self._without = ids, without
        self._told = told
        self._stores = dict(stores or {})
        self._stops = dict(stops or {})

    def decode(self, blob: bytes) -> ProfileRow:
        row = _decode(blob)
        if row.schema > PROFILE_ROW_SCHEMA:
            raise NewerSchema(
                f"a profile row of schema {row.schema}; known is {PROFILE_ROW_SCHEMA}"
            )
        row.schema = PROFILE_ROW_SCHEMA  # what is written from here on is for this version
        return row

    def encode(self, row: ProfileRow) -> bytes:
        return _encode(row)

    @property
    def visits_until(self) -> Instant:
        """When every row will have been looked at under what is in force."""
        return max((store.visits.until for store in self._stores.values()), default=AT_ONCE)

    def hastened(self) -> Self:
        """The core that looks at all rows at once which nobody has looked at yet."""
        stores = {name: store._replace(visits=Visits()) for name, store in self._stores.items()}
        return type(self)(self._ids, stores, self._stops, self._told)

    def wake_at(self, row: ProfileRow) -> Instant | None:
        """A row that is under other definitions, or cuts, is due when it is visited."""
        if row.to is not None or row.gone_at:
            return None
        store = self._stores.get(row.store, NOTHING)
        if is_under(row, store.program):
            return row.wake_at
        visit = store.visits.of(row.id) if row.definitions else AT_ONCE
        return visit if row.wake_at is None else min(visit, row.wake_at)

    def _program(self, store: StoreId) -> Program:
        return self._stores.get(store, NOTHING).program

    def asleep(self, row: ProfileRow) -> ProfileRow:
        """The row without its timer; its next record sets it again."""
        row.wake_at = None
        program = self._program(row.store)
        if row.definitions != program.mark:
            carry_over(row, program)
        row.population = program.population
        return row

    def adopt(self, row: DefinitionsRow | StopsRow) -> Self:
        """The core with these definitions, or these stops, in force for their store.

        Every row takes definitions over when it is visited, or before something happens to it; flow
        runs go on where the step is that they are in. A stop is asked about when a send is due.
        """
        if isinstance(row, StopsRow):
            stops = {**self._stops, row.said.store: row.said.stops}
            return type(self)(self._ids, self._stores, stops, self._told)
        stores = {**self._stores, row.published.store: ready(row)}
        return type(self)(self._ids, stores, self._stops, self._told)

    def without(self, parts: frozenset[str]) -> Self:
        return type(self)(self._ids, self._stores, self._stops, self._told, parts)

    def step(
        self, row: ProfileRow | None, key: str, body: Body, now: Instant, origin: Origin
    ) -> Touched[ProfileRow]:
        """Say what `body`, applied at `now`, does to the row of `key`."""
        if row is not None and row.gone_at:
            lost = self.decode(body.row) if isinstance(body, Absorb) else None
            return row, gone(row, body, now, self._ids, lost)
        if row is not None and row.to is not None:
            return row, redirect(row, body)
        match body:
            case EventResolved(event=event):
                if body.otherwise is not None and not _has_sent(row, event):
                    other = EventResolved(event, body.resolved_by, body.retired)
                    return row, [Output(PEER, body.otherwise, other)]
                if is_of_the_catalogue(event):
                    return row, [timeline_entry(key, event, origin)]
                if row is None:
                    row = ProfileRow(store=event.store, id=key, first_seen_at=now)
                moment, store = self._moment(row, now)
                _event(moment, store, body, origin)
            case ConsentChanged():
                if row is None:
                    row = ProfileRow(store=body.store, id=key, first_seen_at=now)
                moment, store = self._moment(row, now)
                hear_consent(moment, body.channel, body.identifier[1], body.state)
            case Backfilled():
                if row is None:
                    return None, []
                moment, _ = self._moment(row, now)
                _hear_past(moment, body)
            case _:
                return self._merging(row, key, body, now)
        _settle(moment, None)
        row.wake_at = _next_wake(row)
        return row, moment.outputs

    def _merging(
        self, row: ProfileRow | None, key: str, body: Body, now: Instant
    ) -> Touched[ProfileRow]:
        """A step of the merge protocol. None of them may raise."""
        outputs: list[Output]
        if row is None:
            if isinstance(body, ErasureAsked):
                return None, nobody(key, body, now, self._ids)
            if not isinstance(body, Merge | Propose | Absorb | Retired | Shared):
                return None, []
            of = self.decode(body.row).store if isinstance(body, Absorb) else body.store
            row = ProfileRow(store=of, id=key)
        match body:
            case Merge():
                outputs = wish(row, body)
            case Propose():
                outputs = answer(row, body, now, self._ids)
            case Refuse():
                outputs = hear_refusal(row, body)
            case Moved():
                outputs = hear_move(row, body)
            case Withdraw():
                outputs = release(row, body)
            case Retired():
                outputs = retire(row, body)
            case Shared():
                outputs = report(row, body, now, self._ids)
            case Accept():
                store = self._stores.get(row.store, NOTHING)
                moment = Moment(row, store.program, store.plans, self._ids, now)
                row, moved = hear_acceptance(row, body, partial(self._handed_over, moment))
                outputs = [*moment.outputs, *moved]
            case Absorb(loser, blob):
                store = self._stores.get(row.store, NOTHING)
                lost = self.decode(blob)
                moment = Moment(row, store.program, store.plans, self._ids, now)
                if loser not in row.absorbed:
                    relocate_runs(moment, lost, store)
                absorbed = absorb(row, loser, lost, store.program, now, self._ids)
                outputs = [*moment.outputs, *absorbed]
                row.wake_at = _next_wake(row)
            case ErasureAsked():
                return erase(row, body, now, self._ids)
            case _:
                raise AssertionError(f"no record for profile: {type(body).__name__}")
        if row.erasing is not None and row.to is None:
            row, erased = erase(row, row.erasing, now, self._ids)
            outputs = [*outputs, *erased]
        return row, outputs

    def _handed_over(self, moment: Moment, row: ProfileRow) -> bytes:
        """A row as it is sent to who absorbs it: there the definitions that it is under, where it
        was not visited yet, may be forgotten.
        """
        program = moment.program
        if row.definitions and row.definitions != program.mark:
            relocate_runs(moment, row, self._stores[row.store])
            carry_features(row, program)
            row.definitions = program.mark
        return self.encode(row)

    def veiled(self, _key: str) -> None:
        """Profile ids are keyed hashes already."""

    def is_veiled(self, _row: ProfileRow) -> bool:
        return False

    def wake(self, row: ProfileRow, key: str, due: Instant, now: Instant) -> Stepped[ProfileRow]:
        """Do all that is due at or before `due`, in the order of the instants: at each of them
        segments flip first, then runs go on.
        """
        if row.to is not None or row.gone_at:
            return row, []  # visited, as all rows are
        assert row.id == key, "a timer of another row"
        moment, _ = self._moment(row, now)
        if row.united:
            _look_at_union(moment)
        _settle(moment, None)
        for _ in range(WAKES_MAX):
            at = _next_wake(row)
            if at is None or at > due:
                break
            _flip(moment, at)
            for run in [run for run in row.runs if run.wake_at is not None and run.wake_at <= at]:
                if any(run is one for one in row.runs):  # another one's step may have taken it out
                    part_of(run.flow, resume, moment, run)
                    _settle(moment, None)
        else:
            raise AssertionError("time does not move on in this row")
        row.wake_at = _next_wake(row)
        return row, moment.outputs

    def _moment(self, row: ProfileRow, now: Instant) -> tuple[Moment, Store]:
        """Begin the work on a row; one that was left under other definitions is brought here."""
        store = self._stores.get(row.store, NOTHING)
        program = store.program
        stops = self._stops.get(row.store, ())
        moment = Moment(row, program, store.plans, self._ids, now, stops)
        moment.told = self._told
        if self._without:
            disable(row, self._without, program, store.plans)
        if row.definitions != program.mark:
            relocate_runs(moment, row, store)
            _take_over(moment)
        if row.population != program.population:
            for change in ask_ranked(row, program, now, ids=self._ids):
                moment.outputs.append(Output(SEGMENT_CHANGES.name, row.id, change.output))
        return moment, store


def _has_sent(row: ProfileRow | None, event: Event) -> bool:
    """Is the event the answer to a send of this profile?"""
    return row is not None and row.store == event.store and send_of(row, event) is not None


def _event(moment: Moment, store: Store, resolved: EventResolved, origin: Origin) -> None:
    """Apply an event once: a repeat within the store's time changes and says nothing."""
    row, now, event = moment.row, moment.now, resolved.event
    settings = moment.program.settings
    if is_repeat(row, event, now, settings.deduplicate_for):
        return
    row.events += 1
    if event.occurred_at > row.last_seen_at:
        row.last_seen_at = event.occurred_at
    metric = event.metric
    sent = send_of(row, event) if metric in OUTCOMES else None
    if sent is not None:
        event = completed(event, sent)
        if metric != SEND_EXPIRED:
            note_reported(row, sent)
    elif metric == SMS_REPLY:
        event = with_keyword(event, store.rules)
    moment.outputs.append(timeline_entry(row.id, event, origin))
    note_identifiers(moment, event, resolved)
    if resolved.otherwise is not None:
        moment.outputs += claim_devices(moment, event)
    if event.traits or event.traits_once:
        note_traits(moment, event)
    note_consent(moment, event, store.rules)
    note_lists(moment, event, store.rules)
    note_figures(row, event, settings.currency)
    note_erasure(moment, event)
    moment.features.update(note(moment.program, row, event))
    if row.runs or row.settled:
        hear(moment, event)
    if metric == SEND_EXPIRED and sent is not None and not sent.reported:
        note_expired(moment, sent)
    _look(moment, event)
    enter_by_event(moment, event)
    _enter_lists(moment, event)


# --- segments, and what follows from them --------------------------------------------------------


def _look(moment: Moment, event: Event | None) -> None:
    """Look at the segments that what was touched may change; start the flows of those entered."""
    row, program = moment.row, moment.program
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
    _announce(moment, because_late(changes, event), event)


def _flip(moment: Moment, at: Instant) -> None:
    """Look at the segments that time alone changes at `at`, or changed before."""
    if (flip := next_flip(moment.row)) is not None and flip <= at:
        changes = evaluate(moment.row, moment.program, (), moment.now, due=at, ids=moment.ids)
        _announce(moment, changes, None)
        _settle(moment, None)


def _look_at_union(moment: Moment) -> None:
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
    _announce(moment, changes, None)
    await_dates(moment)
    _settle(moment, None)


def _hear_past(moment: Moment, body: Backfilled) -> None:
    """Take over what was filled in. What this changes starts no flow."""
    row, program, now = moment.row, moment.program, moment.now
    features = _decode_features(body.features)
    touched = take_over_past(row, body.profile_id, body.switch, features, program, now)
    if touched:
        segments = program.segments_for(features=touched)
        changes = evaluate(
            row, program, segments, now, due=None, ids=moment.ids, by_definition=True
        )
        _announce(moment, changes, None)


def _announce(moment: Moment, changes: list[Change], event: Event | None) -> None:
    key = moment.row.id
    outputs = moment.outputs
    for change in changes:
        outputs.append(Output(SEGMENT_CHANGES.name, key, change.output))
    for change in changes:
        if change.entered and not change.by_definition:
            enter_by_segment(moment, change.segment, change.at, change.output.id, event)


def _enter_lists(moment: Moment, event: Event | None) -> None:
    while moment.joined:
        name, cause = moment.joined.pop(0)
        enter_by_list(moment, name, event, cause)


def _settle(moment: Moment, event: Event | None) -> None:
    """Let runs go on and look at what they touched, until nothing is left to do at once.

    Ends: a run leads forward, and no flow starts a second run while one goes on.
    """
    _look(moment, event)
    _enter_lists(moment, event)
    while moment.ready:
        run = moment.ready.pop(0)
        if run.ended_at is None:
            part_of(run.flow, advance, moment, run)
            _look(moment, None)
            _enter_lists(moment, None)


def _take_over(moment: Moment) -> None:
    """Bring a row to the definitions in force. What this changes starts no flow."""
    for change in adopt(moment.row, moment.program, moment.now, ids=moment.ids):
        moment.outputs.append(Output(SEGMENT_CHANGES.name, moment.row.id, change.output))
    await_dates(moment)
    go_on(moment)


def _next_wake(row: ProfileRow) -> Instant | None:
    """The least of the segments' flips and the runs' instants; at once after a merge."""
    if row.united:
        return AT_ONCE
    wake_at = next_flip(row)
    for run in row.runs:
        if run.wake_at is not None and (wake_at is None or run.wake_at < wake_at):
            wake_at = run.wake_at
    return wake_at


_decode = msgspec.msgpack.Decoder(ProfileRow).decode
_decode_features = msgspec.msgpack.Decoder(dict[str, FeatureState]).decode
_encode = msgspec.msgpack.Encoder().encode
