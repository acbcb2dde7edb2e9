-- The second from which an account's tokens are valid: a new password invalidates tokens issued before it.
ALTER TABLE users ADD COLUMN tokens_valid_from BIGINT NOT NULL DEFAULT 0;
