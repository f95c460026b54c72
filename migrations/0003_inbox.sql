-- Messages that consumers have taken effect of; the mark commits together with the effect.
CREATE SCHEMA relay;
COMMENT ON SCHEMA relay IS 'What crosses the message broker';

CREATE TABLE relay.inbox (
    consumer    text        NOT NULL,
    message_id  uuid        NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, message_id)
);
COMMENT ON TABLE relay.inbox IS 'One row per consumer and message: delivered again, it changes nothing';
