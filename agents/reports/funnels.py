"""What became of the profiles that triggered a flow."""

from collections import defaultdict

import msgspec
from clickhouse_connect.driver.client import Client

from schemas.values import FlowId, Instant, StoreId

TRIGGERED = """
SELECT flow, uniqExact(id) FROM flow_triggers FINAL
WHERE store = {store:String}
    AND decided_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
    AND decided_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
GROUP BY flow
"""

# A send that was held five times was held: holds count once for each run and message.
DECIDED = """
SELECT
    flow, outcome, reason,
    if(outcome = 'held', uniqExact(flow_run_id, message), uniqExact(id)) AS decisions
FROM send_decisions FINAL
WHERE store = {store:String} AND flow != ''
    AND decided_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
    AND decided_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
GROUP BY flow, outcome, reason
ORDER BY decisions DESC, reason
"""


class FunnelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One flow. reasons: outcome -> reason -> how often, most frequent first.

    refused: entries that were not let in; all others are about planned sends. held: sends that
    waited at least once (for each reason); what became of them later is counted there.
    """

    flow: FlowId
    triggered: int
    sent: int
    held: int
    dropped: int
    skipped: int
    refused: int
    reasons: dict[str, dict[str, int]]


def funnels(client: Client, store: StoreId, from_: Instant, to: Instant) -> list[FunnelRow]:
    """Say what was decided in [from_, to), flow by flow, most triggered first."""
    parameters = {"store": store, "since": from_, "until": to}
    rows_triggered = client.query(TRIGGERED, parameters=parameters).result_rows
    triggered: dict[FlowId, int] = {flow: int(count) for flow, count in rows_triggered}
    counts: defaultdict[str, defaultdict[str, dict[str, int]]]
    counts = defaultdict(lambda: defaultdict(dict))
    for flow, outcome, reason, decisions in client.query(
        DECIDED, parameters=parameters
    ).result_rows:
        counts[flow][outcome][reason] = decisions
    rows = [
        FunnelRow(
            flow=flow,
            triggered=triggered.get(flow, 0),
            sent=sum(counts[flow]["sent"].values()),
            held=sum(counts[flow]["held"].values()),
            dropped=sum(counts[flow]["dropped"].values()),
            skipped=sum(counts[flow]["skipped"].values()),
            refused=sum(counts[flow]["refused"].values()),
            reasons={
                outcome: reasons
                for outcome, reasons in sorted(counts[flow].items())
                if outcome != "sent" and reasons
            },
        )
        for flow in sorted(triggered.keys() | counts.keys())
    ]
    return sorted(rows, key=lambda row: -row.triggered)
