-- One table per public topic that tells what happened. All are replacing merge trees ordered by
-- the id: a row that was inserted twice is one row under FINAL. The token of an insert (topic,
-- partition, offsets) is remembered for the last 10000 inserts, so an insert that is done again
-- adds nothing in the first place. '' means none.
--
-- Money is an Int64 count of millionths: exact, over the whole range that ingest accepts (a
-- Decimal(18, 6) ends at 1e12). Sums are made as Int128.
-- JSON stays text, byte for byte as it travelled: the JSON type would turn 39.80 into a float,
-- costs a column per path a store invents, and the sink would have to take it apart.
-- kafka_offset is the version: of two rows of one id the later one stays.

-- An id belongs to a store and a metric: order-1 may be placed and shipped at one instant. The
-- origin is part of the key, so that of an event that the store pushed again long after, both rows
-- stay, and the first that was received counts (united_events).
CREATE TABLE IF NOT EXISTS events
(
    store LowCardinality(String),
    profile_id String CODEC(ZSTD(1)),
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    metric LowCardinality(String),
    event_id String CODEC(ZSTD(1)),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    origin Array(Int64) CODEC(ZSTD(1)),
    trust LowCardinality(String),
    source LowCardinality(String),
    backfill Bool,
    identifiers String CODEC(ZSTD(1)),
    traits String CODEC(ZSTD(1)),
    properties String CODEC(ZSTD(1)),
    value_micros Nullable(Int64) CODEC(ZSTD(1)),
    currency LowCardinality(String),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta, ZSTD(1)),
    -- an outcome names its send; else flow or campaign, and message (docs/attribution.md)
    send_id String MATERIALIZED JSONExtractString(properties, 'send_id') CODEC(ZSTD(1)),
    value Nullable(Decimal(38, 6)) ALIAS CAST(value_micros, 'Nullable(Decimal(38, 6))') / 1000000,
    INDEX by_send send_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_event event_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(kafka_offset)
PARTITION BY toYear(occurred_at)
ORDER BY (store, profile_id, occurred_at, metric, event_id, origin)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS segment_changes
(
    id String CODEC(ZSTD(1)),
    store LowCardinality(String),
    profile_id String CODEC(ZSTD(1)),
    segment LowCardinality(String),
    change LowCardinality(String),
    at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    decided_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    evidence String CODEC(ZSTD(1)),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(kafka_offset)
ORDER BY (store, profile_id, at, id)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS flow_triggers
(
    id String CODEC(ZSTD(1)),
    store LowCardinality(String),
    profile_id String CODEC(ZSTD(1)),
    flow LowCardinality(String),
    version LowCardinality(String),
    trigger LowCardinality(String),
    trigger_event_id String CODEC(ZSTD(1)),
    started_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    decided_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(kafka_offset)
ORDER BY (store, profile_id, started_at, id)
SETTINGS non_replicated_deduplication_window = 10000;

-- What was commanded, without the unsubscribe token: it opens a door and no report needs it.
CREATE TABLE IF NOT EXISTS sends
(
    id String CODEC(ZSTD(1)),
    store LowCardinality(String),
    profile_id String CODEC(ZSTD(1)),
    channel LowCardinality(String),
    address String CODEC(ZSTD(1)),
    template LowCardinality(String),
    flow LowCardinality(String),
    flow_run_id String CODEC(ZSTD(1)),
    campaign LowCardinality(String),
    message LowCardinality(String),
    variant LowCardinality(String),
    subject String CODEC(ZSTD(1)),
    attempt UInt16,
    transactional Bool,
    context String CODEC(ZSTD(1)),
    decided_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    valid_until DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta, ZSTD(1)),
    INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(kafka_offset)
ORDER BY (store, profile_id, decided_at, id)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS send_decisions
(
    id String CODEC(ZSTD(1)),
    store LowCardinality(String),
    profile_id String CODEC(ZSTD(1)),
    flow LowCardinality(String),
    flow_run_id String CODEC(ZSTD(1)),
    message LowCardinality(String),
    channel LowCardinality(String),
    outcome LowCardinality(String),
    reason LowCardinality(String),
    reasons Array(LowCardinality(String)),
    send_id String CODEC(ZSTD(1)),
    until Nullable(DateTime64(3, 'UTC')),
    trigger_event_id String CODEC(ZSTD(1)),
    decided_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    evidence String CODEC(ZSTD(1)),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta, ZSTD(1)),
    INDEX by_send send_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(kafka_offset)
ORDER BY (store, profile_id, decided_at, id)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS identity_merges
(
    id String CODEC(ZSTD(1)),
    store LowCardinality(String),
    winner String CODEC(ZSTD(1)),
    loser String CODEC(ZSTD(1)),
    decided_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(kafka_offset)
ORDER BY (store, loser, winner, id)
SETTINGS non_replicated_deduplication_window = 10000;
