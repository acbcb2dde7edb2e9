-- Earlier programs name these indexes, so this waits until none of them runs. holds_by_show replaces both.
ALTER TABLE orders DROP KEY holds_by_user, DROP KEY holds_by_end;
