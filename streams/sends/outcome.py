"""What became of a send: outcomes come back as events and are told which send they are about."""

import msgspec

from schemas.events import Event
from schemas.rows import ProfileRow, SentMemory
from schemas.values import Millis, Properties
from streams.consent.statements import TITLES, is_heard
from streams.instants import DAY

SEND_EXPIRED = "Send Expired"
ATTEMPTS_MAX = 3
"""How often a send that expired is planned anew."""
ANEW_WITHIN: Millis = DAY
"""How long after its decision: a sender that starts late must not bring back what is long over."""

_VERBS = ("Received", "Opened", "Clicked", "Bounced", "Dropped")
OUTCOMES = frozenset(
    {
        *(f"{verb} {title}" for verb in _VERBS for title in TITLES.values()),
        "Marked Email as Spam",
        SEND_EXPIRED,
    }
)
"""Metrics that tell what became of a send."""


def send_of(row: ProfileRow, event: Event) -> SentMemory | None:
    """The send this outcome is about: by its id, else the newest of the flow and message named; a
    client's word is about none. What expired is known by its id alone: an attempt later than the
    one meant would be taken back.
    """
    if not is_heard(event):
        return None
    properties = event.properties
    send_id = properties.get("send_id")
    if send_id is not None:
        return next((sent for sent in row.sent if sent.send_id == send_id), None)
    flow, message = properties.get("flow"), properties.get("message")
    if flow is None or message is None or event.metric == SEND_EXPIRED:
        return None
    return next(
        (sent for sent in reversed(row.sent) if sent.flow == flow and sent.message == message),
        None,
    )


def completed(event: Event, sent: SentMemory) -> Event:
    """The outcome with what it left out of the send it names (flow, message, channel).

    So a flow can wait for `{did: Opened Email, where: {message: cart-1}}` whatever a provider
    sends back.
    """
    known: Properties = {
        "send_id": sent.send_id,
        "flow": sent.flow,
        "message": sent.message,
        "channel": sent.channel,
    }
    return msgspec.structs.replace(event, properties={**known, **event.properties})


def note_reported(row: ProfileRow, sent: SentMemory) -> None:
    """Remember that something became of a send."""
    if not sent.reported:
        row.sent[row.sent.index(sent)] = msgspec.structs.replace(sent, reported=True)


def withdraw(row: ProfileRow, sent: SentMemory) -> None:
    """Take an attempt back: it no longer counts for smart sending, caps or duplicates."""
    row.sent.remove(sent)
