-- The tenant of an event: whose organization it belongs to.
--
-- Nothing is rewritten: what was recorded before belongs to none. There is no index, which each append
-- would pay for; a reader's filter looks at it event by event, as at the actor. Append and import take
-- one array more, so they are other functions now, which whoever was granted the earlier ones is
-- granted anew (deploy/roles.sql).
ALTER TABLE eventstore.events ADD COLUMN tenant uuid;
COMMENT ON COLUMN eventstore.events.tenant IS 'The organization it belongs to; NULL if it belongs to none';

DROP FUNCTION eventstore.append;
DROP FUNCTION eventstore.import_events;

-- Appends a batch of independent commands, each wholly or not at all, in one statement.
-- Why so: docs/adr/0002-one-statement-append.md.
--
-- Commands are numbered from 1 by their place in command_ids; expected_*, claim_* and event_* are
-- parallel arrays that name their command by that number. An expectation is an exact version,
-- -1 for any, -2 for at least one event. An event names the expectation of its stream and its place
-- among the command's events on that stream, from 1; what it has of its command is repeated with it,
-- because a join would cost more than the bytes. command_last and event_offset are the places of a
-- command's last event and of an event in the batch, from 1, if nothing of it is refused. The array of
-- tenants is empty if no event has one. Tags are separated by U+001F. Types are those that the caller
-- has not seen in the log yet. Conditions are an array of {"command", "after", "types", "tags"}: no
-- event after the position `after` may be of one of the types and have all the tags. Messages are NULL
-- or an array of {"command", "ordinal", "id", "stream", "subject", "body"}: what the public is told
-- besides, by commands that have events; bodies are text, to be kept byte for byte.
--
-- A stream that one command of the batch writes is named by no other, no claim or command id comes
-- twice, and no event of the batch fails a later condition; the caller sees to that.
--
-- Returns a row 'base' with the last position before the batch: the events of the commands that are
-- not refused follow it in the order given. Then a row 'head' for each stream that was not expected
-- at an exact version, with the version it was at; and for each refused command what refused it.
CREATE FUNCTION eventstore.append(
    command_ids    uuid[],
    fingerprints   bytea[],
    command_events integer[],
    command_last   integer[],
    expected_command integer[],
    expected_stream  text[],
    expected_version bigint[],
    conditions       jsonb,
    claim_command   integer[],
    claim_namespace text[],
    claim_value     text[],
    claim_stream    text[],
    claim_release   boolean[],
    claim_subject   text[],
    type_name       text[],
    type_schema     smallint[],
    event_command        integer[],
    event_offset         integer[],
    event_expectation    integer[],
    event_version        integer[],
    event_command_id     uuid[],
    event_correlation_id uuid[],
    event_causation_id   uuid[],
    event_actor          text[],
    event_tenant         uuid[],
    event_trace          text[],
    event_stream         text[],
    event_type           text[],
    event_schema         smallint[],
    event_tags           text[],
    event_subject        text[],
    event_payload        text[],
    messages             jsonb
)
RETURNS TABLE (command integer, outcome text, stream text, at bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog
-- One plan for ever, and by index: a table that is small when it is planned will not stay so.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    base    bigint;
    stamp   timestamptz;
    known   uuid[];
    heads   bigint[];
    refused integer[] := '{}';
BEGIN
    -- Each statement below must see what the previous holder of the lock committed.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append needs READ COMMITTED, not %', current_setting('transaction_isolation')
            USING ERRCODE = 'active_sql_transaction';
    END IF;

    -- 1. Queue: the lock is held until the commit, so commit order is position order. (107126926175347 spells "annals".)
    PERFORM pg_advisory_xact_lock(107126926175347);

    -- 2. Look: where the log ends; which commands took effect before (hardly ever any, so they are looked
    -- up in one scan); where the streams are.
    SELECT e.position, e.recorded_at INTO base, stamp
    FROM eventstore.events AS e
    ORDER BY e.position DESC
    LIMIT 1;
    base := coalesce(base, 0);
    stamp := greatest(clock_timestamp(), stamp);
    SELECT array_agg(c.command_id) INTO known
    FROM eventstore.commands AS c
    WHERE c.command_id = ANY (command_ids);
    -- Where the streams are. That none of many new ones exists is seen in one scan; it is a count, because
    -- a plan for EXISTS hopes to find something soon.
    IF 0 = ALL (expected_version) AND 0 = (
        SELECT count(*)
        FROM eventstore.events AS e
        WHERE e.stream = ANY (expected_stream) AND e.version = 1
    ) THEN
        heads := expected_version;
    ELSE
        heads := ARRAY(
            SELECT coalesce((
                SELECT e.version
                FROM eventstore.events AS e
                WHERE e.stream = given.stream
                ORDER BY e.version DESC
                LIMIT 1
            ), 0)
            FROM (SELECT unnest(expected_stream) AS stream) AS given
        );
    END IF;
    command := 0; outcome := 'base'; at := base;
    RETURN NEXT;

    -- 3. Commands that took effect before.
    IF known IS NOT NULL THEN
        FOR command, outcome, at IN
            SELECT given.number::integer,
                   CASE WHEN c.fingerprint = given.fingerprint THEN 'duplicate' ELSE 'other-body' END,
                   c.last_position
            FROM unnest(command_ids, fingerprints) WITH ORDINALITY AS given (id, fingerprint, number)
            JOIN eventstore.commands AS c ON c.command_id = given.id
            WHERE given.id = ANY (known)
        LOOP
            refused := refused || command;
            RETURN NEXT;
        END LOOP;
    END IF;

    -- 4. Streams that are not where the decision was made.
    IF heads <> expected_version THEN
        FOR command, outcome, stream, at IN
            SELECT given.command,
                   CASE WHEN given.wanted >= 0 OR given.wanted = -2 AND given.head = 0 THEN 'conflict' ELSE 'head' END,
                   given.stream,
                   given.head
            FROM unnest(expected_command, expected_stream, expected_version, heads)
                 AS given (command, stream, wanted, head)
            WHERE given.head <> given.wanted
              AND given.command <> ALL (refused)
        LOOP
            IF outcome = 'conflict' THEN
                refused := refused || command;
            END IF;
            RETURN NEXT;
        END LOOP;
    END IF;

    -- 5. Conditions that an event has failed since, the first event first: it is what the caller is told.
    IF conditions IS NOT NULL THEN
        FOR command, outcome, stream, at IN
            SELECT given.command, 'condition-failed', failing.stream, failing.position
            FROM jsonb_to_recordset(conditions)
                 AS given (command integer, "after" bigint, types text[], tags text[])
            CROSS JOIN LATERAL eventstore.first_match(given.after, base, given.types, given.tags) AS failing
            WHERE given.command <> ALL (refused)
            ORDER BY failing.position
        LOOP
            refused := refused || command;
            RETURN NEXT;
        END LOOP;
    END IF;

    -- 6. Claims that another stream holds, and goes on to hold.
    IF cardinality(claim_command) > 0 THEN
        FOR command, outcome, stream, at IN
            SELECT given.command, 'claim-taken:' || given.namespace, held.stream, NULL
            FROM unnest(claim_command, claim_namespace, claim_value, claim_stream, claim_release)
                 AS given (command, namespace, value, stream, release)
            CROSS JOIN LATERAL (
                SELECT c.stream
                FROM eventstore.claims AS c
                WHERE c.namespace = given.namespace AND c.value = given.value
                LIMIT 1
            ) AS held
            WHERE NOT given.release
              AND held.stream <> given.stream
              AND given.command <> ALL (refused)
              AND NOT EXISTS (
                  SELECT
                  FROM unnest(claim_command, claim_namespace, claim_value, claim_stream, claim_release)
                       AS let_go (command, namespace, value, stream, release)
                  WHERE let_go.command = given.command
                    AND let_go.namespace = given.namespace
                    AND let_go.value = given.value
                    AND let_go.stream = held.stream
                    AND let_go.release
              )
        LOOP
            refused := refused || command;
            RETURN NEXT;
        END LOOP;
    END IF;

    -- 7. Claims for a subject that is erased, which nobody would ever release.
    IF num_nonnulls(VARIADIC claim_subject) > 0 THEN
        FOR command, outcome, stream, at IN
            SELECT given.command, 'subject-erased:' || given.subject, given.stream, NULL
            FROM unnest(claim_command, claim_subject, claim_stream, claim_release)
                 AS given (command, subject, stream, release)
            CROSS JOIN LATERAL (
                SELECT FROM eventstore.subject_keys AS k
                WHERE k.subject = given.subject AND k.erased_at IS NOT NULL
                LIMIT 1
            ) AS erased
            WHERE NOT given.release
              AND given.command <> ALL (refused)
        LOOP
            refused := refused || command;
            RETURN NEXT;
        END LOOP;
    END IF;

    -- 8. What is left is written; without what is refused it moves together.
    IF cardinality(refused) > 0 THEN
        SELECT array_agg(CASE WHEN given.command = ANY (refused) THEN 0 ELSE given.place END ORDER BY given.number)
        INTO event_offset
        FROM (
            SELECT e.command, e.number, count(*) FILTER (WHERE e.command <> ALL (refused)) OVER (ORDER BY e.number) AS place
            FROM unnest(event_command) WITH ORDINALITY AS e (command, number)
        ) AS given;
        SELECT array_agg(CASE WHEN given.number = ANY (refused) THEN -1 ELSE given.last END ORDER BY given.number)
        INTO command_last
        FROM (
            SELECT c.number, sum(c.events) FILTER (WHERE c.number <> ALL (refused)) OVER (ORDER BY c.number) AS last
            FROM unnest(command_events) WITH ORDINALITY AS c (events, number)
        ) AS given;
        IF NOT 0 <= ANY (command_last) THEN
            RETURN;
        END IF;
    END IF;

    -- unnest stands in the select lists because in FROM each array would be copied aside first. An array
    -- that is shorter than the others, as that of the tenants may be, goes on with NULL.
    WITH recorded AS (
        INSERT INTO eventstore.commands (command_id, fingerprint, first_position, last_position, recorded_at)
        SELECT id, fingerprint, base + last - events + 1, base + last, stamp
        FROM (
            SELECT unnest(command_ids) AS id,
                   unnest(fingerprints) AS fingerprint,
                   unnest(command_events) AS events,
                   unnest(command_last) AS last
        ) AS given
        WHERE last >= 0
    ),
    logged AS (
        INSERT INTO eventstore.events (
            position, recorded_at, command_id, correlation_id, causation_id, version,
            schema_version, type, stream, actor, tenant, trace, tags, payload
        )
        SELECT base + place, stamp, command_id, correlation_id, causation_id, heads[expectation] + version,
               schema_version, type, stream, actor, tenant, trace, string_to_array(tags, E'\x1f'), payload::json
        FROM (
            SELECT unnest(event_offset) AS place,
                   unnest(event_expectation) AS expectation,
                   unnest(event_version) AS version,
                   unnest(event_command_id) AS command_id,
                   unnest(event_correlation_id) AS correlation_id,
                   unnest(event_causation_id) AS causation_id,
                   unnest(event_actor) AS actor,
                   unnest(event_tenant) AS tenant,
                   unnest(event_trace) AS trace,
                   unnest(event_stream) AS stream,
                   unnest(event_type) AS type,
                   unnest(event_schema) AS schema_version,
                   unnest(event_tags) AS tags,
                   unnest(event_payload) AS payload
        ) AS given
        WHERE place > 0
    )
    INSERT INTO eventstore.outbox (position, subject)
    SELECT base + place, subject
    FROM (SELECT unnest(event_offset) AS place, unnest(event_subject) AS subject) AS given
    WHERE place > 0 AND subject IS NOT NULL;

    -- They stand behind their command's last event, which need not be public itself.
    IF messages IS NOT NULL THEN
        INSERT INTO eventstore.messages (position, ordinal, message_id, stream, subject, body)
        SELECT base + command_last[given.command], given.ordinal, given.id, given.stream, given.subject, given.body::json
        FROM jsonb_to_recordset(messages)
             AS given (command integer, ordinal smallint, id uuid, stream text, subject text, body text)
        WHERE command_last[given.command] > 0;

        INSERT INTO eventstore.outbox (position)
        SELECT DISTINCT base + command_last[given.command]
        FROM jsonb_to_recordset(messages) AS given (command integer)
        WHERE command_last[given.command] > 0
        ON CONFLICT (position) DO NOTHING;
    END IF;

    IF array_remove(event_tags, NULL) <> '{}' THEN
        INSERT INTO eventstore.tags (tag, position)
        SELECT tag, base + place
        FROM unnest(event_offset, event_tags) AS given (place, tags)
        CROSS JOIN LATERAL unnest(string_to_array(tags, E'\x1f')) AS tag
        WHERE place > 0;
    END IF;

    IF cardinality(type_name) > 0 THEN
        INSERT INTO eventstore.types (name, schema_version)
        SELECT given.name, given.schema_version
        FROM unnest(type_name, type_schema) AS given (name, schema_version)
        WHERE EXISTS (
            SELECT
            FROM unnest(event_offset, event_type, event_schema) AS e (place, type, schema_version)
            WHERE e.place > 0
              AND e.type = given.name
              AND e.schema_version = given.schema_version
        )
        ON CONFLICT DO NOTHING;
    END IF;

    IF cardinality(claim_command) > 0 THEN
        DELETE FROM eventstore.claims AS held
        USING unnest(claim_command, claim_namespace, claim_value, claim_stream, claim_release)
              AS given (command, namespace, value, stream, release)
        WHERE given.release
          AND given.command <> ALL (refused)
          AND held.namespace = given.namespace
          AND held.value = given.value
          AND held.stream = given.stream;

        -- What a stream holds already may come to be somebody's, whose erasure shall release it.
        IF num_nonnulls(VARIADIC claim_subject) > 0 THEN
            UPDATE eventstore.claims AS held
            SET subject = given.subject
            FROM unnest(claim_command, claim_namespace, claim_value, claim_stream, claim_release, claim_subject)
                 AS given (command, namespace, value, stream, release, subject)
            WHERE NOT given.release
              AND given.subject IS NOT NULL
              AND given.command <> ALL (refused)
              AND held.namespace = given.namespace
              AND held.value = given.value
              AND held.stream = given.stream
              AND held.subject IS DISTINCT FROM given.subject;
        END IF;

        INSERT INTO eventstore.claims (namespace, value, stream, subject)
        SELECT given.namespace, given.value, given.stream, given.subject
        FROM unnest(claim_command, claim_namespace, claim_value, claim_stream, claim_release, claim_subject)
             AS given (command, namespace, value, stream, release, subject)
        WHERE NOT given.release
          AND given.command <> ALL (refused)
          AND NOT EXISTS (
              SELECT FROM eventstore.claims AS held
              WHERE held.namespace = given.namespace AND held.value = given.value
          );
    END IF;

    -- 9. Wake those who follow. The number is a hint; they read the log themselves.
    PERFORM pg_notify('eventstore_appended', '');
END
$$;
REVOKE EXECUTE ON FUNCTION eventstore.append FROM PUBLIC;
COMMENT ON FUNCTION eventstore.append IS 'Appends a batch of independent commands, each wholly or not at all';

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
    tenants         uuid[],
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
        schema_version, type, stream, actor, tenant, trace, tags, payload
    )
    SELECT given.position, given.recorded_at, given.command_id, given.correlation_id,
           given.causation_id, given.version, given.schema_version, given.type, given.stream,
           given.actor, given.tenant, given.trace, string_to_array(given.tags, E'\x1f'), given.payload::json
    FROM unnest(
        positions, recorded, command_ids, correlation_ids, causation_ids, versions,
        schema_versions, types, streams, actors, tenants, traces, tag_lists, payloads
    ) AS given (
        position, recorded_at, command_id, correlation_id, causation_id, version,
        schema_version, type, stream, actor, tenant, trace, tags, payload
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
REVOKE EXECUTE ON FUNCTION eventstore.import_events FROM PUBLIC;
