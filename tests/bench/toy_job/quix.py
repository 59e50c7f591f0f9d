"""The toy job in Quix Streams: three data frames of one application, state in RocksDB.

python -m tests.bench.toy_job.quix [--exactly-once]
"""

import argparse
import os
from typing import Any

from quixstreams import Application, message_context
from quixstreams.models import Topic as QuixTopic

from agents.settings import Settings
from agents.topics import topic_name
from schemas.topics import (
    IDENTITY_REQUESTS,
    PROFILE_UPDATES,
    SEGMENT_CHANGES,
    SEND_COMMANDS,
    STORE_EVENTS,
    Topic,
)
from tests.bench.toy_job.rules import DAY_MS, Remembered, memberships, profile_of

TEXTS = ("id", "metric", "browser", "customer")


def fresh_with(remembered: Remembered) -> Any:
    """Says whether an event is valid and was not seen before."""

    def fresh(event: Any) -> bool:
        return (
            isinstance(event, dict)
            and all(isinstance(event.get(name), str) for name in TEXTS)
            and isinstance(event.get("at"), int)
            and isinstance(event.get("properties"), dict)
            and remembered.is_new(event["id"])
        )

    return fresh


def identify(event: dict[str, Any], state: Any) -> dict[str, Any]:
    """Whose browser is it?"""
    profile = state.get("profile")
    if profile is None:
        profile = profile_of(event["customer"])
        state.set("profile", profile)
    event["profile"] = profile
    return event


def count(
    event: dict[str, Any], _key: Any, _timestamp: int, _headers: Any, state: Any
) -> dict[str, Any] | None:
    """Count an event in the row of its profile. Returns: the change of membership, if there is one.

    `offset` keeps an event that comes again from being counted again.
    """
    place = message_context()
    row = state.get("row") or {
        "offset": -1, "events": 0, "first_at": event["at"], "last_at": 0,
        "counts": {}, "days": {}, "traits": {}, "segments": [],
    }  # fmt: skip
    if place.offset <= row["offset"]:
        return None
    metric, today = event["metric"], event["at"] // DAY_MS
    row["offset"] = place.offset
    row["events"] += 1
    row["last_at"] = event["at"]
    row["counts"][metric] = row["counts"].get(metric, 0) + 1
    row["days"][str(today)] = row["days"].get(str(today), 0) + 1
    row["traits"].update(event["properties"])
    before, row["segments"] = (
        row["segments"],
        memberships(row["counts"], row["days"], row["traits"], today),
    )
    state.set("row", row)
    if row["segments"] == before:
        return None
    return {
        "type": "membership-changed",
        "id": f"{place.partition}-{place.offset}",
        "profile": event["profile"],
        "segments": row["segments"],
    }


def command(change: dict[str, Any]) -> dict[str, Any]:
    return {"type": "toy-command", "id": f"{change['id']}-c", "profile": change["profile"]}


def application(settings: Settings, *, exactly_once: bool) -> Application:
    """The whole job."""
    app = Application(
        broker_address=",".join(settings.kafka or ()),
        consumer_group=topic_name(settings, "quix"),
        auto_offset_reset="earliest",
        commit_interval=1.0,
        loglevel="WARNING",
        state_dir=settings.data / "quix",
        processing_guarantee="exactly-once" if exactly_once else "at-least-once",
        producer_extra_config={"linger.ms": 20, "batch.size": 256 << 10},
        consumer_extra_config={"queued.min.messages": 20_000},
    )

    def topic(declared: Topic) -> QuixTopic:
        return app.topic(
            topic_name(settings, declared.name),
            key_deserializer="str",
            key_serializer="str",
            value_deserializer="json",
            value_serializer="json",
        )

    clean, resolved = topic(IDENTITY_REQUESTS), topic(PROFILE_UPDATES)
    app.dataframe(topic(STORE_EVENTS)).filter(fresh_with(Remembered())).to_topic(clean)
    whose = app.dataframe(clean).apply(identify, stateful=True)
    whose.to_topic(resolved, key=lambda event: event["profile"])
    changes = app.dataframe(resolved).apply(count, stateful=True, metadata=True)
    changes = changes.filter(lambda change: change is not None)
    changes.to_topic(topic(SEGMENT_CHANGES)).apply(command).to_topic(topic(SEND_COMMANDS))
    return app


def main() -> None:
    """Work until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulated", action="store_true", help="as every worker is told")
    parser.add_argument("--exactly-once", action="store_true")
    exactly_once = parser.parse_args().exactly_once
    application(Settings.from_environ(os.environ), exactly_once=exactly_once).run()


if __name__ == "__main__":
    main()
