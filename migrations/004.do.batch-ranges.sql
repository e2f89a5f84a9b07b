-- Batches that were stored a while ago become ranges of numbers: one row for as many as followed one another.
CREATE TABLE click_ranges (
  producer uuid NOT NULL,
  first bigint NOT NULL CHECK (first > 0),
  last bigint NOT NULL CHECK (last >= first),
  clicks bigint NOT NULL CHECK (clicks > last - first),
  -- By the last number: a batch that is new is above all ranges of its producer, and finds none to look at.
  PRIMARY KEY (producer, last)
);
COMMENT ON TABLE click_ranges IS 'batches first to last are stored; rows that click_batches still has of them do not count';
