-- Holds that ended long ago are found to be forgotten, however many orders there are.
CREATE INDEX holds_by_end ON orders (expires_at, created_at) WHERE expires_at IS NOT NULL;

-- The changes of one model, however rare they are in the log.
CREATE INDEX admin_log_of_a_model ON admin_log (model, id);
