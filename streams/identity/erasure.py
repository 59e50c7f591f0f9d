"""An identifier after its person was erased: nobody sees it any more, and it begins anew.

What has to outlive the person is kept under a keyed hash of the identifier: its epoch, so that it
gives another profile id when it comes again, and what speaks against writing to the address.
"""

from typing import Final

from schemas.records import Erased
from schemas.rows import IDENTITY_ROW_SCHEMA, IdentityRow
from schemas.topics import CONSENT
from schemas.values import Identifier, StoreId
from streams.consent.state import NEVER, only_against
from streams.core import Output
from streams.identity.keys import ADDRESS_KINDS, identifier_of, key_of
from streams.ids import Ids

VEIL: Final = "~"
"""In front of the kind of an identifier whose value is a keyed hash: no kind begins with it."""


def veiled(store: StoreId, identifier: Identifier, ids: Ids) -> Identifier:
    """What stands for an identifier that nobody may see any more."""
    kind, value = identifier
    return VEIL + kind, ids.derive("veiled", store, kind, value)


def is_veiled(row: IdentityRow) -> bool:
    return row.identifier[0].startswith(VEIL)


def forget_person(row: IdentityRow, body: Erased, ids: Ids) -> list[Output]:
    """Let go of an erased profile.

    An address that others hold too, and a device that others were seen with, stay theirs.
    """
    gone = body.profile_id
    pointed = row.profile_id == gone
    is_news = pointed or gone in row.holders or gone in row.named
    if not is_news:
        return []
    row.holders = [one for one in row.holders if one != gone]
    row.named = [one for one in row.named if one != gone]
    row.apart = [one for one in row.apart if one != gone]
    row.links = []
    if not pointed:
        return []
    row.announcer = None
    row.epoch += 1
    is_address = row.identifier[0] in ADDRESS_KINDS
    row.profile_id = row.holders[0] if is_address and row.holders else ""
    if row.profile_id or row.named:
        return []
    return _veil(row, ids)


def _veil(row: IdentityRow, ids: Ids) -> list[Output]:
    """Keep what must outlive the person, under a keyed hash; senders find it there as well."""
    store, identifier = row.store, row.identifier
    had_consent = bool(row.consent)
    row.schema = IDENTITY_ROW_SCHEMA
    row.identifier = veiled(store, identifier, ids)
    against = {channel: only_against(state) for channel, state in row.consent.items()}
    row.consent = {channel: state for channel, state in against.items() if state != NEVER}
    outputs = []
    if had_consent:
        outputs.append(Output(CONSENT.name, key_of(store, identifier), None))
    return outputs


def unveil(row: IdentityRow, key: str) -> list[Output]:
    """The identifier has come again: whoever it is now, they begin anew, under their own name."""
    outputs = []
    if row.consent:
        outputs.append(Output(CONSENT.name, key_of(row.store, row.identifier), None))
    _, row.identifier = identifier_of(key)
    return outputs
