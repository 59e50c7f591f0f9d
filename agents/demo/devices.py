"""SYNTHETIC: the browsers that people visit the shop with. The data hold none: all is invented.

A customer has one or two; some have a browser in common with others. Which one a visit is made
with is fixed by the visit's own id. Guests are known by their cart: nothing says which come again.
"""

from agents.demo.chance import between, happens
from agents.demo.shop import Invoice

SECOND_SHARE = 0.35
"""Of the customers: those with a second browser (a phone in the morning, a laptop at night)."""
ON_SECOND_SHARE = 0.40
"""Of their visits: those made with the second one."""
SHARED_SHARE = 0.03
"""Of the customers: those whose first browser is used by others too."""
SHARED_BROWSERS = 30
"""How many such browsers there are: four or five customers at each, at some of them more."""


def browser_of(customer: str, visit: str) -> str:
    """The anonymous id that a customer's visit comes with."""
    has_two = happens(SECOND_SHARE, "second browser", customer)
    if has_two and happens(ON_SECOND_SHARE, "on the second browser", customer, visit):
        return f"browser-{customer}-2"
    if happens(SHARED_SHARE, "shared browser", customer):
        return f"browser-shared-{between(1, SHARED_BROWSERS, 'which shared browser', customer)}"
    return f"browser-{customer}-1"


def seen_at(order: Invoice, visit: str) -> dict[str, str]:
    """What a visit around an invoice is known by: the customer's browser, or the guest's cart."""
    if order.customer is None:
        return dict([order.identifier])
    return {"anonymous_id": browser_of(order.customer, visit)}
