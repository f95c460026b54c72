-- Records what becomes of a run that is held under an epoch; no row if it is not.
-- $1 job, $2 slot, $3 epoch, $4 state, $5 seconds until the next attempt, $6 outcome, $7 whether only the
-- latest slot counts, $8 how many attempts do not count.
WITH later AS (
    SELECT max(r.slot) AS slot
    FROM jobs.runs AS r
    WHERE $4 = 'due' AND $7 AND r.job = $1 AND r.slot > $2 AND r.state = 'due' AND NOT r.manual
      AND NOT EXISTS (SELECT FROM jobs.runs AS mine WHERE mine.job = $1 AND mine.slot = $2 AND mine.manual)
),
ended AS (
    UPDATE jobs.runs AS r
    SET state = CASE WHEN l.slot IS NOT NULL THEN 'skipped' ELSE $4 END,
        attempts = r.attempts - $8,
        next_try_at = CASE WHEN l.slot IS NULL THEN clock_timestamp() + make_interval(secs => $5) END,
        lease_until = NULL,
        finished_at = CASE WHEN l.slot IS NOT NULL OR $4 <> 'due' THEN clock_timestamp() END,
        outcome = CASE WHEN l.slot IS NULL THEN $6 ELSE concat_ws(': ', 'a later one takes its place', $6::text) END
    FROM later AS l
    WHERE r.job = $1 AND r.slot = $2 AND r.epoch = $3 AND r.state = 'running'
    RETURNING r.job, r.attempts
),
handed_on AS (
    UPDATE jobs.runs AS r
    SET attempts = e.attempts, next_try_at = clock_timestamp() + make_interval(secs => $5)
    FROM ended AS e
    CROSS JOIN later AS l
    WHERE r.job = e.job AND r.slot = l.slot AND r.state = 'due'
),
settled AS (
    UPDATE jobs.runs AS r
    SET state = 'skipped', outcome = concat_ws(': ', 'a later one was done', r.outcome)
    FROM ended AS e
    WHERE $4 = 'done' AND $7 AND r.job = e.job AND r.state = 'parked' AND r.slot < $2
),
told AS (
    SELECT pg_notify('jobs_changed', '') FROM ended WHERE $4 = 'due' AND $5 = 0
)
SELECT e.job FROM ended AS e LEFT JOIN told ON true
