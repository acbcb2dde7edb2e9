-- Replies to requests with an Idempotency-Key, written in the same transaction as the request's changes. The key
-- columns are a hash of user, method, path and key; the payload's hash tells a repeated request from a reused key.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    key_high   BIGINT NOT NULL,
    key_low    BIGINT NOT NULL,
    payload    BIGINT NOT NULL,
    reply      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (key_high, key_low),
    KEY idempotency_keys_by_age (created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
