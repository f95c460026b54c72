CREATE TABLE users (
    user_id       uuid        NOT NULL PRIMARY KEY,
    standing      text        NOT NULL CHECK (standing IN ('active', 'suspended', 'deactivated')),
    is_verified   boolean     NOT NULL,
    roles         text[]      NOT NULL,
    registered_at timestamptz NOT NULL,
    registered_position bigint NOT NULL UNIQUE,
    last_login_at timestamptz
);
CREATE INDEX ON users (standing, registered_position);
CREATE INDEX ON users USING gin (roles);
COMMENT ON COLUMN users.roles IS 'What the user is granted, in the order of the alphabet';
COMMENT ON COLUMN users.registered_position IS 'Of the event that opened the account; lists are in this order';
COMMENT ON COLUMN users.last_login_at IS 'When the last session was started; NULL if none was';
