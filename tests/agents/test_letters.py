"""Letters: their templates, what the law asks for, and how they arrive over SMTP."""

import asyncio
from collections.abc import AsyncIterator
from email import message_from_bytes
from email import policy as email_policy
from pathlib import Path
from typing import Any

import pytest

from agents.sender.letters import LetterRefused, Letters
from agents.sender.smtp import Catcher, SmtpDelivery, Unreachable
from tests.agents.test_sender import command

TEMPLATES = Path(__file__).parents[2] / "deploy" / "demo" / "templates"


def letters() -> Letters:
    return Letters(TEMPLATES, unsubscribe_url="https://shop.example/stop/{token}")


def test_every_template_renders_and_carries_what_the_law_asks_for() -> None:
    names = {path.name.partition(".")[0] for path in TEMPLATES.glob("*.liquid")}
    assert len(names) >= 9
    for name in sorted(names):
        channel = "sms" if name.endswith("-sms") else "email"
        letter = letters().render(command(template=name, channel=channel))
        assert letter.text.strip()
        assert "{{" not in letter.text + letter.subject
        if channel == "email":
            assert letter.subject
            assert letter.html is not None
            assert "Ann &lt;3" in letter.html, "what a person typed is text, never markup"


def test_the_subject_of_a_variant_is_a_template_and_stays_one_line() -> None:
    letter = letters().render(command(subject="{{ first_name }},\r\nBcc: x@example.org"))
    assert letter.subject == "Ann <3, Bcc: x@example.org"


def test_a_letter_without_unsubscribe_link_or_postal_address_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bare.txt.liquid").write_text("Subject: Hello\n\nBuy.\n")
    bare = Letters(tmp_path, unsubscribe_url="https://shop.example/{token}")
    with pytest.raises(LetterRefused, match="unsubscribe"):
        bare.render(command(template="bare"))
    with pytest.raises(LetterRefused, match="postal"):
        letters().render(command(postal_address=None))
    with pytest.raises(LetterRefused, match="none-such"):
        letters().render(command(template="none-such"))
    assert bare.render(command(template="bare", transactional=True)).text == "Buy.\n"


@pytest.fixture
async def catcher() -> AsyncIterator[Catcher]:
    async with Catcher() as running:
        yield running


async def test_a_letter_arrives_whole_over_smtp(catcher: Catcher) -> None:
    delivery = SmtpDelivery(
        "127.0.0.1", catcher.port, sender="shop@shop.example", letters=letters()
    )
    await delivery.deliver(command())
    await delivery.deliver(command("s2"))
    await delivery.close()
    assert catcher.accepted == 2
    message: Any = message_from_bytes(catcher.kept[0], policy=email_policy.default)
    assert message["Message-ID"] == "<s1@shop.example>"
    assert message["To"] == "ann@example.com"
    assert message["List-Unsubscribe"] == "<https://shop.example/stop/t1>"
    assert "2 x Tea & cups" in message.get_body(("plain",)).get_content()
    assert "Tea &amp; cups" in message.get_body(("html",)).get_content()


async def test_nobody_listening_is_unreachable_not_refused() -> None:
    async with Catcher() as gone:
        port = gone.port
    delivery = SmtpDelivery("127.0.0.1", port, sender="shop@shop.example", letters=letters())
    with pytest.raises(Unreachable):
        await delivery.deliver(command())
    await asyncio.wait_for(delivery.close(), 1)
