"""The JSON Schema of every file that `tillstream replay` writes, made from the types.

python -m agents.replay.contracts        writes docs/schemas/ anew; a test compares
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from schemas.outputs import (
    Credit,
    FlowTriggered,
    IdentityConflict,
    IdentityMerged,
    NotificationRequested,
    ProfileErased,
    ProfileSplit,
    ProfileState,
    SegmentChanged,
    SendCommand,
    SendDecided,
)
from schemas.replay import RejectedLine, SetAside

LINES: Mapping[str, type[msgspec.Struct]] = MappingProxyType(
    {
        "profiles": ProfileState,
        "segment-changes": SegmentChanged,
        "flow-triggers": FlowTriggered,
        "send-commands": SendCommand,
        "send-decisions": SendDecided,
        "notifications": NotificationRequested,
        "identity-merges": IdentityMerged,
        "identity-conflicts": IdentityConflict,
        "identity-erasures": ProfileErased,
        "identity-splits": ProfileSplit,
        "rejected": RejectedLine,
        "credits": Credit,
        "dead-letters": SetAside,
    }
)
"""file (without .jsonl) -> what a line of it is."""

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(name: str) -> bytes:
    """The JSON Schema of the lines of a file."""
    schema: dict[str, Any] = {
        "$schema": DIALECT,
        "title": f"A line of {name}.jsonl",
        **msgspec.json.schema(LINES[name]),
    }
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def write() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    for name in LINES:
        (FOLDER / f"{name}.schema.json").write_bytes(schema_of(name))


if __name__ == "__main__":
    write()
