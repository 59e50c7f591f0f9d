"""Why a send was made or not: the whole chain from the event to the outcome, in plain words.

What was recorded comes from the timeline. Waits, splits and what was found at the entry are not
recorded: the person's history is told once more by the code that runs live (`streams/retell.py`),
and shown only where that comes to the very decisions that were recorded.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec
from clickhouse_connect.driver.client import Client

from agents.reports.histories import history_of, newest_instant
from agents.reports.runs import (
    Cause,
    Decision,
    Run,
    causes,
    commands,
    decisions,
    outcomes,
    run_of_send,
    runs,
)
from agents.reports.stories import profile_ids
from schemas.definitions import OnEvent
from schemas.outputs import Evidence
from schemas.records import DefinitionsPublished
from schemas.values import FlowId, FlowRunId, ProfileId, SendId, StoreId, Timestamp
from streams.definitions.switch import in_force
from streams.flows.plan import FlowPlan
from streams.flows.preview import trigger_checks
from streams.flows.reasons import reason_words
from streams.flows.trace import Asked, Branched, Ended, Reached, Traced, Waits
from streams.ids import Ids
from streams.instants import to_timestamp
from streams.profile.store import ready
from streams.retell import Happened, Retold, retell

Agreement = Literal["agrees", "differs", "refused", "not-asked"]
"""Does the history told once more come to what was recorded? refused: there was no run to tell;
not-asked: the event is none that starts the flow, so nothing was recorded.
"""
NOT_ASKED_MAX = 10

DECIDES = "send"
"""The step whose outcome is recorded: the decision tells it."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the chain.

    kind:     event, entered, refused, sent, held, dropped, skipped, commanded, outcome are
              recorded; step, branch, waits, ended are told once more; not-asked: no trigger.
    evidence: leaves of conditions as they were found.
    """

    at: Timestamp
    kind: str
    words: str
    id: str | None = None
    reasons: tuple[str, ...] = ()
    evidence: list[dict[str, Any]] = []


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One way through a flow, or one entry that was refused. send: the one that was asked for."""

    store: StoreId
    profile_id: ProfileId
    flow: FlowId
    run: FlowRunId | None
    send: SendId | None = None
    version: str | None
    told_again: Agreement
    links: list[Link]
    command: dict[str, Any] | None = None


class Teller:
    """Tells persons' histories once more, by the definitions that are asked about.

    definitions: those, made ready.
    """

    def __init__(self, client: Client, published: DefinitionsPublished, ids: Ids) -> None:
        self._client, self._ids = client, ids
        self.definitions = ready(in_force(None, published, ()))
        self._stores = {published.store: self.definitions}
        self._told: dict[ProfileId, Retold] = {}

    def tell(self, store: StoreId, profile_id: ProfileId) -> Retold:
        """The history of the row of this id."""
        if profile_id not in self._told:
            self._told[profile_id] = retell(
                profile_id,
                history_of(self._client, store, profile_id),
                self._stores,
                self._ids,
                until=newest_instant(self._client, store),
            )
        return self._told[profile_id]


def explain_send(client: Client, send_id: SendId, teller: Teller) -> Explanation | None:
    """The chain up to this send, and what came of it; None where no such send is known."""
    whose = run_of_send(client, send_id)
    if whose is None:
        return None
    store, _, run = whose
    entered = runs(client, store, run=run)
    if not entered:
        return None
    found = explain_run(client, store, entered[0], teller)
    (*_, decided) = [
        number
        for number, link in enumerate(found.links)
        if link.kind in ("sent", "held", "dropped", "skipped") and link.id == send_id
    ]
    links = [
        link
        for number, link in enumerate(found.links)
        if (link.id == send_id if link.kind in ("commanded", "outcome") else number <= decided)
    ]
    command = next((one for one in commands(client, store, run) if one["id"] == send_id), None)
    return msgspec.structs.replace(found, send=send_id, links=links, command=command)


def explain_flow(
    client: Client, store: StoreId, profile_id: ProfileId, flow: FlowId, teller: Teller
) -> list[Explanation]:
    """Every way of a person through a flow, and every entry that was refused, in their order.

    Also the newest events of the trigger's metric that do not start the flow, for its filters.
    """
    profiles = profile_ids(client, store, profile_id)
    found = [
        explain_run(client, store, run, teller)
        for run in runs(client, store, flow=flow, profiles=profiles)
    ]
    refused = decisions(client, store, flow=flow, profiles=profiles)
    known = causes(client, store, [one.trigger_event_id for one in refused])
    found += [_refusal(store, one, known.get(one.trigger_event_id)) for one in refused]
    if (plan := teller.definitions.plans.flows.get(flow)) is not None:
        found += _not_asked(client, store, profile_id, plan)
    return sorted(found, key=lambda one: max(link.at for link in one.links[:2]))


def explain_run(client: Client, store: StoreId, run: Run, teller: Teller) -> Explanation:
    """The whole way of a run, so far."""
    decided = decisions(client, store, run=run.id)
    retold = teller.tell(store, run.profile_id)
    agrees = _agrees(run.id, decided, retold)
    cause = causes(client, store, [run.trigger_event_id]).get(run.trigger_event_id)
    asked = [one for one in retold.asked(run.flow) if one.run == run.id and agrees]
    evidence = [leaf for one in asked for found in one.evidence.values() for leaf in _plain(found)]
    words = f"enters {run.flow}, because: {run.trigger}"
    entered = Link(at=run.decided_at, kind="entered", words=words, id=run.id, evidence=evidence)
    links = [] if cause is None else [_event(cause)]
    links += [entered, *_way(run.id, decided, retold.trace if agrees else ())]
    sends = [one.send_id for one in decided if one.send_id is not None and one.outcome == "sent"]
    for command in commands(client, store, run.id):
        _insert(links, _commanded(command))
    links += [
        Link(at=one.at, kind="outcome", words=f"{one.metric} {one.id}", id=one.send_id)
        for one in outcomes(client, store, sends)
    ]
    return Explanation(
        store=store,
        profile_id=run.profile_id,
        flow=run.flow,
        run=run.id,
        version=run.version,
        told_again="agrees" if agrees else "differs",
        links=links,
    )


def _agrees(run: FlowRunId, decided: Sequence[Decision], retold: Retold) -> bool:
    """Does the history told once more start this run and take the same decisions in it?"""
    again = {one.id for one in retold.decided() if one.flow_run_id == run}
    return {one.id for one in decided} == again and any(one.id == run for one in retold.triggered())


def _way(run: FlowRunId, decided: Sequence[Decision], trace: Iterable[Traced]) -> Iterator[Link]:
    """Decisions with the steps between them; the step of a send stands for its decision."""
    waiting = list(decided)
    for one in trace:
        if one.run != run or isinstance(one, Asked):
            continue
        if isinstance(one, Reached) and one.step == DECIDES:
            if waiting:
                yield _decided(waiting.pop(0))
            continue
        while waiting and waiting[0].decided_at < to_timestamp(one.at):
            yield _decided(waiting.pop(0))
        yield _traced(one)
    yield from map(_decided, waiting)


def _insert(links: list[Link], command: Link) -> None:
    """Put a command behind the decision that wrote it."""
    for number, link in enumerate(links):
        if link.kind == "sent" and link.id == command.id:
            links.insert(number + 1, command)
            return
    links.append(command)


def _refusal(store: StoreId, refused: Decision, cause: Cause | None) -> Explanation:
    links = [] if cause is None else [_event(cause)]
    return Explanation(
        store=store,
        profile_id=refused.profile_id,
        flow=refused.flow,
        run=None,
        version=None,
        told_again="refused",
        links=[*links, _decided(refused)],
    )


def _not_asked(
    client: Client, store: StoreId, profile_id: ProfileId, plan: FlowPlan
) -> list[Explanation]:
    trigger = plan.flow.trigger
    if not isinstance(trigger, OnEvent):
        return []
    heard = [
        one
        for one in history_of(client, store, profile_id)
        if one.event.metric == trigger.event.metric and not plan.test(one.event, None)
    ]
    return [
        Explanation(
            store=store,
            profile_id=profile_id,
            flow=plan.flow.id,
            run=None,
            version=None,
            told_again="not-asked",
            links=_filtered_out(one, plan),
        )
        for one in heard[-NOT_ASKED_MAX:]
    ]


def _filtered_out(one: Happened, plan: FlowPlan) -> list[Link]:
    event = one.event
    failed = [check.words for check in trigger_checks(plan, event) if not check.passes]
    name = f"{event.metric} {event.id}"
    return [
        Link(at=to_timestamp(event.occurred_at), kind="event", words=name, id=event.id),
        Link(
            at=to_timestamp(one.at),
            kind="not-asked",
            words=f"{plan.flow.id} starts only {', and only '.join(failed)}",
        ),
    ]


# --- words ---------------------------------------------------------------------------------------


def _event(cause: Cause) -> Link:
    late = f", heard of {cause.known_at}" if cause.known_at[:19] != cause.at[:19] else ""
    return Link(at=cause.at, kind="event", words=f"{cause.name} {cause.id}{late}", id=cause.id)


def _decided(one: Decision) -> Link:
    what = "no gate objects" if one.outcome == "sent" else "; ".join(map(reason_words, one.reasons))
    until = f", until {one.until}" if one.until is not None else ""
    name = "the run" if one.message is None else f"{one.channel} {one.message}"
    if one.outcome == "refused":
        name = one.flow
    return Link(
        at=one.decided_at,
        kind=one.outcome,
        words=f"{name}{until}: {what}",
        id=one.send_id,
        reasons=one.reasons,
        evidence=one.evidence,
    )


def _commanded(command: dict[str, Any]) -> Link:
    variant = f", variant {command['variant']}" if command["variant"] else ""
    words = (
        f"{command['channel']}, template {command['template']}{variant}, attempt "
        f"{command['attempt']}, to go out before {command['valid_until']}"
    )
    return Link(at=command["decided_at"], kind="commanded", words=words, id=command["id"])


def _traced(traced: Traced) -> Link:
    at = to_timestamp(traced.at)
    match traced:
        case Reached(words=words, evidence=evidence):
            return Link(at=at, kind="step", words="; ".join(words), evidence=_plain(evidence))
        case Branched(words=words):
            return Link(at=at, kind="branch", words=words)
        case Waits(until=until):
            return Link(at=at, kind="waits", words=f"until {to_timestamp(until)}")
        case Ended():
            return Link(at=at, kind="ended", words="the run is over")
        case Asked():
            raise AssertionError("an entry is recorded")


def _plain(evidence: Iterable[Evidence]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(leaf) for leaf in evidence]
