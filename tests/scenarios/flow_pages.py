"""The pages of the library's flows in docs/flows/: made from the YAML, its first comment included.

    python -m tests.scenarios.flow_pages

writes them anew; a test compares.
"""

from collections.abc import Iterator
from pathlib import Path

from agents.cli.meant import flow_in
from agents.drawing.blocks import blocks_of
from agents.drawing.svg import svg
from schemas.conditions import EventFilter, Measured
from schemas.definitions import (
    Flow,
    OnBackInStock,
    OnDate,
    OnEvent,
    OnList,
    OnPriceDrop,
    Send,
    SplitTrigger,
)
from streams.definitions.products import ASKED, CATALOG_ITEM_UPDATED, PRODUCT
from streams.definitions.references import walk
from streams.flows.catalog import INVENTORY, PRICE
from streams.flows.words import trigger_words
from tests.scenarios.library import FLOWS, LIBRARY, definitions, files_of

PAGES = Path(__file__).parents[2] / "docs" / "flows"
WHERE = "deploy/definitions/library"
INDEX = """# The library of flows

Flows that most shops want, ready to copy from [`{where}`](../../{where}). Each has a page with its
picture, what it needs, and its YAML; each is told as a story, instant by instant, in
`tests/scenarios/test_library.py`.

{table}

To use one, copy its file and the files it needs into your own folder of definitions, write your
templates under the names in the table of the page, and

```sh
tillstream definitions check DIR
tillstream definitions apply DIR
```

The times, the amounts and the categories in them are examples to be changed. Marketing e-mail goes
out only where there is consent, and only if `address` stands in the settings (`main.yaml`). To see
a flow of your own: `tillstream flow draw my-flow.yaml --svg my-flow.svg`.
"""

PAGE = """# {name}

{words}

![{name}: the flow as a graph]({flow}.svg)

**Starts**: {trigger}.

| message | channel | template |
|---|---|---|
{messages}

**Copy**: {files}.

**It looks at**: {told}.

```yaml
{text}```
"""


def pages() -> dict[str, str]:
    """File name -> what has to be in it."""
    written = {}
    rows = []
    for name in FLOWS:
        flow = flow_in(LIBRARY / "flows" / f"{name}.yaml")
        written[f"{name}.svg"] = svg(blocks_of(flow), flow.name or name)
        written[f"{name}.md"] = _page(flow)
        rows.append(f"| [{flow.name}]({name}.md) | {trigger_words(flow.trigger)} |")
    table = "\n".join(["| flow | starts |", "|---|---|", *rows])
    written["README.md"] = INDEX.format(where=WHERE, table=table)
    return written


def _page(flow: Flow) -> str:
    text = (LIBRARY / "flows" / f"{flow.id}.yaml").read_text()
    comment, _, rest = text.partition(f"flow: {flow.id}\n")
    sends = [part for part, _ in walk(flow) if isinstance(part, Send)]
    files = [file.relative_to(LIBRARY).as_posix() for file in files_of(flow.id)]
    return PAGE.format(
        name=flow.name,
        flow=flow.id,
        words="\n".join(line.removeprefix("# ") for line in comment.splitlines()),
        trigger=trigger_words(flow.trigger),
        messages="\n".join(f"| `{s.message}` | {s.channel} | `{s.template}` |" for s in sends),
        files=", ".join(f"[`{file}`](../../{WHERE}/{file})" for file in files),
        told=", ".join(_told(flow)),
        text=f"flow: {flow.id}\n{rest}",
    )


def _told(flow: Flow) -> Iterator[str]:
    """The metrics that a flow and its segments ask for, with their properties; its date."""
    asked: dict[str, set[str]] = {}
    written = definitions()
    for file in files_of(flow.id):
        for part, _ in walk(written[file]):
            if isinstance(part, EventFilter):
                asked.setdefault(part.metric, set()).update(one.path for one in part.where)
            if isinstance(part, Measured):
                asked.setdefault(part.event.metric, set()).add(part.of)
    match flow.trigger:
        case OnEvent(EventFilter(metric)):
            paths = [
                one.path
                for part, _ in walk(flow)
                if isinstance(part, SplitTrigger)
                for one in part.where
            ]
            asked[metric].update(paths if flow.key is None else [flow.key, *paths])
        case OnList():
            asked |= {"Subscribed": {"list"}, "Confirmed Subscription": set()}
        case OnPriceDrop(who=who):
            asked |= {CATALOG_ITEM_UPDATED: {PRODUCT, PRICE}}
            asked |= {metric: {PRODUCT} for metric in who.of}
        case OnBackInStock(who=who):
            asked |= {CATALOG_ITEM_UPDATED: {PRODUCT, INVENTORY}}
            asked |= {metric: {PRODUCT} for metric in (*who.of, ASKED)}
        case OnDate(trait):
            yield f"the trait `{trait}`"
    for metric in sorted(asked):
        paths = sorted(asked[metric])
        yield f"`{metric}`" + (f" ({', '.join(f'`{path}`' for path in paths)})" if paths else "")


if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    for name, text in pages().items():
        (PAGES / name).write_text(text)
