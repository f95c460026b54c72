-- What crosses the message broker: who consumes, what has taken effect, and what could not.
-- A service that only consumes needs this file alone.
CREATE SCHEMA relay;
COMMENT ON SCHEMA relay IS 'What crosses the message broker';

CREATE TABLE relay.consumers (
    name       text        COLLATE "C" NOT NULL PRIMARY KEY,
    epoch      bigint      NOT NULL,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE relay.consumers IS 'Which copy of a consumer works; the others stand by';
COMMENT ON COLUMN relay.consumers.epoch IS 'Counts owners, so that a late one notices that it is no owner any more';

-- The mark of a message commits together with its effect. The day is that of the message, not of its
-- delivery, so that the same message always comes to the same partition and finds its mark there.
CREATE TABLE relay.inbox (
    consumer   text COLLATE "C" NOT NULL,
    message_id uuid NOT NULL,
    day        date NOT NULL,
    PRIMARY KEY (consumer, message_id, day)
) PARTITION BY RANGE (day);
COMMENT ON TABLE relay.inbox IS 'One row per consumer and message: delivered again, it changes nothing';
COMMENT ON COLUMN relay.inbox.day IS 'Of the message (ce-time, UTC)';

CREATE TABLE relay.inbox_days (
    day        date NOT NULL PRIMARY KEY,
    touched_on date NOT NULL
);
COMMENT ON TABLE relay.inbox_days IS 'When the last marks came into each partition of the inbox';

-- Makes sure that marks of messages of these days have a partition. Safe to repeat, and at the same time.
CREATE FUNCTION relay.prepare_inbox(days date[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog
AS $$
DECLARE
    needed date;
    name   text;
BEGIN
    PERFORM pg_advisory_xact_lock(107126926175349);
    FOREACH needed IN ARRAY days LOOP
        name := 'inbox_' || to_char(needed, 'YYYYMMDD');
        IF to_regclass('relay.' || quote_ident(name)) IS NULL THEN
            -- Made before it is attached, which locks nobody out of the inbox.
            EXECUTE format('CREATE TABLE relay.%I (LIKE relay.inbox INCLUDING ALL)', name);
            EXECUTE format('ALTER TABLE relay.inbox ATTACH PARTITION relay.%I FOR VALUES FROM (%L) TO (%L)',
                name, needed, needed + 1);
        END IF;
        INSERT INTO relay.inbox_days AS known (day, touched_on)
        VALUES (needed, (clock_timestamp() AT TIME ZONE 'UTC')::date)
        ON CONFLICT (day) DO UPDATE SET touched_on = excluded.touched_on;
    END LOOP;
END
$$;
COMMENT ON FUNCTION relay.prepare_inbox IS 'Makes the partitions of the inbox that messages of these days need';

-- Drops the marks of days into which none came for `keep_days` days, and says how many days that were.
-- Whoever holds one of them is not waited for: it is tried again the next time.
CREATE FUNCTION relay.retire_inbox(keep_days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog
SET lock_timeout = '200ms'
AS $$
DECLARE
    old     date;
    retired integer := 0;
BEGIN
    IF keep_days < 1 THEN
        RAISE EXCEPTION 'marks are kept for a day at least, not for %', keep_days
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(107126926175349);
    FOR old IN
        SELECT d.day
        FROM relay.inbox_days AS d
        WHERE d.touched_on < (clock_timestamp() AT TIME ZONE 'UTC')::date - keep_days
        ORDER BY d.day
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE IF EXISTS relay.%I', 'inbox_' || to_char(old, 'YYYYMMDD'));
            DELETE FROM relay.inbox_days AS d WHERE d.day = old;
            retired := retired + 1;
        EXCEPTION WHEN lock_not_available THEN
            RETURN retired;
        END;
    END LOOP;
    RETURN retired;
END
$$;
COMMENT ON FUNCTION relay.retire_inbox IS 'Drops marks into whose day none came for a number of days';

-- Instead of a row per message, where the messages of a source come in the order of their positions.
CREATE TABLE relay.progress (
    consumer text     COLLATE "C" NOT NULL,
    source   uuid     NOT NULL,
    slot     smallint NOT NULL,
    position bigint   NOT NULL,
    ordinal  integer  NOT NULL,
    PRIMARY KEY (consumer, source, slot)
) WITH (fillfactor = 50);
COMMENT ON TABLE relay.progress IS 'Up to where a consumer has taken effect of the messages whose keys fall into a slot';
COMMENT ON COLUMN relay.progress.source IS 'The log whose positions these are';

CREATE TABLE relay.interrupted (
    consumer   text    COLLATE "C" NOT NULL,
    message_id uuid    NOT NULL,
    times      integer NOT NULL,
    PRIMARY KEY (consumer, message_id)
);
COMMENT ON TABLE relay.interrupted IS 'Messages that were in hand when a process ended, and how often: one of them may be why';

CREATE TABLE relay.dead_letters (
    id                bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer          text        COLLATE "C" NOT NULL,
    key               text        COLLATE "C" NOT NULL,
    message_id        uuid        NOT NULL,
    state             text        NOT NULL
        CHECK (state IN ('retrying', 'dead', 'waiting', 'sending', 'sent', 'discarded')),
    attempts          integer     NOT NULL DEFAULT 0,
    next_attempt_at   timestamptz CHECK ((state = 'retrying') = (next_attempt_at IS NOT NULL)),
    error             text,
    held_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_attempt_at   timestamptz,
    subject           text        NOT NULL,
    headers           json        NOT NULL,
    body              bytea       NOT NULL,
    position          bigint      NOT NULL DEFAULT 0,
    ordinal           integer     NOT NULL DEFAULT 0,
    sent_sequence     bigint      CHECK (state NOT IN ('sending', 'sent') OR sent_sequence IS NOT NULL),
    UNIQUE (consumer, message_id),
    CHECK (state NOT IN ('sending', 'sent', 'discarded') OR position > 0)
);
CREATE INDEX dead_letters_order ON relay.dead_letters (consumer, key, position, ordinal, id);
COMMENT ON TABLE relay.dead_letters IS 'Messages that failed, and those of the same key behind them, in order';
COMMENT ON COLUMN relay.dead_letters.id IS 'Rises in the order in which the messages of a key take effect, where they have no position';
COMMENT ON COLUMN relay.dead_letters.state IS 'retrying: tried again by itself; dead: only when somebody says so; waiting: behind another of its key. Only what a publisher holds: sending: on its way to the stream; sent: in the stream, out of its place; discarded: never to be sent';
COMMENT ON COLUMN relay.dead_letters.position IS 'Of what a publisher holds, where it stands in the log; otherwise 0';
COMMENT ON COLUMN relay.dead_letters.ordinal IS 'Of a message that is no event, its place behind the event at the position';
COMMENT ON COLUMN relay.dead_letters.sent_sequence IS 'Where in the stream it is, or would be if it has arrived';
COMMENT ON COLUMN relay.dead_letters.attempts IS 'Counted before each, so that one that ends the process is counted too';

CREATE TABLE relay.interventions (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor      text        NOT NULL,
    action     text        NOT NULL CHECK (action IN ('retry', 'discard')),
    consumer   text        COLLATE "C" NOT NULL,
    key        text        COLLATE "C" NOT NULL,
    message_id uuid        NOT NULL,
    subject    text        NOT NULL,
    attempts   integer     NOT NULL,
    error      text,
    reason     text        CHECK (action <> 'discard' OR reason IS NOT NULL)
);
COMMENT ON TABLE relay.interventions IS 'What people did to dead letters, and why';

CREATE FUNCTION relay.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was done stays recorded: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON relay.interventions
    FOR EACH STATEMENT EXECUTE FUNCTION relay.refuse_change();
