-- Who keeps the read models, how far each has come, and what they hold back. The read models
-- themselves are made by the code that fills them: docs/adr/0003-schema-per-projection.md; how they are
-- kept: docs/adr/0016-projections-in-slots.md.
CREATE SCHEMA projections;
COMMENT ON SCHEMA projections IS 'How read models are kept: who does it, how far it came, what is held back';

CREATE TABLE projections.workers (
    id         uuid        NOT NULL PRIMARY KEY,
    name       text        NOT NULL,
    models     text[]      COLLATE "C" NOT NULL,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE projections.workers IS 'Processes that keep read models; each says every now and then that it is there';
COMMENT ON COLUMN projections.workers.name IS 'For people: where it runs';
COMMENT ON COLUMN projections.workers.models IS 'The read models it knows and shares in keeping, for example orders_v1';
COMMENT ON COLUMN projections.workers.expires_at IS 'Until when what it holds is left to it';

CREATE TABLE projections.generations (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model         text        COLLATE "C" NOT NULL,
    state         text        NOT NULL CHECK (state IN ('building', 'built', 'live', 'retired')),
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    live_at       timestamptz,
    conductor     uuid,
    epoch         bigint      NOT NULL DEFAULT 0,
    paused        boolean     NOT NULL DEFAULT false,
    purpose       text        NOT NULL DEFAULT 'replace' CHECK (purpose IN ('replace', 'verify')),
    hold          boolean     NOT NULL DEFAULT false,
    lanes         smallint    NOT NULL DEFAULT 2 CHECK (lanes BETWEEN 1 AND 8),
    slowdown      real        CHECK (slowdown > 1),
    goal          bigint,
    rate          real,
    trouble       text,
    comparison    json
);
CREATE UNIQUE INDEX generations_live_key ON projections.generations (model) WHERE state = 'live';
CREATE UNIQUE INDEX generations_building_key ON projections.generations (model) WHERE state IN ('building', 'built');
COMMENT ON TABLE projections.generations IS 'Each time a read model was made from the log: one is live, one may be in the making, and one that was replaced may be kept';
COMMENT ON COLUMN projections.generations.model IS 'Name and version, for example orders_v1';
COMMENT ON COLUMN projections.generations.conductor IS 'The worker that makes it';
COMMENT ON COLUMN projections.generations.epoch IS 'Counts conductors: what one of an earlier epoch does has no effect';
COMMENT ON COLUMN projections.generations.paused IS 'Whether its making rests';
COMMENT ON COLUMN projections.generations.purpose IS 'replace: to become the live one; verify: only to be compared with it';
COMMENT ON COLUMN projections.generations.hold IS 'Whether it is not to become live by itself when it is made';
COMMENT ON COLUMN projections.generations.lanes IS 'How many connections fill it';
COMMENT ON COLUMN projections.generations.slowdown IS 'How many times slower others may become by its making; NULL if nobody cares';
COMMENT ON COLUMN projections.generations.goal IS 'Where the log ended when its conductor looked last';
COMMENT ON COLUMN projections.generations.rate IS 'Positions a second, as its conductor sees it';
COMMENT ON COLUMN projections.generations.trouble IS 'Why its making does not go on';
COMMENT ON COLUMN projections.generations.comparison IS 'How it differed from the live one at the same position, before it replaced that';

CREATE TABLE projections.slots (
    generation bigint      NOT NULL REFERENCES projections.generations ON DELETE CASCADE,
    slot       smallint    NOT NULL,
    position   bigint      NOT NULL DEFAULT 0,
    epoch      bigint      NOT NULL DEFAULT 0,
    owner      uuid,
    paused     boolean     NOT NULL DEFAULT false,
    parked     integer     NOT NULL DEFAULT 0,
    events     bigint      NOT NULL DEFAULT 0,
    digest     bigint      NOT NULL DEFAULT 0,
    moved_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (generation, slot)
) WITH (fillfactor = 50);
COMMENT ON TABLE projections.slots IS 'A share of the keys of a read model: how far it came, and who may move it';
COMMENT ON COLUMN projections.slots.position IS 'Everything of its keys up to here has taken effect or is parked';
COMMENT ON COLUMN projections.slots.epoch IS 'Counts owners: a move names the epoch it was taken under, so a late owner moves nothing';
COMMENT ON COLUMN projections.slots.owner IS 'The worker that moves it';
COMMENT ON COLUMN projections.slots.parked IS 'How many of its keys are parked';
COMMENT ON COLUMN projections.slots.events IS 'How many events were taken up, parked ones too';
COMMENT ON COLUMN projections.slots.digest IS 'Of the positions of these events, each mixed and all put together by exclusive or: beside their number it shows one that was skipped or doubled';

CREATE TABLE projections.parked_keys (
    generation      bigint      NOT NULL REFERENCES projections.generations ON DELETE CASCADE,
    key             text        COLLATE "C" NOT NULL,
    slot            smallint    NOT NULL,
    attempts        integer     NOT NULL,
    error           text        NOT NULL,
    parked_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (generation, key)
);
COMMENT ON TABLE projections.parked_keys IS 'Keys whose next event could not take effect: all others go on';
COMMENT ON COLUMN projections.parked_keys.error IS 'Why the first of its parked events could not take effect';

CREATE TABLE projections.parked_events (
    generation bigint NOT NULL,
    key        text   COLLATE "C" NOT NULL,
    position   bigint NOT NULL,
    PRIMARY KEY (generation, key, position),
    FOREIGN KEY (generation, key) REFERENCES projections.parked_keys ON DELETE CASCADE
);
COMMENT ON TABLE projections.parked_events IS 'Events of parked keys, which take effect in order once the first one does';

CREATE TABLE projections.digests (
    generation bigint      NOT NULL REFERENCES projections.generations ON DELETE CASCADE,
    slot       smallint    NOT NULL,
    position   bigint      NOT NULL,
    events     bigint      NOT NULL,
    digest     bigint      NOT NULL,
    checked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    difference text,
    PRIMARY KEY (generation, slot)
);
COMMENT ON TABLE projections.digests IS 'What the log says of each slot, counted apart from those who fill the read models';
COMMENT ON COLUMN projections.digests.difference IS 'How the slot differed when it was last compared at the same position; NULL if it did not';

CREATE TABLE projections.interventions (
    id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor    text        NOT NULL,
    action   text        NOT NULL CHECK (action IN
        ('rebuild', 'pause', 'resume', 'cancel', 'switch', 'switch-back', 'discard', 'retry', 'skip')),
    model    text        COLLATE "C" NOT NULL,
    key      text        COLLATE "C",
    position bigint,
    error    text,
    reason   text        CHECK (action <> 'skip' OR reason IS NOT NULL)
);
COMMENT ON TABLE projections.interventions IS 'What people did to read models, and why';
CREATE FUNCTION projections.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was done stays recorded: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON projections.interventions
    FOR EACH STATEMENT EXECUTE FUNCTION projections.refuse_change();

-- One statement of a process, every 0.6 s, for all its read models: says that it is there,
-- takes what nobody holds up to its share, says what it holds, and where the log ends. Slots whose
-- events were looked at and were none are moved along here, so that they cost no statement each.
CREATE FUNCTION projections.attend(
    me uuid, label text, known text[], lease interval,
    seen_generations bigint[], seen_slots smallint[], seen_epochs bigint[], seen_written bigint[], seen_positions bigint[],
    OUT head bigint, OUT held json
)
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $$
DECLARE
    now_at timestamptz := clock_timestamp();
    served record;
BEGIN
    -- What a crash of the server takes of this is said again, or noticed below.
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO projections.workers AS w (id, name, models, expires_at)
    VALUES (me, label, known, now_at + lease)
    ON CONFLICT (id) DO UPDATE SET models = excluded.models, expires_at = excluded.expires_at;
    DELETE FROM projections.workers AS w WHERE w.expires_at < now_at - interval '1 hour';
    -- Rows that are in somebody's hands are left alone: nothing here may wait. A row that is behind what
    -- was written to it was forgotten by a server that crashed: whoever holds it begins again from there.
    UPDATE projections.slots AS s
    SET position = CASE WHEN s.position < seen.written THEN s.position ELSE seen.position END,
        epoch = CASE WHEN s.position < seen.written THEN s.epoch + 1 ELSE s.epoch END,
        moved_at = now_at
    FROM (
        SELECT f.generation, f.slot, given.written, given.position
        FROM unnest(seen_generations, seen_slots, seen_epochs, seen_written, seen_positions)
             AS given (generation, slot, epoch, written, position)
        JOIN projections.slots AS f ON f.generation = given.generation AND f.slot = given.slot
        WHERE f.epoch = given.epoch AND f.owner = me AND NOT f.paused AND f.position < given.position
        ORDER BY f.generation, f.slot
        FOR UPDATE OF f SKIP LOCKED
    ) AS seen
    WHERE s.generation = seen.generation AND s.slot = seen.slot;
    IF EXISTS (
        SELECT 1
        FROM projections.slots AS s
        JOIN projections.generations AS g ON g.id = s.generation AND g.state = 'live' AND g.model = ANY (known)
        WHERE s.owner IS DISTINCT FROM me AND NOT EXISTS (
            SELECT 1 FROM projections.workers AS w WHERE w.id = s.owner AND w.expires_at > now_at)
    ) THEN
        FOR served IN
            SELECT g.id, ceil(count(*) / greatest(1, (
                       SELECT count(*) FROM projections.workers AS w WHERE w.expires_at > now_at AND g.model = ANY (w.models)
                   ))::numeric) - count(*) FILTER (WHERE s.owner = me) AS missing
            FROM projections.generations AS g
            JOIN projections.slots AS s ON s.generation = g.id
            WHERE g.state = 'live' AND g.model = ANY (known)
            GROUP BY g.id
        LOOP
            UPDATE projections.slots AS s
            SET owner = me, epoch = s.epoch + 1
            FROM (
                SELECT f.generation, f.slot
                FROM projections.slots AS f
                WHERE f.generation = served.id AND f.owner IS DISTINCT FROM me AND NOT EXISTS (
                    SELECT 1 FROM projections.workers AS w WHERE w.id = f.owner AND w.expires_at > now_at)
                ORDER BY f.slot
                LIMIT greatest(served.missing, 0)
                FOR UPDATE SKIP LOCKED
            ) AS free
            WHERE s.generation = free.generation AND s.slot = free.slot;
        END LOOP;
    END IF;
    -- A making that nobody conducts is taken up by whoever knows the read model.
    UPDATE projections.generations AS g
    SET conductor = me, epoch = g.epoch + 1
    FROM (
        SELECT f.id
        FROM projections.generations AS f
        WHERE f.state = 'building' AND f.purpose = 'replace' AND f.model = ANY (known) AND f.conductor IS DISTINCT FROM me AND NOT EXISTS (
            SELECT 1 FROM projections.workers AS w WHERE w.id = f.conductor AND w.expires_at > now_at)
        FOR UPDATE SKIP LOCKED
    ) AS free
    WHERE g.id = free.id;
    head := (SELECT max(e.position) FROM eventstore.events AS e);
    held := json_build_object(
        'slots', (
            SELECT coalesce(json_agg(json_build_object(
                'generation', s.generation, 'model', s.model, 'slot', s.slot, 'epoch', s.epoch,
                'position', s.position, 'paused', s.paused, 'surplus', s.place > s.share
            )), '[]')
            FROM (
                SELECT o.*, g.model, g.share, row_number() OVER (PARTITION BY o.generation ORDER BY o.slot) AS place
                FROM (
                    SELECT l.id, l.model, ceil(
                        (SELECT count(*) FROM projections.slots AS a WHERE a.generation = l.id)
                        / greatest(1, (
                            SELECT count(*) FROM projections.workers AS w
                            WHERE w.expires_at > now_at AND l.model = ANY (w.models)
                        ))::numeric
                    ) AS share
                    FROM projections.generations AS l
                    WHERE l.state = 'live' AND l.model = ANY (known)
                ) AS g
                JOIN projections.slots AS o ON o.generation = g.id AND o.owner = me
            ) AS s
        ),
        'makings', (
            SELECT coalesce(json_agg(json_build_object('generation', g.id, 'model', g.model, 'epoch', g.epoch)), '[]')
            FROM projections.generations AS g
            WHERE g.conductor = me AND g.state = 'building'
        )
    );
END
$$;
COMMENT ON FUNCTION projections.attend IS 'What a worker says and asks every 0.6 s: see docs/adr/0016-projections-in-slots.md';
