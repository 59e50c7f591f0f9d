"""The parts of docs/topics.md that are made: the table of topics, a real record of every type.

.venv/bin/python -m tests.schemas.topics_page      writes them anew
"""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from schemas.topics import DAY, MIB, TOPICS, Topic
from tests.schemas.story import told

PAGE = Path(__file__).parents[2] / "docs" / "topics.md"
EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
MADE = "<!-- made: {} -->"
END = "<!-- end -->"

Record = dict[str, object]


def page(written: str) -> str:
    """The page with its made parts as they must be now."""
    parts = {"topics": table(), **dict(examples())}

    def made(found: re.Match[str]) -> str:
        return f"{found[1]}\n{parts[found[2]]}\n{END}"

    return re.sub(rf"(<!-- made: (\S+) -->)\n.*?{END}", made, written, flags=re.DOTALL)


def table() -> str:
    """A row a topic, in the order of the path."""
    head = "| topic | key | value | written by | read by | kept | largest |\n"
    return f"{head}|---|---|---|---|---|---|---|\n" + "\n".join(
        f"| `{one.name}`{'' if one.public else ' (inner)'} | {quoted(one.key)} | {one.value} | "
        f"{', '.join(one.writers)} | {', '.join(one.readers)} | {kept(one)} | "
        f"{one.max_bytes // MIB} MiB |"
        for one in TOPICS
    )


def quoted(key: str) -> str:
    """`position/<partition>` as code, or Markdown takes it for HTML."""
    return re.sub(r"(?<!`)\b\w+/<\w+>", r"`\g<0>`", key)


def kept(topic: Topic) -> str:
    """How long a record stays."""
    if topic.compacted:
        return "the newest of each key (compacted)"
    return "for ever" if topic.retention_ms is None else f"{topic.retention_ms // DAY} days"


def examples() -> Iterator[tuple[str, str]]:
    """(name, record as JSON) of the first record of each type; of decisions, of each outcome; of
    what no station writes, the golden example.
    """
    for name in ("definitions-announced", "sends-switched", "population-stated"):
        record: Record = msgspec.json.decode((EXAMPLES / f"{name}.1.json").read_bytes())
        yield name, f"```json\n{shown(record)}\n```"
    seen = set()
    for _, write in told():
        if not write.value.startswith(b'{"type"'):
            continue
        record = msgspec.json.decode(write.value)
        name = str(record["type"])
        if name == "send-decided":
            name = f"{name}-{record['outcome']}"
        if name == "clock":
            name = f"clock-of-{write.topic}"
        if name not in seen:
            seen.add(name)
            yield name, f"```json\n{shown(record)}\n```"


def shown(record: Record) -> str:
    """One field a line, what is inside of a field on its line."""
    lines = (f"  {_json(name)}: {_json(value)}" for name, value in record.items())
    return "{\n" + ",\n".join(lines) + "\n}"


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
