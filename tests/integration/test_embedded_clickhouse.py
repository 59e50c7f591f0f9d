"""ClickHouse: the same statements over HTTP and in the embedded engine; one owner per folder."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from agents.clickhouse import ClickHouseFailed, open_client
from agents.embedded.gateway import ClickHouseGateway
from agents.settings import Settings

pytestmark = pytest.mark.integration

COLUMNS = ["id", "at", "what", "total"]
AT = datetime(2011, 12, 9, 12, 50, tzinfo=UTC)
ROWS = [(n, AT, f"it's {n}; \\ 'quoted'", n / 4) for n in range(1_000)]
TABLE = """
CREATE TABLE facts (id UInt64, at DateTime64(3, 'UTC'), what String, total Float64)
ENGINE = ReplacingMergeTree ORDER BY id
"""

# Works on the embedded engine of its own process, which must be alone on its folder.
ON_THE_EMBEDDED_ENGINE = """
import sys
from pathlib import Path
from agents.clickhouse import ClickHouseFailed, open_client
from agents.settings import Settings
settings = Settings(data=Path(sys.argv[1]), namespace="a-shop")
try:
    client = open_client(settings)
except ClickHouseFailed as failure:
    print("failed:", failure)
else:
    client.command("CREATE TABLE IF NOT EXISTS facts (id UInt64) ENGINE = MergeTree ORDER BY id")
    client.insert("facts", [[1], [2]], column_names=["id"])
    print(client.query("SELECT count(), currentDatabase() FROM facts").result_rows, flush=True)
    sys.stdin.read()
"""


def served(gateway: ClickHouseGateway, tmp_path: Path, namespace: str) -> Settings:
    return Settings(clickhouse=gateway.dsn, data=tmp_path, namespace=namespace)


@pytest.fixture
def client(clickhouse: ClickHouseGateway, tmp_path: Path) -> Client:
    client = open_client(served(clickhouse, tmp_path, "facts"))
    client.command("DROP TABLE IF EXISTS facts")
    client.command(TABLE)
    return client


def test_rows_come_back_as_they_were_inserted(client: Client) -> None:
    summary = client.insert("facts", ROWS, column_names=COLUMNS)
    assert summary.written_rows == len(ROWS)
    found = client.query("SELECT * FROM facts FINAL ORDER BY id", tz_mode="aware").result_rows
    assert [tuple(row) for row in found] == ROWS


def test_parameters_are_bound_and_settings_hold_for_one_query(client: Client) -> None:
    client.insert("facts", ROWS, column_names=COLUMNS)
    what = "it's 7; \\ 'quoted'"
    query = "SELECT id FROM facts WHERE what = {what:String} AND id < {id:UInt64}"
    assert client.query(query, parameters={"what": what, "id": 8}).result_rows == [(7,)]
    setting = "SELECT getSetting('max_threads')"
    assert client.query(setting, settings={"max_threads": 1}).result_rows == [(1,)]
    assert client.query(setting, settings={"max_threads": 3}).result_rows == [(3,)]


@pytest.mark.parametrize("compression", ["lz4", "zstd", "gzip", False])
def test_inserts_may_be_compressed(
    clickhouse: ClickHouseGateway, client: Client, compression: str | bool
) -> None:
    with clickhouse_connect.get_client(
        dsn=clickhouse.dsn, database="facts", compress=compression
    ) as compressing:
        compressing.insert("facts", ROWS, column_names=COLUMNS)
    assert client.query("SELECT count(), sum(id) FROM facts FINAL").result_rows == [
        (len(ROWS), sum(range(len(ROWS))))
    ]


def test_an_insert_with_the_same_token_counts_once(client: Client) -> None:
    client.command("ALTER TABLE facts MODIFY SETTING non_replicated_deduplication_window = 100")
    for _ in range(2):
        token = {"insert_deduplication_token": "timeline-0-0-999"}
        client.insert("facts", ROWS, column_names=COLUMNS, settings=token)
    assert client.query("SELECT count() FROM facts").result_rows == [(len(ROWS),)]


def test_errors_are_those_of_a_server(client: Client) -> None:
    with pytest.raises(DatabaseError) as raised:
        client.query("SELECT * FROM nowhere")
    assert raised.value.code == 60
    with pytest.raises(DatabaseError) as raised:
        client.query("SELEKT 1")
    assert raised.value.code == 62


def test_one_client_serves_several_threads(client: Client) -> None:
    client.insert("facts", ROWS, column_names=COLUMNS)
    with ThreadPoolExecutor(4) as threads:
        counts = threads.map(
            lambda _: client.query("SELECT count() FROM facts").result_rows, [0] * 8
        )
        assert list(counts) == [[(len(ROWS),)]] * 8


def test_data_outlive_the_gateway_and_its_process_is_gone(tmp_path: Path) -> None:
    with ClickHouseGateway(tmp_path) as gateway:
        client = open_client(served(gateway, tmp_path, ""))
        client.command(TABLE)
        client.insert("facts", ROWS, column_names=COLUMNS)
    with pytest.raises(ClickHouseFailed, match="cannot be reached"):
        open_client(served(gateway, tmp_path, ""))
    with ClickHouseGateway(tmp_path) as gateway:
        found = open_client(served(gateway, tmp_path, "")).query("SELECT count() FROM facts")
        assert found.result_rows == [(len(ROWS),)]


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    settings = Settings(clickhouse="http://app:hunter2@127.0.0.1:1/", data=tmp_path)
    with pytest.raises(ClickHouseFailed, match=r"server at http://127\.0\.0\.1:1/") as raised:
        open_client(settings)
    assert "hunter2" not in str(raised.value)


def test_the_embedded_engine_belongs_to_one_process(tmp_path: Path) -> None:
    program = [sys.executable, "-c", ON_THE_EMBEDDED_ENGINE, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, stdin=pipe, stdout=pipe, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "[(2, 'a-shop')]\n"
        second = subprocess.run(
            program, stdin=subprocess.DEVNULL, stdout=pipe, text=True, check=True
        )
        assert "is in use by another process" in second.stdout
        owner.communicate("")
    again = subprocess.run(program, stdin=subprocess.DEVNULL, stdout=pipe, text=True, check=True)
    assert again.stdout == "[(4, 'a-shop')]\n"
