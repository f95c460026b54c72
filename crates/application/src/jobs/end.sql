-- Records what becomes of a run that is held under an epoch; no row if it is not.
-- $1 job, $2 slot, $3 epoch, $4 state, $5 seconds until the next attempt, $6 outcome, $7 whether that
-- settles what was parked before, $8 how many attempts do not count.
WITH ended AS (
    UPDATE jobs.runs AS r
    SET state = $4,
        attempts = r.attempts - $8,
        next_try_at = clock_timestamp() + make_interval(secs => $5),
        lease_until = NULL,
        finished_at = CASE WHEN $4 <> 'due' THEN clock_timestamp() END,
        outcome = $6
    WHERE r.job = $1 AND r.slot = $2 AND r.epoch = $3 AND r.state = 'running'
    RETURNING r.job
),
settled AS (
    UPDATE jobs.runs AS r
    SET state = 'skipped', outcome = concat_ws(': ', 'a later one was done', r.outcome)
    FROM ended AS e
    WHERE $7 AND r.job = e.job AND r.state = 'parked' AND r.slot < $2
),
told AS (
    SELECT pg_notify('jobs_changed', '') FROM ended WHERE $4 = 'due' AND $5 = 0
)
SELECT e.job FROM ended AS e LEFT JOIN told ON true
