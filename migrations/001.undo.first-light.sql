DROP TABLE visitor_salts, link_hours, clicks, click_batches, producers, idempotency_keys, api_keys, links, domains;
DROP FUNCTION links_notify, links_touch;
