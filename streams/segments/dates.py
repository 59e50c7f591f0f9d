"""The answers of leaves that look at a date in a trait.

A date moves nowhere: the leaf holds from one instant to another, for anniversaries once a year.
"""

from datetime import date
from typing import assert_never
from zoneinfo import ZoneInfo

from schemas import conditions as c
from schemas.values import Instant
from streams.definitions.dates import LAST, day_in_year, midnight, to_date_instant, to_day
from streams.definitions.zones import find_zone, to_local
from streams.segments.leaves import Leaf, shown, trait_value
from streams.segments.person import FAILS, HOLDS, Answer, Person


def trait_date(condition: c.TraitDate) -> Leaf:
    """A plain date, or an instant."""
    name, window = condition.trait, condition.window

    def ask(person: Person, now: Instant) -> Answer:
        at = to_date_instant(trait_value(person.row, name), zone_of_store(person))
        return FAILS if at is None else _answer(window, at, now)

    return ask, lambda person: shown(trait_value(person.row, name))


def _answer(
    window: c.InNext | c.InLast | c.Before | c.After | c.Between, at: Instant, now: Instant
) -> Answer:
    match window:
        case c.InNext(span):
            return during(at - span, at, now)
        case c.InLast(span):
            return during(at, at + span, now)
        case c.Before(end):
            return HOLDS if at < end else FAILS
        case c.After(start):
            return HOLDS if at >= start else FAILS
        case c.Between(start, end):
            return HOLDS if start <= at < end else FAILS
        case _:
            assert_never(window)


def during(start: Instant, end: Instant, now: Instant) -> Answer:
    """Holds from `start` until `end`, which does not belong."""
    if now >= end:
        return FAILS
    holds = now >= start
    flip = end if holds else start
    return holds, flip if flip <= LAST else None


def anniversary(condition: c.Anniversary) -> Leaf:
    """The day of a date, every year."""
    name, window = condition.trait, condition.window

    def ask(person: Person, now: Instant) -> Answer:
        zone = zone_of_store(person)
        day = to_day(trait_value(person.row, name), zone)
        if day is None:
            return FAILS
        match window:
            case c.InMonth(month):
                return HOLDS if day.month == month else FAILS
            case c.InNext(span):
                _, following = around(day, now, zone)
                return during(following - span, following, now)
            case c.InLast(span):
                last, following = around(day, now, zone)
                return (True, last + span) if now < last + span else (False, following)
            case _:
                assert_never(window)

    return ask, lambda person: shown(trait_value(person.row, name))


def around(day: date, now: Instant, zone: ZoneInfo) -> tuple[Instant, Instant]:
    """The last anniversary that has begun at `now`, and the one that follows it."""
    year = to_local(now, zone).year
    begun = midnight(day_in_year(day, year), zone)
    if begun <= now:
        return begun, midnight(day_in_year(day, year + 1), zone)
    return midnight(day_in_year(day, year - 1), zone), begun


def zone_of_store(person: Person) -> ZoneInfo:
    zone = find_zone(person.program.settings.zone)
    assert zone is not None, "the store's zone was checked when its settings were read"
    return zone
