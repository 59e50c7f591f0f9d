"""What a store says about its identifiers, as ingest and identity need it."""

from collections.abc import Mapping
from typing import Literal, Self

import msgspec

from schemas.definitions import StoreSettings
from schemas.values import StoreId
from streams.ingest.fields import PLACEHOLDERS

Strength = Literal["strong", "weak"]


class IngestSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How events of one store are read, and of the stores that say otherwise.

    bound_store:    the topic belongs to this store: what a record claims is ignored.
    default_region: ISO 3166 code; phone numbers without a country are read as of there. None: such
                    numbers are refused.
    junk:           values that are no identifiers, folded (zeros need not be listed).
    kinds:          the store's own identifier kinds with their strength, strongest first.
    stores:         settings of single stores; a store that is not here has these.
    """

    bound_store: StoreId | None = None
    default_region: str | None = None
    junk: frozenset[str] = PLACEHOLDERS
    kinds: tuple[tuple[str, Strength], ...] = ()
    stores: Mapping[StoreId, "IngestSettings"] = {}

    def of(self, store: StoreId) -> "IngestSettings":
        """The settings of `store`."""
        return self.stores.get(store, self)

    def with_store(self, store: StoreId, settings: "IngestSettings") -> Self:
        """These settings, with those of `store` in the place of its former ones."""
        return msgspec.structs.replace(self, stores={**self.stores, store: settings})


def settings_of(store: StoreSettings, default_region: str | None = None) -> IngestSettings:
    """What a store's settings say to ingest. default_region: the deployment's."""
    return IngestSettings(
        default_region=default_region,
        junk=PLACEHOLDERS.union(text.strip().casefold() for text in store.identifiers.junk),
        kinds=tuple(store.identifiers.kinds.items()),
    )
