CREATE TABLE orders (
    order_id  uuid        NOT NULL PRIMARY KEY,
    customer  uuid,
    tenant    uuid,
    status    text        NOT NULL CHECK (status IN ('placed', 'confirmed', 'rejected')),
    total     bigint      NOT NULL,
    currency  text        NOT NULL,
    placed_at timestamptz NOT NULL,
    placed_position bigint NOT NULL UNIQUE,
    shortages jsonb       NOT NULL DEFAULT '[]',
    version   bigint      NOT NULL,
    changed_position bigint NOT NULL
);
CREATE INDEX ON orders (status, placed_position);
CREATE INDEX ON orders (customer, placed_position);
CREATE INDEX ON orders (tenant, placed_position);
COMMENT ON COLUMN orders.customer IS 'The user who placed it; NULL if nobody was logged in';
COMMENT ON COLUMN orders.tenant IS 'For which organization; NULL if for none';
COMMENT ON COLUMN orders.total IS 'In minor units of the currency';
COMMENT ON COLUMN orders.placed_position IS 'Of the event that placed it; lists are in this order';
COMMENT ON COLUMN orders.version IS 'Of the stream of the order';
COMMENT ON COLUMN orders.changed_position IS 'Of the event that changed it last';
COMMENT ON COLUMN orders.shortages IS 'Why it was rejected: [{"product_id", "requested", "available"}]';

CREATE TABLE order_lines (
    order_id   uuid    NOT NULL,
    tenant     uuid,
    line       integer NOT NULL,
    product_id uuid    NOT NULL,
    sku        text    NOT NULL,
    name       text    NOT NULL,
    quantity   bigint  NOT NULL,
    unit_price bigint  NOT NULL,
    PRIMARY KEY (order_id, line)
);
COMMENT ON COLUMN order_lines.line IS 'Counted from 0, as the customer gave them';
COMMENT ON COLUMN order_lines.unit_price IS 'In minor units of the currency of the order';

-- What of tenants is seen: see crates/projections/src/tenant.rs.
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON orders FOR SELECT TO annals_queries
    USING (current_setting('annals.tenant', true) IN ('*', coalesce(tenant::text, '-')));
ALTER TABLE order_lines ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON order_lines FOR SELECT TO annals_queries
    USING (current_setting('annals.tenant', true) IN ('*', coalesce(tenant::text, '-')));
