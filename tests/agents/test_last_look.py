"""What `consent` says at the moment of delivery."""

import msgspec

from agents.sender.last_look import LastLook
from streams.identity.erasure import veiled
from tests.agents.test_sender import IDS, NOON, command, stated


def test_in_simulated_time_the_word_of_the_decision_counts_and_live_the_newest() -> None:
    words = [
        stated("2011-02-01T00:00:00.000Z", "granted"),
        stated("2011-03-05T00:00:00.000Z", "denied"),
    ]
    live, simulated = LastLook(1, simulated=False, ids=IDS), LastLook(1, simulated=True, ids=IDS)
    for word in words:
        live.hear(word)
        simulated.hear(word)
    assert live.objects(command()) == "denied"
    assert simulated.objects(command()) is None
    assert simulated.objects(command(decided_at="2011-03-05T00:00:00.000Z")) == "denied"
    assert live.objects(command(address="bob@example.com")) is None


def test_what_speaks_against_an_address_outlives_its_erasure_under_a_keyed_hash() -> None:
    look = LastLook(1, simulated=False, ids=IDS)
    denied = stated("2011-03-05T00:00:00.000Z", "denied")
    look.hear(denied)
    kind, hashed = veiled("main", (denied.kind, denied.address), IDS)
    look.hear(msgspec.structs.replace(denied, kind=kind, address=hashed))
    look.hear_nothing(f"main/email/{denied.address}", NOON)
    assert look.objects(command()) == "denied"
    assert not [one for one in look._said if denied.address in one], "nobody is named any more"
    look.hear_nothing(f"main/{kind}/{hashed}", NOON)
    assert look.objects(command()) is None
