-- Takes one run that is due, or whose owner has said nothing for too long.
-- $1 jobs, $2 owner, $3 seconds of the lease.
WITH free AS MATERIALIZED (
    SELECT r.job, r.slot
    FROM jobs.runs AS r
    WHERE r.job = ANY ($1)
      AND r.state IN ('due', 'running')
      AND (
          r.state = 'running' AND r.lease_until <= clock_timestamp()
          -- In the order of the slots; what somebody has asked for stands beside it.
          OR r.state = 'due' AND r.next_try_at <= clock_timestamp() AND NOT EXISTS (
              SELECT
              FROM jobs.runs AS other
              WHERE other.job = r.job
                AND (other.state = 'running' OR other.state = 'due' AND other.slot < r.slot AND NOT other.manual AND NOT r.manual)
          )
      )
    ORDER BY r.slot
    LIMIT 1
    FOR UPDATE OF r SKIP LOCKED
)
UPDATE jobs.runs AS mine
SET state = 'running',
    epoch = mine.epoch + 1,
    attempts = mine.attempts + 1,
    next_try_at = NULL,
    owner = $2,
    lease_until = clock_timestamp() + make_interval(secs => $3),
    started_at = clock_timestamp()
FROM free
WHERE mine.job = free.job AND mine.slot = free.slot
RETURNING mine.job, mine.slot, mine.epoch, mine.attempts
