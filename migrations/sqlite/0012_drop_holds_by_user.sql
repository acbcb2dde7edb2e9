-- Earlier programs name these indexes, so this waits until none of them runs. holds_by_show replaces both.
DROP INDEX holds_by_user;
DROP INDEX holds_by_end;
