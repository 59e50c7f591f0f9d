"""The groups of customers by recency, frequency and money, as conditions: the cut points are here.

Recency: the last order was within RECENT, within WARM, or longer ago. Frequency: one order, or
more. Money: among the third that spent most within SPENT. Every customer is in exactly one group;
until the third has been measured, nobody is a champion.
"""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from schemas import conditions as c
from streams.instants import DAY

RECENT, WARM, SPENT = 60 * DAY, 180 * DAY, 365 * DAY
BEST_SHARE = 333_333
"""Millionths of those that have ordered within SPENT."""

_ORDERED = c.EventFilter("Placed Order")
_ONCE = c.Compare(">=", Decimal(1))
_R3 = c.Did(_ORDERED, _ONCE, c.InLast(RECENT))
_WITHIN_WARM = c.Did(_ORDERED, _ONCE, c.InLast(WARM))
_R2 = c.AllOf((_WITHIN_WARM, c.NoneOf((_R3,))))
_R1 = c.AllOf((c.Did(_ORDERED, _ONCE), c.NoneOf((_WITHIN_WARM,))))
_F1 = c.Did(_ORDERED, c.Compare("=", Decimal(1)))
_F2 = c.Did(_ORDERED, c.Compare(">=", Decimal(2)))
_M3 = c.Ranked(BEST_SHARE, False, _ORDERED, "total", "value", c.InLast(SPENT))

GROUPS: Mapping[c.RfmGroup, c.Condition] = MappingProxyType(
    {
        "champions": c.AllOf((_R3, _F2, _M3)),
        "loyal": c.AllOf((_WITHIN_WARM, _F2, c.NoneOf((c.AllOf((_R3, _M3)),)))),
        "recent": c.AllOf((_R3, _F1)),
        "needs-attention": c.AllOf((_R2, _F1)),
        "at-risk": c.AllOf((_R1, _F2)),
        "inactive": c.AllOf((_R1, _F1)),
    }
)
