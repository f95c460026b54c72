-- The role that the processes of Annals connect as, once the owner has migrated the database.
--
--   psql --set role=annals_app --file deploy/roles.sql "$OWNER_DATABASE_URL"
--
-- It appends through eventstore.append and cannot write the log in any other way: it may insert,
-- update or delete no event, no outbox row, no tag, no command record and no claim. `annals migrate`,
-- `annals events import`, `annals erase` and `annals keys rotate` are run as the owner, whose password
-- no serving process has.
\if :{?role}
\else
    \set role annals_app
\endif

GRANT USAGE ON SCHEMA eventstore TO :"role";

-- The log is read; it is written by functions that run as their owner.
GRANT SELECT ON ALL TABLES IN SCHEMA eventstore TO :"role";
GRANT EXECUTE ON FUNCTION eventstore.append, eventstore.add_partitions, eventstore.retire_outbox, eventstore.first_match,
    eventstore.position_at, eventstore.event_id TO :"role";

-- What followers and aggregates keep for themselves.
GRANT INSERT, UPDATE, DELETE ON eventstore.cursors, eventstore.snapshots TO :"role";

-- A new subject of personal data gets a key.
GRANT INSERT ON eventstore.subject_keys TO :"role";

-- Queries are asked as a role that only reads, and sees of tenants what it says that it asks for.
GRANT annals_queries TO :"role";

-- Read models are disposable, and belong to whoever makes them.
SELECT format('GRANT CREATE ON DATABASE %I TO %I', current_database(), :'role') \gexec

-- Where the inbox, the read models, the jobs and the migrator of Annals are; the event store can be used without
-- them.
SELECT to_regclass('relay.inbox') IS NOT NULL AS has_inbox,
       to_regclass('projections.slots') IS NOT NULL AS has_read_models,
       to_regclass('http.cursor_key') IS NOT NULL AS has_http,
       to_regclass('identity.passwords') IS NOT NULL AS has_identity,
       to_regclass('jobs.runs') IS NOT NULL AS has_jobs,
       to_regclass('public._sqlx_migrations') IS NOT NULL AS has_migrator \gset
\if :has_inbox
    GRANT USAGE ON SCHEMA relay TO :"role";
    GRANT SELECT ON ALL TABLES IN SCHEMA relay TO :"role";
    GRANT INSERT ON relay.inbox TO :"role";
    GRANT INSERT, UPDATE, DELETE ON relay.consumers, relay.progress, relay.interrupted, relay.dead_letters TO :"role";
    -- What people did is added to and stays.
    GRANT INSERT ON relay.interventions TO :"role";
    GRANT EXECUTE ON FUNCTION relay.prepare_inbox, relay.retire_inbox TO :"role";
\endif
\if :has_read_models
    GRANT USAGE ON SCHEMA projections TO :"role";
    GRANT SELECT ON ALL TABLES IN SCHEMA projections TO :"role";
    GRANT INSERT, UPDATE, DELETE ON projections.workers, projections.generations, projections.slots,
        projections.parked_keys, projections.parked_events, projections.digests TO :"role";
    -- What people did is added to and stays.
    GRANT INSERT ON projections.interventions TO :"role";
    GRANT EXECUTE ON FUNCTION projections.attend TO :"role";
\endif
\if :has_http
    GRANT USAGE ON SCHEMA http TO :"role";
    GRANT SELECT ON http.cursor_key TO :"role";
\endif
\if :has_identity
    GRANT USAGE ON SCHEMA identity TO :"role";
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA identity TO :"role";
\endif
\if :has_jobs
    GRANT EXECUTE ON FUNCTION eventstore.forget_commands TO :"role";
    GRANT USAGE ON SCHEMA jobs TO :"role";
    GRANT SELECT ON ALL TABLES IN SCHEMA jobs TO :"role";
    GRANT INSERT, UPDATE, DELETE ON jobs.plans, jobs.runs TO :"role";
    -- What people did is added to and stays.
    GRANT INSERT ON jobs.interventions TO :"role";
\endif
\if :has_migrator
    GRANT SELECT ON public._sqlx_migrations TO :"role";
\endif
