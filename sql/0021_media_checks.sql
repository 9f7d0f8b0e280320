-- What lies in the stores of sound beside what our rows say of it, as it was last compared: once a day,
-- organisation by organisation, store by store.

CREATE TABLE media_checks (
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    store           text NOT NULL,
    complete        boolean NOT NULL,
    objects         bigint NOT NULL DEFAULT 0,
    others          bigint NOT NULL DEFAULT 0,
    removed         bigint NOT NULL DEFAULT 0,
    removed_bytes   bigint NOT NULL DEFAULT 0,
    missing         bigint NOT NULL DEFAULT 0,
    lingering       bigint NOT NULL DEFAULT 0,
    recordings      uuid[] NOT NULL DEFAULT '{}',
    began_at        timestamptz NOT NULL DEFAULT now(),
    checked_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, store),
    CONSTRAINT media_checks_store CHECK (store IN ('disk', 's3')),
    CONSTRAINT media_checks_counts CHECK (least(objects, others, removed, removed_bytes, missing,
                                                lingering) >= 0),
    CONSTRAINT media_checks_recordings CHECK (cardinality(recordings) <= 20)
);
COMMENT ON TABLE media_checks IS 'What the last comparison of a store of sound with our rows has found.';
COMMENT ON COLUMN media_checks.organization_id IS 'Whose sound.';
COMMENT ON COLUMN media_checks.store IS 'disk or s3, as recordings.store has it.';
COMMENT ON COLUMN media_checks.complete IS 'All of the store was looked through; false: the rest is under way.';
COMMENT ON COLUMN media_checks.objects IS 'How many files with names of ours it has of the organisation.';
COMMENT ON COLUMN media_checks.others IS 'How many whose names we would not give; they are left alone.';
COMMENT ON COLUMN media_checks.removed IS 'How many of ours were removed, because they were old and no row named them.';
COMMENT ON COLUMN media_checks.removed_bytes IS 'How large those were.';
COMMENT ON COLUMN media_checks.missing IS 'How many recordings have a row and no file.';
COMMENT ON COLUMN media_checks.lingering IS 'How many recordings are deleted by their row and still have a file.';
COMMENT ON COLUMN media_checks.recordings IS 'Some of those that are missing or linger.';
COMMENT ON COLUMN media_checks.began_at IS 'When this comparison began.';
COMMENT ON COLUMN media_checks.checked_at IS 'When it was last at work.';

SELECT guard_table('media_checks');
GRANT SELECT, INSERT, UPDATE, DELETE ON media_checks TO ringbridge_serving;
GRANT SELECT ON media_checks TO ringbridge_gate;
CREATE POLICY gate ON media_checks FOR SELECT TO ringbridge_gate USING (true);
-- A day's work is planned for everybody there is.
CREATE POLICY gate ON organizations FOR SELECT TO ringbridge_gate USING (true);

-- A page of a store is compared with the rows between its first name and its last, in its order.
CREATE INDEX recordings_by_path ON recordings (organization_id, store, path COLLATE "C");

-- listed: all names that a store has behind `behind`, up to `up_to` (NULL: to its end). What is not as
-- it should be: nameless: a file that neither a recording nor work under way names; missing: a
-- recording without its file; lingering: a deleted one with it. Rows of the last day are left out:
-- they, or the file, may have come after the list was made.
CREATE FUNCTION compare_media(of_store text, behind text, up_to text, listed text[])
RETURNS TABLE (found text, path text, recording uuid)
LANGUAGE sql STABLE AS $$
    SELECT 'nameless', l.path, NULL::uuid FROM unnest(listed) AS l (path)
    WHERE NOT EXISTS (SELECT FROM recordings AS r WHERE r.organization_id = current_organization()
                      AND r.store = of_store AND r.path COLLATE "C" = l.path)
      AND NOT EXISTS (SELECT FROM jobs AS j WHERE j.organization_id = current_organization()
                      AND j.id = substring(l.path FROM 41 FOR 36)::uuid
                      AND j.state IN ('queued', 'leased'))
    UNION ALL
    SELECT 'missing', r.path, r.id FROM recordings AS r
    WHERE r.organization_id = current_organization() AND r.store = of_store AND r.state = 'ready'
      AND r.path COLLATE "C" > behind AND (up_to IS NULL OR r.path COLLATE "C" <= up_to)
      AND r.created_at < now() - interval '1 day' AND r.path <> ALL (listed)
      AND NOT EXISTS (SELECT FROM jobs AS j WHERE j.organization_id = r.organization_id
                      AND j.kind = 'recording_delete' AND j.idempotency_key = r.id::text
                      AND j.state IN ('queued', 'leased'))
    UNION ALL
    SELECT 'lingering', r.path, r.id FROM recordings AS r
    WHERE r.organization_id = current_organization() AND r.store = of_store AND r.state = 'deleted'
      AND r.path COLLATE "C" > behind AND (up_to IS NULL OR r.path COLLATE "C" <= up_to)
      AND r.deleted_at < now() - interval '1 day' AND r.path = ANY (listed)
$$;
COMMENT ON FUNCTION compare_media IS 'A page of a store''s list beside the rows that it should be.';

-- Does anything still name the file? If nothing does, then nothing will until the transaction ends: the
-- job that would make it again, should somebody want it tried once more, waits for us.
CREATE FUNCTION media_named(of_store text, file text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    maker text;
BEGIN
    SELECT state INTO maker FROM jobs WHERE organization_id = current_organization()
        AND id = substring(file FROM 41 FOR 36)::uuid FOR UPDATE;
    RETURN coalesce(maker IN ('queued', 'leased'), false)
        OR EXISTS (SELECT FROM recordings AS r WHERE r.organization_id = current_organization()
                   AND r.store = of_store AND r.path COLLATE "C" = file);
END
$$;
COMMENT ON FUNCTION media_named IS 'Asked in the transaction in which a file is removed.';

-- Every organisation's stores once a day, by whichever control's clock strikes; the day is the key.
CREATE FUNCTION plan_media_checks() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    owner uuid;
    today text := to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD');
    made integer := 0;
BEGIN
    FOR owner IN SELECT id FROM organizations LOOP
        PERFORM set_config('ringbridge.organization', owner::text, true);
        IF enqueue_job(owner, 'media_check', today, jsonb_build_object('day', today), 5) THEN
            made := made + 1;
        END IF;
    END LOOP;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN made;
END
$$;
COMMENT ON FUNCTION plan_media_checks IS 'Makes the day''s comparisons of stores, once each.';

-- For gauges: no organisation is named in it.
CREATE FUNCTION count_media_checks() RETURNS TABLE (missing bigint, lingering bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT coalesce(sum(c.missing), 0)::bigint, coalesce(sum(c.lingering), 0)::bigint
    FROM media_checks AS c
$$;
COMMENT ON FUNCTION count_media_checks IS 'How many recordings lack their file, or have one that should be gone.';

GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION plan_media_checks OWNER TO ringbridge_gate;
ALTER FUNCTION count_media_checks OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;
REVOKE ALL ON FUNCTION plan_media_checks, count_media_checks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION plan_media_checks, count_media_checks TO ringbridge_serving;
