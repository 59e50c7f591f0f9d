"""The timeline's tables, and records on their way into them."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from hypothesis import given
from hypothesis import strategies as st

from agents import migrations
from agents.cli import looking
from agents.cli.failures import CommandFailed
from agents.columns import LINES, SHAPES, ClockLine, Line, UnreadableRecord, micros
from agents.migrations import MigrationError, migrate
from agents.settings import Settings
from agents.timeline import passes
from schemas import outputs
from schemas.clickhouse.tables import TABLES, Table
from schemas.topics import SEND_COMMANDS, SEND_DECISIONS, TIMELINE
from schemas.values import Record
from streams.money import to_micros, to_money

CONTRACTS: tuple[type[Record], ...] = (
    outputs.TimelineEntry,
    outputs.SegmentChanged,
    outputs.FlowTriggered,
    outputs.SendCommand,
    outputs.SendDecided,
    outputs.IdentityMerged,
    outputs.ConsentStated,
    outputs.ProfileErased,
    outputs.IdentityConflict,
    outputs.ProfileSplit,
)
NOT_KEPT = {"unsubscribe_token", "postal_address"}
"""Fields of contracts that no table has: a key to a door, and what is the same for every send."""


@pytest.fixture
def client() -> Iterator[Client]:
    """The embedded engine, in memory, empty."""
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        yield opened


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_tables_are_as_the_sink_fills_them(client: Client, table: Table) -> None:
    migrate(client)
    query = """
        SELECT name, type FROM system.columns
        WHERE database = currentDatabase() AND table = {table:String} AND default_kind = ''
        ORDER BY position"""
    rows = client.query(query, parameters={"table": table.name}).result_rows
    assert [tuple(row) for row in rows] == list(table.columns.items())


@pytest.mark.parametrize(("line", "contract"), list(zip(LINES, CONTRACTS, strict=True)))
def test_a_line_is_its_contract_with_inner_json_left_as_it_is(
    line: type[Line], contract: type[Record]
) -> None:
    assert line.__struct_config__.tag == contract.__struct_config__.tag
    promised = {field.name: field for field in msgspec.structs.fields(contract)}
    taken = {field.name: field for field in msgspec.structs.fields(line)}
    assert promised.keys() - taken.keys() <= NOT_KEPT
    for name, field in taken.items():
        assert field.required == promised[name].required, name
        if field.type is msgspec.Raw and not field.required:
            default = promised[name].default_factory
            empty = promised[name].default if default is msgspec.NODEFAULT else default()
            assert msgspec.json.encode(empty) == bytes(field.default)


def test_migrations_are_applied_once_and_remembered(client: Client) -> None:
    assert migrate(client) == [one.name for one in migrations.migrations()]
    assert migrate(client) == []


def test_a_migration_that_was_cut_short_is_applied_again(client: Client) -> None:
    migrate(client)
    client.command("TRUNCATE TABLE migrations")
    client.command("DROP VIEW united_events")
    assert migrate(client) == [one.name for one in migrations.migrations()]
    assert client.query("SELECT count() FROM united_events").first_row == (0,)


def test_an_edited_migration_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(client)
    first, *others = migrations.migrations()
    edited = [msgspec.structs.replace(first, checksum="another"), *others]
    monkeypatch.setattr(migrations, "migrations", lambda: edited)
    with pytest.raises(MigrationError, match=r"0001_tables\.sql was changed"):
        migrate(client)


def test_what_an_older_version_made_is_not_looked_at(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    migrate(client)
    newest = migrations.migrations()[-1]
    client.command(f"DELETE FROM migrations WHERE number = {newest.number}")
    settings = Settings(data=tmp_path, clickhouse="chdb://nowhere")
    monkeypatch.setattr(looking, "open_client", lambda _: client)
    monkeypatch.setattr(client, "close", lambda: None)
    with (
        pytest.raises(CommandFailed, match=f"and lacks {newest.name}: `tillstream up`"),
        looking.database(settings),
    ):
        pass


def test_a_database_of_a_newer_version_is_refused(client: Client) -> None:
    migrate(client)
    columns = ["number", "name", "checksum"]
    client.insert("migrations", [[999, "0999_later.sql", "x"]], column_names=columns)
    with pytest.raises(MigrationError, match=r"0999_later\.sql.*use the newer version"):
        migrate(client)


def test_a_clock_is_read_on_any_topic() -> None:
    struck = outputs.ClockStruck(partition=3, at="2010-12-01T08:00:00.000Z")
    line = SHAPES[SEND_COMMANDS.name].decode(msgspec.json.encode(struck))
    assert line == ClockLine(partition=3, at="2010-12-01T08:00:00.000Z")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b'{"type":"flow-triggered","schema":1}', "flow-triggered"),
        (b'{"type":"send-decided","schema":1}', "missing required field"),
        (b'{"type":"clock","schema":2,"partition":0,"at":""}', "schema 2 is newer than 1"),
        (b"{", "truncated"),
        (b"", "truncated"),
        (b'{"type":"clock","partition":0,"at":"\xff"}', "utf-8"),
    ],
)
def test_a_record_that_cannot_be_read_is_never_skipped(value: bytes, said: str) -> None:
    with pytest.raises(UnreadableRecord, match=f"(?i){said}"):
        SHAPES[SEND_DECISIONS.name].decode(value)


def test_a_record_arrives_in_its_row_byte_for_byte(client: Client) -> None:
    migrate(client)
    entry = outputs.TimelineEntry(
        event_id="e'1",
        store="main",
        profile_id="i1",
        metric="Placed Order",
        occurred_at="2010-12-01T08:26:00.001Z",
        received_at="2010-12-01T08:26:00.123Z",
        origin=(1291191960123, 3, 17, 0),
        trust="server",
        source="shop",
        backfill=True,
        identifiers=(("email", "zoë@example.com"),),
        properties={"price": 39.80, "note": 'tab\tquote"', "send_id": "s1"},
        value="-39.800001",
        currency=None,
    )
    shape = SHAPES[TIMELINE.name]
    rows = shape.rows([shape.decode(msgspec.json.encode(entry))], 3, [41])
    client.insert_arrow("events", rows, settings={"async_insert": 0})
    found = client.query("SELECT *, send_id, value, toString(occurred_at) FROM events")
    (row,) = found.named_results()
    assert row["event_id"] == "e'1"
    assert row["toString(occurred_at)"] == "2010-12-01 08:26:00.001"
    assert row["origin"] == [1291191960123, 3, 17, 0]
    assert row["backfill"] is True
    assert row["identifiers"].encode() == msgspec.json.encode(entry.identifiers)
    assert row["properties"].encode() == msgspec.json.encode(entry.properties)
    assert row["traits"] == "{}"
    assert (row["value_micros"], row["value"]) == (-39_800_001, Decimal("-39.800001"))
    assert (row["currency"], row["send_id"]) == ("", "s1")
    assert (row["kafka_partition"], row["kafka_offset"]) == (3, 41)


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_money_is_read_as_it_was_written(amount: int) -> None:
    assert micros(to_money(amount)) == amount


@given(st.decimals(-(10**9), 10**9, places=3))
def test_money_is_read_as_the_core_reads_it(amount: Decimal) -> None:
    assert micros(str(amount)) == to_micros(amount)


def test_only_what_may_pass_is_tried_again() -> None:
    assert passes(OperationalError("connection refused"))
    assert passes(ConnectionResetError())
    assert passes(DatabaseError("Code: 252. TOO_MANY_PARTS", code=252))
    assert passes(DatabaseError("502 from a proxy"))
    assert not passes(DatabaseError("Code: 60. UNKNOWN_TABLE", code=60))
