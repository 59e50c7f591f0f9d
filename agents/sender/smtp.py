"""Delivery by SMTP, and a catcher that takes what the demo and the tests deliver."""

import asyncio
import re
import ssl
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol, Self

import aiosmtplib
from aiosmtpd.smtp import SMTP as SmtpServer

from agents.logs import log, told
from agents.sender.letters import Letter, Letters
from agents.settings import SmtpSecurity
from schemas.outputs import SendCommand

HOST = "127.0.0.1"
KEPT_MAX = 20
CODE_FOR_NOW = 400
CODE_FOR_GOOD = 500
CODE_CLOSING = 421
CODES_OF_ACCESS = frozenset({530, 534, 535, 538})
"""The relay wants TLS or a login, or another one: no command's fault."""
WORDS_OF_ACCESS = re.compile(r"\b5\.7\.(8|9|1[1-4])\b|\brelay|authenticat", re.IGNORECASE)
"""A no to a recipient that is said of us: `554 5.7.1 Relay access denied`, where a login is missing
or does not suffice. Codes do not tell it from a no to the recipient; RFC 4954 and words do."""
CODES_OF_ADDRESSES = re.compile(r"\b5\.[12]\.\d+\b")
"""RFC 3463: said of the address or its mailbox, whatever it says (`unknown in relay table`)."""
ADDRESSES = re.compile(r"<[^>]*>")


class Refused(Exception):
    """The receiver said no for good; the message is its code, without personal data."""


class PutOff(Exception):
    """The receiver does not take this one now (a full mailbox, greylisting); the message is its
    code. Others may be delivered meanwhile.
    """


class Unreachable(Exception):
    """Nothing was handed over, and nothing else would be now; it may be tried again."""


class Uncertain(Exception):
    """The connection was lost in between: it may have been handed over, or not."""


class Delivery(Protocol):
    """Brings commands of one channel to their addresses."""

    async def deliver(self, command: SendCommand) -> None:
        """Deliver one. Raises: Refused, PutOff, Unreachable, Uncertain, LetterRefused."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Access:
    """How a relay is spoken to, and as whom. Of TLS its certificate is checked, name included.

    cafile: whom to trust; None: whom the system trusts.
    """

    security: SmtpSecurity = "plaintext"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    cafile: Path | None = None


class SmtpDelivery:
    """Delivers e-mail over one connection that is kept open.

    sender: the address it comes from; its domain is that of the message ids.

    Raises: OSError, where the certificates to trust cannot be read.
    """

    def __init__(
        self, host: str, port: int, *, sender: str, letters: Letters, access: Access | None = None
    ) -> None:
        self._sender, self._letters = sender, letters
        access = access or Access()
        encrypted = access.security != "plaintext"
        self._client = aiosmtplib.SMTP(
            hostname=host,
            port=port,
            timeout=20,
            use_tls=access.security == "tls",
            start_tls=access.security == "starttls",
            tls_context=ssl.create_default_context(cafile=access.cafile) if encrypted else None,
            username=access.username,
            password=access.password,
        )

    async def deliver(self, command: SendCommand) -> None:
        letter = self._letters.render(command)
        message = to_message(
            command, letter, self._sender, unsubscribe_url=self._letters.unsubscribe_url(command)
        )
        try:
            if not self._client.is_connected:
                await self._client.connect()
        except (aiosmtplib.SMTPException, OSError) as error:
            self._client.close()
            raise Unreachable(_why(error)) from error
        try:
            await self._client.send_message(
                message, sender=self._sender, recipients=[command.address]
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            said = min(error.recipients, key=lambda one: one.code)
            if said.code >= CODE_FOR_GOOD and _is_of_our_access(said.message):
                raise self._denied(said.code) from error
            raise self._meaning(said.code) from error
        except (aiosmtplib.SMTPHeloError, aiosmtplib.SMTPSenderRefused) as error:
            if error.code >= CODE_FOR_GOOD and error.code not in CODES_OF_ACCESS:
                raise Refused(f"smtp {error.code}") from error
            raise self._away(error.code) from error  # said of us, before any recipient was named
        except aiosmtplib.SMTPResponseException as error:
            raise self._meaning(error.code) from error
        except (aiosmtplib.SMTPNotSupported, ValueError) as error:
            raise Refused(type(error).__name__) from error  # an address that cannot be written
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Uncertain(type(error).__name__) from error

    def _denied(self, code: int) -> Exception:
        """We may not write to this recipient, as who we are: perhaps to none, perhaps to others."""
        if code in CODES_OF_ACCESS:
            return self._away(code)
        log.warning("the relay takes no mail from us for a recipient: is a login missing?")
        return PutOff(f"smtp {code}, of our access")

    def _meaning(self, code: int) -> Exception:
        """What a code about a recipient or a message means: 5xx no for good, 4xx not now.

        421 is said of the connection, whatever it answers; another code is no answer at all.
        """
        if code == CODE_CLOSING or code in CODES_OF_ACCESS:
            return self._away(code)
        if code >= CODE_FOR_GOOD:
            return Refused(f"smtp {code}")
        return PutOff(f"smtp {code}") if code >= CODE_FOR_NOW else Uncertain(f"smtp {code}")

    def _away(self, code: int) -> Unreachable:
        """The server takes nothing from us now: the next attempt is on a new connection."""
        self._client.close()
        return Unreachable(f"smtp {code}")

    async def close(self) -> None:
        if self._client.is_connected:
            try:
                await self._client.quit()
            except aiosmtplib.SMTPException:
                self._client.close()


def _is_of_our_access(words: str) -> bool:
    """Whether a no to a recipient is said of us, not of the recipient."""
    words = ADDRESSES.sub("", words)
    return bool(WORDS_OF_ACCESS.search(words)) and not CODES_OF_ADDRESSES.search(words)


def _why(error: Exception) -> str:
    """Why there is no connection, without what a server says in its own words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        cause = cause.__cause__
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{type(error).__name__} {error.code}"
    return told(error)


def to_message(
    command: SendCommand, letter: Letter, sender: str, *, unsubscribe_url: str
) -> EmailMessage:
    """The e-mail of a command. Its id is the send's, so that a receiver recognises a repeat."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = sender
    message["To"] = command.address
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(datetime.fromisoformat(command.decided_at))
    message["Message-ID"] = f"<{command.id}@{sender.rpartition('@')[2]}>"
    if not command.transactional:
        message["List-Unsubscribe"] = f"<{unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(letter.text)
    if letter.html is not None:
        message.add_alternative(letter.html, subtype="html")
    return message


class Catcher:
    """An SMTP server on a free port of this machine that keeps the newest and forwards nothing.

    accepted: how many messages it took. kept: the newest of them, as they came. utf8: whether it
              reads addresses that are not ASCII.
    """

    utf8 = True

    def __init__(self) -> None:
        self.accepted = 0
        self.kept: deque[bytes] = deque(maxlen=KEPT_MAX)
        self.port = 0
        self._server: asyncio.Server | None = None

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:
        """Take a message; aiosmtpd calls it by this name."""
        content = getattr(envelope, "content", b"")
        self.kept.append(content)
        self.accepted += 1
        return "250 OK"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SmtpServer(self, enable_SMTPUTF8=self.utf8, loop=loop), host=HOST, port=0
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
