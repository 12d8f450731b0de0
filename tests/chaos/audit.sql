-- What a test database notes beside the service's own tables, so that the checker can judge commits that are over.
-- Nothing of the service knows of it. DROP SCHEMA chaos CASCADE removes all of it, the triggers with it.
--
-- Functions run as their owner, past row-level security. Rows about a commit are stamped by deferred triggers, which
-- run when the transaction commits: what they see of import_claims is what is committed at that moment.
--
-- Who writes is told by the session: a worker of a test has `options=-c chaos.worker=<name>` in its database URL. With
-- one slot in each lane, a worker has one attempt at an import at a time: the latest that it has claimed.

CREATE SCHEMA chaos;

CREATE TABLE chaos.transitions (
    number bigint GENERATED ALWAYS AS IDENTITY, import_id uuid, at timestamptz, before text, after text
);
CREATE TABLE chaos.claims (import_id uuid, attempt int, worker text);
CREATE TABLE chaos.writes (
    transaction xid8, import_id uuid, relation text, worker text, attempt int, attempt_at_commit int,
    PRIMARY KEY (transaction, import_id, relation)
);
CREATE TABLE chaos.dispatches (number bigint GENERATED ALWAYS AS IDENTITY, import_id uuid, sequence bigint);
CREATE TABLE chaos.announcements (import_id uuid);

CREATE FUNCTION chaos.note_transition() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO chaos.transitions (import_id, at, before, after)
    VALUES (NEW.import_id, clock_timestamp(), CASE TG_OP WHEN 'UPDATE' THEN OLD.state ELSE '' END, NEW.state);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER chaos_inserted AFTER INSERT ON imports
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chaos.note_transition();
CREATE CONSTRAINT TRIGGER chaos_moved AFTER UPDATE ON imports
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION chaos.note_transition();

CREATE FUNCTION chaos.note_claim() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO chaos.claims VALUES (NEW.import_id, NEW.attempt, current_setting('chaos.worker', true));
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_claimed AFTER UPDATE ON import_claims
    FOR EACH ROW WHEN (OLD.attempt IS DISTINCT FROM NEW.attempt) EXECUTE FUNCTION chaos.note_claim();

CREATE FUNCTION chaos.note_publish() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO chaos.dispatches (import_id, sequence) VALUES (NEW.import_id, NEW.stream_sequence);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_published AFTER UPDATE ON outbox
    FOR EACH ROW WHEN (NEW.topic = 'run' AND NEW.dispatch_number > OLD.dispatch_number)
    EXECUTE FUNCTION chaos.note_publish();

CREATE FUNCTION chaos.note_announcement() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO chaos.announcements VALUES (NEW.import_id);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_announced AFTER INSERT ON outbox
    FOR EACH ROW WHEN (NEW.topic = 'ended') EXECUTE FUNCTION chaos.note_announcement();

-- One row for each transaction, import and table, by statements: a merge writes hundreds of thousands of rows.
CREATE FUNCTION chaos.note_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    me text := nullif(current_setting('chaos.worker', true), '');
BEGIN
    IF me IS NOT NULL THEN
        INSERT INTO chaos.writes
        SELECT pg_current_xact_id(), w.import_id, TG_TABLE_NAME, me,
               (SELECT max(c.attempt) FROM chaos.claims c WHERE c.import_id = w.import_id AND c.worker = me), NULL
        FROM (SELECT DISTINCT import_id FROM written WHERE import_id IS NOT NULL) w
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
-- A checkpoint carries the attempt that wrote it, which is better than the session's word.
CREATE FUNCTION chaos.note_checkpoint() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO chaos.writes VALUES (
        pg_current_xact_id(), NEW.import_id, TG_TABLE_NAME, current_setting('chaos.worker', true), NEW.attempt, NULL
    ) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE FUNCTION chaos.compare_attempts() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    UPDATE chaos.writes w
    SET attempt_at_commit = (SELECT c.attempt FROM import_claims c WHERE c.import_id = w.import_id)
    WHERE (w.transaction, w.import_id, w.relation) = (NEW.transaction, NEW.import_id, NEW.relation);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER chaos_compared AFTER INSERT ON chaos.writes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chaos.compare_attempts();

DO $$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY ARRAY[
        'findings', 'assets', 'affected_assets', 'evidence', 'before_images', 'sightings', 'row_errors'
    ] LOOP
        EXECUTE format(
            'CREATE TRIGGER chaos_written AFTER INSERT ON %I REFERENCING NEW TABLE AS written '
            'FOR EACH STATEMENT EXECUTE FUNCTION chaos.note_write()', relation);
    END LOOP;
END $$;
CREATE TRIGGER chaos_written AFTER INSERT OR UPDATE ON staging.checkpoints
    FOR EACH ROW EXECUTE FUNCTION chaos.note_checkpoint();
