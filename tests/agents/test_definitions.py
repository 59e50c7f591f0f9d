"""A folder of definitions: documents that survive JSON, and problems with file and line."""

import json
from pathlib import Path

import pytest

from agents.definitions import check, load, load_file, schema_text

CART = """\
# a comment
flow: cart
trigger: {did: Started Checkout, where: {value: "> 0"}}
steps:
  - wait: 1h

  - send: cart-1
    channel: email
    template: cart
  - wait: 4 hous
  - split:
      where: {trait: country, is: NO}
      then: [{wiat: 3d}]
"""


def write(folder: Path, name: str, text: str | bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def test_problems_are_printed_with_file_line_and_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "flows/cart.yaml", CART)
    no_duration = (
        """'4 hous' is not a duration such as 4h or 3d; {until: "15:00"} is possible, too"""
    )
    assert check(load(tmp_path)) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"flows/cart.yaml:10 steps[2].wait: {no_duration}",
        "flows/cart.yaml:13 steps[3].split.then[0]: 'wiat' is not a step; did you mean 'wait'?",
        "1 flow: 2 errors, 0 warnings",
    ]


def test_documents_are_plain_and_survive_json(tmp_path: Path) -> None:
    text = (
        "segment: s\n"
        "where:\n"
        "  all:\n"
        "    - {did: A, after: 2026-01-01, times: 2}\n"
        "    - {trait: on, is: [NO, yes, 0.10, 007, 1_000, 15:00, true, 12345678901234567890]}\n"
        "    - {trait: at, is: 2026-01-01T10:00:00Z}\n"
    )
    write(tmp_path, "s.yaml", text)
    write(tmp_path, "a/l.yaml", "list: l\n")
    loaded = load(tmp_path)
    assert loaded.problems == []
    assert json.loads(json.dumps(loaded.documents)) == loaded.documents
    assert [next(iter(document)) for document in loaded.documents] == ["list", "segment"]
    assert loaded.documents[1]["where"]["all"] == [
        {"did": "A", "after": "2026-01-01", "times": 2},
        {
            "trait": "on",
            "is": ["NO", "yes", 0.1, 7, "1_000", "15:00", True, "12345678901234567890"],
        },
        {"trait": "at", "is": "2026-01-01T10:00:00Z"},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"segment: \xff", "s.yaml is not UTF-8 at byte 9"),
        ("segment: [", "s.yaml:1 is not YAML"),
        ("segment: s\nsegment: t\n", "s.yaml:2 segment: the key 'segment' is there twice"),
        ("- a\n", "s.yaml:1 a list is no definition: a map was expected"),
        ("segment: s\n---\nlist: l\n", "s.yaml:3 holds 2 definitions; one a file was expected"),
        ("", "s.yaml holds 0 definitions; one a file was expected"),
        ("segment: t\nwhere: {did: A}\n", "s.yaml:1 segment: 't' is not the file's name, 's'"),
        ("segment: s\nwhere: {did: A, times: .nan}\n", "s.yaml:2 where.times: '.nan' is not a com"),
        ("segment: s\nwhere: {did: A, times: 1e999}\n", "s.yaml:2 where.times: '1e999' is not a"),
        ("segment: s\nwhere: {[a]: 1}\n", "s.yaml:2 where: a key must be a text"),
        ("segment: s\nwhere: " + "{all: [" * 150 + "]}" * 150, "s.yaml:2 where.all[0].all[0]"),
        ("a: &a [x, x]\nb: &b [*a, *a]\n" * 1, "s.yaml:1 'a' is no kind of definition"),
    ],
)
def test_what_is_no_definition_is_said_and_stops_nothing(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    write(tmp_path, "s.yaml", text)
    write(tmp_path, "l.yaml", "list: l\n")
    loaded = load(tmp_path)
    assert [str(problem) for problem in loaded.problems if str(problem).startswith(message)], [
        str(problem)[:300] for problem in loaded.problems
    ]
    assert {"list": "l"} in loaded.documents


def test_aliases_that_multiply_are_cut_short(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]" for i in range(8)]
    write(tmp_path, "s.yaml", "\n".join(lines))
    assert "too large" in " ".join(str(problem) for problem in load(tmp_path).problems)


def test_a_missing_folder_is_a_problem(tmp_path: Path) -> None:
    assert check(load(tmp_path / "none")) == 1


def test_the_published_schema_is_current() -> None:
    published = Path(__file__).parents[2] / "docs" / "definitions.schema.json"
    assert published.read_text("utf-8") == schema_text(), (
        "write it anew: .venv/bin/python -m agents.definitions > docs/definitions.schema.json"
    )


def test_a_draft_among_others_takes_the_place_of_its_former_self(tmp_path: Path) -> None:
    there = [
        {"segment": "vip", "where": {"in_segment": "gone"}},
        {"segment": "gold", "where": {"did": "A"}},
    ]
    draft = tmp_path / "draft.yaml"
    draft.write_text("segment: vip\nwhere:\n  all:\n    - {in_segment: gold}\n")
    assert not load_file(draft, there).problems
    draft.write_text("segment: vip\nwhere:\n  all:\n    - {in_segment: gold, fro: 3d}\n")
    (problem,) = load_file(draft, there).problems
    assert str(problem).startswith("draft.yaml:4 where.all[0].fro: 'fro' is no key")
