-- What must be known of users and must be in no event: docs/adr/0022-identity.md.
CREATE SCHEMA identity;
COMMENT ON SCHEMA identity IS 'Secrets of users and of the installation; written in the transaction of the append that makes them true';

CREATE TABLE identity.passwords (
    user_id    uuid        NOT NULL PRIMARY KEY,
    hash       text        NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE identity.passwords IS 'How each user proves to be the one';
COMMENT ON COLUMN identity.passwords.hash IS 'argon2id or, imported, bcrypt; with salt and parameters';

CREATE TABLE identity.mailed_tokens (
    digest     bytea       NOT NULL PRIMARY KEY CHECK (octet_length(digest) = 32),
    user_id    uuid        NOT NULL,
    purpose    text        NOT NULL CHECK (purpose IN ('verify-email', 'reset-password')),
    address    bytea       NOT NULL CHECK (octet_length(address) = 32),
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE identity.mailed_tokens IS 'What was mailed to users, by SHA-256; used once';
COMMENT ON COLUMN identity.mailed_tokens.address IS 'The address it was mailed to, as a digest under a key that the database never sees';
CREATE INDEX mailed_tokens_user_id_idx ON identity.mailed_tokens (user_id, purpose);
CREATE INDEX mailed_tokens_expires_at_idx ON identity.mailed_tokens (expires_at);

CREATE TABLE identity.refresh_tokens (
    session_id  uuid        NOT NULL PRIMARY KEY,
    user_id     uuid        NOT NULL,
    salt        bytea       NOT NULL CHECK (octet_length(salt) = 16),
    number      integer     NOT NULL DEFAULT 1 CHECK (number > 0),
    is_forgiven boolean     NOT NULL DEFAULT false,
    rotated_at  timestamptz NOT NULL,
    used_at     timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);
COMMENT ON TABLE identity.refresh_tokens IS 'The refresh token of each session: the last one, of which only this is kept';
COMMENT ON COLUMN identity.refresh_tokens.salt IS 'Goes into each token, besides a key that the database never sees';
COMMENT ON COLUMN identity.refresh_tokens.number IS 'Counts the tokens; each replaces the one before';
COMMENT ON COLUMN identity.refresh_tokens.is_forgiven IS 'The one before was used again once, because its answer was lost';
COMMENT ON COLUMN identity.refresh_tokens.expires_at IS 'When the session is over if it is not used';
CREATE INDEX refresh_tokens_user_id_idx ON identity.refresh_tokens (user_id);
CREATE INDEX refresh_tokens_expires_at_idx ON identity.refresh_tokens (expires_at);

CREATE TABLE identity.signing_keys (
    public_key bytea       NOT NULL PRIMARY KEY CHECK (octet_length(public_key) = 32),
    seed       json        NOT NULL,
    not_before timestamptz NOT NULL,
    not_after  timestamptz NOT NULL CHECK (not_after > not_before)
);
COMMENT ON TABLE identity.signing_keys IS 'The keys of access tokens';
COMMENT ON COLUMN identity.signing_keys.seed IS 'The private half, sealed under a key that the database never sees';
COMMENT ON COLUMN identity.signing_keys.not_before IS 'From when on it signs; it is published before';

CREATE TABLE identity.failures (
    target       bytea       NOT NULL PRIMARY KEY CHECK (octet_length(target) = 32),
    count        integer     NOT NULL CHECK (count > 0),
    last_at      timestamptz NOT NULL,
    locked_until timestamptz NOT NULL
);
COMMENT ON TABLE identity.failures IS 'Logins that failed, by account and by network address';
COMMENT ON COLUMN identity.failures.target IS 'Of which: a digest under a key that the database never sees';
CREATE INDEX failures_last_at_idx ON identity.failures (last_at);
