"""Simulated days, told line by line: what happens to one person, and what comes of it.

A line is `<when>  <event> <property>=<value> ...  -> <what comes of it>; <and this>`; one that
begins with `->` goes on with the line before. Every line is exact and the telling is complete: what
happens and is not told fails the test.

when:   `day 62`, `day 62 15:30`, `2026-03-28 22:30` (the store's local time); a line without an
        event tells what time alone does; several events at one instant happen in their order.
event:  the metric, then its properties; `late=2h` (occurred so long before), `backfill=yes`,
        `trust=client`, `id=...`, `money=...` (value), `trait.city=...`, `email=...` and other
        identifiers are no properties; a list or a map is JSON without spaces.
comes:  `entered S`, `exited S`, `starts F`, `refuses F: reason`, `sends M [to A] [variant]`,
        `holds M until <when>: reason`, `drops M: reason, reason`, `skips M: reason`,
        `ends F: reason`.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from ruamel.yaml import YAML

from schemas.events import Event
from schemas.outputs import FlowTriggered, SegmentChanged, SendCommand, SendDecided
from schemas.records import DefinitionsPublished, EventResolved
from schemas.rows import DefinitionsRow, ProfileRow
from schemas.values import Identifier, Instant
from streams.core import Output
from streams.definitions.durations import to_millis
from streams.definitions.switch import in_force
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import to_instant, to_timestamp
from streams.money import to_micros
from streams.profile.step import ProfileCore

KINDS = ("external_id", "email", "phone", "anonymous_id", "device_id", "cart_token")
START = date(2026, 1, 1)
GRANTS = {"email": "email", "sms": "phone", "whatsapp": "phone", "push": "device_id"}
WHO = {"email": "ann@example.com", "phone": "+4930123456", "device_id": "d-3"}


def documents_of(definitions: str) -> tuple[dict[str, Any], ...]:
    """Definitions as plain data: YAML documents, one after the other."""
    return tuple(YAML(typ="safe", pure=True).load_all(definitions))


class Stage:
    """A profile core and one row, which is encoded and decoded after every step."""

    def __init__(self, definitions: str, *, profile: str = "i-ann") -> None:
        self.core = ProfileCore(Ids(REPLAY_SECRET))
        self.key = profile
        self.row: ProfileRow | None = None
        self.told: list[tuple[Instant, str]] = []
        self.outputs: list[Output] = []
        self.versions = 0
        self.definitions: DefinitionsRow | None = None
        self.events = 0
        self.now: Instant = 0
        self.zone = ZoneInfo("UTC")
        self.publish(definitions)

    def publish(self, definitions: str) -> None:
        """Put these definitions in force; the row takes over those before them first."""
        self.wake_until(self.now)
        self.versions += 1
        documents = documents_of(definitions)
        published = DefinitionsPublished("main", f"v{self.versions}", "ann", documents)
        self.definitions = in_force(self.definitions, published, ())
        self.core = self.core.adopt(self.definitions)
        zones = [one["zone"] for one in documents if "store" in one and "zone" in one]
        self.zone = ZoneInfo(zones[0]) if zones else ZoneInfo("UTC")

    def wake_until(self, instant: Instant) -> None:
        """Let time pass, timers at the very instant included."""
        while self.row is not None and (due := self.core.wake_at(self.row)) is not None:
            if due > instant:
                break
            self.now = max(self.now, due)
            self.row, outputs = self.core.wake(self.row, self.key, due, self.now)
            later = self.core.wake_at(self.row)
            assert later is None or later > due, "time moves on"
            self._tell(self.now, outputs)
        self.now = max(self.now, instant)

    def happen(self, event: Event) -> list[Output]:
        """Let an event happen when it is received."""
        self.wake_until(event.received_at)
        self.now = event.received_at
        body = EventResolved(event, event.identifiers[0])
        origin = (event.received_at, 0, 0)
        self.row, outputs = self.core.step(self.row, self.key, body, event.received_at, origin)
        self._tell(event.received_at, outputs)
        return outputs

    def _tell(self, at: Instant, outputs: list[Output]) -> None:
        assert self.row is not None
        blob = self.core.encode(self.row)
        self.row = self.core.decode(blob)
        assert self.core.encode(self.row) == blob, "a row survives encode and decode"
        self.outputs += outputs
        self.told += [(at, text) for one in told_by(outputs) for text in [self._local(one)]]

    def _local(self, text: str) -> str:
        head, _, instant = text.partition(" until ")
        if not instant:
            return text
        instant, _, reason = instant.partition(": ")
        return f"{head} until {local(to_instant(instant), self.zone)}: {reason}"


def told_by(outputs: list[Output]) -> list[str]:
    """What the outputs say, in the words of a script."""
    told = []
    addresses: dict[str, SendCommand] = {}
    for output in outputs:
        match output.record:
            case SegmentChanged(change=change, segment=segment):
                told.append(f"{change} {segment}")
            case FlowTriggered(flow=flow):
                told.append(f"starts {flow}")
            case SendCommand() as command:
                addresses[command.id] = command
            case SendDecided() as decided:
                told.append(_decision(decided, addresses))
    return told


def _decision(decided: SendDecided, commands: dict[str, SendCommand]) -> str:
    reasons = ", ".join(decided.reasons)
    match decided.outcome:
        case "sent":
            assert decided.send_id is not None
            command = commands[decided.send_id]
            variant = f" {command.variant}" if command.variant else ""
            return f"sends {decided.message} to {command.address}{variant}"
        case "held":
            return f"holds {decided.message} until {decided.until}: {reasons}"
        case "dropped":
            return f"drops {decided.message}: {reasons}"
        case "skipped" if decided.message is None:
            return f"ends {decided.flow}: {reasons}"
        case "skipped":
            return f"skips {decided.message}: {reasons}"
        case _:
            return f"refuses {decided.flow}: {reasons}"


def play(
    definitions: str, script: str, *, granted: tuple[str, ...] = ("email",), profile: str = "i-ann"
) -> Stage:
    """Play a script; fails where something else happens than it tells.

    granted: channels on which the person has subscribed the day before the first.
    """
    stage = Stage(definitions, profile=profile)
    identifiers = tuple((kind, WHO[kind]) for kind in KINDS if kind in WHO)
    yesterday = to_instant(f"{START - timedelta(days=1)}T00:00:00Z")
    for index, channel in enumerate(granted):
        stage.happen(
            event_of("Subscribed", f"s{index}", yesterday, identifiers, {"channel": channel})
        )
    return go_on(stage, script)


def go_on(stage: Stage, script: str) -> Stage:
    """Play more of the same story on the same stage."""
    stage.told = []
    identifiers = tuple((kind, WHO[kind]) for kind in KINDS if kind in WHO)
    expected: list[tuple[Instant, str]] = []
    at: Instant = 0
    for line in script.splitlines():
        if not line.strip():
            continue
        told, _, comes = line.partition("->")
        rest: list[str] = []
        if told.strip():
            at, rest = _when(told.split(), stage.zone)
        if rest:
            stage.events += 1
            stage.happen(_event(rest, f"e{stage.events}", at, identifiers))
        else:
            stage.wake_until(at)
        expected += [(at, text.strip()) for text in comes.split(";") if text.strip()]
    happened = [(at, _as_told(text, expected)) for at, text in stage.told]
    assert _lines(happened, stage.zone) == _lines(expected, stage.zone)
    return stage


def _as_told(text: str, expected: list[tuple[Instant, str]]) -> str:
    """The address of a send is told only where the script tells it."""
    words = text.split(" to ")
    if len(words) == 2 and not any(told.startswith(f"{words[0]} to") for _, told in expected):
        _, _, variant = words[1].partition(" ")
        return f"{words[0]} {variant}".rstrip()
    return text


def local(instant: Instant, zone: ZoneInfo) -> str:
    """An instant as a script writes it."""
    moment = datetime.fromisoformat(to_timestamp(instant)).astimezone(zone)
    return moment.strftime("%Y-%m-%d %H:%M") + ("" if not moment.second else f":{moment.second}")


def _lines(told: list[tuple[Instant, str]], zone: ZoneInfo) -> list[str]:
    return [f"{local(at, zone)}  {text}" for at, text in told]


def _when(words: list[str], zone: ZoneInfo) -> tuple[Instant, list[str]]:
    if words[0] == "day":
        day, rest = START + timedelta(days=int(words[1])), words[2:]
    else:
        day, rest = date.fromisoformat(words[0]), words[1:]
    clock = "00:00"
    if rest and rest[0][0].isdigit():
        clock, rest = rest[0], rest[1:]
    moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=zone)
    return to_instant(moment.astimezone(UTC).isoformat()), rest


def _event(words: list[str], event_id: str, at: Instant, identifiers: Any) -> Event:
    metric = " ".join(word for word in words if "=" not in word)
    said = dict(word.split("=", 1) for word in words if "=" in word)
    own = {kind: value for kind, value in said.items() if kind in KINDS}
    if own:
        who = {**dict(identifiers), **own}
        identifiers = tuple((kind, who[kind]) for kind in KINDS if kind in who)
    return event_of(
        metric,
        said.pop("id", event_id),
        at,
        identifiers,
        {name: _value(text) for name, text in said.items() if _is_property(name)},
        late=to_millis(said["late"]) if "late" in said else 0,
        backfill=said.get("backfill") == "yes",
        trust=said.get("trust", "server"),
        money=said.get("money"),
        traits={
            name.removeprefix("trait."): _value(text)
            for name, text in said.items()
            if name.startswith("trait.")
        },
    )


def _is_property(name: str) -> bool:
    options = ("late", "backfill", "trust", "money", "id", *KINDS)
    return name not in options and not name.startswith("trait.")


def _value(text: str) -> Any:
    if text[0] in "[{":
        return msgspec.json.decode(text)
    return int(text) if text.lstrip("-").isdigit() else {"true": True}.get(text, text)


def event_of(
    metric: str,
    event_id: str,
    at: Instant,
    identifiers: tuple[Identifier, ...],
    properties: dict[str, Any],
    *,
    late: int = 0,
    backfill: bool = False,
    trust: Any = "server",
    money: str | None = None,
    traits: dict[str, Any] | None = None,
) -> Event:
    """An event that is received at `at` and occurred `late` before."""
    return Event(
        schema=1,
        id=event_id,
        metric=metric,
        occurred_at=at - late,
        received_at=at,
        store="main",
        trust=trust,
        identifiers=identifiers,
        traits=traits or {},
        traits_once={},
        properties=properties,
        value=None if money is None else to_micros(Decimal(money)),
        currency=None if money is None else "EUR",
        source="shop",
        backfill=backfill,
    )
