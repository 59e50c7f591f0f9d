"""Stories of dates: birthdays, appointments, trials; and of what was done in which order."""

from streams.instants import to_instant, to_timestamp
from tests.scenarios.play import WHO, Stage, event_of, play

STORE = """
store: main
zone: Europe/Berlin
address: "Beispielgasse 1, 10115 Berlin"
"""

BIRTHDAY = (
    """
flow: birthday
trigger: {date: birthday, before: 3d, at: "10:00", every: year}
steps:
  - {send: present, channel: email, template: present}
---
"""
    + STORE
)

APPOINTMENT = (
    """
flow: appointment
trigger: {date: appointment, before: 2d, at: "18:00"}
re_entry: always
steps:
  - {send: soon, channel: email, template: soon}
  - wait: {for: {trigger: appointment}, before: 3h}
  - {send: today, channel: email, template: today, smart_sending: false}
---
"""
    + STORE
)


def test_a_present_three_days_before_every_birthday_at_ten() -> None:
    play(
        BIRTHDAY,
        """
        2026-01-05 12:00  Identify trait.birthday=1990-06-12
        2026-06-09 10:00                                     -> starts birthday; sends present
        2027-06-09 10:00                                     -> starts birthday; sends present
        """,
    )


def test_who_was_born_on_a_leap_day_is_congratulated_on_the_28th_in_common_years() -> None:
    play(
        BIRTHDAY,
        """
        2026-01-05        Identify trait.birthday=1992-02-29
        2026-02-25 10:00                                     -> starts birthday; sends present
        2027-02-25 10:00                                     -> starts birthday; sends present
        2028-02-26 10:00                                     -> starts birthday; sends present
        """,
    )


def test_ten_is_ten_where_the_person_lives_on_both_sides_of_the_change_of_clocks() -> None:
    play(
        BIRTHDAY,
        """
        2026-01-05        Identify trait.birthday=1990-03-31 trait.timezone=America/New_York
        2026-03-28 15:00                                     -> starts birthday; sends present
        2026-03-29        Identify trait.timezone=Asia/Tokyo
        2027-03-28 03:00                                     -> starts birthday; sends present
        """,
    )


def test_a_birthday_told_late_starts_nothing_this_year_and_says_so() -> None:
    play(
        BIRTHDAY,
        """
        2026-06-10        Identify trait.birthday=1990-06-12 -> refuses birthday: too-old
        2026-06-11        Identify trait.birthday=1990-06-12
        2027-06-09 10:00                                     -> starts birthday; sends present
        """,
    )


def test_a_birthday_told_within_the_hour_is_not_too_late() -> None:
    play(
        BIRTHDAY,
        """
        2026-06-09 10:40  Identify trait.birthday=1990-06-12 -> starts birthday; sends present
        2026-06-09 10:50  Identify trait.birthday=1990-06-12
        """,
    )


def test_a_birthday_of_which_an_older_word_comes_late_is_not_told_again() -> None:
    play(
        BIRTHDAY.replace("every: year}", "every: year}\nre_entry: always"),
        """
        2026-06-09 10:40  Identify trait.birthday=1990-06-12 -> starts birthday; sends present
        2026-06-09 10:50  Identify trait.birthday=1990-06-12 late=30m
        """,
    )


def test_a_birthday_of_yesterday_waits_for_next_year_and_says_nothing() -> None:
    play(
        BIRTHDAY,
        """
        2026-06-13        Identify trait.birthday=1990-06-12
        2027-06-09 10:00                                     -> starts birthday; sends present
        """,
    )


def test_a_birthday_put_right_counts_and_one_taken_back_does_not() -> None:
    stage = play(
        BIRTHDAY,
        """
        2026-01-05        Identify trait.birthday=1990-06-12
        2026-01-06        Identify trait.birthday=1990-07-12
        2026-07-09 10:00                                     -> starts birthday; sends present
        2026-08-01        Identify trait.birthday=soon
        2027-12-31        Placed Order
        """,
    )
    assert stage.row is not None
    assert stage.row.runs == []


def test_an_appointment_that_is_moved_is_announced_on_its_new_day_only() -> None:
    play(
        APPOINTMENT,
        """
        2026-03-01        Identify trait.appointment=2026-03-20T15:30
        2026-03-02        Identify trait.appointment=2026-04-20T15:30
        2026-04-18 18:00                                     -> starts appointment; sends soon
        2026-04-20 12:30                                     -> sends today
        """,
    )


def test_an_appointment_moved_after_its_announcement_is_not_reminded_of_but_announced_anew() -> (
    None
):
    play(
        APPOINTMENT,
        """
        2026-03-01        Identify trait.appointment=2026-03-20T15:30
        2026-03-18 18:00                                     -> starts appointment; sends soon
        2026-03-19        Identify trait.appointment=2026-04-20T15:30
        2026-03-20 12:30                                     -> skips today: date-moved
        2026-04-18 18:00                                     -> starts appointment; sends soon
        2026-04-20 12:30                                     -> sends today
        """,
    )


def test_a_date_that_another_flow_moves_as_it_comes_does_not_start() -> None:
    moves = """
flow: moves
trigger: {did: Started}
steps: [{wait: {until: "18:00"}}, {set: {appointment: "2026-04-20T15:30"}}]
---
"""
    play(
        moves + APPOINTMENT,
        """
        2026-03-18 09:00  Started                                  -> starts moves
        2026-03-18 09:00  Identify trait.appointment=2026-03-20T15:30
        2026-03-18 18:00
        2026-04-18 18:00                                     -> starts appointment; sends soon
        2026-04-20 12:30                                     -> sends today
        """,
    )


def test_who_is_erased_has_no_birthday() -> None:
    stage = play(
        BIRTHDAY,
        """
        2026-01-05        Identify trait.birthday=1990-06-12
        2026-01-06        Profile Erased
        2026-06-12        Identify trait.first_name=Ann
        """,
    )
    assert stage.row is not None
    assert stage.row.runs == []


def test_new_definitions_count_for_whoever_waits_for_a_date() -> None:
    stage = play(BIRTHDAY, "2026-01-05  Identify trait.birthday=1990-06-12")
    later = BIRTHDAY.replace("before: 3d", "before: 0d").replace("10:00", "08:00")
    told = _after(stage, later, "2026-06-11")
    assert told == ["2026-06-12 06:00", "2027-06-12 06:00"]
    gone = play(BIRTHDAY, "2026-01-05  Identify trait.birthday=1990-06-12")
    assert _after(gone, STORE, None) == []


def _after(stage: Stage, definitions: str, touched: str | None) -> list[str]:
    """When something starts after these definitions, in UTC, until the end of 2027."""
    stage.publish(definitions)
    del stage.told[:]
    if touched is not None:
        at = to_instant(f"{touched}T00:00:00Z")
        who = (("email", WHO["email"]),)
        stage.happen(event_of("Viewed Product", "v1", at, who, {}))
    stage.wake_until(to_instant("2027-12-31T00:00:00Z"))
    started = [at for at, text in stage.told if text.startswith("starts")]
    return [to_timestamp(at)[:16].replace("T", " ") for at in started]


SEGMENTS = (
    """
segment: birthday-soon
where: {trait: birthday, anniversary: {in_next: 7d}}
---
segment: trial-over
where: {trait: trial_ends, in_last: 3d}
---
segment: fickle
where: {sequence: [{did: Started Checkout}, {did_not: Placed Order, within: 4h}], in_last: 2d}
---
segment: likes-shoes
where: {of_newest: {count: 1, did: Viewed Product}, where: {category: shoes}}
---
segment: reader
where: {of_newest: {count: 3, did: Received Email}, did: Opened Email, times: ">= 2"}
---
"""
    + STORE
)


def test_segments_of_dates_change_at_the_midnights_of_the_store() -> None:
    play(
        SEGMENTS,
        """
        2026-03-01        Identify trait.birthday=1990-04-02 trait.trial_ends=2026-03-27
        2026-03-25 23:00                         -> entered birthday-soon
        2026-03-27                               -> entered trial-over
        2026-03-30 01:00                         -> exited trial-over
        2026-04-02                               -> exited birthday-soon
        2027-03-25 23:00                         -> entered birthday-soon
        2027-04-02                               -> exited birthday-soon
        """,
    )


def test_who_checks_out_and_does_not_order_within_four_hours_is_fickle_for_two_days() -> None:
    play(
        SEGMENTS,
        """
        day  0 10:00  Started Checkout
        day  0 13:59  Placed Order
        day  1 10:00  Started Checkout
        day  1 14:00                             -> entered fickle
        day  1 14:30  Placed Order
        day  2 09:00  Started Checkout
        day  2 13:30  Placed Order late=2h
        day  3 10:00                             -> exited fickle
        """,
    )


def test_an_order_that_arrives_late_takes_the_checkout_back() -> None:
    play(
        SEGMENTS,
        """
        day  0 10:00  Started Checkout
        day  0 14:00                             -> entered fickle
        day  0 15:00  Placed Order late=2h       -> exited fickle
        """,
    )


def test_the_last_one_viewed_was_shoes() -> None:
    play(
        SEGMENTS,
        """
        day  0 10:00  Viewed Product category=shoes          -> entered likes-shoes
        day  0 11:00  Viewed Product category=shoes
        day  0 12:00  Viewed Product category=hats           -> exited likes-shoes
        day  0 13:00  Viewed Product category=shoes late=2h
        day  0 14:00  Viewed Product category=shoes          -> entered likes-shoes
        """,
    )


def test_two_of_the_last_three_mails_were_opened_each_counts_once() -> None:
    play(
        SEGMENTS,
        """
        day  0 10:00  Received Email send_id=m1
        day  1 10:00  Received Email send_id=m2
        day  1 11:00  Opened Email send_id=m2
        day  1 12:00  Opened Email send_id=m2
        day  2 10:00  Received Email send_id=m3
        day  2 11:00  Opened Email send_id=m1                -> entered reader
        day  3 10:00  Received Email send_id=m4              -> exited reader
        day  3 11:00  Opened Email send_id=m4                -> entered reader
        """,
    )
