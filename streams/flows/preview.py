"""Would it enter? An event that may start a flow, check by check, as the entry itself asks them."""

from decimal import Decimal

import msgspec

from schemas.conditions import Filter
from schemas.definitions import OnEvent
from schemas.events import Event
from schemas.outputs import Evidence
from streams.flows import entry
from streams.flows.plan import FlowPlan
from streams.flows.reasons import reason_words
from streams.flows.trace import Asked
from streams.flows.words import trigger_words
from streams.segments.leaves import shown
from streams.segments.texts import filters_text
from streams.segments.values import compile_event_test, compile_path

TRIGGER = "trigger"
REPEATED = "repeated"
"""The checks before a flow is asked: is it the event that starts it; was it heard before."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One question at the entry. name: the reason with which it objects. words: what was asked."""

    name: str
    passes: bool
    words: str
    evidence: tuple[Evidence, ...] = ()


def trigger_checks(plan: FlowPlan, event: Event) -> list[Check]:
    """Is this event one that starts the flow? Each filter is asked for itself."""
    if not isinstance(plan.flow.trigger, OnEvent):
        words = trigger_words(plan.flow.trigger)
        return [Check(name=TRIGGER, passes=plan.test(event, None), words=words)]
    return [_filter_check(one, event) for one in plan.flow.trigger.event.where]


def _filter_check(asked: Filter, event: Event) -> Check:
    words, passes = filters_text((asked,)), compile_event_test((asked,))(event, None)
    found = compile_path(asked.path)(event)
    value = f"{found.normalize():f}" if isinstance(found, Decimal) else shown(found)
    evidence = Evidence(leaf=words, holds=passes, value=value)
    return Check(name=TRIGGER, passes=passes, words=f"where {words}", evidence=(evidence,))


def entry_checks(plan: FlowPlan, asked: Asked | None) -> list[Check]:
    """What the flow asked; None: nothing, for the event was a repeat of an earlier one."""
    if asked is None:
        words = "an event with this id was heard before"
        return [Check(name=REPEATED, passes=False, words=words)]
    names = [
        entry.PROFILE_ERASED,
        entry.BACKFILL,
        entry.TOO_OLD,
        *([entry.NO_KEY] if plan.key is not None else []),
        entry.ALREADY_RUNNING,
        *([entry.RE_ENTRY] if plan.flow.re_entry.rule != "always" else []),
        entry.TOO_MANY_RUNS,
        *asked.evidence,
    ]
    names += [reason for reason in asked.reasons if reason not in names]
    return [
        Check(
            name=name,
            passes=name not in asked.reasons,
            words=reason_words(name),
            evidence=asked.evidence.get(name, ()),
        )
        for name in names
    ]
