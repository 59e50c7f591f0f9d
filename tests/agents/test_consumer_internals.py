"""What agents/consumer.py uses of the inside of Faust and aiokafka is written down and is there."""

import ast
import inspect
import re
from pathlib import Path

from aiokafka import AIOKafkaConsumer
from faust.transport.drivers import aiokafka as driver

from agents import consumer
from agents.profile import profile_app
from agents.settings import Settings
from streams.ids import REPLAY_SECRET, Ids

SUBCLASSES = (
    (consumer._Thread, driver.AIOKafkaConsumerThread),
    (consumer.BatchConsumer, driver.Consumer),
)


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def written_down() -> dict[str, set[str]]:
    """What a line of the module's docstring speaks of -> the names it lists."""
    _, _, listed = inspect.cleandoc(consumer.__doc__ or "").partition("pinned with their versions:")
    lines = [line.partition(":") for line in listed.split("\n- ")[1:]]
    return {of: set(re.findall(r"`(\w+)`", names)) for of, _, names in lines}


def used() -> set[str]:
    """The names that the code takes from Faust and aiokafka: private ones, and recovery's."""
    tree = ast.parse(inspect.getsource(consumer))
    accesses = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    replaced = {
        name
        for ours, theirs in SUBCLASSES
        for name in vars(ours)
        if is_private(name) and name != "_abc_impl" and hasattr(theirs, name)
    }
    own = {name for ours, theirs in SUBCLASSES for name in vars(ours) if not hasattr(theirs, name)}
    own |= {
        node.attr
        for node in accesses
        if isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    }
    private = {node.attr for node in accesses if is_private(node.attr)} - own
    of_recovery = {
        node.attr
        for node in accesses
        if ast.unparse(node.value) in {"recovery", "self.app.tables.recovery"}
    }
    return replaced | private | of_recovery


def test_all_that_is_used_of_the_inside_of_faust_is_written_down() -> None:
    assert set.union(*written_down().values()) == used()


async def test_all_that_is_written_down_is_there_in_the_pinned_versions(tmp_path: Path) -> None:
    settings = Settings(
        kafka=("localhost:1",), data=tmp_path, secret=REPLAY_SECRET.decode(), partitions=1
    )
    app = profile_app(settings, Ids(REPLAY_SECRET)).app
    client = AIOKafkaConsumer()
    theirs = {
        "replaced": (driver.AIOKafkaConsumerThread, driver.Consumer),
        "of the consumer and its thread": (app.consumer, app.consumer._thread),
        "of the recovery of tables": (app.tables.recovery,),
        "of aiokafka's consumer": (client,),
    }
    await client.stop()
    app.consumer._thread.thread_loop.close()
    assert written_down().keys() == theirs.keys()
    for of, names in written_down().items():
        for name in names:
            assert any(hasattr(each, name) for each in theirs[of]), f"{of}: {name}"
