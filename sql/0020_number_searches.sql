-- Searches of numbers that the carrier has to give away, as the API does them: a question is a row, a
-- job asks the carrier, and what it found stands in the row for a day. It is an offer of that moment,
-- made to everybody, so nothing is kept of it longer.

CREATE TABLE number_searches (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    country         text NOT NULL,
    kind            text NOT NULL,
    area_code       text,
    contains        text,
    numbers_max     integer NOT NULL,
    state           text NOT NULL DEFAULT 'queued',
    numbers         jsonb NOT NULL DEFAULT '[]',
    error           text,
    searched_by     text NOT NULL,
    deadline_at     timestamptz NOT NULL DEFAULT now() + interval '5 minutes',
    finished_at     timestamptz,
    expires_at      timestamptz NOT NULL DEFAULT now() + interval '1 day',
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT number_searches_country CHECK (country ~ '^[A-Z]{2}$'),
    CONSTRAINT number_searches_kind CHECK (kind IN ('local', 'toll_free', 'mobile')),
    CONSTRAINT number_searches_area CHECK (area_code ~ '^[0-9]{2,6}$'),
    CONSTRAINT number_searches_contains CHECK (contains ~ '^[0-9A-Za-z*%+$]{2,16}$'),
    CONSTRAINT number_searches_max CHECK (numbers_max BETWEEN 1 AND 50),
    CONSTRAINT number_searches_state CHECK (state IN ('queued', 'done', 'failed')),
    CONSTRAINT number_searches_finished CHECK ((state = 'queued') = (finished_at IS NULL)),
    CONSTRAINT number_searches_numbers
        CHECK (jsonb_typeof(numbers) = 'array' AND jsonb_array_length(numbers) <= numbers_max
               AND length(numbers::text) <= 65536),
    CONSTRAINT number_searches_error
        CHECK ((state = 'failed') = (error IS NOT NULL) AND length(error) <= 1000),
    CONSTRAINT number_searches_by CHECK (length(searched_by) BETWEEN 1 AND 200)
);
CREATE INDEX number_searches_by_time ON number_searches (organization_id, created_at DESC, id);
CREATE INDEX number_searches_by_expiry ON number_searches (expires_at);
COMMENT ON TABLE number_searches IS
    'What organisations asked the carrier to have, and what it had, for a day; a hundred of each organisation at most.';
COMMENT ON COLUMN number_searches.id IS 'Its id.';
COMMENT ON COLUMN number_searches.organization_id IS 'For whom it is searched.';
COMMENT ON COLUMN number_searches.country IS 'ISO 3166, two letters.';
COMMENT ON COLUMN number_searches.kind IS 'local, toll_free or mobile.';
COMMENT ON COLUMN number_searches.area_code IS 'Digits; NULL: any.';
COMMENT ON COLUMN number_searches.contains IS 'Digits, letters, * for any digit; NULL: any.';
COMMENT ON COLUMN number_searches.numbers_max IS 'So many are enough.';
COMMENT ON COLUMN number_searches.state IS 'queued; done; failed: error says why.';
COMMENT ON COLUMN number_searches.numbers IS
    'What there was: number, locality, region, address_requirements, capabilities.';
COMMENT ON COLUMN number_searches.error IS 'Why it is not known what there was.';
COMMENT ON COLUMN number_searches.searched_by IS 'By whom: a token''s label.';
COMMENT ON COLUMN number_searches.deadline_at IS 'Whoever waits for it has gone by then; one that is queued still counts as failed.';
COMMENT ON COLUMN number_searches.finished_at IS 'When it was done or failed.';
COMMENT ON COLUMN number_searches.expires_at IS 'From then on it is shown to nobody, and the row may go.';
COMMENT ON COLUMN number_searches.created_at IS 'When it was asked for.';
COMMENT ON COLUMN number_searches.updated_at IS 'When the row was last changed; kept by a trigger.';

SELECT guard_table('number_searches');
CREATE TRIGGER touch BEFORE UPDATE ON number_searches
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
GRANT SELECT, INSERT, DELETE ON number_searches TO ringbridge_api;
GRANT SELECT, UPDATE ON number_searches TO ringbridge_serving;
GRANT SELECT, DELETE ON number_searches TO ringbridge_gate;
-- Who cleans up does not know yet for whom. It deletes under the organisation that it has found.
CREATE POLICY gate ON number_searches FOR SELECT TO ringbridge_gate USING (true);

-- Asks for a search under the organisation that the transaction has named. NULL: ten wait already.
-- A hundred are kept; the oldest that are over make room.
CREATE FUNCTION search_numbers(organization uuid, wanted jsonb, by_whom text) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
    made uuid;
BEGIN
    -- One after the other: two must not both find the last room.
    PERFORM pg_advisory_xact_lock(hashtextextended('ringbridge search_numbers ' || organization, 0));
    IF (SELECT count(*) FROM number_searches WHERE organization_id = organization
        AND state = 'queued' AND deadline_at > now()) >= 10 THEN
        RETURN NULL;
    END IF;
    DELETE FROM number_searches WHERE organization_id = organization AND id IN (
        SELECT id FROM number_searches WHERE organization_id = organization
        ORDER BY state = 'queued' AND deadline_at > now() DESC, created_at DESC, id OFFSET 99);
    INSERT INTO number_searches (organization_id, country, kind, area_code, contains, numbers_max,
                                 searched_by)
    VALUES (organization, wanted ->> 'country', wanted ->> 'kind', wanted ->> 'area_code',
            wanted ->> 'contains', (wanted ->> 'limit')::integer, by_whom)
    RETURNING id INTO made;
    PERFORM enqueue_job(organization, 'number_search', made::text,
                        jsonb_build_object('search', made), 4);
    RETURN made;
END
$$;
COMMENT ON FUNCTION search_numbers IS 'Asks for a search of numbers, within the room that an organisation has.';

CREATE FUNCTION clean_number_searches() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    owner uuid;
    rows bigint;
    gone integer := 0;
BEGIN
    FOR owner IN SELECT DISTINCT organization_id FROM number_searches WHERE expires_at < now() LOOP
        PERFORM set_config('ringbridge.organization', owner::text, true);
        DELETE FROM number_searches WHERE organization_id = owner AND expires_at < now();
        GET DIAGNOSTICS rows = ROW_COUNT;
        gone := gone + rows;
    END LOOP;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN gone;
END
$$;
COMMENT ON FUNCTION clean_number_searches IS 'Forgets searches that have expired.';

GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION clean_number_searches OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;
REVOKE ALL ON FUNCTION clean_number_searches FROM PUBLIC;
GRANT EXECUTE ON FUNCTION clean_number_searches TO ringbridge_serving;

-- What was given up, an administrator may take off the list through the API as on the command line.
GRANT DELETE ON jobs TO ringbridge_api;
