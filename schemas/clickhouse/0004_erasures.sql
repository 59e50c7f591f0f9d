-- Who was erased, by all ids they had: whatever comes in under one of them later goes at once.
-- Keyed hashes alone; no identifier.
CREATE TABLE IF NOT EXISTS erasures
(
    id String CODEC(ZSTD(1)),
    store LowCardinality(String),
    request String CODEC(ZSTD(1)),
    outcome LowCardinality(String),
    profile_ids Array(String),
    decided_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(kafka_offset)
ORDER BY (store, id)
SETTINGS non_replicated_deduplication_window = 10000;
