"""Would the last trigger events have entered a flow? Each person's history is told once more."""

from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from agents.reports.explanations import Teller
from agents.reports.histories import history_of
from schemas.definitions import (
    OnBackInStock,
    OnEvent,
    OnList,
    OnLowStock,
    OnPriceDrop,
    OnSegment,
)
from schemas.values import EventId, ProfileId, StoreId, Timestamp
from streams.definitions.products import CATALOG_TRIGGERED
from streams.flows.plan import FlowPlan
from streams.flows.preview import TRIGGER, Check, entry_checks, trigger_checks
from streams.instants import to_timestamp

_EVENTS = """
SELECT profile_id, event_id, metric, toUnixTimestamp64Milli(received_at) AS at
FROM events FINAL
WHERE store = {store:String} AND metric IN {metrics:Array(String)}
    AND ({list:String} = '' OR JSONExtractString(properties, 'list') IN ['', {list:String}])
ORDER BY at DESC, origin DESC LIMIT {count:UInt32}
"""

_ENTERED = """
SELECT profile_id, id, concat('entered ', segment), toUnixTimestamp64Milli(decided_at) AS at
FROM segment_changes FINAL
WHERE store = {store:String} AND segment = {segment:String} AND change = 'entered'
ORDER BY at DESC, id LIMIT {count:UInt32}
"""

JOINING = ("Joined List", "Subscribed", "Confirmed Subscription")


class Previewed(msgspec.Struct, frozen=True, kw_only=True):
    """One trigger event, and whether its profile would have entered; checks in their order."""

    at: Timestamp
    profile_id: ProfileId
    event_id: EventId
    name: str
    enters: bool
    checks: list[Check]


class NothingTriggers(Exception):
    """A flow that no event, segment or list starts."""


def previews(
    client: Client, store: StoreId, plan: FlowPlan, teller: Teller, *, last: int
) -> list[Previewed]:
    """The last trigger events, the newest first.

    Raises: NothingTriggers.
    """
    return [
        _previewed(client, store, plan, teller, row)
        for row in _last(client, plan, {"store": store, "count": last, "list": ""})
    ]


def _last(client: Client, plan: FlowPlan, asked: dict[str, Any]) -> list[tuple[Any, ...]]:
    """(profile id, id, name, instant) of what may have started the flow."""
    match plan.flow.trigger:
        case OnEvent(event):
            query, asked = _EVENTS, {**asked, "metrics": [event.metric]}
        case OnPriceDrop() | OnLowStock() | OnBackInStock():
            query, asked = _EVENTS, {**asked, "metrics": [CATALOG_TRIGGERED]}
        case OnList(name):
            query, asked = _EVENTS, {**asked, "metrics": list(JOINING), "list": name}
        case OnSegment(segment):
            query, asked = _ENTERED, {**asked, "segment": segment}
        case _:
            raise NothingTriggers(f"no event starts {plan.flow.id}: it is started by a date")
    return [tuple(row) for row in client.query(query, parameters=asked).result_rows]


def _previewed(
    client: Client, store: StoreId, plan: FlowPlan, teller: Teller, row: tuple[Any, ...]
) -> Previewed:
    profile_id, id_, name, at = row
    checks: list[Check] = []
    if isinstance(plan.flow.trigger, OnEvent | OnPriceDrop | OnLowStock | OnBackInStock):
        heard = history_of(client, store, profile_id)
        event = next(one.event for one in heard if (one.event.id, one.event.metric) == (id_, name))
        checks += trigger_checks(plan, event)
    if all(check.passes for check in checks):
        entries = teller.tell(store, profile_id).asked(plan.flow.id)
        asked = next((one for one in entries if one.trigger == id_), None)
        if asked is None and isinstance(plan.flow.trigger, OnList | OnSegment):
            words = f"by these definitions the profile does not begin to: {plan.started_by}"
            checks.append(Check(name=TRIGGER, passes=False, words=words))
        else:
            checks += entry_checks(plan, asked)
    return Previewed(
        at=to_timestamp(at),
        profile_id=profile_id,
        event_id=id_,
        name=name,
        enters=all(check.passes for check in checks),
        checks=checks,
    )
