"""The tidiness check finds what it is there for, and nothing else."""

import runpy
from pathlib import Path

CHECK = runpy.run_path(str(Path(__file__).parent / "check.py"))


def findings(folder: Path) -> list[str]:
    return sorted(line.removeprefix(f"{folder}/") for line in CHECK["findings_below"](folder))


def test_a_tidy_file_is_not_mentioned(tmp_path: Path) -> None:
    (tmp_path / "gates.py").write_text("def decide() -> None:\n    return None\n")
    assert findings(tmp_path) == []


def test_a_long_function_a_long_file_and_a_wide_line_are_named(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("def f() -> None:\n" + "    f()\n" * 70 + "#\n" * 430)
    (tmp_path / "wide.sql").write_text("SELECT 1\n-- " + "x" * 98 + "\n")
    assert findings(tmp_path) == [
        "long.py:1: 501 lines, at most 500",
        "long.py:1: f has 71 lines, at most 70",
        "wide.sql:2: 101 columns, at most 100",
    ]


def test_rooms_with_empty_names_are_named(tmp_path: Path) -> None:
    (tmp_path / "utils").mkdir()
    (tmp_path / "utils" / "helpers.py").write_text('"""Nothing."""\n')
    assert {line.split(":")[0] for line in findings(tmp_path)} == {"utils", "utils/helpers.py"}
