"""Two profiles become one: agreed before any state moves.

In:    merges that identifiers ask for (identity), the answers of the other profile (profile).
Out:   proposals, answers, the loser's whole row, repointing (identity), merges and conflicts.
State: of the winner what it has reserved and absorbed, of the loser whom it is to join; then the
       loser is a redirect: nothing is left of it but where it went.

The loser (larger id) proposes with the names that it holds or has reserved: its external id, and
its sides of splits. The winner refuses where the two hold different external ids, or both sides of
a split; else it reserves the names and accepts, echoing the proposal.
The loser looks whether the echo is still what it holds: then it becomes a redirect and sends its
row to be absorbed; else it withdraws and proposes anew. Every proposal has a number, so whatever
is repeated or comes too late is recognised. None of these steps may raise: that would stop the
worker.
"""

from collections.abc import Callable, Iterable
from typing import Final

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
    Repoint,
    Retired,
    Shared,
    Withdraw,
)
from schemas.rows import ProfileRow, Proposal, Reservation, Side, Wish
from schemas.splits import EventsTold, NamesAgain, Parted, SplitAsked
from schemas.values import Identifier, Instant, ProfileId, StoreId
from streams.core import BACK, PEER, Output
from streams.identity.held import EXTERNAL_ID, external_ids
from streams.identity.keys import key_of
from streams.identity.links import SPLIT
from streams.ids import Ids, is_named
from streams.profile.conflicts import SHARED_BY_TOO_MANY, conflict
from streams.profile.facts import coarsen, named_by
from streams.profile.sides import again_in, clash, external_in, sides_of

WISHES_MAX: Final = 200
RETIRED_MAX: Final = 50

Encode = Callable[[ProfileRow], bytes]


def held(row: ProfileRow) -> frozenset[str]:
    """The names that are this profile's, or are promised a place in it."""
    return external_ids(row).union(sides_of(row), promised(row)).difference(row.retired)


def promised(row: ProfileRow) -> list[str]:
    """The names that others may bring here."""
    return [one for reserved in row.reserved.values() for one in reserved.names]


# --- the loser -----------------------------------------------------------------------------------


def wish(row: ProfileRow, body: Merge) -> list[Output]:
    """Note that this profile and another one are one person; if this is the larger, ask."""
    into = body.into
    if into == row.id:
        return []
    if into > row.id:
        asked = Merge(row.store, row.id, body.strong, body.because)
        return [Output(PEER, into, asked)]
    if not body.strong and is_named(row.id):
        return []
    for place, known in enumerate(row.to_join):
        if known.into == into:
            if body.strong and not known.strong:
                row.to_join[place] = Wish(into, True, body.because)
            return []
    if len(row.to_join) >= WISHES_MAX:
        coarsen(row, "to_join")
        return []
    row.to_join.append(Wish(into, body.strong, body.because))
    return _ask(row)


def _ask(row: ProfileRow) -> list[Output]:
    """Propose to the first profile that this one is to join, unless an answer is awaited."""
    if row.proposal is not None or not row.to_join:
        return []
    first = row.to_join[0]
    row.attempts += 1
    names = tuple(sorted(held(row)))
    row.proposal = Proposal(first.into, row.attempts, names)
    body = Propose(row.store, row.id, row.attempts, names, tuple(row.retired), first.because)
    return [Output(PEER, first.into, body)]


def hear_refusal(row: ProfileRow, body: Refuse) -> list[Output]:
    """Stay what we are, and ask the next. If we hold something else by now, ask again."""
    asked = row.proposal
    if asked is None or not _is_awaited(row, body):
        return []
    row.proposal = None
    if held(row) == set(asked.names):
        del row.to_join[:1]
    return _ask(row)


def hear_move(row: ProfileRow, body: Moved) -> list[Output]:
    """Whom we asked was merged into another: ask that one, or have it ask us."""
    if not _is_awaited(row, body):
        return []
    asked = row.to_join.pop(0)
    row.proposal = None
    outputs: list[Output] = []
    if body.to > row.id:
        merge = Merge(row.store, row.id, asked.strong, asked.because)
        outputs.append(Output(PEER, body.to, merge))
    elif body.to < row.id and _may_ask(row, body.to, asked):
        row.to_join.insert(0, Wish(body.to, asked.strong, asked.because))
    return outputs + _ask(row)


def _may_ask(row: ProfileRow, into: ProfileId, asked: Wish) -> bool:
    """Is this worth a wish of its own? One that is there already is made strong instead."""
    for place, known in enumerate(row.to_join):
        if known.into == into:
            if asked.strong:
                row.to_join[place] = Wish(into, True, asked.because)
            return False
    return True


def hear_acceptance(
    row: ProfileRow, body: Accept, encode: Encode
) -> tuple[ProfileRow, list[Output]]:
    """Go over, if the echo is what we hold now; else withdraw, and ask again."""
    if not _is_awaited(row, body):
        return row, [Output(PEER, body.winner, Withdraw(row.id, body.attempt))]
    if not held(row) <= set(body.names):
        row.proposal = None
        withdraw = Output(PEER, body.winner, Withdraw(row.id, body.attempt))
        return row, [withdraw, *_ask(row)]
    rest = [one for one in row.to_join if one.into != body.winner]
    row.proposal, row.to_join, row.attempts = None, [], 0
    outputs = [Output(PEER, body.winner, Absorb(row.id, encode(row)))]
    for one in rest:
        outputs += _hand_on(row.store, body.winner, one)
    if row.erasing is not None:
        outputs.append(Output(PEER, body.winner, row.erasing))
    return ProfileRow(store=row.store, id=row.id, to=body.winner), outputs


def _is_awaited(row: ProfileRow, body: Accept | Refuse | Moved) -> bool:
    """Is this the answer to what we have asked last?"""
    asked = row.proposal
    return asked is not None and (asked.into, asked.attempt) == (body.winner, body.attempt)


def _hand_on(store: StoreId, mine: ProfileId, one: Wish) -> list[Output]:
    """Whom a loser was to join besides its winner is now the winner's affair.

    A device that two named profiles were seen with is no reason to join them.
    """
    low, high = sorted((mine, one.into))
    if low == high or (not one.strong and is_named(high)):
        return []
    return [Output(PEER, high, Merge(store, low, one.strong, one.because))]


# --- the winner ----------------------------------------------------------------------------------


def answer(row: ProfileRow, body: Propose, now: Instant, ids: Ids) -> list[Output]:
    """Refuse where no profile may hold both's names; else reserve a place, and accept.

    What the store has retired it has retired for all: that much is learned from every proposal.
    """
    loser = body.loser
    before = row.reserved.get(loser)
    if loser in row.absorbed or (before is not None and before.attempt > body.attempt):
        return []
    if loser <= row.id or body.store != row.store:
        return [Output(PEER, loser, Refuse(row.id, body.attempt))]
    row.reserved.pop(loser, None)
    again = again_in((*sides_of(row), *promised(row), *body.names))
    row.retired = [one for one in row.retired if one not in again]
    _learn_retired(row, [one for one in body.retired if one not in again])
    ours, theirs = held(row), set(body.names).difference(row.retired)
    if theirs and (reason := clash(ours | theirs)) is not None:
        named = external_in(ours | theirs)
        told = conflict(row, (row.id, loser), named, reason, body.because, now, ids)
        return [Output(PEER, loser, Refuse(row.id, body.attempt)), told]
    if theirs:
        row.reserved[loser] = Reservation(body.attempt, tuple(sorted(theirs)))
    return [Output(PEER, loser, Accept(row.id, body.attempt, body.names))]


def release(row: ProfileRow, body: Withdraw) -> list[Output]:
    """Give the place free that was reserved for this very attempt."""
    reserved = row.reserved.get(body.loser)
    if reserved is not None and reserved.attempt == body.attempt:
        del row.reserved[body.loser]
    return []


# --- what the store says, and what is reported ---------------------------------------------------


def retire(row: ProfileRow, body: Retired, now: Instant, ids: Ids) -> list[Output]:
    """Put the new external id in the place of the old one, and become one with who has it; not
    where support has split the two.

    Who was retired comes back only in the place of who is there now.
    """
    name = EXTERNAL_ID, body.by
    for side in row.sides:
        if side.other == body.into or name in side.identifiers:
            return _keep_apart(row, side, body, now, ids)
    for side in row.sides:
        if side.again == body.external_id:
            side.again = ""
    mine = row.identifiers.get(EXTERNAL_ID, {})
    if body.external_id in mine:
        row.identifiers[EXTERNAL_ID] = {body.by: mine[body.external_id]}
        row.retired = [one for one in row.retired if one != body.by]
    _learn_retired(row, (body.external_id,))
    return wish(row, Merge(row.store, body.into, True, (EXTERNAL_ID, body.external_id)))


def _keep_apart(row: ProfileRow, side: Side, body: Retired, now: Instant, ids: Ids) -> list[Output]:
    """Say that two names are apart since a split; each goes on to name its own. What was nobody's
    name belongs to the one that takes its place.
    """
    is_ours = body.external_id in row.identifiers.get(EXTERNAL_ID, ())
    if side.stays and not is_ours and body.external_id not in row.retired:
        passed = Retired(row.store, body.external_id, body.by, side.other)
        name = EXTERNAL_ID, body.external_id
        return [Output(PEER, side.other, passed), repointed(row.store, name, row.id, side.other)]
    both, names = tuple(sorted((row.id, body.into))), (body.external_id, body.by)
    told = conflict(row, both, names, SPLIT, (EXTERNAL_ID, body.by), now, ids)
    return [told, names_again(row.store, body.external_id)] if is_ours else [told]


def names_again(store: StoreId, external_id: str) -> Output:
    """Tell an external id that it is not retired any more."""
    identifier = EXTERNAL_ID, external_id
    return Output(BACK, key_of(store, identifier), NamesAgain(store, identifier))


def _learn_retired(row: ProfileRow, retired: Iterable[str]) -> None:
    mine = row.identifiers.get(EXTERNAL_ID, {})
    for one in retired:
        mine.pop(one, None)
        if one not in row.retired:
            row.retired.append(one)
    del row.retired[:-RETIRED_MAX]


def report(row: ProfileRow, body: Shared, now: Instant, ids: Ids) -> list[Output]:
    """Tell the store that an identifier is shared by too many."""
    profiles = tuple(sorted(body.profiles))
    return [conflict(row, profiles, (), SHARED_BY_TOO_MANY, body.identifier, now, ids)]


# --- the redirect --------------------------------------------------------------------------------


def redirect(row: ProfileRow, body: Body) -> list[Output]:
    """Send on what reaches a profile that was merged away, and repoint who sent it here."""
    to = row.to
    assert to is not None, "no redirect"
    match body:
        case EventResolved(event=event):
            return [Output(PEER, to, body), *_repoint_named(row.store, event, row.id, to)]
        case ConsentChanged(identifier=identifier):
            return [Output(PEER, to, body), repointed(row.store, identifier, row.id, to)]
        case Merge(into=into, strong=strong, because=because):
            return _hand_on(row.store, to, Wish(into, strong, because))
        case Propose(loser=loser, attempt=attempt):
            return [Output(PEER, loser, Moved(row.id, attempt, to))]
        case Accept(winner=winner, attempt=attempt) if winner != to:
            return [Output(PEER, winner, Withdraw(row.id, attempt))]
        case Retired(external_id=external_id):
            name = EXTERNAL_ID, external_id
            return [Output(PEER, to, body), repointed(row.store, name, row.id, to)]
        case Absorb() | Backfilled() | Withdraw() | Shared() | ErasureAsked():
            return [Output(PEER, to, body)]
        case SplitAsked() | Parted() | EventsTold() | Erased():
            return [Output(PEER, to, body)]
        case _:
            return []


def _repoint_named(store: StoreId, event: Event, old: ProfileId, new: ProfileId) -> list[Output]:
    return [repointed(store, identifier, old, new) for identifier in named_by(event)]


def repointed(store: StoreId, identifier: Identifier, old: ProfileId, new: ProfileId) -> Output:
    """Tell an identifier that `old` is `new` now."""
    return Output(BACK, key_of(store, identifier), Repoint(store, identifier, old, new))
