-- Background work, and which run of it has the lease. A run that does not extend its lease in time loses it to another
-- instance. Times are in microseconds, durations too.
CREATE TABLE jobs (
    name        TEXT    NOT NULL PRIMARY KEY,
    interval_us INTEGER NOT NULL,
    owner       TEXT,
    lease_until INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    started_at  INTEGER,
    ended_at    INTEGER,
    result      TEXT,
    error       TEXT,
    CONSTRAINT job_result_is_known CHECK (result IN ('done', 'failed'))
) STRICT, WITHOUT ROWID;
