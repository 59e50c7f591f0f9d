"""Every reason that is written out anywhere is explained in a sentence."""

from types import ModuleType

import pytest

from streams.flows import entry, run, sending, united
from streams.flows.reasons import REASONS, reason_words
from streams.sends import gates

NO_REASONS = {"DATE"}


@pytest.mark.parametrize(
    "module", [entry, run, sending, united, gates], ids=lambda one: one.__name__
)
def test_every_reason_has_its_words(module: ModuleType) -> None:
    written = {
        value
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and name not in NO_REASONS
    }
    written -= {name for name in written if " " in name or name == "date-to-come"}
    assert written <= REASONS.keys()


def test_a_reason_is_shown_with_its_words() -> None:
    assert reason_words("flow-filter") == "flow-filter: the flow's filter does not hold"
    assert reason_words("of-a-newer-version") == "of-a-newer-version"
