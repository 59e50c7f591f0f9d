"""Which country a phone number belongs to."""

from functools import lru_cache

import phonenumbers


@lru_cache(maxsize=65_536)
def region_of(phone: str) -> str | None:
    """The country (ISO 3166) of a number in E.164; None where none or several have it."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return None
