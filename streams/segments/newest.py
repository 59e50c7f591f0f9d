"""The answers of leaves that look at the newest events of a kind: how many pass, how many led on.

Time alone changes none of them.
"""

from collections.abc import Callable, Iterable

from schemas import conditions as c
from schemas.rows import Entry
from schemas.values import Instant
from streams.definitions.comparisons import compile_comparison
from streams.segments.evidence import Found, explain_events
from streams.segments.features import Content, Registry
from streams.segments.keeping import ENTRIES_MAX
from streams.segments.person import FAILS, HOLDS, Answer, Compiled, Needs, Person
from streams.segments.texts import leaf_text
from streams.segments.values import canonical, compile_path, split_filters
from streams.segments.windows import Picks, compile_picks

Counted = Callable[[Person], list[Entry]]


def of_newest(condition: c.OfNewest, registry: Registry) -> Compiled:
    """Compile, and ask the registry for two features: the newest events, and what is counted."""
    of, event, count = condition.of, condition.event, condition.count
    if event is None:
        own, compared = split_filters((*of.where, *condition.where))
        picks = compile_picks([compile_path(other) for _, other in compared])
        all_of_them = registry.ask(Content(of, "newest"), keep=count)
        kept = tuple(path for path, _ in compared)
        those = Content(c.EventFilter(of.metric, own), "newest", kept=kept)
        key = registry.ask(those, keep=count)
        counted = passing(all_of_them, key, count, picks)
    else:
        own, compared = split_filters(event.where)
        picks = compile_picks([compile_path(other) for _, other in compared], first=1)
        all_of_them = registry.ask(Content(of, "newest", kept=(condition.by,)), keep=count)
        kept = (condition.by, *[path for path, _ in compared])
        those = Content(c.EventFilter(event.metric, own), "each", kept=kept)
        key = registry.ask(those, keep=ENTRIES_MAX)
        counted = leading(all_of_them, key, count, picks)
    test = compile_comparison(condition.times)

    def ask(person: Person, _now: Instant) -> Answer:
        return HOLDS if test(len(counted(person))) else FAILS

    def find(person: Person, _now: Instant) -> Found:
        found = counted(person)
        return Found(f"{len(found)} of {len(_newest(person, all_of_them, count))}", found)

    needs = Needs(frozenset({all_of_them, key}))
    return Compiled(ask, explain_events(ask, leaf_text(condition), find), needs)


def _newest(person: Person, key: str, count: int) -> list[Entry]:
    state = person.row.features.get(key)
    return [] if state is None else state.entries[:count]


def passing(all_of_them: str, key: str, count: int, picks: Picks | None) -> Counted:
    """Those of the newest that pass: the newest that pass, as far back as the newest go."""

    def counted(person: Person) -> list[Entry]:
        newest = _newest(person, all_of_them, count)
        if not newest:
            return []
        oldest = (newest[-1].occurred_at, newest[-1].event_id)
        return [
            entry
            for entry in _newest(person, key, count)
            if (entry.occurred_at, entry.event_id) >= oldest
            and (picks is None or picks(person, entry))
        ]

    return counted


def leading(all_of_them: str, key: str, count: int, picks: Picks | None) -> Counted:
    """Those of the newest that led to one of the others, which happened at or after it."""

    def counted(person: Person) -> list[Entry]:
        newest = _newest(person, all_of_them, count)
        state = person.row.features.get(key)
        if not newest or state is None:
            return []
        others = [one for one in state.entries if picks is None or picks(person, one)]
        named: dict[object, Instant] = {}
        for one in reversed(others):
            named[canonical(one.kept[0])] = one.occurred_at
        named.pop(None, None)
        led = {
            entry.event_id
            for entry in newest
            if named.get(canonical(entry.kept[0]), -1) >= entry.occurred_at
        }
        nameless = [one for one in others if canonical(one.kept[0]) is None]
        led |= _pair([entry for entry in newest if entry.event_id not in led], nameless)
        return [entry for entry in newest if entry.event_id in led]

    return counted


def _pair(newest: Iterable[Entry], nameless: Iterable[Entry]) -> set[str]:
    """In the order of time, each of the nameless takes the newest one before it that is free."""
    turns = [(entry.occurred_at, 0, entry.event_id) for entry in newest]
    turns += [(one.occurred_at, 1, one.event_id) for one in nameless]
    free: list[str] = []
    taken: set[str] = set()
    for _, is_other, event_id in sorted(turns):
        if not is_other:
            free.append(event_id)
        elif free:
            taken.add(free.pop())
    return taken
