"""A worker process: the three stages under one Faust worker, its health, and a ticker if live.

`python -m agents.worker`. It makes the topics that are missing, as `up` does. It ends by SIGTERM or
SIGINT, after its running transactions, and closes its producers; where the broker answers nothing
it goes without them. It refuses a namespace whose time is made otherwise than it was told. A failed
or fenced station ends it at once with an exit code of its own (agents/station.py,
agents/transactions.py).
"""

import argparse
import asyncio
import gc
import os
import sys
from typing import NoReturn

import faust
import mode
from aiokafka.errors import KafkaError

from agents.admin import admin_of
from agents.health import Health
from agents.identity import identity_app
from agents.ingest import ingest_app
from agents.live.asking import NotReached
from agents.logs import configure, log, told
from agents.profile import profile_app
from agents.settings import Settings, SettingsError
from agents.slot import take_slot
from agents.station import EXIT_FAILED
from agents.ticker import Ticker, expect_live, expect_simulated
from agents.topics import make_missing, topic_name
from schemas.topics import TOPICS
from streams.ids import Ids

GC_THRESHOLDS = (50_000, 20, 50)
"""Rounds make thousands of short-lived tuples that form no cycles. With Python's own 700 the search
for cycles took half of a worker's CPU (tests/bench/path.py: 258 us an event, 130 so)."""

END_SECONDS_MAX = 15.0
"""Less than `up` and Kubernetes have patience. What was under way is undone by the next owner."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What a worker can be told."""
    parser.add_argument("--simulated", action="store_true", help="time comes from a feeder")


class _Worker(faust.Worker):
    """A worker that ends in `END_SECONDS_MAX`."""

    async def stop(self) -> None:
        asyncio.get_running_loop().call_later(END_SECONDS_MAX, _end)
        await super().stop()


def _end() -> None:
    log.error("ended without its broker, which did not answer; nothing is lost")
    os._exit(EXIT_FAILED)


class _Ticking(mode.Service):
    """The ticker among the services of a worker."""

    def __init__(self, ticker: Ticker) -> None:
        super().__init__()
        self._ticker = ticker

    async def on_start(self) -> None:
        self.add_future(self._ticker.run())

    async def on_stop(self) -> None:
        await self._ticker.stop()


def run(settings: Settings, *, simulated: bool) -> NoReturn:
    """Work until told to stop, then exit.

    Raises: SettingsError, where no cluster is named, its slot is taken or the namespace's time is
    made otherwise; NotReached, where the cluster is away or refuses.
    """
    if settings.embedded_kafka:
        raise SettingsError(
            "a worker works on a cluster: name it with TILLSTREAM_KAFKA. `tillstream up` starts a "
            "broker of its own, with workers"
        )
    gc.set_threshold(*GC_THRESHOLDS)
    configure(settings.log_level)
    if settings.slot is not None:
        take_slot(settings)
    ids = Ids(settings.secret_bytes)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(prepare(settings, simulated=simulated))
    profile = profile_app(settings, ids)
    ingest = ingest_app(settings, ids, simulated=simulated, reached=lambda: profile.reached)
    stages = [ingest, identity_app(settings, ids), profile]
    apps = [stage.app for stage in stages]
    ticker = None if simulated else Ticker(settings, lambda: ingest.station.has(0))
    services: list[mode.Service] = [Health(settings, stages, ticker=ticker)]
    if ticker is not None:
        services.append(_Ticking(ticker))
    worker = _Worker(*apps, *services, loop=loop, loglevel="warn", override_logging=False)
    worker.execute_from_commandline()


async def prepare(settings: Settings, *, simulated: bool) -> None:
    """See that the topics are there, and that their time is made as the worker was told.

    Raises: NotReached; SettingsError.
    """
    wanted = {topic_name(settings, topic.name): topic for topic in TOPICS}
    try:
        async with admin_of(settings) as admin:
            made = await make_missing(admin, settings, wanted, simulated=simulated)
        if made:
            log.info("topics made", topics=made)
        await (expect_simulated if simulated else expect_live)(settings)
    except KafkaError as error:
        raise NotReached(
            f"the cluster at {', '.join(settings.kafka or ())} does not let the worker begin "
            f"({told(error)}). It makes the topics of its namespace that are "
            "missing: does the cluster run, and has the user the rights of docs/security.md?"
        ) from error


def main() -> int:
    """Run with the settings of the environment.

    Returns: 2 where one of them is bad, 71 where the cluster is away.
    """
    parser = argparse.ArgumentParser(prog="python -m agents.worker", description=__doc__)
    arguments(parser)
    options = parser.parse_args()
    try:
        run(Settings.from_environ(os.environ), simulated=options.simulated)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except NotReached as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
