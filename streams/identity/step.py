"""What a record does to one identifier: the pointer to its profile, its links, its consent."""

from collections.abc import Mapping
from typing import Final, Self

import msgspec

from schemas.events import Event
from schemas.records import (
    Backfilled,
    Body,
    ConsentClaimed,
    Erased,
    ErasureAsked,
    EventArrived,
    EventResolved,
    Forget,
    Linked,
    Repoint,
    Retire,
)
from schemas.rows import IDENTITY_ROW_SCHEMA, DefinitionsRow, IdentityRow, StopsRow
from schemas.splits import EventsTold, NamesAgain, SplitAsked, SplitOff
from schemas.values import Instant, Origin, ProfileId, Stage, StoreId
from streams.consent.statements import address_statements
from streams.core import NEXT, Output, Stepped, Touched
from streams.identity.addresses import hear, hold, state
from streams.identity.erasure import forget_person, is_veiled, unveil, veiled
from streams.identity.keys import identifier_of, key_of
from streams.identity.links import (
    announce,
    forget,
    link,
    mint,
    repoint,
    retire,
    retire_previous,
    split_off,
)
from streams.identity.rules import StoreRules, rules_in
from streams.ids import Ids, is_profile_id
from streams.sends.outcome import OUTCOMES
from streams.versions import NewerSchema

_decode = msgspec.msgpack.Decoder(IdentityRow).decode
_encode = msgspec.msgpack.Encoder(order="deterministic").encode

_DEFAULT: Final = StoreRules()

SPLITS_MAX: Final = 20
"""Splits that a row remembers, so that one that is asked for again changes nothing."""

ERASURE: Final = "erasure"
"""The cause of a word about consent that only goes to another place."""

_FOR_A_PROFILE: Final = (Backfilled, EventsTold)
_ASKED_FOR: Final = (ErasureAsked, SplitAsked)
_OF_THE_PAST: Final = (Repoint, Forget, Erased, SplitOff, NamesAgain)
"""What is said about links that were: it makes nobody known."""


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
        row.schema = IDENTITY_ROW_SCHEMA  # what is written from here on is for this version
        return row

    def encode(self, row: IdentityRow) -> bytes:
        return _encode(row)

    def lessened(self, row: IdentityRow) -> IdentityRow:
        """Its parts are bounded each."""
        return row

    def step(
        self, row: IdentityRow | None, key: str, body: Body, now: Instant, _origin: Origin
    ) -> Touched[IdentityRow]:
        """Say what `body`, applied at `now`, does to the row of `key`."""
        if isinstance(body, _FOR_A_PROFILE):
            return None, [Output(NEXT, body.profile_id, body)]
        if isinstance(body, _ASKED_FOR):
            return row, self._asked(row, key, body)
        if isinstance(body, _OF_THE_PAST) and (row is None or is_veiled(row)):
            return row, []
        outputs: list[Output] = []
        if row is None:
            store, identifier = identifier_of(key)
            row = IdentityRow(store=store, identifier=identifier)
        elif is_veiled(row):
            outputs = unveil(row, key) + state(row, ERASURE, now)
        return row, outputs + self._known(row, body, now)

    def _known(self, row: IdentityRow, body: Body, now: Instant) -> list[Output]:
        """What a record does to an identifier that may be seen."""
        match body:
            case EventArrived():
                return self._arrived(row, body.event, now)
            case Linked():
                return link(row, body, self._of(row.store), self._ids, now)
            case ConsentClaimed():
                said = address_statements(body.event, self._of(row.store).consent)
                return hear(row, said, body.event.id, now)
            case Retire():
                return retire(row, body)
            case Erased():
                outputs = forget_person(row, body, self._ids)
                return outputs + (state(row, ERASURE, now) if is_veiled(row) else [])
            case Repoint():
                repoint(row, body)
            case Forget():
                forget(row, body.forgotten)
            case SplitOff():
                return split_off(row, body)
            case NamesAgain():
                row.retired = False
            case _:
                raise AssertionError(f"no record for identity: {type(body).__name__}")
        return []

    def _asked(
        self, row: IdentityRow | None, key: str, body: ErasureAsked | SplitAsked
    ) -> list[Output]:
        """Ask the profile. Where there is none, that which the identifier would give says so."""
        if row is None or not row.profile_id:
            return [Output(NEXT, self._mint(key, 0 if row is None else row.epoch), body)]
        if isinstance(body, SplitAsked):
            if body.split in row.splits:
                return []
            row.splits = [*row.splits, body.split][-SPLITS_MAX:]
            body = msgspec.structs.replace(body, into=self._mint(key, row.epoch + 1))
        return [Output(NEXT, row.profile_id, body)]

    def _mint(self, key: str, epoch: int) -> ProfileId:
        store, identifier = identifier_of(key)
        row = IdentityRow(store=store, identifier=identifier, epoch=epoch)
        return mint(row, self._of(store), self._ids)

    def veiled(self, key: str) -> str | None:
        if is_profile_id(key):  # of the past, which is only passed on
            return None
        store, identifier = identifier_of(key)
        return key_of(store, veiled(store, identifier, self._ids))

    def is_veiled(self, row: IdentityRow) -> bool:
        return is_veiled(row)

    def wake(
        self, _row: IdentityRow, key: str, _due: Instant, _now: Instant
    ) -> Stepped[IdentityRow]:
        raise AssertionError(f"identity has no timers, but one rang at a row ({len(key)} letters)")

    def without(self, _parts: frozenset[str]) -> Self:
        return self

    visits_until: Instant = 0

    def hastened(self) -> Self:
        return self

    def wake_at(self, _row: IdentityRow) -> Instant | None:
        return None

    def asleep(self, row: IdentityRow) -> IdentityRow:
        return row

    def adopt(self, row: DefinitionsRow | StopsRow) -> Self:
        """The core with these definitions in force for their store. Stops are the profiles'."""
        if isinstance(row, StopsRow):
            return self
        published = row.published
        return type(self)(self._ids, {**self._rules, published.store: rules_in(published)})

    def _of(self, store: StoreId) -> StoreRules:
        return self._rules.get(store, _DEFAULT)

    def _arrived(self, row: IdentityRow, event: Event, now: Instant) -> list[Output]:
        """Resolve the event; say what it tells about its other identifiers, and about consent.

        A repeated event is forwarded again, for its profile recognises it, and says nothing new.
        """
        rules, own = self._of(row.store), row.identifier
        outputs: list[Output] = []
        answered = _answered(row, event, rules)
        if not row.profile_id:
            row.profile_id = mint(row, rules, self._ids)
            outputs += hold(row, row.profile_id, event.id)
        if event.previous:
            outputs += retire_previous(row, event)
        if answered is None or answered == row.profile_id:
            resolved = EventResolved(event, own, row.retired)
            outputs.append(Output(NEXT, row.profile_id, resolved))
        else:
            resolved = EventResolved(event, own, row.retired, otherwise=row.profile_id)
            outputs.append(Output(NEXT, answered, resolved))
        if len(event.identifiers) > 1 or event.previous:
            outputs += announce(row, event, rules)
        said = address_statements(event, rules.consent)
        if said:
            outputs += hear(row, said, event.id, now)
        return outputs


def _answered(row: IdentityRow, event: Event, rules: StoreRules) -> ProfileId | None:
    """The profile that an outcome names as that of its send; it is asked whether it made it.

    A strong identifier that was never seen before names its own profile first.
    """
    properties = event.properties
    if event.metric not in OUTCOMES or event.trust != "server" or "send_id" not in properties:
        return None
    if not row.profile_id and row.identifier[0] in rules.strong:
        return None
    claimed: ProfileId | None = properties.get("profile_id")
    return claimed if is_profile_id(claimed) else None
