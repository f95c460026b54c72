CREATE TABLE products (
    product_id      uuid   NOT NULL PRIMARY KEY,
    sku             text   NOT NULL,
    name            text   NOT NULL,
    price           bigint NOT NULL,
    currency        text   NOT NULL,
    available       bigint NOT NULL CHECK (available >= 0),
    listed_position bigint NOT NULL UNIQUE,
    sku_key         text   NOT NULL COLLATE "C",
    version         bigint NOT NULL,
    changed_position bigint NOT NULL
);
CREATE INDEX ON products (sku_key);
COMMENT ON COLUMN products.sku_key IS 'The SKU in the form in which it is unique';
COMMENT ON COLUMN products.version IS 'Of the stream of the product';
COMMENT ON COLUMN products.changed_position IS 'Of the event that changed it last, that of its stock maybe';
COMMENT ON COLUMN products.price IS 'Of one, in minor units of the currency';
COMMENT ON COLUMN products.available IS 'How many can still be reserved';
COMMENT ON COLUMN products.listed_position IS 'Of the event that listed it; lists are in this order';
