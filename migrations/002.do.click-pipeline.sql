-- Clicks are queued as they came and become rows in sets; what many clicks share is stored once; statistics read rollups only.

-- A User-Agent header without its numbers, and what the rules made of it: kept, so that better rules can judge it again.
CREATE TABLE agents (
  id bigint PRIMARY KEY,
  text text,
  browser text NOT NULL,
  os text NOT NULL,
  device text NOT NULL,
  bot boolean NOT NULL,
  rules text NOT NULL
);
COMMENT ON COLUMN agents.text IS 'NULL for headers from before they were kept';
COMMENT ON COLUMN agents.rules IS 'version of the rules that judged it';

-- What clicks of one kind share.
CREATE TABLE profiles (
  id bigint PRIMARY KEY,
  country text NOT NULL,
  referrer text NOT NULL,
  language text NOT NULL,
  agent bigint NOT NULL
);

-- Clicks that are durable and not rows yet, a batch each: one short row is all that a redirect waits for.
CREATE TABLE click_queue (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  clicks integer NOT NULL,
  first_ms bigint NOT NULL,
  last_ms bigint NOT NULL,
  stored_at timestamptz NOT NULL DEFAULT now(),
  link_ids bigint[] NOT NULL,
  after_ms bigint[] NOT NULL,
  visitors bigint[] NOT NULL,
  profiles bigint[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
COMMENT ON COLUMN click_queue.first_ms IS 'with last_ms: which days hold its clicks; after_ms counts from first_ms';
-- The arrays are read once and deleted: compressing them would be work for nothing.
ALTER TABLE click_queue ALTER link_ids SET STORAGE EXTERNAL, ALTER after_ms SET STORAGE EXTERNAL,
  ALTER visitors SET STORAGE EXTERNAL, ALTER profiles SET STORAGE EXTERNAL;

-- A set of batches that became rows together, until their dimensions are rolled up.
CREATE TABLE rollup_rounds (
  id bigint PRIMARY KEY,
  clicks bigint NOT NULL,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL,
  stored_at timestamptz NOT NULL
);
COMMENT ON COLUMN rollup_rounds.stored_at IS 'when the oldest of its batches was stored';
CREATE SEQUENCE rollup_round_ids;

ALTER TABLE clicks RENAME TO clicks_before;
ALTER TABLE clicks_other RENAME TO clicks_before_other;
ALTER INDEX clicks_batch_idx RENAME TO clicks_before_batch_idx;
DO $$
DECLARE partition record;
BEGIN
  FOR partition IN SELECT inhrelid::regclass::text AS name FROM pg_inherits
    WHERE inhparent = 'clicks_before'::regclass AND inhrelid::regclass::text <> 'clicks_before_other'
  LOOP
    EXECUTE format('ALTER TABLE %I RENAME TO %I', partition.name, replace(partition.name, 'clicks_', 'clicks_before_'));
  END LOOP;
END $$;

-- No address is kept. visitor is a hash whose salt is deleted after two days (see visitor_salts).
CREATE TABLE clicks (
  link_id bigint NOT NULL,
  at timestamptz NOT NULL,
  visitor bigint NOT NULL,
  profile bigint NOT NULL,
  round bigint NOT NULL
) PARTITION BY RANGE (at);
COMMENT ON COLUMN clicks.round IS 'grows with every set of clicks, so that a range of it is what came since';
CREATE INDEX clicks_round_idx ON clicks USING brin (round) WITH (autosummarize = on);
CREATE TABLE clicks_other PARTITION OF clicks DEFAULT;
COMMENT ON TABLE clicks_other IS 'clicks of days that have no partition: late ones, or when creating ahead failed';

-- Clicks whose partitions were dropped; the totals still count them.
CREATE TABLE retired_clicks (
  day date PRIMARY KEY,
  clicks bigint NOT NULL
);

CREATE TYPE click_dimension AS ENUM ('country', 'referrer', 'browser', 'os', 'device', 'language');
CREATE TABLE link_dims (
  link_id bigint NOT NULL,
  day date NOT NULL,
  dimension click_dimension NOT NULL,
  value text COLLATE "C" NOT NULL,
  clicks bigint NOT NULL,
  bots bigint NOT NULL,
  PRIMARY KEY (link_id, dimension, day, value)
) WITH (fillfactor = 70);

-- Who came on which day, and the hour in which each was first seen. Partitioned and dropped like clicks.
CREATE TABLE link_visitors (
  link_id bigint NOT NULL,
  day date NOT NULL,
  visitor bigint NOT NULL,
  PRIMARY KEY (link_id, day, visitor)
) PARTITION BY RANGE (day);
CREATE TABLE link_visitors_other PARTITION OF link_visitors DEFAULT;
CREATE TABLE visitor_hours (
  link_id bigint NOT NULL,
  hour timestamptz NOT NULL,
  visitors bigint NOT NULL,
  bots bigint NOT NULL,
  PRIMARY KEY (link_id, hour)
) WITH (fillfactor = 70);
COMMENT ON TABLE visitor_hours IS 'visitors by the hour in which they were first seen that day: hours add up to days';

-- What was stored before: batches that were not in the totals are added to them, and all rows become one round.
INSERT INTO link_hours (link_id, hour, clicks, bots)
SELECT link_id, date_trunc('hour', at, 'UTC'), count(*), count(*) FILTER (WHERE bot)
FROM clicks_before WHERE batch IN (SELECT id FROM click_batches WHERE NOT rolled_up) GROUP BY 1, 2
ON CONFLICT (link_id, hour)
DO UPDATE SET clicks = link_hours.clicks + excluded.clicks, bots = link_hours.bots + excluded.bots;
CREATE TEMPORARY TABLE converted ON COMMIT DROP AS
SELECT c.*, hashtextextended(a.key, 1) AS agent, hashtextextended(concat_ws(chr(10), a.key, country, referrer, language), 2) AS profile
FROM clicks_before c, LATERAL (SELECT concat_ws(chr(10), browser, os, device, bot) AS key) AS a;
INSERT INTO agents (id, browser, os, device, bot, rules)
SELECT DISTINCT agent, browser, os, device, bot, 'before' FROM converted;
INSERT INTO profiles (id, country, referrer, language, agent)
SELECT DISTINCT profile, country, referrer, language, agent FROM converted;
INSERT INTO rollup_rounds (id, clicks, first_at, last_at, stored_at)
SELECT nextval('rollup_round_ids'), count(*), min(at), max(at), now() FROM converted HAVING count(*) > 0;
INSERT INTO clicks (link_id, at, visitor, profile, round)
SELECT link_id, at, visitor, profile, currval('rollup_round_ids') FROM converted;

DROP TABLE clicks_before;
DROP INDEX click_batches_tail_idx;
ALTER TABLE click_batches DROP COLUMN id, DROP COLUMN first_at, DROP COLUMN last_at, DROP COLUMN rolled_up;
