"""Sends as stories: what the gates let pass, hold and drop, and what becomes of it."""

import pytest

from schemas.rows import ProfileRow
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import HOUR
from streams.profile.store import NOTHING
from streams.profile.united import absorb
from tests.scenarios.play import WHO, Stage, event_of, go_on, play

STORE = """
store: main
zone: Europe/Berlin
address: "Beispielgasse 1, 10115 Berlin"
"""


def flow(name: str, metric: str, *steps: str, more: str = "") -> str:
    lines = "\n".join(f"  - {step}" for step in steps)
    return f"flow: {name}\ntrigger: {{did: {metric}}}\n{more}\nsteps:\n{lines}\n---\n"


TEXT = flow("hint", "Viewed Product", "{send: hint, channel: sms, template: hint}")
MAIL = flow("news", "Viewed Product", "{send: news, channel: email, template: news}")


def test_a_text_in_quiet_hours_waits_until_they_end() -> None:
    play(
        TEXT + STORE,
        """
        day 0 22:00  Viewed Product  -> starts hint; holds hint until 2026-01-02 08:00: quiet-hours
        day 1 08:00                  -> sends hint to +4930123456
        """,
        granted=("sms",),
    )


def test_no_text_overtakes_a_stop_between_hold_and_send() -> None:
    play(
        TEXT + STORE,
        """
        day 0 22:00  Viewed Product
                -> starts hint; holds hint until 2026-01-02 08:00: quiet-hours
        day 1 07:59  Received SMS Reply body=Stop!
        day 1 08:00                               -> drops hint: no-consent
        day 1 09:00  Received SMS Reply body=START
        day 2 10:00  Viewed Product               -> starts hint; sends hint
        """,
        granted=("sms",),
    )


@pytest.mark.parametrize(
    ("zone", "night", "quiet_until", "received", "sent"),
    [
        ("Europe/Berlin", "2026-03-28 22:30", "2026-03-29 08:00", "21:30Z", "06:00Z"),
        ("Europe/Berlin", "2026-10-24 22:30", "2026-10-25 08:00", "20:30Z", "07:00Z"),
        ("America/New_York", "2026-03-07 22:30", "2026-03-08 08:00", "03:30Z", "12:00Z"),
        ("America/New_York", "2026-10-31 22:30", "2026-11-01 08:00", "02:30Z", "13:00Z"),
    ],
)
def test_quiet_hours_end_at_eight_by_the_wall_also_when_the_clock_changes(
    zone: str, night: str, quiet_until: str, received: str, sent: str
) -> None:
    stage = play(
        TEXT + STORE.replace("Europe/Berlin", zone),
        f"""
        {night}        Viewed Product trait.timezone={zone}
                -> starts hint; holds hint until {quiet_until}: quiet-hours
        {quiet_until}                                        -> sends hint
        """,
        granted=("sms",),
    )
    decided = [output.record for output in stage.outputs if output.to == "send-decisions"]
    assert [one.decided_at[11:16] + "Z" for one in decided] == [received, sent]


def test_quiet_hours_are_those_of_where_the_person_lives() -> None:
    play(
        TEXT + STORE,
        """
        day 0 22:00  Viewed Product trait.timezone=America/New_York  -> starts hint; sends hint
        day 2 10:00  Viewed Product  -> starts hint; holds hint until 2026-01-03 14:00: quiet-hours
        day 2 14:00                  -> sends hint
        """,
        granted=("sms",),
    )


def test_a_send_window_holds_over_the_weekend_but_not_beyond_patience() -> None:
    weekdays = "weekdays: [mon, tue, wed, thu, fri]"
    window = f'window: {{from: "09:00", until: "18:00", {weekdays}}}'
    patient = f"{{send: news, channel: email, template: t, {window}, patience: 3d}}"
    hasty = f"{{send: news, channel: email, template: t, {window}}}"
    play(
        flow("news", "Viewed Product", patient) + STORE,
        """
        2026-01-02 19:00  Viewed Product
                -> starts news; holds news until 2026-01-05 09:00: send-window
        2026-01-05 09:00                  -> sends news
        """,
    )
    play(
        flow("news", "Viewed Product", hasty) + STORE,
        """
        2026-01-02 19:00  Viewed Product
                -> starts news; holds news until 2026-01-03 19:00: send-window
        2026-01-03 19:00                  -> drops news: send-window, patience
        """,
    )


def test_quiet_hours_may_drop_or_be_ignored() -> None:
    drop = "{send: a, channel: sms, template: t, quiet_hours: drop}"
    ignore = "{send: b, channel: sms, template: t, quiet_hours: ignore}"
    play(
        flow("hint", "Viewed Product", drop, ignore) + STORE,
        "day 0 23:00  Viewed Product  -> starts hint; drops a: quiet-hours; sends b",
        granted=("sms",),
    )


def test_smart_sending_spares_who_was_written_to_within_sixteen_hours() -> None:
    play(
        MAIL + STORE,
        """
        day 0 10:00  Viewed Product                       -> starts news; sends news
        day 1 01:59  Viewed Product                       -> starts news; drops news: smart-sending
        day 1 02:00  Viewed Product                       -> starts news; sends news
        """,
    )


def test_the_smart_sending_window_of_the_earlier_send_counts_not_todays() -> None:
    longer = STORE + "smart_sending: {email: 48h}\n"
    play(
        MAIL + longer,
        """
        day 0 10:00  Viewed Product  -> starts news; sends news
        day 1 10:00  Viewed Product  -> starts news; drops news: smart-sending
        day 2 10:00  Viewed Product  -> starts news; sends news
        """,
    )
    stage = play(MAIL + longer, "day 0 10:00  Viewed Product  -> starts news; sends news")
    stage.publish(MAIL + STORE)
    go_on(stage, "day 1 10:00  Viewed Product  -> starts news; drops news: smart-sending")


def test_one_window_over_all_channels() -> None:
    both = MAIL + flow("hint", "Clicked Link", "{send: hint, channel: sms, template: t}")
    play(
        both + STORE + "smart_sending: {across: 18h}\n",
        """
        day 0 15:00  Viewed Product  -> starts news; sends news
        day 1 08:59  Clicked Link    -> starts hint; drops hint: smart-sending-across
        day 1 09:00  Clicked Link    -> starts hint; sends hint
        """,
        granted=("email", "sms"),
    )


def test_a_frequency_cap_counts_over_its_channels() -> None:
    often = "{send: news, channel: email, template: t, smart_sending: false}"
    cap = "frequency_cap: [{channels: [email, sms], at_most: 2, in_last: 7d}]\n"
    play(
        flow("news", "Viewed Product", often) + STORE + cap,
        """
        day 0 10:00  Viewed Product  -> starts news; sends news
        day 1 10:00  Viewed Product  -> starts news; sends news
        day 2 10:00  Viewed Product  -> starts news; drops news: frequency-cap
        day 7 10:00  Viewed Product  -> starts news; sends news
        """,
    )


def test_a_transactional_send_skips_consent_windows_caps_and_quiet_but_not_suppression() -> None:
    receipt = "{send: receipt, channel: sms, template: t, transactional: true}"
    play(
        flow("receipt", "Placed Order", receipt) + STORE,
        """
        day 0 23:00  Placed Order                              -> starts receipt; sends receipt
        day 0 23:30  Placed Order                              -> starts receipt; sends receipt
        day 1 10:00  Bounced SMS bounce=hard
        day 1 11:00  Placed Order
                -> starts receipt; drops receipt: suppressed
        """,
        granted=(),
    )


def test_all_reasons_are_named_and_the_first_gate_comes_first() -> None:
    play(
        MAIL + "store: main\n",
        """
        day 0 10:00  Bounced Email bounce=hard
        day 0 11:00  Viewed Product
                -> starts news; drops news: suppressed, no-consent, no-postal-address
        """,
        granted=(),
    )


def test_marketing_mail_needs_a_postal_address() -> None:
    play(
        MAIL + "store: main\n",
        "day 0 10:00  Viewed Product  -> starts news; drops news: no-postal-address",
    )


def test_the_address_of_the_event_is_written_to_and_needs_its_own_consent() -> None:
    play(
        MAIL + STORE,
        """
        day 0 10:00  Viewed Product email=work@example.com  -> starts news; drops news: no-consent
        day 0 11:00  Subscribed email=work@example.com channel=email
        day 0 12:00  Viewed Product email=work@example.com
                -> starts news; sends news to work@example.com
        """,
    )


def test_a_denial_that_names_no_address_counts_for_all_of_them() -> None:
    stage = play(
        MAIL + STORE,
        "day 0 11:00  Subscribed email=work@example.com channel=email",
    )
    identifiers = (("external_id", "c-17"),)
    outputs = stage.happen(
        event_of("Unsubscribed", "u", 1767700000000, identifiers, {"channel": "email"})
    )
    told = {output.key for output in outputs if output.to == "back"}
    assert told == {"main/email/ann@example.com", "main/email/work@example.com"}
    go_on(stage, "day 9 10:00  Viewed Product  -> starts news; drops news: no-consent")


def test_who_is_held_out_runs_through_and_gets_nothing() -> None:
    sent = set()
    for number in range(60):
        held = flow(
            "news",
            "Viewed Product",
            "{send: news, channel: email, template: t}",
            more="holdout: 50%",
        )
        outcomes = set()
        for text in ("-> starts news; sends news", "-> starts news; drops news: holdout"):
            try:
                play(held + STORE, f"day 0 10:00  Viewed Product  {text}", profile=f"i-{number}")
            except AssertionError:
                continue
            outcomes.add(text)
        assert len(outcomes) == 1
        sent |= {(number, text) for text in outcomes}
    assert 15 < sum("sends" in text for _, text in sent) < 45


HOLDS = "starts news; holds news until 2026-01-01 12:00: send-window"
VARIANTS = "variants: {a: {weight: 1, subject: A}, b: {weight: 1, template: other}}"


def news(variants: str) -> str:
    send = f"{{send: news, channel: email, template: t, smart_sending: false, {variants}}}"
    return flow("news", "Viewed Product", send) + STORE


def view(stage: Stage, count: int) -> list[tuple[str | None, str | None, str]]:
    """Variant, subject and template of the sends that so many views bring."""
    stage.outputs = []
    for number in range(count):
        who = (("email", WHO["email"]),)
        at = max(stage.now, 1_767_700_000_000) + 1
        stage.happen(event_of("Viewed Product", f"{at}-{number}", at, who, {}))
    commands = [one.record for one in stage.outputs if one.to == "send-commands"]
    return [(one.variant, one.subject, one.template) for one in commands]


def test_a_person_keeps_the_variant_of_a_message_and_people_have_them_by_weight() -> None:
    chosen = []
    for number in range(40):
        stage = play(news(VARIANTS), "", granted=("email",), profile=f"i-{number}")
        assigned = set(view(stage, 3))
        assert len(assigned) == 1
        chosen += assigned
    assert set(chosen) == {("a", "A", "t"), ("b", None, "other")}
    assert 10 < chosen.count(("a", "A", "t")) < 30


def test_a_variant_is_assigned_anew_where_the_message_has_it_no_more() -> None:
    stage = play(news("variants: {b: {weight: 1}}"), "", granted=("email",))
    assert view(stage, 1) == [("b", None, "t")]
    stage.publish(news("variants: {a: {weight: 99}, b: {weight: 1}}"))
    assert view(stage, 1) == [("b", None, "t")]
    for gone in ("variants: {a: {weight: 1}, b: {weight: 0}}", "variants: {a: {weight: 1}}"):
        stage.publish(news(gone))
        assert view(stage, 1) == [("a", None, "t")]


def test_who_joins_somebody_keeps_the_variant_that_was_assigned_first() -> None:
    later, first = {"f/m": ("a", 9), "f/n": ("a", 1)}, {"f/m": ("b", 5)}
    for ours, theirs in ((later, first), (first, later)):
        winner = ProfileRow(id="i1", variants=dict(ours))
        lost = ProfileRow(id="i2", variants=dict(theirs))
        absorb(winner, "i2", lost, NOTHING.program, 9, Ids(REPLAY_SECRET))
        assert winner.variants == {"f/m": ("b", 5), "f/n": ("a", 1)}


def test_a_send_that_was_held_while_its_person_merged_has_the_variant_of_the_person() -> None:
    held = "window: {from: '12:00', until: '13:00'}, " + VARIANTS
    stages = [
        play(news(held), f"day 0 10:00  Viewed Product id=v{number}  -> {HOLDS}", profile=profile)
        for number, profile in enumerate(("i-0", "i-1", "i-2", "i-3"))
    ]
    one = stages[0]
    assert one.row is not None
    others = [stage.row for stage in stages[1:] if stage.row is not None]
    assert {*one.row.variants.values()} != {
        pair for row in others for pair in row.variants.values()
    }
    for row in others:
        absorb(one.row, row.id, row, NOTHING.program, one.now, Ids(REPLAY_SECRET))
    one.outputs = []
    one.wake_until(one.now + 3 * HOUR)
    commands = [made.record for made in one.outputs if made.to == "send-commands"]
    assert len(commands) == len(stages)
    assert len({command.variant for command in commands}) == 1


def test_a_command_that_came_too_late_is_planned_anew_three_times() -> None:
    stage = play(MAIL + STORE, "day 0 10:00  Viewed Product  -> starts news; sends news")
    for hour in (11, 12, 13):
        assert stage.row is not None
        (sent,) = stage.row.sent
        go_on(stage, f"day 0 {hour}:00  Send Expired send_id={sent.send_id}  -> sends news")
        go_on(stage, f"day 0 {hour}:30  Send Expired send_id={sent.send_id}")
    assert stage.row is not None
    (sent,) = stage.row.sent
    assert sent.attempt == 3
    go_on(stage, f"day 0 14:00  Send Expired send_id={sent.send_id}  -> drops news: expired")
    commands = [one.record for one in stage.outputs if one.to == "send-commands"]
    assert [one.attempt for one in commands] == [0, 1, 2, 3]
    assert len({one.id for one in commands}) == 4
    assert len({one.flow_run_id for one in commands}) == 1


@pytest.mark.parametrize("outcome", ["Received Email", "Opened Email", "Bounced Email"])
def test_a_send_of_which_something_became_does_not_expire(outcome: str) -> None:
    stage = play(MAIL + STORE, "day 0 10:00  Viewed Product  -> starts news; sends news")
    assert stage.row is not None
    sent = stage.row.sent[0].send_id
    go_on(
        stage,
        f"""
        day 0 10:10  {outcome} send_id={sent}
        day 0 10:20  Send Expired send_id={sent}
        """,
    )


def test_what_expired_more_than_a_day_ago_is_not_planned_anew() -> None:
    for day, comes in ((1, "sends news"), (2, "drops news: expired")):
        stage = play(MAIL + STORE, "day 0 10:00  Viewed Product  -> starts news; sends news")
        assert stage.row is not None
        sent = stage.row.sent[0].send_id
        go_on(stage, f"day {day} 10:00  Send Expired send_id={sent}  -> {comes}")


def test_an_expiry_that_names_no_send_takes_none_back() -> None:
    stage = play(MAIL + STORE, "day 0 10:00  Viewed Product  -> starts news; sends news")
    go_on(stage, "day 0 10:20  Send Expired flow=news message=news")
    assert stage.row is not None
    assert len(stage.row.sent) == 1


def test_an_expired_send_is_not_planned_anew_for_who_has_denied() -> None:
    stage = play(MAIL + STORE, "day 0 10:00  Viewed Product  -> starts news; sends news")
    assert stage.row is not None
    sent = stage.row.sent[0].send_id
    go_on(
        stage,
        f"""
        day 0 10:30  Unsubscribed channel=email
        day 0 11:00  Send Expired send_id={sent}  -> drops news: no-consent
        """,
    )


WELCOME = (
    """
list: newsletter
---
flow: welcome
trigger: {joins: newsletter}
steps:
  - {send: hello, channel: email, template: hello}
---
"""
    + STORE
)


def test_a_welcome_waits_for_the_second_opt_in() -> None:
    play(
        WELCOME,
        """
        day 0 10:00  Subscribed channel=email list=newsletter
        day 0 11:00  Confirmed Subscription list=newsletter trust=client
        day 0 12:00  Confirmed Subscription list=newsletter  -> starts welcome; sends hello
        day 1 12:00  Confirmed Subscription list=newsletter
        """,
        granted=(),
    )


def test_one_confirmation_confirms_all_lists_that_were_asked_for() -> None:
    play(
        WELCOME,
        """
        day 0 10:00  Subscribed channel=email list=newsletter
        day 0 12:00  Confirmed Subscription  -> starts welcome; sends hello
        """,
        granted=(),
    )


def test_who_leaves_the_list_is_skipped_and_who_is_on_none_denies_all() -> None:
    waits = WELCOME.replace("steps:", "steps:\n  - wait: 1d")
    play(
        waits,
        """
        day 0 12:00  Joined List list=newsletter   -> starts welcome
        day 0 13:00  Unsubscribed list=newsletter
        day 1 12:00                                -> skips hello: left-list
        """,
    )
    play(
        MAIL + STORE,
        """
        day 0 12:00  Unsubscribed list=somewhere
        day 0 13:00  Viewed Product  -> starts news; drops news: no-consent
        """,
    )


def test_an_erased_profile_gets_nothing_and_enters_nothing() -> None:
    waits = flow("news", "Viewed Product", "wait: 1d", "{send: news, channel: email, template: t}")
    play(
        waits + STORE,
        """
        day 0 12:00  Viewed Product  -> starts news
        day 0 13:00  Profile Erased trust=client
        day 0 14:00  Profile Erased  -> ends news: profile-erased
        day 1 12:00
        day 2 12:00  Viewed Product  -> refuses news: profile-erased
        """,
    )


def test_a_decision_says_what_the_gates_saw() -> None:
    stage = play(
        MAIL + STORE,
        """
        day 0 10:00  Viewed Product  -> starts news; sends news
        day 0 11:00  Bounced Email bounce=hard
        day 0 12:00  Unsubscribed channel=email
        day 0 13:00  Viewed Product
                     -> starts news; drops news: suppressed, no-consent, smart-sending
        """,
    )
    decided = [one.record for one in stage.outputs if one.to == "send-decisions"]
    assert [(leaf.leaf, leaf.value) for leaf in decided[-1].evidence] == [
        ("suppressed", "hard-bounce"),
        ("no-consent", "denied"),
        ("smart-sending", decided[0].send_id),
    ]
