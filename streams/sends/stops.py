"""Sends that the store has stopped: all of them, those of a flow, those on a channel.

A stop is lifted by the word about the same flow and channel, and by no other: whoever resumes all
does not resume a flow that was stopped by itself.
"""

from collections.abc import Sequence

import msgspec

from schemas.records import Stop
from schemas.values import Channel, FlowId, Instant, StoreId
from streams.instants import to_timestamp


class Switch(msgspec.Struct, frozen=True):
    """What the store says: stop these sends, or (`stopped` False) resume them.

    flow None: of all flows; channel None: on all channels. number: as in `DefinitionsPublished`.
    """

    store: StoreId
    number: int
    flow: FlowId | None
    channel: Channel | None
    stopped: bool
    author: str


def switched(stops: Sequence[Stop], switch: Switch, at: Instant) -> tuple[Stop, ...]:
    """The stops in force after `switch`, received at `at`. One that is in force stays as it is."""
    same = [one for one in stops if (one.flow, one.channel) == (switch.flow, switch.channel)]
    others = [one for one in stops if one not in same]
    if not switch.stopped:
        return tuple(others)
    return (*others, *(same or [Stop(switch.flow, switch.channel, switch.author, at)]))


def stop_of(stops: Sequence[Stop], flow: FlowId | None, channel: Channel) -> Stop | None:
    """The first stop that a send of this flow on this channel falls under."""
    for stop in stops:
        if stop.flow in (None, flow) and stop.channel in (None, channel):
            return stop
    return None


def scope(flow: FlowId | None, channel: Channel | None) -> str:
    """What is stopped, in words."""
    what = "all sends" if flow is None else f"flow {flow}"
    return what if channel is None else f"{what} on {channel}"


def told(stop: Stop) -> str:
    """A stop as evidence: what, by whom, since when."""
    return f"{scope(stop.flow, stop.channel)}, by {stop.author}, since {to_timestamp(stop.at)}"
