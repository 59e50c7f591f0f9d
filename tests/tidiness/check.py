"""Tidiness that the linter does not know: long functions, long files, rooms with empty names.

    python tests/tidiness/check.py agents streams schemas tests

Prints one line per finding (`path:line: what`), ends with 1 if there is any.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
COLUMNS_MAX = 100
# A function lives at its station; these names say nothing about where that is.
EMPTY_NAMES = frozenset({"util", "utils", "common", "helper", "helpers", "misc", "shared"})
WIDTH_CHECKED = frozenset({".py", ".sql", ".sh", ".yml", ".yaml", ".toml"})


def main(folders: list[str]) -> int:
    """Check every file below `folders`; return the exit code."""
    findings = sorted(finding for folder in folders for finding in findings_below(Path(folder)))
    for finding in findings:
        print(finding)
    return 1 if findings else 0


def findings_below(folder: Path) -> Iterator[str]:
    """Yield what is untidy in `folder` and below, caches left out."""
    for path in folder.rglob("*"):
        if "__pycache__" in path.parts:
            continue
        if path.stem.lower() in EMPTY_NAMES:
            yield f"{path}:1: the name '{path.stem}' says nothing: name it after its station"
        if path.is_file() and path.suffix in WIDTH_CHECKED:
            yield from findings_in(path, path.read_text(encoding="utf-8"))


def findings_in(path: Path, text: str) -> Iterator[str]:
    """Yield what is untidy in one file."""
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if len(line) > COLUMNS_MAX:
            yield f"{path}:{number}: {len(line)} columns, at most {COLUMNS_MAX}"
    if path.suffix != ".py":
        return
    if len(lines) > FILE_LINES_MAX:
        yield f"{path}:1: {len(lines)} lines, at most {FILE_LINES_MAX}"
    for node in ast.walk(ast.parse(text, str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield (
                    f"{path}:{node.lineno}: {node.name} has {length} lines, "
                    f"at most {FUNCTION_LINES_MAX}"
                )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
