-- Versions of links come from one sequence and travel with the message of a change, so that caches can tell older from newer.

-- Not owned by the column: TRUNCATE links RESTART IDENTITY must not make versions small again.
CREATE SEQUENCE link_versions;
SELECT setval('link_versions', (SELECT coalesce(max(version), 0) + 1 FROM links));
ALTER TABLE links ALTER version SET DEFAULT nextval('link_versions');
COMMENT ON COLUMN links.version IS 'grows with every change, and from one link to the next that has the same code; caches never put an older version over a newer one';

CREATE OR REPLACE FUNCTION links_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := nextval('link_versions');
  NEW.updated_at := now();
  RETURN NEW;
END $$;

-- Payload: "domain_id milliseconds_since_epoch code version", sent at commit. A code that has no link any more gets a version
-- too: every row that had it is older, every row that will have it is newer. "*" means every link.
CREATE OR REPLACE FUNCTION links_notify() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  now_ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM pg_notify('hop_links', '*');
    RETURN NULL;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    PERFORM pg_notify('hop_links', concat_ws(' ', NEW.domain_id, now_ms, NEW.code, NEW.version));
  END IF;
  IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND (OLD.domain_id, OLD.code) IS DISTINCT FROM (NEW.domain_id, NEW.code) THEN
    PERFORM pg_notify('hop_links', concat_ws(' ', OLD.domain_id, now_ms, OLD.code, nextval('link_versions')));
  END IF;
  RETURN NULL;
END $$;
