"""Settings: one frozen object, built once at start from the `TILLSTREAM_*` variables.

In: an environment. Out: `Settings`, or a `SettingsError` that names the variable, its value (never
a secret's) and what is expected. Nothing else in the project reads the environment for settings.
The table in `docs/settings.md` is made from the declarations below (`table`).
"""

import difflib
import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any, Literal, cast, get_args

import phonenumbers

PREFIX = "TILLSTREAM_"
SECRET_CHARACTERS_MIN = 16
SESSION_SECONDS = 30
SESSION_SECONDS_EMBEDDED = 10

Security = Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]
SmtpSecurity = Literal["plaintext", "starttls", "tls"]
Store = Literal["memory", "rocksdb"]
LogLevel = Literal["debug", "info", "warning", "error"]


class SettingsError(Exception):
    """A setting is bad, missing or unknown; the message says which and what is expected."""


@dataclass(frozen=True)
class Declared:
    """How one setting is read and what is said about it."""

    meaning: str
    expected: str
    parse: Callable[[str], Any]
    default: str
    secret: bool = False


def setting(
    default: Any,
    parse: Callable[[str], Any],
    *,
    expected: str,
    meaning: str,
    shown: str | None = None,
    secret: bool = False,
) -> Any:
    """Declare one setting. shown: how the default reads in the table, if not as its value does."""
    declared = Declared(meaning, expected, parse, str(default) if shown is None else shown, secret)
    return field(default=default, repr=not secret, metadata={"declared": declared})


def addresses(text: str) -> tuple[str, ...]:
    """Read `host:port,host:port`."""
    found = tuple(part.strip() for part in text.split(","))
    for address in found:
        host, _, port = address.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if not host or (":" in host and not bracketed) or not 1 <= int(port) <= 65_535:
            raise ValueError
    return found


def clickhouse_dsn(text: str) -> str:
    """Read the address of a database: `chdb:///folder` or `http(s)://user:password@host:port/`."""
    scheme, _, rest = text.partition("://")
    if scheme not in {"chdb", "http", "https"} or not rest:
        raise ValueError
    if scheme == "chdb" and (not rest.startswith("/") or len(rest) < 2):
        raise ValueError
    return text


def namespace_name(text: str) -> str:
    """Read what goes in front of every topic, consumer group and transactional id."""
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789-")
    if not set(text) <= allowed or text != text.strip("-") or len(text) > 60:
        raise ValueError
    return text


def slot_name(text: str) -> str:
    """Read the name of a worker's place: a folder, and part of an id in the cluster."""
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}", text):
        raise ValueError
    return text


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Make a reader for whole numbers from `low` to `high`, both included."""

    def read(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError
        return number

    return read


def one_of(kind: Any) -> Callable[[str], str]:
    """Make a reader for the values of a `Literal`, in any case."""
    values = get_args(kind)

    def read(text: str) -> str:
        if text.lower() not in values:
            raise ValueError
        return text.lower()

    return read


def path(text: str) -> Path:
    """Read a path; `~` is the home folder."""
    if not text:
        raise ValueError
    return Path(text).expanduser().absolute()


def secret_text(text: str) -> str:
    """Read the key of all derived ids."""
    if len(text) < SECRET_CHARACTERS_MIN:
        raise ValueError
    return text


def region(text: str) -> str:
    """Read a country by its two letters, or nothing."""
    code = text.upper()
    if code and code not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError
    return code


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a deployment may choose. Built by `Settings.from_environ`."""

    kafka: tuple[str, ...] | None = setting(
        None,
        addresses,
        expected="host:port, several with commas between",
        meaning="The Kafka cluster. Without it an embedded broker is started below `data`.",
        shown="embedded broker",
    )
    kafka_security: Security = setting(
        "plaintext",
        one_of(Security),
        expected="plaintext, ssl, sasl_plaintext or sasl_ssl",
        meaning="How the cluster is spoken to.",
    )
    kafka_sasl_mechanism: str = setting(
        "scram-sha-512",
        one_of(Literal["plain", "scram-sha-256", "scram-sha-512"]),
        expected="plain, scram-sha-256 or scram-sha-512",
        meaning="How user and password are proved (with `sasl_...` security).",
    )
    kafka_username: str | None = setting(
        None, str, expected="a name", meaning="The user (with `sasl_...` security).", shown="none"
    )
    kafka_password: str | None = setting(
        None,
        str,
        expected="a password",
        meaning="Its password (with `sasl_...` security).",
        shown="none",
        secret=True,
    )
    kafka_ssl_cafile: Path | None = setting(
        None,
        path,
        expected="a file of certificates in PEM form",
        meaning="Whom to trust (with `ssl` or `sasl_ssl`).",
        shown="the system's own",
    )
    clickhouse: str | None = setting(
        None,
        clickhouse_dsn,
        expected="chdb:///folder or http(s)://user:password@host:port/",
        meaning="The database. Without it the embedded engine keeps its files below `data`.",
        shown="embedded engine",
        secret=True,
    )
    smtp_security: SmtpSecurity = setting(
        "plaintext",
        one_of(SmtpSecurity),
        expected="plaintext, starttls or tls",
        meaning="How the sender speaks to its relay: `starttls` mostly on port 587, `tls` on 465.",
    )
    smtp_username: str | None = setting(
        None, str, expected="a name", meaning="The user at the relay (with TLS).", shown="none"
    )
    smtp_password: str | None = setting(
        None, str, expected="a password", meaning="Its password.", shown="none", secret=True
    )
    smtp_cafile: Path | None = setting(
        None,
        path,
        expected="a file of certificates in PEM form",
        meaning="Whom to trust as the relay.",
        shown="the system's own",
    )
    namespace: str = setting(
        "",
        namespace_name,
        expected="up to 60 of a-z, 0-9 and -, no - at the ends",
        meaning="Stands before every topic, group and transactional id: `shop-store-events`.",
        shown="none",
    )
    data: Path = setting(
        MISSING,
        path,
        expected="a folder (it is made if it is not there)",
        meaning="Where the embedded services, local stores and the generated secret are kept.",
        shown="$XDG_DATA_HOME/tillstream or ~/.local/share/tillstream",
    )
    secret: str | None = setting(
        None,
        secret_text,
        expected=f"at least {SECRET_CHARACTERS_MIN} characters",
        meaning="The key all ids are derived with; must never change in the life of a deployment.",
        shown="embedded broker: generated once into `<data>/secret`; real cluster: none, required",
        secret=True,
    )
    partitions: int = setting(
        4,
        whole_number(1, 256),
        expected="1 to 256",
        meaning="Partitions of every partitioned topic; fixed once the topics exist.",
    )
    tick_ms: int = setting(
        250,
        whole_number(50, 60_000),
        expected="50 to 60000",
        meaning="Milliseconds between two ticks; an event waits for half of it on average.",
    )
    store: Store = setting(
        "memory",
        one_of(Store),
        expected="memory or rocksdb",
        meaning="Where a worker keeps its rows: in memory, read anew from the changelog at every "
        "start; or below `data`, where a start reads only what came since (needs `slot`).",
    )
    slot: str | None = setting(
        None,
        slot_name,
        expected="up to 100 of a-z, A-Z, 0-9, ., _ and -, first a letter or digit",
        meaning="The name of this worker's place: the same after every restart, and never that of "
        "two at once. Its partitions wait for it while it starts again, for as long as the "
        "session. `up` gives each worker `<slot>-<number>`.",
        shown="none; with the embedded broker `up` numbers its workers",
    )
    workers: int = setting(
        1,
        whole_number(1, 64),
        expected="1 to 64",
        meaning="Worker processes that `tillstream up` starts.",
    )
    session_timeout_s: int | None = setting(
        None,
        whole_number(1, 1_800),
        expected="1 to 1800",
        meaning="Seconds after which a silent worker's partitions go to the others.",
        shown="30; with the embedded broker 10",
    )
    default_region: str = setting(
        "",
        region,
        expected="two letters, such as GB, or nothing",
        meaning="The country of phone numbers that are written without one.",
        shown="none: such numbers are refused",
    )
    metrics_port: int = setting(
        0,
        whole_number(0, 65_535),
        expected="0 to 65535",
        meaning="The port of `/metrics`; 0 takes a free one.",
    )
    log_level: LogLevel = setting(
        "info",
        one_of(LogLevel),
        expected="debug, info, warning or error",
        meaning="The least important line that is logged.",
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Build the settings from the `TILLSTREAM_*` variables of `environ`.

        An empty variable counts as not set. `XDG_DATA_HOME` and `HOME` give the default of `data`.

        Raises: SettingsError, for the first variable that is unknown, bad or missing.
        """
        declared = declarations()
        values: dict[str, Any] = {"data": default_data(environ)}
        for variable, text in sorted(environ.items()):
            if not variable.startswith(PREFIX):
                continue
            name = variable.removeprefix(PREFIX).lower()
            if name not in declared or variable != variable.upper():
                raise SettingsError(unknown(variable, declared))
            if text:
                values[name] = read(variable, text, declared[name])
        settings = cls(**values)
        settings.check_together()
        return settings

    def environ(self) -> dict[str, str]:
        """Return the variables from which another process builds the same settings."""
        texts = {
            name: ",".join(value) if isinstance(value, tuple) else str(value)
            for name in declarations()
            if (value := getattr(self, name)) is not None
        }
        return {PREFIX + name.upper(): text for name, text in texts.items()}

    @property
    def embedded_kafka(self) -> bool:
        """No cluster is named: the broker is ours to start."""
        return self.kafka is None

    @property
    def secret_bytes(self) -> bytes:
        """The key of all derived ids, for `streams.ids.Ids`."""
        assert self.secret is not None, "the embedded secret comes with settings.connected_to(...)"
        return self.secret.encode()

    @property
    def session_seconds(self) -> int:
        """The session of a worker."""
        return SESSION_SECONDS if self.session_timeout_s is None else self.session_timeout_s

    @property
    def uses_sasl(self) -> bool:
        """User and password are asked for by the cluster."""
        return self.kafka_security.startswith("sasl_")

    def check_together(self) -> None:
        """Check what no setting shows alone.

        Raises: SettingsError.
        """
        if self.kafka is not None and self.secret is None:
            raise SettingsError(
                f"{PREFIX}SECRET is not set; with {PREFIX}KAFKA it must be: "
                f"at least {SECRET_CHARACTERS_MIN} characters, the same in every process, for ever"
            )
        for name in ("kafka_username", "kafka_password"):
            if self.uses_sasl and getattr(self, name) is None:
                raise SettingsError(
                    f"{PREFIX}{name.upper()} is not set; "
                    f"{PREFIX}KAFKA_SECURITY={self.kafka_security} needs it"
                )
        if self.kafka is not None and self.store == "rocksdb" and self.slot is None:
            raise SettingsError(
                f"{PREFIX}SLOT is not set; {PREFIX}STORE=rocksdb needs it: the rows of a worker "
                "are found again by the name of its place"
            )
        login = {self.smtp_username is None, self.smtp_password is None}
        if login != {True} and (len(login) > 1 or self.smtp_security == "plaintext"):
            raise SettingsError(f"{PREFIX}SMTP_USERNAME needs _PASSWORD, and TLS by _SECURITY")
        if self.kafka is None and self.kafka_security != "plaintext":
            raise SettingsError(
                f"{PREFIX}KAFKA_SECURITY is '{self.kafka_security}', but {PREFIX}KAFKA is not set; "
                "the embedded broker speaks plaintext on this machine only"
            )

    def connected_to(self, *brokers: str) -> "Settings":
        """Return the same settings, with `brokers` (the embedded one, started) as the cluster.

        The secret of the embedded default is read, or generated at the first start, on the way.
        """
        return replaced(
            self,
            kafka=brokers,
            secret=self.secret or kept_secret(self.data),
            session_timeout_s=self.session_timeout_s or SESSION_SECONDS_EMBEDDED,
        )

    def kafka_clients(self) -> dict[str, Any]:
        """Return the keyword arguments that every aiokafka client needs to reach the cluster."""
        assert self.kafka is not None, "start the embedded broker first: settings.connected_to(...)"
        arguments: dict[str, Any] = {
            "bootstrap_servers": list(self.kafka),
            "security_protocol": self.kafka_security.upper(),
        }
        if self.kafka_security in {"ssl", "sasl_ssl"}:
            from aiokafka.helpers import create_ssl_context

            cafile = None if self.kafka_ssl_cafile is None else str(self.kafka_ssl_cafile)
            arguments["ssl_context"] = create_ssl_context(cafile=cafile)
        if self.uses_sasl:
            arguments["sasl_mechanism"] = self.kafka_sasl_mechanism.upper()
            arguments["sasl_plain_username"] = self.kafka_username
            arguments["sasl_plain_password"] = self.kafka_password
        return arguments

    def kafka_readers(self) -> dict[str, Any]:
        """Return the keyword arguments of a reader of topics: what was committed, from the
        beginning, acknowledging nothing by itself.
        """
        return {
            **self.kafka_clients(),
            "isolation_level": "read_committed",
            "auto_offset_reset": "earliest",
            "enable_auto_commit": False,
        }


def declarations() -> dict[str, Declared]:
    """Return every setting by its field's name, in the order of the table."""
    return {field.name: cast(Declared, field.metadata["declared"]) for field in fields(Settings)}


def read(variable: str, text: str, declared: Declared) -> Any:
    """Read one value.

    Raises: SettingsError.
    """
    try:
        return declared.parse(text)
    except ValueError:
        said = "has a value that cannot be used" if declared.secret else f"is '{text}'"
        raise SettingsError(f"{variable} {said}; expected: {declared.expected}") from None


def unknown(variable: str, declared: Mapping[str, Declared]) -> str:
    """Say that there is no such variable, and which ones read alike."""
    name = variable.removeprefix(PREFIX).lower()
    near = [PREFIX + known.upper() for known in difflib.get_close_matches(name, declared)]
    known = [PREFIX + known.upper() for known in declared]
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"
    return f"{variable} is not a setting; {hint}"


def default_data(environ: Mapping[str, str]) -> Path:
    """Return the folder for data by the XDG rules: a relative `XDG_DATA_HOME` is ignored."""
    base = environ.get("XDG_DATA_HOME", "")
    if base.startswith("/"):
        return Path(base) / "tillstream"
    home = environ.get("HOME")
    return (Path(home) if home else Path.home()) / ".local" / "share" / "tillstream"


def kept_secret(data: Path) -> str:
    """Return the secret in `<data>/secret`; generate it, readable by its owner only, if missing.

    Written beside and linked into place, so of several processes that start at once all see one.

    Raises: SettingsError, where the file is too short or readable by others.
    """
    file = data / "secret"
    if not file.exists():
        data.mkdir(parents=True, exist_ok=True)
        draft = data / f"secret.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(secrets.token_urlsafe(32))
        try:
            file.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    if file.stat().st_mode & 0o077:
        raise SettingsError(f"{file} can be read by others; expected: chmod 600")
    secret = file.read_text().strip()
    if len(secret) < SECRET_CHARACTERS_MIN:
        raise SettingsError(f"{file} holds less than {SECRET_CHARACTERS_MIN} characters")
    return secret


def table() -> str:
    """Return `docs/settings.md`."""
    rows = "\n".join(
        f"| `{PREFIX}{name.upper()}` | {declared.meaning} | {declared.expected} | "
        f"{declared.default} |"
        for name, declared in declarations().items()
    )
    return (
        "# Settings\n\n"
        "Every process reads these variables once, at its start. One that is unknown, bad or "
        "missing stops\nthe start and is named. An empty variable counts as not set.\n\n"
        "Made by `python -m agents.settings > docs/settings.md`; a test compares.\n\n"
        "| variable | what it is | expected | default |\n|---|---|---|---|\n"
        f"{rows}\n"
    )


if __name__ == "__main__":
    sys.stdout.write(table())
