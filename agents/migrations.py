"""Migrations: the numbered SQL files of `schemas/clickhouse/`, applied in order, remembered.

In: a client of the namespace's database. Out: the tables and views as this version needs them.
"""

from hashlib import sha256
from importlib.resources import files

import msgspec
from clickhouse_connect.driver.client import Client

REMEMBERED = """
CREATE TABLE IF NOT EXISTS migrations (number UInt32, name String, checksum String)
ENGINE = ReplacingMergeTree ORDER BY number
"""


class MigrationError(Exception):
    """The database and this version do not fit together; the message says how."""


class Migration(msgspec.Struct, frozen=True):
    """One file. checksum: of its text; an applied file never changes."""

    number: int
    name: str
    checksum: str
    statements: tuple[str, ...]


def migrations() -> list[Migration]:
    """Read the files, in order; a statement ends with `;` at the end of a line."""
    found = []
    for file in files("schemas.clickhouse").iterdir():
        if file.name.endswith(".sql"):
            text = file.read_text(encoding="utf-8")
            parts = (part.strip() for part in f"{text}\n".split(";\n"))
            checksum = sha256(text.encode()).hexdigest()[:16]
            number = int(file.name.split("_", 1)[0])
            found.append(Migration(number, file.name, checksum, tuple(filter(None, parts))))
    found.sort(key=lambda migration: migration.number)
    assert [one.number for one in found] == list(range(1, len(found) + 1)), "no gap, none twice"
    return found


def missing(client: Client) -> list[Migration]:
    """What this version needs and the database does not have yet, in order.

    Raises: MigrationError where the database is newer than this version, or an applied file was
            changed since.
    """
    rows = client.query("SELECT number, name, checksum FROM migrations FINAL").result_rows
    applied = {number: (name, checksum) for number, name, checksum in rows}
    known = migrations()
    if applied and max(applied) > len(known):
        raise MigrationError(
            f"the database has migration {applied[max(applied)][0]}, "
            f"this version ends with {known[-1].name}: use the newer version"
        )
    for migration in known:
        if applied.get(migration.number, ("", migration.checksum))[1] != migration.checksum:
            raise MigrationError(f"{migration.name} was changed after it had been applied")
    return [migration for migration in known if migration.number not in applied]


def migrate(client: Client) -> list[str]:
    """Apply what is missing; return the names of what was applied.

    Statements may be run twice (a process that ends in the middle of a file, two that start at
    once), so each says `IF NOT EXISTS` or `OR REPLACE`.

    Raises: MigrationError, as `missing` does.
    """
    client.command(REMEMBERED)
    done = []
    for migration in missing(client):
        for statement in migration.statements:
            client.command(statement)
        remembered = [[migration.number, migration.name, migration.checksum]]
        client.insert("migrations", remembered, column_names=["number", "name", "checksum"])
        done.append(migration.name)
    return done
