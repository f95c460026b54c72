-- The log, its outbox, claims, command records and the cursors of its followers.
-- Why one lock and no sequence: docs/adr/0001-gapless-log.md; why partitions and no column for the
-- event's id: docs/adr/0009-ids-from-positions.md.
CREATE SCHEMA eventstore;
COMMENT ON SCHEMA eventstore IS 'The log of events and everything that commits together with it';

CREATE TABLE eventstore.log (
    id               uuid    PRIMARY KEY DEFAULT gen_random_uuid(),
    the_only         boolean NOT NULL DEFAULT true UNIQUE CHECK (the_only),
    partition_events bigint  NOT NULL DEFAULT 25000000 CHECK (partition_events >= 1000),
    outbox_positions bigint  NOT NULL DEFAULT 250000 CHECK (outbox_positions >= 1000),
    outbox_floor     bigint  NOT NULL DEFAULT 0
);
COMMENT ON TABLE eventstore.log IS 'One row: who this log is, so that nobody mistakes another log''s messages for its own';
COMMENT ON COLUMN eventstore.log.partition_events IS 'How many positions each partition of the events holds';
COMMENT ON COLUMN eventstore.log.outbox_positions IS 'How many positions each partition of the outbox holds, as it was when the first was made';
COMMENT ON COLUMN eventstore.log.outbox_floor IS 'The outbox tells nothing of positions up to here: what the public is told of them is made from the log';
INSERT INTO eventstore.log DEFAULT VALUES;

-- Keys compare as bytes: the rules of a language would make every lookup slower.
CREATE TABLE eventstore.events (
    position       bigint      NOT NULL,
    recorded_at    timestamptz NOT NULL,
    command_id     uuid        NOT NULL,
    correlation_id uuid        NOT NULL,
    causation_id   uuid,
    version        bigint      NOT NULL,
    schema_version smallint    NOT NULL,
    type           text        COLLATE "C" NOT NULL,
    stream         text        COLLATE "C" NOT NULL,
    actor          text        COLLATE "C" NOT NULL,
    trace          text,
    tags           text[]      COLLATE "C",
    payload        json        NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (position)
) PARTITION BY RANGE (position);
COMMENT ON TABLE eventstore.events IS 'The log: append-only, in commit order, a partition for each range of positions';
COMMENT ON COLUMN eventstore.events.position IS 'Place in the log: 1, 2, 3 ... without gaps, in commit order';
COMMENT ON COLUMN eventstore.events.recorded_at IS 'When it was appended; never less than that of an earlier position';
COMMENT ON COLUMN eventstore.events.command_id IS 'The command it follows from';
COMMENT ON COLUMN eventstore.events.correlation_id IS 'The request that began the whole story';
COMMENT ON COLUMN eventstore.events.causation_id IS 'The message that caused the command, if one did';
COMMENT ON COLUMN eventstore.events.version IS 'Place in the stream: 1, 2, 3 ... without gaps';
COMMENT ON COLUMN eventstore.events.schema_version IS 'Version of the shape of the payload';
COMMENT ON COLUMN eventstore.events.type IS 'What happened, for example ordering.order-placed';
COMMENT ON COLUMN eventstore.events.stream IS 'The aggregate it happened to: category, hyphen, id';
COMMENT ON COLUMN eventstore.events.actor IS 'Who asked for it';
COMMENT ON COLUMN eventstore.events.trace IS 'W3C traceparent of the request';
COMMENT ON COLUMN eventstore.events.tags IS 'What a decision across streams may ask for; NULL if nothing';
COMMENT ON COLUMN eventstore.events.payload IS 'json, not jsonb: kept byte for byte, cheaper to write and to read';

CREATE TABLE eventstore.tags (
    tag      text   COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (tag, position)
);
COMMENT ON TABLE eventstore.tags IS 'Where each tag occurs in the log: the index of events.tags, which only events with tags pay for';

CREATE TABLE eventstore.types (
    name           text     COLLATE "C" NOT NULL,
    schema_version smallint NOT NULL,
    PRIMARY KEY (name, schema_version)
);
COMMENT ON TABLE eventstore.types IS 'Every shape that the log holds events of, so that a reader knows at once whether it can read them';

CREATE TABLE eventstore.snapshots (
    stream         text        COLLATE "C" NOT NULL PRIMARY KEY,
    schema_version integer     NOT NULL,
    version        bigint      NOT NULL,
    position       bigint      NOT NULL,
    taken_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    state          json        NOT NULL
);
COMMENT ON TABLE eventstore.snapshots IS 'States of aggregates, to read fewer events; disposable';
COMMENT ON COLUMN eventstore.snapshots.schema_version IS 'Of the state; another one than the code''s is not used';
COMMENT ON COLUMN eventstore.snapshots.version IS 'Of the stream, whose events up to here the state is made of';

CREATE TABLE eventstore.outbox (
    position bigint NOT NULL,
    subject  text,
    CONSTRAINT outbox_pkey PRIMARY KEY (position)
) PARTITION BY RANGE (position);
COMMENT ON TABLE eventstore.outbox IS 'Which events are told to the public; the message itself is made from the event, and has its id. Partitions that are published are dropped';
COMMENT ON COLUMN eventstore.outbox.subject IS 'Without the namespace of the installation, for example ordering.order-placed.v1; NULL if the public is told only of the messages that belong to the event';

CREATE TABLE eventstore.messages (
    position   bigint   NOT NULL,
    ordinal    smallint NOT NULL,
    message_id uuid     NOT NULL,
    stream     text     COLLATE "C" NOT NULL,
    subject    text     NOT NULL,
    body       json     NOT NULL,
    CONSTRAINT messages_pkey PRIMARY KEY (position, ordinal)
) PARTITION BY RANGE (position);
COMMENT ON TABLE eventstore.messages IS 'Messages that are no events, with their body; told behind the event at their position, which has a row in the outbox. Dropped with the partition of the outbox';
COMMENT ON COLUMN eventstore.messages.position IS 'The last event of the append that wrote it';
COMMENT ON COLUMN eventstore.messages.ordinal IS 'Place among the messages of that append: 1, 2, 3 ...';
COMMENT ON COLUMN eventstore.messages.stream IS 'What it is about: messages of one stream are told in order';
COMMENT ON COLUMN eventstore.messages.subject IS 'As in the outbox';

CREATE TABLE eventstore.claims (
    namespace text   COLLATE "C" NOT NULL,
    value     text   COLLATE "C" NOT NULL,
    stream    text   COLLATE "C" NOT NULL,
    PRIMARY KEY (namespace, value)
);
COMMENT ON TABLE eventstore.claims IS 'Values that only one stream may hold';

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
CREATE TRIGGER append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstore.tags
    FOR EACH STATEMENT EXECUTE FUNCTION eventstore.refuse_change();

-- Makes partitions until two of the events and four of the outbox, which are smaller, are empty. Safe
-- to repeat, and at the same time.
--
-- A version is unique in its stream across partitions because the append checks it under the order
-- lock; the index of each partition finds a stream's events there, and checks once more.
CREATE FUNCTION eventstore.add_partitions() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog
AS $$
DECLARE
    size        bigint;
    outbox_size bigint;
    head        bigint;
    name        text;
    existing    bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(107126926175348);
    SELECT l.partition_events, l.outbox_positions INTO size, outbox_size FROM eventstore.log AS l;
    SELECT coalesce(max(e.position), 0) INTO head FROM eventstore.events AS e;
    SELECT count(*) INTO existing FROM pg_inherits WHERE inhparent = 'eventstore.events'::regclass;
    FOR number IN existing + 1 .. head / size + 3 LOOP
        name := format('events_%s', lpad(number::text, 6, '0'));
        -- Filled in before it is attached, which locks nobody out of the log.
        EXECUTE format('CREATE TABLE eventstore.%I (LIKE eventstore.events INCLUDING ALL)', name);
        EXECUTE format('CREATE UNIQUE INDEX %I ON eventstore.%I (stream, version)', name || '_stream_version_key', name);
        EXECUTE format(
            'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstore.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION eventstore.refuse_change()', name);
        EXECUTE format(
            'ALTER TABLE eventstore.events ATTACH PARTITION eventstore.%I FOR VALUES FROM (%s) TO (%s)',
            name, (number - 1) * size + 1, number * size + 1);
    END LOOP;
    -- Those of the outbox are retired from the front, and none is made that would be behind the log.
    SELECT max(right(c.relname, 9)::bigint) INTO existing
    FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'eventstore.outbox'::regclass;
    FOR number IN greatest(existing, head / outbox_size) + 1 .. head / outbox_size + 5 LOOP
        name := format('outbox_%s', lpad(number::text, 9, '0'));
        EXECUTE format('CREATE TABLE eventstore.%I (LIKE eventstore.outbox INCLUDING ALL)', name);
        EXECUTE format(
            'ALTER TABLE eventstore.outbox ATTACH PARTITION eventstore.%I FOR VALUES FROM (%s) TO (%s)',
            name, (number - 1) * outbox_size + 1, number * outbox_size + 1);
        name := format('messages_%s', lpad(number::text, 9, '0'));
        EXECUTE format('CREATE TABLE eventstore.%I (LIKE eventstore.messages INCLUDING ALL)', name);
        EXECUTE format(
            'ALTER TABLE eventstore.messages ATTACH PARTITION eventstore.%I FOR VALUES FROM (%s) TO (%s)',
            name, (number - 1) * outbox_size + 1, number * outbox_size + 1);
    END LOOP;
END
$$;
COMMENT ON FUNCTION eventstore.add_partitions IS 'Makes partitions ahead of the log';

-- Drops the oldest partition of the outbox, with that of the messages, if all of it lies more than `margin` positions below the
-- cursor, which must be leased under this epoch. Returns the floor it leaves, NULL if there is none
-- to drop.
--
-- Dropping needs every lock there is on the outbox, and whoever appends queues behind who waits for
-- it. So nobody waits long: who looks at the outbox for longer than that puts it off, and no more.
CREATE FUNCTION eventstore.retire_outbox(cursor_name text, cursor_epoch bigint, margin bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog
SET lock_timeout = '50ms'
AS $$
DECLARE
    upto   bigint;
    bound  bigint;
    name   text;
BEGIN
    SELECT least(c.position, (SELECT max(e.position) FROM eventstore.events AS e)) - greatest(margin, 0)
    INTO upto
    FROM eventstore.cursors AS c
    WHERE c.name = cursor_name AND c.epoch = cursor_epoch AND c.expires_at > clock_timestamp();
    SELECT min(c.relname) INTO name
    FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'eventstore.outbox'::regclass;
    SELECT right(name, 9)::bigint * l.outbox_positions INTO bound FROM eventstore.log AS l;
    IF bound <= upto THEN
        EXECUTE format('DROP TABLE eventstore.%I, eventstore.%I', name, 'messages_' || right(name, 9));
        UPDATE eventstore.log SET outbox_floor = greatest(outbox_floor, bound);
        RETURN bound;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION eventstore.retire_outbox IS 'Drops a partition of the outbox that is published, and says up to where the outbox is silent now';
REVOKE EXECUTE ON FUNCTION eventstore.retire_outbox FROM PUBLIC;

SELECT eventstore.add_partitions();

-- Positions have no gap and times do not go back, so twenty steps find one in millions.
CREATE FUNCTION eventstore.position_at(moment timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog
AS $$
DECLARE
    low    bigint := 0;
    high   bigint;
    middle bigint;
BEGIN
    SELECT coalesce(max(e.position), 0) INTO high FROM eventstore.events AS e;
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        IF (SELECT e.recorded_at FROM eventstore.events AS e WHERE e.position = middle) <= moment THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    RETURN low;
END
$$;
COMMENT ON FUNCTION eventstore.position_at IS 'The position of the last event up to a moment, 0 if there is none';

-- What EventId::of does, for those who read the log in SQL.
CREATE FUNCTION eventstore.event_id("position" bigint, recorded_at timestamptz) RETURNS uuid
LANGUAGE sql STABLE
RETURN (
    SELECT (
        lpad(to_hex(floor(extract(epoch FROM event_id.recorded_at) * 1000)::bigint), 12, '0')
        || '7' || lpad(to_hex(l.bits >> 22), 3, '0')
        || to_hex((-9223372036854775808)::bigint | ((l.bits & 4194303) << 40) | event_id."position")
    )::uuid
    FROM (
        SELECT ('x' || right(replace(log.id::text, '-', ''), 9))::bit(36)::bigint & 17179869183 AS bits
        FROM eventstore.log
    ) AS l
);
COMMENT ON FUNCTION eventstore.event_id IS 'The id of the event at a position: a UUIDv7 whose free bits hold the position';
