-- What the processes that serve the API share, besides the log and the read models.

CREATE SCHEMA http;

CREATE TABLE http.cursor_key (
    one boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (one),
    key bytea   NOT NULL CHECK (octet_length(key) = 32)
);
COMMENT ON TABLE http.cursor_key IS 'What the cursors of lists are signed with, by every process';

-- 244 random bits. Whoever knows them can begin a page of a list where they please, and no more.
INSERT INTO http.cursor_key (key)
VALUES (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
