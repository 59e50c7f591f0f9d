"""The library of flows as a shop takes it: one flow, copied with what it refers to."""

from pathlib import Path

from agents.definitions import load
from streams.definitions.parse import id_of, kind_of, parse
from streams.definitions.references import named_in, walk

LIBRARY = Path(__file__).parents[2] / "deploy" / "definitions" / "library"
SETTINGS = LIBRARY / "main.yaml"
FLOWS = tuple(sorted(path.stem for path in (LIBRARY / "flows").glob("*.yaml")))


def copied(flow: str) -> str:
    """The flow, what it needs, and the settings: one YAML stream."""
    return "\n---\n".join(path.read_text() for path in [*files_of(flow), SETTINGS])


def files_of(flow: str) -> list[Path]:
    """What has to be copied for a flow to work, the flow first."""
    documents = load(LIBRARY).documents
    definitions = parse(documents).definitions
    files = {
        _file(str(kind_of(document)), id_of(document)): definitions[number]
        for number, document in enumerate(documents)
        if kind_of(document) != "store"
    }
    found = [_file("flow", flow)]
    for path in found:
        named = [name for part, _ in walk(files[path]) for name in named_in(part)]
        found += [
            file for file in dict.fromkeys(_file(*name) for name in named) if file not in found
        ]
    return found


def _file(kind: str, name: str) -> Path:
    return LIBRARY / f"{kind}s" / f"{name}.yaml"
