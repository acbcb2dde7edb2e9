-- Programs before 0009 name these indexes, so this waits until none of them runs. Each booking is written faster without
-- the first; holds are found by holds_by_user and holds_by_end.
DROP INDEX bookings_of_a_user_by_show;
DROP INDEX holds_of_a_user;
DROP INDEX holds_of_a_show;
