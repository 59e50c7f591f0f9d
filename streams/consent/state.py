"""What one address may receive on one channel, as a join: order and repeats do not matter.

In: the words of events (`said_by`). State: `AddressState`, owned by the address's identity row; the
profile has a copy. Nothing here knows a profile row, so identity uses it too.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from schemas.records import AddressState
from schemas.values import Channel, Instant

ConsentWord: TypeAlias = Literal["granted", "denied", "pending", "never"]
Times: TypeAlias = tuple[Instant, Instant]
"""(occurred_at, received_at)."""
Said: TypeAlias = tuple[str, Instant, Instant]

ADDRESS_KINDS: dict[Channel, str] = {
    "email": "email",
    "sms": "phone",
    "whatsapp": "phone",
    "push": "device_id",
    "in_app": "profile",
}
"""Channel -> the kind of identifier that is its address; in-app goes to the profile itself."""

SOFT_BOUNCES_MAX = 7
"""More soft bounces in a row than this suppress the address."""

HARD_BOUNCE = "hard-bounce"
SOFT_BOUNCES = "soft-bounces"
SPAM_COMPLAINT = "spam-complaint"
MANUAL = "manual"
INVALID = "invalid-address"
DEACTIVATED = "carrier-deactivation"
"""The number is nobody's any more, and may be somebody else's tomorrow."""

SHARED = "shared-by-too-many"
"""More profiles hold the address than can be one person: nothing is sent to any of them."""
REASONS = frozenset({HARD_BOUNCE, SOFT_BOUNCES, SPAM_COMPLAINT, MANUAL, INVALID, DEACTIVATED})
EVERY_REASON = "*"
LIFTED_BY_A_GRANT = frozenset({SPAM_COMPLAINT, MANUAL, DEACTIVATED})
"""A new subscription clears these; a dead address stays dead until it is told otherwise."""

NEVER = AddressState()

CONFIRMS: Instant = -1
"""`pending_at` of a word that confirms: it asks for nothing itself."""


def join(a: AddressState, b: AddressState) -> AddressState:
    """All that `a` and all that `b` says. Commutative, associative, idempotent."""
    if a == b:
        return a
    denied = _latest(
        (a.denied_occurred_at, a.denied_received_at), (b.denied_occurred_at, b.denied_received_at)
    )
    denied_too = _latest(a.transactional_denied, b.transactional_denied)
    granted_too = (*a.transactional_grants, *b.transactional_grants)
    grants = _newest([grant for grant in (*_grants(a), *_grants(b)) if _later(grant, denied)])
    suppressions = _suppressions(a.suppressions, b.suppressions)
    lifts = _lifts(a.lifts, b.lifts)
    delivered_at = max(a.delivered_at, b.delivered_at)
    soft = sorted({*a.soft_bounced, *b.soft_bounced}, reverse=True)[: SOFT_BOUNCES_MAX + 1]
    soft = [bounce for bounce in soft if bounce[0] > delivered_at]
    granted = grants[0] if grants else (0, 0)
    pending_at = max(a.pending_at, b.pending_at)
    method, source, said_at = _word(a, b, granted, denied, pending_at)
    return AddressState(
        granted_occurred_at=granted[0],
        granted_received_at=granted[1],
        denied_occurred_at=denied[0],
        denied_received_at=denied[1],
        pending_at=pending_at,
        method=method,
        source=source,
        suppressed=_in_force(suppressions, lifts, grants, len(soft)),
        soft_bounces=len(soft),
        more_grants=tuple(grants[1:]),
        suppressions=suppressions,
        lifts=lifts,
        soft_bounced=tuple(soft),
        delivered_at=delivered_at,
        said_at=said_at,
        confirmed_at=max(a.confirmed_at, b.confirmed_at),
        transactional_denied=denied_too,
        transactional_grants=tuple(_newest(one for one in granted_too if _later(one, denied_too))),
    )


def adds(state: AddressState, said: AddressState) -> AddressState | None:
    """The state after `said`, or None where that says nothing worth keeping.

    A delivery to an address without soft bounces is not kept: it would be written for every e-mail.
    A confirmation counts only where something was asked, and not denied since.
    """
    if said.pending_at == CONFIRMS and state.pending_at <= state.denied_occurred_at:
        return None
    if said.delivered_at and not state.soft_bounces and _is_delivery_alone(said):
        return None
    joined = join(state, said)
    return None if joined == state else joined


def state_of(state: AddressState | None) -> ConsentWord:
    """What the address has said in the end. Who asks again after a denial is pending."""
    if state is None:
        return "never"
    if state.granted_occurred_at:
        return "granted"
    if state.pending_at > state.denied_occurred_at:
        return "pending"
    return "denied" if state.denied_received_at else "never"


def permits(state: AddressState | None, mode: str | None) -> bool:
    """Is there consent to marketing?

    mode: `explicit` (also None), or `not_denied`: also who was never asked.
    """
    return word_permits(state_of(state), mode)


def word_permits(word: ConsentWord, mode: str | None) -> bool:
    """The same of a word."""
    return word == "granted" or (mode == "not_denied" and word == "never")


def permits_transactional(state: AddressState | None) -> bool:
    """May messages about a purchase be sent? They need no consent, but may be denied."""
    return state is None or state.transactional_denied == (0, 0) or bool(state.transactional_grants)


def is_confirmed(state: AddressState | None) -> bool:
    """Is marketing granted, and was it confirmed after the last denial?"""
    granted = state is not None and state_of(state) == "granted"
    return granted and state is not None and state.confirmed_at > state.denied_occurred_at


def granted(at: Times, method: str | None, source: str | None) -> AddressState:
    return AddressState(
        granted_occurred_at=at[0],
        granted_received_at=at[1],
        method=method,
        source=source,
        said_at=at[0],
    )


def denied(at: Times, method: str | None, source: str | None) -> AddressState:
    return AddressState(
        denied_occurred_at=at[0],
        denied_received_at=at[1],
        method=method,
        source=source,
        said_at=at[0],
    )


def pending(at: Times, method: str | None, source: str | None) -> AddressState:
    return AddressState(pending_at=at[0], method=method, source=source, said_at=at[0])


def confirmed(at: Times, method: str | None, source: str | None) -> AddressState:
    """A grant that answers a request; `adds` asks whether there was one."""
    return msgspec.structs.replace(imported(at, method, source), pending_at=CONFIRMS)


def imported(at: Times, method: str | None, source: str | None) -> AddressState:
    """A grant that was confirmed elsewhere."""
    return msgspec.structs.replace(granted(at, method, source), confirmed_at=at[0])


def denied_transactional(at: Times) -> AddressState:
    return AddressState(transactional_denied=at)


def granted_transactional(at: Times) -> AddressState:
    return AddressState(transactional_grants=(at,))


def suppressed(at: Times, reason: str) -> AddressState:
    return AddressState(suppressed=(reason,), suppressions=((reason, *at),))


def lifted(at: Times, reason: str) -> AddressState:
    """A suppression lifted; soft bounces are counted from here."""
    forgets = reason in (EVERY_REASON, SOFT_BOUNCES)
    return AddressState(lifts=((reason, *at),), delivered_at=at[0] if forgets else 0)


def soft_bounced(at: Times, event_hash: int) -> AddressState:
    return AddressState(soft_bounces=1, soft_bounced=((at[0], event_hash),))


def delivered(at: Times) -> AddressState:
    return AddressState(delivered_at=at[0])


def _latest(a: Times, b: Times) -> Times:
    return max(a[0], b[0]), max(a[1], b[1])


def _later(times: Times, than: Times) -> bool:
    return times[0] > than[0] and times[1] > than[1]


def _grants(state: AddressState) -> tuple[Times, ...]:
    if not state.granted_occurred_at:
        return ()
    return ((state.granted_occurred_at, state.granted_received_at), *state.more_grants)


def _newest(times: Iterable[Times]) -> list[Times]:
    """Those that no other is at least as late as in both times, the latest `occurred_at` first."""
    newest: list[Times] = []
    for one in sorted(set(times), reverse=True):
        if not newest or one[1] > newest[-1][1]:
            newest.append(one)
    return newest


def _suppressions(a: tuple[Said, ...], b: tuple[Said, ...]) -> tuple[Said, ...]:
    if not a or a == b:
        return b
    newest: dict[str, Times] = {}
    for reason, occurred_at, received_at in (*a, *b):
        newest[reason] = _latest(newest.get(reason, (0, 0)), (occurred_at, received_at))
    return tuple(sorted((reason, *times) for reason, times in newest.items()))


def _lifts(a: tuple[Said, ...], b: tuple[Said, ...]) -> tuple[Said, ...]:
    if not a or a == b:
        return b
    reasons = sorted({lift[0] for lift in (*a, *b)})
    return tuple(
        (reason, *times)
        for reason in reasons
        for times in _newest(lift[1:] for lift in (*a, *b) if lift[0] == reason)
    )


def _in_force(
    suppressions: tuple[Said, ...], lifts: tuple[Said, ...], grants: list[Times], soft: int
) -> tuple[str, ...]:
    reasons = []
    for reason, occurred_at, received_at in suppressions:
        clears = [lift[1:] for lift in lifts if lift[0] in (reason, EVERY_REASON)]
        if reason in LIFTED_BY_A_GRANT:
            clears += grants
        if not any(_later(clear, (occurred_at, received_at)) for clear in clears):
            reasons.append(reason)
    if soft > SOFT_BOUNCES_MAX and SOFT_BOUNCES not in reasons:
        reasons.append(SOFT_BOUNCES)
    return tuple(sorted(reasons))


def _word(
    a: AddressState, b: AddressState, granted: Times, denied: Times, pending_at: Instant
) -> tuple[str | None, str | None, Instant]:
    """Method, source and time of the word that the joined state is.

    A state keeps one method. Where the word that now decides had been outdone before, that of
    another one of its kind is shown, or none: never that of a word which says something else.
    """
    joined = AddressState(*granted, *denied, pending_at)
    word = state_of(joined)
    same = [one for one in (a, b) if state_of(one) == word]
    exact = [one for one in same if _times_of(one, word) == _times_of(joined, word)]
    texts = [(one.method or "", one.source or "") for one in exact or same]
    method, source = max(texts, default=("", ""))
    return method or None, source or None, _times_of(joined, word)[0]


def _times_of(state: AddressState, word: ConsentWord) -> Times:
    """When the word was said that the state is."""
    match word:
        case "granted":
            return state.granted_occurred_at, state.granted_received_at
        case "denied":
            return state.denied_occurred_at, state.denied_received_at
        case "pending":
            return state.pending_at, 0
        case "never":
            return 0, 0


def _is_delivery_alone(said: AddressState) -> bool:
    return not (said.lifts or said.suppressions or said.soft_bounced or said.said_at)
