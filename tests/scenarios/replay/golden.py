"""The scenarios of this folder: what is asked for, and what the files have to be.

python -m tests.scenarios.replay.golden        writes `expected/` anew; look at the difference
"""

from pathlib import Path

from agents.cli.main import main

HERE = Path(__file__).parent
SWITCH = "2026-03-05T09:00:00Z"
UNTIL = "2026-03-07T00:00:00Z"


def replayed(scenario: str, out: Path) -> dict[str, bytes]:
    """Replay a scenario; returns the files by their names."""
    folder = HERE / scenario
    code = main(
        [
            "replay",
            "--definitions",
            str(folder / "definitions"),
            "--definitions",
            f"{folder / 'from-march-5'}@{SWITCH}",
            "--events",
            str(folder / "events.jsonl"),
            "--until",
            UNTIL,
            "--out",
            str(out),
        ]
    )
    assert code == 0
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


if __name__ == "__main__":
    replayed("two-customers", HERE / "two-customers" / "expected")
