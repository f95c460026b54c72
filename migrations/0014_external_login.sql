-- Logins at providers of identities that were begun: docs/adr/0023-external-login.md.
CREATE TABLE identity.external_logins (
    state        bytea       NOT NULL PRIMARY KEY CHECK (octet_length(state) = 32),
    binding      bytea       NOT NULL CHECK (octet_length(binding) = 32),
    provider     text        NOT NULL,
    redirect_uri text        NOT NULL,
    user_id      uuid,
    expires_at   timestamptz NOT NULL,
    busy_until   timestamptz
);
COMMENT ON TABLE identity.external_logins IS 'Logins at providers that were begun and not completed; each is completed once';
COMMENT ON COLUMN identity.external_logins.state IS 'What comes back with the browser, as a digest under a key that the database never sees; verifier and nonce are made of it';
COMMENT ON COLUMN identity.external_logins.binding IS 'What only the client knows that began it, as such a digest';
COMMENT ON COLUMN identity.external_logins.user_id IS 'Who wants to link the identity; nobody if it is to let somebody in';
COMMENT ON COLUMN identity.external_logins.busy_until IS 'Until when somebody else may not complete it: a provider that sees a code twice takes back what it gave for it';
CREATE INDEX external_logins_expires_at_idx ON identity.external_logins (expires_at);
