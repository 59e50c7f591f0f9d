"""Records of `store-events` that are no store events: known by their header, written by us.

A tick says that time has passed; the broker's timestamp says to when, so it needs no proof.
What is published changes what a deployment does, so it carries a keyed hash of its bytes;
definitions, cuts, and the word that sends stop or resume, also the next number of their store: an
old one that is appended again is known by it. So do an erasure and a split, without a number.
"""

from collections.abc import Mapping
from hmac import compare_digest
from typing import Annotated, Any, Final, Literal

import msgspec

from schemas.records import (
    Backfilled,
    Cut,
    DefinitionsFilled,
    DefinitionsPublished,
    ErasureAsked,
    PopulationMeasured,
)
from schemas.splits import EventsTold, SplitAsked
from schemas.values import Channel, FlowId, Identifier, Instant, Origin, ProfileId, StoreId
from streams.definitions.problems import DefinitionsError
from streams.definitions.program import compile_program
from streams.identity.keys import key_of
from streams.ids import Ids
from streams.ingest.records import Control, Tick
from streams.ingest.rejection import Reason, Rejection
from streams.sends.stops import Switch

HEADER: Final = "tillstream"
MAC_HEADER: Final = "tillstream-mac"
TICK: Final = b"tick"
DEFINITIONS: Final = b"definitions"
BACKFILL: Final = b"backfill"
SENDS: Final = b"sends"
POPULATION: Final = b"population"
ERASURE: Final = b"erasure"
SPLIT: Final = b"split"
KINDS: Final = (DEFINITIONS, BACKFILL, SENDS, POPULATION, ERASURE, SPLIT)

Headers = tuple[tuple[str, bytes], ...]


class _Published(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Published definitions as JSON."""

    type: Literal["definitions-published"] = "definitions-published"
    schema: Literal[1] = 1
    store: StoreId
    version: str
    author: str
    documents: tuple[dict[str, Any], ...]
    fill: bool = False
    number: Annotated[int, msgspec.Meta(ge=0)] = 0


class _Switched(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`Switch` as JSON."""

    type: Literal["sends-switched"] = "sends-switched"
    schema: Literal[1] = 1
    store: StoreId
    number: Annotated[int, msgspec.Meta(ge=1)]
    flow: FlowId | None
    channel: Channel | None
    stopped: bool
    author: str


class _Filled(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"
):
    """What a back-fill says. features: base64, as in `Backfilled`; absent at its end."""

    schema: Literal[1] = 1
    store: StoreId
    switch: Origin


class _Backfilled(_Filled, frozen=True, kw_only=True, tag="backfilled"):
    profile_id: ProfileId
    features: bytes


class _DefinitionsFilled(_Filled, frozen=True, kw_only=True, tag="definitions-filled"):
    """Its end."""


class _Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`PopulationMeasured` as JSON; a cut as a list, in the order of its fields."""

    type: Literal["population-measured"] = "population-measured"
    schema: Literal[1] = 1
    store: StoreId
    number: Annotated[int, msgspec.Meta(ge=0)] = 0
    cuts: tuple[Cut, ...]


class _Erasure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An erasure that is asked for, as JSON."""

    type: Literal["erasure-asked"] = "erasure-asked"
    schema: Literal[1] = 1
    store: StoreId
    identifier: Identifier
    request: str


class _Split(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"
):
    """What is said about a split."""

    schema: Literal[1] = 1
    store: StoreId
    split: str


class _SplitAsked(_Split, frozen=True, kw_only=True, tag="split-asked"):
    """A split that is asked for."""

    identifiers: Annotated[tuple[Identifier, ...], msgspec.Meta(min_length=1)]
    author: str
    reason: str


class _EventsTold(_Split, frozen=True, kw_only=True, tag="events-told"):
    """A part of the history of one side. events: base64, as in `EventsTold`."""

    profile_id: ProfileId
    number: Annotated[int, msgspec.Meta(ge=0)]
    is_last: bool
    events: bytes


_encode = msgspec.json.Encoder().encode  # keys stay in the order in which they were written
DETAIL_MAX: Final = 500

_decode = msgspec.json.Decoder(_Published).decode
_decode_switch = msgspec.json.Decoder(_Switched).decode
_decode_measured = msgspec.json.Decoder(_Measured).decode
_decode_backfill = msgspec.json.Decoder(_Backfilled | _DefinitionsFilled).decode
_decode_erasure = msgspec.json.Decoder(_Erasure).decode
_decode_split = msgspec.json.Decoder(_SplitAsked | _EventsTold).decode


def tick() -> tuple[bytes, Headers]:
    """The value and the headers of a tick."""
    return b"{}", ((HEADER, TICK),)


def definitions(published: DefinitionsPublished, secret: bytes) -> tuple[bytes, Headers]:
    """The value and the headers with which definitions are published.

    secret: the deployment's, as for `Ids`.
    """
    value = _encode(
        _Published(
            store=published.store,
            version=published.version,
            author=published.author,
            documents=published.documents,
            fill=published.fill,
            number=published.number,
        )
    )
    return _signed(DEFINITIONS, value, secret)


def sends(switch: Switch, secret: bytes) -> tuple[bytes, Headers]:
    """The value and the headers with which sends are stopped or resumed."""
    return _signed(SENDS, _encode(_Switched(**msgspec.structs.asdict(switch))), secret)


def erasure(
    store: StoreId, identifier: Identifier, request: str, secret: bytes
) -> tuple[bytes, Headers]:
    """The value and the headers by which an erasure is asked for.

    identifier: normalised. secret: the deployment's, as for `Ids`.
    """
    value = _encode(_Erasure(store=store, identifier=identifier, request=request))
    return _signed(ERASURE, value, secret)


def split(said: SplitAsked | EventsTold, secret: bytes) -> tuple[bytes, Headers]:
    """The value and the headers by which a split is asked for, or its history told again.

    identifiers: normalised. secret: the deployment's, as for `Ids`.
    """
    fields = msgspec.structs.asdict(said)
    if isinstance(said, SplitAsked):
        del fields["into"]
        return _signed(SPLIT, _encode(_SplitAsked(**fields)), secret)
    return _signed(SPLIT, _encode(_EventsTold(**fields)), secret)


def _signed(kind: bytes, value: bytes, secret: bytes) -> tuple[bytes, Headers]:
    return value, ((HEADER, kind), (MAC_HEADER, _mac(kind, value, Ids(secret))))


def population(measured: PopulationMeasured, secret: bytes) -> tuple[bytes, Headers]:
    """The value and the headers with which cuts through the population are published."""
    value = _encode(_Measured(store=measured.store, number=measured.number, cuts=measured.cuts))
    return value, ((HEADER, POPULATION), (MAC_HEADER, _mac(POPULATION, value, Ids(secret))))


def backfill(said: Backfilled | DefinitionsFilled, ids: Ids) -> tuple[bytes, Headers]:
    """The value and the headers of a record of a back-fill. ids: of the deployment."""
    record: _Filled
    if isinstance(said, Backfilled):
        record = _Backfilled(
            store=said.store,
            switch=said.switch,
            profile_id=said.profile_id,
            features=said.features,
        )
    else:
        record = _DefinitionsFilled(store=said.store, switch=said.switch)
    value = _encode(record)
    return value, ((HEADER, BACKFILL), (MAC_HEADER, _mac(BACKFILL, value, ids)))


def read_control(
    value: bytes | None, headers: Mapping[str, bytes], ids: Ids, received_at: Instant
) -> Tick | Control:
    """Read a record that has our header.

    Raises: Rejection where its kind is unknown, its hash is wrong or its value is not as written;
            of definitions, also where they cannot be compiled: no worker ever sees those.
    """
    kind = headers[HEADER]
    if kind == TICK:
        return Tick()
    if kind not in KINDS:
        raise Rejection(Reason.UNKNOWN_CONTROL, "the header `tillstream` names no known record")
    value = value or b""
    if not compare_digest(headers.get(MAC_HEADER) or b"", _mac(kind, value, ids)):
        raise Rejection(Reason.NOT_AUTHENTIC, "the header `tillstream-mac` is missing or wrong")
    try:
        if kind == ERASURE:
            asked = _decode_erasure(value)
            return ErasureAsked(asked.store, asked.identifier, asked.request, received_at)
        if kind == SPLIT:
            return _of_split(_decode_split(value))
        if kind == BACKFILL:
            return _of_backfill(_decode_backfill(value))
        if kind == SENDS:
            word = _decode_switch(value)
            return Switch(
                word.store, word.number, word.flow, word.channel, word.stopped, word.author
            )
        if kind == POPULATION:
            measured = _decode_measured(value)
            return PopulationMeasured(measured.store, measured.number, measured.cuts)
        said = _decode(value)
        compile_program(said.documents, version=said.version)
    except DefinitionsError as error:
        detail = f"published definitions that this version cannot read: {error}"
        raise Rejection(Reason.WRONG_TYPE, detail[:DETAIL_MAX]) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejection(Reason.WRONG_TYPE, f"published {kind.decode()}: {error}") from error
    return DefinitionsPublished(
        said.store, said.version, said.author, said.documents, said.fill, said.number
    )


def _of_backfill(said: _Backfilled | _DefinitionsFilled) -> Backfilled | DefinitionsFilled:
    if isinstance(said, _Backfilled):
        return Backfilled(said.store, said.profile_id, said.switch, said.features)
    return DefinitionsFilled(said.store, said.switch)


def _of_split(said: _SplitAsked | _EventsTold) -> SplitAsked | EventsTold:
    if isinstance(said, _SplitAsked):
        return SplitAsked(said.store, said.identifiers, said.split, said.author, said.reason)
    return EventsTold(
        said.store, said.profile_id, said.split, said.number, said.is_last, said.events
    )


def key_in(said: ErasureAsked | SplitAsked | Backfilled | EventsTold) -> str:
    """The row of identity that is asked, or passes on, what this says."""
    match said:
        case ErasureAsked():
            return key_of(said.store, said.identifier)
        case SplitAsked():
            return key_of(said.store, said.identifiers[0])
        case _:
            return said.profile_id


def _mac(kind: bytes, value: bytes, ids: Ids) -> bytes:
    """A hash keyed with the deployment's secret, apart from every id by its kind; hex."""
    name = DEFINITIONS if kind == BACKFILL else kind
    return ids.derive(f"{name.decode()}-mac", value.decode("latin-1")).encode()
