"""One batch of commands after the other: known already? expired? still consented? deliver, settle.

The order of the questions: what the ledger knows is a repeat and asks nothing more; what came too
late is reported as `Send Expired`, so that the send can be planned anew; then the last look at the
consent of the address; then delivery.

Nothing can make handing over and writing it down one step. So a deployment says which error it
prefers (`promise`) for a sender that is killed in between, or whose connection is:
at-most-once   the ledger first: a send found `taken` is never tried again (`failed: in doubt`)
at-least-once  the ledger after: a send found `taken` is delivered again, under the same message id
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from agents.sender.clocks import Judged
from agents.sender.last_look import KINDS, LastLook
from agents.sender.ledger import Ledger, SendState, Settled
from agents.sender.letters import LetterRefused
from agents.sender.smtp import Delivery, Refused, Uncertain, Unreachable
from schemas.outputs import SendCommand
from schemas.values import Channel, Instant, SendId
from streams.instants import to_instant, to_timestamp

Promise: TypeAlias = Literal["at-most-once", "at-least-once"]
Report: TypeAlias = Callable[[dict[str, Any], Instant], Awaitable[None]]
"""Appends a store event to `store-events`, at the topic's instant."""

IN_DOUBT = "in doubt"
ATTEMPTS_MAX = 6
BACKOFF_SECONDS = 0.2
CONSENT_SECONDS_MAX = 60.0


class Desk:
    """Settles commands.

    deliveries: channel -> who delivers; a channel without one is delivered into the ledger only.
    handed_over: whether this send is really handed over, or into the ledger only (the demo hands
                over a sample).
    """

    def __init__(
        self,
        ledger: Ledger,
        last_look: LastLook,
        deliveries: Mapping[Channel, Delivery],
        report: Report,
        *,
        promise: Promise = "at-most-once",
        handed_over: Callable[[SendId], bool] = lambda _: True,
        consent_seconds_max: float = CONSENT_SECONDS_MAX,
    ) -> None:
        self._ledger, self._last_look, self._deliveries = ledger, last_look, deliveries
        self._report, self._promise, self._handed_over = report, promise, handed_over
        self._consent_seconds_max = consent_seconds_max
        self.repeats = 0

    async def settle(self, batch: Sequence[Judged]) -> None:
        """Settle every command of the batch; when this returns, the ledger has all of them.

        Raises: ConsentBehind, Unreachable; then what is not in the ledger has not been delivered.
        """
        first = {judged.command.id: judged for judged in reversed(batch)}
        known = self._ledger.states(first)
        fresh: list[Judged] = []
        for judged in reversed(first.values()):
            state = known.get(judged.command.id)
            if state is None or (state == "taken" and self._promise == "at-least-once"):
                fresh.append(judged)
            elif state == "taken":
                self._ledger.settle([Settled(judged.command, "failed", IN_DOUBT)])
            else:
                self.repeats += 1
        self.repeats += len(batch) - len(first)
        settled: list[Settled] = []
        try:
            for judged in fresh:
                settled.append(await self._settled(judged))  # noqa: PERF401 (kept if one raises)
        finally:
            self._ledger.settle(settled)

    async def _settled(self, judged: Judged) -> Settled:
        """Say what became of a fresh command, after it did."""
        command, now = judged
        if now > to_instant(command.valid_until):
            await self._report(send_expired(command, now), now)
            return Settled(command, "expired")
        await self._last_look.wait_for(
            to_instant(command.decided_at), seconds_max=self._consent_seconds_max
        )
        objection = self._last_look.objects(command)
        if objection is not None:
            return Settled(command, "suppressed", objection)
        delivery = self._deliveries.get(command.channel)
        if delivery is None or not self._handed_over(command.id):
            return Settled(command, "delivered")
        return await self._hand_over(command, delivery)

    async def _hand_over(self, command: SendCommand, delivery: Delivery) -> Settled:
        self._ledger.settle([Settled(command, "taken")])
        for attempt in range(ATTEMPTS_MAX):
            state: SendState = "failed"
            reason: str | None = None
            try:
                await delivery.deliver(command)
                state = "delivered"
            except (Refused, LetterRefused) as error:
                reason = str(error)
            except Uncertain:
                if self._promise == "at-least-once":
                    await asyncio.sleep(BACKOFF_SECONDS * 2**attempt)
                    continue
                reason = IN_DOUBT
            except Unreachable:
                await asyncio.sleep(BACKOFF_SECONDS * 2**attempt)
                continue
            done = Settled(command, state, reason)
            self._ledger.settle([done])
            return done
        # Nothing was handed over: forgotten, it is fresh for whoever comes next.
        self._ledger.release(command.id)
        raise Unreachable(f"not reachable in {ATTEMPTS_MAX} attempts")


def send_expired(command: SendCommand, now: Instant) -> dict[str, Any]:
    """The store event that says so: it withdraws the attempt. Its id is the send's, so a repeated
    report is one.
    """
    kind = KINDS.get(command.channel, command.channel)
    named = {"send_id": command.id, "profile_id": command.profile_id, "message": command.message}
    if command.flow is not None:
        named["flow"] = command.flow
    return {
        "id": f"{command.id}-send-expired",
        "metric": "Send Expired",
        "time": to_timestamp(now),
        "store": command.store,
        "profile": {kind: command.address},
        "properties": named,
        "source": "sender",
    }
