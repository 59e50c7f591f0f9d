"""Every row of the table of conditions, as a user meets it: YAML files, `check`, `replay`.

One replay serves all rows. Each condition stands in a segment, in a flow's filter and in a split;
for each there are people for whom it holds and people for whom it does not, at one instant.
"""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from agents.cli.main import main
from streams.definitions.durations import to_millis
from streams.instants import to_instant, to_timestamp

NOW = to_instant("2026-06-15T12:00:00Z")
ORDER, CART, VIEW, OPENED = "Placed Order", "Started Checkout", "Viewed Product", "Opened Email"

Said = tuple[str, str] | tuple[str, str, dict[str, Any]]
"""(metric, how long ago, what the event says besides): `value` and `traits` are not properties."""


class Row(NamedTuple):
    """where: the condition as it is written. holds, fails: what people did."""

    where: str
    holds: list[list[Said]]
    fails: list[list[Said]]
    in_segments: bool = True


def did(metric: str, *agos: str, **more: Any) -> list[Said]:
    return [(metric, ago, more) for ago in agos]


def is_(ago: str = "1d", **traits: Any) -> list[Said]:
    return [("Identify", ago, {"traits": traits})]


def orders(*amounts: str, ago: str = "1d") -> list[Said]:
    return [(ORDER, ago, {"value": amount}) for amount in amounts]


def items(*categories: str) -> list[Said]:
    return did(ORDER, "1d", items=[{"category": one, "quantity": 2} for one in categories])


SMS = {"channel": "sms"}
ROWS = [
    # what was done
    Row("{did: Placed Order}", [did(ORDER, "900d")], [did(CART, "1d")]),
    Row(
        '{did: Placed Order, times: ">= 3", in_last: 30d}',
        [did(ORDER, "1d", "2d", "29d")],
        [did(ORDER, "1d", "2d"), did(ORDER, "1d", "2d", "30d")],
    ),
    Row('{did: Placed Order, times: "= 0"}', [did(CART, "1d")], [did(ORDER, "1d")]),
    Row("{did: Placed Order, times: 2}", [did(ORDER, "1d", "2d")], [did(ORDER, "1d", "2d", "3d")]),
    Row('{did: Placed Order, times: "!= 1"}', [did(ORDER, "1d", "2d")], [did(ORDER, "1d")]),
    Row(
        '{did: Placed Order, times: "2..3"}',
        [did(ORDER, "1d", "2d"), did(ORDER, "1d", "2d", "3d")],
        [did(ORDER, "1d"), did(ORDER, "1d", "2d", "3d", "4d")],
    ),
    Row(
        '{did: Placed Order, total: {of: value, is: "> 500"}, in_last: 180d}',
        [orders("250.00", "250.01")],
        [orders("250", "250"), orders("600", ago="180d")],
    ),
    Row('{did: Placed Order, total: {is: "= 0.3"}}', [orders("0.1", "0.2")], [orders("0.31")]),
    Row('{did: Placed Order, average: {is: "2..3"}}', [orders("1", "4")], [orders("1", "6"), []]),
    Row('{did: Placed Order, min: {is: "< 5"}}', [orders("4.99", "9")], [orders("5", "9"), []]),
    Row('{did: Placed Order, max: {is: ">= 9"}}', [orders("4", "9")], [orders("8.99", "1"), []]),
    Row(
        '{did: Placed Order, total: {of: "items[].quantity", is: ">= 4"}}',
        [items("hats", "hats")],
        [items("hats")],
    ),
    Row(
        '{did: V, max: {of: price, is: "= 2.5"}}', [did("V", "1d", price="2.50")], [did("V", "1d")]
    ),
    Row("{did_not: Opened Email, in_last: 60d}", [did(OPENED, "60d")], [did(OPENED, "59d")]),
    Row("{did_not: Opened Email}", [did(CART, "1d")], [did(OPENED, "800d")]),
    # property filters
    Row(
        '{did: V, where: {category: shoes, price: ">= 50", size: [S, M]}}',
        [did("V", "1d", category="shoes", price="50", size="M")],
        [
            did("V", "1d", category="shoes", price="49.99", size="M"),
            did("V", "1d", category="shoes", price="60", size="L"),
            did("V", "1d", category="Shoes", price="60", size="M"),
        ],
    ),
    Row('{did: Placed Order, where: {value: "> 5"}}', [orders("5.01")], [orders("5")]),
    Row(
        '{did: Placed Order, where: {"items[].category": shoes}}',
        [items("hats", "shoes")],
        [items("hats"), did(ORDER, "1d")],
    ),
    Row(
        '{did: Placed Order, where: {"items[].category": {is_not: shoes}}}',
        [items("hats"), did(ORDER, "1d")],
        [items("hats", "shoes")],
    ),
    Row(
        '{did: Placed Order, where: {"items[].category": {starts_with: sh}}}',
        [items("hats", "shoes")],
        [items("hats")],
    ),
    Row("{did: V, where: {a.b: 1}}", [did("V", "1d", a={"b": 1})], [did("V", "1d", b=1)]),
    Row("{did: V, where: {on: true}}", [did("V", "1d", on=True)], [did("V", "1d", on="true")]),
    Row("{did: V, where: {n: NO}}", [did("V", "1d", n="NO")], [did("V", "1d", n=False)]),
    Row(
        "{did: V, where: {n: {contains: b}}}",
        [did("V", "1d", n=["a", "b"])],
        [did("V", "1d", n="a")],
    ),
    Row("{did: V, where: {n: {ends_with: b}}}", [did("V", "1d", n="ab")], [did("V", "1d", n="ba")]),
    Row(
        '{did: V, where: {n: {matches: "^a+$"}}}',
        [did("V", "1d", n="aa")],
        [did("V", "1d", n="ab")],
    ),
    Row("{did: V, where: {n: {is_set: true}}}", [did("V", "1d", n=0)], [did("V", "1d", n=None)]),
    Row("{did: V, where: {n: {is_set: false}}}", [did("V", "1d")], [did("V", "1d", n=0)]),
    Row(
        '{did: V, where: {n: {length: "> 1"}}}', [did("V", "1d", n=[1, 2])], [did("V", "1d", n="a")]
    ),
    # windows
    Row("{did: V, in_last: 15m}", [did("V", "14m")], [did("V", "15m")]),
    Row("{did: V, in_last: 2w}", [did("V", "13d")], [did("V", "14d")]),
    Row("{did: V, before: 2026-06-01}", [did("V", "15d")], [did("V", "14d")]),
    Row("{did: V, after: 2026-06-01T12:00:00Z}", [did("V", "14d")], [did("V", "15d")]),
    Row(
        "{did: V, between: [2026-06-01T12:00, 2026-06-02T12:00]}",
        [did("V", "14d")],
        [did("V", "13d"), did("V", "15d")],
    ),
    Row("{did: V, at_least_ago: 30d}", [did("V", "30d")], [did("V", "29d")]),
    Row("{did: V, ago: [30d, 60d]}", [did("V", "30d")], [did("V", "29d"), did("V", "60d")]),
    Row('{did: V, times: "< 2", ago: [1d, 2d]}', [did("V", "1d")], [did("V", "30h", "1d")]),
    # in order
    Row(
        "{sequence: [{did: Started Checkout}, {did_not: Placed Order, within: 4h}], in_last: 30d}",
        [did(CART, "4h"), did(ORDER, "5h") + did(CART, "4h")],
        [did(CART, "3h"), did(CART, "9h") + did(ORDER, "6h"), did(CART, "30d")],
    ),
    Row(
        "{sequence: [{did: Viewed Product}, {did: Placed Order, within: 1d}]}",
        [did(VIEW, "3d") + did(ORDER, "50h")],
        [did(VIEW, "3d") + did(ORDER, "2d"), did(ORDER, "3d") + did(VIEW, "2d")],
    ),
    Row(
        '{of_newest: {count: 3, did: Received Email}, did: Opened Email, times: ">= 2"}',
        [did("Received Email", "9d", "8d", "7d") + did(OPENED, "6d", "5d")],
        [did("Received Email", "9d", "8d", "7d") + did(OPENED, "6d")],
    ),
    Row(
        "{of_newest: {count: 1, did: Viewed Product}, where: {category: shoes}}",
        [did(VIEW, "2d", category="hats") + did(VIEW, "1d", category="shoes")],
        [did(VIEW, "2d", category="shoes") + did(VIEW, "1d", category="hats")],
    ),
    # traits
    Row("{trait: city, is: [New York, Boston]}", [is_(city="Boston")], [is_(city="boston"), []]),
    Row("{trait: city, is_not: Boston}", [is_(city="Rome"), []], [is_(city="Boston")]),
    Row("{trait: city, contains: ost}", [is_(city="Boston")], [is_(city="Rome")]),
    Row("{trait: tags, contains: vip}", [is_(tags=["vip"])], [is_(tags=["vips"])]),
    Row("{trait: city, starts_with: Bo}", [is_(city="Boston")], [is_(city="Rome")]),
    Row("{trait: city, ends_with: on}", [is_(city="Boston")], [is_(city="Rome")]),
    Row("{trait: city, matches: o.t}", [is_(city="Boston")], [is_(city="Rome")]),
    Row("{trait: city, is_set: true}", [is_(city="Rome")], [[]]),
    Row("{trait: city, is_set: false}", [[]], [is_(city="Rome")]),
    Row('{trait: age, is: ">= 18"}', [is_(age=18), is_(age="18")], [is_(age=17), is_(age="x")]),
    Row('{trait: age, is: "!= 18"}', [is_(age=17), []], [is_(age=18)]),
    Row('{trait: city, length: "> 4"}', [is_(city="Boston")], [is_(city="Rome")]),
    Row(
        "{trait: born, anniversary: {in_next: 7d}}",
        [is_(born="1990-06-22")],
        [is_(born="1990-06-23")],
    ),
    Row(
        "{trait: born, anniversary: {in_last: 7d}}",
        [is_(born="1990-06-09")],
        [is_(born="1990-06-08")],
    ),
    Row(
        "{trait: born, anniversary: {month: 11}}",
        [is_(born="1990-11-30")],
        [is_(born="1990-12-01")],
    ),
    Row("{trait: ends, in_next: 7d}", [is_(ends="2026-06-22")], [is_(ends="2026-06-23")]),
    Row("{trait: ends, in_last: 7d}", [is_(ends="2026-06-09")], [is_(ends="2026-06-08")]),
    Row("{trait: ends, before: 2026-06-01}", [is_(ends="2026-05-31")], [is_(ends="2026-06-01")]),
    Row("{trait: ends, after: 2026-06-01}", [is_(ends="2026-06-01")], [is_(ends="2026-05-31")]),
    Row(
        "{trait: ends, between: [2026-06-01, 2026-06-03]}",
        [is_(ends="2026-06-02")],
        [is_(ends="2026-06-03")],
    ),
    Row(
        "{trait: plan, held: gold, for: 30d}",
        [is_("30d", plan="gold"), is_("30d", plan="gold") + is_("1d", plan="gold")],
        [is_("29d", plan="gold"), is_("40d", plan="gold") + is_("9d", plan="tin")],
    ),
    # consent, lists, segments
    Row("{can_receive: sms}", [did("Subscribed", "1d", channel="sms")], [[]]),
    Row(
        "{can_receive: sms, list: open}",
        [did("Subscribed", "1d", channel="sms", list="open")],
        [did("Subscribed", "1d", channel="sms")],
    ),
    Row("{consent: sms, is: granted}", [did("Subscribed", "1d", channel="sms")], [[]]),
    Row(
        "{consent: sms, is: granted, method: form, in_last: 30d}",
        [did("Subscribed", "1d", channel="sms", method="form")],
        [
            did("Subscribed", "1d", channel="sms", method="import"),
            did("Subscribed", "30d", channel="sms", method="form"),
        ],
    ),
    Row("{consent: sms, is: denied}", [did("Unsubscribed", "1d", channel="sms")], [[]]),
    Row("{consent: email, is: never}", [[]], [did("Subscribed", "1d", channel="email")]),
    Row(
        "{consent: email, is: pending}",
        [did("Subscribed", "1d", channel="email", list="double")],
        [did("Subscribed", "1d", channel="email")],
    ),
    Row("{in_list: open}", [did("Joined List", "1d", list="open")], [[]]),
    Row(
        "{in_list: open, joined_in_last: 30d}",
        [did("Joined List", "29d", list="open")],
        [did("Joined List", "30d", list="open")],
    ),
    Row("{in_segment: asked}", [did("Asked", "1d")], [[]]),
    Row("{in_segment: asked, for: 7d}", [did("Asked", "7d")], [did("Asked", "6d")]),
    # places
    Row(
        "{near: {lat: 52, lon: 13}, within: 30mi}",
        [is_(lat=52.433, lon=13)],
        [is_(lat=52.435, lon=13)],
    ),
    Row(
        "{near: {lat: 52.52, lon: 13.405}, within: 50km}",
        [is_(lat=52.4, lon="13.06")],
        [is_(lat=53.55, lon=9.99), []],
    ),
    Row(
        '{near: {postal_code: "10001", country: US}, within: 50km}',
        [is_(postal_code="11201-1832", country="US")],
        [is_(postal_code="60601", country="US"), is_(postal_code="11201")],
    ),
    Row("{region: eu}", [is_(country="de")], [is_(country="CH"), []]),
    Row("{region: us}", [is_(country="US")], [is_(country="CA")]),
    Row("{country: [DE, AT]}", [is_(country="AT")], [is_(country="CH")]),
    Row(
        "{affinity: {category: [shoes, boots]}}",
        [
            did(VIEW, "1d", "2d", category="shoes") + did(VIEW, "3d", category="boots"),
            items("shoes", "hats"),
            did(VIEW, "1d", "2d", "3d", "4d", "5d", category="hats") + items("shoes"),
        ],
        [
            did(VIEW, "1d", "2d", category="shoes"),
            did(VIEW, "89d", "90d", "91d", category="shoes"),
            items("hats", "caps") + did(VIEW, "1d", "2d", category="shoes"),
        ],
    ),
    Row(
        '{affinity: {price: "20..50"}}',
        [did("Added to Cart", "1d", price="49.90")],
        [did("Added to Cart", "1d", price="50.01")],
    ),
    # among all others, measured at midnight
    Row("{top: 50%, by: {did: R1}}", [did("R1", "1d", "2d")], [did("R1", "3d"), did("V", "1d")]),
    Row(
        "{bottom: 50%, by: {did: R2, total: price, in_last: 30d}}",
        [did("R2", "1d", price=5)],
        [did("R2", "1d", price=6), did("R2", "30d", price=1)],
    ),
    Row(
        "{rfm: [recent, needs-attention]}",
        [did(ORDER, "59d"), did(ORDER, "60d")],
        [did(ORDER, "180d"), did(ORDER, "1d", "2d"), []],
    ),
    Row("{sample: 100%, seed: spring}", [[]], []),
    Row("{sample: 0%}", [], [[]]),
    # trees
    Row(
        "{all: [{did: V}, {any: [{did: W}, {none: [{did: X}, {did: Y}]}]}]}",
        [did("V", "1d"), did("V", "1d") + did("W", "1d") + did("X", "1d")],
        [did("W", "1d"), did("V", "1d") + did("Y", "1d")],
    ),
    # in flows only
    Row(
        "{trigger: {amount: '> 100'}}",
        [[("Ask", "0s", {"amount": 101})]],
        [[("Ask", "0s", {"amount": 100})]],
        in_segments=False,
    ),
    Row(
        "{did: V, where: {order_id: {trigger: order_id}}}",
        [[*did("V", "1d", order_id=7), ("Ask", "0s", {"order_id": "7"})]],
        [[*did("V", "1d", order_id=8), ("Ask", "0s", {"order_id": "7"})]],
        in_segments=False,
    ),
    Row("{in_flow: slow}", [did("Slow", "1d")], [did("Slow", "9d"), []], in_segments=False),
    Row(
        "{in_flow: slow, in_last: 7d}", [did("Slow", "9d")], [did("Slow", "19d")], in_segments=False
    ),
    Row("{received: sms}", [did("Received SMS", "900d")], [[]], in_segments=False),
    Row(
        "{received: sms, in_last: 7d}",
        [did("Received SMS", "6d")],
        [did("Received SMS", "7d")],
        in_segments=False,
    ),
    Row(
        "{did: V, since: flow_start}",
        [did("V", "0s")],
        [did("V", "1m"), []],
        in_segments=False,
    ),
    Row("{did: Ask, since: flow_start}", [], [[]], in_segments=False),
]
"""Who is asked about says `Ask` at NOW, once, unless the row says it in its own words."""

FRAME = {
    "store": "store: main\nrank_every: 2291d\n",  # nine times that is the midnight before NOW
    "open": "list: open\nopt_in: none\n",
    "double": "list: double\n",
    "asked": "segment: asked\nwhere: {did: Asked}\n",
    "slow": "flow: slow\ntrigger: {did: Slow}\nsteps: [{wait: 5d}, {exit: done}]\n",
}


def written(number: int, row: Row) -> dict[str, str]:
    """The condition in a segment, in a filter and in a split."""
    trigger = f"trigger: {{did: Ask, where: {{row: {number}}}}}"
    then = "then: [{set: {split: true}}], else: [{set: {split: false}}]"
    files = {
        f"filter-{number}": f"flow: filter-{number}\n{trigger}\nfilter: {row.where}\nsteps: []\n",
        f"split-{number}": f"flow: split-{number}\n{trigger}\n"
        f"steps:\n  - split: {{where: {row.where}, {then}}}\n",
    }
    if row.in_segments:
        files[f"segment-{number}"] = f"segment: segment-{number}\nwhere: {row.where}\n"
    return files


def line(number: int, who: str, said: Said) -> dict[str, Any]:
    metric, ago, more = said if len(said) == 3 else (*said, {})
    back = 0 if ago == "0s" else to_millis(ago)
    assert back is not None
    properties = {name: value for name, value in more.items() if name not in ("value", "traits")}
    phone = f"+4930{sum(ord(one) * 7**i for i, one in enumerate(who)) % 10**7:07}"
    profile = {"external_id": who, "email": f"{who}@example.com", "phone": phone}
    found = {
        "metric": metric,
        "time": to_timestamp(NOW - back),
        "profile": {**profile, "traits": more.get("traits", {})},
        "properties": {**properties, "row": number},
        "id": f"{who}-{metric}-{ago}-{more!r}",
    }
    return found | ({"value": more["value"], "currency": "EUR"} if "value" in more else {})


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bool, bool, bool]]:
    """Person -> (in the segment, passed the filter, went the way of `then`)."""
    folder: Path = tmp_path_factory.mktemp("language")
    files = dict(FRAME)
    lines = []
    for number, row in enumerate(ROWS):
        files |= written(number, row)
        for word, people in (("holds", row.holds), ("fails", row.fails)):
            for i, history in enumerate(people):
                asks = [] if any(said[0] == "Ask" for said in history) else [("Ask", "0s")]
                lines += [line(number, f"{word}-{number}-{i}", s) for s in [*history, *asks]]
    definitions = folder / "definitions"
    definitions.mkdir()
    for name, text in files.items():
        (definitions / f"{name}.yaml").write_text(text)
    events = folder / "events.jsonl"
    lines.sort(key=lambda one: one["time"])
    events.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in lines))
    assert main(["definitions", "check", f"{definitions}"]) == 0
    asked = ["--definitions", f"{definitions}", "--events", f"{events}", "--out", f"{folder}/out"]
    assert main(["replay", *asked, "--until", to_timestamp(NOW)]) == 0

    def read(name: str) -> list[dict[str, Any]]:
        text = (folder / "out" / name).read_bytes()
        return [msgspec.json.decode(one) for one in text.splitlines()]

    assert read("rejected.jsonl") == []
    profiles = read("profiles.jsonl")
    people = {one["profile_id"]: one["identifiers"]["external_id"][0] for one in profiles}
    passed = {(people[one["profile_id"]], one["flow"]) for one in read("flow-triggers.jsonl")}
    return {
        who: (
            f"segment-{who.split('-')[1]}" in profile["segments"],
            (who, f"filter-{who.split('-')[1]}") in passed,
            profile["traits"]["split"],
        )
        for profile in profiles
        for who in [people[profile["profile_id"]]]
    }


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[row.where for row in ROWS])
def test_the_row_means_what_the_table_says(
    number: int, found: dict[str, tuple[bool, bool, bool]]
) -> None:
    row = ROWS[number]
    for word, people in (("holds", row.holds), ("fails", row.fails)):
        for i, history in enumerate(people):
            answers = found[f"{word}-{number}-{i}"]
            asked = answers if row.in_segments else answers[1:]
            assert set(asked) == {word == "holds"}, history
