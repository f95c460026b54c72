-- The ledger of jobs: which run is due, who works on it, what came of it; and what one of the jobs needs,
-- a way to forget records of commands. Why it is so: docs/adr/0018-jobs.md.
CREATE SCHEMA jobs;
COMMENT ON SCHEMA jobs IS 'Jobs that are due at times, and what came of each run';

CREATE TABLE jobs.plans (
    job  text        COLLATE "C" NOT NULL PRIMARY KEY,
    upto timestamptz NOT NULL
);
COMMENT ON TABLE jobs.plans IS 'Up to when the slots of each job are in the ledger';
COMMENT ON COLUMN jobs.plans.upto IS 'When the job was first seen, at the beginning: it has missed nothing before';

CREATE TABLE jobs.runs (
    job         text        COLLATE "C" NOT NULL,
    slot        timestamptz NOT NULL,
    manual      boolean     NOT NULL DEFAULT false,
    state       text        NOT NULL CHECK (state IN ('due', 'running', 'done', 'parked', 'skipped')),
    attempts    integer     NOT NULL DEFAULT 0,
    next_try_at timestamptz,
    epoch       bigint      NOT NULL DEFAULT 0,
    owner       text,
    lease_until timestamptz,
    started_at  timestamptz,
    finished_at timestamptz,
    outcome     text,
    PRIMARY KEY (job, slot),
    CHECK ((state = 'due') = (next_try_at IS NOT NULL)),
    CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CHECK ((state IN ('done', 'parked', 'skipped')) = (finished_at IS NOT NULL))
);
CREATE UNIQUE INDEX runs_running_key ON jobs.runs (job) WHERE state = 'running';
CREATE INDEX runs_open ON jobs.runs (job, slot) WHERE state IN ('due', 'running');
CREATE INDEX runs_parked ON jobs.runs (job, slot) WHERE state = 'parked';
COMMENT ON TABLE jobs.runs IS 'The ledger: a row for each slot of each job, so that any number of processes run it once';
COMMENT ON COLUMN jobs.runs.slot IS 'The moment it is due by the schedule; of a manual run, when it was asked for';
COMMENT ON COLUMN jobs.runs.state IS 'due: to be run; running: somebody holds it; done; parked: not tried again until somebody says so; skipped: never to be run';
COMMENT ON COLUMN jobs.runs.attempts IS 'Counted at the start of each, so that one that ends the process is counted too';
COMMENT ON COLUMN jobs.runs.next_try_at IS 'When it may be tried, by the clock of the database';
COMMENT ON COLUMN jobs.runs.epoch IS 'Counts owners: every write of a run names the epoch it was taken under, so a late owner writes nothing';
COMMENT ON COLUMN jobs.runs.owner IS 'The process that holds it, or held it last';
COMMENT ON COLUMN jobs.runs.lease_until IS 'Until when the owner is left alone';
COMMENT ON COLUMN jobs.runs.outcome IS 'What it did, why it failed, or why it is skipped';
COMMENT ON INDEX jobs.runs_running_key IS 'No job runs twice at once';

CREATE TABLE jobs.interventions (
    id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor  text        NOT NULL,
    action text        NOT NULL CHECK (action IN ('run', 'retry', 'skip')),
    job    text        COLLATE "C" NOT NULL,
    slot   timestamptz NOT NULL,
    reason text        CHECK (action <> 'skip' OR reason IS NOT NULL)
);
COMMENT ON TABLE jobs.interventions IS 'What people did to runs, and why';
CREATE FUNCTION jobs.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was done stays recorded: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON jobs.interventions
    FOR EACH STATEMENT EXECUTE FUNCTION jobs.refuse_change();

ALTER TABLE eventstore.log ADD COLUMN commands_floor bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN eventstore.log.commands_floor IS 'The records of commands whose events are up to here are forgotten';

-- Forgets records of commands that took effect longer ago than `keep`, at most those of so many more
-- positions. The log says which they are: an index by time would be one more for each append to write.
CREATE FUNCTION eventstore.forget_commands(keep interval, positions integer, OUT forgotten bigint, OUT are_more boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog
-- How many positions there are decides on the plan, and is not the same each time.
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    before timestamptz := clock_timestamp() - keep;
    floor  bigint;
    last   bigint;
    upto   bigint;
    old    uuid[];
BEGIN
    IF keep < interval '1 day' THEN
        RAISE EXCEPTION 'commands are remembered for a day at least, not for %', keep
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT l.commands_floor INTO floor FROM eventstore.log AS l;
    last := eventstore.position_at(before);
    upto := greatest(floor, least(floor + positions, last));
    SELECT array_agg(DISTINCT e.command_id) INTO old
    FROM eventstore.events AS e
    WHERE e.position > floor AND e.position <= upto;
    -- Those without events are few and have an index of their own.
    old := old || ARRAY(
        SELECT c.command_id
        FROM eventstore.commands AS c
        WHERE c.first_position > c.last_position AND c.last_position <= upto AND c.recorded_at < before
        ORDER BY c.last_position
        LIMIT positions
    );
    -- They are old, and lie on the disk: they are read before anybody has to wait.
    PERFORM count(c.fingerprint) FROM eventstore.commands AS c WHERE c.command_id = ANY (old) AND c.recorded_at < before;
    -- An append looks twice at what it finds here; and no more than this is done while it waits.
    PERFORM pg_advisory_xact_lock(107126926175347);
    -- An id that was given again when it was forgotten has a younger record.
    DELETE FROM eventstore.commands AS c WHERE c.command_id = ANY (old) AND c.recorded_at < before;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    IF upto > floor THEN
        UPDATE eventstore.log AS l SET commands_floor = greatest(l.commands_floor, upto);
    END IF;
    are_more := upto < last OR forgotten >= positions;
END
$$;
REVOKE EXECUTE ON FUNCTION eventstore.forget_commands FROM PUBLIC;
COMMENT ON FUNCTION eventstore.forget_commands IS 'Forgets records of old commands: their ids are as good as new then';
