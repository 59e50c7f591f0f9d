"""The last look: what `consent` says of an address at the moment of delivery.

A denial travels to other profiles that hold the address by late messages, up to three rounds; the
decision may have been taken without it. `consent` has it at once. Before it is asked, its clock
must have reached the command's `decided_at` in every partition: else silence would mean nothing.

Live, the newest word counts, also one that was said after the decision. In simulated time the
topic runs hours ahead within a second, so "newest" would depend on how fast this process is:
there the word of the instant of the decision counts, the same in every run.

What the store has stopped (`switches`) is asked as well, and at once: the sender reads that topic
beside the path, so a stop holds for commands that are out already, however far the path lags.

Addresses are those of `ADDRESS_KINDS`. An in-app message goes to the profile itself, and about that
`consent` never says anything: what a profile denies in-app is known to the profile's station alone,
which decided with it.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable
from typing import TypeAlias

from schemas.outputs import (
    ClockStruck,
    ConsentStated,
    DefinitionsAnnounced,
    PopulationStated,
    SendCommand,
    SendsSwitched,
)
from schemas.records import Stop
from schemas.values import Identifier, Instant, StoreId, Timestamp
from streams.consent.state import ADDRESS_KINDS
from streams.identity.erasure import veiled
from streams.identity.keys import identifier_of
from streams.ids import Ids
from streams.instants import to_instant, to_timestamp
from streams.sends.stops import Switch, stop_of, switched

Objections: TypeAlias = dict[tuple[str, bool], str]
"""(channel, transactional) -> why not."""


class ConsentBehind(Exception):
    """`consent` did not come as far as a command in time: nothing may be delivered without it."""


class LastLook:
    """Objections by address, as far as `consent` has been read. In memory: addresses that object
    to nothing take no place.

    simulated: keep all words with their instants instead of the newest.
    ids:       of the deployment: what speaks against an address outlives its owner's erasure under
               a keyed hash.
    """

    def __init__(self, partitions: int, *, simulated: bool, ids: Ids) -> None:
        self._simulated, self._ids = simulated, ids
        self._clocks: list[Instant] = [0] * partitions
        self._said: dict[tuple[StoreId, str, str], list[tuple[Timestamp, Objections]]] = {}
        self._moved = asyncio.Event()
        self._stops: dict[StoreId, tuple[Stop, ...]] = {}

    def hear(self, record: ConsentStated | ClockStruck) -> None:
        """Take a record of `consent`, in its order."""
        if isinstance(record, ClockStruck):
            at = to_instant(record.at)
            self._clocks[record.partition] = max(self._clocks[record.partition], at)
            self._moved.set()
            return
        self._hear((record.store, record.kind, record.address), record.decided_at, record)

    def hear_nothing(self, key: str, at: Instant) -> None:
        """What `consent` had under a key was taken away at `at`."""
        store, (kind, address) = identifier_of(key)
        self._hear((store, kind, address), to_timestamp(at), None)

    def _hear(
        self, key: tuple[StoreId, str, str], at: Timestamp, stated: ConsentStated | None
    ) -> None:
        words = self._said.setdefault(key, [])
        if not self._simulated:
            words.clear()
        words.append((at, {} if stated is None else objections(stated)))
        if not self._simulated and not words[0][1]:
            del self._said[key]

    def hear_switch(self, record: DefinitionsAnnounced | PopulationStated | SendsSwitched) -> None:
        """Take a record of `switches`, in its order."""
        if isinstance(record, SendsSwitched):
            switch = Switch(
                record.store,
                record.number,
                record.flow,
                record.channel,
                record.stopped,
                record.author,
            )
            stops = self._stops.get(record.store, ())
            self._stops[record.store] = switched(stops, switch, to_instant(record.at))

    def is_stopped(self, command: SendCommand) -> bool:
        """Whether the store has stopped such sends."""
        stops = self._stops.get(command.store, ())
        return stop_of(stops, command.flow, command.channel) is not None

    def reached(self) -> Instant:
        """How far `consent` has been read, in every partition."""
        return min(self._clocks)

    async def wait_for(self, instant: Instant, *, seconds_max: float) -> None:
        """Wait until `consent` has been read up to `instant`.

        Raises: ConsentBehind.
        """
        try:
            async with asyncio.timeout(seconds_max):
                await self._until(lambda: self.reached() >= instant)
        except TimeoutError as error:
            raise ConsentBehind(
                f"consent is {(instant - self.reached()) / 1000:.1f} s behind its commands, "
                f"and that for {seconds_max:.0f} s: do its stations run?"
            ) from error

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._moved.clear()
            await self._moved.wait()

    def objects(self, command: SendCommand) -> str | None:
        """Why this command must not be delivered, or None."""
        address = ADDRESS_KINDS[command.channel], command.address
        reason = self._objects(address, command)
        if reason is None:
            reason = self._objects(veiled(command.store, address, self._ids), command)
        return reason

    def _objects(self, address: Identifier, command: SendCommand) -> str | None:
        words = self._said.get((command.store, *address), [])
        place = len(words)
        if self._simulated:
            place = bisect_right(words, command.decided_at, key=lambda word: word[0])
        if place == 0:
            return None
        return words[place - 1][1].get((command.channel, command.transactional))


def objections(stated: ConsentStated) -> Objections:
    """Why nothing may be sent there: `suppressed` before `denied`."""
    found = {(name, False): "denied" for name, word in stated.channels.items() if word == "denied"}
    for name, detail in stated.details.items():
        if detail.transactional_denied_at is not None:
            found[name, True] = "denied"
    for name, why in stated.suppressed.items():
        if why:
            found[name, False] = found[name, True] = "suppressed"
    return found
