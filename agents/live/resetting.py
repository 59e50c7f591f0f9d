"""Everything that a namespace holds, deleted: topics, consumer groups, database, local state.

Only what is declared is deleted, by its name: another namespace on the same servers keeps all of
its own. The secret stays, as does a broker's folder: other namespaces may live in it.
"""

import asyncio
import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupIdNotFound, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.exceptions import ClickHouseError

from agents.admin import admin_of
from agents.backfill import GROUP as BACKFILL_GROUP
from agents.clickhouse import (
    EMBEDDED,
    ClickHouseFailed,
    clickhouse_dsn,
    connect,
    database_of,
    reason,
)
from agents.live.place import live_folder
from agents.probes import run_folder
from agents.sender.ledger import DRY_LEDGER, LEDGER
from agents.sender.reference import DRY_GROUP as DRY_SENDER_GROUP
from agents.sender.reference import GROUP as SENDER_GROUP
from agents.settings import Settings
from agents.timeline import GROUP as TIMELINE_GROUP
from agents.topics import topic_name
from schemas.topics import TOPICS

GONE_SECONDS_MAX = 30
REQUEST_MS_MAX = 30_000
ASK_SECONDS = 0.1
STAGES = ("ingest", "identity", "profile")
OTHER_GROUPS = (TIMELINE_GROUP, BACKFILL_GROUP, SENDER_GROUP, DRY_SENDER_GROUP)
LOCK = "up.lock"
NO_GROUP = "Dead"
"""The state of a group that is not there, in the broker's words."""


class InUse(Exception):
    """Somebody still works in the namespace; the message says who."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a namespace holds."""

    topics: list[str]
    groups: list[str]
    database: str | None
    folders: list[str]


class _DeleteGroupsResponse(Response):  # type: ignore[misc]
    API_KEY = 42
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("results", Array(("group", String("utf-8")), ("error_code", Int16))),
    )


class _DeleteGroupsV0(RequestStruct):  # type: ignore[misc]
    API_KEY = 42
    API_VERSION = 0
    RESPONSE_TYPE = _DeleteGroupsResponse
    SCHEMA = Schema(("groups", Array(String("utf-8"))))


class _DeleteGroups(Request[_DeleteGroupsV0]):  # type: ignore[misc]
    """What the client's admin does not have."""

    API_KEY = 42

    def __init__(self, groups: list[str]) -> None:
        self._groups = groups

    def build(self, request_struct_class: type[_DeleteGroupsV0]) -> _DeleteGroupsV0:
        return request_struct_class(self._groups)


async def held(settings: Settings) -> Held:
    """Say what there is of the namespace on the cluster, in the database, in the folder.

    Raises: InUse, where a worker or a sender is at work; KafkaError.
    """
    async with admin_of(settings) as admin:
        there = set(await admin.list_topics())
        ours = [name for name in _groups_of(settings) if await _has_group(admin, name)]
    return Held(
        topics=[name for name in _topics_of(settings) if name in there],
        groups=ours,
        database=database_of(settings) if _has_database(settings) else None,
        folders=[str(path) for path in _local(settings)],
    )


async def delete(settings: Settings, found: Held) -> None:
    """Delete it; return when the cluster does not name it any more.

    Raises: KafkaError; ClickHouseFailed.
    """
    async with admin_of(settings) as admin:
        await _delete_topics(admin, found.topics)
        for group in found.groups:
            await _delete_group(admin, group)
    if found.database is not None:
        await asyncio.to_thread(_drop, settings, found.database)
    for path in map(Path, found.folders):
        _remove(path)


async def _delete_topics(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    if not names:
        return
    answer = await admin.delete_topics(names, timeout_ms=REQUEST_MS_MAX)
    for name, code in answer.topic_error_codes:
        if code != 0:
            raise for_code(code)(f"topic {name} could not be deleted")
    async with asyncio.timeout(GONE_SECONDS_MAX):
        while True:
            if not set(await admin.list_topics()) & set(names):
                return
            await asyncio.sleep(ASK_SECONDS)


async def _delete_group(admin: AIOKafkaAdminClient, group: str) -> None:
    node = await admin.find_coordinator(group)
    answer = await admin._send_request_to_node(node, _DeleteGroups([group]))
    for name, code in answer.results:
        if code not in {0, GroupIdNotFound.errno}:
            raise for_code(code)(f"consumer group {name} could not be deleted")


async def _has_group(admin: AIOKafkaAdminClient, group: str) -> bool:
    """Whether there is such a group; a broker just started has to load them first.

    Raises: InUse, where it has members.
    """
    async with asyncio.timeout(GONE_SECONDS_MAX):
        while True:
            (answer,) = await admin.describe_consumer_groups([group])
            ((code, _, state, _kind, _protocol, members, *_),) = answer.groups
            if code == 0:
                break
            if not for_code(code).retriable:
                raise for_code(code)(f"consumer group {group} cannot be looked at")
            await asyncio.sleep(ASK_SECONDS)
    if members:
        raise InUse(
            f"consumer group {group} has {len(members)} members: end the workers and senders of "
            "this namespace first"
        )
    return bool(state != NO_GROUP)


def _topics_of(settings: Settings) -> list[str]:
    return [topic_name(settings, topic.name) for topic in TOPICS]


def _groups_of(settings: Settings) -> list[str]:
    return [topic_name(settings, name) for name in (*STAGES, *OTHER_GROUPS)]


def _has_database(settings: Settings) -> bool:
    dsn = clickhouse_dsn(settings)
    return not dsn.startswith(EMBEDDED) or Path(dsn.removeprefix(EMBEDDED)).exists()


def _drop(settings: Settings, database: str) -> None:
    dsn = clickhouse_dsn(settings)
    try:
        with connect(dsn) as client:
            client.command(f"DROP DATABASE IF EXISTS {quote_identifier(database)} SYNC")
    except ClickHouseError as failure:
        raise ClickHouseFailed(reason(dsn, failure)) from failure


def _local(settings: Settings) -> list[Path]:
    """What processes keep beside: local stores, logs, the reference sender's ledger."""
    places: Iterable[Path] = (
        settings.data / "faust",
        *(settings.data / "rows" / name for name in _topics_of(settings)),
        run_folder(settings),
        live_folder(settings),
        *(file for name in (LEDGER, DRY_LEDGER) for file in settings.data.glob(f"{name}*")),
    )
    return [path for path in places if path.exists()]


def _remove(path: Path) -> None:
    """Delete a file or a folder; the lock that is held stays, and with it its folder."""
    if (path / LOCK).exists():
        for one in path.iterdir():
            if one.name != LOCK:
                one.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
