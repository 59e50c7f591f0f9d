"""A flow as blocks: what is drawn, whatever it is drawn with."""

from collections.abc import Sequence

import msgspec

from schemas import definitions as d
from streams.flows.plan import branches
from streams.flows.words import branch_words, entry_words, step_words, trigger_words


class Block(msgspec.Struct, frozen=True):
    """One box. kind: `trigger`, or the tag of the step (`send`, `wait-for`, `split`).

    lines:    a headline, then the rest.
    branches: (when it is taken, what is in it); they come together again after the block.
    ends:     nothing follows.
    """

    kind: str
    lines: tuple[str, ...]
    branches: tuple[tuple[str, tuple["Block", ...]], ...] = ()
    ends: bool = False


def blocks_of(flow: d.Flow) -> tuple[Block, ...]:
    """The blocks of a flow from top to bottom, its trigger first."""
    lines = (trigger_words(flow.trigger), *entry_words(flow))
    return (Block("trigger", lines), *_blocks(flow.steps))


def _blocks(steps: Sequence[d.Step]) -> tuple[Block, ...]:
    return tuple(
        Block(
            kind=str(step.__struct_config__.tag),
            lines=tuple(step_words(step)),
            branches=tuple(
                (branch_words(step, name), _blocks(branch))
                for name, branch in branches(step).items()
            ),
            ends=isinstance(step, d.Exit),
        )
        for step in steps
    )


def outline(blocks: Sequence[Block], indent: str = "") -> list[str]:
    """A flow as indented lines."""
    lines = []
    for block in blocks:
        lines += [f"{indent}{block.lines[0]}", *(f"{indent}  ({line})" for line in block.lines[1:])]
        for when, branch in block.branches:
            lines.append(f"{indent}  {when}:{'' if branch else ' goes on'}")
            lines += outline(branch, f"{indent}    ")
    return lines
