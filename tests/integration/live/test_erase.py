"""A person is erased from a pipeline that runs: by the command, out of everything it can show."""

import json
import time

import pytest

from tests.integration.live.running import DEADLINE_SECONDS, until
from tests.integration.live.test_up import Shop

pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(400)]

ANN = "ann@example.com"
ORDER = {
    "id": "o-1",
    "metric": "Placed Order",
    "profile": {"external_id": "c-17", "email": ANN, "traits": {"city": "Rome"}},
    "value": "10.00",
    "currency": "EUR",
}


def test_an_erased_person_is_found_no_more_and_comes_again_as_somebody_new(shop: Shop) -> None:
    shop.says(f"events push - <<<'{json.dumps(ORDER)}'")
    before = shop.finds("o-1", "accepted")["profile_id"]
    assert "nobody is known" in shop.says("identity erase --yes nobody@example.com", code=1)
    assert "write KIND/VALUE" in shop.says("identity erase --yes c-17", code=2)
    told = json.loads(shop.says(f"identity erase --yes {ANN} --json"))
    assert (told["outcome"], told["profile_ids"], told["set_aside"]) == ("erased", [before], [])
    deadline = time.monotonic() + DEADLINE_SECONDS
    while "nobody known" not in shop.says(f"profile show {ANN} || true"):
        until(deadline, "the timeline still knows the person")
    assert "nobody is known" in shop.says("identity erase --yes external_id/c-17", code=1)
    again = {**ORDER, "id": "o-2"}
    shop.says(f"events push - <<<'{json.dumps(again)}'")
    after = shop.finds("o-2", "accepted")["profile_id"]
    assert after != before
    told = json.loads(shop.says(f"identity erase --yes {after} --json"))
    assert told["outcome"] == "erased"
