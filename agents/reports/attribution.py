"""What each message earned: windows, model and period are parameters of one query.

The second opinion is `streams/attribution`: both give the same credits, to the micro
(tests/agents/test_reports.py). Each step of the query is named after what it is there.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from clickhouse_connect.driver.client import Client

from schemas.values import Channel, FlowId, Instant, Micros, Money
from streams.attribution.rules import STRENGTH, TOUCHES, CreditRules, Model
from streams.attribution.shares import HALVINGS_MAX
from streams.money import MICROS, to_money

WEIGHTS: Mapping[Model, str] = MappingProxyType(
    {
        "first": "place = 1",
        "last": "place = places",
        "linear": "1",
        "position": "if(places <= 2, 1, if(place IN (1, places), 2 * (places - 2), 1))",
        "time-decay": """
            if(
                intDiv(age, {half_life:Int64}) >= {halvings_max:Int64},
                toInt256(2 * {half_life:Int64}),
                bitShiftLeft(
                    toInt256(2 * {half_life:Int64} - age % {half_life:Int64}),
                    toUInt8({halvings_max:Int64} - intDiv(age, {half_life:Int64}))
                )
            )""",
    }
)
"""`streams.attribution.shares.weights`, of place `place` among `places`."""

LATEST_COUNTS = ("argMax", "at, strength, send_id")
EARLIEST_COUNTS = ("argMin", "at, -strength, send_id DESC")


FROM_RECEIPT = "least(if(r.at = 0, toUnixTimestamp64Milli(s.decided_at), r.at), at)"
"""Where the window begins with `starts: receipt`; no touch counts longer for a late receipt."""


class Message(NamedTuple):
    """One message of a flow or campaign on one channel; '' means none."""

    flow: FlowId
    campaign: str
    message: str
    channel: Channel


class AttributionRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one message of a flow or campaign did on one channel.

    sends, delivered, opened, clicked: of the sends decided in the period.
    conversions: of the period, that it has a share in; shared ones count for each.
    revenue: its shares, by currency.
    """

    flow: FlowId | None
    campaign: str | None
    message: str
    channel: Channel
    sends: int
    delivered: int
    opened: int
    clicked: int
    conversions: int
    revenue: dict[str, Money]


CREDITS = """
WITH
conversions AS
(
    SELECT
        profile_id, event_id, currency, toUnixTimestamp64Milli(occurred_at) AS at,
        toInt256(ifNull(value_micros, 0)) AS micros
    FROM united_events
    WHERE store = {{store:String}} AND metric = {{conversion:String}}
        AND at >= {{since:Int64}} AND at < {{until:Int64}}
),
receipts AS
(
    SELECT send_id, min(toUnixTimestamp64Milli(occurred_at)) AS at
    FROM united_events
    WHERE store = {{store:String}} AND metric IN {{receipts:Array(String)}}
    GROUP BY send_id
),
touches AS
(
    SELECT
        e.profile_id AS profile_id, e.send_id AS send_id,
        toUnixTimestamp64Milli(e.occurred_at) AS at,
        transform(e.metric, {{metrics:Array(String)}}, {{strengths:Array(Int64)}}, 0) AS strength,
        s.channel AS channel,
        transform(e.metric, {{metrics:Array(String)}}, {{windows:Array(Int64)}}, 0) AS window,
        {starts} + window AS ends_at,
        s.flow AS flow, s.campaign AS campaign, s.message AS message
    FROM united_events AS e
    INNER JOIN united_sends AS s ON s.store = e.store AND s.id = e.send_id
    {receipts}
    WHERE e.store = {{store:String}} AND e.metric IN {{metrics:Array(String)}}
        AND e.profile_id IN (SELECT profile_id FROM conversions)
        AND transform(e.metric, {{metrics:Array(String)}}, {{channels:Array(String)}}, '') = channel
),
counting AS
(
    SELECT
        c.profile_id AS profile_id, c.event_id AS conversion, c.at AS converted_at,
        any(c.micros) AS micros,
        any(if(c.currency = '', {{currency:String}}, c.currency)) AS currency,
        t.send_id AS send_id, any(t.flow) AS flow, any(t.campaign) AS campaign,
        any(t.message) AS message,
        {counts}(tuple(t.at, t.strength, t.channel), tuple(t.at, {sign}t.strength)) AS touch,
        touch.1 AS at, touch.2 AS strength, touch.3 AS channel, converted_at - at AS age
    FROM conversions AS c
    INNER JOIN touches AS t ON t.profile_id = c.profile_id
    WHERE t.at < c.at AND c.at <= t.ends_at
    GROUP BY profile_id, conversion, converted_at, send_id
),
placed AS
(
    SELECT
        *,
        toInt64(count() OVER (PARTITION BY profile_id, conversion)) AS places,
        toInt64(row_number() OVER (PARTITION BY profile_id, conversion ORDER BY {order})) AS place
    FROM counting
),
weighed AS
(
    SELECT
        *,
        toInt256({weight}) AS weight,
        sum(weight) OVER (PARTITION BY profile_id, conversion) AS total,
        sum(weight) OVER
        (
            PARTITION BY profile_id, conversion ORDER BY place
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS up_to
    FROM placed
)
SELECT
    profile_id, conversion, converted_at, send_id, flow, campaign, message, channel, strength, at,
    currency, place, {amount} AS amount, {share} AS share
FROM weighed
WHERE weight > 0
"""

EARNED = """
SELECT
    flow, campaign, message, channel, currency,
    uniqExact(profile_id, conversion) AS conversions, sum(amount) AS amount
FROM ({credits})
GROUP BY flow, campaign, message, channel, currency
"""

DONE = """
SELECT
    s.flow AS flow, s.campaign AS campaign, s.message AS message, s.channel AS channel,
    tuple(
        uniqExact(s.id),
        uniqExactIf(s.id, o.kind = 'delivered'),
        uniqExactIf(s.id, o.kind = 'open'),
        uniqExactIf(s.id, o.kind = 'click')
    ) AS counts
FROM united_sends AS s
LEFT JOIN
(
    SELECT DISTINCT -- so rows that are there twice do no harm
        send_id, transform(metric, {all_metrics:Array(String)}, {kinds:Array(String)}, '') AS kind
    FROM events
    WHERE store = {store:String} AND metric IN {all_metrics:Array(String)} AND send_id != ''
) AS o ON o.send_id = s.id
WHERE s.store = {store:String}
    AND s.decided_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
    AND s.decided_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
GROUP BY flow, campaign, message, channel
"""


def floored(product: str, total: str) -> str:
    """Divide as Python's `//` does: towards minus infinity."""
    return f"(intDiv({product}, {total}) - ({product} < 0 AND {product} % {total} != 0))"


def split_of(amount: str) -> str:
    """`streams.attribution.shares.split`, as an expression."""
    before = f"{amount} * (up_to - weight)"
    return f"{floored(f'({amount} * up_to)', 'total')} - {floored(f'({before})', 'total')}"


def credits_query(model: Model, rules: CreditRules) -> str:
    """The query for the credits of one model."""
    counts, order = EARLIEST_COUNTS if model == "first" else LATEST_COUNTS
    from_touch = rules.starts == "touch"
    return CREDITS.format(
        starts="at" if from_touch else FROM_RECEIPT,
        receipts="" if from_touch else "LEFT JOIN receipts AS r ON r.send_id = e.send_id",
        counts=counts,
        sign="-" if model == "first" else "",
        order=order,
        weight=WEIGHTS[model],
        amount=split_of("micros"),
        share=split_of(f"toInt256({MICROS})"),
    )


def parameters_of(rules: CreditRules, since: Instant, until: Instant) -> dict[str, Any]:
    """What the queries are asked with."""
    counting = {
        metric: (channel, kind)
        for metric, (channel, kind) in TOUCHES.items()
        if rules.window(channel, kind)
    }
    return {
        "store": rules.store,
        "since": since,
        "until": until,
        "conversion": rules.conversion,
        "currency": rules.currency,
        "half_life": rules.half_life,
        "halvings_max": HALVINGS_MAX,
        "metrics": list(counting),
        "channels": [channel for channel, _ in counting.values()],
        "strengths": [STRENGTH[kind] for _, kind in counting.values()],
        "windows": [rules.window(*touch) for touch in counting.values()],
        "receipts": [metric for metric, (_, kind) in TOUCHES.items() if kind == "delivered"],
        "all_metrics": list(TOUCHES),
        "kinds": [kind for _, kind in TOUCHES.values()],
    }


def attribution(
    client: Client, from_: Instant, to: Instant, model: Model, rules: CreditRules
) -> list[AttributionRow]:
    """Say what the messages of `rules.store` did in [from_, to), most revenue first.

    Conversions count where they happened in the period, whenever their sends were.
    """
    parameters = parameters_of(rules, from_, to)
    done = {
        Message(*key): counts
        for *key, counts in client.query(DONE, parameters=parameters).result_rows
    }
    conversions: Counter[Message] = Counter()
    earned: defaultdict[Message, dict[str, Micros]] = defaultdict(dict)
    query = EARNED.format(credits=credits_query(model, rules))
    for *key, currency, count, amount in client.query(query, parameters=parameters).result_rows:
        conversions[Message(*key)] += count
        earned[Message(*key)][currency] = amount
    rows = []
    for message in done.keys() | earned.keys():
        sends, delivered, opened, clicked = done.get(message, (0, 0, 0, 0))
        revenue = {currency: to_money(sum_) for currency, sum_ in sorted(earned[message].items())}
        rows.append(
            AttributionRow(
                flow=message.flow or None,
                campaign=message.campaign or None,
                message=message.message,
                channel=message.channel,
                sends=sends,
                delivered=delivered,
                opened=opened,
                clicked=clicked,
                conversions=conversions[message],
                revenue=revenue,
            )
        )
    total = {message: sum(amounts.values()) for message, amounts in earned.items()}
    rows.sort(key=lambda row: (row.flow or "", row.campaign or "", row.message, row.channel))
    rows.sort(key=lambda row: -total.get(message_of(row), 0))
    return rows


def message_of(row: AttributionRow) -> Message:
    """What the row is about, as the database has it."""
    return Message(row.flow or "", row.campaign or "", row.message, row.channel)
