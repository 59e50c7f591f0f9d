"""Every metric, declared once: kind, name, unit, labels, meaning. Labels have few values."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from streams.intake import Work

REGISTRY = CollectorRegistry()

STEPS = Counter(
    "tillstream_station_steps_total",
    "Records and timers applied.",
    ["station"],
    registry=REGISTRY,
)
TRANSACTIONS = Counter(
    "tillstream_station_transactions_total",
    "Transactions committed: one a batch (ingest) or a slice of a round (identity, profile).",
    ["station"],
    registry=REGISTRY,
)
OUTPUTS = Counter(
    "tillstream_station_outputs_total",
    "Records written, by topic (clocks included).",
    ["station", "topic"],
    registry=REGISTRY,
)
DEAD_LETTERS = Counter(
    "tillstream_station_dead_letters_total",
    "Records whose step raised and that were set aside.",
    ["station"],
    registry=REGISTRY,
)
CLOCK = Gauge(
    "tillstream_station_clock_seconds",
    "The last boundary done, by partition, as seconds since 1970: time in the log.",
    ["station", "partition"],
    registry=REGISTRY,
)
FRESHNESS = Gauge(
    "tillstream_station_freshness_seconds",
    "Wall clock minus clock, by partition: how far time in the log lags behind (live namespaces).",
    ["station", "partition"],
    registry=REGISTRY,
)
WAITING = Gauge(
    "tillstream_station_waiting_records",
    "Records that are read and wait for their turn, by partition.",
    ["station", "partition"],
    registry=REGISTRY,
)
DISBELIEVED = Gauge(
    "tillstream_station_disbelieved_ticks",
    "Ticks too far from the worker's watch: somebody's clock was set, and time is held.",
    ["station", "partition"],
    registry=REGISTRY,
)
TIMELINE_ROWS = Counter(
    "tillstream_timeline_rows_total",
    "Rows inserted into the database, by table.",
    ["table"],
    registry=REGISTRY,
)
TIMELINE_RETRIES = Counter(
    "tillstream_timeline_retries_total",
    "Inserts that the database did not take and that were tried again.",
    registry=REGISTRY,
)
TIMELINE_WAITING = Gauge(
    "tillstream_timeline_waiting_records",
    "Records that are read and not yet in the database.",
    registry=REGISTRY,
)
TIMELINE_FRESHNESS = Gauge(
    "tillstream_timeline_freshness_seconds",
    "Wall clock minus the clock of what has been read: how far the reports lag (live namespaces).",
    registry=REGISTRY,
)
SENDER_SETTLED = Counter(
    "tillstream_sender_settled_total",
    "Commands settled: delivered, expired, suppressed, failed, by channel. Once each: one that is "
    "put off counts when it is settled.",
    ["channel", "state"],
    registry=REGISTRY,
)
SENDER_REPEATS = Counter(
    "tillstream_sender_repeats_total",
    "Commands read again that the ledger knew.",
    registry=REGISTRY,
)
SENDER_ASIDE = Gauge(
    "tillstream_sender_aside_commands",
    "Commands that their receiver put off and that will be tried again.",
    registry=REGISTRY,
)
SENDER_FRESHNESS = Gauge(
    "tillstream_sender_freshness_seconds",
    "Wall clock minus the clock of `consent` as read: how far the last look lags (live).",
    registry=REGISTRY,
)


class Metrics:
    """What one station counts."""

    def __init__(self, station: str) -> None:
        self._station = station
        self._steps = STEPS.labels(station)
        self._transactions = TRANSACTIONS.labels(station)
        self._dead_letters = DEAD_LETTERS.labels(station)

    def worked(self, partition: int, work: Work) -> None:
        """Note a transaction that was committed."""
        self._steps.inc(work.steps)
        self._transactions.inc()
        if work.failures:
            self._dead_letters.inc(work.failures)
        if work.clock is not None:
            CLOCK.labels(self._station, str(partition)).set(work.clock / 1000)
        counts: dict[str, int] = {}
        for write in work.writes:
            counts[write.topic] = counts.get(write.topic, 0) + 1
        for topic, count in counts.items():
            OUTPUTS.labels(self._station, topic).inc(count)
