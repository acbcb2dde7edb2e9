-- Holds that ended long ago are found to be forgotten, however many orders there are.
ALTER TABLE orders ADD KEY holds_by_end (expires_at, created_at);

-- The changes of one model, however rare they are in the log.
ALTER TABLE admin_log ADD KEY admin_log_of_a_model (model, id);
