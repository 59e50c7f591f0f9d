-- What traits_once said belongs to an event too: a profile that is told again needs it.
ALTER TABLE events ADD COLUMN IF NOT EXISTS traits_once String CODEC(ZSTD(1)) AFTER traits;

-- After a split an event stands under another profile. The row it had before is deleted: it is the
-- one of that profile with the same metric, event id and origin.
ALTER TABLE events ADD COLUMN IF NOT EXISTS moved_from String CODEC(ZSTD(1)) AFTER currency;

-- Who split which identifiers from whom, and why, where the outcome is `split`. An erasure of
-- either profile deletes the row.
CREATE TABLE IF NOT EXISTS identity_splits
(
    id String CODEC(ZSTD(1)),
    store LowCardinality(String),
    split String CODEC(ZSTD(1)),
    outcome LowCardinality(String),
    identifiers String CODEC(ZSTD(1)),
    old String CODEC(ZSTD(1)),
    new String CODEC(ZSTD(1)),
    known_as Array(String),
    author String CODEC(ZSTD(1)),
    reason String CODEC(ZSTD(1)),
    decided_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(kafka_offset)
ORDER BY (store, id)
SETTINGS non_replicated_deduplication_window = 10000;
