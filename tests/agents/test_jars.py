"""The broker's jars: fetched once, kept only if every checksum is as committed."""

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jgo.env
import pytest

from agents.embedded import jars


class Repository:
    """Stands for Maven Central: gives the files it was told to."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked = 0

    def __call__(self, _context: Any, folder: Path, _links: Any) -> "Repository":
        self.folder = folder
        return self

    def from_endpoint(self, _coordinates: str) -> SimpleNamespace:
        self.asked += 1
        self.folder.mkdir()
        for name, content in self.files.items():
            (self.folder / name).write_bytes(content)
        return SimpleNamespace(all_jars=[self.folder / name for name in self.files])


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    files = {"broker.jar": b"one", "clients.jar": b"two"}
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in files.items()]
    (tmp_path / "kafka.jars").write_text("\n".join(lines))
    repository = Repository(files)
    monkeypatch.setattr(jars, "CHECKSUMS", tmp_path / "kafka.jars")
    monkeypatch.setattr(jgo.env, "EnvironmentBuilder", repository)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return repository


def test_jars_are_fetched_once(repository: Repository) -> None:
    kept = jars.fetch()
    assert {jar.name: jar.read_bytes() for jar in kept.iterdir()} == repository.files
    assert jars.fetch() == kept
    assert repository.asked == 1


def test_a_jar_that_is_not_the_committed_one_is_refused_and_not_kept(
    repository: Repository,
) -> None:
    repository.files["clients.jar"] = b"something else"
    with pytest.raises(jars.JarsMissing, match=r"differ from kafka\.jars: clients\.jar$"):
        jars.fetch()
    assert not jars.folder().exists()
    assert [left.name for left in jars.folder().parent.iterdir()] == ["fetch.lock"]


def test_without_a_network_it_is_said_what_can_be_done(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_coordinates: str) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(repository, "from_endpoint", unreachable)
    with pytest.raises(jars.JarsMissing, match=r"(?s)no route.*HTTPS_PROXY.*TILLSTREAM_KAFKA"):
        jars.fetch()
