-- Finds holds that ended long ago, so that they can be deleted quickly however many orders there are.
CREATE INDEX holds_by_end ON orders (expires_at, created_at) WHERE expires_at IS NOT NULL;

-- Finds the log entries of one model quickly, however rare they are.
CREATE INDEX admin_log_of_a_model ON admin_log (model, id);
