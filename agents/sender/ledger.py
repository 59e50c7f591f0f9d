"""What became of each send, by its id: the one state of a sender, kept in SQLite.

A command can be read twice (after a crash, after a rebalance, from a log that was redone): its id
says so. Only ids, channels and instants are kept, no address.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from schemas.outputs import SendCommand
from schemas.values import SendId

SendState: TypeAlias = Literal["taken", "delivered", "expired", "suppressed", "failed"]
"""taken: about to be handed over; found so at the start, nobody knows whether it was."""

_ASKED_AT_ONCE_MAX = 500

LEDGER = "sender.sqlite"
DRY_LEDGER = "sender-dry.sqlite"
"""The files below the data folder, unless another is named."""

_TABLE = """
create table if not exists sends (
    send_id    text primary key,
    state      text not null check (
        state in ('taken', 'delivered', 'expired', 'suppressed', 'failed')
    ),
    channel    text not null,
    message    text not null,
    decided_at text not null,
    reason     text
) without rowid
"""
_SETTLE = """
insert into sends (send_id, state, channel, message, decided_at, reason) values (?, ?, ?, ?, ?, ?)
on conflict (send_id) do update set state = excluded.state, reason = excluded.reason
"""


class Settled(NamedTuple):
    """What became of a command. reason: where it was not delivered."""

    command: SendCommand
    state: SendState
    reason: str | None = None


class Ledger:
    """The ledger of one sender. Every call is on disk when it returns: a killed sender knows."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("pragma journal_mode = wal")
        # Survives the end of the process; an outage of the machine may cost the last moments.
        self._db.execute("pragma synchronous = normal")
        self._db.execute("pragma busy_timeout = 5000")
        self._db.execute(_TABLE)

    def states(self, ids: Iterable[SendId]) -> Mapping[SendId, SendState]:
        """The sends among `ids` that are known, with what became of them."""
        asked = list(ids)
        known: dict[SendId, SendState] = {}
        for start in range(0, len(asked), _ASKED_AT_ONCE_MAX):
            some = asked[start : start + _ASKED_AT_ONCE_MAX]
            marks = ",".join("?" * len(some))
            found = self._db.execute(
                f"select send_id, state from sends where send_id in ({marks})",  # noqa: S608
                some,
            )
            known.update(found)
        return known

    def settle(self, settled: Iterable[Settled]) -> None:
        """Write down what became of these, all or none."""
        rows = [
            (
                one.command.id,
                one.state,
                one.command.channel,
                one.command.message,
                one.command.decided_at,
                one.reason,
            )
            for one in settled
        ]
        if not rows:
            return
        self._db.execute("begin immediate")
        self._db.executemany(_SETTLE, rows)
        self._db.execute("commit")

    def release(self, send_id: SendId) -> None:
        """Forget a taken send that was certainly not handed over."""
        self._db.execute("delete from sends where send_id = ? and state = 'taken'", (send_id,))

    def counts(self) -> Mapping[tuple[SendState, str], int]:
        """(state, channel) -> how many sends."""
        found = self._db.execute("select state, channel, count(*) from sends group by 1, 2")
        return {(state, channel): count for state, channel, count in found}

    def close(self) -> None:
        self._db.close()
