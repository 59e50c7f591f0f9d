"""What one address may receive on one channel, as a join: order and repeats do not matter.

In: the words of events (`address_statements`). State: `AddressState`, owned by the address's
identity row; the profile has a copy. Nothing here knows a profile row, so identity uses it too.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias

import msgspec

from schemas.records import AddressState, Reasoned, Word
from schemas.values import Channel, Instant, ListId, Millis
from streams.consent.words import (
    BEFORE_EVERY_DENIAL,
    OF_SEVERAL,
    Times,
    all_of,
    is_later,
    latest,
    newest,
    without_event,
)
from streams.instants import DAY

ConsentWord: TypeAlias = Literal["granted", "denied", "pending", "never"]

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

REPEATED_FOR: Millis = 7 * DAY
"""For how long an event that names no time is known by its id alone."""

At: TypeAlias = tuple[Instant, Instant, int]
"""(occurred_at, received_at, hash of the event) of a word."""


def join(a: AddressState, b: AddressState) -> AddressState:
    """All that `a` and all that `b` says. Commutative, associative, idempotent."""
    if a == b:
        return a
    a, b = _in_words(a), _in_words(b)
    return _state(
        grants=(*a.grants, *b.grants),
        denials=(*a.denials, *b.denials),
        requests=(*a.requests, *b.requests),
        confirmations=(*a.confirmations, *b.confirmations),
        suppressions=(*a.suppressions, *b.suppressions),
        lifts=(*a.lifts, *b.lifts),
        soft_bounced=(*a.soft_bounced, *b.soft_bounced),
        delivered_at=max(a.delivered_at, b.delivered_at),
        transactional_grants=(*a.transactional_grants, *b.transactional_grants),
        transactional_denials=(*a.transactional_denials, *b.transactional_denials),
    )


def _state(
    *,
    grants: tuple[Word, ...] = (),
    denials: tuple[Word, ...] = (),
    requests: tuple[Word, ...] = (),
    confirmations: tuple[Word, ...] = (),
    suppressions: tuple[Reasoned, ...] = (),
    lifts: tuple[Reasoned, ...] = (),
    soft_bounced: tuple[tuple[Instant, int], ...] = (),
    delivered_at: Instant = 0,
    transactional_grants: tuple[Word, ...] = (),
    transactional_denials: tuple[Word, ...] = (),
) -> AddressState:
    """What follows from all these words."""
    denials, transactional_denials = all_of(denials), all_of(transactional_denials)
    denied, denied_too = latest(denials), latest(transactional_denials)
    grants, granted_too = newest(grants), newest(transactional_grants)
    requests, confirmations = newest(requests), newest(confirmations)
    asked = [word for word in requests if is_later(word, denied)]
    given = [word for word in grants if is_later(word, denied)]
    answers = [
        word
        for word in confirmations
        if is_later(word, denied)
        and (
            is_later(Word(*word.asked), denied)
            or any(_is_answered(one, word) for one in (*asked, *given))
        )
    ]
    counting = [*given, *answers]
    suppressions, lifts = _by_reason(suppressions, all_of), _by_reason(lifts, newest)
    soft = sorted({one for one in soft_bounced if one[0] > delivered_at}, reverse=True)
    soft = soft[: SOFT_BOUNCES_MAX + 1]
    granted = max(counting, key=_weight, default=_NOTHING)
    newest_denial = max(denials, key=_age, default=_NOTHING)
    word = granted if counting else asked[0] if asked else newest_denial
    method = word.method
    if method is None and granted in answers:
        answered = (one.method for one in (*asked, *given) if _is_answered(one, granted))
        method = next(filter(None, answered), None)
    return AddressState(
        granted_occurred_at=granted.occurred_at,
        granted_received_at=granted.received_at,
        denied_occurred_at=denied[0],
        denied_received_at=denied[1],
        pending_at=asked[0].occurred_at if asked else 0,
        method=method,
        source=word.source,
        suppressed=_in_force(suppressions, lifts, grants, requests, confirmations, len(soft)),
        soft_bounces=len(soft),
        grants=grants,
        suppressions=suppressions,
        lifts=lifts,
        soft_bounced=tuple(soft),
        delivered_at=delivered_at,
        said_at=word.occurred_at,
        confirmed_at=answers[0].occurred_at if answers else 0,
        transactional_denied=denied_too,
        transactional_grants=granted_too,
        denials=denials,
        requests=requests,
        confirmations=confirmations,
        transactional_denials=transactional_denials,
    )


_NOTHING = Word(0, 0)


def _weight(grant: Word) -> tuple[bool, tuple[Instant, Instant, str, str]]:
    """Of grants that count the newest is shown; those that any denial outdoes come after others."""
    return grant.received_at != BEFORE_EVERY_DENIAL, _age(grant)


def _age(word: Word) -> tuple[Instant, Instant, str, str]:
    return word.occurred_at, word.received_at, word.method or "", word.source or ""


def _is_answered(request: Word, by: Word) -> bool:
    """A confirmation that both happened and was received before a request answers another one."""
    return by.occurred_at >= request.occurred_at or by.received_at >= request.received_at


def adds(state: AddressState, said: AddressState) -> AddressState | None:
    """The state after `said`, or None where that says nothing worth keeping.

    A delivery to an address without soft bounces is not kept: it would be written for every e-mail.
    Nor is it when a word was received once more.
    """
    if said.delivered_at and not state.soft_bounces and _is_delivery_alone(said):
        return None
    said = _in_words(said)
    if _is_repeat(state, said):
        return None
    joined = _with_requests(join(state, said))
    return None if joined == state else joined


def _with_requests(state: AddressState) -> AddressState:
    """Note with each confirmation what it answers: newer requests may take that one's place."""
    denied = state.denied_occurred_at, state.denied_received_at
    asked = [word for word in (*state.requests, *state.grants) if is_later(word, denied)]
    confirmations = tuple(_with_request(word, asked) for word in state.confirmations)
    if confirmations == state.confirmations:
        return state
    return msgspec.structs.replace(state, confirmations=confirmations)


def _with_request(word: Word, asked: list[Word]) -> Word:
    answered = [_times(one) for one in asked if _is_answered(one, word)]
    return msgspec.structs.replace(word, asked=max([word.asked, *answered]))


_FOR = ("grants", "requests", "confirmations", "lifts", "transactional_grants")
_AGAINST = ("denials", "suppressions", "transactional_denials")
"""The fields that hold words."""


def _is_repeat(state: AddressState, said: AddressState) -> bool:
    """Has `state` heard all the words of `said`?

    What speaks against an address is another word if it happened at another time: a store that
    gives every STOP the same id must not lose one. Without a time it has that of its receipt: then
    it is a repeat for some days.
    """
    lifted_at = max((lift.occurred_at for lift in said.lifts), default=0)
    if said.soft_bounced or said.delivered_at > lifted_at:
        return False
    for kind in _FOR:
        known = {word.event for word in getattr(state, kind)} - {OF_SEVERAL}
        if any(word.event not in known for word in getattr(said, kind)):
            return False
    for kind in _AGAINST:
        for word in getattr(said, kind):
            if not any(_is_again(word, one) for one in getattr(state, kind)):
                return False
    known_asked = {word.event: word.asked for word in state.confirmations}
    return all(word.asked <= known_asked[word.event] for word in said.confirmations)


def _is_again(word: Word | Reasoned, known: Word | Reasoned) -> bool:
    """Is `word` the same as one that is known?"""
    if word.event == OF_SEVERAL or word.event != known.event:
        return False
    if isinstance(word, Reasoned) and isinstance(known, Reasoned) and word.reason != known.reason:
        return False
    if word.occurred_at == known.occurred_at:
        return True
    without_time = all(one.occurred_at == one.received_at for one in (word, known))
    return without_time and abs(word.occurred_at - known.occurred_at) <= REPEATED_FOR


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
    if state is None or state.transactional_denied == (0, 0):
        return True
    denied = state.transactional_denied
    return any(is_later(word, denied) for word in state.transactional_grants)


def is_confirmed(state: AddressState | None) -> bool:
    """Is marketing granted, and was it confirmed after the last denial?"""
    granted = state is not None and state_of(state) == "granted"
    return granted and state is not None and state.confirmed_at > state.denied_occurred_at


def granted(at: At, method: str | None, source: str | None) -> AddressState:
    return _state(grants=(_word(at, method, source),))


def denied(at: At, method: str | None, source: str | None) -> AddressState:
    return _state(denials=(_word(at, method, source),))


def pending(at: At, method: str | None, source: str | None) -> AddressState:
    return _state(requests=(_word(at, method, source),))


def confirmed(
    at: At, method: str | None, source: str | None, of_list: ListId | None = None
) -> AddressState:
    """An answer to a request, whichever of them comes first; alone it grants nothing."""
    word = msgspec.structs.replace(_word(at, method, source), list=of_list)
    return _state(confirmations=(word,))


def imported(at: At, method: str | None, source: str | None) -> AddressState:
    """A grant that was confirmed elsewhere."""
    word = _word(at, method, source)
    return _state(requests=(word,), confirmations=(word,))


def denied_transactional(at: At) -> AddressState:
    return _state(transactional_denials=(Word(*at),))


def granted_transactional(at: At) -> AddressState:
    return _state(transactional_grants=(Word(*at),))


def suppressed(at: At, reason: str) -> AddressState:
    return _state(suppressions=(Reasoned(reason, *at),))


def lifted(at: At, reason: str) -> AddressState:
    """A suppression lifted; soft bounces are counted from here."""
    forgets = reason in (EVERY_REASON, SOFT_BOUNCES)
    return _state(lifts=(Reasoned(reason, *at),), delivered_at=at[0] if forgets else 0)


def soft_bounced(at: At) -> AddressState:
    return _state(soft_bounced=((at[0], at[2]),))


def delivered(at: Instant) -> AddressState:
    """Nothing else follows from it; and it is said of every e-mail."""
    return AddressState(delivered_at=at)


def _word(at: At, method: str | None, source: str | None) -> Word:
    return Word(*at, method=method, source=source)


def answered_at(state: AddressState, request: Times, of_list: ListId) -> Instant | None:
    """When a request to join a list was confirmed; None: it was not, or was denied since."""
    asked = Word(*request)
    denied = state.denied_occurred_at, state.denied_received_at
    if not is_later(asked, denied):
        return None
    answers = (
        word.occurred_at
        for word in state.confirmations
        if word.list in (None, of_list) and is_later(word, denied) and _is_answered(asked, word)
    )
    return max(answers, default=None)


def only_against(state: AddressState) -> AddressState:
    """What speaks against an address, without which events said so, how, and where from."""
    state = _in_words(state)
    return _state(
        denials=tuple(map(without_event, state.denials)),
        suppressions=tuple(map(without_event, state.suppressions)),
        lifts=tuple(map(without_event, state.lifts)),
        soft_bounced=state.soft_bounced,
        delivered_at=state.delivered_at,
        transactional_denials=tuple(map(without_event, state.transactional_denials)),
    )


def coarse(state: AddressState) -> AddressState:
    """The words that decide now, of each kind one, without how and where from they were said.

    It permits no more than before; after a word that comes late it may permit less.
    """
    if _is_coarse(state):
        return state
    state = _with_requests(_in_words(state))
    denied = state.denied_occurred_at, state.denied_received_at
    answers = [word for word in state.confirmations if is_later(Word(*word.asked), denied)]
    in_force = [word for word in state.suppressions if word.reason in state.suppressed]
    return _state(
        grants=_first_later(state.grants, denied),
        denials=_that_decides(denied),
        requests=_first_later(state.requests, denied),
        confirmations=_first_later(answers or state.confirmations, denied),
        suppressions=tuple(map(without_event, in_force)),
        soft_bounced=state.soft_bounced,
        delivered_at=state.delivered_at,
        transactional_grants=_first_later(state.transactional_grants, state.transactional_denied),
        transactional_denials=_that_decides(state.transactional_denied),
    )


def _that_decides(denied: Times) -> tuple[Word, ...]:
    """One denial with the times that decide now. A repeat of what it stands for is another."""
    return () if denied == (0, 0) else (Word(*denied),)


def _is_coarse(state: AddressState) -> bool:
    if any(len(getattr(state, kind)) > 1 for kind in (*_FOR, *_AGAINST)):
        return False
    words = (*state.grants, *state.denials, *state.requests, *state.confirmations)
    return all(word.method is None and word.source is None for word in words)


def _first_later(words: Sequence[Word], than: Times) -> tuple[Word, ...]:
    """The newest that is later; else the newest."""
    later = [word for word in words if is_later(word, than)] or words
    return tuple(msgspec.structs.replace(one, method=None, source=None) for one in later[:1])


def _in_words(state: AddressState) -> AddressState:
    """The state as words, also where an earlier version wrote down only what follows from them."""
    found: dict[str, tuple[Word, ...]] = {}
    granted = state.granted_occurred_at, state.granted_received_at
    if granted[0] and granted not in map(_times, (*state.grants, *state.confirmations)):
        found["grants"] = (_shown(state, granted), *state.grants)
        if state.confirmed_at:
            confirmed = (_shown(state, (state.confirmed_at, granted[1])),)
            found["requests"] = found["confirmations"] = confirmed
    elif state.pending_at and not state.requests:
        asked = state.pending_at, max(state.pending_at, state.denied_received_at + 1)
        found["requests"] = (_shown(state, asked),)
    if state.denied_received_at and not state.denials:
        denied = state.denied_occurred_at, state.denied_received_at
        found["denials"] = (_shown(state, denied),)
    if state.transactional_denied != (0, 0) and not state.transactional_denials:
        found["transactional_denials"] = (Word(*state.transactional_denied),)
    return msgspec.structs.replace(state, **found) if found else state


def _times(word: Word) -> Times:
    return word.occurred_at, word.received_at


def _shown(state: AddressState, times: Times) -> Word:
    """A word of a state that has its texts, if they are its."""
    if times[0] != state.said_at:
        return Word(*times)
    return Word(*times, method=state.method, source=state.source)


def _by_reason(
    words: tuple[Reasoned, ...], kept: Callable[[Iterable[Reasoned]], tuple[Reasoned, ...]]
) -> tuple[Reasoned, ...]:
    if len(words) < 2:
        return words
    reasons = sorted({word.reason for word in words})
    return tuple(
        word for reason in reasons for word in kept(one for one in words if one.reason == reason)
    )


def _in_force(
    suppressions: tuple[Reasoned, ...],
    lifts: tuple[Reasoned, ...],
    grants: tuple[Word, ...],
    requests: tuple[Word, ...],
    confirmations: tuple[Word, ...],
    soft: int,
) -> tuple[str, ...]:
    """A grant that cleared a reason has done so for good: a later denial brings none back."""
    reasons = []
    for reason in {word.reason for word in suppressions}:
        since = latest(word for word in suppressions if word.reason == reason)
        clears: list[Word | Reasoned] = [
            one for one in lifts if one.reason in (reason, EVERY_REASON)
        ]
        if reason in LIFTED_BY_A_GRANT:
            asked = [one for one in requests if is_later(one, since)]
            clears += grants
            clears += [
                one
                for one in confirmations
                if is_later(Word(*one.asked), since) or any(_is_answered(r, one) for r in asked)
            ]
        if not any(is_later(clear, since) for clear in clears):
            reasons.append(reason)
    if soft > SOFT_BOUNCES_MAX and SOFT_BOUNCES not in reasons:
        reasons.append(SOFT_BOUNCES)
    return tuple(sorted(reasons))


def _is_delivery_alone(said: AddressState) -> bool:
    return said == AddressState(delivered_at=said.delivered_at)
