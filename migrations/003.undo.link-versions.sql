-- Versions of links count from 1 for each row again.
CREATE OR REPLACE FUNCTION links_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := OLD.version + 1;
  NEW.updated_at := now();
  RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION links_notify() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  link links;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM pg_notify('hop_links', '*');
    RETURN NULL;
  END IF;
  IF TG_OP = 'DELETE' THEN link := OLD; ELSE link := NEW; END IF;
  PERFORM pg_notify('hop_links', concat_ws(' ', link.domain_id, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, link.code));
  IF TG_OP = 'UPDATE' AND (OLD.domain_id, OLD.code) IS DISTINCT FROM (NEW.domain_id, NEW.code) THEN
    PERFORM pg_notify('hop_links', concat_ws(' ', OLD.domain_id, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, OLD.code));
  END IF;
  RETURN NULL;
END $$;

COMMENT ON COLUMN links.version IS 'grows by one with every change; caches never put an older version over a newer one';
ALTER TABLE links ALTER version SET DEFAULT 1;
DROP SEQUENCE link_versions;
