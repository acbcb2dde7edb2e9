-- Replies to requests with an Idempotency-Key, written in the same transaction as the request's changes. The key
-- columns are a hash of user, method, path and key; the payload's hash tells a repeated request from a reused key.
CREATE TABLE idempotency_keys (
    key_high   INTEGER NOT NULL,
    key_low    INTEGER NOT NULL,
    payload    INTEGER NOT NULL,
    reply      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT one_reply_per_key PRIMARY KEY (key_high, key_low)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
