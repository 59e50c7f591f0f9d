"""What an event says about a profile, kept in its row: identifiers, traits, consent, lists, orders.

Order of arrival does not matter to any of it: the newest `occurred_at` wins, a join is a join.
"""

from itertools import accumulate

import msgspec

from schemas.events import Event
from schemas.records import AddressState, ConsentClaimed, EventResolved
from schemas.rows import ListMembership, ProfileRow, Side, Trait
from schemas.values import Channel, Identifier, Instant
from streams.consent.receiving import address_of, address_state
from streams.consent.state import ADDRESS_KINDS, NEVER, adds, answered_at, coarse
from streams.consent.statements import (
    CHANNELS,
    SMS_REPLY,
    ConsentRules,
    is_cut,
    is_heard,
    is_import,
    opts_in,
    says_something,
    statements,
)
from streams.core import BACK, Output
from streams.definitions.program import Program
from streams.flows.moment import Moment
from streams.flows.sending import drop_held, say
from streams.identity.held import EXTERNAL_ID, external_ids
from streams.identity.keys import key_of
from streams.identity.links import SPLIT
from streams.ids import STRONG_KINDS, key_number
from streams.lists import is_member, join, leave, was_taken_back
from streams.profile.conflicts import conflict
from streams.profile.sides import stranger
from streams.segments.features import TOTALS, saturated
from streams.segments.person import TO_COME
from streams.sends.gates import PROFILE_ERASED as PROFILE_IS_ERASED
from streams.sends.outcome import OUTCOMES, send_of
from streams.traits import BY_CLIENT, is_same_value, newer

IDENTIFIERS_MAX = 50
ADDRESSES_MAX = 60
LISTS_MAX = 300
"""Identifiers of a kind, addresses with a word about consent of a channel, lists of a row."""

CONSENT_BYTES_MAX = 48_000
"""What words about consent may take of a row; over it of most only those are kept that decide."""

NAME_BYTES_MAX = 128
"""Bytes of the name of a trait or a list; a longer one is not kept."""

TRAITS_MAX = 300
TRAITS_FEW = 60
TRAIT_SHORT = 256
TRAITS_BYTES_MAX = 64_000
"""Traits of a row; up to the second number a value within the third is taken as it is, every other
only while all traits together are within the fourth."""

ORDERS_RECENT_MAX = 64
"""Orders of which a row knows what they added to its figures."""

PLACED_ORDER = "Placed Order"
PROFILE_ERASED = "Profile Erased"

_CHANNELS_OF: dict[str, tuple[Channel, ...]] = {
    kind: tuple(channel for channel in CHANNELS if ADDRESS_KINDS[channel] == kind)
    for kind in set(ADDRESS_KINDS.values())
}
_LIST_METRICS = frozenset(
    {"Subscribed", "Confirmed Subscription", "Unsubscribed", "Joined List", "Left List", SMS_REPLY}
)


def note_identifiers(moment: Moment, event: Event, by: EventResolved) -> None:
    """Add what is new. What a browser claims adds no strong identifier: anybody can type one.

    The answer to a send adds weak ones alone: its address may be somebody else's by now.
    """
    row, at = moment.row, event.occurred_at
    for identifier in named_by(event):
        kind, value = identifier
        values = row.identifiers.get(kind)
        since = None if values is None else values.get(value)
        if since is not None and since <= at:
            continue
        if row.sides and (side := stranger(row, identifier)) is not None:
            _report_stranger(moment, side, identifier, event)
            continue
        if not _may_claim(moment, identifier, event, by.resolved_by):
            _note_claimed(moment, identifier)
            continue
        if by.otherwise is not None and is_strong(moment, kind):
            continue
        if kind == EXTERNAL_ID and (value in row.retired or by.retired):
            continue
        if values is None:
            values = row.identifiers[kind] = {}
        values[value] = at
        if since is None:
            if len(values) > IDENTIFIERS_MAX:
                del values[min(values, key=lambda one: (one == value, values[one], one))]
                coarsen(row, "identifiers")
            moment.channels.update(_CHANNELS_OF.get(kind, ()))
            moment.traits.add(kind)
    if event.metric == PLACED_ORDER:
        _note_addresses(moment, event, by)


def _report_stranger(moment: Moment, side: Side, identifier: Identifier, event: Event) -> None:
    """Tell, once, that the store still names together what support has split."""
    if event.trust != "server" or side.is_told:
        return
    side.is_told = True
    row, both = moment.row, tuple(sorted((moment.row.id, side.other)))
    told = conflict(row, both, external_ids(row), SPLIT, identifier, moment.now, moment.ids)
    moment.outputs.append(told)


def named_by(event: Event) -> tuple[Identifier, ...]:
    """The identifiers an event gives its profile: its own, and what an `Alias` says was before."""
    if not event.previous:
        return event.identifiers
    return (*event.identifiers, *(one for one in event.previous if one[0] != EXTERNAL_ID))


def is_strong(moment: Moment, kind: str) -> bool:
    """Does this kind of identifier name a person in this store?"""
    return names_a_person(moment.program, kind)


def names_a_person(program: Program, kind: str) -> bool:
    return kind in STRONG_KINDS or program.settings.identifiers.kinds.get(kind) == "strong"


def _note_addresses(moment: Moment, event: Event, by: EventResolved) -> None:
    """Remember which addresses the newest order names, if they are this profile's.

    A device counts where the order names a person beside it: whose it is otherwise depends on
    which event came first.
    """
    row = moment.row
    by_server = event.trust == "server" and _names_somebody(moment, event)
    for identifier in event.identifiers:
        kind, value = identifier
        if kind not in _CHANNELS_OF or value not in row.identifiers.get(kind, {}):
            continue
        if by_server or (identifier == by.resolved_by and is_strong(moment, kind)):
            said = event.occurred_at, value
            row.ordered_with[kind] = max(row.ordered_with.get(kind, said), said)


def _may_claim(
    moment: Moment, identifier: Identifier, event: Event, resolved_by: Identifier
) -> bool:
    """May this event give the profile this identifier? Anybody can type one.

    What names a person, or is written to, counts from a client only where the event was resolved by
    it. A device that is written to is a known person's only where a server names both: a client may
    have pointed it there.
    """
    kind, by_server = identifier[0], event.trust == "server"
    if is_strong(moment, kind):
        return by_server or identifier == resolved_by
    if kind not in _CHANNELS_OF:
        return True
    if any(is_strong(moment, held) for held in moment.row.identifiers):
        return by_server and _names_somebody(moment, event)
    return by_server or identifier == resolved_by


def _names_somebody(moment: Moment, event: Event) -> bool:
    return any(is_strong(moment, kind) for kind, _ in event.identifiers)


def _note_claimed(moment: Moment, identifier: Identifier) -> None:
    """A device that a client named points here, though nothing is sent to it."""
    claimed = moment.row.claimed
    if not is_strong(moment, identifier[0]) and identifier not in claimed:
        claimed.append(identifier)
        del claimed[:-IDENTIFIERS_MAX]


def note_traits(moment: Moment, event: Event) -> None:
    """Set traits: the newest `occurred_at` wins, of two the larger value; None removes.

    A removed trait stays as None with its time, so that an older event does not bring it back.
    What a client says counts as older than all that servers say, and so overwrites none of it.
    """
    row, since = moment.row, event.occurred_at
    at = since - BY_CLIENT if event.trust == "client" else since
    said = [(name, Trait(value, at, since)) for name, value in event.traits.items()]
    said += [
        (name, Trait(value, at, since, once=True))
        for name, value in event.traits_once.items()
        if value is not None
    ]
    for name, trait in said:
        before = row.traits.get(name)
        if not _fits(row, name, trait.value):
            coarsen(row, "traits")
            continue
        if before is not None:
            trait = newer(before, trait)
            if trait == before:
                continue
        row.traits[name] = trait
        changed = before is None or not is_same_value(before.value, trait.value)
        if changed or (before is not None and before.since != trait.since):
            moment.traits.add(name)


def _fits(row: ProfileRow, name: str, value: object) -> bool:
    """Is there room in the row for this value?"""
    if name in row.traits:
        if value is None:
            return True
    elif len(name.encode()) > NAME_BYTES_MAX or len(row.traits) >= TRAITS_MAX:
        return False
    short = len(row.traits) < TRAITS_FEW and (
        len(value) + len(name) <= TRAIT_SHORT
        if isinstance(value, str)
        else isinstance(value, int | float | None)
    )
    return short or len(_encode((row.traits, value))) <= TRAITS_BYTES_MAX


def newest_traits(traits: dict[str, Trait], bytes_max: int) -> dict[str, Trait]:
    """The newest that fit, in their order; all of them where they do."""
    if len(traits) <= TRAITS_MAX and len(_encode(traits)) <= bytes_max:
        return traits
    by_age = sorted(traits, key=lambda name: (traits[name].occurred_at, name))
    newest = by_age[-TRAITS_MAX:][::-1]
    sizes = accumulate(len(_encode((name, traits[name]))) for name in newest)
    kept = {name for name, size in zip(newest, sizes, strict=True) if size <= bytes_max}
    return {name: trait for name, trait in traits.items() if name in kept}


_encode = msgspec.msgpack.Encoder().encode


def note_consent(moment: Moment, event: Event, rules: ConsentRules) -> None:
    """Join what the event says to the profile's copy.

    Who names no address means the one in use, for a denial every one of its kind, for an outcome
    the one that was written to. The address's own row is told, for it decides. An address that is
    not the profile's because only a client says so leaves nothing here.
    """
    if not says_something(event.metric):
        return
    row = moment.row
    said = statements(event, rules)
    is_widened = not said and _is_global_unsubscribe(row, event)
    if is_widened:
        event = msgspec.structs.replace(event, properties={**event.properties, "list": None})
        said = statements(event, rules)
    if said and is_cut(event):
        coarsen(row, "consent")
    untold: dict[Identifier, None] = {}
    for channel, word in said:
        kind = ADDRESS_KINDS[channel]
        named = _named(event, kind)
        held = row.identifiers.get(kind, ())
        for address in _addressed(row, event, channel, word):
            if named and event.trust == "client" and address not in held:
                continue
            news = hear_consent(moment, channel, address, word)
            if news and (is_widened or not named) and channel != "in_app":
                untold[kind, address] = None
    for identifier in untold:
        named_too = (*(one for one in event.identifiers if one != identifier), identifier)
        claimed = msgspec.structs.replace(event, identifiers=named_too)
        body = ConsentClaimed(claimed, identifier)
        moment.outputs.append(Output(BACK, key_of(row.store, identifier), body))


def hear_consent(moment: Moment, channel: Channel, address: str, said: AddressState) -> bool:
    """Join a word to the copy of one address. Returns: whether that changed anything."""
    row = moment.row
    states = row.consent.get(channel)
    joined = adds(NEVER if states is None else states.get(address, NEVER), said)
    if joined is None:
        return False
    if states is None:
        states = row.consent[channel] = {}
    states[address] = joined
    moment.channels.add(channel)
    if len(states) > ADDRESSES_MAX:
        held = row.identifiers.get(ADDRESS_KINDS[channel], ())
        strangers = [one for one in states if one not in held and one != address]
        del states[(strangers or list(states))[0]]
        coarsen(row, "consent")
    bound_consent(row)
    return True


def bound_consent(row: ProfileRow) -> None:
    """Keep what was said of many addresses, or often, within its share of the row."""
    if len(_encode(row.consent)) <= CONSENT_BYTES_MAX:
        return
    for states in row.consent.values():
        for address, state in states.items():
            states[address] = coarse(state)
    coarsen(row, "consent")


def _is_global_unsubscribe(row: ProfileRow, event: Event) -> bool:
    """Leaving a list one is not on means: nothing more at all. So does taking back a request that
    was not confirmed: a confirmation that comes later grants nothing.
    """
    name = event.properties.get("list")
    if event.metric != "Unsubscribed" or not isinstance(name, str):
        return False
    listed = row.lists.get(name)
    if listed is None or not listed.joined_at:
        return True
    return was_taken_back(listed, event.occurred_at)


def _addressed(row: ProfileRow, event: Event, channel: Channel, said: AddressState) -> list[str]:
    """The addresses that a word is about."""
    return _named(event, ADDRESS_KINDS[channel]) or _meant(row, event, channel, said)


def _named(event: Event, kind: str) -> list[str]:
    return [value for its_kind, value in event.identifiers if its_kind == kind]


def _meant(row: ProfileRow, event: Event, channel: Channel, said: AddressState) -> list[str]:
    """The addresses meant by an event that names none."""
    if event.metric in OUTCOMES:
        sent = send_of(row, event)
        return [sent.address] if sent is not None and sent.channel == channel else []
    if said.denied_received_at or said.suppressions:
        if channel == "in_app":
            return [row.id]
        return list(row.identifiers.get(ADDRESS_KINDS[channel], ()))
    address = address_of(row, channel)
    return [] if address is None else [address]


def note_lists(moment: Moment, event: Event, rules: ConsentRules) -> None:
    """Lists joined, asked for and left. Whoever is asked to confirm joins when there are both, the
    request and its confirmation, whichever comes first, and nothing was denied since.
    """
    if event.metric not in _LIST_METRICS or not is_heard(event):
        return
    row, at = moment.row, event.occurred_at
    name = event.properties.get("list")
    if not isinstance(name, str):
        if event.metric in ("Confirmed Subscription", SMS_REPLY):
            for asked, listed in row.lists.items():
                _join_if_confirmed(moment, asked, listed, event, rules)
        return
    listed = row.lists.get(name, ListMembership())
    if len(name.encode()) > NAME_BYTES_MAX or (
        name not in row.lists and len(row.lists) >= LISTS_MAX
    ):
        coarsen(row, "lists")
        return
    match event.metric:
        case "Joined List":
            _join(moment, name, listed, event, at)
        case "Subscribed" if opts_in(event, rules) == "granted":
            _join(moment, name, listed, event, at)
        case "Confirmed Subscription" if is_import(event):
            _join(moment, name, listed, event, at)
        case "Confirmed Subscription" if name in row.lists:
            _join_if_confirmed(moment, name, listed, event, rules)
        case "Subscribed":
            asked_at = (listed.pending_at, listed.pending_received_at), (at, event.received_at)
            listed.pending_at, listed.pending_received_at = max(asked_at)
            _join_if_confirmed(moment, name, listed, event, rules)
        case "Unsubscribed" | "Left List":
            leave(listed, at)
        case _:
            return
    row.lists[name] = listed
    moment.lists.add(name)


def _join_if_confirmed(
    moment: Moment, name: str, listed: ListMembership, event: Event, rules: ConsentRules
) -> None:
    """event: the request or its confirmation, by which the addresses are known."""
    if listed.pending_at <= max(listed.joined_at, listed.left_at):
        return
    request = listed.pending_at, listed.pending_received_at or listed.pending_at
    for channel, word in statements(event, rules):
        for address in _addressed(moment.row, event, channel, word):
            state = address_state(moment.row, channel, address)
            answered = None if state is None else answered_at(state, request, name)
            if answered is not None:
                at = max(answered, listed.pending_at)
                _join(moment, name, listed, event, at, asked_at=listed.pending_at)
                return


def _join(
    moment: Moment,
    name: str,
    listed: ListMembership,
    event: Event,
    at: Instant,
    *,
    asked_at: Instant = 0,
) -> None:
    """Be on the list from `at`; flows start with the first joining, not with repeats or with
    imported history.
    """
    was_on = is_member(listed)
    join(listed, at, asked_at)
    moment.lists.add(name)
    if not was_on and is_member(listed) and not is_import(event):
        moment.joined.append((name, event.id))


def note_figures(row: ProfileRow, event: Event, currency: str) -> None:
    """Count orders and their value, where it is in the store's currency."""
    if event.metric != PLACED_ORDER:
        return
    figures, at = row.figures, event.occurred_at
    amount = 0
    if event.value is not None and event.currency in (None, currency):
        amount = event.value
    figures.orders += 1
    revenue = figures.revenue + amount
    figures.revenue = saturated(revenue)
    if figures.revenue != revenue:
        coarsen(row, TOTALS)
    figures.recent[key_number(f"{event.metric}/{event.id}")] = amount
    if len(figures.recent) > ORDERS_RECENT_MAX:
        del figures.recent[next(iter(figures.recent))]
    if figures.first_order_at is None or at < figures.first_order_at:
        figures.first_order_at = at
    if figures.last_order_at is None or at > figures.last_order_at:
        figures.last_order_at = at


def note_erasure(moment: Moment, event: Event) -> None:
    """From here on nothing is sent and no flow starts; the data itself is erased elsewhere."""
    if says_erased(event):
        moment.row.erased_at = moment.now
        end_as_erased(moment)


def end_as_erased(moment: Moment) -> None:
    """End every run; of one that had begun it is said."""
    row = moment.row
    for run in row.runs:
        if run.trigger.kind != TO_COME:
            drop_held(moment, run, moment.plans.flows.get(run.flow), PROFILE_IS_ERASED)
            say(moment, run, None, "skipped", (PROFILE_IS_ERASED,))
    row.runs, row.settled = [], []


def says_erased(event: Event) -> bool:
    """Does the store say that nothing may be sent to this person any more?"""
    return event.metric == PROFILE_ERASED and is_heard(event)


def coarsen(row: ProfileRow, cap: str) -> None:
    """Flag a cap that the row has run into."""
    if cap not in row.coarsened:
        row.coarsened.append(cap)
