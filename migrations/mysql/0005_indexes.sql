-- Finds holds that ended long ago, so that they can be deleted quickly however many orders there are.
ALTER TABLE orders ADD KEY holds_by_end (expires_at, created_at);

-- Finds the log entries of one model quickly, however rare they are.
ALTER TABLE admin_log ADD KEY admin_log_of_a_model (model, id);
