-- What the carrier has of each number beside what we want, as it was last compared: once a day, and
-- whenever somebody asks.

CREATE TABLE number_checks (
    organization_id uuid NOT NULL,
    phone_number_id uuid NOT NULL,
    state           text NOT NULL,
    differences     jsonb NOT NULL DEFAULT '[]',
    error           text,
    checked_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, phone_number_id),
    CONSTRAINT number_checks_number FOREIGN KEY (organization_id, phone_number_id)
        REFERENCES phone_numbers (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT number_checks_state CHECK (state IN ('as_wanted', 'differs', 'missing', 'unasked')),
    CONSTRAINT number_checks_differences CHECK (jsonb_typeof(differences) = 'array'),
    CONSTRAINT number_checks_error CHECK (length(error) <= 1000)
);
CREATE INDEX number_checks_by_time
    ON number_checks (organization_id, checked_at DESC, phone_number_id);
COMMENT ON TABLE number_checks IS 'What the last comparison of a number with the carrier has found.';
COMMENT ON COLUMN number_checks.organization_id IS 'Whose number.';
COMMENT ON COLUMN number_checks.phone_number_id IS 'Which number.';
COMMENT ON COLUMN number_checks.state IS
    'as_wanted; differs; missing: the carrier''s account does not have it; unasked: the carrier did not say.';
COMMENT ON COLUMN number_checks.differences IS
    'Each property that differed: property, has, wants, and whether it was mended at once.';
COMMENT ON COLUMN number_checks.error IS 'Why the carrier did not say, or was not mended.';
COMMENT ON COLUMN number_checks.checked_at IS 'When it was compared.';

SELECT guard_table('number_checks');
GRANT SELECT, INSERT, UPDATE ON number_checks TO ringbridge_serving;
GRANT SELECT ON number_checks TO ringbridge_gate, ringbridge_api;
CREATE POLICY gate ON number_checks FOR SELECT TO ringbridge_gate USING (true);

-- Puts a comparison on record. found: [{number, kind, property, has, wants, mended, why}], number ''
-- for the whole account; numbers of which nothing was found are as wanted. Numbers out of use are
-- not compared.
CREATE FUNCTION note_number_checks(organization uuid, only_number text, found jsonb) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO number_checks AS c (organization_id, phone_number_id, state, differences, error,
                                    checked_at)
    SELECT n.organization_id, n.id,
           CASE WHEN bool_or(f.kind = 'unasked') THEN 'unasked'
                WHEN bool_or(f.kind = 'missing') THEN 'missing'
                WHEN bool_or(f.kind = 'differs' AND NOT f.mended) THEN 'differs'
                ELSE 'as_wanted' END,
           coalesce(jsonb_agg(jsonb_build_object('property', f.property, 'has', f.has, 'wants',
                                                 f.wants, 'mended', f.mended) ORDER BY f.property)
                    FILTER (WHERE f.kind = 'differs'), '[]'),
           left(max(f.why), 1000), now()
    FROM phone_numbers AS n
    LEFT JOIN jsonb_to_recordset(found) AS f (number text, kind text, property text, has text,
                                              wants text, mended boolean, why text)
        ON f.number IN (n.phone_number, '')
    WHERE n.organization_id = organization AND n.channel = 'twilio' AND n.is_active
      AND (only_number IS NULL OR n.phone_number = only_number)
    GROUP BY n.organization_id, n.id
    ON CONFLICT (organization_id, phone_number_id) DO UPDATE
    SET state = excluded.state, differences = excluded.differences, error = excluded.error,
        checked_at = excluded.checked_at
$$;
COMMENT ON FUNCTION note_number_checks IS 'Puts a comparison with the carrier on record.';

-- For a gauge: no organisation is named in it.
CREATE FUNCTION count_number_checks() RETURNS TABLE (state text, numbers bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT c.state, count(*) FROM number_checks AS c
    JOIN phone_numbers AS n ON n.id = c.phone_number_id AND n.is_active GROUP BY c.state
$$;
COMMENT ON FUNCTION count_number_checks IS 'How many numbers in use were last found how.';

-- Every organisation's numbers once a day, by whichever control's clock strikes; the day is the key.
CREATE FUNCTION plan_number_checks() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    owner uuid;
    made integer := 0;
BEGIN
    FOR owner IN SELECT DISTINCT organization_id FROM phone_numbers
                 WHERE channel = 'twilio' AND is_active LOOP
        PERFORM set_config('ringbridge.organization', owner::text, true);
        IF enqueue_job(owner, 'number_verify', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD'),
                       '{"by": "the daily comparison"}', 5) THEN
            made := made + 1;
        END IF;
    END LOOP;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN made;
END
$$;
COMMENT ON FUNCTION plan_number_checks IS 'Makes the day''s comparisons of numbers, once each.';

GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION count_number_checks OWNER TO ringbridge_gate;
ALTER FUNCTION plan_number_checks OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;
REVOKE ALL ON FUNCTION count_number_checks, plan_number_checks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_number_checks, plan_number_checks TO ringbridge_serving;
