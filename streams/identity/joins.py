"""Which event joined what, and by which rule: identifiers once more through the station.

In:  events of the timeline in the order of origin, each with the profile that it was accepted for;
     what the profiles came to, as it was recorded.
Out: joins, in order.

It is the code that runs live. What differs is when a link arrives: here at once. Where the record
shows that an event was there before the link, the record counts, and it is told as `overtaken`.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

from schemas.events import Event
from schemas.records import (
    Body,
    EventArrived,
    Forget,
    Linked,
    Merge,
    Repoint,
    Retire,
    Retired,
    Shared,
)
from schemas.rows import IdentityRow
from schemas.splits import SplitOff
from schemas.values import EventId, Identifier, Instant, Origin, ProfileId, StoreId
from streams.core import Output
from streams.identity.keys import identifier_of, key_of
from streams.identity.links import mint
from streams.identity.rules import StoreRules
from streams.identity.step import IdentityCore
from streams.ids import Ids, is_named
from streams.sends.outcome import OUTCOMES

EPOCHS_MAX = 16
"""Erasures and splits of one identifier that are looked through for the profile id that it gave."""

Rule = Literal[
    "first-seen",
    "link-taken",
    "handed-over",
    "kept-apart",
    "client-said",
    "answered",
    "overtaken",
    "alias",
    "asked",
    "merged",
    "refused",
    "shared",
    "split",
]


class Accepted(NamedTuple):
    """An event, where it comes from, and the profile that it was accepted for."""

    event: Event
    origin: Origin
    profile_id: ProfileId


class Settled(NamedTuple):
    """What profiles came to. loser: became part of `winner`, unless that was refused.

    refused: why both stay apart. because: the identifier that connects them then.
    """

    at: Instant
    winner: ProfileId
    loser: ProfileId
    refused: str | None = None
    because: Identifier | None = None
    external_ids: tuple[str, ...] = ()


class TakenOut(NamedTuple):
    """Support has split identifiers from a profile; the first of them is the one that was meant.

    known_as: all ids of `old`, its own first. why: who did it, and what for.
    """

    at: Instant
    identifiers: tuple[Identifier, ...]
    old: ProfileId
    new: ProfileId
    known_as: tuple[ProfileId, ...]
    why: str


class Join(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that joined, or did not. A row of docs/identity.md, What joins whom.

    at:         when the event was received; of `merged` and `refused`, when it was decided.
    identifier: what was joined, or what asked for a merge.
    profiles:   whose it is then, or who won; then the other ones it concerns.
    seen_with:  the identifier it was seen with; of an alias, that in whose place it came.
    event, metric: of the event that said so; None where the timeline does not have it.
    reason:     of a refusal; of a split, who made it and what for.
    """

    at: Instant
    rule: Rule
    identifier: Identifier | None
    profiles: tuple[ProfileId, ...]
    seen_with: Identifier | None = None
    event: EventId | None = None
    metric: str | None = None
    external_ids: tuple[str, ...] = ()
    reason: str | None = None


class Standing(NamedTuple):
    """An identifier as it is in the end. profile_id: a live one. shared: it links nobody."""

    identifier: Identifier
    since: Instant
    profile_id: ProfileId
    shared: bool


class Joins(NamedTuple):
    """What was told: in its order, and what came of it. redirects: loser -> winner."""

    joins: list[Join]
    identifiers: list[Standing]


def joins(
    store: StoreId,
    events: Iterable[Accepted],
    settled: Iterable[Settled | TakenOut],
    rules: StoreRules,
    ids: Ids,
) -> Joins:
    """Tell how the identifiers of these events found their profiles.

    events:  all that name any of the identifiers that are asked about.
    settled: merges, refusals and splits of the profiles that they were accepted for.
    """
    telling = _Telling(store, rules, ids)
    waiting = sorted(settled, key=_place)
    for accepted in events:
        while waiting and waiting[0].at < accepted.event.received_at:
            telling.settle(waiting.pop(0))
        telling.hear(accepted)
    for one in waiting:
        telling.settle(one)
    return Joins(telling.told, telling.standing())


def _place(one: Settled | TakenOut) -> tuple[Instant, int, str, str]:
    """Their order: of one instant merges first, then refusals, then splits."""
    if isinstance(one, TakenOut):
        return one.at, 2, one.old, one.new
    return one.at, int(one.refused is not None), one.loser, one.winner


class _Telling:
    """The rows of some identifiers, and what becomes of them."""

    def __init__(self, store: StoreId, rules: StoreRules, ids: Ids) -> None:
        self._store, self._rules, self._ids = store, rules, ids
        self._core = IdentityCore(ids, {store: rules})
        self._rows: dict[str, IdentityRow] = {}
        self._since: dict[str, Instant] = {}
        self._pointed: dict[str, Join] = {}
        self._redirects: dict[ProfileId, ProfileId] = {}
        self._asked: dict[ProfileId, list[Join]] = {}
        self.told: list[Join] = []

    # --- events ------------------------------------------------------------------------------

    def hear(self, accepted: Accepted) -> None:
        """Tell what an event did to its identifiers."""
        event, profile_id = accepted.event, accepted.profile_id
        key = key_of(self._store, event.identifiers[0])
        answers = self._answers(accepted)
        row = self._rows.get(key)
        if row is None:
            row = IdentityRow(store=self._store, identifier=event.identifiers[0])
            if not answers:
                self._give_epoch(row, profile_id)
        is_new = not row.profile_id
        if not is_new and not answers and self._now(row.profile_id) != self._now(profile_id):
            self._overtake(key, row, accepted)
        outputs = self._step(key, row, EventArrived(event), accepted)
        row = self._rows[key]
        if is_new:
            said = self._tell(accepted, "first-seen", event.identifiers[0], (row.profile_id,))
            self._pointed[key] = said
        self._deliver(outputs, accepted)
        if answers:
            self._claim_devices(accepted)
        if event.trust == "client":
            self._tell_of_claims(accepted)

    def _give_epoch(self, row: IdentityRow, profile_id: ProfileId) -> None:
        """An identifier that was erased or split off before gives another profile id each time."""
        for epoch in range(EPOCHS_MAX):
            row.epoch = epoch
            if mint(row, self._rules, self._ids) == profile_id:
                return
        row.epoch = 0

    def _answers(self, accepted: Accepted) -> bool:
        """Did the profile of a send recognise this as the answer to it?"""
        event = accepted.event
        if event.metric not in OUTCOMES or event.trust != "server":
            return False
        claimed = event.properties.get("profile_id")
        return (
            "send_id" in event.properties
            and isinstance(claimed, str)
            and self._now(claimed) == self._now(accepted.profile_id)
        )

    def _overtake(self, key: str, row: IdentityRow, accepted: Accepted) -> None:
        """The event was there before the link that is told already: both are to become one."""
        pointer, row.profile_id = row.profile_id, accepted.profile_id
        cause = self._pointed.get(key)
        profiles = (accepted.profile_id, pointer)
        self._tell(accepted, "overtaken", row.identifier, profiles)
        if cause is not None:
            asked = msgspec.structs.replace(cause, rule="asked", profiles=_ordered(profiles))
            self._await(asked)

    def _claim_devices(self, accepted: Accepted) -> None:
        """Whoever answers a send is whom it was sent to: so is the device."""
        profile_id = self._now(accepted.profile_id)
        for identifier in accepted.event.identifiers:
            if identifier[0] not in self._rules.strong:
                linked = Linked(
                    self._store, identifier, profile_id, None, is_named(profile_id), True
                )
                self._link(linked, accepted)

    def _tell_of_claims(self, accepted: Accepted) -> None:
        """A client's word about somebody's address joins nothing."""
        event, profile_id = accepted.event, accepted.profile_id
        for other in event.identifiers[1:]:
            row = self._rows.get(key_of(self._store, other))
            theirs = row is not None and self._now(row.profile_id) == self._now(profile_id)
            if other[0] in self._rules.strong and not theirs:
                self._tell_once(accepted, "client-said", other, (profile_id,), event.identifiers[0])

    # --- what identifiers say to each other ---------------------------------------------------

    def _deliver(self, outputs: Sequence[Output], accepted: Accepted) -> None:
        for output in outputs:
            match output.record:
                case Linked() as linked:
                    self._link(linked, accepted)
                case Retire() as retire:
                    self._retire(retire, accepted)

    def _link(self, linked: Linked, accepted: Accepted) -> None:
        """Tell what a link does to the identifier that it is for."""
        key = key_of(self._store, linked.identifier)
        row = self._rows.get(key)
        before = "" if row is None else self._now(row.profile_id)
        was_shared = row is not None and row.shared_at > 0
        outputs = self._step(key, row, linked, accepted)
        row = self._rows[key]
        seen_with = linked.announcer
        rule: Rule = "answered" if seen_with is None else "handed-over" if before else "link-taken"
        if row.shared_at and not was_shared:
            (profiles,) = [one.record.profiles for one in outputs if isinstance(one.record, Shared)]
            self._tell(accepted, "shared", linked.identifier, profiles, seen_with)
            return
        asks = False
        for output in outputs:
            match output.record:
                case Merge(into=into):
                    asks = True
                    self._ask(accepted, linked.identifier, (into, output.key), seen_with)
                case Forget() as forget:
                    self._step(output.key, self._rows[output.key], forget, accepted)
        if row.profile_id != before:
            profiles = (row.profile_id, before) if before else (row.profile_id,)
            if asks:
                self._pointed[key] = self.told[-1]
            else:
                said = self._tell(accepted, rule, linked.identifier, profiles, seen_with)
                self._pointed[key] = said
        elif before and not (asks or was_shared or before == self._now(linked.profile_id)):
            profiles = (before, linked.profile_id)
            self._tell_once(accepted, "kept-apart", linked.identifier, profiles, seen_with)

    def _retire(self, body: Retire, accepted: Accepted) -> None:
        """Another external id takes this one's place."""
        key = key_of(self._store, body.identifier)
        for output in self._step(key, self._rows.get(key), body, accepted):
            if isinstance(output.record, Retired):
                profiles = tuple(dict.fromkeys((body.profile_id, output.key)))
                self._tell(accepted, "alias", body.identifier, profiles, body.by)
                if len(profiles) > 1:
                    self._ask(accepted, body.identifier, profiles, body.by)

    def _step(
        self, key: str, row: IdentityRow | None, body: Body, accepted: Accepted
    ) -> list[Output]:
        event = accepted.event
        if row is not None:
            self._repoint(key, row)
        stepped, outputs = self._core.step(row, key, body, event.received_at, accepted.origin)
        if stepped is not None:
            self._rows[key] = stepped
            self._since.setdefault(key, event.received_at)
        return outputs

    def _repoint(self, key: str, row: IdentityRow) -> None:
        """Follow the profiles of a row to those that they are part of by now."""
        for old in {row.profile_id, *row.holders, *row.named}:
            new = self._now(old)
            if new != old:
                body = Repoint(self._store, identifier_of(key)[1], old, new)
                self._core.step(row, key, body, 0, ())

    # --- what profiles came to ----------------------------------------------------------------

    def settle(self, one: Settled | TakenOut) -> None:
        """Tell what became of what was asked for: a merge, or a refusal; or what support did."""
        if isinstance(one, TakenOut):
            self._take_out(one)
            return
        winner, loser = self._now(one.winner), self._now(one.loser)
        between = [
            ask for ask in self._asked.get(loser, ()) if self._is_between(ask, winner, loser)
        ]
        cause = min(between, key=lambda ask: ask.at, default=None)
        self.told.append(
            Join(
                at=one.at,
                rule="merged" if one.refused is None else "refused",
                identifier=one.because if cause is None else cause.identifier,
                profiles=(one.winner, one.loser),
                seen_with=None if cause is None else cause.seen_with,
                event=None if cause is None else cause.event,
                metric=None if cause is None else cause.metric,
                external_ids=one.external_ids,
                reason=one.refused,
            )
        )
        if one.refused is not None:
            for side in (winner, loser):
                asked = self._asked.get(side, ())
                self._asked[side] = [ask for ask in asked if ask not in between]
            return
        rest = [ask for ask in self._asked.pop(loser, ()) if ask not in between]
        self._asked.setdefault(winner, []).extend(rest)
        self._redirects[one.loser] = one.winner

    def _take_out(self, one: TakenOut) -> None:
        for number, identifier in enumerate(one.identifiers):
            key = key_of(self._store, identifier)
            row = self._rows.get(key)
            if row is not None:
                self._repoint(key, row)
                asked_for = number == 0
                body = SplitOff(self._store, identifier, one.known_as, one.new, asked_for)
                self._core.step(row, key, body, one.at, ())
            profiles = (one.new, one.old)
            said = Join(
                at=one.at, rule="split", identifier=identifier, profiles=profiles, reason=one.why
            )
            self.told.append(said)
            self._pointed[key] = said

    def _is_between(self, ask: Join, one: ProfileId, other: ProfileId) -> bool:
        return {self._now(profile_id) for profile_id in ask.profiles} == {one, other}

    def _await(self, ask: Join) -> None:
        """What was asked for waits for what becomes of it, at both sides."""
        for profile_id in ask.profiles:
            self._asked.setdefault(self._now(profile_id), []).append(ask)

    def _now(self, profile_id: ProfileId) -> ProfileId:
        """The profile that this one is part of."""
        while profile_id in self._redirects:
            profile_id = self._redirects[profile_id]
        return profile_id

    # --- telling ------------------------------------------------------------------------------

    def _ask(
        self,
        accepted: Accepted,
        identifier: Identifier,
        profiles: tuple[ProfileId, ...],
        seen_with: Identifier | None,
    ) -> None:
        self._await(self._tell(accepted, "asked", identifier, _ordered(profiles), seen_with))

    def _tell(
        self,
        accepted: Accepted,
        rule: Rule,
        identifier: Identifier,
        profiles: tuple[ProfileId, ...],
        seen_with: Identifier | None = None,
    ) -> Join:
        event = accepted.event
        said = Join(
            at=event.received_at,
            rule=rule,
            identifier=identifier,
            profiles=profiles,
            seen_with=seen_with,
            event=event.id,
            metric=event.metric,
        )
        self.told.append(said)
        return said

    def _tell_once(
        self,
        accepted: Accepted,
        rule: Rule,
        identifier: Identifier,
        profiles: tuple[ProfileId, ...],
        seen_with: Identifier | None,
    ) -> None:
        """The same again is no news."""
        known = (rule, identifier, profiles)
        if not any((one.rule, one.identifier, one.profiles) == known for one in self.told):
            self._tell(accepted, rule, identifier, profiles, seen_with)

    def standing(self) -> list[Standing]:
        """The identifiers as they are in the end, oldest first."""
        found = [
            Standing(row.identifier, self._since[key], self._now(row.profile_id), row.shared_at > 0)
            for key, row in self._rows.items()
            if row.profile_id
        ]
        return sorted(found, key=lambda one: (one.since, one.identifier))


def _ordered(profiles: tuple[ProfileId, ...]) -> tuple[ProfileId, ...]:
    """Who would win first: the smaller id."""
    return tuple(sorted(profiles))
