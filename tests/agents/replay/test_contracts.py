"""What is public has a golden example, and what replay writes has a JSON Schema that is current."""

from pathlib import Path

import msgspec
import pytest

from agents.replay.contracts import FOLDER, LINES, schema_of
from agents.replay.written import FILES
from schemas import outputs, replay
from schemas.values import Record
from tests.scenarios.replay.golden import HERE

EXAMPLES = Path(outputs.__file__).parent / "examples"
NAMES: dict[type[msgspec.Struct], str] = {
    outputs.ProfileState: "profile-state",
    outputs.Credit: "credit",
    replay.RejectedLine: "rejected-line",
    replay.SetAside: "set-aside",
}
PUBLIC = {
    value: str(value.__struct_config__.tag)
    for value in vars(outputs).values()
    if isinstance(value, type) and issubclass(value, Record) and value is not Record
} | NAMES


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: PUBLIC[kind])
def test_the_example_of_every_public_type_comes_back_the_same(kind: type[msgspec.Struct]) -> None:
    example = (EXAMPLES / f"{PUBLIC[kind]}.1.json").read_bytes()
    decoded = msgspec.json.decode(example, type=kind)
    encoded = msgspec.json.encode(decoded)
    assert msgspec.json.format(encoded, indent=1) + b"\n" == example


@pytest.mark.parametrize("name", LINES)
def test_the_schemas_in_docs_are_those_of_the_types(name: str) -> None:
    written = (FOLDER / f"{name}.schema.json").read_bytes()
    assert written == schema_of(name), "python -m agents.replay.contracts writes them anew"


def test_every_file_has_a_schema_and_no_other() -> None:
    assert {f"{name}.jsonl" for name in LINES} == set(FILES)
    assert {path.name for path in FOLDER.iterdir()} >= {f"{name}.schema.json" for name in LINES}


@pytest.mark.parametrize("name", LINES)
def test_the_lines_of_the_scenario_are_what_the_schemas_say(name: str) -> None:
    lines = (HERE / "two-customers" / "expected" / f"{name}.jsonl").read_bytes().splitlines()
    for line in lines:
        decoded = msgspec.json.decode(line, type=LINES[name])
        assert msgspec.json.decode(msgspec.json.encode(decoded)) == msgspec.json.decode(line)
