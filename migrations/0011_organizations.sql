-- Tenants: docs/adr/0024-tenancy.md.

-- Who is invited, by digest: by this an invitation is found by whoever has proved to have the address.
CREATE TABLE identity.invitations (
    invitation_id   uuid        NOT NULL PRIMARY KEY,
    organization_id uuid        NOT NULL,
    address         bytea       NOT NULL CHECK (octet_length(address) = 32),
    expires_at      timestamptz NOT NULL,
    is_over         boolean     NOT NULL DEFAULT false
);
COMMENT ON TABLE identity.invitations IS 'Invitations to organizations, until what is personal in them is erased';
COMMENT ON COLUMN identity.invitations.address IS 'Who is invited, as a digest under a key that the database never sees';
COMMENT ON COLUMN identity.invitations.is_over IS 'It was accepted, declined, withdrawn or replaced';
CREATE INDEX invitations_address_idx ON identity.invitations (address);
CREATE INDEX invitations_organization_id_idx ON identity.invitations (organization_id);
CREATE INDEX invitations_expires_at_idx ON identity.invitations (expires_at);

-- Who asks read models. It can only read, and of what belongs to an organization only what it says that it asks for:
-- policies of the tables of read models let it see the rows of `annals.tenant`.
DO $$
BEGIN
    -- Roles are of the whole cluster: another database of it, or somebody else a moment ago, may have made it; so may
    -- an administrator, where the owner of this database may not.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'annals_queries') THEN
        CREATE ROLE annals_queries NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
DO $$
BEGIN
    -- Who makes a role may give it, but is not it by that (PostgreSQL 16).
    EXECUTE format('GRANT annals_queries TO %I', current_user);
EXCEPTION
    -- Another role may be the one that asks: see deploy/roles.sql.
    WHEN insufficient_privilege THEN RAISE NOTICE '% cannot become annals_queries', current_user;
END
$$;
GRANT USAGE ON SCHEMA eventstore, projections TO annals_queries;
GRANT SELECT ON ALL TABLES IN SCHEMA eventstore, projections TO annals_queries;
GRANT EXECUTE ON FUNCTION eventstore.first_match, eventstore.position_at, eventstore.event_id TO annals_queries;
