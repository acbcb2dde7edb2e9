-- The replies of requests that carried an Idempotency-Key, written in the transaction of what they did. The key columns
-- are a hash over user, method, path and key; the payload's hash tells a repeat from a misuse.
CREATE TABLE idempotency_keys (
    key_high   INTEGER NOT NULL,
    key_low    INTEGER NOT NULL,
    payload    INTEGER NOT NULL,
    reply      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT one_reply_per_key PRIMARY KEY (key_high, key_low)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
