"""The key of an identifier's row, and of every record that is for it."""

from schemas.values import Identifier, StoreId

ADDRESS_KINDS = ("email", "phone")
"""The kinds a message can be sent to: their rows keep consent."""


def key_of(store: StoreId, identifier: Identifier) -> str:
    """`main/email/ann@example.com`: no store and no kind contains a slash, a value may."""
    return f"{store}/{identifier[0]}/{identifier[1]}"


def identifier_of(key: str) -> tuple[StoreId, Identifier]:
    """The store and the identifier a key was made from."""
    store, kind, value = key.split("/", 2)
    return store, (kind, value)
