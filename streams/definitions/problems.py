"""What is wrong with a definition, and where."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple, TypeAlias

Path: TypeAlias = tuple[str | int, ...]


class Problem(NamedTuple):
    """path: from the top of the document. message: what was found and what was expected."""

    path: Path
    message: str
    severity: Literal["error", "warning"] = "error"
    document: int = 0


class DefinitionsError(ValueError):
    """Definitions that cannot be compiled, with every problem found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{show_path(p.path)}: {p.message}" for p in self.problems))


def show_path(path: Path) -> str:
    """`steps[1].wait`."""
    shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return shown.removeprefix(".")


def show(found: Any) -> str:
    """What was found, as a person would point at it."""
    match found:
        case None:
            return "nothing"
        case bool():
            return "true" if found else "false"
        case dict():
            return "a map" if found else "an empty map"
        case list():
            return "a list" if found else "an empty list"
        case str():
            return f"'{found}'" if len(found) <= 80 else f"'{found[:77]}...'"
        case _:
            return str(found)


def near(found: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """`; did you mean 'x'?`, or nothing where no known name is near."""
    by_case = {name.casefold(): name for name in sorted(known, reverse=True)}
    folded = found.casefold()
    matches = [folded] if folded in by_case else []
    matches = matches or get_close_matches(folded, list(by_case), n=3, cutoff=likeness)
    if not matches:
        return ""
    return "; did you mean " + " or ".join(f"'{by_case[match]}'" for match in matches) + "?"
