"""What may be published, under which version, and what will not know of the past."""

from pathlib import Path

import pytest

from agents.definitions_log import DefinitionsRefused, Prepared, asking_the_past, prepare
from agents.replay.published import editions
from streams.definitions.switch import in_force

STARTER = Path(__file__).parents[2] / "deploy" / "definitions" / "starter"
SPENT = "segment: {name}\nwhere: {{did: Placed Order, total: {{of: value, is: '> {sum}'}}}}\n"


def folder(at: Path, **files: str) -> Path:
    at.mkdir()
    (at / "main.yaml").write_text("store: main\n")
    for name, text in files.items():
        (at / f"{name}.yaml").write_text(text)
    return at


def prepared(at: Path, **files: str) -> Prepared:
    return prepare(folder(at, **files), "us")


def test_the_starter_definitions_are_good() -> None:
    found = prepare(STARTER, "us")
    assert found.published.store == "main"
    assert found.counts == {"flow": 1, "segment": 1, "store": 1}
    assert not found.warnings


def test_a_version_is_what_the_definitions_say_and_the_replays_own(tmp_path: Path) -> None:
    one = prepared(tmp_path / "one", vip=SPENT.format(name="vip", sum=100))
    same = prepared(tmp_path / "same", vip="# why\n" + SPENT.format(name="vip", sum=100))
    other = prepared(tmp_path / "other", vip=SPENT.format(name="vip", sum=200))
    assert one.published.version == same.published.version != other.published.version
    (edition,) = editions([str(tmp_path / "one")])
    assert edition.published.version == one.published.version


def test_every_error_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(DefinitionsRefused) as refused:
        prepared(tmp_path / "bad", vip="segment: vip\nwere: 1\n", cart="flow: cart\n")
    files = {problem.file for problem in refused.value.problems}
    assert files == {"vip.yaml", "cart.yaml"}
    assert "nothing was published" in str(refused.value)


def test_an_empty_folder_takes_nothing_out_of_force(tmp_path: Path) -> None:
    tmp_path.joinpath("empty").mkdir()
    with pytest.raises(DefinitionsRefused, match="holds no definitions"):
        prepare(tmp_path / "empty", "us")
    with pytest.raises(DefinitionsRefused, match="a folder was expected"):
        prepare(tmp_path / "none", "us")


def test_a_model_that_is_not_there_yet_is_refused(tmp_path: Path) -> None:
    settings = folder(tmp_path / "models")
    (settings / "main.yaml").write_text("store: main\nattribution: {models: [data-driven]}\n")
    with pytest.raises(DefinitionsRefused, match=r"attribution\.models"):
        prepare(settings, "us")


def test_what_counts_from_now_on_is_named(tmp_path: Path) -> None:
    vip, loyal = SPENT.format(name="vip", sum=100), "segment: loyal\nwhere: {did: Opened Email}\n"
    before = prepared(tmp_path / "before", vip=vip)
    after = prepared(tmp_path / "after", vip=vip, loyal=loyal)
    assert asking_the_past(None, before.program) == ["vip"]
    assert asking_the_past(in_force(None, before.published, ()), after.program) == ["loyal"]
    assert asking_the_past(in_force(None, after.published, ()), after.program) == []
