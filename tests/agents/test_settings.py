"""Settings are read once, from TILLSTREAM_* alone; what is wrong is named."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from agents import settings as module
from agents.settings import Settings, SettingsError

HOME = {"HOME": "/home/someone"}
CLUSTER = HOME | {
    "TILLSTREAM_KAFKA": "one:9092, two:9093",
    "TILLSTREAM_SECRET": "sixteen characters at least",
}


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environ(environ)
    return str(raised.value)


def test_with_nothing_set_everything_is_embedded() -> None:
    settings = Settings.from_environ(HOME)
    assert settings.embedded_kafka
    assert settings.clickhouse is None
    assert settings.secret is None
    assert settings.data == Path("/home/someone/.local/share/tillstream")
    assert (settings.partitions, settings.tick_ms, settings.store) == (4, 250, "memory")


def test_a_silent_worker_is_missed_sooner_on_the_embedded_broker() -> None:
    embedded = replace(Settings.from_environ(HOME), secret="sixteen characters at least")
    assert embedded.connected_to("127.0.0.1:9092").session_seconds == 10
    assert Settings.from_environ(CLUSTER).session_seconds == 30
    asked = replace(embedded, session_timeout_s=20)
    assert asked.connected_to("127.0.0.1:9092").session_seconds == 20


def test_rows_on_disk_of_a_cluster_need_the_name_of_their_place() -> None:
    on_disk = {"TILLSTREAM_STORE": "rocksdb"}
    assert "TILLSTREAM_SLOT is not set" in refused(CLUSTER | on_disk)
    assert Settings.from_environ(CLUSTER | on_disk | {"TILLSTREAM_SLOT": "w-1"}).slot == "w-1"
    assert Settings.from_environ(HOME | on_disk).slot is None, "`up` numbers its workers"


def test_data_follow_the_xdg_folder_unless_it_is_relative() -> None:
    assert Settings.from_environ(HOME | {"XDG_DATA_HOME": "/data"}).data == Path("/data/tillstream")
    relative = Settings.from_environ(HOME | {"XDG_DATA_HOME": "data"}).data
    assert relative == Path("/home/someone/.local/share/tillstream")


def test_a_cluster_is_a_list_of_addresses() -> None:
    assert Settings.from_environ(CLUSTER).kafka == ("one:9092", "two:9093")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("KAFKA", "one", "host:port"),
        ("KAFKA", "one:0", "host:port"),
        ("KAFKA", "one:9092,", "host:port"),
        ("KAFKA", "one:two:9092", "host:port"),
        ("KAFKA_SECURITY", "tls", "plaintext, ssl, sasl_plaintext or sasl_ssl"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI", "plain, scram-sha-256"),
        ("NAMESPACE", "Demo", "a-z"),
        ("NAMESPACE", "demo-", "no - at the ends"),
        ("PARTITIONS", "0", "1 to 256"),
        ("PARTITIONS", "four", "1 to 256"),
        ("TICK_MS", "49", "50 to 60000"),
        ("STORE", "redis", "memory or rocksdb"),
        ("SLOT", "a/b", "a-z, A-Z, 0-9"),
        ("SLOT", "..", "first a letter or digit"),
        ("DEFAULT_REGION", "UK", "two letters"),
        ("METRICS_PORT", "65536", "0 to 65535"),
        ("LOG_LEVEL", "loud", "debug, info, warning or error"),
    ],
)
def test_a_bad_value_is_named_with_what_is_expected(name: str, value: str, expected: str) -> None:
    message = refused(HOME | {f"TILLSTREAM_{name}": value})
    assert f"TILLSTREAM_{name}" in message
    assert f"'{value}'" in message
    assert expected in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET", "hunter2"),
        ("CLICKHOUSE", "postgres://user:hunter2@host/"),
        ("CLICKHOUSE", "chdb://hunter2"),
    ],
)
def test_the_value_of_a_secret_is_never_shown(name: str, value: str) -> None:
    message = refused(HOME | {f"TILLSTREAM_{name}": value})
    assert f"TILLSTREAM_{name}" in message
    assert "hunter2" not in message


def test_settings_do_not_print_their_secrets() -> None:
    environ = CLUSTER | {
        "TILLSTREAM_SECRET": "hunter2hunter2hunter2",
        "TILLSTREAM_CLICKHOUSE": "http://app:hunter2@host:8123/",
        "TILLSTREAM_KAFKA_SECURITY": "sasl_ssl",
        "TILLSTREAM_KAFKA_USERNAME": "app",
        "TILLSTREAM_KAFKA_PASSWORD": "hunter2",
    }
    assert "hunter2" not in repr(Settings.from_environ(environ))


def test_an_unknown_name_is_refused_with_those_that_read_alike() -> None:
    assert "did you mean TILLSTREAM_PARTITIONS?" in refused({"TILLSTREAM_PARTITONS": "8"} | HOME)
    assert "known are TILLSTREAM_KAFKA," in refused({"TILLSTREAM_XYZ": ""} | HOME)
    assert "did you mean TILLSTREAM_STORE" in refused({"TILLSTREAM_store": "memory"} | HOME)


def test_an_empty_variable_counts_as_not_set() -> None:
    assert Settings.from_environ(HOME | {"TILLSTREAM_PARTITIONS": ""}).partitions == 4


def test_a_cluster_needs_a_secret_and_sasl_needs_a_user() -> None:
    assert "TILLSTREAM_SECRET is not set" in refused(
        HOME | {"TILLSTREAM_KAFKA": "one:9092"},
    )
    sasl = CLUSTER | {"TILLSTREAM_KAFKA_SECURITY": "sasl_plaintext"}
    assert "TILLSTREAM_KAFKA_USERNAME is not set" in refused(sasl)
    sasl["TILLSTREAM_KAFKA_USERNAME"] = "app"
    assert "TILLSTREAM_KAFKA_PASSWORD is not set" in refused(sasl)
    user, password = {"TILLSTREAM_SMTP_USERNAME": "shop"}, {"TILLSTREAM_SMTP_PASSWORD": "s3cret"}
    tls = {"TILLSTREAM_SMTP_SECURITY": "tls"}
    for incomplete in (user | password, user | tls, password | tls):
        assert "TILLSTREAM_SMTP_USERNAME" in refused(HOME | incomplete)
        assert "s3cret" not in refused(HOME | incomplete)
    assert "s3cret" not in repr(Settings.from_environ(HOME | user | password | tls))
    assert "TILLSTREAM_KAFKA is not set" in refused(HOME | {"TILLSTREAM_KAFKA_SECURITY": "ssl"})


def test_clients_get_what_they_need_to_reach_the_cluster() -> None:
    assert Settings.from_environ(CLUSTER).kafka_clients() == {
        "bootstrap_servers": ["one:9092", "two:9093"],
        "security_protocol": "PLAINTEXT",
    }
    sasl = CLUSTER | {
        "TILLSTREAM_KAFKA_SECURITY": "SASL_SSL",
        "TILLSTREAM_KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
        "TILLSTREAM_KAFKA_USERNAME": "app",
        "TILLSTREAM_KAFKA_PASSWORD": "hunter2",
    }
    arguments = Settings.from_environ(sasl).kafka_clients()
    assert arguments.pop("ssl_context") is not None
    assert arguments == {
        "bootstrap_servers": ["one:9092", "two:9093"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "app",
        "sasl_plain_password": "hunter2",
    }


def test_another_process_builds_the_same_settings_from_the_environment_it_is_given() -> None:
    for environ in (HOME, CLUSTER | {"TILLSTREAM_NAMESPACE": "shop", "TILLSTREAM_TICK_MS": "500"}):
        settings = Settings.from_environ(environ)
        assert Settings.from_environ(settings.environ()) == settings


def test_the_embedded_secret_is_generated_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    settings = Settings.from_environ({"TILLSTREAM_DATA": str(tmp_path / "new")})
    first = settings.connected_to("127.0.0.1:9092")
    assert settings.connected_to("127.0.0.1:9092").secret == first.secret
    assert first.kafka == ("127.0.0.1:9092",)
    assert stat.S_IMODE((tmp_path / "new" / "secret").stat().st_mode) == 0o600
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["secret"]


def test_an_embedded_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("sixteen characters at least")
    (tmp_path / "secret").chmod(0o644)
    settings = Settings.from_environ({"TILLSTREAM_DATA": str(tmp_path)})
    with pytest.raises(SettingsError, match="can be read by others"):
        settings.connected_to("127.0.0.1:9092")


def test_the_table_of_settings_is_up_to_date() -> None:
    written = Path(__file__).parents[2] / "docs" / "settings.md"
    assert written.read_text(encoding="utf-8") == module.table()
