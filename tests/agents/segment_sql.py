"""A segment as one query over the timeline, for what SQL can say: a third opinion.

Counts, sums, averages, least and greatest in every window that moves with time or stands still,
with tests of values and plain properties, in trees. All else is refused by name.
"""

from decimal import Decimal
from typing import Final

from clickhouse_connect.driver.client import Client

from schemas import conditions as c
from schemas.values import Instant, ProfileId, StoreId
from streams.segments.features import QUANTITY

PLACES: Final = 9
"""Decimal places in which numbers are compared; amounts are millionths."""

MEMBERS: Final = """
SELECT profile_id FROM
(
    SELECT
        profile_id, metric, value_micros, currency, properties,
        toUnixTimestamp64Milli(occurred_at) AS at
    FROM united_events
    WHERE store = {store:String} AND toUnixTimestamp64Milli(received_at) <= {now:Int64}
)
GROUP BY profile_id HAVING <condition> ORDER BY profile_id
"""


class NotInSql(Exception):
    """SQL cannot say it; the argument names what."""


def members_by_sql(
    client: Client, store: StoreId, condition: c.Condition, now: Instant, currency: str
) -> list[ProfileId]:
    """Who is in the segment at `now`, of those who have had an event.

    Raises: NotInSql.
    """
    query = MEMBERS.replace("<condition>", condition_sql(condition, currency))
    rows = client.query(query, parameters={"store": store, "now": now}).result_rows
    return [who for (who,) in rows]


def condition_sql(condition: c.Condition, currency: str) -> str:
    """The condition over the events of one person, as an expression of aggregates.

    Raises: NotInSql.
    """
    match condition:
        case c.AllOf(parts):
            return f"({' AND '.join(condition_sql(part, currency) for part in parts)})"
        case c.AnyOf(parts):
            return f"({' OR '.join(condition_sql(part, currency) for part in parts)})"
        case c.NoneOf(parts):
            return f"NOT ({' OR '.join(condition_sql(part, currency) for part in parts)})"
        case c.Did(event, times, window):
            many = f"countIf({_event(event)} AND {_window(window)})"
            return _compared(f"toDecimal128({many}, {PLACES})", times)
        case c.Measured():
            return _measured(condition, currency)
        case _:
            raise NotInSql(type(condition).__name__)


def _measured(condition: c.Measured, currency: str) -> str:
    amount = _amount(condition.of, currency)
    inside = f"{_event(condition.event)} AND {_window(condition.window)}"
    counted = f"countIf({inside} AND {amount} IS NOT NULL)"
    total = f"ifNull(sumIf(toInt128({amount}), {inside}), 0)"
    times = "1"
    match condition.measure:
        case "total":
            found = total
        case "average":
            found, times = total, counted
        case extreme:
            found = f"ifNull({extreme}If({amount}, {inside}), 0)"
    held = _compared(_decimal(found), condition.comparison, scale=10**6, times=times)
    return f"({counted} > 0 AND {held})" if condition.measure != "total" else held


def _decimal(number: str) -> str:
    return f"toDecimal256({number}, {PLACES})"


def _compared(number: str, comparison: c.Comparison, *, scale: int = 1, times: str = "1") -> str:
    """number, times: expressions; what it is compared with is multiplied with scale and times."""

    def limit(bound: Decimal) -> str:
        return f"{_literal(bound * scale)} * toInt128({times})"

    match comparison:
        case c.Compare(operator, to):
            return f"{number} {operator} {limit(to)}"
        case c.Range(least, most):
            return f"({limit(least)} <= {number} AND {number} <= {limit(most)})"


def _literal(number: Decimal) -> str:
    if number != round(number, PLACES):
        raise NotInSql(f"a number finer than {PLACES} places")
    return f"toDecimal256('{number:f}', {PLACES})"


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _window(window: c.Window | None) -> str:
    now = "{now:Int64}"
    match window:
        case None:
            return f"at <= {now}"
        case c.InLast(span):
            return f"(at > {now} - {span} AND at <= {now})"
        case c.AtLeastAgo(span):
            return f"at <= {now} - {span}"
        case c.Ago(near, far):
            return f"(at > {now} - {far} AND at <= {now} - {near})"
        case c.Before(end):
            return f"at < {end}"
        case c.After(start):
            return f"at >= {start}"
        case c.Between(start, end):
            return f"(at >= {start} AND at < {end})"
        case _:
            raise NotInSql(type(window).__name__)


# --- what an event has ---------------------------------------------------------------------------


def _event(event: c.EventFilter) -> str:
    tests = [_test(one.path, test) for one in event.where for test in one.tests]
    return " AND ".join([f"metric = {_text(event.metric)}", *tests])


def _test(path: str, test: c.ValueTest) -> str:
    kind, text, number = _of_value() if path == "value" else _of_property(path)
    is_text = f"{kind} = 'String'"
    written = f"{kind} IN ('String', 'Int64', 'UInt64', 'Double')"
    match test:
        case c.IsOneOf(values):
            return f"({' OR '.join(_equals(kind, text, number, one) for one in values)})"
        case c.IsNoneOf(values):
            return f"NOT ({' OR '.join(_equals(kind, text, number, one) for one in values)})"
        case c.IsCompared(c.Compare("!=", to)):
            return f"NOT ({_equals(kind, text, number, to)})"
        case c.IsCompared(comparison):
            return f"ifNull({_compared(number, comparison)}, 0)"
        case c.IsSet(wanted):
            return f"{kind} {'!=' if wanted else '='} 'Null'"
        case c.StartsWith(beginning):
            return f"({written} AND startsWith({text}, {_text(beginning)}))"
        case c.EndsWith(ending):
            return f"({written} AND endsWith({text}, {_text(ending)}))"
        case c.HasLength(comparison):
            length = _compared(f"toDecimal256(lengthUTF8({text}), {PLACES})", comparison)
            return f"({is_text} AND {length})"
        case _:
            raise NotInSql(type(test).__name__)


def _equals(kind: str, text: str, number: str, value: c.Scalar) -> str:
    if isinstance(value, bool):
        return f"({kind} = 'Bool' AND {text} = '{str(value).lower()}')"
    if isinstance(value, Decimal):
        return f"ifNull({number} = {_literal(value)}, 0)"
    return f"({kind} = 'String' AND {text} = {_text(value)})"


def _of_value() -> tuple[str, str, str]:
    """(kind, as text, as a number) of the event's value."""
    number = f"toDecimal256(value_micros, {PLACES}) / 1000000"
    return "if(value_micros IS NULL, 'Null', 'Number')", "''", number


def _of_property(path: str) -> tuple[str, str, str]:
    """(kind as JSON names it, as text, as a number) of a property. Text that is a number is one."""
    if "[" in path or "." in path:
        raise NotInSql(f"the path {path}")
    name = _text(path)
    kind = f"toString(JSONType(properties, {name}))"
    raw = f"JSONExtractRaw(properties, {name})"
    text = f"if({kind} = 'String', JSONExtractString(properties, {name}), {raw})"
    is_number = f"{kind} IN ('Int64', 'UInt64', 'Double', 'String')"
    number = f"if({is_number}, toDecimal256OrNull({text}, {PLACES}), NULL)"
    return kind, text, number


def _amount(of: str, currency: str) -> str:
    """The amount that counts, in millionths; NULL where there is none that is kept exactly."""
    if of == "value":
        micros = "value_micros"
    else:
        micros = f"toInt64OrNull(toString({_of_property(of)[2]} * 1000000))"
    if of == QUANTITY:
        return micros
    return f"if(currency IN ('', {_text(currency)}), {micros}, NULL)"
