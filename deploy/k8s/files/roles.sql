-- The login roles of Hythe, made once by an administrator connected to Hythe's own (empty) database:
--
--     psql "$ADMIN_URL/hythe" -v ON_ERROR_STOP=1 -f migrations/roles.sql
--
-- Run it again at will: it makes what is missing and refuses a role that could step over row-level security. Passwords are
-- not set here; give each role its own with ALTER ROLE … PASSWORD. What each role may do on which table comes from the
-- migrations, which run as hythe_owner (schema/security.py lists it).

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY[
        'hythe_owner',     -- owns every table but staging's, runs the migrations, serves nothing
        'hythe_upload',    -- the upload service
        'hythe_importer',  -- the importer's API, and retention
        'hythe_dispatch',  -- the dispatcher: which imports of any tenant wait, and nothing of what is in them
        'hythe_worker',    -- the workers; owns the schema staging
        'hythe_fetcher',   -- the fetcher: lands what import sources are asked for
        'hythe_status',    -- the status service: reads
        'hythe_identity',  -- the identity service: the only one in the schema identity
        'hythe_audit'      -- appends to the audit log, for every service
    ] LOOP
        -- NOINHERIT: hythe_owner may become hythe_worker to make its tables, but does not act with its rights otherwise.
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', role_name);
        END IF;
        IF EXISTS (
            SELECT FROM pg_roles
            WHERE rolname = role_name AND (rolsuper OR rolbypassrls OR rolinherit OR rolcreatedb OR rolcreaterole)
        ) THEN
            RAISE 'The role % exists with more rights than Hythe gives it.', role_name;
        END IF;
    END LOOP;

    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO hythe_owner, hythe_upload, hythe_importer, hythe_dispatch, hythe_worker, '
        'hythe_fetcher, hythe_status, hythe_identity, hythe_audit', current_database());
    EXECUTE format('GRANT CREATE ON DATABASE %I TO hythe_owner', current_database());
    -- A merge works in temporary tables.
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO hythe_worker', current_database());
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO hythe_owner;
GRANT hythe_worker TO hythe_owner;
ALTER ROLE hythe_status SET default_transaction_read_only = on;
