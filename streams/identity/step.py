"""What a record does to one identifier: the pointer to its profile, its links, its consent.

This version resolves an event by its strongest identifier and lets unknown identifiers point to
the profile they were first seen with. Where two pointers differ, both stay: merging comes later.
"""

from collections.abc import Mapping
from typing import Final, Self

import msgspec

from schemas.definitions import ProfileList
from schemas.events import Event
from schemas.records import (
    Body,
    ConsentClaimed,
    DefinitionsPublished,
    EventArrived,
    EventResolved,
    Forget,
    Linked,
    Repoint,
)
from schemas.rows import IDENTITY_ROW_SCHEMA, IdentityRow
from schemas.values import Identifier, Instant, Origin, Stage, StoreId
from streams.consent.said import DEFAULT_RULES, ConsentRules, rules_of, said_by
from streams.core import NEXT, PEER, Output, Stepped
from streams.definitions.parse import parse
from streams.identity.addresses import LINKED, hear, hold
from streams.identity.keys import ADDRESS_KINDS, identifier_of, key_of
from streams.ids import STRONG_KINDS, Ids
from streams.versions import NewerSchema

LINKS_MAX: Final = 50
BY_CLIENT: Final = "?"
"""In front of a link that only a client has announced: a server's word is worth saying again."""

_decode = msgspec.msgpack.Decoder(IdentityRow).decode
_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class StoreRules(msgspec.Struct, frozen=True):
    """What a store's definitions say to this station.

    strong: the identifier kinds that name a person.
    """

    strong: frozenset[str] = frozenset(STRONG_KINDS)
    consent: ConsentRules = DEFAULT_RULES


_DEFAULT: Final = StoreRules()


class IdentityCore:
    """The station `identity`. Rows are keyed by identifier (`key_of`).

    rules: of the stores that have published definitions.
    """

    stage: Stage = "identity"
    has_timers = False

    def __init__(self, ids: Ids, rules: Mapping[StoreId, StoreRules] | None = None) -> None:
        self._ids = ids
        self._rules = dict(rules or {})

    def decode(self, blob: bytes) -> IdentityRow:
        row = _decode(blob)
        if row.schema > IDENTITY_ROW_SCHEMA:
            raise NewerSchema(
                f"an identity row of schema {row.schema}; known is {IDENTITY_ROW_SCHEMA}"
            )
        return row

    def encode(self, row: IdentityRow) -> bytes:
        return _encode(row)

    def step(
        self, row: IdentityRow | None, key: str, body: Body, now: Instant, _origin: Origin
    ) -> Stepped[IdentityRow]:
        """Say what `body`, applied at `now`, does to the row of `key`."""
        if row is None:
            store, identifier = identifier_of(key)
            row = IdentityRow(store=store, identifier=identifier)
        match body:
            case EventArrived():
                return row, self._arrived(row, body.event, now)
            case Linked():
                return row, _linked(row, body, self._of(row.store))
            case ConsentClaimed():
                said = said_by(body.event, self._of(row.store).consent)
                return row, hear(row, said, body.event.id, now)
            case Repoint():
                _repoint(row, body)
            case Forget():
                _forget(row, body.forgotten)
            case _:
                raise AssertionError(f"no record for identity: {type(body).__name__}")
        return row, []

    def wake(
        self, _row: IdentityRow, key: str, _due: Instant, _now: Instant
    ) -> Stepped[IdentityRow]:
        raise AssertionError(f"identity has no timers, but one rang at a row ({len(key)} letters)")

    def wake_at(self, _row: IdentityRow) -> Instant | None:
        return None

    def asleep(self, row: IdentityRow) -> IdentityRow:
        return row

    def adopt(self, published: DefinitionsPublished) -> Self:
        """The core with these definitions in force for their store."""
        return type(self)(self._ids, {**self._rules, published.store: rules_in(published)})

    def _of(self, store: StoreId) -> StoreRules:
        return self._rules.get(store, _DEFAULT)

    def _arrived(self, row: IdentityRow, event: Event, now: Instant) -> list[Output]:
        """Resolve the event; say what it tells about its other identifiers, and about consent.

        A repeated event is forwarded again, for its profile recognises it, and says nothing new.
        """
        rules, own = self._of(row.store), row.identifier
        outputs: list[Output] = []
        if not row.profile_id:
            strong = own[0] in rules.strong
            row.profile_id = self._ids.profile(row.store, own, strong=strong, epoch=row.epoch)
            outputs += hold(row, row.profile_id, event.id)
        outputs.append(Output(NEXT, row.profile_id, EventResolved(event, own)))
        if len(event.identifiers) > 1:
            outputs += _announce(row, event, rules)
        said = said_by(event, rules.consent)
        if said:
            outputs += hear(row, said, event.id, now)
            outputs += [
                Output(PEER, key_of(row.store, address), ConsentClaimed(event, address))
                for address in dict.fromkeys(address for address, _, _ in said)
                if address != own
            ]
        return outputs


def _announce(row: IdentityRow, event: Event, rules: StoreRules) -> list[Output]:
    """Tell the other identifiers of an event, once each, which profile they were seen with.

    A client announces weak identifiers alone: anybody can type somebody else's e-mail address.
    """
    by_server = event.trust == "server"
    outputs = []
    for other in event.identifiers[1:]:
        if not by_server and other[0] in rules.strong:
            continue
        link = f"{other[0]}/{other[1]}"
        if link in row.links:
            continue
        if not by_server:
            link = BY_CLIENT + link
            if link in row.links:
                continue
        row.links = [*row.links, link][-LINKS_MAX:]
        strong = row.identifier[0] in rules.strong
        body = Linked(row.store, other, row.profile_id, row.identifier, strong, by_server)
        outputs.append(Output(PEER, key_of(row.store, other), body))
    return outputs


def _linked(row: IdentityRow, linked: Linked, rules: StoreRules) -> list[Output]:
    """Point to the announcer's profile, if this identifier was unknown; let an address be held.

    Nothing is merged where this identifier points to another profile already.
    """
    if not linked.by_server and row.identifier[0] in rules.strong:
        return []
    if not row.profile_id:
        row.profile_id = linked.profile_id
        row.announcer = linked.announcer
        return hold(row, linked.profile_id, LINKED)
    if row.identifier[0] in ADDRESS_KINDS:
        return hold(row, linked.profile_id, LINKED)
    return []


def _repoint(row: IdentityRow, body: Repoint) -> None:
    """Follow a profile into the one that absorbed it."""
    if row.profile_id == body.old:
        row.profile_id = body.new
    if body.old in row.holders:
        moved = [body.new if holder == body.old else holder for holder in row.holders]
        row.holders = list(dict.fromkeys(moved))


def _forget(row: IdentityRow, forgotten: Identifier) -> None:
    """Announce an identifier again when it is seen again: it was handed over to another profile."""
    link = f"{forgotten[0]}/{forgotten[1]}"
    row.links = [kept for kept in row.links if kept not in (link, BY_CLIENT + link)]


def rules_in(published: DefinitionsPublished) -> StoreRules:
    """What published definitions say to this station."""
    parsed = parse(published.documents)
    own = parsed.settings.identifiers.kinds.items()
    lists = [one for one in parsed.definitions.values() if isinstance(one, ProfileList)]
    return StoreRules(
        strong=frozenset(STRONG_KINDS).union(
            kind for kind, strength in own if strength == "strong"
        ),
        consent=rules_of(parsed.settings, {one.id: one for one in lists}),
    )
