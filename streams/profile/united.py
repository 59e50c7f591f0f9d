"""The winner takes over what the loser was: a union, whatever the order and however often.

In:    the loser's row, whole. Out: who merged, and where the loser's identifiers point from now on.
State: the winner's row. What follows from the union, memberships and runs, is looked at by the
       winner's timer at once (`look`), for definitions may raise, and this may not.

An event reaches one profile, so counts and sums add; where a store pushed one twice and it reached
both, what both still remember of it counts once.
"""

from typing import Final

from schemas.outputs import IdentityMerged
from schemas.records import AddressState
from schemas.rows import Figures, ListMembership, ProfileRow, Reservation, Trait
from schemas.topics import IDENTITY_MERGES
from schemas.values import Channel, Instant, ProfileId
from streams import lists
from streams.consent.state import ADDRESS_KINDS, NEVER, join
from streams.core import Output
from streams.definitions.program import Program
from streams.flows.united import unite_flows
from streams.identity.held import EXTERNAL_ID, pointing_to
from streams.ids import Ids, is_named
from streams.instants import to_timestamp
from streams.profile.facts import (
    ADDRESSES_MAX,
    IDENTIFIERS_MAX,
    LISTS_MAX,
    ORDERS_RECENT_MAX,
    TRAITS_BYTES_MAX,
    bound_consent,
    coarsen,
    newest_traits,
)
from streams.profile.merge import RETIRED_MAX, promised, repointed
from streams.profile.recent import unite
from streams.profile.sides import again_in, external_in, is_quiet, sides_of
from streams.profile.split import facts_of
from streams.segments.features import TOTALS, saturated
from streams.segments.united import unite_features
from streams.sends.command import newest_variants
from streams.sends.standing import SENT_MAX
from streams.traits import newer

_WEAK_ADDRESSES: Final = frozenset({ADDRESS_KINDS["push"]})

ABSORBED_MAX: Final = 500


def absorb(
    row: ProfileRow, loser: ProfileId, lost: ProfileRow, program: Program, now: Instant, ids: Ids
) -> list[Output]:
    """Take over the loser, once; point all its identifiers here."""
    if loser in row.absorbed or loser == row.id:
        return []
    if row.retold is not None or lost.retold is not None:
        retold, other = row.retold or facts_of(row), lost.retold or facts_of(lost)
        _unite_facts(retold, other, program, now)
        row.retold = retold
    strangers = [one for side in lost.sides for one in side.identifiers]
    _disown_devices(row, loser, lost)
    _unite_identity(row, loser, lost)
    row.consent = _unite_consent(row, lost)
    bound_consent(row)
    _unite_facts(row, lost, program, now)
    unite_flows(row, lost, now)
    row.variants = _unite_variants(row, lost)
    sent = {one.send_id: one for one in (*row.sent, *lost.sent)}
    row.sent = sorted(sent.values(), key=lambda one: (one.at, one.send_id))
    if len(row.sent) > SENT_MAX:
        del row.sent[:-SENT_MAX]
        coarsen(row, "sent")
    row.united[loser] = lost.segments
    row.united.update(lost.united)
    for cap in lost.coarsened:
        coarsen(row, cap)
    record = IdentityMerged(
        id="m" + ids.derive("merged", row.store, row.id, loser),
        store=row.store,
        winner=row.id,
        loser=loser,
        decided_at=to_timestamp(now),
    )
    outputs = [Output(IDENTITY_MERGES.name, row.id, record)]
    outputs += [repointed(row.store, one, loser, row.id) for one in pointing_to(lost)]
    outputs += [repointed(row.store, one, loser, row.id) for one in strangers]
    return outputs


def _unite_facts(row: ProfileRow, lost: ProfileRow, program: Program, now: Instant) -> None:
    """What events have said, and how many there were."""
    row.traits = unite_traits(row, lost.traits)
    row.lists = _unite_lists(row, lost)
    unite_features(row, lost, program, now)
    revenue = row.figures.revenue + lost.figures.revenue
    row.figures = _unite_figures(row.figures, lost.figures)
    if saturated(revenue) != revenue:
        coarsen(row, TOTALS)
    row.recent, repeated = unite(row.recent, lost.recent)
    row.events += lost.events - repeated
    _unite_times(row, lost)
    if lost.erased_at is not None:  # nothing is sent to who was erased by way of another
        row.erased_at = max(lost.erased_at, row.erased_at or 0)


def _disown_devices(row: ProfileRow, loser: ProfileId, lost: ProfileRow) -> None:
    """A nameless loser's devices point to the person it joins, but nothing of theirs is sent there:
    a client's word may have joined them. A device is a person's where a server names both.
    """
    if is_named(loser) or not is_named(row.id):
        return
    for kind in _WEAK_ADDRESSES & lost.identifiers.keys():
        held = row.identifiers.get(kind, {})
        values = lost.identifiers.pop(kind)
        lost.identifiers[kind] = {value: at for value, at in values.items() if value in held}
        lost.claimed += [(kind, value) for value in values if value not in held]


def _unite_identity(row: ProfileRow, loser: ProfileId, lost: ProfileRow) -> None:
    """Identifiers, what was retired and reserved, whom either has absorbed."""
    united: dict[str, dict[str, Instant]] = {}
    for kind in sorted({*row.identifiers, *lost.identifiers}):
        ours, theirs = row.identifiers.get(kind, {}), lost.identifiers.get(kind, {})
        values = dict(ours)
        for value, at in theirs.items():
            values[value] = min(at, values.get(value, at))
        united[kind] = values
    _unite_reserved(row, loser, lost)
    again = again_in((*sides_of(row), *sides_of(lost), *promised(row)))
    known = dict.fromkeys((*row.retired, *lost.retired))
    retired = [name for name in known if name not in again]
    names = united.get(EXTERNAL_ID, {})
    kept = {name: at for name, at in names.items() if name not in retired}
    if names and not kept and not external_in(promised(row)).difference(retired):
        kept = {min(names): names[min(names)]}  # each was said to be in the other's place
    if names:
        united[EXTERNAL_ID] = kept
    row.retired = [name for name in retired if name not in kept][-RETIRED_MAX:]
    for kind, values in united.items():
        if len(values) > IDENTIFIERS_MAX:
            newest = sorted(values, key=lambda one: (values[one], one))[-IDENTIFIERS_MAX:]
            united[kind] = {value: values[value] for value in newest}
            coarsen(row, "identifiers")
    row.identifiers = united
    _unite_sides(row, loser, lost)
    for kind, said in lost.ordered_with.items():
        row.ordered_with[kind] = max(row.ordered_with.get(kind, said), said)
    claimed = dict.fromkeys((*row.claimed, *lost.claimed))
    strangers = [one for one in claimed if one[1] not in united.get(one[0], ())]
    row.claimed = strangers[-IDENTIFIERS_MAX:]


def _unite_reserved(row: ProfileRow, loser: ProfileId, lost: ProfileRow) -> None:
    """Whom either has absorbed, and whom either has promised a place."""
    row.reserved.pop(loser, None)
    for other, reserved in lost.reserved.items():
        before = row.reserved.get(other, Reservation(-1, ()))
        if other not in row.absorbed and reserved.attempt > before.attempt:
            row.reserved[other] = reserved
    row.absorbed = list(dict.fromkeys((*row.absorbed, *lost.absorbed, loser)))
    for absorbed in lost.absorbed:
        row.reserved.pop(absorbed, None)
    if len(row.absorbed) > ABSORBED_MAX:
        del row.absorbed[:-ABSORBED_MAX]
        coarsen(row, "absorbed")


def _unite_sides(row: ProfileRow, loser: ProfileId, lost: ProfileRow) -> None:
    """What was split off from either is nobody's here; what either holds is no stranger's. Who is
    known goes on, though the history of the other is still to come.
    """
    if is_quiet(row) != is_quiet(lost) and is_named(loser if is_quiet(row) else row.id):
        for side in (*row.sides, *lost.sides):
            side.is_alone = False
    row.sides += lost.sides
    for kind, value in [one for side in row.sides if side.stays for one in side.identifiers]:
        values = row.identifiers.get(kind, {})
        if values.pop(value, None) is not None and not values:
            del row.identifiers[kind]
    for side in row.sides:
        if not side.stays:
            side.identifiers = [
                (kind, value)
                for kind, value in side.identifiers
                if value not in row.identifiers.get(kind, ())
            ]


def unite_traits(row: ProfileRow, lost: dict[str, Trait]) -> dict[str, Trait]:
    """Of each trait the newer; over the cap the newest stay."""
    united = dict(row.traits)
    for name, trait in lost.items():
        united[name] = newer(united[name], trait) if name in united else trait
    kept = newest_traits(united, TRAITS_BYTES_MAX)
    if len(kept) < len(united):
        coarsen(row, "traits")
    return kept


def _unite_variants(row: ProfileRow, lost: ProfileRow) -> dict[str, tuple[str, Instant]]:
    """Of each message the variant that was assigned first."""
    united = dict(row.variants)
    for message, theirs in lost.variants.items():
        united[message] = min(theirs, united.get(message, theirs), key=lambda one: (one[1], one[0]))
    return newest_variants(united)


def _unite_consent(row: ProfileRow, lost: ProfileRow) -> dict[Channel, dict[str, AddressState]]:
    """A join for each address; in-app messages are addressed by the profile's id."""
    united = {channel: dict(states) for channel, states in row.consent.items()}
    for channel, states in lost.consent.items():
        ours = united.setdefault(channel, {})
        for address, state in states.items():
            mine = row.id if channel == "in_app" else address
            ours[mine] = join(ours.get(mine, NEVER), state)
        held = row.identifiers.get(ADDRESS_KINDS[channel], ())
        strangers = [address for address in ours if address not in held]
        for address in (*strangers, *ours)[: max(0, len(ours) - ADDRESSES_MAX)]:
            del ours[address]
            coarsen(row, "consent")
    return united


def _unite_lists(row: ProfileRow, lost: ProfileRow) -> dict[str, ListMembership]:
    united = dict(row.lists)
    for name, other in lost.lists.items():
        united[name] = lists.unite(united.get(name, ListMembership()), other)
    if len(united) > LISTS_MAX:
        kept = sorted(united, key=lambda name: (united[name].joined_at, name))[-LISTS_MAX:]
        united = {name: united[name] for name in kept}
        coarsen(row, "lists")
    return united


def _unite_figures(one: Figures, other: Figures) -> Figures:
    """Sums add; an order that both know counts once."""
    both = one.recent.keys() & other.recent.keys()
    amounts = dict(one.recent)
    for mark, amount in other.recent.items():
        amounts[mark] = max(amount, amounts.get(mark, amount))
    firsts = [at for at in (one.first_order_at, other.first_order_at) if at is not None]
    lasts = [at for at in (one.last_order_at, other.last_order_at) if at is not None]
    return Figures(
        one.orders + other.orders - len(both),
        saturated(
            one.revenue + other.revenue - sum(min(one.recent[m], other.recent[m]) for m in both)
        ),
        min(firsts, default=None),
        max(lasts, default=None),
        dict(list(amounts.items())[-ORDERS_RECENT_MAX:]),
    )


def _unite_times(row: ProfileRow, lost: ProfileRow) -> None:
    firsts = [at for at in (row.first_seen_at, lost.first_seen_at) if at]
    row.first_seen_at = min(firsts, default=0)
    row.last_seen_at = max(row.last_seen_at, lost.last_seen_at)
