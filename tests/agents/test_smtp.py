"""What an SMTP server's answers mean: for one command, or for all of them. TLS and login."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from agents.sender.smtp import (
    Access,
    Catcher,
    PutOff,
    Refused,
    SmtpDelivery,
    SmtpSecurity,
    Unreachable,
)
from tests.agents.test_letters import letters
from tests.agents.test_sender import command


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
        ("RCPT", "550 5.7.1 We do not want you", Refused),
        ("RCPT", "554 5.7.1 <ann@example.com>: Relay access denied", PutOff),
        ("RCPT", "550 5.1.1 <ann@example.com>: unknown in relay recipient table", Refused),
        ("RCPT", "550 <relay@example.com>: No such user", Refused),
        ("RCPT", "550 relaying to <ann@example.com> prohibited by administrator", PutOff),
        ("RCPT", "550 5.7.8 Credentials are too weak", PutOff),
        ("RCPT", "530 5.7.0 Authentication required", Unreachable),
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


class Guarded(Catcher):
    """A relay that takes mail over TLS only, from who logs in; logins: the names that did."""

    def __init__(self, authority: trustme.CA, security: SmtpSecurity) -> None:
        super().__init__()
        self.security, self.logins = security, list[str]()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(self.context)

    def let_in(
        self, _server: object, _session: object, _envelope: object, _by: str, who: Any
    ) -> Any:
        assert isinstance(who, LoginPassword)
        right = who == LoginPassword(b"shop", b"right")
        self.logins += [who.login.decode()] if right else []
        return AuthResult(success=right, handled=right)

    def server(self) -> SMTP:
        return SMTP(
            self,
            tls_context=self.context if self.security == "starttls" else None,
            require_starttls=self.security == "starttls",
            auth_required=True,
            auth_require_tls=self.security == "starttls",
            authenticator=self.let_in,
            loop=asyncio.get_running_loop(),
        )


@asynccontextmanager
async def guarded(authority: trustme.CA, security: SmtpSecurity) -> AsyncIterator[Guarded]:
    relay = Guarded(authority, security)
    server = await asyncio.get_running_loop().create_server(
        relay.server, host="127.0.0.1", port=0, ssl=relay.context if security == "tls" else None
    )
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture
def access(authority: trustme.CA, tmp_path: Path) -> Access:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return Access(username="shop", password="right", cafile=tmp_path / "ca.pem")


def through(relay: Catcher, access: Access) -> SmtpDelivery:
    return SmtpDelivery(
        "127.0.0.1", relay.port, sender="shop@shop.example", letters=letters(), access=access
    )


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_relay_is_reached_over_tls_and_with_a_login(
    authority: trustme.CA, access: Access, security: SmtpSecurity
) -> None:
    async with guarded(authority, security) as relay:
        delivery = through(relay, replace(access, security=security))
        await delivery.deliver(command())
        await delivery.deliver(command("s2", address="bob@example.com"))
        await delivery.close()
    assert (relay.accepted, relay.logins) == (2, ["shop"])


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"security": "starttls", "password": "wrong"}, "SMTPAuthenticationError 535"),
        ({"security": "starttls", "cafile": None}, "its certificate is not trusted"),
        ({"security": "starttls", "username": None, "password": None}, "smtp 530"),
        ({"security": "plaintext", "username": None, "password": None}, "smtp 530"),
    ],
)
async def test_a_relay_that_does_not_let_us_in_refuses_no_command_and_is_told_why(
    authority: trustme.CA, access: Access, changed: dict[str, Any], why: str
) -> None:
    async with guarded(authority, "starttls") as relay:
        delivery = through(relay, replace(access, **changed))
        with pytest.raises(Unreachable, match=why) as raised:
            await delivery.deliver(command())
        await delivery.close()
    assert relay.accepted == 0
    assert "wrong" not in str(raised.value)
    assert "right" not in repr(access)


async def test_a_login_is_never_sent_to_a_relay_without_tls(access: Access) -> None:
    async with Catcher() as catcher:
        delivery = through(catcher, replace(access, security="starttls"))
        with pytest.raises(Unreachable, match="STARTTLS"):
            await delivery.deliver(command())
        await delivery.close()
    assert catcher.accepted == 0
