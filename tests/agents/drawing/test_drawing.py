"""Flows as pictures: every step is there, every branch comes together again, text stays text."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from agents.cli.main import main
from agents.drawing.blocks import blocks_of, outline
from agents.drawing.mermaid import mermaid
from agents.drawing.svg import svg
from schemas.definitions import Flow
from streams.definitions.parse import parse
from tests.scenarios.play import documents_of

SVG = "{http://www.w3.org/2000/svg}"
NUDGE = """
flow: nudge
trigger: {did: Started Checkout, where: {note: {contains: '<"&>'}}}
filter: {any: [{did: A}, {all: [{did: B}, {did_not: C, in_last: 3d}]}]}
key: order_id
goal: {did: Placed Order}
holdout: 5%
steps:
  - wait: {days: 1, until: "15:00", weekdays: [mon, tue], zone: profile}
  - {send: one, channel: email, template: t, variants: {a: {weight: 3}, b: {weight: 1}}}
  - wait_for: {did: Opened Email}
    at_most: 24h
    met: [{exit: opened}]
    missed:
      - split: {random: {x: 50, y: 50}, x: [{send: two, channel: sms, template: t}], y: []}
  - wait: {for: {trigger: appointment_at}, before: 1d}
  - {add: {tags: nudged}}
"""


def flow_of(text: str) -> Flow:
    (flow,) = parse(documents_of(text)).definitions.values()
    assert isinstance(flow, Flow)
    return flow


def test_an_outline_tells_every_step_in_words() -> None:
    assert outline(blocks_of(flow_of(NUDGE))) == [
        'did Started Checkout where note contains <"&>',
        "  (only if did A or (did B and did_not C in_last 3d))",
        "  (one run for each order_id)",
        "  (ends with Placed Order)",
        "  (5% get nothing, to be compared with)",
        "wait 1 day, until 15:00 on mon, tue, the profile's time",
        "email: one",
        "  (template t)",
        "  (variants a 75%, b 25%)",
        "wait for Opened Email",
        "  (1d at most)",
        "  it happens:",
        "    exit: opened",
        "  not within 1d:",
        "    by chance",
        "      x 50%:",
        "        sms: two",
        "          (template t)",
        "      y 50%: goes on",
        "wait until 1d before the trigger's appointment_at",
        "add tags = nudged",
    ]


def test_an_outline_tells_when_a_send_may_go_out_and_what_is_taken_away() -> None:
    flow = """
flow: hints
trigger: {did: A}
steps:
  - send: one
    channel: sms
    template: t
    window: {from: "09:00", until: "18:00", weekdays: [mon, fri]}
    quiet_hours: drop
    priority: high
  - {send: two, channel: sms, template: t, quiet_hours: ignore}
  - {send: three, channel: sms, template: t, quiet_hours: ignore, transactional: true}
  - {set: {plan: null, seen: now}}
"""
    assert outline(blocks_of(flow_of(flow)))[1:] == [
        "sms: one",
        "  (template t)",
        "  (from 09:00 until 18:00 on mon, fri)",
        "  (dropped in quiet hours)",
        "  (high priority)",
        "sms: two",
        "  (template t)",
        "  (also in quiet hours)",
        "sms: three",
        "  (template t)",
        "  (transactional)",
        "set plan = nothing, seen = now",
    ]


def test_mermaid_leads_every_branch_on_and_ends_where_the_flow_does() -> None:
    lines = mermaid(blocks_of(flow_of(NUDGE))).splitlines()
    boxes = dict(
        re.findall(r"^  (b\d+)(\W.*)$", line)[0] for line in lines[1:] if "-->" not in line
    )
    named = {re.sub(r"<br>.*|[\W]*$|^\W*", "", shape): box for box, shape in boxes.items()}
    arrows = [line.split() for line in lines if "-->" in line]
    into = {to: {arrow[0] for arrow in arrows if arrow[-1] == to} for to in boxes}
    assert into[named["wait until 1d before the trigger's appointment_at"]] == {
        named["sms: two"],
        named["by chance"],
    }
    assert into[named["end"]] == {named["add tags = nudged"]}
    assert not [arrow for arrow in arrows if arrow[0] == named["exit: opened"]]
    assert "#lt;#quot;#amp;#gt;" in lines[1]


def test_a_picture_holds_every_text_inside_of_its_frame() -> None:
    blocks = blocks_of(flow_of(NUDGE))
    root = ET.fromstring(svg(blocks, "Nudge"))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    boxes = sides(root)
    assert min(left for left, _, _, _ in boxes) > 0
    assert min(top for _, top, _, _ in boxes) > 0
    assert max(right for _, _, right, _ in boxes) < width
    assert max(bottom for _, _, _, bottom in boxes) < height
    assert len(boxes) == len(outline_heads(blocks)) + 1, "and one for the end"
    shown = " ".join(text.text or "" for text in root.iter(f"{SVG}text"))
    for line in outline(blocks):
        words = line.strip().strip("()").removesuffix(": goes on").removesuffix(":")
        assert words in shown


def outline_heads(blocks: Any) -> list[str]:
    heads = []
    for block in blocks:
        heads.append(block.lines[0])
        for _, branch in block.branches:
            heads += outline_heads(branch)
    return heads


def sides(root: ET.Element) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of every box, the frame left out."""
    found = []
    for box in list(root.iter(f"{SVG}rect"))[1:]:
        left, top, width, height = (float(box.attrib[of]) for of in ("x", "y", "width", "height"))
        found.append((left, top, left + width, top + height))
    return found


def test_boxes_do_not_overlap() -> None:
    boxes = sides(ET.fromstring(svg(blocks_of(flow_of(NUDGE)), "Nudge")))
    for i, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[i + 1 :]:
            apart = right < other[0] or other[2] < left or bottom < other[1] or other[3] < top
            assert apart, "two boxes share a place"


def test_a_flow_is_drawn_from_its_file_whatever_it_refers_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, picture = tmp_path / "vip.yaml", tmp_path / "vip.svg"
    file.write_text("flow: vip\ntrigger: {enters: nobody-knows}\nsteps: [{wait: 1d}]\n")
    assert main(["flow", "draw", str(file)]) == 0
    assert "enters nobody-knows" in capsys.readouterr().out
    assert main(["flow", "draw", str(file), "--svg", str(picture)]) == 0
    assert ET.parse(picture).getroot().tag == f"{SVG}svg"
    nowhere = tmp_path / "missing" / "vip.svg"
    assert main(["flow", "draw", str(file), "--svg", str(nowhere)]) == 2
    assert f"--svg {nowhere}: No such file or directory" in capsys.readouterr().err


def test_a_flow_that_is_not_there_is_said_beside_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vip.yaml").write_text("flow: vip\ntrigger: {did: A}\nsteps: [{wait: 1d}]\n")
    assert main(["flow", "draw", "vap", "--definitions", str(tmp_path)]) == 1
    assert "there is no flow 'vap' in these definitions; there are: vip" in capsys.readouterr().err
    assert main(["flow", "draw", str(tmp_path / "other.yaml")]) == 2
    assert "there is no such file" in capsys.readouterr().err
