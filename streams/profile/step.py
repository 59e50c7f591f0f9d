"""What a record, or time alone, does to one person: composes the rest over one row.

In:    events with their profile, words about consent, merges that are asked for (identity); what
       profiles say to each other to agree on a merge (profile).
Out:   timeline, segment changes, flow triggers, send decisions and commands, merges and conflicts;
       words about consent of addresses that an event did not name, and where the identifiers of
       somebody merged point, go back to identity.
State: one row a profile (`ProfileRow`).
"""

from collections.abc import Mapping
from typing import Self

import msgspec

from schemas.events import Event
from schemas.records import (
    Absorb,
    Accept,
    Backfilled,
    Body,
    ConsentChanged,
    Erased,
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
from schemas.rows import PROFILE_ROW_SCHEMA, DefinitionsRow, ProfileRow, StopsRow
from schemas.splits import EventsTold, Parted, SplitAsked
from schemas.topics import SEGMENT_CHANGES
from schemas.values import Instant, Origin, Stage, StoreId
from streams.consent.statements import SMS_REPLY, with_keyword
from streams.core import PEER, ROW_BYTES_MAX, Output, Stepped, Touched
from streams.definitions.products import is_of_the_catalogue
from streams.flows.entry import await_dates, enter_by_event
from streams.flows.moment import Moment, part_of
from streams.flows.run import hear, resume
from streams.flows.trace import Traced
from streams.flows.united import drop_doubled
from streams.ids import Ids
from streams.profile.arrival import claim_devices, is_repeat
from streams.profile.disabled import disable
from streams.profile.erasure import erase, gone, nobody
from streams.profile.expiry import note_expired
from streams.profile.facts import (
    end_as_erased,
    hear_consent,
    note_consent,
    note_erasure,
    note_figures,
    note_identifiers,
    note_lists,
    note_traits,
)
from streams.profile.follow import (
    announce,
    enter_lists,
    flip,
    hear_past,
    look,
    look_at_union,
    next_wake,
    settle,
    take_over,
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
from streams.profile.sides import forget_stranger, goes_to, is_quiet, went_to
from streams.profile.size import lessen
from streams.profile.split import (
    begin_apart,
    hand_over,
    hear_history,
    nobody_to_split,
    note_beside,
    split,
)
from streams.profile.store import NOTHING, Store, ready, relocate_runs
from streams.profile.timeline import timeline_entry
from streams.profile.united import absorb
from streams.segments.features import note
from streams.segments.membership import (
    ask_ranked,
    carry_over,
    is_under,
)
from streams.sends.outcome import OUTCOMES, SEND_EXPIRED, completed, note_reported, send_of
from streams.versions import NewerSchema
from streams.visits import AT_ONCE, Visits

WAKES_MAX = 10_000
"""Instants that one wake works off; more is a loop, and an error."""


class ProfileCore:
    """The station `profile`. Rows are keyed by profile id.

    stores: of the stores that have published definitions. stops: of those that have stopped sends.
    trace:  where to write down what flows do on the way; None: nobody asks.
    """

    stage: Stage = "profile"
    has_timers = True

    def __init__(
        self,
        ids: Ids,
        stores: Mapping[StoreId, Store] | None = None,
        stops: Mapping[StoreId, tuple[Stop, ...]] | None = None,
        trace: list[Traced] | None = None,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self._ids, self._without = ids, without
        self._trace = trace
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

    def lessened(self, row: ProfileRow) -> ProfileRow:
        lessen(row, self._stores.get(row.store, NOTHING).program)
        return row

    def _within_cap(self, row: ProfileRow) -> bytes:
        blob = _encode(row)
        return blob if len(blob) <= ROW_BYTES_MAX else _encode(self.lessened(row))

    @property
    def visits_until(self) -> Instant:
        """When every row will have been looked at under what is in force."""
        return max((store.visits.until for store in self._stores.values()), default=AT_ONCE)

    def hastened(self) -> Self:
        """The core that looks at all rows at once which nobody has looked at yet."""
        stores = {name: store._replace(visits=Visits()) for name, store in self._stores.items()}
        return type(self)(self._ids, stores, self._stops, self._trace)

    def wake_at(self, row: ProfileRow) -> Instant | None:
        """A row that is under other definitions, or cuts, is due when it is visited; without its
        history it sleeps.
        """
        if row.to is not None or row.gone_at or is_quiet(row):
            return None
        store = self._stores.get(row.store, NOTHING)
        if is_under(row, store.program):
            return row.wake_at
        visit = store.visits.of(row.id) if row.definitions else AT_ONCE
        return visit if row.wake_at is None else min(visit, row.wake_at)

    def asleep(self, row: ProfileRow) -> ProfileRow:
        """The row without its timer; its next record sets it again."""
        row.wake_at = None
        store = self._stores.get(row.store, NOTHING)
        program = store.program
        if row.definitions != program.mark:
            relocate_runs(Moment(row, program, store.plans, self._ids, AT_ONCE), row, store)
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
            return type(self)(self._ids, self._stores, stops, self._trace)
        stores = {**self._stores, row.published.store: ready(row)}
        return type(self)(self._ids, stores, self._stops, self._trace)

    def without(self, parts: frozenset[str]) -> Self:
        return type(self)(self._ids, self._stores, self._stops, self._trace, parts)

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
                if row is not None and row.sides and body.handed_on is None:
                    to = goes_to(row, event)
                    if to is not None and not _has_sent(row, event):
                        return row, hand_over(row, to, body)
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
                hear_past(moment, body)
            case EventsTold():
                if row is None:
                    return None, []
                moment, store = self._moment(row, now)
                announce(moment, hear_history(moment, body, store.rules), None)
                await_dates(moment)
            case _:
                return self._merging(row, key, body, now)
        settle(moment, None)
        row.wake_at = next_wake(row)
        return self._erased_if_asked(row, moment.outputs, now)

    def _merging(
        self, row: ProfileRow | None, key: str, body: Body, now: Instant
    ) -> Touched[ProfileRow]:
        """A step of the merge protocol. None of them may raise."""
        outputs: list[Output]
        if row is None:
            if isinstance(body, ErasureAsked):
                return None, nobody(key, body, now, self._ids)
            if isinstance(body, SplitAsked):
                return None, nobody_to_split(key, body, now, self._ids)
            if not isinstance(body, Merge | Propose | Absorb | Retired | Shared | Parted):
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
                outputs = retire(row, body, now, self._ids)
            case Shared():
                outputs = report(row, body, now, self._ids)
            case Accept():
                outputs = self._moment(row, now)[0].outputs
                row, moved = hear_acceptance(row, body, self._within_cap)
                outputs += moved
            case Absorb():
                outputs = self._absorbed(row, body, now)
            case SplitAsked():
                moment, _ = self._moment(row, now)
                outputs = split(moment, body)
                outputs = [*moment.outputs, *outputs]
                row.wake_at = next_wake(row)
            case Parted():
                outputs = begin_apart(row, body)
            case Erased():
                outputs = forget_stranger(row, body)
            case ErasureAsked():
                beyond = went_to(row, body.identifier)
                if beyond is not None:
                    return row, [Output(PEER, beyond, body)]
                return erase(row, body, now, self._ids)
            case _:
                raise AssertionError(f"no record for profile: {type(body).__name__}")
        return self._erased_if_asked(row, outputs, now)

    def _erased_if_asked(
        self, row: ProfileRow, outputs: list[Output], now: Instant
    ) -> Touched[ProfileRow]:
        """Erase who was to be erased when this was over."""
        if row.erasing is None or row.to is not None:
            return row, outputs
        row, erased = erase(row, row.erasing, now, self._ids)
        return row, [*outputs, *erased]

    def _absorbed(self, row: ProfileRow, body: Absorb, now: Instant) -> list[Output]:
        """Take over a loser. Both are under the same definitions before: these may have changed
        while the loser was on the way.
        """
        if body.loser in row.absorbed:
            return []
        lost = self.decode(body.row)
        ours, _ = self._moment(row, now)
        theirs, _ = self._moment(lost, now)
        if row.erased_at is not None or lost.erased_at is not None:
            end_as_erased(ours)
            end_as_erased(theirs)
        drop_doubled(ours, theirs)
        absorbed = absorb(row, body.loser, lost, ours.program, now, self._ids)
        row.wake_at = next_wake(row)
        return [*ours.outputs, *theirs.outputs, *absorbed]

    def veiled(self, _key: str) -> None:
        """Profile ids are keyed hashes already."""

    def is_veiled(self, _row: ProfileRow) -> bool:
        return False

    def wake(self, row: ProfileRow, key: str, due: Instant, now: Instant) -> Stepped[ProfileRow]:
        """Do all that is due at or before `due`, in the order of the instants: at each of them
        segments flip first, then runs go on.
        """
        if row.to is not None or row.gone_at or is_quiet(row):
            return row, []  # visited, as all rows are
        assert row.id == key, "a timer of another row"
        moment, _ = self._moment(row, now)
        if row.united:
            look_at_union(moment)
        settle(moment, None)
        for _ in range(WAKES_MAX):
            at = next_wake(row)
            if at is None or at > due:
                break
            flip(moment, at)
            for run in [run for run in row.runs if run.wake_at is not None and run.wake_at <= at]:
                if any(run is one for one in row.runs):  # another one's step may have taken it out
                    part_of(run.flow, resume, moment, run)
                    settle(moment, None)
        else:
            raise AssertionError("time does not move on in this row")
        row.wake_at = at
        return row, moment.outputs

    def _moment(self, row: ProfileRow, now: Instant) -> tuple[Moment, Store]:
        """Begin the work on a row; one that was left under other definitions is brought here."""
        store = self._stores.get(row.store, NOTHING)
        program = store.program
        stops = self._stops.get(row.store, ())
        moment = Moment(row, program, store.plans, self._ids, now, stops)
        moment.trace = self._trace
        if self._without:
            disable(row, self._without, program, store.plans)
        if row.definitions != program.mark:
            relocate_runs(moment, row, store)
            take_over(moment)
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
    moment.event = event.id
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
    if row.retold is not None:
        note_beside(moment, event, store.rules)
    if row.runs or row.settled:
        hear(moment, event)
    if metric == SEND_EXPIRED and sent is not None and not sent.reported:
        note_expired(moment, sent)
    look(moment, event)
    if not is_quiet(row):
        enter_by_event(moment, event)
    enter_lists(moment, event)


_decode = msgspec.msgpack.Decoder(ProfileRow).decode
_encode = msgspec.msgpack.Encoder().encode
