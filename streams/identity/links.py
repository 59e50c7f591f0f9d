"""What identifiers say to each other: link, hand over, forget, repoint, retire, split off.

In:    records of other identifiers that were seen together with this one, and of profiles.
Out:   merges that are asked for (profile), links to be forgotten (identity).
State: the pointer of an `IdentityRow`, and what it has announced.

A strong identifier that points elsewhere asks for a merge. A weak one lets its nameless profile
join the person it was seen with, and is handed over; where it points to another person it is handed
over and nothing is merged: two people may share a browser. With a profile that support has split
it from, an identifier is not linked at all.
"""

from collections.abc import Iterable
from typing import Final

from schemas.events import Event
from schemas.records import Forget, Linked, Merge, Repoint, Retire, Retired, Shared
from schemas.rows import IdentityRow
from schemas.splits import SplitOff
from schemas.values import Identifier, Instant, ProfileId
from streams.core import NEXT, PEER, Output
from streams.identity.addresses import HOLDERS_MAX, LINKED, hold, quarantine
from streams.identity.held import EXTERNAL_ID
from streams.identity.keys import ADDRESS_KINDS, key_of
from streams.identity.rules import StoreRules
from streams.ids import Ids, is_named

LINKS_MAX: Final = 50
SPLIT: Final = "split"
"""What a split is called where it is the reason: of a consent that is told to who has the address
since, of a conflict, of a change of a segment, of a run that ended.
"""

BY_CLIENT: Final = "?"
"""In front of a link that only a client has announced: a server's word is worth saying again."""


def mint(row: IdentityRow, rules: StoreRules, ids: Ids) -> ProfileId:
    """The profile id that this identifier gives."""
    kind = row.identifier[0]
    return ids.profile(
        row.store,
        row.identifier,
        strong=kind in rules.strong,
        rank=rules.rank(kind),
        epoch=row.epoch,
    )


# --- announcing ----------------------------------------------------------------------------------


def announce(row: IdentityRow, event: Event, rules: StoreRules) -> list[Output]:
    """Tell the other identifiers of an event, once each, which profile they were seen with.

    A client announces weak identifiers alone: anybody can type somebody else's e-mail address.
    """
    if row.shared_at:
        return []
    by_server = event.trust == "server"
    strong = row.identifier[0] in rules.strong
    outputs = []
    for other in _others(row, event):
        if other[0] == EXTERNAL_ID:
            continue
        if (by_server or other[0] not in rules.strong) and _is_news(row, other, by_server):
            body = Linked(row.store, other, row.profile_id, row.identifier, strong, by_server)
            outputs.append(Output(PEER, key_of(row.store, other), body))
    return outputs


def retire_previous(row: IdentityRow, event: Event) -> list[Output]:
    """Let the external id of this row take the place of that which an `Alias` names.

    The store's own server alone may say so.
    """
    outputs = []
    for previous in event.previous:
        ours = row.identifier[0] == EXTERNAL_ID == previous[0] and previous != row.identifier
        if ours and event.trust == "server" and _is_news(row, previous, by_server=True):
            body = Retire(row.store, previous, row.identifier, row.profile_id)
            outputs.append(Output(PEER, key_of(row.store, previous), body))
    return outputs


def _others(row: IdentityRow, event: Event) -> Iterable[Identifier]:
    others = (*event.identifiers[1:], *event.previous) if event.previous else event.identifiers[1:]
    return (other for other in others if other != row.identifier)


def _is_news(row: IdentityRow, other: Identifier, by_server: bool) -> bool:
    """Was this link not announced yet? If so, it is now."""
    link = f"{other[0]}/{other[1]}"
    if link in row.links:
        return False
    if not by_server:
        link = BY_CLIENT + link
        if link in row.links:
            return False
    row.links = [*row.links, link][-LINKS_MAX:]
    return True


def forget(row: IdentityRow, forgotten: Identifier) -> None:
    """Announce an identifier again when it is seen again: it was handed over to another profile."""
    link = f"{forgotten[0]}/{forgotten[1]}"
    row.links = [kept for kept in row.links if kept not in (link, BY_CLIENT + link)]


# --- being linked --------------------------------------------------------------------------------


def link(
    row: IdentityRow, linked: Linked, rules: StoreRules, ids: Ids, now: Instant
) -> list[Output]:
    """This identifier was seen together with one of the profile that is named."""
    if linked.profile_id in row.apart:
        return []
    if row.identifier[0] in rules.strong:
        return _link_strong(row, linked, now) if linked.by_server else []
    return _link_weak(row, linked, rules, ids, now)


def _link_strong(row: IdentityRow, linked: Linked, now: Instant) -> list[Output]:
    """Point to the profile, or ask for a merge with the one that is pointed to.

    An address that more than ten profiles hold is nobody's own: it asks for no merge.
    """
    profile_id = linked.profile_id
    if not row.profile_id:
        row.profile_id = profile_id
        return hold(row, profile_id, LINKED)
    is_address = row.identifier[0] in ADDRESS_KINDS
    if is_address and profile_id not in row.holders and len(row.holders) >= HOLDERS_MAX:
        reported = _share(row, profile_id, [*row.holders, profile_id], now)
        return reported + quarantine(row, profile_id, now)
    outputs = hold(row, profile_id, LINKED) if is_address else []
    if row.profile_id != profile_id and not row.shared_at:
        outputs.append(_merge(row, row.profile_id, profile_id, strong=True))
    return outputs


def _link_weak(
    row: IdentityRow, linked: Linked, rules: StoreRules, ids: Ids, now: Instant
) -> list[Output]:
    """Take the pointer, let a nameless profile join, hand over; a shared one does nothing more."""
    seen_with, pointer = linked.profile_id, row.profile_id
    if row.shared_at:
        return []
    if is_named(seen_with) and seen_with not in row.named:
        row.named = [*row.named, seen_with]
        if len(row.named) > rules.named_per_weak_max:
            return _share_weak(row, seen_with, rules, ids, now)
    if seen_with == pointer:
        return []
    if not pointer:
        row.profile_id, row.announcer = seen_with, linked.announcer
        return hold(row, seen_with, LINKED)
    outputs = []
    if not (is_named(pointer) and is_named(seen_with)):
        outputs.append(_merge(row, pointer, seen_with, strong=False))
    if is_named(seen_with) and (linked.strong or not is_named(pointer)):
        outputs += _hand_over(row, linked)
    return outputs


def _hand_over(row: IdentityRow, linked: Linked) -> list[Output]:
    """Point to the new profile; whoever announced the old one is to announce again."""
    outputs = []
    if row.announcer is not None and row.announcer != linked.announcer:
        body = Forget(row.store, row.announcer, row.identifier)
        outputs.append(Output(PEER, key_of(row.store, row.announcer), body))
    row.profile_id, row.announcer = linked.profile_id, linked.announcer
    return outputs + hold(row, row.profile_id, LINKED)


def _share_weak(
    row: IdentityRow, seen_with: ProfileId, rules: StoreRules, ids: Ids, now: Instant
) -> list[Output]:
    """Too many people use this device: what names it alone belongs to none of them from here on."""
    row.epoch += 1
    row.profile_id, row.announcer = mint(row, rules, ids), None
    return _share(row, seen_with, row.named, now)


def _share(
    row: IdentityRow, profile_id: ProfileId, profiles: Iterable[ProfileId], now: Instant
) -> list[Output]:
    """Link nobody any more; report it, once, through one of the profiles."""
    if row.shared_at:
        return []
    row.shared_at = max(now, 1)
    return [Output(NEXT, profile_id, Shared(row.store, row.identifier, tuple(profiles)))]


def _merge(row: IdentityRow, one: ProfileId, other: ProfileId, *, strong: bool) -> Output:
    """Ask the larger to join the smaller."""
    low, high = sorted((one, other))
    return Output(NEXT, high, Merge(row.store, low, strong, row.identifier))


# --- what profiles have agreed on, and what the store says ---------------------------------------


def repoint(row: IdentityRow, body: Repoint) -> None:
    """Follow a profile into the one that absorbed it."""
    if row.profile_id == body.old:
        row.profile_id = body.new
    if body.old in row.holders:
        row.holders = _replaced(row.holders, body)
    if body.old in row.named:
        row.named = _replaced(row.named, body)
    if body.old in row.apart:
        row.apart = _replaced(row.apart, body)


def _replaced(profiles: list[ProfileId], body: Repoint) -> list[ProfileId]:
    moved = [body.new if one == body.old else one for one in profiles]
    return list(dict.fromkeys(moved))


def retire(row: IdentityRow, body: Retire) -> list[Output]:
    """Name nobody any more: another external id has taken this one's place. Its profile is told.

    Where support has split the two, this one stays what it is.
    """
    if body.profile_id not in row.apart:
        row.retired = True
    if not row.profile_id:
        row.profile_id = body.profile_id
    retired = Retired(row.store, row.identifier[1], body.by[1], body.profile_id)
    return [Output(NEXT, row.profile_id, retired)]


def split_off(row: IdentityRow, body: SplitOff) -> list[Output]:
    """Point to the new profile, where this pointed to the one it was split from; begin anew. An
    address that points to somebody else is held by the new one, if it was by the old.

    Whoever is split off again gets another id: the epoch is raised.
    """
    old = body.known_as[0]
    if old in row.apart:
        return []
    row.apart = [*row.apart, old]
    row.links = []
    held = [one for one in row.holders if one not in body.known_as]
    was_held, row.holders = len(held) < len(row.holders), held
    row.named = [one for one in row.named if one not in body.known_as]
    if body.asked_for:
        row.epoch += 1
        row.retired = False
    if row.profile_id not in body.known_as:
        return hold(row, body.new, SPLIT) if was_held else []
    row.profile_id, row.announcer = body.new, None
    return hold(row, body.new, SPLIT)
