-- Profiles that were connected but must not be joined, and identifiers that too many share.
CREATE TABLE IF NOT EXISTS identity_conflicts
(
    id String CODEC(ZSTD(1)),
    store LowCardinality(String),
    profiles Array(String) CODEC(ZSTD(1)),
    external_ids Array(String) CODEC(ZSTD(1)),
    reason LowCardinality(String),
    decided_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    because String CODEC(ZSTD(1)),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(kafka_offset)
ORDER BY (store, id)
SETTINGS non_replicated_deduplication_window = 10000;
