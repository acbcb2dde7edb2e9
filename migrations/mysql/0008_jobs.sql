-- Background work, and which run of it has the lease. A run that does not extend its lease in time loses it to another
-- instance. Times are in microseconds, durations too.
CREATE TABLE IF NOT EXISTS jobs (
    name        VARCHAR(50)  NOT NULL PRIMARY KEY,
    interval_us BIGINT       NOT NULL,
    owner       VARCHAR(36),
    lease_until BIGINT       NOT NULL,
    next_at     BIGINT       NOT NULL,
    started_at  BIGINT,
    ended_at    BIGINT,
    result      VARCHAR(10),
    error       VARCHAR(500),
    CONSTRAINT job_result_is_known CHECK (result IN ('done', 'failed'))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
