"""What a profile may receive: its addresses and its copy of what they have said."""

from schemas.definitions import StoreSettings
from schemas.records import AddressState
from schemas.rows import ProfileRow
from schemas.values import Channel, Instant
from streams.consent.state import ADDRESS_KINDS, permits, state_of


def address_of(row: ProfileRow, channel: Channel) -> str | None:
    """The address in use: one that has consented before others, then that of the newest order, then
    the newest; None: there is none.
    """
    if channel == "in_app":
        return row.id
    kind = ADDRESS_KINDS[channel]
    values = row.identifiers.get(kind)
    if not values:
        return None
    if len(values) == 1:
        return next(iter(values))
    states = row.consent.get(channel, {})
    _, ordered_with = row.ordered_with.get(kind, (0, None))

    def rank(value: str) -> tuple[bool, bool, Instant, str]:
        state = states.get(value)
        consented = state_of(state) == "granted" and state is not None and not state.suppressed
        return consented, value == ordered_with, values[value], value

    return max(values, key=rank)


def address_state(row: ProfileRow, channel: Channel, address: str) -> AddressState | None:
    """The profile's copy of what this address has said; None: nothing."""
    states = row.consent.get(channel)
    return None if states is None else states.get(address)


def has_consented(state: AddressState | None, channel: Channel, settings: StoreSettings) -> bool:
    """May marketing be sent there? Only e-mail may go to who was never asked, and only if the
    store says so; in-app messages go to everyone who has not denied them.
    """
    if channel == "in_app":
        return permits(state, "not_denied")
    return permits(state, settings.consent.get(channel) if channel == "email" else None)


def may_receive(row: ProfileRow, channel: Channel, settings: StoreSettings) -> bool:
    """Is there an address for marketing on this channel, with consent and not suppressed?"""
    address = address_of(row, channel)
    if address is None:
        return False
    state = address_state(row, channel, address)
    if state is not None and state.suppressed:
        return False
    return has_consented(state, channel, settings)
