-- Holds that ended long ago are found to be forgotten, however many orders there are.
ALTER TABLE orders ADD KEY holds_by_end (expires_at);
