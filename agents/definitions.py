"""Definitions in a folder: YAML 1.2 files -> plain documents and every problem with file and line.

Documents are plain JSON: numbers are numbers, everything else that YAML might read otherwise
(dates, times, yes and no) stays the text that was written. They are sorted by kind and id, so equal
folders give equal bytes.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from streams.definitions import problems as core
from streams.definitions.cost import Cost, Traffic
from streams.definitions.lint import advise, total_cost
from streams.definitions.parse import id_of, kind_of, parse
from streams.definitions.problems import show, show_path
from streams.definitions.program import Program
from streams.definitions.schema import language_schema

NODES_MAX = 100_000
"""Nodes of one file after its aliases are written out."""

DEPTH_MAX = 200
BYTES_MAX = 1_000_000


class Problem(NamedTuple):
    """file: relative to the folder. line: counted from 1; 0 where the file could not be read."""

    file: str
    line: int
    path: str
    message: str
    severity: str = "error"

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        warning = "warning: " if self.severity == "warning" else ""
        return f"{where} {warning}{f'{self.path}: ' if self.path else ''}{self.message}"


class Loaded(NamedTuple):
    """cost: of all definitions, for a profile; where advice was asked for."""

    documents: list[dict[str, Any]]
    problems: list[Problem]
    cost: Cost | None = None

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]


class _File(NamedTuple):
    """lines: path -> line of its key. problems: those of YAML itself."""

    name: str
    document: dict[str, Any] | None
    lines: dict[core.Path, int]
    problems: list[Problem]


def load(folder: Path, *, advised_by: Traffic | None = None) -> Loaded:
    """Read all `*.yaml` files below the folder, one definition each.

    advised_by: warn also of what is right and most likely not wanted, where there are no errors;
                with a traffic that knows metrics, and properties, of those that no event ever had.
    """
    if not folder.is_dir():
        return Loaded([], [Problem(str(folder), 0, "", "is not there; a folder was expected")])
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".yaml", ".yml"))
    return _load([_read(path, path.relative_to(folder).as_posix()) for path in paths], advised_by)


def load_file(
    path: Path, among: Sequence[dict[str, Any]] = (), *, advised_by: Traffic | None = None
) -> Loaded:
    """Read the definition in one file. among: what it may refer to; of another with its id, the
    file, whatever its name, takes the place. Problems are those of the file.

    advised_by: as of `load`.
    """
    if not path.is_file():
        return Loaded([], [Problem(str(path), 0, "", "there is no such file")])
    return _load([_read(path, path.name)], advised_by, among)


def _load(
    files: Sequence[_File], advised_by: Traffic | None, among: Sequence[dict[str, Any]] = ()
) -> Loaded:
    good = [file for file in files if file.document is not None]
    good.sort(key=lambda file: _order(file.document or {}))
    documents = [file.document for file in good if file.document is not None]
    problems = [problem for file in files for problem in file.problems]
    known = set(advised_by.daily) if advised_by is not None and advised_by.daily else None
    own = {_order(document) for document in documents}
    others = [document for document in among if _order(document) not in own]
    parsed = parse([*documents, *others], known_metrics=known)
    advice: list[core.Problem] = []
    cost: Cost | None = None
    if advised_by is not None and not parsed.errors:
        program = Program("", parsed.settings, parsed.definitions.values())
        advice = advise(parsed.definitions, program, advised_by)
        cost = total_cost(program, advised_by)
    for found in (*parsed.problems, *advice):
        if found.document >= len(good):
            continue
        file = good[found.document]
        problems.append(
            Problem(
                file.name,
                _line(file.lines, found.path),
                show_path(found.path),
                found.message,
                found.severity,
            )
        )
    for file in () if among else good:
        problems += _misnamed(file)
    in_order = sorted(problems, key=lambda p: (p.file, p.line, p.path, p.message))
    return Loaded(documents, in_order, cost)


def check(loaded: Loaded) -> int:
    """Print every problem of a folder. Returns: the exit code, 1 where there is an error."""
    for problem in loaded.problems:
        sys.stdout.write(f"{problem}\n")
    kinds = [kind_of(document) for document in loaded.documents]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds) if kind)
    errors = len(loaded.errors)
    warnings = len(loaded.problems) - errors
    sys.stdout.write(f"{counts or 'no definitions'}: {errors} errors, {warnings} warnings\n")
    if loaded.cost is not None and loaded.cost.features:
        features, size, timers = loaded.cost
        sys.stdout.write(
            f"they count {features} different things: by estimate {size:,} bytes and {timers:.1f} "
            "timers a day for each profile\n"
        )
    return 1 if errors else 0


def _order(document: dict[str, Any]) -> tuple[str, str]:
    return kind_of(document) or "", id_of(document)


def _line(lines: dict[core.Path, int], path: core.Path) -> int:
    """The line of the nearest part above that has one."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _misnamed(file: _File) -> Iterable[Problem]:
    """The id is the file's name; settings may be in a file of any name."""
    document = file.document or {}
    kind = kind_of(document)
    stem = Path(file.name).stem
    if kind not in (None, "store") and id_of(document) != stem:
        message = f"{show(document[str(kind)])} is not the file's name, '{stem}'"
        yield Problem(file.name, _line(file.lines, (str(kind),)), str(kind), message)


# --- YAML ----------------------------------------------------------------------------------------


def _read(path: Path, name: str) -> _File:
    try:
        content = path.read_bytes()
        if len(content) > BYTES_MAX:
            return _broken(name, 0, f"is larger than {BYTES_MAX:,} bytes")
        text = content.decode("utf-8")
        yaml = YAML(typ="rt")
        nodes = list(yaml.compose_all(text))
    except UnicodeDecodeError as error:
        return _broken(name, 0, f"is not UTF-8 at byte {error.start}")
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return _broken(name, mark.line + 1 if mark else 0, f"is not YAML: {error.problem}")
    except YAMLError as error:
        return _broken(name, 0, f"is not YAML: {error}")
    except RecursionError:
        return _broken(name, 0, "is nested too deeply")
    nodes = [node for node in nodes if node is not None]
    if len(nodes) != 1:
        line = nodes[1].start_mark.line + 1 if nodes else 0
        return _broken(name, line, f"holds {len(nodes)} definitions; one a file was expected")
    reader = _Nodes(name)
    document = reader.plain(nodes[0], ())
    if not isinstance(document, dict):
        reader.refuse(nodes[0], (), f"{show(document)} is no definition: a map was expected")
        document = None
    return _File(name, document, reader.lines, reader.problems)


def _broken(name: str, line: int, message: str) -> _File:
    return _File(name, None, {}, [Problem(name, line, "", message)])


class _Nodes:
    """Turns YAML nodes into plain data and remembers the line of every path."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[core.Path, int] = {}
        self.problems: list[Problem] = []
        self.nodes = 0

    def refuse(self, node: Node, path: core.Path, message: str) -> None:
        line = node.start_mark.line + 1
        self.problems.append(Problem(self.name, line, show_path(path), message))

    def plain(self, node: Node, path: core.Path) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        self.nodes += 1
        if self.nodes > NODES_MAX or len(path) > DEPTH_MAX:
            if self.nodes in (NODES_MAX + 1, 0) or len(path) > DEPTH_MAX:
                self.refuse(node, path[:3], "is too large, or nested too deeply")
            return None
        match node:
            case MappingNode():
                return self._map(node, path)
            case SequenceNode():
                return [self.plain(item, (*path, i)) for i, item in enumerate(node.value)]
            case ScalarNode():
                return self._scalar(node)
        return None

    def _map(self, node: MappingNode, path: core.Path) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.refuse(key, path, "a key must be a text")
                continue
            name = str(key.value)
            if name in read:
                self.refuse(key, (*path, name), f"the key '{name}' is there twice")
            self.lines[(*path, name)] = key.start_mark.line + 1
            read[name] = self.plain(value, (*path, name))
        return read

    def _scalar(self, node: ScalarNode) -> Any:
        """Numbers, true, false and null of YAML 1.2; all else is the text as written."""
        text = str(node.value)
        match str(node.tag).rpartition(":")[2]:
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return _number(int, text)
            case "float":
                return _number(float, text)
        return text


def _number(kind: type[Any], text: str) -> Any:
    """Decimal numbers that JSON keeps exactly; `0x10`, `1_000`, `.nan`, 1e999 stay text."""
    try:
        number = kind(text) if "_" not in text else text
    except ValueError:
        return text
    if isinstance(number, float):
        return number if isfinite(number) else text
    return number if isinstance(number, int) and abs(number) < 1 << 53 else text


def schema_text() -> str:
    """docs/definitions.schema.json; write it anew: python -m agents.definitions > (that file)."""
    return json.dumps(language_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
