"""The answers of leaves that do not look at features: traits, consent, lists, flows.

Each function returns (ask, find): what the leaf answers, and what was found, as text for evidence.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, TypeAlias

from schemas import conditions as c
from schemas.records import AddressState
from schemas.rows import ProfileRow
from schemas.values import Instant
from streams.consent.receiving import address_of, address_state, may_receive
from streams.consent.state import state_of
from streams.identity.held import newest
from streams.instants import to_timestamp
from streams.lists import is_member, on_it_since
from streams.segments.person import FAILS, HOLDS, TO_COME, Answer, Ask, Person
from streams.segments.values import canonical, compile_event_test, compile_tests, text_of

Find: TypeAlias = Callable[[Person], str | None]
Leaf: TypeAlias = tuple[Ask, Find]

IDENTIFIERS = frozenset({"email", "phone", "external_id"})
"""What is no trait of its own but asked for as one: `trait: email`, the newest of the profile."""


def trait_value(row: ProfileRow, name: str) -> Any:
    trait = row.traits.get(name)
    if trait is not None:
        return trait.value
    if name in IDENTIFIERS:
        return newest(row, name)
    return None


def shown(value: Any) -> str | None:
    """A value as evidence shows it."""
    return text_of(value)[:200] or None if not isinstance(value, list) else str(value)[:200]


def trait_is(condition: c.TraitIs) -> Leaf:
    name = condition.trait
    test = compile_tests(condition.tests)

    def find(person: Person) -> str | None:
        return shown(trait_value(person.row, name))

    if name in IDENTIFIERS:
        return lambda person, _now: HOLDS if test(trait_value(person.row, name)) else FAILS, find

    def ask(person: Person, _now: Instant) -> Answer:
        trait = person.row.traits.get(name)
        return HOLDS if test(None if trait is None else trait.value) else FAILS

    return ask, find


def trait_held(condition: c.TraitHeld) -> Leaf:
    name, span, wanted = condition.trait, condition.span, canonical(condition.value)

    def ask(person: Person, now: Instant) -> Answer:
        trait = person.row.traits.get(name)
        if trait is None or canonical(trait.value) != wanted:
            return FAILS
        return _from(trait.since + span, now)

    return ask, lambda person: shown(trait_value(person.row, name))


def _from(begins_at: Instant, now: Instant) -> Answer:
    """Holds from this instant on."""
    return HOLDS if begins_at <= now else (False, begins_at)


def _until(ends_at: Instant, now: Instant) -> Answer:
    """Holds until this instant, which does not belong."""
    return (True, ends_at) if ends_at > now else FAILS


# --- consent, lists, segments --------------------------------------------------------------------


def can_receive(condition: c.CanReceive) -> Leaf:
    channel, on = condition.channel, condition.list

    def ask(person: Person, _now: Instant) -> Answer:
        row = person.row
        if on is not None and not is_member(row.lists.get(on)):
            return FAILS
        return HOLDS if may_receive(row, channel, person.program.settings) else FAILS

    def find(person: Person) -> str:
        word = _word(person.row, channel)
        return word if on is None or is_member(person.row.lists.get(on)) else f"{word}, not on it"

    return ask, find


def _word(row: ProfileRow, channel: Any) -> str:
    address = address_of(row, channel)
    if address is None:
        return "no address"
    state = address_state(row, channel, address)
    suppressed = (
        f", suppressed: {', '.join(state.suppressed)}" if state and state.suppressed else ""
    )
    return f"{state_of(state)}{suppressed}"


def consent_is(condition: c.ConsentIs) -> Leaf:
    """What the address in use has said; without an address it is `never`."""
    channel, wanted, method, span = (
        condition.channel,
        condition.state,
        condition.method,
        condition.in_last,
    )

    def ask(person: Person, now: Instant) -> Answer:
        row = person.row
        address = address_of(row, channel)
        state = None if address is None else address_state(row, channel, address)
        if state_of(state) != wanted:
            return FAILS
        if method is not None and (state is None or state.method != method):
            return FAILS
        return HOLDS if span is None else _until(_said_at(state) + span, now)

    def find(person: Person) -> str:
        address = address_of(person.row, channel)
        state = None if address is None else address_state(person.row, channel, address)
        said_at = _said_at(state)
        since = f" at {to_timestamp(said_at)}" if span is not None and said_at else ""
        return f"{_word(person.row, channel)}{since}"

    return ask, find


def _said_at(state: AddressState | None) -> Instant:
    """When what an address says now was said; 0: it has said nothing."""
    match state_of(state):
        case "granted" if state is not None:
            return state.granted_occurred_at
        case "denied" if state is not None:
            return state.denied_occurred_at
        case "pending" if state is not None:
            return state.pending_at
    return 0


def in_list(condition: c.InList) -> Leaf:
    name, span = condition.list, condition.joined_in_last

    def ask(person: Person, now: Instant) -> Answer:
        membership = person.row.lists.get(name)
        if membership is None or not is_member(membership):
            return FAILS
        return HOLDS if span is None else _until(on_it_since(membership) + span, now)

    def find(person: Person) -> str | None:
        membership = person.row.lists.get(name)
        if membership is None or not is_member(membership):
            return None
        return f"on it since {to_timestamp(on_it_since(membership))}"

    return ask, find


def in_segment(condition: c.InSegment) -> Leaf:
    name, span = condition.segment, condition.span

    def since(person: Person) -> Instant | None:
        membership = person.row.segments.get(name)
        return None if membership is None else membership.since

    def ask(person: Person, now: Instant) -> Answer:
        entered_at = since(person)
        if entered_at is None:
            return FAILS
        return HOLDS if span is None else _from(entered_at + span, now)

    def find(person: Person) -> str | None:
        entered_at = since(person)
        return None if entered_at is None else f"in it since {to_timestamp(entered_at)}"

    return ask, find


# --- chance, flows -------------------------------------------------------------------------------


def sampled(condition: c.Sampled) -> Leaf:
    """The same profiles in every run: a hash of seed and profile id."""
    limit = condition.share * (1 << 64) // 1_000_000
    seeded = blake2b(f"sample/{condition.seed}/".encode(), digest_size=8)

    def ask(person: Person, _now: Instant) -> Answer:
        digest = seeded.copy()
        digest.update(person.row.id.encode())
        return HOLDS if int.from_bytes(digest.digest()) < limit else FAILS

    return ask, lambda _person: None


def trigger_passes(condition: c.TriggerPasses) -> Leaf:
    test = compile_event_test(condition.where)

    def ask(person: Person, _now: Instant) -> Answer:
        trigger = person.trigger if person.run is None else person.run.trigger
        return HOLDS if trigger is not None and test(trigger, trigger) else FAILS

    return ask, lambda _person: None


def in_flow(condition: c.InFlow) -> Leaf:
    """A run of the flow goes on, or did not long ago; the run that asks does not count."""
    name, span = condition.flow, condition.in_last

    def goes_on(person: Person) -> bool:
        own = None if person.run is None else person.run.id
        return any(
            run.flow == name and run.id != own and run.trigger.kind != TO_COME
            for run in person.row.runs
        )

    def ended_at(person: Person) -> Instant:
        memories = [m for key, m in person.row.flows.items() if key.partition("/")[0] == name]
        return max((memory.ended_at or 0 for memory in memories), default=0)

    def ask(person: Person, now: Instant) -> Answer:
        if goes_on(person):
            return HOLDS
        return FAILS if span is None else _until(ended_at(person) + span, now)

    return ask, lambda person: "in it" if goes_on(person) else None
