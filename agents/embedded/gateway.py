"""ClickHouse's HTTP interface over one embedded engine, so that several processes can share it.

In: what clickhouse-connect (or curl) sends to a server. Out: what the server would answer. One
process owns the folder; all others use the very client code that talks to a real server. For tests
and trying out. Understood are queries in the URL, the body or a form, bound parameters, settings,
the database, inserts in any format and compression, and /ping. Not: users, sessions, temporary
tables, external data, progress headers, compressed answers.

    python -m agents.embedded.gateway FOLDER PORT-FILE      in the foreground, on a free port
"""

import asyncio
import json
import os
import re
import signal
import sys
import time
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import chdb
import cramjam
from aiohttp import web

from agents.embedded.process import Child, tail

HOST = "127.0.0.1"
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0
THREADS = 4
BODY_BYTES_MAX = 1 << 30
TAKEN_FOR_A_CRASH = "1002"
HTTP_STATUS = {"60": 404, "81": 404, "497": 403, "516": 403, "47": 400, "62": 400}
ABORTED_INSERT = b"INTERNAL EXCEPTION WHILE SERIALIZING"  # so clickhouse-connect takes one back

# Of the parameters in the URL these are not settings of the query; all others are.
NOT_SETTINGS = frozenset(
    [
        "buffer_size",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "compress",
        "database",
        "decompress",
        "default_format",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "user",
        "wait_end_of_query",
    ]
)
INSERT = re.compile(
    rb"\s*(INSERT\s+INTO\s+(?:TABLE\s+)?.*?)\s+FORMAT\s+(\w+)[ \t]*\r?\n?",
    re.IGNORECASE | re.DOTALL,
)
FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
WITHOUT_ROWS = re.compile(
    r"\s*(ALTER|ATTACH|CREATE|DELETE|DETACH|DROP|EXCHANGE|GRANT|INSERT|KILL|OPTIMIZE|RENAME|REVOKE"
    r"|SET|SYSTEM|TRUNCATE|UPDATE|USE)\b",
    re.IGNORECASE,
)


class GatewayFailed(Exception):
    """The gateway did not start; the message holds the end of its log."""


class Refused(Exception):
    """The request itself is wrong; the message reads like one of ClickHouse's own."""


@dataclass(frozen=True)
class Request:
    """What one HTTP request asks for. data: what follows the statement, None: nothing was sent."""

    sql: bytes
    data: bytes | None
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What the engine answers. format: None where there are no rows."""

    body: bytes = b""
    summary: Mapping[str, str] = field(default_factory=dict)
    format: str | None = None


class Engine:
    """The embedded engine, held open as long as this object lives."""

    def __init__(self, folder: Path) -> None:
        """folder: made if it is not there."""
        self.folder = str(folder)
        self.held: Any = chdb.connect(self.folder)
        answer = self.held.query("SELECT timezone()", "TabSeparated")
        self.timezone = answer.bytes().decode().strip()

    def run(self, request: Request) -> Answer:
        """Run one statement, on a connection of its own: settings and USE end with it.

        Raises: RuntimeError with ClickHouse's own words; Refused.
        """
        connection: Any = chdb.connect(self.folder)
        try:
            prepare(connection, request.parameters)
            insert = INSERT.match(request.sql)
            if insert is not None:
                payload = request.sql[insert.end() :] + (request.data or b"")
                if payload or request.data is not None:
                    return write(connection, insert[1].decode(), insert[2].decode(), payload)
            return read(connection, request)
        finally:
            connection.close()


def prepare(connection: Any, parameters: Mapping[str, str]) -> None:
    """Put the request's database and settings into force."""
    if parameters.get("database"):
        name = parameters["database"].replace("\\", "\\\\").replace("`", "\\`")
        connection.query(f"USE `{name}`")
    for name, value in parameters.items():
        if name in NOT_SETTINGS or name.startswith("param_"):
            continue
        if SETTING.fullmatch(name) is None:
            raise Refused(f"Code: 115. DB::Exception: bad setting {name!r}. (UNKNOWN_SETTING)")
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        connection.query(f"SET {name} = '{quoted}'")


def write(connection: Any, statement: str, kind: str, payload: bytes) -> Answer:
    """Insert `payload`, which is in the format `kind`."""
    insert = connection.send_insert(statement, kind)
    try:
        insert.append(payload)
        done = insert.finish()
    except BaseException:
        insert.cancel()
        raise
    return Answer(summary={"written_rows": str(int(done.rows_written))})


def read(connection: Any, request: Request) -> Answer:
    """Run any other statement."""
    text = request.sql.decode("utf-8", "surrogateescape")
    said = FORMAT.search(text)
    kind = said[1] if said else request.parameters.get("default_format", "TabSeparated")
    bound = {
        name.removeprefix("param_"): value
        for name, value in request.parameters.items()
        if name.startswith("param_")
    }
    sql = request.sql if not request.data else request.sql + b"\n" + request.data
    done = connection.query(sql, kind, params=bound)
    summary = {
        "read_rows": str(done.rows_read()),
        "read_bytes": str(done.bytes_read()),
        "written_rows": "0",
        "elapsed_ns": str(int(done.elapsed() * 1e9)),
    }
    return Answer(bytes(done.bytes() or b""), summary, None if WITHOUT_ROWS.match(text) else kind)


async def understand(http: web.Request) -> Request:
    """Read what an HTTP request asks for.

    Raises: Refused.
    """
    parameters = dict(http.query)
    if http.content_type == "multipart/form-data":
        for name, value in (await http.post()).items():
            part = value if isinstance(value, str | bytes | bytearray) else value.file.read()
            parameters[name] = part if isinstance(part, str) else bytes(part).decode()
        body = b""
    else:
        body = decompressed(await http.read(), http.headers.get("Content-Encoding", ""))
    if body.startswith(ABORTED_INSERT):
        raise Refused("Code: 33. DB::Exception: the client took it back. (CANNOT_READ_ALL_DATA)")
    query = parameters.get("query", "").encode()
    if not query:
        return Request(body, None, parameters)
    return Request(query, body if http.method == "POST" else None, parameters)


def decompressed(body: bytes, encoding: str) -> bytes:
    """Undo a `Content-Encoding`."""
    codecs: dict[str, Any] = {
        "gzip": cramjam.gzip,
        "lz4": cramjam.lz4,
        "zstd": cramjam.zstd,
        "deflate": cramjam.zlib,
    }
    return bytes(codecs[encoding].decompress(body)) if encoding in codecs else body


class Application:
    """The HTTP side: one route, a few threads that wait for the engine."""

    def __init__(self, engine: Engine) -> None:
        """engine: used from several threads at once."""
        self.engine = engine
        self.threads = ThreadPoolExecutor(THREADS)

    async def handle(self, http: web.Request) -> web.Response:
        """Answer one request; an error in the way a server tells it: status, header, text."""
        headers = {
            "X-ClickHouse-Query-Id": http.query.get("query_id", ""),
            "X-ClickHouse-Timezone": self.engine.timezone,
            "X-ClickHouse-Server-Display-Name": "gateway",
        }
        try:
            request = await understand(http)
            if not request.sql.strip():
                return web.Response(text="Ok.\n", headers=headers)
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self.threads, self.engine.run, request)
        except (RuntimeError, Refused) as failure:
            text = str(failure)
            text = text[max(text.find("Code: "), 0) :]
            number = re.match(r"Code: (\d+)", text)
            code = number[1] if number else TAKEN_FOR_A_CRASH
            headers["X-ClickHouse-Exception-Code"] = code
            status = HTTP_STATUS.get(code, 500)
            return web.Response(status=status, text=f"{text}\n", headers=headers)
        headers["X-ClickHouse-Summary"] = json.dumps(dict(answer.summary))
        if answer.format is not None:
            headers["X-ClickHouse-Format"] = answer.format
        return web.Response(body=answer.body, headers=headers)


async def pong(_http: web.Request) -> web.Response:
    """Say that the server is there."""
    return web.Response(text="Ok.\n")


async def serve(folder: Path, port_file: Path) -> None:
    """Serve until SIGTERM; the port is written to `port_file` as soon as it answers."""
    application = web.Application(client_max_size=BODY_BYTES_MAX)
    application.router.add_get("/ping", pong)
    application.router.add_route("*", "/", Application(Engine(folder)).handle)
    runner = web.AppRunner(application, auto_decompress=False, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    draft = port_file.with_suffix(".new")
    draft.write_text(str(runner.addresses[0][1]))
    draft.rename(port_file)
    asked_to_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_stop.set)
    await asked_to_stop.wait()
    # What was acknowledged is on disk; a query that still runs is not waited for.
    os._exit(0)


class ClickHouseGateway:
    """A gateway in a process of its own: `with ClickHouseGateway(folder) as gateway: gateway.dsn`.

    It ends with us, as the broker does. Its data stay in the folder.
    """

    def __init__(self, folder: Path) -> None:
        """folder: made if it is not there; holds the engine's files, the log and the port."""
        self.folder = folder.absolute()
        self.dsn = ""
        self._child: Child | None = None

    def start(self) -> Self:
        """Start it; return when it answers.

        Raises: GatewayFailed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        port_file, log = self.folder / "gateway.port", self.folder / "gateway.log"
        port_file.unlink(missing_ok=True)
        program = [sys.executable, "-m", "agents.embedded.gateway"]
        arguments = [str(self.folder / "clickhouse"), str(port_file)]
        child = Child([*program, *arguments], log=log, environ=os.environ)
        deadline = time.monotonic() + START_SECONDS_MAX
        while not port_file.exists():
            if child.wait(0.02) is not None or time.monotonic() > deadline:
                child.stop(patience_s=0)
                raise GatewayFailed(f"the ClickHouse gateway did not start:\n{tail(log)}")
        self._child = child
        self.dsn = f"http://{HOST}:{port_file.read_text()}/"
        with urllib.request.urlopen(f"{self.dsn}ping", timeout=START_SECONDS_MAX):  # noqa: S310
            return self

    def stop(self) -> None:
        """Stop it; return when it is gone."""
        child, self._child = self._child, None
        if child is not None:
            child.stop(patience_s=STOP_SECONDS_MAX)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *failure: object) -> None:
        """Stop."""
        self.stop()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
