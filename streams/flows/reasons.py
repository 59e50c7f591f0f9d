"""Why somebody did not enter a flow or get a send: every reason in a sentence."""

from collections.abc import Mapping
from types import MappingProxyType

from streams.flows import edited, entry, run, sending, united
from streams.sends import gates

REASONS: Mapping[str, str] = MappingProxyType(
    {
        entry.BACKFILL: "the event is history that was filled in; it starts no flow",
        entry.TOO_OLD: "it was older than the flow's trigger_max_age when it was heard of",
        entry.NO_KEY: "the event lacks the property that is the flow's key",
        entry.ALREADY_RUNNING: "a run of this flow (and key) goes on",
        entry.RE_ENTRY: "the flow's re_entry does not allow it yet",
        entry.TOO_MANY_RUNS: "the profile has as many runs as one can have",
        entry.NOT_INTERESTED: "the profile did not do with the product what the flow asks for",
        entry.FLOW_PAUSED: "the flow is paused",
        entry.FLOW_DRAINING: "the flow lets nobody in any more",
        entry.IN_A_CIRCLE: "flows have started each other in a circle",
        entry.GOAL_REACHED: "the flow's goal was reached",
        run.NO_DATE: "the trigger has no date to wait for",
        edited.FLOW_GONE: "the flow is not there any more",
        edited.STEP_GONE: "the send was held while the flow was edited, and is not in it any more",
        run.FLOW_RAISED: "the flow raised for this profile; a dead letter says where",
        sending.LEFT_SEGMENT: "the profile is not in the flow's segment any more",
        sending.LEFT_LIST: "the profile is not on the flow's list any more",
        sending.DATE_MOVED: "the date is another by now",
        united.SAME_RUN: "the profile became one with another that had the same run",
        gates.PROFILE_ERASED: "the profile is erased",
        gates.NO_ADDRESS: "the profile has no address on this channel",
        gates.SUPPRESSED: "the address must not be used",
        gates.NO_CONSENT: "the address has not consented to marketing on this channel",
        gates.NO_POSTAL_ADDRESS: "the store's settings have no postal address",
        gates.STOPPED: "somebody has stopped sends like this one",
        gates.CART_TEXT_NOT_CONFIRMED: "a text about a cart needs a confirmed (double) opt-in",
        gates.CART_TEXT_LATE: "a text about a cart must come soon after it was left",
        gates.CART_TEXT_REPEATED: "there was a text about this cart already",
        gates.FLOW_FILTER: "the flow's filter does not hold",
        gates.SEND_FILTER: "the send's own filter does not hold",
        gates.HOLDOUT: "the profile is of those who get nothing, to be compared with",
        gates.DUPLICATE: "this very send was made already",
        gates.SMART_SENDING: "there was a send on this channel a short time ago",
        gates.SMART_SENDING_ACROSS: "there was a send on some channel a short time ago",
        gates.FREQUENCY_CAP: "there were as many sends as the store allows",
        gates.QUIET_HOURS: "the channel is quiet at this hour",
        gates.SEND_WINDOW: "it is not one of the hours this send is bound to",
        gates.PATIENCE: "it was held for as long as it may wait",
        gates.EXPIRED: "it came too late, and was not planned anew",
    }
)
"""Reason -> why, for people."""


def reason_words(reason: str) -> str:
    """`no-consent: the address has not consented ...`."""
    words = REASONS.get(reason)
    return reason if words is None else f"{reason}: {words}"
