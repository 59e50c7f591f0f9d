"""What a store says about its identifiers, as ingest and identity need it."""

from collections.abc import Mapping
from typing import Any, Literal, Self

import msgspec

from schemas.values import StoreId

Strength = Literal["strong", "weak"]


class IngestSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How events of one store are read, and of the stores that say otherwise.

    bound_store:    the topic belongs to this store: what a record claims is ignored.
    default_region: ISO 3166 code; phone numbers without a country are read as of there. None: such
                    numbers are refused.
    junk:           values that are no identifiers, folded; they add to the default list.
    kinds:          the store's own identifier kinds with their strength, strongest first.
    stores:         settings of single stores; a store that is not here has these.
    """

    bound_store: StoreId | None = None
    default_region: str | None = None
    junk: frozenset[str] = frozenset()
    kinds: tuple[tuple[str, Strength], ...] = ()
    stores: Mapping[StoreId, "IngestSettings"] = {}

    def of(self, store: StoreId) -> "IngestSettings":
        """The settings of `store`."""
        return self.stores.get(store, self)

    def with_store(self, store: StoreId, settings: "IngestSettings") -> Self:
        """These settings, with those of `store` in the place of its former ones."""
        return msgspec.structs.replace(self, stores={**self.stores, store: settings})


class _Identifiers(msgspec.Struct, frozen=True):
    kinds: dict[str, Strength] = {}
    junk: tuple[str, ...] = ()
    phone_region: str | None = None


class _Settings(msgspec.Struct, frozen=True):
    store: str
    identifiers: _Identifiers = msgspec.field(default_factory=_Identifiers)


def settings_in(documents: tuple[dict[str, Any], ...]) -> IngestSettings | None:
    """What published definitions say about identifiers, or None where no settings are among them.

    documents: plain data, checked before they were published (schemas/definitions.py).
    """
    for document in documents:
        if "store" in document:
            said = msgspec.convert(document, _Settings).identifiers
            return IngestSettings(
                default_region=said.phone_region,
                junk=frozenset(text.strip().casefold() for text in said.junk),
                kinds=tuple(said.kinds.items()),
            )
    return None
