CREATE TABLE organizations (
    organization_id uuid        NOT NULL PRIMARY KEY,
    name            text        NOT NULL,
    owner           uuid        NOT NULL,
    created_at      timestamptz NOT NULL,
    created_position bigint     NOT NULL UNIQUE,
    is_closed       boolean     NOT NULL
);
COMMENT ON COLUMN organizations.created_position IS 'Of the event that created it; lists are in this order';

CREATE TABLE members (
    organization_id uuid NOT NULL,
    user_id         uuid NOT NULL,
    role            text,
    PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX ON members (user_id, organization_id);
COMMENT ON COLUMN members.role IS 'NULL of the owner';

-- What of tenants is seen: see crates/projections/src/tenant.rs. Each is its own.
ALTER TABLE organizations ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON organizations FOR SELECT TO annals_queries
    USING (current_setting('annals.tenant', true) IN ('*', organization_id::text));
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON members FOR SELECT TO annals_queries
    USING (current_setting('annals.tenant', true) IN ('*', organization_id::text));
