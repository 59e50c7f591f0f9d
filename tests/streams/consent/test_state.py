"""The join of consent: its laws, and what they mean for one address."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.records import AddressState
from streams.consent.state import (
    EVERY_REASON,
    HARD_BOUNCE,
    MANUAL,
    NEVER,
    SPAM_COMPLAINT,
    At,
    adds,
    coarse,
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
from streams.consent.words import BEFORE_EVERY_DENIAL, WORDS_MAX

times = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(0, 4))
"""Of few events, so that some are repeated, with other times too."""

apart = st.builds(lambda at: (*at, 10 * at[0] + at[1]), st.tuples(*[st.integers(1, 6)] * 2))
"""No two words are of one event unless they are the same."""

methods = st.sampled_from([None, "form", "link"])
reasons = st.sampled_from([HARD_BOUNCE, MANUAL, SPAM_COMPLAINT])
words = st.one_of(
    st.builds(granted, times, methods, methods),
    st.builds(denied, times, methods, methods),
    st.builds(pending, times, methods, methods),
    st.builds(suppressed, times, reasons),
    st.builds(confirmed, times, methods, methods, st.sampled_from([None, "news"])),
    st.builds(lifted, times, st.one_of(reasons, st.just(EVERY_REASON))),
    st.builds(soft_bounced, times),
    st.builds(lambda at: delivered(at[0]), times),
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
    yes, no = granted((100, 100, 100100), "form", "shop"), denied((50, 200, 50200), "link", "mail")
    for state in (join(yes, no), join(no, yes)):
        assert state_of(state) == "denied"
        assert (state.said_at, state.method, state.source) == (50, "link", "mail")
    late = join(denied((60, 60, 60060), "link", "mail"), granted((100, 50, 100050), "form", "shop"))
    assert (state_of(late), late.said_at, late.method) == ("denied", 60, "link")
    asked = join(yes, pending((300, 300, 300300), "popup", "shop"))
    assert (state_of(asked), asked.said_at, asked.method) == ("granted", 100, "form")


def test_a_confirmation_grants_only_what_was_asked_and_not_denied_since() -> None:
    yes, asks = confirmed((9, 9, 3), "link", None), pending((5, 5, 1), "form", None)
    for before, word in (
        (NEVER, "never"),
        (denied((3, 3, 2), None, None), "denied"),
        (join(asks, denied((7, 7, 2), None, None)), "denied"),
        (join(asks, denied((10, 10, 2), None, None)), "denied"),
        (join(granted((1, 1, 2), None, None), suppressed((2, 2, 4), MANUAL)), "granted"),
        (asks, "granted"),
        (join(asks, denied((3, 3, 2), None, None)), "granted"),
    ):
        state = adds(before, yes)
        assert state is not None
        assert state_of(state) == word


@given(st.permutations([0, 1, 2]), st.sampled_from([(1, 1, 3), (1, 7, 3), (7, 1, 3), (9, 9, 3)]))
def test_a_request_and_its_confirmation_grant_in_either_order_unless_one_was_denied_since(
    order: list[int], denied_at: At
) -> None:
    said = [
        pending((5, 6, 1), "form", "shop"),
        confirmed((6, 5, 2), "link", "mail"),
        denied(denied_at, None, None),
    ]
    state = NEVER
    for place in order:
        state = adds(state, said[place]) or state
    assert state_of(state) == ("granted" if denied_at == (1, 1, 3) else "denied")
    if denied_at == (1, 1, 3):
        assert (state.said_at, state.method, state.confirmed_at) == (6, "link", 6)


def test_a_confirmation_that_names_no_method_shows_that_of_its_request() -> None:
    asks, yes = pending((5, 5, 1), "form", "shop"), confirmed((6, 6, 2), None, "mail")
    for state in (join(asks, yes), join(yes, asks)):
        assert (state.said_at, state.method, state.source) == (6, "form", "mail")


def test_a_confirmation_from_before_a_request_was_made_does_not_answer_it() -> None:
    early, asks = confirmed((3, 3, 1), None, None), pending((5, 5, 2), None, None)
    assert state_of(joined([early, asks])) == "pending"


kinds = [granted, denied, pending, confirmed, imported]


@given(st.lists(st.tuples(st.sampled_from(kinds), apart), max_size=WORDS_MAX), st.data())
def test_an_event_received_again_changes_nothing(
    said: list[tuple[Callable[..., AddressState], At]], data: st.DataObject
) -> None:
    """Later, with the same time, or without a time both times. A denial at another time counts."""
    state = joined([say(at, None, None) for say, at in said])
    for say, at in said:
        later = at[1] + data.draw(st.integers(1, 9))
        assert adds(state, say((at[0], later, at[2]), None, None)) is None
        anew = adds(state, say((later, later, at[2]), None, None))
        without_time = at[0] == at[1]
        assert anew is None if say is not denied or without_time else anew != state
    for reason in (HARD_BOUNCE, MANUAL):
        bounced = join(suppressed((3, 3, 1), reason), lifted((5, 5, 2), EVERY_REASON))
        assert bounced.suppressed == ()
        assert adds(bounced, suppressed((3, 9, 1), reason)) is None
    too = join(denied_transactional((3, 3, 1)), granted_transactional((5, 5, 2)))
    assert permits_transactional(join(too, denied_transactional((3, 9, 1))))


def test_a_denial_without_a_time_is_known_by_its_id_for_a_week() -> None:
    day = 24 * 60 * 60 * 1000
    stop, start = denied((day, day, 1), None, None), granted((2 * day, 2 * day, 2), None, None)
    state = joined([stop, start])
    assert adds(state, denied((8 * day, 8 * day, 1), None, None)) is None, "pushed again"
    for another in ((8 * day + 1, 8 * day + 1, 1), (3 * day, 3 * day, 3), (3 * day, 4 * day, 1)):
        after = adds(state, denied(another, None, None))
        assert after is not None
        assert state_of(after) == "denied"


def test_a_suppression_for_another_reason_is_no_repeat_though_a_store_gives_both_the_same_id() -> (
    None
):
    lifted_since = join(suppressed((3, 3, 1), MANUAL), lifted((5, 5, 2), MANUAL))
    after = adds(lifted_since, suppressed((3, 3, 1), HARD_BOUNCE))
    assert after is not None
    assert after.suppressed == (HARD_BOUNCE,)


def test_grants_of_browsers_never_take_the_place_of_a_servers() -> None:
    """Anybody can type anybody's address into a form, as often as they like."""
    by_server = [denied((1, 1, 1), None, None), granted((2, 2, 2), "form", None)]
    by_browser = [granted((at, BEFORE_EVERY_DENIAL, at), "popup", None) for at in range(3, 13)]
    for said in (by_server + by_browser, by_browser + by_server):
        state = joined(said)
        assert (state_of(state), state.method) == ("granted", "form")
        assert len(state.grants) <= WORDS_MAX


@pytest.mark.parametrize("say", [pending, granted])
def test_what_was_confirmed_stays_confirmed_however_often_is_asked_again(
    say: Callable[..., AddressState],
) -> None:
    state = NEVER
    for said in (
        say((1, 1, 1), "form", None),
        confirmed((2, 2, 2), None, "mail"),
        *(say((at, at, at), "popup", None) for at in range(3, 13)),
    ):
        state = adds(state, said) or state
    assert (state_of(state), is_confirmed(state)) == ("granted", True)
    late = denied((1, 30, 30), None, None)
    assert not is_confirmed(adds(state, late)), "what was asked for came too early"


@given(st.lists(words, max_size=12))
def test_what_is_kept_of_many_words_decides_as_all_of_them_did(said: list[AddressState]) -> None:
    state = joined(said)
    few = coarse(state)
    assert state_of(few) == state_of(state)
    assert permits_transactional(few) == permits_transactional(state)
    assert few.suppressed == state.suppressed
    assert coarse(few) == few
    for kind in ("grants", "denials", "requests", "confirmations", "transactional_denials"):
        assert len(getattr(few, kind)) <= 1


def test_a_grant_outdoes_a_denial_that_was_received_twice_also_when_it_is_kept_coarsely() -> None:
    state = joined(
        [
            denied((1, 1, 1), None, None),
            denied((1, 3, 1), None, None),
            granted((2, 2, 2), "form", None),
            denied_transactional((1, 1, 1)),
            denied_transactional((1, 3, 1)),
            granted_transactional((2, 2, 2)),
        ]
    )
    for kept in (state, coarse(state)):
        assert state_of(kept) == "granted"
        assert permits_transactional(kept)


def test_a_denial_that_is_older_than_all_that_are_kept_counts_still() -> None:
    many = [denied((at, at, at), None, None) for at in range(10, 10 + WORDS_MAX)]
    state = joined([*many, granted((50, 50, 50), "form", None)])
    assert state_of(state) == "granted"
    assert state_of(join(state, denied((2, 60, 99), None, None))) == "denied"
    assert len(join(state, denied((2, 60, 99), None, None)).denials) == WORDS_MAX + 1


def test_who_is_put_on_an_opt_out_list_keeps_the_grant_that_is_stronger() -> None:
    list_says = granted((9, BEFORE_EVERY_DENIAL, 2), "opt-out-list", "shop")
    yes = granted((5, 5, 1), "form", "shop")
    for state in (join(yes, list_says), join(list_says, yes)):
        assert (state.said_at, state.method) == (5, "form")
    assert join(list_says, NEVER).method == "opt-out-list"


def test_what_an_earlier_version_kept_goes_on_to_count() -> None:
    asked = AddressState(pending_at=5, method="form", said_at=5)
    assert state_of(join(asked, confirmed((7, 7, 1), "link", None))) == "granted"
    yes = AddressState(
        granted_occurred_at=7, granted_received_at=8, method="link", said_at=7, confirmed_at=7
    )
    later = join(yes, denied((3, 3, 1), None, None))
    assert (state_of(later), later.method, is_confirmed(later)) == ("granted", "link", True)
    assert state_of(join(yes, denied((3, 9, 1), None, None))) == "denied"
    no = AddressState(denied_occurred_at=7, denied_received_at=8, method="link", said_at=7)
    assert state_of(join(no, granted((9, 8, 1), None, None))) == "denied"
    assert state_of(join(no, granted((8, 9, 1), None, None))) == "granted"
    both = join(no, suppressed((9, 9, 1), MANUAL))
    assert (both.said_at, both.method) == (7, "link")
    too = AddressState(transactional_denied=(5, 5))
    assert not permits_transactional(join(too, denied((1, 1, 1), None, None)))


def test_a_row_of_an_earlier_version_is_read() -> None:
    """Its suppressions were triples, what is a word now were two times."""
    kept = [9, 9, 3, 3, 0, "form", "shop", [], 0, [[8, 10]], [["manual", 4, 4]], [["*", 5, 5]]]
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(kept), type=AddressState)
    again = join(state, suppressed((6, 6, 1), MANUAL))
    assert (state_of(again), again.suppressed, len(again.grants)) == ("granted", (), 2)
    assert join(again, suppressed((11, 11, 2), MANUAL)).suppressed == ("manual",)


@given(states, states)
def test_join_is_commutative(a: AddressState, b: AddressState) -> None:
    assert join(a, b) == join(b, a)


@given(states, states, states)
@example(
    joined([confirmed((1, 1, 3), None, None, None)]),
    joined(
        [
            confirmed((1, 1, 1), None, None, None),
            confirmed((1, 1, 2), None, None, None),
            confirmed((1, 2, 0), None, None, None),
            imported((2, 1, 0), None, None),
        ]
    ),
    joined([confirmed((1, 1, 0), None, None, None)]),
)
def test_join_is_associative(a: AddressState, b: AddressState, c: AddressState) -> None:
    assert join(join(a, b), c) == join(a, join(b, c))


@given(states, states)
def test_join_is_idempotent(a: AddressState, b: AddressState) -> None:
    assert join(a, a) == a
    assert join(join(a, b), b) == join(a, b)


@given(st.lists(apart, max_size=WORDS_MAX), st.lists(apart, max_size=6))
def test_a_grant_counts_only_if_both_its_times_are_later_than_every_denials(
    grants: list[At], denials: list[At]
) -> None:
    state = joined([granted(at, None, None) for at in grants])
    state = join(joined([denied(at, None, None) for at in denials]), state)
    counts = any(
        all(grant[0] > denial[0] and grant[1] > denial[1] for denial in denials) for grant in grants
    )
    expected = "granted" if counts else "denied" if denials else "never"
    assert state_of(state) == expected


def test_two_grants_each_too_early_in_one_time_do_not_make_one_that_counts() -> None:
    late_denial = denied((5, 20, 5020), None, None)
    early, old = granted((10, 15, 10015), None, None), granted((3, 25, 3025), None, None)
    assert state_of(joined([early, old, late_denial])) == "denied"


def test_who_asks_again_after_a_denial_is_pending_until_confirmed() -> None:
    state = joined([denied((5, 5, 5005), None, None), pending((7, 7, 7007), "form", None)])
    assert state_of(state) == "pending"
    assert state_of(join(state, granted((9, 9, 9009), "link", None))) == "granted"


def test_more_than_seven_soft_bounces_in_a_row_suppress() -> None:
    seven = joined([soft_bounced((at, at, at)) for at in range(1, 8)])
    assert seven.suppressed == ()
    eight = join(seven, soft_bounced((8, 8, 8)))
    assert eight.suppressed == ("soft-bounces",)
    assert join(seven, delivered(5)).soft_bounces == 2


def test_a_new_subscription_clears_a_complaint_but_not_a_dead_address() -> None:
    state = joined(
        [suppressed((5, 5, 5005), SPAM_COMPLAINT), suppressed((5, 5, 5005), HARD_BOUNCE)]
    )
    again = join(state, granted((9, 9, 9009), "form", None))
    assert again.suppressed == (HARD_BOUNCE,)
    assert join(again, lifted((10, 10, 10010), EVERY_REASON)).suppressed == ()


def test_a_delivery_to_an_address_without_soft_bounces_is_not_kept() -> None:
    assert adds(NEVER, delivered(9)) is None
    assert adds(soft_bounced((3, 3, 1)), delivered(9)) is not None
    assert adds(granted((3, 3, 3003), None, None), granted((3, 3, 3003), None, None)) is None


def test_not_denied_permits_also_who_was_never_asked() -> None:
    assert permits(None, "not_denied")
    assert not permits(None, "explicit")
    assert not permits(denied((1, 1, 1001), None, None), "not_denied")
    assert not permits(pending((1, 1, 1001), None, None), "not_denied")
    assert permits(granted((1, 1, 1001), None, None), None)


@given(st.lists(apart, max_size=4), st.lists(apart, max_size=4))
def test_a_denial_about_purchases_counts_unless_a_grant_is_later_in_both_times(
    denials: list[At], grants: list[At]
) -> None:
    said = [*map(denied_transactional, denials), *map(granted_transactional, grants)]
    latest = tuple(max((at[i] for at in denials), default=0) for i in (0, 1))
    expected = not denials or any(one[0] > latest[0] and one[1] > latest[1] for one in grants)
    state = joined(said)
    assert permits_transactional(state) is expected
    assert state_of(state) == "never", "marketing is another matter"


def test_a_confirmation_is_over_with_the_next_denial_and_is_not_what_a_form_says() -> None:
    asked = [pending((1, 1, 1001), None, None), confirmed((2, 2, 2002), None, None)]
    assert is_confirmed(joined(asked))
    assert not is_confirmed(joined([*asked, denied((3, 3, 3003), None, None)]))
    again = [*asked, denied((3, 3, 3003), None, None), granted((4, 4, 4004), "form", None)]
    assert not is_confirmed(joined(again))
    assert is_confirmed(joined([*again, confirmed((5, 5, 5005), None, None)]))
    assert not is_confirmed(joined([granted((1, 1, 1001), "form", None)]))
    assert not is_confirmed(None)


def test_a_new_holder_hears_of_a_denial_that_an_earlier_version_kept() -> None:
    denied = AddressState(denied_occurred_at=7, denied_received_at=8, said_at=7)
    told = adds(NEVER, denied)
    assert told is not None
    assert state_of(told) == "denied"
    no_purchases = adds(NEVER, AddressState(transactional_denied=(5, 5)))
    assert no_purchases is not None
    assert not permits_transactional(no_purchases)


def test_a_new_holder_hears_of_a_denied_purpose_also_where_something_was_delivered_since() -> None:
    state = NEVER
    for word in (soft_bounced((1, 1, 1)), denied_transactional((5, 5, 2)), delivered(6)):
        state = adds(state, word) or state
    told = adds(NEVER, state)
    assert told is not None
    assert not permits_transactional(told)
