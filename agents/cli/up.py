"""`tillstream up`: the live pipeline, on servers of its own or on those that the settings name."""

import argparse
import asyncio
import sys
from pathlib import Path

from aiokafka.errors import KafkaError

from agents.cli.failures import CommandFailed
from agents.cli.printing import Printer, json_argument, printer_for
from agents.clickhouse import ClickHouseFailed
from agents.definitions_log import DefinitionsRefused, Prepared, prepare
from agents.embedded.gateway import GatewayFailed
from agents.embedded.jars import JarsMissing
from agents.embedded.kafka import BrokerFailed
from agents.live.place import AlreadyUp
from agents.live.servers import BrokerMoved
from agents.live.up import Started
from agents.live.up import run as run_live
from agents.live.workers import WorkerRefused
from agents.logs import told
from agents.migrations import MigrationError
from agents.settings import Settings
from agents.topics import TopicsDiffer

WORKERS_MAX = 64
AUTHOR = "up"

Refusals = (
    AlreadyUp,
    BrokerFailed,
    BrokerMoved,
    ClickHouseFailed,
    GatewayFailed,
    JarsMissing,
    MigrationError,
    TopicsDiffer,
    WorkerRefused,
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers",
        type=_workers,
        metavar="N",
        help="worker processes (default: TILLSTREAM_WORKERS, 1)",
    )
    parser.add_argument(
        "--definitions",
        type=Path,
        metavar="DIR",
        help="published at the start, if this version is not in force",
    )
    json_argument(parser)


def _workers(text: str) -> int:
    number = int(text)
    if not 1 <= number <= WORKERS_MAX:
        raise argparse.ArgumentTypeError(f"1 to {WORKERS_MAX}, not {number}")
    return number


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run until Ctrl-C or SIGTERM. Returns: 0.

    Raises: CommandFailed.
    """
    printer = printer_for(options)
    workers = options.workers or settings.workers
    running = run_live(
        settings,
        workers=workers,
        prepared=_prepared(options.definitions),
        say=lambda text: _say(printer, text),
        ready=lambda started: _ready(printer, started, settings),
    )
    try:
        asyncio.run(running)
    except Refusals as refused:
        raise CommandFailed(str(refused)) from refused
    except KafkaError as error:
        brokers = ", ".join(settings.kafka or ())
        raise CommandFailed(
            f"the cluster at {brokers} does not do what it is asked ({told(error)}). "
            "Does it run, and are TILLSTREAM_KAFKA and its user right?"
        ) from error
    _say(printer, "stopped; the data are kept")
    return 0


def _prepared(folder: Path | None) -> Prepared | None:
    try:
        return None if folder is None else prepare(folder, AUTHOR)
    except DefinitionsRefused as refused:
        raise CommandFailed(str(refused)) from refused


def _say(printer: Printer, text: str) -> None:
    """Tell what happens, at once; beside `--json` it goes to standard error."""
    if printer.as_json:
        sys.stderr.write(f"{text}\n")
    else:
        printer.line(text)
    sys.stdout.flush()


def _ready(printer: Printer, started: Started, settings: Settings) -> None:
    """Say what runs, how to push, how to stop."""
    printer.data(started)
    namespace = f"namespace {started.namespace}" if started.namespace else "no namespace"
    own = " (embedded)" if started.embedded_kafka else ""
    database = f"{started.database} (embedded)" if started.database else "as the settings name it"
    count = len(started.workers)
    rows = {
        "broker": f"{', '.join(started.kafka)}{own}",
        "database": database,
        "topics": f"{namespace}, {started.partitions} partitions",
        "workers": f"{count}, logs in {started.logs}",
        "definitions": _definitions(started),
        "data": str(settings.data),
    }
    printer.heading("Tillstream is up")
    for what, value in rows.items():
        printer.line(f"{what:<13}{value}")
    if started.behind:
        printer.line("It works off what has waited; time comes to now by itself.")
    printer.line()
    printer.line("push         tillstream events push FILE        (one JSON event a line; - reads)")
    printer.line("watch        tillstream events tail segment-changes")
    printer.line("stop         Ctrl-C here")
    sys.stdout.flush()


def _definitions(started: Started) -> str:
    if not started.definitions:
        return "none yet: tillstream definitions apply DIR"
    named = [f"{store} {version}" for store, version in started.definitions.items()]
    return f"{', '.join(named)}{' (published now)' if started.published else ''}"
