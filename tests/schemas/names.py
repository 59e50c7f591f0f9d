"""Every name that reaches Kafka or disk, as lines of text. Whoever renames one sees it here.

    .venv/bin/python -m tests.schemas.names > tests/schemas/names.golden

A line that goes or changes is a migration: what is written under the old name stays there. A field
of an array (inner records, rows) has its place, so new ones go to the end of their line.
"""

import asyncio
import re
import sqlite3
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import TopicPartition

from agents.app import StageApp
from agents.backfill import GROUP as BACKFILL_GROUP
from agents.identity import identity_app
from agents.ingest import ingest_app
from agents.metrics import REGISTRY
from agents.migrations import migrations
from agents.profile import profile_app
from agents.sender import reference
from agents.sender.ledger import Ledger
from agents.settings import Settings
from agents.switches import TRANSACTIONAL_ID
from agents.timeline import GROUP, INSERTING
from agents.topics import topic_name
from agents.transactions import KafkaTransactions
from schemas import events, outputs, records, rows, splits
from schemas.clickhouse.tables import TABLES
from schemas.topics import TOPICS
from schemas.values import Inner, Record
from streams.flows import entry, run, sending
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest import control
from streams.ingest.identifiers import Refusal
from streams.ingest.rejection import Reason
from streams.sends import gates
from tests.schemas.story import told

GOLDEN = Path(__file__).with_name("names.golden")
SETTINGS = Settings(
    namespace="shop", data=Path("/"), kafka=("localhost:9092",), secret="0123456789abcdef"
)


def names() -> str:
    """All of them, part by part."""
    parts = {
        "topics": (f"{one.name}: {one.key}" for one in TOPICS),
        "public records (type schema: fields)": public_records(),
        "inner records (type: fields, in their order)": inner_records(),
        "rows (schema: fields, in their order)": row_fields(),
        "schema numbers": schema_numbers(),
        "keys of ours": sorted(keys()),
        "headers of store-events": [
            control.HEADER,
            control.MAC_HEADER,
            *map(repr, (control.TICK, control.DEFINITIONS, control.SENDS)),
        ],
        "headers written": headers(),
        "reasons of rejections": values_of(Reason),
        "reasons of refused identifiers": values_of(Refusal),
        "reasons of send decisions": decision_reasons(),
        "stages in namespace `shop`": stages(),
        "transactional ids of partition 3": asyncio.run(transactional_ids()),
        "other transactional ids": [
            topic_name(SETTINGS, one) for one in (TRANSACTIONAL_ID, BACKFILL_GROUP)
        ],
        "consumer groups beside the stages": (
            topic_name(SETTINGS, group) for group in (GROUP, BACKFILL_GROUP, reference.GROUP)
        ),
        "metadata of committed offsets": [repr(INSERTING)],
        "tables (topic, record: columns)": (
            f"{one.name} ({one.topic}, {one.record}): {', '.join(one.columns)}" for one in TABLES
        ),
        "migrations": migrated(),
        "ledger of the reference sender": ledger(),
        "metrics": metrics(),
    }
    return "\n".join(
        f"# {title}\n" + "".join(f"{line}\n" for line in lines) for title, lines in parts.items()
    )


def structs(module: Any, base: type) -> list[Any]:
    """The structs of a module that are built on `base`, in their order."""
    return [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, base) and one.__module__ == module.__name__
    ]


def public_records() -> Iterator[str]:
    for one in structs(outputs, Record):
        schema = next(field for field in msgspec.structs.fields(one) if field.name == "schema")
        named = ", ".join(name for name in one.__struct_encode_fields__ if name != "schema")
        yield f"{one.__struct_config__.tag} {schema.default}: {named}"
    yield f"evidence: {', '.join(outputs.Evidence.__struct_encode_fields__)}"
    yield f"rejected event: {', '.join(events.RejectedEvent.__struct_encode_fields__)}"


def inner_records() -> Iterator[str]:
    for one in (*structs(events, Inner), *structs(records, Inner), *structs(splits, Inner)):
        name = one.__struct_config__.tag or f"({one.__name__})"
        yield f"{name}: {', '.join(one.__struct_fields__)}"


def row_fields() -> Iterator[str]:
    for one in structs(rows, msgspec.Struct):
        yield f"{one.__name__}: {', '.join(one.__struct_fields__)}"


def schema_numbers() -> Iterator[str]:
    for module in (events, records, rows, splits):
        for name, value in vars(module).items():
            if name.endswith("_SCHEMA"):
                yield f"{name.removesuffix('_SCHEMA').lower().replace('_', '-')}: {value}"


def keys() -> set[str]:
    written = {key.decode() for key in (rows.POSITION_KEY, rows.DEFINITIONS_KEY, rows.STOPS_KEY)}
    for _, write in told():
        if b'"clock"' in write.value:
            written.add(f"{write.topic}: {write.key.decode()}")
    return written


def headers() -> Iterator[str]:
    """Of what is rejected and of dead letters, as they are really written."""
    seen = set()
    for stumbles in (False, True):
        for _, write in told(stumbles=stumbles):
            if write.headers and write.topic not in seen:
                seen.add(write.topic)
                yield f"{write.topic}: {', '.join(name for name, _ in write.headers)}"


def values_of(kinds: type[Enum]) -> list[str]:
    return [str(one.value) for one in kinds]


def decision_reasons() -> list[str]:
    """Constants whose value reads like a reason, of the modules that decide."""
    found = {
        value
        for module in (entry, run, sending, gates)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and re.fullmatch(r"[a-z]+(-[a-z]+)*", value)
    }
    return sorted(found)


@lru_cache
def stage_apps() -> tuple[StageApp, ...]:
    """The three stages; nothing is connected to."""
    ids = Ids(REPLAY_SECRET)
    return (
        ingest_app(SETTINGS, ids, simulated=True, reached=lambda: None),
        identity_app(SETTINGS, ids),
        profile_app(SETTINGS, ids),
    )


def stages() -> Iterator[str]:
    """App (and so the consumer group), agent, input, table, changelog of every stage."""
    for stage in stage_apps():
        agents = ", ".join(name for name in stage.app.agents if "tillstream" not in name)
        yield (
            f"{stage.stage}: group {stage.app.conf.id}, agent {agents}, reads {stage.input_topic}, "
            f"table {stage.table.name}, changelog {stage.table.changelog_topic_name}"
        )


async def transactional_ids() -> list[str]:
    """As the producers of partition 3 are given them."""
    given: list[str] = []

    class Producer:
        def __init__(self, **arguments: Any) -> None:
            given.append(arguments["transactional_id"])

        async def start(self) -> None: ...

    async def all_ended(
        places: Iterable[TopicPartition],
        *,
        committed: bool = False,  # noqa: ARG001
    ) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    for stage in stage_apps():
        transactions = stage.station.transactions
        assert isinstance(transactions, KafkaTransactions)
        transactions._make_producer, transactions._ends_of = Producer, all_ended
        await transactions.claim([3])
    return given


def migrated() -> Iterator[str]:
    made = re.compile(r"CREATE (?:OR REPLACE )?(TABLE|VIEW) (?:IF NOT EXISTS )?(\w+)")
    for one in migrations():
        for statement in one.statements:
            for kind, name in made.findall(statement):
                yield f"{one.name}: {kind.lower()} {name}"


def ledger() -> Iterable[str]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sends.sqlite"
        Ledger(file).close()
        with closing(sqlite3.connect(file)) as opened:
            columns = opened.execute("select name from pragma_table_info('sends')").fetchall()
    return [f"sends: {', '.join(name for (name,) in columns)}"]


def metrics() -> Iterator[str]:
    for one in REGISTRY.collect():
        suffix = "_total" if one.type == "counter" else ""
        yield f"{one.name}{suffix} ({one.type})"


if __name__ == "__main__":
    sys.stdout.write(names())
