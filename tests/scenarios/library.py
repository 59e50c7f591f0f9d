"""The library as a shop takes it: one flow or segment, copied with what it refers to."""

from functools import cache
from pathlib import Path

from agents.definitions import load
from schemas.definitions import Definition, StoreSettings
from streams.definitions.parse import id_of, kind_of, parse
from streams.definitions.references import named_in, walk

LIBRARY = Path(__file__).parents[2] / "deploy" / "definitions" / "library"
SETTINGS = LIBRARY / "main.yaml"
FLOWS = tuple(sorted(path.stem for path in (LIBRARY / "flows").glob("*.yaml")))
SEGMENTS = tuple(sorted(path.stem for path in (LIBRARY / "segments").glob("*.yaml")))


def copied(name: str, kind: str = "flow") -> str:
    """The flow or segment, what it needs, and the settings: one YAML stream."""
    return "\n---\n".join(path.read_text() for path in [*files_of(name, kind), SETTINGS])


def files_of(name: str, kind: str = "flow") -> list[Path]:
    """What has to be copied for a flow or segment to work, itself first."""
    written = definitions()
    found = [_file(kind, name)]
    for path in found:
        named = dict.fromkeys(name for part, _ in walk(written[path]) for name in named_in(part))
        found += [file for file in (_file(*name) for name in named) if file not in found]
    return found


@cache
def definitions() -> dict[Path, Definition]:
    """File -> the definition in it, settings left out."""
    documents = load(LIBRARY).documents
    return {
        _file(str(kind_of(documents[number])), id_of(documents[number])): definition
        for number, definition in parse(documents).definitions.items()
        if not isinstance(definition, StoreSettings)
    }


def _file(kind: str, name: str) -> Path:
    return LIBRARY / f"{kind}s" / f"{name}.yaml"
