CREATE TABLE products (
    product_id      uuid   NOT NULL PRIMARY KEY,
    sku             text   NOT NULL,
    name            text   NOT NULL,
    price           bigint NOT NULL,
    currency        text   NOT NULL,
    available       bigint NOT NULL CHECK (available >= 0),
    listed_position bigint NOT NULL UNIQUE
);
COMMENT ON COLUMN products.price IS 'Of one, in minor units of the currency';
COMMENT ON COLUMN products.available IS 'How many can still be reserved';
COMMENT ON COLUMN products.listed_position IS 'Of the event that listed it; lists are in this order';
