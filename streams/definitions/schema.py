"""The language as JSON Schema, from the very tables that read it: editors complete and check.

What the schema cannot say (references, one window a leaf, message names) `definitions check` does.
"""

from typing import Any

from streams.definitions.conditions import CONDITION, LEAVES
from streams.definitions.flows import STEP, STEP_SHAPES
from streams.definitions.parse import KINDS
from streams.definitions.shapes import Keyed
from streams.definitions.values import Where


def language_schema() -> dict[str, Any]:
    """One document: a definition of any kind."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "definitions.schema.json",
        "title": "A definition of Tillstream",
        "description": "A store, a list, a segment, a flow or a campaign: one a file.",
        **Keyed("a definition", KINDS).schema(),
        "$defs": {
            CONDITION.name: Keyed("a condition", LEAVES).schema(),
            "where": Where().full_schema(),
            STEP.name: Keyed("a step", STEP_SHAPES).schema(),
        },
    }
