"""The cluster, for a command that pushes, reads or deletes: reached, or refused in a sentence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError

from agents.admin import admin_of
from agents.demo.place import NAMESPACE as DEMO
from agents.embedded.jars import JarsMissing
from agents.embedded.kafka import BrokerFailed, EmbeddedKafka
from agents.logs import told
from agents.settings import Settings
from agents.topics import partition_counts, partitions_of, topic_name
from schemas.topics import STORE_EVENTS, Topic


class NotReached(Exception):
    """The cluster or what is asked of it is not there; the message says what to do."""


@asynccontextmanager
async def reached(settings: Settings, *needed: Topic) -> AsyncIterator[Settings]:
    """The settings with a cluster that answers: the one that is named, or the embedded broker,
    which is started where it does not run, and then ended again.

    needed: topics that must be there, with the partitions that the settings say.

    Raises: NotReached.
    """
    if not settings.embedded_kafka:
        async with _answering(settings, needed) as there:
            yield there
        return
    folder = settings.data / "kafka"
    if not folder.exists():
        raise NotReached(
            f"nothing has run below {settings.data} yet: start `tillstream up`, or name a cluster "
            "with TILLSTREAM_KAFKA"
        )
    kafka = EmbeddedKafka(folder, brief=True)
    try:
        await asyncio.to_thread(kafka.start)
    except (BrokerFailed, JarsMissing) as error:
        raise NotReached(str(error)) from error
    try:
        connected = await asyncio.to_thread(settings.connected_to, kafka.address)
        async with _answering(connected, needed) as there:
            yield there
    finally:
        await asyncio.to_thread(kafka.stop)


@asynccontextmanager
async def _answering(settings: Settings, needed: tuple[Topic, ...]) -> AsyncIterator[Settings]:
    try:
        await _expect(settings, needed)
        yield settings
    except KafkaError as error:
        brokers = ", ".join(settings.kafka or ())
        raise NotReached(
            f"the cluster at {brokers} does not do what it is asked ({told(error)}). "
            "Does it run, and are TILLSTREAM_KAFKA and its user right?"
        ) from error


async def _expect(settings: Settings, needed: tuple[Topic, ...]) -> None:
    async with admin_of(settings) as admin:
        there = set(await admin.list_topics())
        wanted = {topic_name(settings, topic.name): topic for topic in needed}
        missing = [name for name in wanted if name not in there]
        if missing:
            raise NotReached(_missing(settings, missing[0], there))
        counts = await partition_counts(admin, list(wanted)) if wanted else {}
    for name, topic in wanted.items():
        if counts[name] != partitions_of(settings, topic):
            raise NotReached(
                f"topic {name} has {counts[name]} partitions, the settings say "
                f"{settings.partitions}: set TILLSTREAM_PARTITIONS={counts[name]}"
            )


def _missing(settings: Settings, name: str, there: set[str]) -> str:
    """Say that a topic is not there, and which namespaces are."""
    suffix = STORE_EVENTS.name
    others = sorted(one.removesuffix(suffix).rstrip("-") for one in there if one.endswith(suffix))
    named = ", ".join(other or "(none)" for other in others)
    hint = f" Namespaces with topics here: {named}." if others else ""
    at = ", ".join(settings.kafka or ())
    if settings.namespace == DEMO:
        return f"there is no topic {name} at {at}: `tillstream demo` makes the demo anew"
    return (
        f"there is no topic {name} at {at}: `tillstream up` makes it.{hint} TILLSTREAM_NAMESPACE "
        "chooses one"
    )
