-- Taking a whole log back in from an archive (docs/archive-format.md), into an empty one only.
--
-- Append decides what an event's position, version and time are; an import is told. So it is a way
-- of its own, and a narrow one: begin_import finds the log empty under the order lock, and the other
-- functions write only in the transaction that did. Nothing is seen before it commits.

-- An export finds commands without events by where the log was; the others by their events.
CREATE INDEX commands_without_events ON eventstore.commands (last_position)
    WHERE first_position > last_position;
COMMENT ON INDEX eventstore.commands_without_events IS 'For exports; an append of events does not pay for it';

-- Takes the order lock and gives the empty log its id. Returns NULL, or why nothing can be taken in:
-- 'not-empty', or 'followed:' and the name of who follows this log.
CREATE FUNCTION eventstore.begin_import(log_id uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog
AS $$
DECLARE
    follower text;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'an import needs READ COMMITTED, not %', current_setting('transaction_isolation')
            USING ERRCODE = 'active_sql_transaction';
    END IF;
    PERFORM pg_advisory_xact_lock(107126926175347);
    IF EXISTS (SELECT FROM eventstore.events)
        OR EXISTS (SELECT FROM eventstore.commands)
        OR EXISTS (SELECT FROM eventstore.claims)
        OR EXISTS (SELECT FROM eventstore.outbox)
        OR EXISTS (SELECT FROM eventstore.tags)
    THEN
        RETURN 'not-empty';
    END IF;
    -- A process that follows the log knows it by its old id, and would make other event ids.
    SELECT c.name INTO follower
    FROM eventstore.cursors AS c
    WHERE c.position > 0 OR c.expires_at > clock_timestamp()
    ORDER BY c.name
    LIMIT 1;
    IF FOUND THEN
        RETURN 'followed:' || follower;
    END IF;
    UPDATE eventstore.log SET id = begin_import.log_id;
    PERFORM pg_notify('eventstore_appended', '');
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION eventstore.begin_import IS 'Begins to take a log in: finds this one empty and gives it the id';

-- Refuses to write into a log that holds anything this transaction has not written.
CREATE FUNCTION eventstore.check_import() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(107126926175347);
    IF EXISTS (
        SELECT FROM eventstore.events AS e
        WHERE e.position = 1 AND e.xmin <> pg_current_xact_id()::xid
    ) THEN
        RAISE EXCEPTION 'the log is not empty' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END
$$;
COMMENT ON FUNCTION eventstore.check_import IS 'Refuses to write into a log that this transaction has not begun';

-- Writes the next events of the log, with what append would have made, or none of them.
--
-- Returns the first event whose version does not follow that of its stream, and which would.
CREATE FUNCTION eventstore.import_events(
    positions       bigint[],
    recorded        timestamptz[],
    command_ids     uuid[],
    correlation_ids uuid[],
    causation_ids   uuid[],
    versions        bigint[],
    schema_versions smallint[],
    types           text[],
    streams         text[],
    actors          text[],
    traces          text[],
    tag_lists       text[],
    payloads        text[]
)
RETURNS TABLE ("position" bigint, expected bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    base  bigint;
    stamp timestamptz;
    size  bigint;
BEGIN
    PERFORM eventstore.check_import();
    SELECT e.position, e.recorded_at INTO base, stamp
    FROM eventstore.events AS e
    ORDER BY e.position DESC
    LIMIT 1;
    base := coalesce(base, 0);
    SELECT l.partition_events INTO size FROM eventstore.log AS l;
    IF cardinality(positions) > size THEN
        -- Two partitions ahead are empty, so that many fit for certain.
        RAISE EXCEPTION 'at most % events at a time', size USING ERRCODE = 'program_limit_exceeded';
    END IF;
    IF EXISTS (
        SELECT
        FROM (
            SELECT given.position, given.recorded_at, given.number,
                   lag(given.recorded_at, 1, stamp) OVER (ORDER BY given.number) AS earlier
            FROM unnest(positions, recorded) WITH ORDINALITY AS given (position, recorded_at, number)
        ) AS given
        WHERE given.position <> base + given.number OR given.recorded_at < given.earlier
    ) THEN
        RAISE EXCEPTION 'positions must follow % without a gap, and times must not go back', base
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;

    RETURN QUERY
    SELECT given.position, given.expected
    FROM (
        SELECT given.position, given.version,
               coalesce(head.version, 0)
                   + row_number() OVER (PARTITION BY given.stream ORDER BY given.position) AS expected
        FROM unnest(positions, streams, versions) AS given (position, stream, version)
        LEFT JOIN LATERAL (
            SELECT e.version
            FROM eventstore.events AS e
            WHERE e.stream = given.stream
            ORDER BY e.version DESC
            LIMIT 1
        ) AS head ON true
    ) AS given
    WHERE given.version <> given.expected
    ORDER BY given.position
    LIMIT 1;
    IF FOUND THEN
        RETURN;
    END IF;

    INSERT INTO eventstore.events (
        position, recorded_at, command_id, correlation_id, causation_id, version,
        schema_version, type, stream, actor, trace, tags, payload
    )
    SELECT given.position, given.recorded_at, given.command_id, given.correlation_id,
           given.causation_id, given.version, given.schema_version, given.type, given.stream,
           given.actor, given.trace, string_to_array(given.tags, E'\x1f'), given.payload::json
    FROM unnest(
        positions, recorded, command_ids, correlation_ids, causation_ids, versions,
        schema_versions, types, streams, actors, traces, tag_lists, payloads
    ) AS given (
        position, recorded_at, command_id, correlation_id, causation_id, version,
        schema_version, type, stream, actor, trace, tags, payload
    );
    -- Who was erased stays erased; the keys of the others are not part of an archive.
    INSERT INTO eventstore.subject_keys (subject, erased_at, erased_position)
    SELECT given.payload::json ->> 'subject', given.recorded_at, given.position
    FROM unnest(positions, recorded, types, payloads) AS given (position, recorded_at, type, payload)
    WHERE given.type = 'eventstore.subject-erased'
    ON CONFLICT DO NOTHING;
    INSERT INTO eventstore.types (name, schema_version)
    SELECT DISTINCT given.type, given.schema_version
    FROM unnest(types, schema_versions) AS given (type, schema_version)
    ON CONFLICT DO NOTHING;
    INSERT INTO eventstore.tags (tag, position)
    SELECT tag, given.position
    FROM unnest(positions, tag_lists) AS given (position, tags)
    CROSS JOIN LATERAL unnest(string_to_array(given.tags, E'\x1f')) AS tag
    WHERE given.tags IS NOT NULL;

    -- Only when the log has come into another partition: counting them is not for every call.
    IF (base + cardinality(positions)) / size > base / size THEN
        PERFORM eventstore.add_partitions();
    END IF;
END
$$;
COMMENT ON FUNCTION eventstore.import_events IS 'Writes the next events of a log that is taken in';

-- Ends it: the outbox begins behind what was taken in, of which the public is told from the log.
CREATE FUNCTION eventstore.end_import() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog
AS $$
BEGIN
    PERFORM eventstore.check_import();
    UPDATE eventstore.log
    SET outbox_floor = (SELECT coalesce(max(e.position), 0) FROM eventstore.events AS e);
    PERFORM eventstore.add_partitions();
END
$$;
COMMENT ON FUNCTION eventstore.end_import IS 'Ends taking a log in: what the public is told of it is made from the log';

-- Writes command records.
CREATE FUNCTION eventstore.import_commands(
    command_ids     uuid[],
    fingerprints    bytea[],
    first_positions bigint[],
    last_positions  bigint[],
    recorded        timestamptz[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog
AS $$
BEGIN
    PERFORM eventstore.check_import();
    INSERT INTO eventstore.commands (command_id, fingerprint, first_position, last_position, recorded_at)
    SELECT * FROM unnest(command_ids, fingerprints, first_positions, last_positions, recorded);
END
$$;
COMMENT ON FUNCTION eventstore.import_commands IS 'Writes command records of a log that is taken in';

-- Writes claims.
CREATE FUNCTION eventstore.import_claims(namespaces text[], claimed text[], streams text[], subjects text[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog
AS $$
BEGIN
    PERFORM eventstore.check_import();
    INSERT INTO eventstore.claims (namespace, value, stream, subject)
    SELECT * FROM unnest(namespaces, claimed, streams, subjects);
END
$$;
COMMENT ON FUNCTION eventstore.import_claims IS 'Writes the claims of a log that is taken in';

-- What appends must not be able to do.
REVOKE EXECUTE ON FUNCTION
    eventstore.begin_import,
    eventstore.check_import,
    eventstore.import_events,
    eventstore.import_commands,
    eventstore.import_claims,
    eventstore.end_import
FROM PUBLIC;
