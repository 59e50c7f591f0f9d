"""What is said of errors."""

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, TopicAuthorizationFailedError

from agents.logs import told


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KafkaConnectionError("nobody there"), "KafkaConnectionError: nobody there"),
        (KafkaTimeoutError(), "KafkaTimeoutError"),
        (TopicAuthorizationFailedError("t"), "[Error 29] TopicAuthorizationFailedError: t"),
        (ValueError("what\nand where"), "ValueError: what"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_an_error_is_named_once_and_in_one_line(error: Exception, line: str) -> None:
    assert told(error) == line
