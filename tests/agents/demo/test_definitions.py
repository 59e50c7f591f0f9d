"""The demo's definitions and templates belong together and are written without an error."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from agents.demo.countries import STORE_ZONE
from schemas.definitions import Flow, Segment
from streams.definitions.parse import Parsed, parse
from streams.definitions.references import walk

DEMO = Path(__file__).parents[3] / "deploy" / "demo"
METRICS = {
    "Placed Order",
    "Cancelled Order",
    "Viewed Product",
    "Added to Cart",
    "Started Checkout",
    "Subscribed",
    "Received Email",
    "Opened Email",
    "Clicked Email",
}


def files() -> list[Path]:
    return sorted((DEMO / "definitions").rglob("*.yaml"))


def parsed() -> Parsed:
    yaml: Any = YAML(typ="safe")
    return parse([yaml.load(file.read_text()) for file in files()], known_metrics=METRICS)


def test_there_is_no_problem_with_any_of_them() -> None:
    assert parsed().problems == ()
    definitions = parsed().definitions.values()
    assert sum(isinstance(one, Segment) for one in definitions) == 21
    assert sum(isinstance(one, Flow) for one in definitions) == 5


def test_the_store_is_the_shop_of_the_data() -> None:
    settings = parsed().settings
    assert (settings.store, settings.currency, settings.zone) == ("main", "GBP", STORE_ZONE)
    assert settings.address, "marketing needs one"


def test_a_definition_is_named_as_its_file() -> None:
    yaml: Any = YAML(typ="safe")
    for file in files():
        assert next(iter(yaml.load(file.read_text()).values())) == file.stem


def test_every_template_is_there_and_used() -> None:
    used = {
        place.part.template
        for flow in parsed().definitions.values()
        if isinstance(flow, Flow)
        for place in walk(flow)
        if hasattr(place.part, "template") and place.part.template is not None
    }
    there = {path.name.partition(".")[0] for path in (DEMO / "templates").glob("*.liquid")}
    assert used == there
