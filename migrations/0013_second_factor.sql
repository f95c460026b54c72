-- What proves besides the password that somebody is the one, and from where users have come in:
-- docs/adr/0022-identity.md.
CREATE TABLE identity.second_factors (
    user_id      uuid        NOT NULL PRIMARY KEY,
    enrolment    uuid        NOT NULL,
    seed         json        NOT NULL,
    last_step    bigint      NOT NULL CHECK (last_step >= 0),
    confirmed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE identity.second_factors IS 'What each user with a second factor shares with a device';
COMMENT ON COLUMN identity.second_factors.enrolment IS 'Another one for each seed, so that no step of one is written to another';
COMMENT ON COLUMN identity.second_factors.seed IS 'Sealed under the key of the user, which the database never sees';
COMMENT ON COLUMN identity.second_factors.last_step IS 'The last step of which a code was used: of it and of those before none is taken any more';

CREATE TABLE identity.pending_second_factors (
    user_id    uuid        NOT NULL PRIMARY KEY,
    enrolment  uuid        NOT NULL,
    seed       json        NOT NULL,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE identity.pending_second_factors IS 'Seeds that were told to a user of whom no code has confirmed it yet';
CREATE INDEX pending_second_factors_expires_at_idx ON identity.pending_second_factors (expires_at);

CREATE TABLE identity.recovery_codes (
    user_id uuid  NOT NULL,
    digest  bytea NOT NULL CHECK (octet_length(digest) = 32),
    PRIMARY KEY (user_id, digest)
);
COMMENT ON TABLE identity.recovery_codes IS 'Codes for when the device is lost, by SHA-256; each is removed when it is used';

CREATE TABLE identity.devices (
    user_id       uuid        NOT NULL,
    digest        bytea       NOT NULL CHECK (octet_length(digest) = 32),
    first_session uuid        NOT NULL,
    first_at      timestamptz NOT NULL,
    PRIMARY KEY (user_id, digest)
);
COMMENT ON TABLE identity.devices IS 'From where each user has come in: who comes from elsewhere is mailed';
COMMENT ON COLUMN identity.devices.digest IS 'Of program and network, under a key that the database never sees';
COMMENT ON COLUMN identity.devices.first_session IS 'The session that was the first from there';
