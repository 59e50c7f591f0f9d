"""Rows of profiles -> profiles as people read them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from schemas.outputs import ProfileState
from schemas.rows import ProfileRow
from schemas.values import Channel, EventId
from streams.consent.receiving import address_of
from streams.consent.state import state_of
from streams.identity.held import in_order
from streams.instants import to_timestamp
from streams.lists import is_member
from streams.money import to_money

read_row = msgspec.msgpack.Decoder(ProfileRow).decode


def profile_state(row: ProfileRow, events: Sequence[EventId]) -> ProfileState:
    """A profile that was not merged away, as its row has it.

    events: their ids in the order of arrival; the row itself only counts them.
    """
    assert row.to is None, "a redirect is no profile"
    return ProfileState(
        profile_id=row.id,
        store=row.store,
        identifiers={
            kind: in_order(row, kind) for kind in row.identifiers if row.identifiers[kind]
        },
        traits={name: t.value for name, t in row.traits.items() if t.value is not None},
        consent={channel: _consent(row, channel) for channel in row.consent},
        lists=tuple(sorted(name for name, one in row.lists.items() if is_member(one))),
        segments=tuple(sorted(name for name, one in row.segments.items() if one.since is not None)),
        events=tuple(events),
        figures=_figures(row),
    )


def consent_of(row: ProfileRow) -> dict[str, dict[str, str]]:
    """Channel -> address -> what it has said in the end, of every address the row knows of."""
    return {
        channel: {address: state_of(state) for address, state in states.items()}
        for channel, states in row.consent.items()
    }


def _consent(row: ProfileRow, channel: Channel) -> dict[str, Any]:
    """What the address in use has said. Where there is none in use: the newest one heard of."""
    states = row.consent[channel]
    address = address_of(row, channel) or next(reversed(states))
    state = states.get(address)
    said: dict[str, Any] = {"address": address, "state": state_of(state)}
    said["at"] = to_timestamp(state.said_at) if state is not None and state.said_at else None
    said["method"] = None if state is None else state.method
    if state is not None and state.suppressed:
        said["suppressed"] = list(state.suppressed)
    return said


def _figures(row: ProfileRow) -> dict[str, Any]:
    figures = row.figures
    first, last = figures.first_order_at, figures.last_order_at
    return {
        "orders": figures.orders,
        "revenue": to_money(figures.revenue),
        "first_order_at": None if first is None else to_timestamp(first),
        "last_order_at": None if last is None else to_timestamp(last),
    }
