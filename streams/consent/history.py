"""What was known of an address at any instant: the words of `consent`, one after the other.

In:  all words about some addresses (`consent-stated`), in their order.
Out: what each of them changed, and what an address might receive at an instant, and why.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from schemas.definitions import StoreSettings
from schemas.outputs import ConsentDetail, ConsentStated
from schemas.values import Channel, EventId, Instant, StoreId, Timestamp
from streams.consent.state import ADDRESS_KINDS, ConsentWord, word_permits
from streams.instants import to_instant

TO_THE_PROFILE = "profile"
"""Kind of the address of in-app messages: no other station is told about them."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One channel of an address got another word or suppression, or the same word anew.

    known_at: when the event that said it was received: its profile decides by it from then on,
              other holders of the address up to two rounds later. said_at: when it happened.
    cause:    the id of the event that said it.
    """

    store: StoreId
    kind: str
    address: str
    channel: Channel
    known_at: Timestamp
    word: ConsentWord
    suppressed: tuple[str, ...]
    soft_bounces: int
    said_at: Timestamp | None
    method: str | None
    source: str | None
    cause: EventId
    transactional_denied_at: Timestamp | None = None


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """What an address might receive on a channel at an instant.

    marketing, transactional: None: yes; else the gate that objected.
    word_by, suppressed_by:   what made it so; None: nothing was ever said.
    """

    kind: str
    address: str
    channel: Channel
    word: ConsentWord
    suppressed: tuple[str, ...]
    marketing: str | None
    transactional: str | None
    word_by: Change | None
    suppressed_by: Change | None


SUPPRESSED = "suppressed"
NO_CONSENT = "no-consent"


def changes(words: Iterable[ConsentStated], received: Mapping[EventId, Timestamp]) -> list[Change]:
    """What each word changed: every word is the whole one about its address, on all channels.

    received: when the events that caused them were received, where that is known.
    """
    newest: dict[tuple[str, str, str], Change] = {}
    found = []
    for stated in words:
        for channel in ADDRESS_KINDS:
            if channel not in stated.channels:
                continue
            change = _change(stated, channel, received.get(stated.cause, stated.decided_at))
            key = (stated.kind, stated.address, channel)
            if not _is_same(newest.get(key), change):
                newest[key] = change
                found.append(change)
    return found


def permissions(
    kind: str, address: str, said: Sequence[Change], settings: StoreSettings, at: Instant
) -> list[Permission]:
    """What the address might receive at `at`, on each channel of its kind.

    said:     all changes of any addresses, in their order.
    settings: whose `consent` says on which channels silence is enough.
    """
    known = [
        change
        for change in said
        if (change.kind, change.address) == (kind, address) and to_instant(change.known_at) <= at
    ]
    return [
        _permission(kind, address, channel, [one for one in known if one.channel == channel], mode)
        for channel, its_kind in ADDRESS_KINDS.items()
        if its_kind == kind and kind != TO_THE_PROFILE
        for mode in [settings.consent.get(channel) if channel == "email" else None]
    ]


def _permission(
    kind: str, address: str, channel: Channel, known: Sequence[Change], mode: str | None
) -> Permission:
    word_by = suppressed_by = None
    for change in known:
        if word_by is None or (change.word, change.said_at) != (word_by.word, word_by.said_at):
            word_by = change
        if change.suppressed != (suppressed_by.suppressed if suppressed_by is not None else ()):
            suppressed_by = change
    word: ConsentWord = "never" if word_by is None else word_by.word
    suppressed = () if suppressed_by is None else suppressed_by.suppressed
    objection = None if word_permits(word, mode) else NO_CONSENT
    denied_too = NO_CONSENT if known and known[-1].transactional_denied_at else None
    return Permission(
        kind=kind,
        address=address,
        channel=channel,
        word=word,
        suppressed=suppressed,
        marketing=SUPPRESSED if suppressed else objection,
        transactional=SUPPRESSED if suppressed else denied_too,
        word_by=word_by,
        suppressed_by=suppressed_by,
    )


def _change(stated: ConsentStated, channel: Channel, received_at: Timestamp) -> Change:
    word, detail = stated.channels[channel], stated.details.get(channel, ConsentDetail())
    said_at = {
        "granted": detail.granted_at,
        "denied": detail.denied_at,
        "pending": detail.pending_at,
    }
    return Change(
        store=stated.store,
        kind=stated.kind,
        address=stated.address,
        channel=channel,
        known_at=min(received_at, stated.decided_at),
        word=word,
        suppressed=stated.suppressed.get(channel, ()),
        soft_bounces=detail.soft_bounces,
        said_at=said_at.get(word),
        method=detail.method,
        source=detail.source,
        cause=stated.cause,
        transactional_denied_at=detail.transactional_denied_at,
    )


def _is_same(one: Change | None, other: Change) -> bool:
    """Do both say the same, whenever they were decided and whatever caused them?"""
    if one is None:
        return False
    same = msgspec.structs.replace(other, known_at=one.known_at, cause=one.cause)
    return one == same
