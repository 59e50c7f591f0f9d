"""ClickHouse: one way in, for the embedded engine and for a server.

In: the settings. Out: a client of clickhouse-connect in a database that exists. The same statements
go to both; only the address differs (`chdb:///folder`, `http(s)://...`).
"""

from pathlib import Path
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from agents.settings import Settings

EMBEDDED = "chdb://"


class ClickHouseFailed(Exception):
    """The database cannot be opened; the message says why, without user and password."""


def clickhouse_dsn(settings: Settings) -> str:
    """Return the address of the database: the one that was set, else the embedded engine's."""
    return settings.clickhouse or f"{EMBEDDED}{settings.data / 'clickhouse'}"


def database_of(settings: Settings) -> str:
    """Return the database of the namespace: namespaces share a server, never a table."""
    return settings.namespace or "tillstream"


def open_client(settings: Settings, *, database: str | None = None) -> Client:
    """Open a client in `database` (None: the namespace's), which is made if it is not there.

    The embedded engine belongs to one process, on one folder; several clients in that process are
    fine. After it is open, processes must be spawned, never forked: a forked child hangs. Over HTTP
    a client may be shared by threads: it has no session.

    Raises: ClickHouseFailed.
    """
    name = database_of(settings) if database is None else database
    dsn = clickhouse_dsn(settings)
    if dsn.startswith(EMBEDDED):
        Path(dsn.removeprefix(EMBEDDED)).mkdir(parents=True, exist_ok=True)
    try:
        with connect(dsn) as client:
            client.command(f"CREATE DATABASE IF NOT EXISTS {quote_identifier(name)}")
        return connect(dsn, name)
    except ClickHouseError as failure:
        raise ClickHouseFailed(reason(dsn, failure)) from failure


def connect(dsn: str, database: str | None = None) -> Client:
    """Open a client; the settings that the two kinds do not share are made here."""
    arguments: dict[str, Any] = (
        {} if dsn.startswith(EMBEDDED) else {"autogenerate_session_id": False}
    )
    if database is not None:
        arguments["database"] = database
    return clickhouse_connect.get_client(dsn=dsn, **arguments)


def reason(dsn: str, failure: ClickHouseError) -> str:
    """Say in a sentence why the database cannot be opened."""
    first = str(failure).partition("\n")[0]
    if not dsn.startswith(EMBEDDED):
        scheme, _, rest = dsn.partition("://")
        address = f"{scheme}://{rest.rpartition('@')[2]}"
        if isinstance(failure, OperationalError):
            return f"the ClickHouse server at {address} cannot be reached: {first}"
        return f"the ClickHouse server at {address} refuses: {first}"
    folder = dsn.removeprefix(EMBEDDED)
    if "already initialized with path" in first:
        return f"the embedded engine of this process is open on another folder than {folder}"
    if "EmbeddedServer: ." in first:
        return (
            f"the embedded engine's folder {folder} is in use by another process; one process owns "
            "it. End that one, or point both to a server: TILLSTREAM_CLICKHOUSE=http://..."
        )
    return f"the embedded engine cannot open its folder {folder}: {first}"
