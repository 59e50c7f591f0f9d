-- Which events moved to another profile at a split, and from where: also of those that were erased
-- there, or have moved on, since. So a row that comes in later for whom it was before goes at once.
-- `event` is a hash, for nothing of somebody erased may be left.
CREATE TABLE IF NOT EXISTS moves
(
    store LowCardinality(String),
    moved_from String CODEC(ZSTD(1)),
    event UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (store, moved_from, event);

CREATE MATERIALIZED VIEW IF NOT EXISTS moves_mv TO moves AS
SELECT store, moved_from, cityHash64(metric, event_id, origin) AS event
FROM events WHERE moved_from != '';

INSERT INTO moves
SELECT store, moved_from, cityHash64(metric, event_id, origin) FROM events WHERE moved_from != '';
