"""What a store's definitions say to the station `identity`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from schemas.definitions import ProfileList
from schemas.records import DefinitionsPublished
from streams.consent.statements import DEFAULT_RULES, ConsentRules, rules_of
from streams.definitions.parse import parse
from streams.ids import RANK_MAX, STRONG_KINDS
from streams.ingest.identifiers import WEAK_KINDS

NAMED_PER_WEAK_MAX: Final = 5


def _ranks(*kinds: str) -> dict[str, int]:
    return {kind: rank for rank, kind in enumerate(kinds)}


class StoreRules(msgspec.Struct, frozen=True):
    """strong, weak: the identifier kinds that name a person, and those that do not -> their rank.

    named_per_weak_max: a weak identifier seen with more named profiles links nobody any more.
    """

    strong: Mapping[str, int] = MappingProxyType(_ranks(*STRONG_KINDS))
    weak: Mapping[str, int] = MappingProxyType(_ranks(*WEAK_KINDS))
    named_per_weak_max: int = NAMED_PER_WEAK_MAX
    consent: ConsentRules = DEFAULT_RULES

    def rank(self, kind: str) -> int:
        return self.strong.get(kind, self.weak.get(kind, RANK_MAX))


def rules_in(published: DefinitionsPublished) -> StoreRules:
    """What published definitions say to this station."""
    parsed = parse(published.documents)
    identifiers = parsed.settings.identifiers
    own = identifiers.kinds.items()
    lists = [one for one in parsed.definitions.values() if isinstance(one, ProfileList)]
    return StoreRules(
        strong=_ranks(*STRONG_KINDS, *(kind for kind, strength in own if strength == "strong")),
        weak=_ranks(*WEAK_KINDS, *(kind for kind, strength in own if strength == "weak")),
        named_per_weak_max=identifiers.named_per_weak_max,
        consent=rules_of(parsed.settings, {one.id: one for one in lists}),
    )
