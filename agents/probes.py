"""What every process says of itself over HTTP on the loopback, for probes, Prometheus and people.

/healthz  200 while the event loop answers.
/readyz   200 when it does its work; else 503 and why not, a line each.
/metrics  Prometheus text (agents/metrics.py).

The address is written to `<data>/run/<kind>-<pid>.json`; whoever starts removes those of the dead.
"""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Self

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from agents.embedded.process import ProcessId
from agents.metrics import REGISTRY
from agents.settings import Settings

HOST = "127.0.0.1"
STALLED_SECONDS = 60.0
"""A clock that lags so far behind the wall stands still, or nearly."""

Page = Callable[[web.Request], Awaitable[web.Response]]


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a process of this machine answers."""

    process: ProcessId
    port: int


def run_folder(settings: Settings) -> Path:
    """Where the processes of this machine write down where they answer."""
    return settings.data / "run"


def addresses(settings: Settings, kind: str) -> list[Address]:
    """Where the living processes of a kind answer. The files of those that were killed go."""
    found = []
    for file in sorted(run_folder(settings).glob(f"{kind}-*.json")):
        try:
            address = msgspec.json.decode(file.read_bytes(), type=Address)
        except (FileNotFoundError, msgspec.DecodeError):
            file.unlink(missing_ok=True)
            continue
        if address.process.is_running():
            found.append(address)
        else:
            file.unlink(missing_ok=True)
    return found


class Probes:
    """`async with Probes(...):` the process answers.

    kind:    in the name of its file: `worker`, `sink`, `sender`.
    why_not: why it is not ready, nothing where it is.
    measure: sets the gauges that are asked for, before they are told.
    pages:   further ones, by their path.
    """

    def __init__(
        self,
        settings: Settings,
        kind: str,
        *,
        why_not: Callable[[], list[str]],
        measure: Callable[[], None],
        pages: Mapping[str, Page] = MappingProxyType({}),
    ) -> None:
        self._settings, self._kind = settings, kind
        self._why_not, self._measure, self._pages = why_not, measure, pages
        self._own = ProcessId.own()
        self._file = run_folder(settings) / f"{kind}-{self._own.pid}.json"

    async def __aenter__(self) -> Self:
        web_app = web.Application()
        web_app.router.add_get("/healthz", self._healthz)
        web_app.router.add_get("/readyz", self._readyz)
        web_app.router.add_get("/metrics", self._metrics)
        for path, page in self._pages.items():
            web_app.router.add_get(path, page)
        self._runner = web.AppRunner(web_app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._settings.metrics_port).start()
        self.port: int = self._runner.addresses[0][1]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        addresses(self._settings, self._kind)
        address = Address(process=self._own, port=self.port)
        self._file.write_bytes(msgspec.json.encode(address))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._file.unlink(missing_ok=True)
        await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        why_not = self._why_not()
        said = "".join(f"{why}\n" for why in why_not) or "ready\n"
        return web.Response(text=said, status=503 if why_not else 200)

    async def _metrics(self, _: web.Request) -> web.Response:
        self._measure()
        body = generate_latest(REGISTRY)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
