"""What a record, or time alone, does to one person: composes the rest over one row.

In:    events with their profile and words about consent (identity), merges (other profiles).
Out:   timeline, segment changes, flow triggers, send decisions and commands; words about consent
       of addresses that an event did not name go back to identity.
State: one row a profile (`ProfileRow`).
"""

from collections.abc import Mapping
from typing import NamedTuple, Self

import msgspec

from schemas.events import Event
from schemas.outputs import TimelineEntry
from schemas.records import Body, ConsentChanged, DefinitionsPublished, EventResolved
from schemas.rows import PROFILE_ROW_SCHEMA, ProfileRow
from schemas.topics import SEGMENT_CHANGES, TIMELINE
from schemas.values import Identifier, Instant, Origin, Stage, StoreId
from streams.consent.said import ConsentRules, rules_of
from streams.core import Output, Stepped
from streams.definitions.program import Program, compile_program
from streams.flows.entry import await_dates, enter_by_event, enter_by_list, enter_by_segment
from streams.flows.moment import Moment
from streams.flows.plan import FlowPlans, plan_flows
from streams.flows.run import advance, hear, resume
from streams.ids import Ids, key_number
from streams.instants import to_timestamp
from streams.money import to_money
from streams.profile.expiry import note_expired
from streams.profile.facts import (
    hear_consent,
    note_consent,
    note_erasure,
    note_figures,
    note_identifiers,
    note_lists,
    note_traits,
)
from streams.segments.features import note
from streams.segments.membership import Change, adopt, evaluate, next_flip
from streams.sends.outcome import OUTCOMES, SEND_EXPIRED, completed, send_of
from streams.versions import NewerSchema

RECENT_MAX = 512
"""Hashes of events kept to recognise repeats."""

AT_ONCE: Instant = 0
"""Due before everything else; `now` is then the instant at which the definitions changed."""

WAKES_MAX = 10_000
"""Instants that one wake works off; more is a loop, and an error."""


class Store(NamedTuple):
    """A store's definitions, ready."""

    program: Program
    plans: FlowPlans
    rules: ConsentRules


def ready(published: DefinitionsPublished) -> Store:
    """Make published definitions ready."""
    program = compile_program(published.documents, version=published.version)
    plans = plan_flows(program.flows, program.condition)
    return Store(program, plans, rules_of(program.settings, program.lists))


class ProfileCore:
    """The station `profile`. Rows are keyed by profile id.

    stores: of the stores that have published definitions.
    """

    stage: Stage = "profile"
    has_timers = True

    def __init__(self, ids: Ids, stores: Mapping[StoreId, Store] | None = None) -> None:
        self._ids = ids
        self._stores = dict(stores or {})
        self._nothing = ready(DefinitionsPublished("", "", "", ()))

    def decode(self, blob: bytes) -> ProfileRow:
        row = _decode(blob)
        if row.schema > PROFILE_ROW_SCHEMA:
            raise NewerSchema(
                f"a profile row of schema {row.schema}; known is {PROFILE_ROW_SCHEMA}"
            )
        return row

    def encode(self, row: ProfileRow) -> bytes:
        return _encode(row)

    def wake_at(self, row: ProfileRow) -> Instant | None:
        """A row that is under other definitions is due at once."""
        return AT_ONCE if row.definitions != self._version(row.store) else row.wake_at

    def _version(self, store: StoreId) -> str:
        return self._stores.get(store, self._nothing).program.version

    def asleep(self, row: ProfileRow) -> ProfileRow:
        """The row without its timer; its next record sets it again."""
        row.wake_at, row.definitions = None, self._version(row.store)
        return row

    def adopt(self, published: DefinitionsPublished) -> Self:
        """The core with these definitions in force for their store.

        Every row takes them over at once, before the next record; flow runs go on where they are.
        """
        return type(self)(self._ids, {**self._stores, published.store: ready(published)})

    def step(
        self, row: ProfileRow | None, key: str, body: Body, now: Instant, origin: Origin
    ) -> Stepped[ProfileRow]:
        """Say what `body`, applied at `now`, does to the row of `key`."""
        match body:
            case EventResolved(event, resolved_by):
                if row is None:
                    row = ProfileRow(store=event.store, id=key, first_seen_at=now)
                moment, store = self._moment(row, now)
                _event(moment, store, event, resolved_by, origin)
            case ConsentChanged():
                if row is None:
                    row = ProfileRow(store=body.store, id=key, first_seen_at=now)
                moment, store = self._moment(row, now)
                hear_consent(moment, body.channel, body.identifier[1], body.state)
            case _:
                raise NotImplementedError(f"no merges yet: {type(body).__name__}")
        _settle(moment, None)
        row.wake_at = _next_wake(row)
        return row, moment.outputs

    def wake(self, row: ProfileRow, key: str, due: Instant, now: Instant) -> Stepped[ProfileRow]:
        """Do all that is due at or before `due`, in the order of the instants: at each of them
        segments flip first, then runs go on.
        """
        assert row.id == key, "a timer of another row"
        moment, _ = self._moment(row, now)
        _settle(moment, None)
        for _ in range(WAKES_MAX):
            at = _next_wake(row)
            if at is None or at > due:
                break
            _flip(moment, at)
            for run in [run for run in row.runs if run.wake_at is not None and run.wake_at <= at]:
                if run.ended_at is None:
                    resume(moment, run)
                    _settle(moment, None)
        else:
            raise AssertionError("time does not move on in this row")
        row.wake_at = _next_wake(row)
        return row, moment.outputs

    def _moment(self, row: ProfileRow, now: Instant) -> tuple[Moment, Store]:
        """Begin the work on a row; one that was left under other definitions is brought here."""
        store = self._stores.get(row.store, self._nothing)
        program = store.program
        moment = Moment(row, program, store.plans, self._ids, now)
        if row.definitions != program.version:
            _take_over(moment)
        return moment, store


def _event(
    moment: Moment, store: Store, event: Event, resolved_by: Identifier, origin: Origin
) -> None:
    """Apply an event once: a repeat within the store's time changes and says nothing."""
    row, now = moment.row, moment.now
    settings = moment.program.settings
    if _is_repeat(row, event, now, settings.deduplicate_for):
        return
    row.events += 1
    if event.occurred_at > row.last_seen_at:
        row.last_seen_at = event.occurred_at
    metric = event.metric
    sent = send_of(row, event) if metric in OUTCOMES else None
    if sent is not None:
        event = completed(event, sent)
    moment.outputs.append(Output(TIMELINE.name, row.id, _timeline_entry(row, event, origin)))
    note_identifiers(moment, event, resolved_by)
    if event.traits or event.traits_once:
        note_traits(moment, event)
    note_consent(moment, event, store.rules)
    note_lists(moment, event, store.rules)
    note_figures(row, event, settings.currency)
    note_erasure(moment, event)
    moment.features.update(note(moment.program, row, event))
    if row.runs:
        hear(moment, event)
    if metric == SEND_EXPIRED and sent is not None:
        note_expired(moment, sent)
    _look(moment, event)
    enter_by_event(moment, event)
    _enter_lists(moment, event)


def _is_repeat(row: ProfileRow, event: Event, now: Instant, within: Instant) -> bool:
    """Has this metric and id been seen within the time? If not, it has now."""
    recent = row.recent
    mark = key_number(f"{event.metric}/{event.id}")
    seen_at = recent.get(mark)
    if seen_at is not None:
        if now - seen_at < within:
            return True
        del recent[mark]
    recent[mark] = now
    while True:
        oldest = next(iter(recent))
        if len(recent) <= RECENT_MAX and now - recent[oldest] < within:
            return False
        del recent[oldest]


def _timeline_entry(row: ProfileRow, event: Event, origin: Origin) -> TimelineEntry:
    value = event.value
    return TimelineEntry(
        event_id=event.id,
        store=row.store,
        profile_id=row.id,
        metric=event.metric,
        occurred_at=to_timestamp(event.occurred_at),
        received_at=to_timestamp(event.received_at),
        origin=origin,
        trust=event.trust,
        source=event.source,
        backfill=event.backfill,
        identifiers=event.identifiers,
        traits=event.traits,
        properties=event.properties,
        value=None if value is None else to_money(value),
        currency=event.currency,
    )


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
    _announce(moment, evaluate(row, program, segments, moment.now, due=None, ids=moment.ids), event)


def _flip(moment: Moment, at: Instant) -> None:
    """Look at the segments that time alone changes at `at`, or changed before."""
    if (flip := next_flip(moment.row)) is not None and flip <= at:
        changes = evaluate(moment.row, moment.program, (), moment.now, due=at, ids=moment.ids)
        _announce(moment, changes, None)
        _settle(moment, None)


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
            advance(moment, run)
            _look(moment, None)
            _enter_lists(moment, None)


def _take_over(moment: Moment) -> None:
    """Bring a row to the definitions in force. What this changes starts no flow."""
    for change in adopt(moment.row, moment.program, moment.now, ids=moment.ids):
        moment.outputs.append(Output(SEGMENT_CHANGES.name, moment.row.id, change.output))
    await_dates(moment)


def _next_wake(row: ProfileRow) -> Instant | None:
    """The least of the segments' flips and the runs' instants."""
    wake_at = next_flip(row)
    for run in row.runs:
        if run.wake_at is not None and (wake_at is None or run.wake_at < wake_at):
            wake_at = run.wake_at
    return wake_at


_decode = msgspec.msgpack.Decoder(ProfileRow).decode
_encode = msgspec.msgpack.Encoder().encode
