-- API keys, by which programs are let in: docs/adr/0022-identity.md.
CREATE TABLE identity.api_keys (
    key_id     uuid        NOT NULL PRIMARY KEY,
    user_id    uuid        NOT NULL,
    expires_at timestamptz,
    used_at    timestamptz
);
COMMENT ON TABLE identity.api_keys IS 'The API keys that are not revoked: what is in no event';
COMMENT ON COLUMN identity.api_keys.user_id IS 'On whose behalf it is used';
COMMENT ON COLUMN identity.api_keys.expires_at IS 'When it is over; NULL if it has no end';
COMMENT ON COLUMN identity.api_keys.used_at IS 'In which minute it was last used, as far as it was written yet; NULL if never';
CREATE INDEX api_keys_user_id_idx ON identity.api_keys (user_id);
CREATE INDEX api_keys_expires_at_idx ON identity.api_keys (expires_at);

CREATE TABLE identity.api_key_secrets (
    key_id uuid   NOT NULL REFERENCES identity.api_keys ON DELETE CASCADE,
    number bigint NOT NULL CHECK (number > 0),
    digest bytea  NOT NULL CHECK (octet_length(digest) = 32),
    PRIMARY KEY (key_id, number)
);
COMMENT ON TABLE identity.api_key_secrets IS 'The secrets of API keys, by SHA-256; which of them count, the stream of the key says';
COMMENT ON COLUMN identity.api_key_secrets.number IS 'Counts the secrets of a key; each replaces the one before';
