"""What a reset takes with it."""

from pathlib import Path

from agents.live.resetting import _local
from agents.sender.ledger import DRY_LEDGER, LEDGER, Ledger
from agents.settings import Settings


def test_the_ledgers_of_the_sender_go_too(tmp_path: Path) -> None:
    """What begins anew has the same ids: a ledger that stayed would take them for delivered."""
    settings = Settings(data=tmp_path, secret="sixteen characters")
    ledgers = [Ledger(tmp_path / name) for name in (LEDGER, DRY_LEDGER)]
    for ledger in ledgers:
        ledger.settle([])
    written = set(tmp_path.glob("sender*"))
    assert {tmp_path / LEDGER, tmp_path / DRY_LEDGER} <= written
    assert written <= set(_local(settings))
    for ledger in ledgers:
        ledger.close()
