-- Run it while no hop is running. A row for each batch again, which may be many. How many clicks each had is not known any more, only how many they had together.
SELECT pg_advisory_xact_lock(7465004); -- no merge is under way
LOCK TABLE click_batches, click_ranges IN ACCESS EXCLUSIVE MODE;
DELETE FROM click_batches b USING click_ranges r WHERE b.producer = r.producer AND b.seq BETWEEN r.first AND r.last;
INSERT INTO click_batches (producer, seq, clicks)
SELECT producer, seq, clicks / batches + CASE WHEN seq - first < clicks % batches THEN 1 ELSE 0 END
FROM (SELECT *, last - first + 1 AS batches FROM click_ranges) AS r, generate_series(first, last) AS seq;
DROP TABLE click_ranges;
