"""Flows of every kind at work while workers are killed, frozen and joined: each send once."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from agents.sender.reference import ReferenceSender
from agents.settings import Settings
from schemas.outputs import SendCommand
from tests.conftest import SECRET
from tests.integration.path.running import Deployment, Worker
from tests.integration.path.shop import Shop, rows_of
from tests.scenarios.library_shop import core, library_rounds

pytestmark = [pytest.mark.integration, pytest.mark.prove, pytest.mark.timeout(400)]

PEOPLE = 24


@pytest.fixture(scope="module")
def library() -> Shop:
    """Eight months of a shop with the whole library."""
    replay = core(SECRET.encode())
    made = library_rounds(replay, SECRET.encode(), people=PEOPLE)
    shop = Shop(made, {}, {})
    for piece in made:
        for write in piece.writes:
            shop.said.setdefault((write.topic, write.partition), []).append(
                (write.key, write.value)
            )
    return shop._replace(rows=rows_of(replay))


class Post:
    """Delivers by writing down what it was given."""

    def __init__(self) -> None:
        self.delivered: list[str] = []

    async def deliver(self, command: SendCommand) -> None:
        self.delivered.append(command.id)

    async def close(self) -> None:
        return


class Sending:
    """A reference sender with its ledger, that is stopped and started again on the way."""

    def __init__(self, settings: Settings, ledger: Path) -> None:
        self._settings, self._ledger = settings, ledger
        self.post = Post()
        self._sender: ReferenceSender | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        deliveries = dict.fromkeys(("email", "sms"), self.post)
        self._sender = ReferenceSender(
            self._settings, self._ledger, deliveries, promise="at-most-once", simulated=True
        )
        self._task = asyncio.create_task(self._sender.run())

    async def stop(self) -> None:
        assert self._sender is not None
        assert self._task is not None
        self._sender.stop()
        await asyncio.wait_for(self._task, 60)

    def settled(self) -> int:
        """How many commands the ledger has an end of."""
        assert self._sender is not None
        assert self._task is not None
        if self._task.done():
            self._task.result()
        found = self._sender.figures()
        assert found.expired == found.failed == 0
        return sum(found.delivered.values()) + found.suppressed


async def strike(path: Deployment, chance: random.Random, frozen: list[Worker]) -> None:
    """Kill the newest worker, freeze it (another takes over), or let one join."""
    worker = path.workers[-1]
    match chance.choice(("kill", "freeze", "join")):
        case "kill":
            worker.kill()
        case "freeze":
            worker.freeze()
            frozen.append(worker)
    path.start_worker()


@pytest.mark.parametrize("seed", range(3))
async def test_every_send_is_commanded_and_delivered_once(
    path: Deployment, library: Shop, tmp_path: Path, seed: int
) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    sending = Sending(path.settings, tmp_path / "ledger.sqlite")
    frozen: list[Worker] = []
    path.start_worker()
    sending.start()
    pieces = library.rounds
    for first in range(0, len(pieces), 120):
        await path.feed(pieces[first : first + 120])
        await path.passes(pieces[first + chance.randrange(60)].end)
        await strike(path, chance, frozen)
        await sending.stop()
        sending.start()
    for worker in frozen:
        worker.thaw()
    await path.comes_to(library.end)
    await path.expect_the_same_as(library)
    expected = Counter(command.id for command in library.commands())
    assert max(expected.values()) == 1, "one command for each decision"

    async def all_settled() -> bool:
        return sending.settled() == len(expected)

    await path.until("the ledger has all", all_settled)
    await sending.stop()
    delivered = Counter(sending.post.delivered)
    assert max(delivered.values()) == 1, "nothing is handed over twice"
    assert delivered.keys() <= expected.keys()
    assert len(delivered) > 0.99 * len(expected), "but for what a last look stopped"
