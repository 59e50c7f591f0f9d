-- Every word about what an address may receive, as senders read it in `consent`. The topic keeps
-- the newest of each address; here all are kept, so that any instant of the past can be asked for.
-- A word is recognised by its address, when it was decided, and what caused it.
CREATE TABLE IF NOT EXISTS consent_words
(
    store LowCardinality(String),
    kind LowCardinality(String),
    address String CODEC(ZSTD(1)),
    channels String CODEC(ZSTD(1)),
    suppressed String CODEC(ZSTD(1)),
    details String CODEC(ZSTD(1)),
    decided_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    cause String CODEC(ZSTD(1)),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(kafka_offset)
ORDER BY (store, kind, address, decided_at, cause)
SETTINGS non_replicated_deduplication_window = 10000;
