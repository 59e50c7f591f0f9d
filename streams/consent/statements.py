"""What events say about consent: metric by metric, whoever says it about whichever address.

In: an event and the store's rules. Out: states to be joined (`state.join`) to those of addresses.
What a client may say is decided here alone (docs/trust.md): `is_heard`, `opts_in`, `_granted`.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeAlias
from unicodedata import normalize

import msgspec

from schemas.definitions import ProfileList, StoreSettings
from schemas.events import Event
from schemas.records import AddressState
from schemas.values import Channel, Identifier, ListId
from streams.consent import state as words
from streams.consent.phones import region_of
from streams.consent.state import (
    ADDRESS_KINDS,
    DEACTIVATED,
    EVERY_REASON,
    HARD_BOUNCE,
    MANUAL,
    REASONS,
    SPAM_COMPLAINT,
)
from streams.consent.words import BEFORE_EVERY_DENIAL
from streams.ids import key_number

Statement: TypeAlias = tuple[Channel, AddressState]
AddressStatement: TypeAlias = tuple[Identifier, Channel, AddressState]
Keyword: TypeAlias = Literal["stop", "start", "help", "confirm"]

CHANNELS: tuple[Channel, ...] = ("email", "sms", "push", "whatsapp", "in_app")
TITLES: dict[Channel, str] = {
    "email": "Email",
    "sms": "SMS",
    "push": "Push",
    "whatsapp": "WhatsApp",
    "in_app": "In-App",
}
"""Channel -> its name in metrics (`Opened Email`)."""

SMS_REPLY = "Received SMS Reply"
STOP = "STOP"
CONFIRMED_BY_TEXT: tuple[Channel, ...] = ("sms", "email")
SMS_KEYWORD = "sms-keyword"
"""How consent was given or denied by a reply."""

_OUTCOMES = ("Received", "Opened", "Clicked", "Bounced", "Dropped")
NEEDS_SERVER = frozenset(
    {
        "Alias",
        "Catalog Item Updated",
        "Catalog Triggered",
        "Confirmed Subscription",
        "Joined List",
        "Profile Erased",
        SMS_REPLY,
        "Send Expired",
        "Suppressed",
        "Unsuppressed",
        *(f"{verb} {title}" for verb in _OUTCOMES for title in TITLES.values()),
        *(f"Marked {title} as Spam" for title in TITLES.values()),
    }
)
"""Metrics with a meaning of their own that only a server can give them: said by a client, such an
event is a fact in the timeline like any other and does nothing."""

TEXT_BYTES_MAX = 128
"""Bytes of UTF-8 kept of how and where from something was said."""

UTF8_BYTES_MAX = 4
"""Bytes of a character."""


class ConsentRules(NamedTuple):
    """What the words of an event depend on.

    opt_in: list -> double | single | none. stop, start, help, confirm: normalised keywords of a
    text message, which may stand anywhere in it, or are the whole of it.
    """

    opt_in: Mapping[ListId, str]
    stop: frozenset[str]
    start: frozenset[str]
    help: frozenset[str]
    confirm: frozenset[str]
    stop_anywhere: bool
    start_anywhere: bool
    help_anywhere: bool
    confirm_anywhere: bool


def rules_of(settings: StoreSettings, lists: Mapping[ListId, ProfileList]) -> ConsentRules:
    """The rules of a store. STOP means stop, whatever words of its own a store has."""
    keywords = settings.sms_keywords
    return ConsentRules(
        opt_in={name: one.opt_in for name, one in lists.items()},
        stop=frozenset(map(normalised, (STOP, *keywords.stop))),
        start=frozenset(map(normalised, keywords.start)),
        help=frozenset(map(normalised, keywords.help)),
        confirm=frozenset(map(normalised, keywords.confirm)),
        stop_anywhere=keywords.match.get("stop", "word") == "word",
        start_anywhere=keywords.match.get("start", "exact") == "word",
        help_anywhere=keywords.match.get("help", "exact") == "word",
        confirm_anywhere=keywords.match.get("confirm", "exact") == "word",
    )


def normalised(text: str) -> str:
    """A text as keywords are compared: case, width, punctuation and spacing do not count."""
    folded = normalize("NFKC", text).casefold()
    return " ".join("".join([c if c.isalnum() else " " for c in folded]).split())


DEFAULT_RULES = rules_of(StoreSettings(), {})


def address_statements(event: Event, rules: ConsentRules = DEFAULT_RULES) -> list[AddressStatement]:
    """What the event says about the addresses it names; none of it where it says nothing."""
    if event.metric not in _SAYERS:
        return []
    return [
        (identifier, channel, said)
        for channel, said in statements(event, rules)
        for identifier in event.identifiers
        if identifier[0] == ADDRESS_KINDS[channel]
    ]


def statements(event: Event, rules: ConsentRules = DEFAULT_RULES) -> list[Statement]:
    """What the event says, whichever address is meant."""
    sayer = _SAYERS.get(event.metric)
    return [] if sayer is None or not is_heard(event) else sayer(event, rules)


def is_heard(event: Event) -> bool:
    """Has the event the meaning of its metric? Not where a client says what needs a server."""
    return event.trust == "server" or event.metric not in NEEDS_SERVER


def says_something(metric: str) -> bool:
    """Can events of this metric say anything about consent?"""
    return metric in _SAYERS


def addresses_meant(event: Event) -> tuple[Identifier, ...]:
    """The addresses, besides the identifier that an event is keyed by, about whose consent it may
    say something: their own rows are told at the same turn.
    """
    if event.metric not in _SAYERS or len(event.identifiers) == 1:
        return ()
    first = event.identifiers[0]
    kinds = ADDRESS_KINDS.values()
    named = dict.fromkeys(one for one in event.identifiers if one[0] in kinds and one != first)
    return tuple(named)


def opts_in(event: Event, rules: ConsentRules) -> str:
    """What a subscription asks for: `granted` at once, or `pending` until it is confirmed.

    A list asks as it is defined (unknown, or named by what is no text: double); history that a
    server imports with its proof is believed.
    """
    list_id = event.properties.get("list")
    if list_id is None or is_import(event):
        return "granted"
    asks = rules.opt_in.get(list_id, "double") if isinstance(list_id, str) else "double"
    return "pending" if asks == "double" else "granted"


def is_import(event: Event) -> bool:
    """Is this history, imported with its proof?"""
    return event.trust == "server" and event.properties.get("historical_import") is True


def _granted(event: Event, method: str | None) -> AddressState:
    """A grant; a client's counts only where nothing was ever denied, and lifts nothing."""
    by_server = event.trust == "server"
    received_at = event.received_at if by_server else BEFORE_EVERY_DENIAL
    at = event.occurred_at, received_at, _mark(event)
    return words.granted(at, method, _source(event))


def _at(event: Event) -> words.At:
    return event.occurred_at, event.received_at, _mark(event)


def _mark(event: Event) -> int:
    return key_number(f"{event.metric}/{event.id}")


def is_cut(event: Event) -> bool:
    """Does the event say with more bytes than are kept how or where from it was said?"""
    method = event.properties.get("method")
    return _cut(event.source) != event.source or (
        isinstance(method, str) and _cut(method) != method
    )


def _text(event: Event, name: str) -> str | None:
    value = event.properties.get(name)
    return _cut(value) if isinstance(value, str) and value else None


def _source(event: Event) -> str:
    return _cut(event.source)


def _cut(text: str) -> str:
    """The whole characters that fit."""
    if len(text) * UTF8_BYTES_MAX <= TEXT_BYTES_MAX:
        return text
    return text.encode()[:TEXT_BYTES_MAX].decode(errors="ignore")


def _named_channels(event: Event) -> tuple[Channel, ...] | None:
    """The channel that is named, case aside; none where there is no such; None: none is named."""
    named = event.properties.get("channel")
    if named is None or named == "":
        return None
    return tuple(channel for channel in CHANNELS if channel == str(named).casefold())


def _asked_channels(event: Event) -> tuple[Channel, ...]:
    """The channel of a subscription: as named, else e-mail, else text for who left only a phone. A
    name that is no channel's asks for none: what was not asked for must not be granted.
    """
    named = _named_channels(event)
    if named is not None:
        return named
    kinds = {kind for kind, _ in event.identifiers}
    return ("sms",) if "phone" in kinds and "email" not in kinds else ("email",)


def _denied_channels(event: Event) -> tuple[Channel, ...]:
    """Who denies without naming a channel means all of them; so does a name that is none."""
    return _named_channels(event) or CHANNELS


def _lifted_channels(event: Event) -> tuple[Channel, ...]:
    """Where a suppression is lifted: everywhere, unless a channel is named."""
    named = _named_channels(event)
    return CHANNELS if named is None else named


def _is_transactional(event: Event) -> bool:
    """Is this about messages that a purchase asks for, and not about marketing?"""
    return event.properties.get("purpose") == "transactional"


def _subscribed(event: Event, rules: ConsentRules) -> list[Statement]:
    method = _text(event, "method")
    if _is_transactional(event):
        received_at = event.received_at if event.trust == "server" else BEFORE_EVERY_DENIAL
        said = words.granted_transactional((event.occurred_at, received_at, _mark(event)))
    elif opts_in(event, rules) == "granted":
        said = _granted(event, method)
    else:
        said = words.pending(_at(event), method, _source(event))
    return [(channel, said) for channel in _asked_channels(event)]


def _confirmed(event: Event, _rules: ConsentRules) -> list[Statement]:
    """A confirmation by text confirms e-mail too. Imported history has been asked elsewhere."""
    at, method = _at(event), _text(event, "method")
    if is_import(event):
        said = words.imported(at, method, _source(event))
    else:
        said = words.confirmed(at, method, _source(event), _text(event, "list"))
    asked = _asked_channels(event)
    return [(channel, said) for channel in (CONFIRMED_BY_TEXT if asked == ("sms",) else asked)]


def _joined(event: Event, rules: ConsentRules) -> list[Statement]:
    """Who is put on an opt-out list has consent until they deny: a grant older than any denial."""
    list_id = _text(event, "list")
    if list_id is None or rules.opt_in.get(list_id) != "none":
        return []
    at = event.occurred_at, BEFORE_EVERY_DENIAL, _mark(event)
    said = words.granted(at, "opt-out-list", _source(event))
    return [(channel, said) for channel in _asked_channels(event)]


def _unsubscribed(event: Event, rules: ConsentRules) -> list[Statement]:
    """Leaving one list denies nothing else, unless that list alone had given consent."""
    list_id = _text(event, "list")
    at = _at(event)
    if _is_transactional(event):
        return [(channel, words.denied_transactional(at)) for channel in _denied_channels(event)]
    if list_id is not None and rules.opt_in.get(list_id) != "none":
        return []
    said = words.denied(at, _text(event, "method"), _source(event))
    return [(channel, said) for channel in _denied_channels(event)]


def _suppressed(event: Event, _rules: ConsentRules) -> list[Statement]:
    """The consent of a number that was deactivated goes too: whoever has it next gave none."""
    reason = _text(event, "reason")
    at = _at(event)
    said = words.suppressed(at, reason if reason in REASONS else MANUAL)
    if reason == DEACTIVATED:
        said = words.join(said, words.denied(at, DEACTIVATED, _source(event)))
    return [(channel, said) for channel in _denied_channels(event)]


def _unsuppressed(event: Event, _rules: ConsentRules) -> list[Statement]:
    """Without a reason all are lifted; a reason we do not know was kept as a manual one."""
    reason = _text(event, "reason")
    if reason is None:
        reason = EVERY_REASON
    elif reason not in REASONS:
        reason = MANUAL
    said = words.lifted(_at(event), reason)
    return [(channel, said) for channel in _lifted_channels(event)]


def _marked_as_spam(channel: Channel) -> Callable[[Event, ConsentRules], list[Statement]]:
    def marked_as_spam(event: Event, _rules: ConsentRules) -> list[Statement]:
        at = _at(event)
        denied = words.denied(at, SPAM_COMPLAINT, _source(event))
        return [(channel, words.join(denied, words.suppressed(at, SPAM_COMPLAINT)))]

    return marked_as_spam


def _replied(event: Event, rules: ConsentRules) -> list[Statement]:
    at = _at(event)
    match keyword_of(event, rules):
        case "stop":
            return [("sms", words.denied(at, SMS_KEYWORD, _source(event)))]
        case "start":
            return [("sms", words.granted(at, SMS_KEYWORD, _source(event)))]
        case "confirm":
            said = words.confirmed(at, SMS_KEYWORD, _source(event))
            return [(channel, said) for channel in CONFIRMED_BY_TEXT]
        case _:
            return []


def keyword_of(event: Event, rules: ConsentRules) -> Keyword | None:
    """What a reply asks for. STOP counts even beside START, and from a number of the United States
    anywhere in the text.
    """
    body = normalised(str(event.properties.get("body") or ""))
    if _says(body, rules.stop, rules.stop_anywhere or _is_from_us(event)):
        return "stop"
    if _says(body, rules.start, rules.start_anywhere):
        return "start"
    if _says(body, rules.confirm, rules.confirm_anywhere):
        return "confirm"
    return "help" if _says(body, rules.help, rules.help_anywhere) else None


def with_keyword(event: Event, rules: ConsentRules) -> Event:
    """A reply with the keyword that it says (`keyword: help`), so that a flow can answer it."""
    keyword = keyword_of(event, rules)
    if keyword is None or event.trust == "client":
        return event
    return msgspec.structs.replace(event, properties={**event.properties, "keyword": keyword})


def _is_from_us(event: Event) -> bool:
    return any(kind == "phone" and region_of(value) == "US" for kind, value in event.identifiers)


def _says(body: str, keywords: frozenset[str], anywhere: bool) -> bool:
    if not anywhere:
        return body in keywords
    padded = f" {body} "
    return any(f" {keyword} " in padded for keyword in keywords)


def _bounced(channel: Channel) -> Callable[[Event, ConsentRules], list[Statement]]:
    def bounced(event: Event, _rules: ConsentRules) -> list[Statement]:
        at = _at(event)
        if event.properties.get("bounce") == "hard":
            return [(channel, words.suppressed(at, HARD_BOUNCE))]
        return [(channel, words.soft_bounced(at))]

    return bounced


def _received(channel: Channel) -> Callable[[Event, ConsentRules], list[Statement]]:
    def received(event: Event, _rules: ConsentRules) -> list[Statement]:
        return [(channel, words.delivered(event.occurred_at))]

    return received


_SAYERS: dict[str, Callable[[Event, ConsentRules], list[Statement]]] = {
    "Subscribed": _subscribed,
    "Confirmed Subscription": _confirmed,
    "Joined List": _joined,
    "Unsubscribed": _unsubscribed,
    "Suppressed": _suppressed,
    "Unsuppressed": _unsuppressed,
    **{f"Marked {TITLES[channel]} as Spam": _marked_as_spam(channel) for channel in CHANNELS},
    SMS_REPLY: _replied,
    **{f"Bounced {TITLES[channel]}": _bounced(channel) for channel in CHANNELS},
    **{f"Received {TITLES[channel]}": _received(channel) for channel in CHANNELS},
}
