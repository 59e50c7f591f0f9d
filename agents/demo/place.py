"""Where the demo lives: a namespace, a data folder and a secret of its own."""

import dataclasses

from agents.settings import Settings
from streams.ids import REPLAY_SECRET

NAMESPACE = "demo"
PARTITIONS = 2


def demo_settings(settings: Settings) -> Settings:
    """The settings of the demo: the embedded services below `<data>/demo`, ids as in `replay`."""
    return dataclasses.replace(
        Settings(data=settings.data / "demo"),
        namespace=NAMESPACE,
        partitions=PARTITIONS,
        secret=REPLAY_SECRET.decode(),
        session_timeout_s=10,
        log_level=settings.log_level,
    )
