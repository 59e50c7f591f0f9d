-- Profile ids in old rows are corrected when they are read, never rewritten. Nothing here sums as
-- rows come in: an insert that is done again would stay in such a sum for good.

-- Every profile that was merged away, and the one it is part of now (through any chain).
CREATE OR REPLACE VIEW redirects AS
WITH RECURSIVE chain AS
(
    SELECT store, loser, winner, toUInt32(1) AS depth FROM identity_merges FINAL
    UNION ALL
    SELECT c.store, c.loser, m.winner, c.depth + 1
    FROM chain AS c INNER JOIN identity_merges AS m ON m.store = c.store AND m.loser = c.winner
    WHERE c.depth < 1000
)
SELECT store, loser AS profile_id, argMax(winner, depth) AS united_id
FROM chain
GROUP BY store, loser;

-- Events by the person they belong to now; only then one row per (metric, event id), the first
-- that was received: two profiles that both had an event and became one have it once.
CREATE OR REPLACE VIEW united_events AS
SELECT
    e.store AS store,
    if(r.united_id = '', e.profile_id, r.united_id) AS profile_id,
    e.metric AS metric,
    e.event_id AS event_id,
    argMin(e.occurred_at, e.origin) AS occurred_at,
    argMin(e.received_at, e.origin) AS received_at,
    argMin(tuple(e.value_micros), e.origin).1 AS value_micros,
    argMin(e.currency, e.origin) AS currency,
    argMin(e.send_id, e.origin) AS send_id,
    argMin(e.properties, e.origin) AS properties
FROM (SELECT *, send_id FROM events FINAL) AS e
LEFT JOIN redirects AS r ON r.store = e.store AND r.profile_id = e.profile_id
GROUP BY store, profile_id, metric, event_id;

-- Sends by the person they belong to now.
CREATE OR REPLACE VIEW united_sends AS
SELECT
    s.store AS store,
    if(r.united_id = '', s.profile_id, r.united_id) AS profile_id,
    s.* EXCEPT (store, profile_id)
FROM (SELECT * FROM sends FINAL) AS s
LEFT JOIN redirects AS r ON r.store = s.store AND r.profile_id = s.profile_id;
