-- Holds that ended long ago are found to be forgotten, however many orders there are.
CREATE INDEX holds_by_end ON orders (expires_at) WHERE expires_at IS NOT NULL;
