"""What the timeline has of runs through flows: trigger, entry, decisions, commands, outcomes."""

from collections.abc import Sequence
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from schemas.values import Channel, FlowId, FlowRunId, ProfileId, SendId, StoreId, Timestamp
from streams.instants import to_timestamp

_RUNS = """
SELECT id, profile_id, flow, version, trigger, trigger_event_id, toUnixTimestamp64Milli(decided_at)
FROM flow_triggers FINAL
WHERE store = {store:String} AND (id = {run:String}
    OR flow = {flow:String} AND profile_id IN {profiles:Array(String)})
ORDER BY decided_at, id
"""

_DECIDED = """
SELECT
    id, profile_id, flow, flow_run_id, message, channel, outcome, reasons, send_id,
    toUnixTimestamp64Milli(until), trigger_event_id, toUnixTimestamp64Milli(decided_at), evidence
FROM send_decisions FINAL
WHERE store = {store:String} AND (flow_run_id = {run:String} AND flow_run_id != ''
    OR outcome = 'refused' AND flow = {flow:String} AND profile_id IN {profiles:Array(String)})
ORDER BY decided_at, kafka_partition, kafka_offset
"""

_COMMANDED = """
SELECT
    id, store, profile_id, channel, address, template, flow, flow_run_id, campaign, message,
    variant, attempt, context, toUnixTimestamp64Milli(decided_at),
    toUnixTimestamp64Milli(valid_until)
FROM sends FINAL
WHERE store = {store:String} AND flow_run_id = {run:String} AND flow_run_id != ''
ORDER BY decided_at, id
"""

# A trigger is an event, or a change of a segment; a list that a flow joined and a date have none.
_CAUSES = """
SELECT event_id, metric, toUnixTimestamp64Milli(occurred_at) AS at,
    toUnixTimestamp64Milli(received_at), properties
FROM events FINAL
WHERE store = {store:String} AND event_id IN {ids:Array(String)}
ORDER BY origin LIMIT 1 BY event_id
UNION ALL
SELECT id, concat(change, ' ', segment), toUnixTimestamp64Milli(at),
    toUnixTimestamp64Milli(decided_at), '{}'
FROM segment_changes FINAL
WHERE store = {store:String} AND id IN {ids:Array(String)}
"""

_OUTCOMES = """
SELECT event_id, metric, toUnixTimestamp64Milli(occurred_at), send_id
FROM (SELECT *, send_id FROM events FINAL)
WHERE store = {store:String} AND send_id IN {ids:Array(String)}
ORDER BY origin LIMIT 1 BY metric, event_id
"""

_WHOSE = """
SELECT store, profile_id, flow_run_id FROM send_decisions FINAL
WHERE send_id = {send:String} AND flow_run_id != '' ORDER BY decided_at LIMIT 1
"""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A profile entered a flow. version: of the definitions that were in force."""

    id: FlowRunId
    profile_id: ProfileId
    flow: FlowId
    version: str
    trigger: str
    trigger_event_id: str
    decided_at: Timestamp


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `send_decisions`. evidence: leaves as they were found."""

    id: str
    profile_id: ProfileId
    flow: FlowId
    flow_run_id: FlowRunId | None
    message: str | None
    channel: Channel | None
    outcome: str
    reasons: tuple[str, ...]
    send_id: SendId | None
    until: Timestamp | None
    trigger_event_id: str
    decided_at: Timestamp
    evidence: list[dict[str, Any]]


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What triggered a flow: an event, or a change of a segment."""

    id: str
    name: str
    at: Timestamp
    known_at: Timestamp
    properties: dict[str, Any]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a send."""

    id: str
    metric: str
    at: Timestamp
    send_id: SendId


def run_of_send(client: Client, send_id: SendId) -> tuple[StoreId, ProfileId, FlowRunId] | None:
    """Whose send it is, of which run; None where it is not known."""
    found = client.query(_WHOSE, parameters={"send": send_id}).first_row
    return None if found is None else (found[0], found[1], found[2])


def runs(
    client: Client,
    store: StoreId,
    *,
    run: FlowRunId = "-",
    flow: FlowId = "-",
    profiles: Sequence[ProfileId] = (),
) -> list[Run]:
    """The run of that id, or all runs of these profiles through a flow."""
    parameters = {"store": store, "run": run, "flow": flow, "profiles": list(profiles)}
    return [
        Run(
            id=row[0],
            profile_id=row[1],
            flow=row[2],
            version=row[3],
            trigger=row[4],
            trigger_event_id=row[5],
            decided_at=to_timestamp(row[6]),
        )
        for row in client.query(_RUNS, parameters=parameters).result_rows
    ]


def decisions(
    client: Client,
    store: StoreId,
    *,
    run: FlowRunId = "-",
    flow: FlowId = "-",
    profiles: Sequence[ProfileId] = (),
) -> list[Decision]:
    """The decisions of a run, or the entries into a flow that were refused to these profiles."""
    parameters = {"store": store, "run": run, "flow": flow, "profiles": list(profiles)}
    rows = client.query(_DECIDED, parameters=parameters).result_rows
    return [
        Decision(
            id=row[0],
            profile_id=row[1],
            flow=row[2],
            flow_run_id=row[3] or None,
            message=row[4] or None,
            channel=row[5] or None,
            outcome=row[6],
            reasons=tuple(row[7]),
            send_id=row[8] or None,
            until=None if row[9] is None else to_timestamp(row[9]),
            trigger_event_id=row[10],
            decided_at=to_timestamp(row[11]),
            evidence=msgspec.json.decode(row[12]),
        )
        for row in rows
    ]


COMMAND_FIELDS = (
    "id",
    "store",
    "profile_id",
    "channel",
    "address",
    "template",
    "flow",
    "flow_run_id",
    "campaign",
    "message",
    "variant",
    "attempt",
    "context",
    "decided_at",
    "valid_until",
)


def commands(client: Client, store: StoreId, run: FlowRunId) -> list[dict[str, Any]]:
    """The commands of a run as they travelled, without the unsubscribe token."""
    found = client.query(_COMMANDED, parameters={"store": store, "run": run}).result_rows
    return [_command(row) for row in found]


def _command(row: Sequence[Any]) -> dict[str, Any]:
    command: dict[str, Any] = dict(zip(COMMAND_FIELDS, row, strict=True))
    for name in ("flow", "flow_run_id", "campaign", "variant"):
        command[name] = command[name] or None
    for name in ("decided_at", "valid_until"):
        command[name] = to_timestamp(command[name])
    command["context"] = msgspec.json.decode(command["context"])
    return command


def causes(client: Client, store: StoreId, ids: Sequence[str]) -> dict[str, Cause]:
    """What is behind the ids of triggers, as far as the timeline has it."""
    rows = client.query(_CAUSES, parameters={"store": store, "ids": list(ids)}).result_rows
    return {
        id_: Cause(
            id=id_,
            name=name,
            at=to_timestamp(at),
            known_at=to_timestamp(known_at),
            properties=msgspec.json.decode(properties),
        )
        for id_, name, at, known_at, properties in rows
    }


def outcomes(client: Client, store: StoreId, sends: Sequence[SendId]) -> list[Outcome]:
    """What became of these sends, in the order in which it was heard."""
    rows = client.query(_OUTCOMES, parameters={"store": store, "ids": list(sends)}).result_rows
    return [
        Outcome(id=id_, metric=metric, at=to_timestamp(at), send_id=send_id)
        for id_, metric, at, send_id in rows
    ]
