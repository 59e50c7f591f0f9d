"""A person is erased: nothing is left of them but that there was somebody, and since when not.

In:    an erasure that was asked for (identity), and all that still reaches who is gone.
Out:   to every identifier that it points to nobody (identity), the answer (`identity-erasures`).
State: the row, of which the id and the instant stay: whatever still points here is put right when
       it is used, and an event that came after the erasure is resolved anew.

Whoever is about to be merged is erased after the merge, and the other with them: by then they are
one person. Who awaits the history of a split is erased when it is told, so that each side has what
is theirs; until then nothing is sent to them. None of these steps may raise: that would stop the
worker.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from schemas.events import Event
from schemas.outputs import ProfileErased
from schemas.records import (
    Absorb,
    Accept,
    Body,
    ConsentChanged,
    Erased,
    ErasureAsked,
    EventArrived,
    EventResolved,
    Merge,
    Propose,
    Refuse,
    Withdraw,
)
from schemas.rows import ProfileRow
from schemas.splits import SplitAsked
from schemas.topics import IDENTITY_ERASURES
from schemas.values import Identifier, Instant, ProfileId, StoreId
from streams.core import BACK, PEER, Output
from streams.identity.held import pointing_to
from streams.identity.keys import key_of
from streams.ids import Ids
from streams.instants import to_timestamp
from streams.profile.sides import awaits_history
from streams.profile.split import nobody_to_split


def nobody(key: ProfileId, body: ErasureAsked, now: Instant, ids: Ids) -> list[Output]:
    """Say that the identifier points to nobody."""
    return [_answer(key, body.store, body.request, "unknown", (), now, ids)]


def erase(
    row: ProfileRow, body: ErasureAsked, now: Instant, ids: Ids
) -> tuple[ProfileRow, list[Output]]:
    """Erase the person; where a merge or a split is under way, after it."""
    is_told = not awaits_history(row)
    if row.proposal is not None or row.to_join or not is_told:
        row.erasing = row.erasing or body
        if not is_told:
            row.erased_at = now if row.erased_at is None else row.erased_at
        return row, []
    gone = ProfileRow(store=row.store, id=row.id, gone_at=max(body.asked_at, 1))
    gone.gone_by = body.request
    return gone, _erased(gone, row.id, row, now, ids)


def gone(
    row: ProfileRow, body: Body, now: Instant, ids: Ids, lost: ProfileRow | None
) -> list[Output]:
    """Answer what reaches somebody who was erased.

    lost: the row that an `Absorb` brings.
    """
    match body:
        case EventResolved(event=event, otherwise=other) if other not in (None, row.id):
            assert other is not None
            return [Output(PEER, other, EventResolved(event, body.resolved_by, body.retired))]
        case EventResolved(handed_on=other) if other:
            return [Output(PEER, other, msgspec.structs.replace(body, handed_on=""))]
        case EventResolved(event=event, resolved_by=identifier):
            return _resolve_anew(row, event, identifier)
        case ConsentChanged(identifier=identifier):
            return _put_right(row.store, row.id, [identifier])
        case Merge(because=because):
            return [] if because is None else _put_right(row.store, row.id, [because])
        case Propose(loser=loser, attempt=attempt):
            return [Output(PEER, loser, Refuse(row.id, attempt))]
        case Accept(winner=winner, attempt=attempt):
            return [Output(PEER, winner, Withdraw(row.id, attempt))]
        case Absorb(loser=loser):
            assert lost is not None, "an absorb brings a row"
            return _erased(row, loser, lost, now, ids)
        case ErasureAsked(request=request):
            return [_answer(row.id, row.store, request, "erased", (row.id,), now, ids)]
        case SplitAsked():
            return nobody_to_split(row.id, body, now, ids)
        case _:
            return []


def _resolve_anew(row: ProfileRow, event: Event, identifier: Identifier) -> list[Output]:
    """What came before the erasure is gone with the person; what came after is of somebody new."""
    outputs = _put_right(row.store, row.id, [identifier])
    if event.received_at > row.gone_at:
        outputs.append(Output(BACK, key_of(row.store, identifier), EventArrived(event)))
    return outputs


def _erased(
    gone: ProfileRow, profile_id: ProfileId, was: ProfileRow, now: Instant, ids: Ids
) -> list[Output]:
    """Let all identifiers go, and say under which ids the person was known."""
    identifiers = pointing_to(was)
    outputs = _put_right(gone.store, profile_id, identifiers)
    outputs += [
        Output(PEER, other, Erased(gone.store, one, profile_id))
        for other in dict.fromkeys(side.other for side in was.sides)
        for one in identifiers
    ]
    known_as = (profile_id, *was.absorbed)
    answer = _answer(profile_id, gone.store, gone.gone_by, "erased", known_as, now, ids)
    return [*outputs, msgspec.structs.replace(answer, key=gone.id)]


def _put_right(
    store: StoreId, profile_id: ProfileId, identifiers: Iterable[Identifier]
) -> list[Output]:
    """Tell identifiers that this profile is no more."""
    return [Output(BACK, key_of(store, one), Erased(store, one, profile_id)) for one in identifiers]


def _answer(
    profile_id: ProfileId,
    store: StoreId,
    request: str,
    outcome: Literal["erased", "unknown"],
    known_as: tuple[ProfileId, ...],
    now: Instant,
    ids: Ids,
) -> Output:
    record = ProfileErased(
        id="d" + ids.derive("erased", store, request, profile_id),
        store=store,
        request=request,
        outcome=outcome,
        profile_ids=known_as,
        decided_at=to_timestamp(now),
    )
    return Output(IDENTITY_ERASURES.name, profile_id, record)
