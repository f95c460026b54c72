-- Keys for personal data: a key for each subject, and what remains of it when it is erased.
-- Why so: docs/adr/0010-personal-data.md.
CREATE TABLE eventstore.subject_keys (
    subject         text        COLLATE "C" NOT NULL PRIMARY KEY,
    key_id          uuid,
    wrapped_key     bytea,
    wrapped_by      text        COLLATE "C",
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    erased_at       timestamptz,
    erased_position bigint,
    CONSTRAINT subject_keys_key_or_tombstone
        CHECK (num_nonnulls(key_id, wrapped_key, wrapped_by) = CASE WHEN erased_at IS NULL THEN 3 ELSE 0 END)
);
COMMENT ON TABLE eventstore.subject_keys IS 'One key for each subject of personal data; an erased subject keeps its row, without a key, for ever';
COMMENT ON COLUMN eventstore.subject_keys.subject IS 'Whose data it encrypts; itself not personal';
COMMENT ON COLUMN eventstore.subject_keys.key_id IS 'Which key it is, as the sealed values name it';
COMMENT ON COLUMN eventstore.subject_keys.wrapped_key IS 'Nonce, AES-256-GCM ciphertext and tag of the 32 bytes of the key';
COMMENT ON COLUMN eventstore.subject_keys.wrapped_by IS 'Id of the key-encryption key, which the database never sees';
COMMENT ON COLUMN eventstore.subject_keys.erased_at IS 'When the key was destroyed';
COMMENT ON COLUMN eventstore.subject_keys.erased_position IS 'Position of the event that says so: in commit order, so a reader resumes from one number';

-- Every process asks several times a second what was erased since it last asked.
CREATE INDEX subject_keys_erased_position_idx
    ON eventstore.subject_keys (erased_position) INCLUDE (subject)
    WHERE erased_position IS NOT NULL;

-- Which key-encryption keys are in use, and what is still to be wrapped by another one.
CREATE INDEX subject_keys_wrapped_by_idx
    ON eventstore.subject_keys (wrapped_by, subject)
    WHERE wrapped_by IS NOT NULL;

-- What was erased stays erased.
CREATE FUNCTION eventstore.refuse_revival() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an erased subject stays erased: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER stays_erased
    BEFORE UPDATE ON eventstore.subject_keys
    FOR EACH ROW WHEN (
        OLD.erased_at IS NOT NULL AND NEW.erased_at IS DISTINCT FROM OLD.erased_at
        OR OLD.erased_position IS NOT NULL AND NEW.erased_position IS DISTINCT FROM OLD.erased_position
    )
    EXECUTE FUNCTION eventstore.refuse_revival();
CREATE TRIGGER stays_there
    BEFORE DELETE OR TRUNCATE ON eventstore.subject_keys
    FOR EACH STATEMENT EXECUTE FUNCTION eventstore.refuse_revival();

ALTER TABLE eventstore.claims ADD COLUMN subject text COLLATE "C";
COMMENT ON COLUMN eventstore.claims.subject IS 'Whose value it is; released when the subject is erased';
CREATE INDEX claims_subject_idx ON eventstore.claims (subject) WHERE subject IS NOT NULL;
