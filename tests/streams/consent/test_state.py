"""The join of consent: its laws, and what they mean for one address."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import AddressState
from streams.consent.state import (
    EVERY_REASON,
    HARD_BOUNCE,
    MANUAL,
    NEVER,
    SPAM_COMPLAINT,
    adds,
    confirmed,
    delivered,
    denied,
    denied_transactional,
    granted,
    granted_transactional,
    imported,
    is_confirmed,
    join,
    lifted,
    pending,
    permits,
    permits_transactional,
    soft_bounced,
    state_of,
    suppressed,
)

times = st.tuples(st.integers(1, 6), st.integers(1, 6))
methods = st.sampled_from([None, "form", "link"])
reasons = st.sampled_from([HARD_BOUNCE, MANUAL, SPAM_COMPLAINT])
words = st.one_of(
    st.builds(granted, times, methods, methods),
    st.builds(denied, times, methods, methods),
    st.builds(pending, times, methods, methods),
    st.builds(suppressed, times, reasons),
    st.builds(lifted, times, st.one_of(reasons, st.just(EVERY_REASON))),
    st.builds(soft_bounced, times, st.integers(1, 12)),
    st.builds(delivered, times),
    st.builds(imported, times, methods, methods),
    st.builds(denied_transactional, times),
    st.builds(granted_transactional, times),
)


def joined(said: list[AddressState]) -> AddressState:
    state = NEVER
    for word in said:
        state = join(state, word)
    return state


states = st.builds(joined, st.lists(words, max_size=6))


def without_method(state: AddressState) -> AddressState:
    """A state keeps one method; where words of a kind come in other orders it may be another."""
    return msgspec.structs.replace(state, method=None, source=None)


own_words = st.one_of(
    st.builds(granted, times, st.just("granted"), st.none()),
    st.builds(denied, times, st.just("denied"), st.none()),
    st.builds(pending, times, st.just("pending"), st.none()),
)


@given(st.lists(own_words, max_size=6))
def test_the_method_and_time_shown_are_of_the_state_shown(said: list[AddressState]) -> None:
    state = joined(said)
    word = state_of(state)
    assert state.method in (None, word)
    shown = {
        "granted": state.granted_occurred_at,
        "denied": state.denied_occurred_at,
        "pending": state.pending_at,
        "never": 0,
    }
    assert state.said_at == shown[word]


def test_a_denial_received_later_with_an_earlier_time_shows_its_own() -> None:
    yes, no = granted((100, 100), "form", "shop"), denied((50, 200), "link", "mail")
    for state in (join(yes, no), join(no, yes)):
        assert state_of(state) == "denied"
        assert (state.said_at, state.method, state.source) == (50, "link", "mail")
    late = join(denied((60, 60), "link", "mail"), granted((100, 50), "form", "shop"))
    assert (state_of(late), late.said_at, late.method) == ("denied", 60, "link")
    asked = join(yes, pending((300, 300), "popup", "shop"))
    assert (state_of(asked), asked.said_at, asked.method) == ("granted", 100, "form")


def test_a_confirmation_grants_only_what_was_asked_and_not_denied_since() -> None:
    yes, asks = confirmed((9, 9), "link", None), pending((5, 5), "form", None)
    assert adds(NEVER, yes) is None
    assert adds(denied((3, 3), None, None), yes) is None
    assert adds(join(asks, denied((7, 7), None, None)), yes) is None
    assert adds(join(granted((1, 1), None, None), suppressed((2, 2), MANUAL)), yes) is None
    for before in (asks, join(asks, denied((3, 3), None, None))):
        state = adds(before, yes)
        assert state is not None
        assert (state_of(state), state.pending_at) == ("granted", 5)


@given(states, states)
def test_join_is_commutative(a: AddressState, b: AddressState) -> None:
    assert join(a, b) == join(b, a)


@given(states, states, states)
def test_join_is_associative(a: AddressState, b: AddressState, c: AddressState) -> None:
    one, other = join(join(a, b), c), join(a, join(b, c))
    assert without_method(one) == without_method(other)


@given(states, states)
def test_join_is_idempotent(a: AddressState, b: AddressState) -> None:
    assert join(a, a) == a
    assert join(join(a, b), b) == join(a, b)


@given(st.lists(times, max_size=5), st.lists(times, max_size=5))
def test_a_grant_counts_only_if_both_its_times_are_later_than_every_denials(
    grants: list[tuple[int, int]], denials: list[tuple[int, int]]
) -> None:
    state = joined([granted(at, None, None) for at in grants])
    state = join(joined([denied(at, None, None) for at in denials]), state)
    counts = any(
        all(grant[0] > denial[0] and grant[1] > denial[1] for denial in denials) for grant in grants
    )
    expected = "granted" if counts else "denied" if denials else "never"
    assert state_of(state) == expected


def test_two_grants_each_too_early_in_one_time_do_not_make_one_that_counts() -> None:
    late_denial = denied((5, 20), None, None)
    early, old = granted((10, 15), None, None), granted((3, 25), None, None)
    assert state_of(joined([early, old, late_denial])) == "denied"


def test_who_asks_again_after_a_denial_is_pending_until_confirmed() -> None:
    state = joined([denied((5, 5), None, None), pending((7, 7), "form", None)])
    assert state_of(state) == "pending"
    assert state_of(join(state, granted((9, 9), "link", None))) == "granted"


def test_more_than_seven_soft_bounces_in_a_row_suppress() -> None:
    seven = joined([soft_bounced((at, at), at) for at in range(1, 8)])
    assert seven.suppressed == ()
    eight = join(seven, soft_bounced((8, 8), 8))
    assert eight.suppressed == ("soft-bounces",)
    assert join(seven, delivered((5, 5))).soft_bounces == 2


def test_a_new_subscription_clears_a_complaint_but_not_a_dead_address() -> None:
    state = joined([suppressed((5, 5), SPAM_COMPLAINT), suppressed((5, 5), HARD_BOUNCE)])
    again = join(state, granted((9, 9), "form", None))
    assert again.suppressed == (HARD_BOUNCE,)
    assert join(again, lifted((10, 10), EVERY_REASON)).suppressed == ()


def test_a_delivery_to_an_address_without_soft_bounces_is_not_kept() -> None:
    assert adds(NEVER, delivered((9, 9))) is None
    assert adds(soft_bounced((3, 3), 1), delivered((9, 9))) is not None
    assert adds(granted((3, 3), None, None), granted((3, 3), None, None)) is None


def test_not_denied_permits_also_who_was_never_asked() -> None:
    assert permits(None, "not_denied")
    assert not permits(None, "explicit")
    assert not permits(denied((1, 1), None, None), "not_denied")
    assert not permits(pending((1, 1), None, None), "not_denied")
    assert permits(granted((1, 1), None, None), None)


@given(st.lists(times, max_size=4), st.lists(times, max_size=4))
def test_a_denial_about_purchases_counts_unless_a_grant_is_later_in_both_times(
    denials: list[tuple[int, int]], grants: list[tuple[int, int]]
) -> None:
    said = [*map(denied_transactional, denials), *map(granted_transactional, grants)]
    latest = tuple(max((at[i] for at in denials), default=0) for i in (0, 1))
    expected = not denials or any(one[0] > latest[0] and one[1] > latest[1] for one in grants)
    state = joined(said)
    assert permits_transactional(state) is expected
    assert state_of(state) == "never", "marketing is another matter"


def test_a_confirmation_is_over_with_the_next_denial_and_is_not_what_a_form_says() -> None:
    asked = [pending((1, 1), None, None), confirmed((2, 2), None, None)]
    assert is_confirmed(joined(asked))
    assert not is_confirmed(joined([*asked, denied((3, 3), None, None)]))
    again = [*asked, denied((3, 3), None, None), granted((4, 4), "form", None)]
    assert not is_confirmed(joined(again))
    assert is_confirmed(joined([*again, confirmed((5, 5), None, None)]))
    assert not is_confirmed(joined([granted((1, 1), "form", None)]))
    assert not is_confirmed(None)
