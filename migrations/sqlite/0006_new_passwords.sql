-- The second from which an account's tokens are good: a new password ends those that were made before it.
ALTER TABLE users ADD COLUMN tokens_valid_from INTEGER NOT NULL DEFAULT 0;
