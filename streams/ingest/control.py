"""Records of `store-events` that are no store events: known by their header, written by us.

A tick says that time has passed; the broker's timestamp says to when, so it needs no proof.
Published definitions change what a deployment does, so they carry a keyed hash of their bytes.
"""

from collections.abc import Mapping
from hmac import compare_digest
from typing import Any, Final, Literal

import msgspec

from schemas.records import Backfilled, DefinitionsFilled, DefinitionsPublished
from schemas.values import Origin, ProfileId, StoreId
from streams.ids import Ids
from streams.ingest.rejection import Reason, Rejection
from streams.intake import Control, Tick

HEADER: Final = "tillstream"
MAC_HEADER: Final = "tillstream-mac"
TICK: Final = b"tick"
DEFINITIONS: Final = b"definitions"
BACKFILL: Final = b"backfill"

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


_encode = msgspec.json.Encoder().encode  # keys stay in the order in which they were written
_decode = msgspec.json.Decoder(_Published).decode
_decode_backfill = msgspec.json.Decoder(_Backfilled | _DefinitionsFilled).decode


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
        )
    )
    return value, ((HEADER, DEFINITIONS), (MAC_HEADER, _mac(value, Ids(secret))))


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
    return value, ((HEADER, BACKFILL), (MAC_HEADER, _mac(value, ids)))


def read_control(value: bytes | None, headers: Mapping[str, bytes], ids: Ids) -> Tick | Control:
    """Read a record that has our header.

    Raises: Rejection where its kind is unknown, its hash is wrong or its value is not as written.
    """
    kind = headers[HEADER]
    if kind == TICK:
        return Tick()
    if kind not in (DEFINITIONS, BACKFILL):
        raise Rejection(Reason.UNKNOWN_CONTROL, "the header `tillstream` names no known record")
    value = value or b""
    if not compare_digest(headers.get(MAC_HEADER) or b"", _mac(value, ids)):
        raise Rejection(Reason.NOT_AUTHENTIC, "the header `tillstream-mac` is missing or wrong")
    try:
        if kind == BACKFILL:
            return _of_backfill(_decode_backfill(value))
        said = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejection(Reason.WRONG_TYPE, f"published definitions: {error}") from error
    return DefinitionsPublished(said.store, said.version, said.author, said.documents, said.fill)


def _of_backfill(said: _Backfilled | _DefinitionsFilled) -> Backfilled | DefinitionsFilled:
    if isinstance(said, _Backfilled):
        return Backfilled(said.store, said.profile_id, said.switch, said.features)
    return DefinitionsFilled(said.store, said.switch)


def _mac(value: bytes, ids: Ids) -> bytes:
    """A hash keyed with the deployment's secret, apart from every id by its kind; hex."""
    return ids.derive("definitions-mac", value.decode("latin-1")).encode()
