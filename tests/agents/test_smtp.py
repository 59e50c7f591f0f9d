"""What an SMTP server's answers mean: for one command, or for all of them."""

from typing import Any

import pytest

from agents.sender.smtp import Catcher, PutOff, Refused, SmtpDelivery, Unreachable
from tests.agents.test_sender import command, letters


class Moody(Catcher):
    """Answers as it is told to at one of its commands."""

    def __init__(self, at: str, answer: str) -> None:
        super().__init__()
        self.at, self.answer = at, answer

    async def handle_MAIL(
        self, _server: object, _session: object, envelope: Any, address: str, _options: object
    ) -> str:
        if self.at == "MAIL":
            return self.answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, _server: object, _session: object, envelope: Any, address: str, _options: object
    ) -> str:
        if self.at == "RCPT" and address.startswith("ann@"):
            return self.answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:
        if self.at == "DATA" and "ann@example.com" in getattr(envelope, "rcpt_tos", ()):
            return self.answer
        return await super().handle_DATA(server, session, envelope)


@pytest.mark.parametrize(
    ("at", "answer", "meaning"),
    [
        ("RCPT", "452 4.2.2 Mailbox full", PutOff),
        ("RCPT", "450 4.2.0 Greylisted", PutOff),
        ("RCPT", "550 5.1.1 No such user", Refused),
        ("RCPT", "421 4.3.2 Shutting down", Unreachable),
        ("DATA", "451 4.7.1 Try again", PutOff),
        ("DATA", "554 5.7.1 Spam", Refused),
        ("DATA", "421 4.3.2 Shutting down", Unreachable),
        ("MAIL", "452 4.3.1 Out of storage", Unreachable),
        ("MAIL", "550 5.7.1 Not from you", Refused),
    ],
)
async def test_a_code_is_about_one_command_or_about_the_connection(
    at: str, answer: str, meaning: type[Exception]
) -> None:
    async with Moody(at, answer) as moody:
        delivery = SmtpDelivery(
            "127.0.0.1", moody.port, sender="shop@shop.example", letters=letters()
        )
        with pytest.raises(meaning, match=f"smtp {answer[:3]}"):
            await delivery.deliver(command())
        if at != "MAIL":
            await delivery.deliver(command("s2", address="bob@example.com"))
            assert moody.accepted == 1
        await delivery.close()


async def test_an_address_that_the_server_cannot_read_is_refused_and_stops_nobody() -> None:
    class Ascii(Catcher):
        utf8 = False

    async with Ascii() as catcher:
        delivery = SmtpDelivery(
            "127.0.0.1", catcher.port, sender="shop@shop.example", letters=letters()
        )
        with pytest.raises(Refused, match="SMTPNotSupported"):
            await delivery.deliver(command(address="j\u00f6rg@example.com"))
        await delivery.deliver(command("s2"))
        await delivery.close()
        assert catcher.accepted == 1
