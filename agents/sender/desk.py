"""One batch of commands after the other: known already? expired? still consented? deliver, settle.

The order of the questions: what the ledger knows is a repeat and asks nothing more; what came too
late, or was stopped by the store meanwhile, is reported as `Send Expired`, so that the send can be
planned anew and the gates are asked again; then the last look at the consent of the address; then
delivery.

Nothing can make handing over and writing it down one step. So a deployment says which error it
prefers (`promise`) for a sender that is killed in between, or whose connection is:
at-most-once   the ledger first: a send found `taken` is never tried again (`failed: in doubt`)
at-least-once  the ledger after: a send found `taken` is delivered again, under the same message id

A command that its receiver puts off (a full mailbox) holds up nobody: the ledger says `failed` with
the receiver's code, and while this process lives it is tried again along with later batches, less
and less often, until it is delivered, refused, or past its `valid_until`. When the sender ends, it
is reported as `Send Expired`; but not where a try was uncertain: the ledger has it as `taken` then,
and it is read again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from agents.logs import log
from agents.metrics import SENDER_REPEATS, SENDER_SETTLED
from agents.sender.clocks import Judged, Place
from agents.sender.last_look import LastLook
from agents.sender.ledger import Ledger, SendState, Settled
from agents.sender.letters import LetterRefused
from agents.sender.smtp import Delivery, PutOff, Refused, Uncertain, Unreachable
from schemas.outputs import SendCommand
from schemas.values import Channel, Instant, SendId
from streams.consent.state import ADDRESS_KINDS
from streams.instants import to_instant, to_timestamp
from streams.sends.gates import STOPPED

Promise: TypeAlias = Literal["at-most-once", "at-least-once"]
Report: TypeAlias = Callable[[dict[str, Any], Instant], Awaitable[None]]
"""Appends a store event to `store-events`, at the topic's instant."""

IN_DOUBT = "in doubt"
PUT_OFF = "put off"
NOT_REPORTED = "not reported: its address is no identifier"
IDENTIFIER_KINDS = frozenset(ADDRESS_KINDS.values()) - {ADDRESS_KINDS["in_app"]}
"""The kinds of address that an event can name its profile by."""
ATTEMPTS_MAX = 6
BACKOFF_SECONDS = 0.2
CONSENT_SECONDS_MAX = 60.0
AGAIN_SECONDS = 60.0
AGAIN_SECONDS_MAX = 3600.0
ASIDE_MAX = 10_000
"""How many may be tried again later; what is put off beyond that stays failed."""


class Aside(NamedTuple):
    """A command that its receiver put off.

    due_s: when to try again, by `time.monotonic`. in_doubt: a try may have delivered it.
    """

    judged: Judged
    tries: int
    due_s: float
    in_doubt: bool

    @property
    def command(self) -> SendCommand:
        return self.judged.command


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
        self._aside: dict[SendId, Aside] = {}
        self._now: Instant = 0
        self.repeats = 0

    async def settle(self, batch: Sequence[Judged]) -> None:
        """Settle every command of the batch; when this returns, the ledger has all of them. Then
        try those again that were put off before and are due.

        Raises: ConsentBehind, Unreachable; then what is not in the ledger has not been delivered.
        """
        now = max((judged.now for judged in batch), default=0)
        self._now = max(self._now, now)
        first = {judged.command.id: judged for judged in reversed(batch)}
        known = self._ledger.states(first)
        fresh: list[Judged] = []
        for judged in reversed(first.values()):
            state = known.get(judged.command.id)
            if state is None or (state == "taken" and self._promise == "at-least-once"):
                fresh.append(judged)
            elif state == "taken":
                self._settle([Settled(judged.command, "failed", IN_DOUBT)])
            else:
                self._repeated(1)
        self._repeated(len(batch) - len(first))
        settled: list[Settled] = []
        try:
            for judged in fresh:
                in_doubt = judged.command.id in known
                settled.append(await self._settled(judged, in_doubt=in_doubt))
        finally:
            self._settle(settled)
        await self.try_again(now)

    def _settle(self, settled: Sequence[Settled]) -> None:
        """Write down what became of these for now, and count what is not put off."""
        self._ledger.settle(settled)
        for one in settled:
            if one.command.id not in self._aside:
                SENDER_SETTLED.labels(one.command.channel, one.state).inc()

    def _repeated(self, count: int) -> None:
        self.repeats += count
        SENDER_REPEATS.inc(count)

    @property
    def aside(self) -> int:
        """Commands that their receiver put off and that will be tried again."""
        return len(self._aside)

    @property
    def in_doubt(self) -> list[Place]:
        """Where those were read that are put off and may have been delivered."""
        asides = self._aside.values()
        return [one.judged.place for one in asides if one.in_doubt and one.judged.place]

    async def _settled(self, judged: Judged, *, in_doubt: bool) -> Settled:
        """Say what became of a fresh command, after it did. in_doubt: it was found `taken`."""
        command, now, _ = judged
        if now > to_instant(command.valid_until):
            return await self._expired(command, now)
        if self._last_look.is_stopped(command):
            return await self._expired(command, now, STOPPED)
        await self._last_look.wait_for(
            to_instant(command.decided_at), seconds_max=self._consent_seconds_max
        )
        objection = self._last_look.objects(command)
        if objection is not None:
            return Settled(command, "suppressed", objection)
        delivery = self._deliveries.get(command.channel)
        if delivery is None or not self._handed_over(command.id):
            return Settled(command, "delivered")
        return await self._hand_over(judged, delivery, in_doubt=in_doubt)

    async def _hand_over(self, judged: Judged, delivery: Delivery, *, in_doubt: bool) -> Settled:
        command = judged.command
        self._ledger.settle([Settled(command, "taken")])
        why = ""
        for attempt in range(ATTEMPTS_MAX):
            state: SendState = "failed"
            reason: str | None = None
            try:
                await delivery.deliver(command)
                state = "delivered"
            except (Refused, LetterRefused) as error:
                reason = str(error)
            except PutOff as error:
                reason = str(error)
                self._set_aside(judged, tries=1, in_doubt=in_doubt)
            except Uncertain:
                if self._promise == "at-least-once":
                    in_doubt = True
                    await asyncio.sleep(BACKOFF_SECONDS * 2**attempt)
                    continue
                reason = IN_DOUBT
            except Unreachable as error:
                why = str(error)
                await asyncio.sleep(BACKOFF_SECONDS * 2**attempt)
                continue
            done = Settled(command, state, reason)
            self._ledger.settle([done])
            return done
        if not in_doubt:  # nothing was handed over: forgotten, it is fresh for whoever comes next
            self._ledger.release(command.id)
        raise Unreachable(f"not reachable in {ATTEMPTS_MAX} attempts: {why}")

    async def _expired(
        self, command: SendCommand, now: Instant, reason: str | None = None
    ) -> Settled:
        event = send_expired(command, now)
        if event is None:
            log.warning("a send expired and cannot be reported", send_id=command.id)
            return Settled(command, "expired", NOT_REPORTED)
        await self._report(event, now)
        return Settled(command, "expired", reason)

    def _set_aside(self, judged: Judged, *, tries: int, in_doubt: bool) -> None:
        name = judged.command.id
        if name in self._aside or len(self._aside) < ASIDE_MAX:
            wait = min(AGAIN_SECONDS * 2 ** (tries - 1), AGAIN_SECONDS_MAX)
            self._aside[name] = Aside(judged, tries, time.monotonic() + wait, in_doubt)

    async def try_again(self, now: Instant) -> None:
        """Try each once that is due. In between the ledger says `failed`: a sender that is killed
        meanwhile leaves it so.
        """
        self._now = max(self._now, now)
        now_s = time.monotonic()
        for one in [one for one in self._aside.values() if one.due_s <= now_s]:
            settled = await self._tried_again(one)
            if settled is None:
                in_doubt = self._aside[one.command.id].in_doubt
                self._set_aside(one.judged, tries=one.tries + 1, in_doubt=in_doubt)
            else:
                del self._aside[one.command.id]
                self._settle([settled])

    async def give_back(self) -> None:
        """The sender ends: report what is still put off as expired, so that it is planned anew.
        What is in doubt would go out under another id then: whoever reads it again delivers it.
        """
        in_doubt = [one.command for one in self._aside.values() if one.in_doubt]
        self._ledger.settle([Settled(command, "taken") for command in in_doubt])
        for command in in_doubt:
            del self._aside[command.id]
        for one in list(self._aside.values()):
            expired = await self._expired(one.command, self._now, PUT_OFF)
            del self._aside[one.command.id]
            self._settle([expired])

    async def _tried_again(self, aside: Aside) -> Settled | None:
        """Say what became of a command that was put off; None: it still is."""
        command = aside.command
        if self._now > to_instant(command.valid_until):
            return await self._expired(command, self._now, PUT_OFF)
        if self._last_look.is_stopped(command):
            return await self._expired(command, self._now, STOPPED)
        objection = self._last_look.objects(command)
        if objection is not None:
            return Settled(command, "suppressed", objection)
        try:
            await self._deliveries[command.channel].deliver(command)
        except (PutOff, Unreachable):
            return None
        except (Refused, LetterRefused) as error:
            return Settled(command, "failed", str(error))
        except Uncertain:
            if self._promise == "at-least-once":
                self._aside[command.id] = aside._replace(in_doubt=True)
                return None
            return Settled(command, "failed", IN_DOUBT)
        except BaseException:  # cancelled, too: it may have been delivered
            self._leave_in_doubt(aside)
            raise
        return Settled(command, "delivered")

    def _leave_in_doubt(self, aside: Aside) -> None:
        """It must not be given back: planned anew, it would go out under another id."""
        command = aside.command
        if self._promise == "at-least-once":
            self._aside[command.id] = aside._replace(in_doubt=True)
        else:
            del self._aside[command.id]
            self._settle([Settled(command, "failed", IN_DOUBT)])


def send_expired(command: SendCommand, now: Instant) -> dict[str, Any] | None:
    """The store event that says so: it withdraws the attempt. Its id is the send's, so a repeated
    report is one.

    Returns: None for an in-app message. Its address is the profile, and an event is known by an
             identifier alone: there is none in the command, and a profile id, a keyed hash, leads
             back to none. The attempt is not withdrawn then; the ledger says why.
    """
    kind = ADDRESS_KINDS[command.channel]
    if kind not in IDENTIFIER_KINDS:
        return None
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
