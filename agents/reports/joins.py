"""How a person came to be one: which event joined what, when, by which rule.

What the profiles came to (merges, refusals, erasures) is recorded. How the identifiers found them
is told once more, by the code that runs live, from the events that name them
(`streams/identity/joins.py`); the profile that each was accepted for is recorded again.
"""

from collections.abc import Iterable, Sequence

import msgspec
from clickhouse_connect.driver.client import Client

from agents.reports.events import COLUMNS, event_in
from agents.reports.stories import profile_ids
from schemas.records import DefinitionsPublished
from schemas.values import Identifier, Instant, ProfileId, StoreId, Timestamp
from streams.definitions.parse import parse
from streams.identity.joins import (
    Accepted,
    Join,
    Joins,
    Rule,
    Settled,
    Standing,
    TakenOut,
    joins,
)
from streams.identity.links import SPLIT
from streams.identity.rules import StoreRules, rules_in
from streams.ids import Ids
from streams.ingest.read import ALIAS, previous_of
from streams.ingest.settings import IngestSettings, settings_of
from streams.instants import to_timestamp
from streams.profile.conflicts import SHARED_BY_TOO_MANY

NEEDLES_MAX = 200
"""Identifiers that are looked for at once; the database takes 255."""

_OF_PROFILES = """
SELECT if(moved_from = '', profile_id, moved_from), origin, <columns> FROM events FINAL
WHERE store = {store:String} AND profile_id IN {profiles:Array(String)}
ORDER BY origin
""".replace("<columns>", COLUMNS)

_NAMING = """
SELECT if(moved_from = '', profile_id, moved_from), origin, <columns> FROM events FINAL
WHERE store = {store:String} AND (multiSearchAny(identifiers, {named:Array(String)})
    OR (metric = 'Alias' AND multiSearchAny(properties, {values:Array(String)})))
""".replace("<columns>", COLUMNS)

_MERGES = """
SELECT toUnixTimestamp64Milli(decided_at), winner, loser FROM identity_merges FINAL
WHERE store = {store:String}
    AND (winner IN {profiles:Array(String)} OR loser IN {profiles:Array(String)})
"""

_CONFLICTS = """
SELECT toUnixTimestamp64Milli(decided_at), profiles, external_ids, reason, because
FROM identity_conflicts FINAL
WHERE store = {store:String} AND hasAny(profiles, {profiles:Array(String)})
ORDER BY decided_at, id
"""

_SPLITS = """
SELECT
    toUnixTimestamp64Milli(decided_at), identifiers, old, new, known_as,
    if(reason = '', author, concat(author, ': ', reason))
FROM identity_splits FINAL
WHERE store = {store:String} AND outcome = 'split'
    AND (old IN {profiles:Array(String)} OR new IN {profiles:Array(String)})
"""

_ERASURES = """
SELECT toUnixTimestamp64Milli(decided_at), request, profile_ids FROM erasures FINAL
WHERE store = {store:String} AND outcome = 'erased'
    AND hasAny(profile_ids, {profiles:Array(String)})
ORDER BY decided_at, id
"""

_encode = msgspec.json.encode
_identifiers = msgspec.json.Decoder(tuple[Identifier, ...]).decode
_because = msgspec.json.Decoder(Identifier | None).decode


class JoinTold(msgspec.Struct, frozen=True, kw_only=True):
    """A join as it is printed. The fields are those of `streams.identity.joins.Join`."""

    at: Timestamp
    rule: Rule | str
    words: str
    identifier: Identifier | None = None
    profiles: tuple[ProfileId, ...] = ()
    seen_with: Identifier | None = None
    event: str | None = None
    metric: str | None = None
    external_ids: tuple[str, ...] = ()
    reason: str | None = None


class IdentifierTold(msgspec.Struct, frozen=True, kw_only=True):
    """An identifier that events of the person carried, as it is now.

    profile_id: whose it is now, maybe another's. shared: by so many that it links nobody.
    """

    kind: str
    value: str
    since: Timestamp
    profile_id: ProfileId
    shared: bool


class PersonTold(msgspec.Struct, frozen=True, kw_only=True):
    """profile_id: the one it is now; merged: the ids that became part of it."""

    store: StoreId
    profile_id: ProfileId
    merged: list[ProfileId]
    identifiers: list[IdentifierTold]
    joins: list[JoinTold]


def explain_person(
    client: Client, published: DefinitionsPublished, profile_id: ProfileId, ids: Ids
) -> PersonTold | None:
    """Tell how the person of this id came to be one; any id they ever had will do.

    published: the store's settings say which kinds of identifiers there are. None: nobody.
    """
    store, rules = published.store, rules_in(published)
    reading = settings_of(parse(published.documents).settings)
    now, *merged = profiles = profile_ids(client, store, profile_id)
    own = _accepted(client, store, _OF_PROFILES, reading, profiles=profiles)
    erased = _erased(client, store, profiles)
    if not own and not erased:
        return None
    named = sorted({one for accepted in own for one in _named_by(accepted)})
    found = _told(client, store, named, own, rules, reading, ids)
    told = _of(found.joins, {*profiles})
    standing = [one for one in found.identifiers if one.identifier in named]
    known = {one.identifier for one in told if one.rule == "shared"}
    told += [one for one in _shared(client, store, profiles) if one.identifier not in known]
    told.sort(key=lambda one: one.at)
    return PersonTold(
        store=store,
        profile_id=now,
        merged=merged,
        identifiers=[_standing(one) for one in standing],
        joins=[_join(one) for one in told] + erased,
    )


def _of(told: Sequence[Join], theirs: set[ProfileId]) -> list[Join]:
    """The joins of a person; of identifiers that were split off for them, also what was before."""
    split_at = {
        one.identifier: one.at for one in told if one.rule == "split" and one.profiles[0] in theirs
    }
    return [
        one
        for one in told
        if theirs.intersection(one.profiles) or one.at <= split_at.get(one.identifier, -1)
    ]


def _told(
    client: Client,
    store: StoreId,
    named: Sequence[Identifier],
    own: Sequence[Accepted],
    rules: StoreRules,
    reading: IngestSettings,
    ids: Ids,
) -> Joins:
    """All that happened to these identifiers, whoever else they were seen with."""
    events = {(one.origin, one.profile_id): one for one in own}
    for place in range(0, len(named), NEEDLES_MAX):
        some = named[place : place + NEEDLES_MAX]
        asked = {
            "named": [_encode(one).decode() for one in some],
            "values": [_encode(value).decode() for _, value in some],
        }
        events |= {
            (one.origin, one.profile_id): one
            for one in _accepted(client, store, _NAMING, reading, **asked)
        }
    profiles = sorted({one.profile_id for one in events.values()})
    ordered = sorted(events.values(), key=lambda one: one.origin)
    return joins(store, ordered, _settled(client, store, profiles), rules, ids)


def _accepted(
    client: Client, store: StoreId, query: str, reading: IngestSettings, **asked: list[str]
) -> list[Accepted]:
    rows = client.query(query, parameters={"store": store, **asked}).result_rows
    found = []
    for whose, origin, *columns in rows:
        event = event_in(store, columns)
        if event.metric == ALIAS and event.trust == "server":
            previous, _ = previous_of(event.properties, event.identifiers, reading)
            event = msgspec.structs.replace(event, previous=previous)
        found.append(Accepted(event, tuple(origin), whose))
    return found


def _named_by(accepted: Accepted) -> Iterable[Identifier]:
    return (*accepted.event.identifiers, *accepted.event.previous)


def _settled(
    client: Client, store: StoreId, profiles: Sequence[ProfileId]
) -> list[Settled | TakenOut]:
    """The merges of these profiles, and of those that they became; refusals, splits."""
    known, merges = {*profiles}, set[Settled]()
    while True:
        asked = {"store": store, "profiles": sorted(known)}
        rows = client.query(_MERGES, parameters=asked).result_rows
        merges |= {Settled(at, winner, loser) for at, winner, loser in rows}
        found = known.union(*((one.winner, one.loser) for one in merges))
        if found == known:
            break
        known = found
    refusals = [
        Settled(at, low, high, refused=reason, because=because, external_ids=names)
        for at, (low, high), names, reason, because in _conflicts(client, store, known, False)
    ]
    asked = {"store": store, "profiles": sorted(known)}
    splits = [
        TakenOut(at, _identifiers(identifiers), old, new, tuple(known_as), why)
        for at, identifiers, old, new, known_as, why in client.query(
            _SPLITS, parameters=asked
        ).result_rows
    ]
    return [*merges, *refusals, *splits]


def _shared(client: Client, store: StoreId, profiles: Sequence[ProfileId]) -> list[Join]:
    """Identifiers of these profiles that too many share, as it was recorded."""
    return [
        Join(at=at, rule="shared", identifier=because, profiles=among)
        for at, among, _, _, because in _conflicts(client, store, profiles, True)
    ]


def _conflicts(
    client: Client, store: StoreId, profiles: Iterable[ProfileId], shared: bool
) -> list[tuple[Instant, tuple[ProfileId, ...], tuple[str, ...], str, Identifier | None]]:
    asked = {"store": store, "profiles": sorted(profiles)}
    rows = client.query(_CONFLICTS, parameters=asked).result_rows
    return [
        (at, tuple(among), tuple(names), reason, _because(because))
        for at, among, names, reason, because in rows
        if (reason == SHARED_BY_TOO_MANY) is shared
    ]


def _erased(client: Client, store: StoreId, profiles: Sequence[ProfileId]) -> list[JoinTold]:
    """What was erased: of how it was joined nothing is left."""
    asked = {"store": store, "profiles": list(profiles)}
    return [
        JoinTold(
            at=to_timestamp(at),
            rule="erased",
            words=f"the person was erased (request {request}); how they were joined is gone too",
            profiles=tuple(among),
        )
        for at, request, among in client.query(_ERASURES, parameters=asked).result_rows
    ]


def _standing(one: Standing) -> IdentifierTold:
    kind, value = one.identifier
    return IdentifierTold(
        kind=kind,
        value=value,
        since=to_timestamp(one.since),
        profile_id=one.profile_id,
        shared=one.shared,
    )


# --- in plain words ------------------------------------------------------------------------------


def _join(one: Join) -> JoinTold:
    return JoinTold(
        at=to_timestamp(one.at),
        rule=one.rule,
        words=words_of(one),
        identifier=one.identifier,
        profiles=one.profiles,
        seen_with=one.seen_with,
        event=one.event,
        metric=one.metric,
        external_ids=one.external_ids,
        reason=one.reason,
    )


def words_of(one: Join) -> str:
    """A join in a sentence."""
    what, event = name_of(one.identifier), _event(one)
    first, *others = one.profiles
    other = others[0] if others else ""
    with_it = f"seen with {name_of(one.seen_with)}" if one.seen_with else "seen"
    match one.rule:
        case "first-seen":
            return f"{what} was first seen in {event}: it gives the profile {first}"
        case "link-taken":
            return f"{what} was {with_it} in {event}: it points to {first}"
        case "answered":
            return f"{what} answered a send in {event}: it points to {first}, to whom that was sent"
        case "handed-over":
            return (
                f"{what} was {with_it} in {event}: handed over from {other} to {first}; both are "
                "named, so nothing is merged"
            )
        case "kept-apart":
            return f"{what} was {with_it} in {event}: it stays with {first}, apart from {other}"
        case "client-said":
            return (
                f"{what} was {with_it} in {event}, said by a client: that joins nothing to {first}"
            )
        case "overtaken":
            return (
                f"{event} came before the link of {what} to {other} had arrived: it was taken for "
                f"{first}"
            )
        case "alias":
            return f"{what} is retired by {event}: {name_of(one.seen_with)} takes its place"
        case "asked":
            return f"{what} was {with_it} in {event}: {other} is asked to join {first}"
        case "merged":
            return f"{other} became part of {first}{_cause(one)}"
        case "refused":
            return f"{other} does not join {first}{_cause(one)}: {_refusal(one)}"
        case "split":
            return f"{what} was split from {other} by {one.reason}: it points to {first}"
        case "shared":
            return f"{what} was seen with {len(one.profiles)} people{_by(one)}: it links nobody now"


def name_of(identifier: Identifier | None) -> str:
    """`email ann@example.com`."""
    return "nothing" if identifier is None else " ".join(identifier)


def _event(one: Join) -> str:
    return f"{one.metric} {one.event}"


def _by(one: Join) -> str:
    return "" if one.event is None else f", last in {_event(one)}"


def _refusal(one: Join) -> str:
    """Why both stay apart."""
    if one.reason == SPLIT:
        return "support has split them"
    return f"two different external ids ({' and '.join(one.external_ids)})"


def _cause(one: Join) -> str:
    """Why profiles were to join."""
    if one.identifier is None:
        return " (what asked for it is not in the timeline)"
    if one.event is None:
        return f", because of {name_of(one.identifier)}"
    with_it = f" with {name_of(one.seen_with)}" if one.seen_with else ""
    return f": {name_of(one.identifier)} was seen{with_it} in {_event(one)}"
