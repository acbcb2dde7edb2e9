-- Programs before 0009 name these indexes, so this waits until none of them runs. Each booking is written faster without
-- the first; the others have successors in 0009.
DROP INDEX bookings_of_a_user_by_show;
DROP INDEX holds_of_a_user;
DROP INDEX holds_of_a_show;
