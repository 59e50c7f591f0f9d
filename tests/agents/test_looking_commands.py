"""The commands that look at a timeline, as a user calls them: over an embedded database."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.cli.telling import leaf_of
from streams.ids import REPLAY_SECRET

# The embedded engine belongs to one process at a time: one fills the database and asks all.
FILL_AND_ASK = """
import contextlib, io, json, sys
from pathlib import Path
from agents.cli.main import main
from agents.clickhouse import open_client
from agents.migrations import migrate
from agents.settings import Settings
from streams.instants import HOUR
from tests.agents.kept import keep
from tests.scenarios.shop import Shop

folder, definitions = map(Path, sys.argv[1:3])
texts = [file.read_text() for file in sorted(definitions.iterdir())]
shop = Shop("\\n---\\n".join(texts))
ann = {"external_id": "17", "email": "ann@example.com"}
shop.event("Subscribed", properties={"channel": "email", "method": "form"}, **ann)
shop.event("Started Checkout", value="80", currency="EUR", **ann)
shop.event("Started Checkout", value="0", currency="EUR", **ann)
shop.wait(5 * HOUR)
with open_client(Settings(data=folder)) as client:
    migrate(client)
    keep(client, shop)
(send,) = (one for one in shop.told("send-decisions") if one["outcome"] == "sent")
answers = []
for asked in json.loads(sys.argv[3]):
    words = [send["send_id"] if word == "SEND" else word for word in asked.split()]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        words = [word.replace("FOLDER", str(folder)) for word in words]
        more = [] if words[0] == "report" else ["--definitions", str(definitions)]
        code = main([*words, *more])
    answers.append((asked, code, said.getvalue()))
print(json.dumps(answers))
"""
CART = """
flow: cart
trigger: {did: Started Checkout, where: {value: "> 0"}}
steps:
  - wait: 4h
  - {send: cart-1, channel: email, template: reminder}
"""
ASKED = (
    "explain SEND",
    "explain SEND --json",
    "explain s000 --json",
    "explain --profile ann@example.com --flow cart",
    "explain --profile ann@example.com --flow crat",
    "flow preview cart --last 2",
    "segment preview FOLDER/draft.yaml",
    "segment preview FOLDER/draft.yaml --at 2020-01-01T00:00:00Z --json",
    "segment preview FOLDER/bad.yaml",
    "segment preview FOLDER/misspelt.yaml",
    "segment history began",
    "segment history began --to 2001-01-01",
    "segment history never",
    "consent at ann@example.com",
    "consent at ann@example.com --time 2020-01-01T00:00:00Z --json",
    "consent at nobody@example.com",
    "identity explain ann@example.com",
    "identity explain external_id/17 --json --svg FOLDER/ann.svg",
    "identity explain nobody@example.com",
    "report recognised",
    "report attribution --from 2001-01-01 --to 2001-01-31",
    "report funnels --from 2001-01-01 --to 2001-01-31",
)

Answers = dict[str, tuple[int, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def answers(folder: Path) -> Answers:
    """What each command ended with and said."""
    definitions = folder / "definitions"
    definitions.mkdir()
    (definitions / "main.yaml").write_text('store: main\naddress: "Street 1, Berlin"\n')
    (definitions / "cart.yaml").write_text(CART)
    (definitions / "began.yaml").write_text("segment: began\nwhere: {did: Started Checkout}\n")
    (folder / "draft.yaml").write_text("segment: carts\nwhere: {did: Started Checkout}\n")
    where = "{any: [{did: Placed Ordr}, {did: Started Checkout, where: {totl: 5}}]}"
    (folder / "misspelt.yaml").write_text(f"segment: misspelt\nwhere: {where}\n")
    (folder / "bad.yaml").write_text("segment: bad\nwhere: {did: Started Checkout, tims: 2}\n")
    secret = folder / "secret"
    secret.write_bytes(REPLAY_SECRET)
    secret.chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-c", FILL_AND_ASK, str(folder), str(definitions), json.dumps(ASKED)],
        env={"PATH": "", "HOME": str(folder), "TILLSTREAM_DATA": str(folder)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {asked: (code, said) for asked, code, said in json.loads(done.stdout)}


def said(answers: Answers, asked: str) -> str:
    code, text = answers[asked]
    assert code == 0
    return text


def as_json(answers: Answers, asked: str) -> Any:
    return json.loads(said(answers, asked))


def test_a_send_is_explained_with_its_wait(answers: Answers) -> None:
    found = as_json(answers, "explain SEND --json")
    assert found["told_again"] == "agrees"
    kinds = [link["kind"] for link in found["links"]]
    assert kinds == ["event", "entered", "step", "waits", "sent", "commanded"]
    assert "step       wait 4h" in said(answers, "explain SEND")
    assert answers["explain s000 --json"] == (1, "null\n")


def test_a_flow_and_a_person_are_explained(answers: Answers) -> None:
    text = said(answers, "explain --profile ann@example.com --flow cart")
    assert "entered    enters cart, because: did Started Checkout" in text
    assert "not-asked  cart starts only where value > 0" in text
    assert answers["explain --profile ann@example.com --flow crat"] == (1, "")  # there is none


def test_a_draft_of_a_segment_is_previewed_whatever_its_file_is_called(answers: Answers) -> None:
    assert "Segment carts: 1 of 1 profiles" in said(answers, "segment preview FOLDER/draft.yaml")
    before = "segment preview FOLDER/draft.yaml --at 2020-01-01T00:00:00Z --json"
    assert as_json(answers, before)["everybody"] == 0
    assert answers["segment preview FOLDER/bad.yaml"] == (2, "")


def test_a_preview_warns_of_names_that_no_event_ever_had_and_of_the_same_segment(
    answers: Answers,
) -> None:
    text = said(answers, "segment preview FOLDER/misspelt.yaml")
    assert "Segment misspelt: 0 of 1 profiles" in text
    assert (
        "misspelt.yaml:2 warning: where.any[0]: no event ever had the metric 'Placed Ordr'" in text
    )
    assert "no event 'Started Checkout' ever had the property 'totl'" in text
    warned = [
        line
        for line in said(answers, "segment preview FOLDER/draft.yaml").splitlines()
        if "warning" in line
    ]
    assert warned == ["draft.yaml:2 warning: where: this is the same as the segment 'began'"]


def test_the_history_of_a_segment_tells_its_days(answers: Answers) -> None:
    assert "Segment began: 1 profiles on " in said(answers, "segment history began")
    assert answers["segment history began --to 2001-01-01"] == (
        1,
        "the history of began has none of these days\n",
    )
    assert answers["segment history never"] == (
        1,
        "nobody has entered never in the store main\n",
    )


def test_a_leaf_tells_its_value_and_until_when_it_stands() -> None:
    leaf = {"leaf": "did Opened Email in_last 30d", "holds": True, "value": 1}
    told = "yes: did Opened Email in_last 30d (1)"
    assert leaf_of(leaf) == told
    flips = {**leaf, "next_flip": "2011-01-15T12:39:51.274Z"}
    assert leaf_of(flips) == f"{told}, until 2011-01-15 12:39:51"


def test_a_preview_says_who_enters_and_what_objects(answers: Answers) -> None:
    text = said(answers, "flow preview cart --last 2")
    assert "cart: 1 of the last 2 would enter" in text
    assert "objects  trigger: where value > 0" in text


def test_consent_is_told_with_its_event(answers: Answers) -> None:
    text = said(answers, "consent at ann@example.com")
    assert "granted, by Subscribed e1 (channel email, method form) from" in text
    before = as_json(answers, "consent at ann@example.com --time 2020-01-01T00:00:00Z --json")
    (email,) = before["permissions"]
    assert (email["word"], email["marketing"]) == ("never", "no-consent")
    code, text = answers["consent at nobody@example.com"]
    assert (code, text) == (1, "nothing is known of nobody@example.com in the store main\n")


def test_how_a_person_came_to_be_one_is_told_and_drawn(answers: Answers, folder: Path) -> None:
    text = said(answers, "identity explain ann@example.com")
    assert (
        "link-taken   email ann@example.com was seen with external_id 17 in Subscribed e1" in text
    )
    found = as_json(answers, "identity explain external_id/17 --json --svg FOLDER/ann.svg")
    assert [one["value"] for one in found["identifiers"]] == ["ann@example.com", "17"]
    assert (folder / "ann.svg").read_text().startswith("<svg ")
    report = said(answers, "report recognised")
    assert "external_id       3        3" in report
    code, text = answers["identity explain nobody@example.com"]
    assert (code, text) == (1, "nobody known as nobody@example.com in the store main\n")


def test_a_report_of_a_time_in_which_nothing_happened_says_so(answers: Answers) -> None:
    attribution = said(answers, "report attribution --from 2001-01-01 --to 2001-01-31")
    assert "Nothing was sent in this time, and no order is credited to a send." in attribution
    funnels = said(answers, "report funnels --from 2001-01-01 --to 2001-01-31")
    assert "No flow of main decided anything in this time." in funnels
