"""Who somebody is by a store's definitions, told again from the timeline (`streams/retell.py`).

As if the definitions had been there from the start and the person had been one all the time. Flows
are left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from schemas.events import Event
from schemas.records import Cut, DefinitionsPublished
from schemas.rows import ProfileRow
from schemas.values import Instant, ProfileId
from streams.definitions.parse import kind_of
from streams.definitions.products import is_of_the_catalogue
from streams.definitions.program import Program
from streams.definitions.switch import in_force
from streams.ids import Ids
from streams.profile.store import ready
from streams.retell import Happened, retell

TOLD: Final = ("store", "list", "segment")
"""Kinds of definitions that say who somebody is."""


class Teller:
    """Tells people again by the documents of one store. cuts: for what these rank by.

    Raises: DefinitionsError.
    """

    def __init__(
        self, documents: Sequence[Mapping[str, Any]], ids: Ids, cuts: tuple[Cut, ...] = ()
    ) -> None:
        told = tuple(dict(one) for one in documents if kind_of(one) in TOLD)
        name = next((str(one["store"]) for one in told if "store" in one), "main")
        row = in_force(None, DefinitionsPublished(name, "retold", "", told), ())
        row.cuts = cuts
        store = ready(row)
        self.program: Program = store.program
        self._stores, self._ids = {name: store}, ids

    def tell(
        self, profile_id: ProfileId, events: Iterable[Event], *, until: Instant
    ) -> ProfileRow | None:
        """The row at `until`, flips at that very instant included; None: there was nobody yet.

        events: of all profiles that are this person, in the order of origin.
        """
        history = [
            Happened(event.received_at, event, (event.received_at, number))
            for number, event in enumerate(events)
            if not is_of_the_catalogue(event)
        ]
        return retell(profile_id, history, self._stores, self._ids, until=until).row
