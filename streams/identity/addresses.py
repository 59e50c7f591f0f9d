"""The consent an address has, and the profiles that hold it: part of the address's own row."""

from collections.abc import Iterable
from typing import Final

from schemas.outputs import ConsentDetail, ConsentStated
from schemas.records import AddressState, ConsentChanged
from schemas.rows import IdentityRow
from schemas.topics import CONSENT
from schemas.values import Channel, Instant, ProfileId, Timestamp
from streams.consent.state import ADDRESS_KINDS as KIND_OF
from streams.consent.state import (
    NEVER,
    SHARED,
    adds,
    permits_transactional,
    state_of,
    suppressed,
)
from streams.consent.statements import AddressStatement
from streams.consent.words import OF_SEVERAL
from streams.core import NEXT, Output
from streams.identity.keys import ADDRESS_KINDS, key_of
from streams.instants import to_timestamp

HOLDERS_MAX: Final = 10
LINKED: Final = "linked"
"""The cause of a consent that a profile learns about because it now holds the address."""


def hold(row: IdentityRow, profile_id: ProfileId, cause: str) -> list[Output]:
    """Let a profile hold this address, if it is one; tell it what the address may receive.

    A device is held by the profile it points to: tell that one when it does. The eleventh profile
    at an address is not told: nothing it does may depend on what so many share.
    """
    if row.identifier[0] in ADDRESS_KINDS:
        if profile_id in row.holders or len(row.holders) >= HOLDERS_MAX:
            return []
        row.holders = [*row.holders, profile_id]
    return [
        Output(NEXT, profile_id, _changed(row, channel, cause)) for channel in sorted(row.consent)
    ]


def quarantine(row: IdentityRow, profile_id: ProfileId, now: Instant) -> list[Output]:
    """Send nothing to an address that too many profiles hold; tell this one too, which does not."""
    said = suppressed((now, now, OF_SEVERAL), SHARED)
    channels = [channel for channel, kind in KIND_OF.items() if kind == row.identifier[0]]
    fresh = [one for one in channels if SHARED not in _reasons(row, one)]
    outputs = hear(row, [(row.identifier, one, said) for one in fresh], SHARED, now)
    return [*outputs, *(Output(NEXT, profile_id, _changed(row, one, SHARED)) for one in channels)]


def _reasons(row: IdentityRow, channel: Channel) -> set[str]:
    """Why this address was ever suppressed on a channel."""
    return {one.reason for one in row.consent.get(channel, NEVER).suppressions}


def hear(
    row: IdentityRow, said: Iterable[AddressStatement], cause: str, now: Instant
) -> list[Output]:
    """Join what is said about this address to what is known; tell senders and holders, if it adds.

    said: about any address; what is about others is for their own rows.
    """
    changed: list[Channel] = []
    for address, channel, word in said:
        if address == row.identifier:
            joined = adds(row.consent.get(channel, NEVER), word)
            if joined is not None:
                row.consent = {**row.consent, channel: joined}
                changed.append(channel)
    if not changed:
        return []
    outputs = state(row, cause, now)
    for channel in sorted(set(changed)):
        body = _changed(row, channel, cause)
        outputs += [Output(NEXT, holder, body) for holder in _holders(row)]
    return outputs


def state(row: IdentityRow, cause: str, now: Instant) -> list[Output]:
    """Tell senders the whole word about an address; nothing where there is none."""
    if not row.consent:
        return []
    return [Output(CONSENT.name, key_of(row.store, row.identifier), _stated(row, cause, now))]


def _holders(row: IdentityRow) -> list[ProfileId]:
    if row.identifier[0] in ADDRESS_KINDS:
        return row.holders
    return [row.profile_id] if row.profile_id else []


def _changed(row: IdentityRow, channel: Channel, cause: str) -> ConsentChanged:
    return ConsentChanged(row.store, row.identifier, channel, row.consent[channel], cause)


def _stated(row: IdentityRow, cause: str, now: Instant) -> ConsentStated:
    """The whole word about an address, for senders."""
    states = {one: row.consent[one] for one in sorted(row.consent)}
    return ConsentStated(
        store=row.store,
        kind=row.identifier[0],
        address=row.identifier[1],
        channels={channel: state_of(state) for channel, state in states.items()},
        suppressed={
            channel: state.suppressed for channel, state in states.items() if state.suppressed
        },
        details={channel: _detail(state) for channel, state in states.items()},
        decided_at=to_timestamp(now),
        cause=cause,
    )


def _detail(state: AddressState) -> ConsentDetail:
    return ConsentDetail(
        granted_at=_shown(state.granted_occurred_at),
        denied_at=_shown(state.denied_occurred_at),
        pending_at=_shown(state.pending_at),
        method=state.method,
        source=state.source,
        soft_bounces=state.soft_bounces,
        transactional_denied_at=None
        if permits_transactional(state)
        else to_timestamp(state.transactional_denied[0]),
    )


def _shown(instant: Instant) -> Timestamp | None:
    """Zero is never."""
    return to_timestamp(instant) if instant else None
