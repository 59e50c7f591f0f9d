"""The page of promises names tests that are there, and says what came of them."""

import json

import pytest

from tests.prove.promises import CHECKOUT, PAGE, PROMISES, RESULTS, page

TESTS = [test for promise in PROMISES for test in promise.tests]


@pytest.mark.parametrize("test", TESTS)
def test_every_test_that_proves_a_promise_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert f"def {name}(" in (CHECKOUT / "tests" / file).read_text()


def test_the_page_says_what_was_kept() -> None:
    assert PAGE.read_text() == page(json.loads(RESULTS.read_text()))
