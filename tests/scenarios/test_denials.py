"""A denial reaches everybody who holds the address, also one that names a list nobody is on."""

from typing import Any

from tests.scenarios.shop import Shop

DEFINITIONS = """
store: main
address: Somewhere 1
---
list: newsletter
opt_in: double
---
flow: mail
trigger: {did: Placed Order}
steps: [{send: mail, channel: email, template: t, smart_sending: false}]
"""
ADDRESS = "ann@example.com"


def commands_to_a_second_holder(*said: tuple[str, dict[str, Any]]) -> list[str]:
    """c-1 asks for mail and says this, each naming the address; then c-2 orders, who holds it, too.

    Returns: the profiles that were commanded to write to it.
    """
    shop = Shop(DEFINITIONS)
    shop.event("Identify", external_id="c-2", email=ADDRESS)
    for metric, properties in said:
        shop.event(metric, external_id="c-1", email=ADDRESS, properties=properties)
    shop.event("Placed Order", external_id="c-2", email=ADDRESS)
    return [one["profile_id"] for one in shop.told("send-commands") if "profile_id" in one]


def test_a_leaving_of_a_list_that_nobody_was_on_is_a_denial_for_every_holder() -> None:
    asked = ("Subscribed", {"channel": "email"})
    assert commands_to_a_second_holder(asked) != []
    left = ("Unsubscribed", {"list": "another"})
    assert commands_to_a_second_holder(asked, left) == []


def test_so_is_a_request_taken_back_before_it_was_confirmed() -> None:
    listed = {"channel": "email", "list": "newsletter"}
    asked, confirmed = ("Subscribed", listed), ("Confirmed Subscription", listed)
    assert commands_to_a_second_holder(asked, confirmed) != []
    taken_back = ("Unsubscribed", {"list": "newsletter"})
    assert commands_to_a_second_holder(asked, taken_back, confirmed) == []
