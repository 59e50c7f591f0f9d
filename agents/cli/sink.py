"""`tillstream sink`: the timeline sink as a process of its own, beside workers of your own."""

import argparse
import asyncio
from contextlib import AsyncExitStack

from agents.cli.failures import CommandFailed
from agents.cli.until_told import say, until_told
from agents.live.asking import NotReached, reached
from agents.live.place import running
from agents.live.sink import Timeline
from agents.probes import Probes
from agents.settings import Settings
from schemas.topics import SEND_COMMANDS, TIMELINE


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Reads the public topics into ClickHouse (TILLSTREAM_CLICKHOUSE, else the embedded engine "
        "below TILLSTREAM_DATA). One is enough; `tillstream up` runs one of its own. /healthz, "
        "/readyz and /metrics are answered on TILLSTREAM_METRICS_PORT."
    )


def run(options: argparse.Namespace, settings: Settings) -> int:  # noqa: ARG001
    """Run until Ctrl-C or SIGTERM.

    Raises: CommandFailed.
    """
    up = running(settings)
    if up is not None:
        raise CommandFailed(
            f"`tillstream up` (process {up.owner.pid}) runs on {settings.data}, with a sink of its "
            "own; one is enough"
        )
    try:
        asyncio.run(_run(settings))
    except NotReached as error:
        raise CommandFailed(str(error)) from error
    return 0


async def _run(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(reached(settings, TIMELINE, SEND_COMMANDS))
        timeline = Timeline(there, say)
        probes = Probes(there, "sink", why_not=timeline.why_not, measure=timeline.measure)
        await stack.enter_async_context(probes)
        say(f"the sink reads; http://127.0.0.1:{probes.port}/readyz; Ctrl-C ends it")
        await until_told(timeline.keep(), timeline.leave)
    say("stopped")
