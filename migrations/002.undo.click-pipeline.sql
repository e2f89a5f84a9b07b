-- Clicks with their facts in the row, as before. Run it while no hop is running; what is queued becomes rows first.
CREATE TEMPORARY TABLE expanded ON COMMIT DROP AS
SELECT link_id, at, visitor, profile FROM clicks
UNION ALL
SELECT c.link_id, to_timestamp((q.first_ms + c.after_ms)::float8 / 1000), c.visitor, c.profile
FROM click_queue q, unnest(q.link_ids, q.after_ms, q.visitors, q.profiles) AS c(link_id, after_ms, visitor, profile);

INSERT INTO link_hours (link_id, hour, clicks, bots)
SELECT c.link_id, date_trunc('hour', to_timestamp((q.first_ms + c.after_ms)::float8 / 1000), 'UTC'),
  count(*), count(*) FILTER (WHERE a.bot)
FROM click_queue q, unnest(q.link_ids, q.after_ms, q.profiles) AS c(link_id, after_ms, profile)
  JOIN profiles p ON p.id = c.profile JOIN agents a ON a.id = p.agent
GROUP BY 1, 2
ON CONFLICT (link_id, hour)
DO UPDATE SET clicks = link_hours.clicks + excluded.clicks, bots = link_hours.bots + excluded.bots;

ALTER TABLE click_batches ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY,
  ADD COLUMN first_at timestamptz NOT NULL DEFAULT 'epoch', ADD COLUMN last_at timestamptz NOT NULL DEFAULT 'infinity',
  ADD COLUMN rolled_up boolean NOT NULL DEFAULT true;
ALTER TABLE click_batches ALTER first_at DROP DEFAULT, ALTER last_at DROP DEFAULT, ALTER rolled_up SET DEFAULT false;
CREATE INDEX click_batches_tail_idx ON click_batches (id) WHERE NOT rolled_up;

DROP TABLE clicks, click_queue, rollup_rounds, retired_clicks, link_dims, link_visitors, visitor_hours;
DROP SEQUENCE rollup_round_ids;
DROP TYPE click_dimension;
CREATE TABLE clicks (
  link_id bigint NOT NULL,
  at timestamptz NOT NULL,
  visitor bigint NOT NULL,
  country text NOT NULL,
  referrer text NOT NULL,
  browser text NOT NULL,
  os text NOT NULL,
  device text NOT NULL,
  language text NOT NULL,
  bot boolean NOT NULL,
  batch bigint NOT NULL
) PARTITION BY RANGE (at);
CREATE INDEX clicks_link_at_idx ON clicks (link_id, at);
CREATE INDEX clicks_batch_idx ON clicks (batch);
CREATE TABLE clicks_other PARTITION OF clicks DEFAULT;
-- Which batch a row came in is no longer known; all of them are in the totals, so nothing asks.
INSERT INTO clicks
SELECT e.link_id, e.at, e.visitor, p.country, p.referrer, a.browser, a.os, a.device, p.language, a.bot, 0
FROM expanded e JOIN profiles p ON p.id = e.profile JOIN agents a ON a.id = p.agent;
DROP TABLE profiles, agents;
