"""A dry sender asks and renders everything, and nobody gets anything."""

import pytest

from agents.sender.dry import DryDelivery
from agents.sender.letters import LetterRefused
from tests.agents.test_letters import letters
from tests.agents.test_sender import command


async def test_a_dry_sender_renders_and_tells() -> None:
    told: list[tuple[str, str | None]] = []
    dry = DryDelivery(letters(), lambda one, subject: told.append((one.id, subject)))
    await dry.deliver(command("s1"))
    await dry.deliver(command("s2", channel="sms", address="+4930123456"))
    assert [send_id for send_id, _ in told] == ["s1", "s2"]
    assert told[0][1], "the subject as it was rendered"
    assert told[1][1] is None
    with pytest.raises(LetterRefused):
        await dry.deliver(command("s3", template="not-there"))
