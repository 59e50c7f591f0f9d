"""An identifier is split from a profile of a pipeline that runs: by the command, with its past."""

import json
from typing import Any

import pytest

from tests.integration.live.test_up import Shop

pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(400)]

ANN, BOB = "ann@example.com", "bob@example.com"


def push(shop: Shop, event_id: str, metric: str, profile: dict[str, Any], **more: Any) -> str:
    """Returns: the profile that the event came to."""
    event = {"id": event_id, "metric": metric, "profile": profile, **more}
    shop.says(f"events push - <<<'{json.dumps(event)}'")
    return str(shop.finds(event_id, "accepted")["profile_id"])


def shown(shop: Shop, who: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shop.says(f"profile show {who} --json"))
    return found


def test_who_was_joined_by_mistake_is_two_people_again_with_a_past_of_their_own(
    shop: Shop,
) -> None:
    order = {"value": "10.00", "currency": "EUR"}
    push(shop, "o-1", "Placed Order", {"external_id": "c-1", "traits": {"city": "Rome"}}, **order)
    push(shop, "i-1", "Identify", {"external_id": "c-1", "email": BOB})
    ann = push(
        shop, "o-2", "Placed Order",
        {"email": BOB, "anonymous_id": "b-1", "traits_once": {"source": "ad"}}, **order,
    )  # fmt: skip
    both = shown(shop, "external_id/c-1")
    assert both["state"]["figures"]["orders"] == 2

    assert "nobody is known" in shop.says("identity split eve@example.com --reason x", code=1)
    assert "name the identifier" in shop.says(f"identity split {ann} --reason x --yes", code=2)
    assert "say --yes" in shop.says(f"identity split {BOB} --reason x", code=2)
    seen = json.loads(shop.says(f"identity split {BOB} --reason x --dry-run --json", code=1))
    assert seen["identifiers"] == [["email", BOB], ["anonymous_id", "b-1"]]
    assert (seen["outcome"], seen["going"], seen["staying"]) == ("no", 1, 2)

    done = json.loads(
        shop.says(f"identity split {BOB} --reason 'wrong alias' --author sue --yes --json")
    )
    assert (done["outcome"], done["old"], done["has_history"]) == ("split", ann, True)
    bob = done["new"]
    assert bob != ann
    one, other = shown(shop, "external_id/c-1"), shown(shop, BOB)
    assert (one["state"]["profile_id"], other["state"]["profile_id"]) == (ann, bob)
    assert one["state"]["figures"]["orders"] == other["state"]["figures"]["orders"] == 1
    assert one["state"]["traits"] == {"city": "Rome"}
    assert other["state"]["traits"] == {"source": "ad"}
    assert one["state"]["identifiers"] == {"external_id": ["c-1"]}
    assert other["state"]["identifiers"] == {"email": [BOB], "anonymous_id": ["b-1"]}
    assert sorted(one["state"]["events"]) == ["i-1", "o-1"]
    assert other["state"]["events"] == ["o-2"]

    assert "nobody to split it from" in shop.says(f"identity split {BOB} --reason x --yes", code=2)
    assert push(shop, "o-3", "Placed Order", {"email": BOB, "anonymous_id": "b-1"}, **order) == bob
    assert push(shop, "o-4", "Placed Order", {"external_id": "c-1", "email": BOB}, **order) == ann
    assert push(shop, "o-5", "Placed Order", {"email": BOB}, **order) == bob
