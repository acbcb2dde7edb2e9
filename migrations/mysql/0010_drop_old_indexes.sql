-- Programs before 0009 name these indexes, so this waits until none of them runs. Each booking is written faster without
-- them; holds are found by holds_by_user and holds_by_end. The bookings, which every order has, refer to its user and its
-- show already.
ALTER TABLE bookings DROP KEY bookings_of_a_user_by_show;

ALTER TABLE orders
    DROP KEY holds_of_a_user,
    DROP KEY holds_of_a_show,
    DROP FOREIGN KEY orders_have_a_show,
    DROP FOREIGN KEY orders_have_a_user;
