"""A worker process: the three stages under one Faust worker. `python -m agents.worker`

Settings come from the environment. It ends by SIGTERM or SIGINT, after its running transactions; a
failed or fenced station ends it at once with its own exit code (agents/station.py).
"""

import argparse
import asyncio
import os
import sys

import faust

from agents.identity import identity_app
from agents.ingest import ingest_app
from agents.logs import configure
from agents.profile import profile_app
from agents.settings import Settings, SettingsError
from streams.ids import Ids


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop. Returns the exit code: 2 where a setting is bad."""
    parser = argparse.ArgumentParser(prog="tillstream worker", description=__doc__)
    parser.add_argument("--simulated", action="store_true", help="time comes from a feeder")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.from_environ(os.environ)
        if settings.store != "memory":
            raise SettingsError("TILLSTREAM_STORE is 'rocksdb'; this version keeps rows in memory")
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    configure(settings.log_level)
    ids = Ids(settings.secret_bytes)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    stages = [
        ingest_app(settings, ids, simulated=options.simulated),
        identity_app(settings, ids),
        profile_app(settings, ids),
    ]
    apps = [stage.app for stage in stages]
    worker = faust.Worker(*apps, loop=loop, loglevel="warn", override_logging=False)
    worker.execute_from_commandline()
    return 0


if __name__ == "__main__":
    sys.exit(main())
