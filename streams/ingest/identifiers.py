"""What an identifier looks like once it is normalised, and what is none.

Equal things must come out equal, whoever typed them; and nothing that many people share may pass
for the name of one. A value that is refused is reported; the event goes on if another one is left.
"""

import re
from enum import Enum, unique
from functools import lru_cache
from typing import Final
from unicodedata import category, normalize

import phonenumbers

from streams.ids import STRONG_KINDS
from streams.ingest.fields import is_placeholder
from streams.ingest.settings import IngestSettings

WEAK_KINDS: Final = ("anonymous_id", "device_id", "cart_token")
KINDS: Final = STRONG_KINDS + WEAK_KINDS
"""The built-in kinds, strongest first."""

IDENTIFIER_BYTES_MAX: Final = 512
ADDRESS_BYTES_MAX: Final = 254
PHONE_DIGITS_MIN: Final = 7
"""With the country's: the shortest there are (Saint Helena, Niue)."""

PHONES_REMEMBERED: Final = 1 << 16


@unique
class Refusal(Enum):
    """Why a value is no identifier. The values reach Kafka."""

    EMPTY = "empty"
    TOO_LONG = "too-long"
    INVISIBLE = "invisible-characters"
    JUNK = "junk"
    NO_DOMAIN = "no-domain"
    NOT_AN_EMAIL = "not-an-email"
    NO_COUNTRY = "no-country"
    NOT_A_PHONE = "not-a-phone"


_is_ordinary_email = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"
).fullmatch
_is_local_part = re.compile(r"[^\s@\"(),:;<>\[\\\]]+").fullmatch
_is_label = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?").fullmatch


def normalised(kind: str, value: str, settings: IngestSettings) -> str | Refusal:
    """The one way to write this identifier, or why it is none.

    Normalising twice changes nothing.
    """
    text = value.strip()
    if text.isascii():
        folded, size = text.lower(), len(text)
    else:
        text = _without_invisible_ends(text)
        folded, size = text.casefold(), len(text.encode())
    if not text.isprintable():
        text = _without_invisible_ends(text)
        return normalised(kind, text, settings) if text.isprintable() else Refusal.INVISIBLE
    if not text:
        return Refusal.EMPTY
    if size > IDENTIFIER_BYTES_MAX:
        return Refusal.TOO_LONG
    if folded in settings.junk or (text[0] in "0-" and is_placeholder(folded)):
        return Refusal.JUNK
    if kind == "email":
        written = _email(text)
    elif kind == "phone":
        written = _phone(text, settings.default_region)
    else:
        return text
    return Refusal.JUNK if written in settings.junk else written


def strength_order(settings: IngestSettings) -> tuple[str, ...]:
    """All kinds of a store, strongest first; its own come after the built-in ones as strong."""
    if not settings.kinds:
        return KINDS
    own_strong = [kind for kind, strength in settings.kinds if strength == "strong"]
    own_weak = [kind for kind, strength in settings.kinds if strength == "weak"]
    return (*STRONG_KINDS, *own_strong, *WEAK_KINDS, *own_weak)


def _without_invisible_ends(text: str) -> str:
    """Without the spaces, zero-width and control characters that copying leaves at the ends."""
    start, end = 0, len(text)
    while start < end and _is_invisible(text[start]):
        start += 1
    while start < end and _is_invisible(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_invisible(character: str) -> bool:
    return not character.isprintable() or category(character) in ("Zs", "Cf", "Cc")


def _email(text: str) -> str | Refusal:
    """Lower-cased, the domain in ASCII. Dots and tags stay: only the provider knows about them."""
    address = text.lower()
    if len(address) <= ADDRESS_BYTES_MAX and _is_ordinary_email(address):
        return address
    local, at, domain = normalize("NFC", address).rpartition("@")
    if not at or not domain:
        return Refusal.NO_DOMAIN
    if not _is_local_part(local) or len(local.encode()) > 64:
        return Refusal.NOT_AN_EMAIL
    ascii_domain = _domain(domain)
    if ascii_domain is None:
        return Refusal.NO_DOMAIN
    address = f"{local}@{ascii_domain}"
    return address if len(address.encode()) <= ADDRESS_BYTES_MAX else Refusal.TOO_LONG


def _domain(domain: str) -> str | None:
    """The domain in ASCII, or None where it is none that the internet could have.

    Labels are encoded as they are written (IDNA 2008): the codec of the standard library knows
    IDNA 2003 alone, which turns `straße.de` into `strasse.de`, somebody else's domain.
    """
    mapped = normalize("NFKC", domain).lower().replace("\u3002", ".").removesuffix(".")
    labels = [
        label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")
        for label in mapped.split(".")
    ]
    if len(labels) < 2 or labels[-1].isdigit() or not all(map(_is_label, labels)):
        return None
    return ".".join(labels)


@lru_cache(maxsize=PHONES_REMEMBERED)
def _phone(text: str, region: str | None) -> str | Refusal:
    """E.164. A number that could not be dialled from abroad is refused.

    Whether it is in use is not asked: numbering plans change more often than we are installed.
    """
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return Refusal.NO_COUNTRY if region is None and "+" not in text else Refusal.NOT_A_PHONE
    possible = phonenumbers.is_possible_number_with_reason(number)
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE or len(written) <= PHONE_DIGITS_MIN:
        return Refusal.NOT_A_PHONE
    return str(written)
