"""The published JSON Schemas: current, complete, true of what is really written."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.cli.main import main
from agents.cli.schemas import EVENTS, HEADERS, RECORDS, SUFFIX, schemas, write, written
from schemas import outputs
from schemas.topics import STORE_EVENTS, TOPICS
from schemas.values import Record
from streams.ingest.segment import CALLS
from tests.schemas.names import structs
from tests.schemas.story import told

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
FOUND = dict(schemas())


@pytest.mark.parametrize("name", FOUND)
def test_the_schemas_in_docs_are_those_of_the_types(name: str) -> None:
    assert (FOLDER / f"{name}{SUFFIX}").read_bytes() == written(FOUND[name]), (
        "write them anew: .venv/bin/tillstream schemas --out docs/schemas"
    )


def test_docs_hold_no_schema_of_what_is_gone() -> None:
    names = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob(f"*{SUFFIX}")}
    assert names == {f"{name}{SUFFIX}" for name in FOUND}


def test_every_public_topic_has_a_schema_and_no_other() -> None:
    assert {one.name for one in TOPICS if one.public} == {STORE_EVENTS.name, *RECORDS, *HEADERS}


def test_what_is_written_to_a_topic_is_what_its_schema_says() -> None:
    seen = set()
    for _, write_ in told():
        if write_.topic in RECORDS:
            record = msgspec.json.decode(write_.value, type=RECORDS[write_.topic])
            assert json.loads(msgspec.json.encode(record)) == json.loads(write_.value)
            seen.add(record.__struct_config__.tag)
    assert {"segment-changed", "flow-triggered", "send-command", "clock", "consent-stated"} < seen


def test_every_public_record_is_in_a_schema() -> None:

    tags = {str(one.__struct_config__.tag) for one in structs(outputs, Record)}
    named = {
        tag
        for schema in FOUND.values()
        for part in schema.get("$defs", {}).values()
        for tag in part["properties"].get("type", {}).get("enum", ())
    }
    assert tags <= named


def test_the_headers_are_those_that_are_written() -> None:
    for topic, headers in HEADERS.items():
        of_topic = [
            write_
            for stumbles in (False, True)
            for _, write_ in told(stumbles=stumbles)
            if write_.topic == topic
        ]
        assert of_topic
        assert {tuple(name for name, _ in write_.headers) for write_ in of_topic} == {headers}


def test_what_is_pushed_may_have_unknown_keys_in_every_shape() -> None:
    for name in (*EVENTS, f"topics/{STORE_EVENTS.name}"):
        assert "additionalProperties" not in json.dumps(FOUND[name]).replace(
            '"additionalProperties": {}', ""
        )
    calls = FOUND["events/segment-call"]["discriminator"]["mapping"]
    assert {*calls} == {*CALLS} - {"screen", "group"}


# --- the command ---------------------------------------------------------------------------------


def test_the_command_lists_prints_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schemas"]) == 0
    assert "events/klaviyo-event" in capsys.readouterr().out
    assert main(["schemas", "topics/timeline"]) == 0
    assert json.loads(capsys.readouterr().out) == FOUND["topics/timeline"]
    assert main(["schemas", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(FOUND))
    assert main(["schemas", "--out", str(tmp_path)]) == 0
    assert {*tmp_path.rglob("*.json")} == {tmp_path / f"{name}{SUFFIX}" for name in FOUND}


def test_a_schema_that_is_not_there_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schemas", "nothing"]) == 2
    assert "no schema `nothing`" in capsys.readouterr().err


def test_one_schema_may_be_written_alone(tmp_path: Path) -> None:
    one: dict[str, Any] = {"topics/timeline": FOUND["topics/timeline"]}
    write(tmp_path, one)
    assert [path.name for path in (tmp_path / "topics").iterdir()] == ["timeline.schema.json"]
