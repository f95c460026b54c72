-- Enters the slots of a job after one moment and up to another, unless somebody else has moved on.
-- $1 job, $2 from, $3 up to, $4 how many that wait may go on waiting, $5 slots, $6 of each why it is not
-- run or NULL, $7 whether attempts are handed on.
WITH moved AS (
    UPDATE jobs.plans
    SET upto = $3
    WHERE job = $1 AND upto = $2
    RETURNING job
),
waiting AS (
    SELECT r.slot, r.attempts, r.next_try_at, row_number() OVER (ORDER BY r.slot DESC) AS place
    FROM jobs.runs AS r
    JOIN moved AS m ON m.job = r.job
    WHERE r.state = 'due' AND NOT r.manual
),
replaced AS (
    UPDATE jobs.runs AS r
    SET state = 'skipped',
        next_try_at = NULL,
        finished_at = clock_timestamp(),
        outcome = concat_ws(': ', 'a later one takes its place', r.outcome)
    FROM waiting AS w
    WHERE r.job = $1 AND r.slot = w.slot AND r.state = 'due' AND w.place > $4
)
INSERT INTO jobs.runs (job, slot, state, attempts, next_try_at, finished_at, outcome)
SELECT $1,
       given.slot,
       CASE WHEN given.why IS NULL THEN 'due' ELSE 'skipped' END,
       CASE WHEN given.why IS NULL AND $7 THEN coalesce((SELECT max(w.attempts) FROM waiting AS w), 0) ELSE 0 END,
       CASE WHEN given.why IS NULL THEN
           greatest(clock_timestamp(), CASE WHEN $7 THEN (SELECT max(w.next_try_at) FROM waiting AS w) END)
       END,
       CASE WHEN given.why IS NOT NULL THEN clock_timestamp() END,
       given.why
FROM unnest($5::timestamptz[], $6::text[]) AS given (slot, why)
CROSS JOIN moved
ON CONFLICT (job, slot) DO NOTHING
