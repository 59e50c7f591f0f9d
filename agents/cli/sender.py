"""`tillstream sender`: the reference sender as a process of its own."""

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from agents.cli.failures import CommandFailed
from agents.cli.until_told import say, until_told
from agents.live.asking import NotReached, reached
from agents.probes import Probes
from agents.sender.dry import DryDelivery
from agents.sender.kept import KeptSender
from agents.sender.ledger import DRY_LEDGER, LEDGER
from agents.sender.letters import Letters
from agents.sender.reference import DRY_GROUP, GROUP, ReferenceSender
from agents.sender.smtp import Access, SmtpDelivery
from agents.settings import Settings
from schemas.outputs import SendCommand
from schemas.topics import CONSENT, SEND_COMMANDS, STORE_EVENTS, SWITCHES
from schemas.values import Channel

MARK = "{token}"


class Would(msgspec.Struct, frozen=True, kw_only=True):
    """What a dry sender would have delivered. The address is in the command."""

    send_id: str
    profile_id: str
    channel: Channel
    template: str
    subject: str | None
    valid_until: str


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Reads send-commands and delivers e-mail by SMTP (docs/senders.md); the settings "
        "TILLSTREAM_SMTP_... say how the relay is spoken to. With --dry everything is asked and "
        "rendered, one JSON line a send is printed, and nobody gets anything. "
        "/healthz, /readyz and /metrics are answered on TILLSTREAM_METRICS_PORT."
    )
    parser.add_argument("--dry", action="store_true", help="deliver to nobody; report nothing")
    parser.add_argument("--smtp", metavar="HOST:PORT", help="the relay that takes the e-mail")
    parser.add_argument("--from", dest="sender", metavar="ADDRESS", help="whom it comes from")
    parser.add_argument("--templates", type=Path, metavar="DIR", help="NAME.txt.liquid and so on")
    parser.add_argument(
        "--unsubscribe-url", metavar="URL", help=f"with {MARK} where the token of a send goes"
    )
    parser.add_argument(
        "--promise",
        choices=("at-most-once", "at-least-once"),
        default="at-most-once",
        help="of a send whose fate is not known: never again (default), or once more",
    )
    parser.add_argument(
        "--ledger", type=Path, metavar="FILE", help=f"default: {LEDGER} below TILLSTREAM_DATA"
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run until Ctrl-C or SIGTERM.

    Raises: CommandFailed.
    """
    letters = _letters(options)
    smtp = None if options.dry else _smtp(options, settings, letters)
    try:
        asyncio.run(_run(options, settings, letters, smtp))
    except NotReached as error:
        raise CommandFailed(str(error)) from error
    return 0


def _letters(options: argparse.Namespace) -> Letters | None:
    if options.templates is None:
        return None
    if not options.templates.is_dir():
        raise CommandFailed(f"--templates: there is no folder {options.templates}")
    url = options.unsubscribe_url or ""
    if MARK not in url:
        raise CommandFailed(f"--unsubscribe-url: a URL with {MARK} in it is needed, not '{url}'")
    return Letters(options.templates, unsubscribe_url=url)


def _smtp(options: argparse.Namespace, settings: Settings, letters: Letters | None) -> SmtpDelivery:
    """The delivery by SMTP.

    Raises: CommandFailed, naming what is missing or cannot be read.
    """
    named = {"--smtp": options.smtp, "--from": options.sender, "--templates": letters}
    missing = [name for name, value in named.items() if not value]
    if missing or letters is None:
        raise CommandFailed(
            f"{', '.join(missing)}: needed to deliver by SMTP. --dry delivers to nobody"
        )
    host, _, port = options.smtp.rpartition(":")
    if not host or not port.isdigit():
        raise CommandFailed(f"--smtp: '{options.smtp}' is not HOST:PORT")
    access = Access(
        security=settings.smtp_security,
        username=settings.smtp_username,
        password=settings.smtp_password,
        cafile=settings.smtp_cafile,
    )
    try:
        return SmtpDelivery(host, int(port), sender=options.sender, letters=letters, access=access)
    except OSError as error:
        raise CommandFailed(f"TILLSTREAM_SMTP_CAFILE: {access.cafile}: {error}") from error


async def _run(
    options: argparse.Namespace,
    settings: Settings,
    letters: Letters | None,
    smtp: SmtpDelivery | None,
) -> None:
    ledger = options.ledger or settings.data / (DRY_LEDGER if options.dry else LEDGER)
    ledger.parent.mkdir(parents=True, exist_ok=True)
    topics = (SEND_COMMANDS, CONSENT, SWITCHES, STORE_EVENTS)
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(reached(settings, *topics))

        def make() -> ReferenceSender:
            dry = DryDelivery(letters, _would)
            return ReferenceSender(
                there,
                ledger,
                {"email": smtp} if smtp is not None else dict.fromkeys(CHANNELS, dry),
                promise=options.promise,
                group=GROUP if smtp is not None else DRY_GROUP,
                reports=smtp is not None,
                only_deliverable=True,
            )

        sender = KeptSender(make, say)
        probes = Probes(there, "sender", why_not=sender.why_not, measure=sender.measure)
        await stack.enter_async_context(probes)
        what = "dry: nobody gets anything" if smtp is None else f"e-mail by {options.smtp}"
        say(f"the sender reads ({what}); http://127.0.0.1:{probes.port}/readyz; Ctrl-C ends it")
        await until_told(sender.keep(), sender.stop)
    say("stopped")


CHANNELS: tuple[Channel, ...] = ("email", "sms", "push", "whatsapp", "in_app")


def _would(command: SendCommand, subject: str | None) -> None:
    would = Would(
        send_id=command.id,
        profile_id=command.profile_id,
        channel=command.channel,
        template=command.template,
        subject=subject,
        valid_until=command.valid_until,
    )
    sys.stdout.write(msgspec.json.encode(would).decode() + "\n")
    sys.stdout.flush()
