-- The log, its outbox, claims, command records and the cursors of its followers.
-- Why one function, one lock and no sequence: docs/adr/0001-gapless-log.md and 0002-one-statement-append.md.
CREATE SCHEMA eventstore;
COMMENT ON SCHEMA eventstore IS 'The log of events and everything that commits together with it';

CREATE TABLE eventstore.log (
    id       uuid    PRIMARY KEY DEFAULT gen_random_uuid(),
    the_only boolean NOT NULL DEFAULT true UNIQUE CHECK (the_only)
);
COMMENT ON TABLE eventstore.log IS 'One row: who this log is, so that nobody mistakes another log''s messages for its own';
INSERT INTO eventstore.log DEFAULT VALUES;

CREATE TABLE eventstore.events (
    position       bigint      NOT NULL,
    recorded_at    timestamptz NOT NULL,
    event_id       uuid        NOT NULL,
    command_id     uuid        NOT NULL,
    correlation_id uuid        NOT NULL,
    causation_id   uuid,
    version        bigint      NOT NULL,
    schema_version smallint    NOT NULL,
    type           text        NOT NULL,
    stream         text        NOT NULL,
    actor          text        NOT NULL,
    trace          text,
    payload        json        NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (position),
    CONSTRAINT events_event_id_key UNIQUE (event_id),
    CONSTRAINT events_stream_version_key UNIQUE (stream, version)
);
COMMENT ON TABLE eventstore.events IS 'The log: append-only, in commit order';
COMMENT ON COLUMN eventstore.events.position IS 'Place in the log: 1, 2, 3 ... without gaps, in commit order';
COMMENT ON COLUMN eventstore.events.recorded_at IS 'When it was appended; never less than that of an earlier position';
COMMENT ON COLUMN eventstore.events.command_id IS 'The command it follows from';
COMMENT ON COLUMN eventstore.events.correlation_id IS 'The request that began the whole story';
COMMENT ON COLUMN eventstore.events.causation_id IS 'The message that caused the command, if one did';
COMMENT ON COLUMN eventstore.events.version IS 'Place in the stream: 1, 2, 3 ... without gaps';
COMMENT ON COLUMN eventstore.events.schema_version IS 'Version of the shape of the payload';
COMMENT ON COLUMN eventstore.events.type IS 'What happened, for example ordering.order-placed';
COMMENT ON COLUMN eventstore.events.stream IS 'The aggregate it happened to';
COMMENT ON COLUMN eventstore.events.actor IS 'Who asked for it';
COMMENT ON COLUMN eventstore.events.trace IS 'W3C traceparent of the request';
COMMENT ON COLUMN eventstore.events.payload IS 'json, not jsonb: kept byte for byte, cheaper to write and to read';

CREATE TABLE eventstore.outbox (
    position   bigint NOT NULL PRIMARY KEY,
    message_id uuid   NOT NULL,
    subject    text   NOT NULL
);
COMMENT ON TABLE eventstore.outbox IS 'Which events are told to the public; the message itself is made from the event';
COMMENT ON COLUMN eventstore.outbox.subject IS 'Without the namespace of the installation, for example ordering.order-placed.v1';

CREATE TABLE eventstore.claims (
    namespace text   NOT NULL,
    value     text   NOT NULL,
    stream    text   NOT NULL,
    position  bigint NOT NULL,
    PRIMARY KEY (namespace, value)
);
COMMENT ON TABLE eventstore.claims IS 'Values that only one stream may hold';
COMMENT ON COLUMN eventstore.claims.position IS 'The event that took it';

CREATE TABLE eventstore.commands (
    command_id     uuid        NOT NULL PRIMARY KEY,
    fingerprint    bytea       NOT NULL,
    first_position bigint      NOT NULL,
    last_position  bigint      NOT NULL,
    recorded_at    timestamptz NOT NULL
);
COMMENT ON TABLE eventstore.commands IS 'Commands that took effect: the same id again gives the same receipt';
COMMENT ON COLUMN eventstore.commands.fingerprint IS 'SHA-256 of what was asked; the same id with another body is refused';
COMMENT ON COLUMN eventstore.commands.first_position IS 'Of its events; beyond last_position if it had none';

CREATE TABLE eventstore.cursors (
    name       text        NOT NULL PRIMARY KEY,
    position   bigint      NOT NULL,
    epoch      bigint      NOT NULL,
    expires_at timestamptz NOT NULL,
    moved_at   timestamptz NOT NULL
);
COMMENT ON TABLE eventstore.cursors IS 'How far each follower of the log has come, and who may move it';
COMMENT ON COLUMN eventstore.cursors.epoch IS 'Counts owners: a move names the epoch it was leased under, so a late owner moves nothing';
COMMENT ON COLUMN eventstore.cursors.expires_at IS 'Until when the owner is left alone';

-- Nobody rewrites history.
CREATE FUNCTION eventstore.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstore.events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstore.refuse_change();

-- Appends a batch of independent commands, each wholly or not at all.
--
-- Commands are numbered from 1 by their place in command_ids; expected_*, claim_* and event_* are
-- parallel arrays that name their command by that number. An expectation is an exact version,
-- -1 for any, -2 for at least one event. A stream that one command of the batch writes is named by
-- no other, and no claim or command id comes twice; a unique violation tells a caller that broke this.
--
-- Returns, for a command that was appended, a row 'appended' with its last position and a row
-- 'stream' for each stream with the version it is at; else one or more rows that say what refused it.
CREATE FUNCTION eventstore.append(
    command_ids     uuid[],
    fingerprints    bytea[],
    correlation_ids uuid[],
    causation_ids   uuid[],
    actors          text[],
    traces          text[],
    expected_command integer[],
    expected_stream  text[],
    expected_version bigint[],
    claim_command   integer[],
    claim_namespace text[],
    claim_value     text[],
    claim_stream    text[],
    event_command   integer[],
    event_id        uuid[],
    event_stream    text[],
    event_type      text[],
    event_schema    smallint[],
    event_payload   text[],
    event_subject   text[]
)
RETURNS TABLE (command integer, outcome text, stream text, at bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    base      bigint;
    stamp     timestamptz;
    refused   integer[] := '{}';
    appended  bigint;
BEGIN
    -- Each statement below must see what the previous holder of the lock committed.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append needs READ COMMITTED, not %', current_setting('transaction_isolation')
            USING ERRCODE = 'active_sql_transaction';
    END IF;

    -- 1. Queue: the lock is held until the commit, so commit order is position order. (107126926175347 spells "annals".)
    PERFORM pg_advisory_xact_lock(107126926175347);

    SELECT e.position, e.recorded_at INTO base, stamp
    FROM eventstore.events e
    ORDER BY e.position DESC
    LIMIT 1;
    base := coalesce(base, 0);
    stamp := greatest(clock_timestamp(), stamp);

    -- 2. Commands that took effect before.
    FOR command, outcome, at IN
        SELECT given.number::integer,
               CASE WHEN known.fingerprint = given.fingerprint THEN 'duplicate' ELSE 'other-body' END,
               known.last_position
        FROM unnest(command_ids, fingerprints) WITH ORDINALITY AS given (id, fingerprint, number)
        JOIN eventstore.commands AS known ON known.command_id = given.id
    LOOP
        refused := refused || command;
        RETURN NEXT;
    END LOOP;

    -- 3. Streams that are not where the decision was made.
    FOR command, outcome, stream, at IN
        SELECT given.command, 'conflict', given.stream, coalesce(head.version, 0)
        FROM unnest(expected_command, expected_stream, expected_version) AS given (command, stream, version)
        LEFT JOIN LATERAL (
            SELECT e.version FROM eventstore.events e
            WHERE e.stream = given.stream
            ORDER BY e.version DESC
            LIMIT 1
        ) AS head ON true
        WHERE given.command <> ALL (refused)
          AND CASE given.version
                  WHEN -1 THEN false
                  WHEN -2 THEN head.version IS NULL
                  ELSE coalesce(head.version, 0) <> given.version
              END
    LOOP
        refused := refused || command;
        RETURN NEXT;
    END LOOP;

    -- 4. Claims that another stream holds.
    FOR command, outcome, stream, at IN
        SELECT given.command, 'claim-taken:' || given.namespace, held.stream, held.position
        FROM unnest(claim_command, claim_namespace, claim_value, claim_stream)
             AS given (command, namespace, value, stream)
        JOIN eventstore.claims AS held ON held.namespace = given.namespace AND held.value = given.value
        WHERE given.command <> ALL (refused)
          AND held.stream <> given.stream
    LOOP
        refused := refused || command;
        RETURN NEXT;
    END LOOP;

    IF cardinality(refused) > 0 AND (SELECT count(DISTINCT r) FROM unnest(refused) AS r) = cardinality(command_ids) THEN
        RETURN;
    END IF;

    -- 5. What is left is written, positions in the order given.
    RETURN QUERY
    WITH heads AS MATERIALIZED (
        SELECT given.stream, coalesce(head.version, 0) AS version
        FROM (SELECT DISTINCT e.stream FROM unnest(event_stream) AS e (stream)) AS given
        LEFT JOIN LATERAL (
            SELECT e.version FROM eventstore.events e
            WHERE e.stream = given.stream
            ORDER BY e.version DESC
            LIMIT 1
        ) AS head ON true
    ),
    fresh AS MATERIALIZED (
        SELECT base + row_number() OVER (ORDER BY given.number) AS position,
               heads.version + row_number() OVER (PARTITION BY given.stream ORDER BY given.number) AS version,
               given.*
        FROM unnest(event_command, event_id, event_stream, event_type, event_schema, event_payload, event_subject)
             WITH ORDINALITY AS given (command, id, stream, type, schema_version, payload, subject, number)
        JOIN heads ON heads.stream = given.stream
        WHERE given.command <> ALL (refused)
    ),
    accepted AS MATERIALIZED (
        SELECT given.number::integer AS command, given.*,
               coalesce(min(fresh.position), base + 1) AS first_position,
               coalesce(max(fresh.position), base) AS last_position
        FROM unnest(command_ids, fingerprints, correlation_ids, causation_ids, actors, traces)
             WITH ORDINALITY AS given (id, fingerprint, correlation_id, causation_id, actor, trace, number)
        LEFT JOIN fresh ON fresh.command = given.number
        WHERE given.number <> ALL (refused)
        GROUP BY given.id, given.fingerprint, given.correlation_id, given.causation_id, given.actor, given.trace, given.number
    ),
    recorded AS (
        INSERT INTO eventstore.commands (command_id, fingerprint, first_position, last_position, recorded_at)
        SELECT id, fingerprint, first_position, last_position, stamp FROM accepted
    ),
    logged AS (
        INSERT INTO eventstore.events (
            position, recorded_at, event_id, command_id, correlation_id, causation_id,
            version, schema_version, type, stream, actor, trace, payload
        )
        SELECT fresh.position, stamp, fresh.id, accepted.id, accepted.correlation_id, accepted.causation_id,
               fresh.version, fresh.schema_version, fresh.type, fresh.stream, accepted.actor, accepted.trace,
               fresh.payload::json
        FROM fresh
        JOIN accepted ON accepted.command = fresh.command
        ORDER BY fresh.position
    ),
    told AS (
        INSERT INTO eventstore.outbox (position, message_id, subject)
        SELECT fresh.position, fresh.id, fresh.subject FROM fresh
        WHERE fresh.subject IS NOT NULL
        ORDER BY fresh.position
    ),
    claimed AS (
        INSERT INTO eventstore.claims (namespace, value, stream, position)
        SELECT given.namespace, given.value, given.stream, accepted.last_position
        FROM unnest(claim_command, claim_namespace, claim_value, claim_stream)
             AS given (command, namespace, value, stream)
        JOIN accepted ON accepted.command = given.command
        WHERE NOT EXISTS (
            SELECT 1 FROM eventstore.claims AS held
            WHERE held.namespace = given.namespace AND held.value = given.value
        )
    )
    SELECT accepted.command, 'appended', NULL::text, accepted.last_position FROM accepted
    UNION ALL
    SELECT fresh.command, 'stream', fresh.stream, max(fresh.version) FROM fresh GROUP BY fresh.command, fresh.stream;

    -- 6. Wake those who follow. The number is a hint; they read the log themselves.
    PERFORM pg_notify('eventstore_appended', '');
END
$$;
COMMENT ON FUNCTION eventstore.append IS 'Appends a batch of independent commands, each wholly or not at all';
