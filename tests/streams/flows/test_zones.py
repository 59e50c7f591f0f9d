"""Local time over the changes of the clock, and where a profile lives."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from schemas.definitions import Hours, WaitForDate, WaitUntil
from schemas.rows import ProfileRow, Trait, Trigger
from streams.definitions.zones import at_local
from streams.flows.waits import end_of, is_within, next_start, until_date, until_time_of_day
from streams.flows.zones import zone_named, zone_of, zones_of, zones_of_country, zones_of_phone
from streams.instants import to_instant, to_timestamp
from tests.streams.triggers import told

BERLIN = zone_named("Europe/Berlin")
NEW_YORK = zone_named("America/New_York")
assert BERLIN is not None
assert NEW_YORK is not None


def test_a_local_time_that_does_not_exist_moves_to_the_first_that_does() -> None:
    spring = at_local(date(2026, 3, 29), 2 * 60 + 30, BERLIN)
    assert to_timestamp(spring) == "2026-03-29T01:00:00.000Z"
    assert to_timestamp(at_local(date(2026, 3, 29), 3 * 60, BERLIN)) == "2026-03-29T01:00:00.000Z"
    spring = at_local(date(2026, 3, 8), 2 * 60 + 1, NEW_YORK)
    assert to_timestamp(spring) == "2026-03-08T07:00:00.000Z"


def test_of_a_local_time_that_exists_twice_the_first_counts() -> None:
    autumn = at_local(date(2026, 10, 25), 2 * 60 + 30, BERLIN)
    assert to_timestamp(autumn) == "2026-10-25T00:30:00.000Z"
    autumn = at_local(date(2026, 11, 1), 60 + 30, NEW_YORK)
    assert to_timestamp(autumn) == "2026-11-01T05:30:00.000Z"


@pytest.mark.parametrize("entered", ["2026-06-01T12:00:00Z", "2026-06-01T14:00:00Z"])
def test_a_day_until_three_is_tomorrow_at_three_before_and_after_three(entered: str) -> None:
    wait = WaitUntil(until=15 * 60, days=1, weekdays=("mon", "tue", "wed", "thu", "fri"))
    end = until_time_of_day(wait, to_instant(entered), BERLIN)
    assert to_timestamp(end) == "2026-06-02T13:00:00.000Z"


def test_until_three_includes_now_and_leaves_out_the_weekend() -> None:
    wait = WaitUntil(until=15 * 60, weekdays=("mon", "tue", "wed", "thu", "fri"))
    friday_at_three = to_instant("2026-06-05T13:00:00Z")
    assert until_time_of_day(wait, friday_at_three, BERLIN) == friday_at_three
    end = until_time_of_day(wait, friday_at_three + 1, BERLIN)
    assert to_timestamp(end) == "2026-06-08T13:00:00.000Z"


@pytest.mark.parametrize(
    ("value", "end"),
    [
        ("2026-06-05T15:00:00+02:00", "2026-06-04T13:00:00.000Z"),
        ("2026-06-05T15:00", "2026-06-04T13:00:00.000Z"),
        ("2026-06-05", "2026-06-03T22:00:00.000Z"),
    ],
)
def test_a_wait_for_the_triggers_date(value: str, end: str) -> None:
    trigger = Trigger("event", "e1", said=told(appointment_at=value))
    wait = WaitForDate("appointment_at", before=86_400_000)
    found = until_date(wait, trigger, BERLIN)
    assert found is not None
    assert to_timestamp(found) == end


def test_a_trigger_without_the_date_ends_the_wait() -> None:
    trigger = Trigger("event", "e1", said=told(appointment_at="soon", n=3))
    assert until_date(WaitForDate("appointment_at"), trigger, BERLIN) is None
    assert until_date(WaitForDate("n"), trigger, BERLIN) is None


def test_quiet_hours_over_midnight_and_over_the_change_of_the_clock() -> None:
    quiet = Hours(21 * 60, 8 * 60)
    late = to_instant("2026-03-28T22:00:00Z")
    assert is_within(quiet, late, BERLIN)
    assert to_timestamp(end_of(quiet, late, BERLIN)) == "2026-03-29T06:00:00.000Z"
    eight = to_instant("2026-03-29T06:00:00Z")
    assert not is_within(quiet, eight, BERLIN)
    assert is_within(quiet, eight - 1, BERLIN)
    assert is_within(quiet, to_instant("2026-03-28T20:00:00Z"), BERLIN)
    starts = next_start(quiet, eight, BERLIN)
    assert starts is not None
    assert to_timestamp(starts) == "2026-03-29T19:00:00.000Z"


def test_hours_without_a_weekday_never_begin_and_whole_days_join() -> None:
    assert next_start(Hours(0, 60, weekdays=()), 0, BERLIN) is None
    sundays = Hours(0, 0, weekdays=("sat", "sun"))
    saturday = to_instant("2026-06-06T10:00:00Z")
    assert to_timestamp(end_of(sundays, saturday, BERLIN)) == "2026-06-07T22:00:00.000Z"


def test_a_profile_lives_where_its_timezone_country_or_phone_says_beyond_doubt() -> None:
    def lives(country: str | None = None, timezone: str | None = None, phone: str = "") -> str:
        traits = {"timezone": timezone, "country": country}
        row = ProfileRow(
            traits={name: Trait(value, 0, 0) for name, value in traits.items() if value},
            identifiers={"phone": {phone: 0}} if phone else {},
        )
        return zone_of(row, "Asia/Tokyo").key

    assert lives(timezone="America/Denver", country="DE") == "America/Denver"
    assert lives(timezone="america/denver") == "America/Denver"
    assert lives(timezone="Mars/Base", country="DE") == "Europe/Berlin"
    assert lives(country="United Kingdom") == "Europe/London"
    assert lives(country="US") == "Asia/Tokyo"
    assert lives(country="US", phone="+12125551234") == "America/New_York"
    assert lives(phone="+447700900123") == "Europe/London"
    assert lives(phone="+18005550100") == "Asia/Tokyo"
    assert lives(phone="nonsense") == "Asia/Tokyo"
    assert lives() == "Asia/Tokyo"


def keys(zones: tuple[ZoneInfo, ...]) -> set[str]:
    return {zone.key for zone in zones}


def test_a_country_has_a_zone_for_each_of_its_clocks() -> None:
    assert keys(zones_of_country("CN")) == {"Asia/Shanghai", "Asia/Urumqi"}
    assert zones_of_country("Atlantis") == ()
    assert keys(zones_of_country("Germany")) == {"Europe/Berlin"}


@pytest.mark.parametrize(
    ("phone", "zones"),
    [
        ("+12125551234", {"America/New_York"}),
        ("+14165551234", {"America/Toronto"}),
        ("+12085550123", {"America/Boise", "America/Los_Angeles"}),
        ("+61291234567", {"Australia/Sydney"}),
        ("+8613800000000", {"Asia/Shanghai"}),
        ("nonsense", set()),
    ],
)
def test_a_phone_has_the_zones_of_its_prefix(phone: str, zones: set[str]) -> None:
    assert keys(zones_of_phone(phone)) == zones


def test_a_prefix_of_a_whole_country_has_the_zones_of_that_country_alone() -> None:
    mobile = keys(zones_of_phone("+61412345678"))
    assert {"Australia/Perth", "Australia/Sydney", "Australia/Lord_Howe"} <= mobile
    assert all(name.startswith("Australia/") for name in mobile), "not Christmas Island"
    toll_free = keys(zones_of_phone("+18005550100"))
    assert {"America/New_York", "Pacific/Honolulu"} <= toll_free
    assert not toll_free & {"Pacific/Guam", "America/St_Johns", "America/Halifax"}
    mexican = keys(zones_of_phone("+525512345678"))
    assert mexican <= keys(zones_of_country("MX"))


def test_the_phone_that_is_written_to_counts_before_the_newest() -> None:
    row = ProfileRow(identifiers={"phone": {"+4930123456": 9, "+12125551234": 1}})
    assert zones_of(row, "Asia/Tokyo").text == "Europe/Berlin (phone)"
    assert zones_of(row, "Asia/Tokyo", "+12125551234").text == "America/New_York (phone)"
    assert zones_of(ProfileRow(), "Asia/Tokyo").text == "Asia/Tokyo (store)"
