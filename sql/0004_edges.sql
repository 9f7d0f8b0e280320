-- The media processes: what they report about calls, the tickets with which streams reach them, and
-- how full they are.
--
-- Edge events and tickets carry their organisation (from our own signed ticket), so these functions
-- run with the rights of whoever calls them, under the ordinary policies.

-- Stores a batch of the edge's events, each once, and applies them: one round trip, one statement per
-- table and organisation. Times are unix ms. taken is stored, double, unknown (no such call under that
-- organisation) or parked (kept in the ledger, but its fields are not what its kind needs); place is the
-- event's in the arrays, from 1.
CREATE FUNCTION edge_events(organizations uuid[], conversations uuid[], numbers bigint[],
                            kinds text[], times bigint[], reports jsonb[])
RETURNS TABLE (place bigint, taken text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    owner uuid;
    settled uuid[];
BEGIN
    FOR owner IN SELECT DISTINCT o.o FROM unnest(organizations) AS o ORDER BY 1 LOOP
        PERFORM set_config('ringbridge.organization', owner::text, true);
        -- These settle the record: lock first, in one order for everybody.
        settled := ARRAY(
            SELECT c.id FROM conversations AS c
            WHERE c.organization_id = owner AND c.id IN (
                SELECT e.conversation FROM unnest(organizations, conversations, kinds)
                       AS e (organization, conversation, kind)
                WHERE e.organization = owner AND e.kind IN ('started', 'ended'))
            ORDER BY c.id FOR NO KEY UPDATE);
        -- Memberships stand in the select lists, where they are hashed: the planner takes a batch for
        -- one row, and would loop over everything if they were joins.
        RETURN QUERY
        WITH known AS (
            SELECT c.id FROM conversations AS c
            WHERE c.organization_id = owner AND c.id = ANY (conversations)
        ), batch AS MATERIALIZED (
            SELECT e.place, e.conversation, e.seq, e.kind, e.report,
                   timestamptz 'epoch' + e.at_ms * interval '1 millisecond' AS at,
                   e.conversation IN (SELECT id FROM known) AS is_known,
                   -- the edge may have sent one again before it was acknowledged
                   row_number() OVER (PARTITION BY e.conversation, e.seq ORDER BY e.place) = 1
                       AS is_first,
                   coalesce(e.kind = 'message' AND e.report ->> 'role' IN ('user', 'assistant')
                            AND jsonb_typeof(e.report -> 'text') = 'string', false) AS is_message
            FROM unnest(organizations, conversations, numbers, kinds, times, reports) WITH ORDINALITY
                 AS e (organization, conversation, seq, kind, at_ms, report, place)
            WHERE e.organization = owner
        ), stored AS (
            INSERT INTO call_events (organization_id, conversation_id, source, kind, seq, at, body)
            SELECT owner, conversation, 'edge', kind, seq, at,
                   CASE WHEN is_message THEN report - 'text' ELSE report END
            FROM batch WHERE is_known AND is_first ORDER BY place
            ON CONFLICT (conversation_id, seq) WHERE source = 'edge' DO NOTHING
            RETURNING conversation_id, seq
        ), judged AS MATERIALIZED (
            SELECT batch.*, is_first
                   AND (conversation, seq) IN (SELECT conversation_id, seq FROM stored) AS is_new
            FROM batch
        ), said AS (
            INSERT INTO conversation_messages (organization_id, conversation_id, seq, role, content,
                                               "timestamp", item_id, interrupted, audio_ms, heard_ms)
            SELECT owner, conversation, seq, report ->> 'role', report ->> 'text', at,
                   left(report ->> 'item_id', 200),
                   report -> 'interrupted' IS NOT DISTINCT FROM 'true'::jsonb,
                   json_number(report -> 'audio_ms'), json_number(report -> 'heard_ms')
            FROM judged WHERE is_new AND is_message
        )
        SELECT place, CASE
                   WHEN NOT is_known THEN 'unknown'
                   WHEN NOT is_new THEN 'double'
                   WHEN kind = 'message' AND NOT is_message THEN 'parked'
                   WHEN kind = 'ended' AND NOT known_end_reason(report ->> 'reason') THEN 'parked'
                   ELSE 'stored' END
        FROM judged;
        PERFORM settle_conversation(s.s) FROM unnest(settled) AS s;
        -- A finished recording is to be encoded, in the transaction that puts it on record.
        PERFORM enqueue_job(owner, 'recording_encode', r.report ->> 'file',
                            jsonb_build_object('file', r.report -> 'file', 'edge', r.report -> 'edge'))
        FROM unnest(organizations, conversations, kinds, reports)
             AS r (organization, conversation, kind, report)
        JOIN conversations AS c ON c.id = r.conversation AND c.organization_id = owner
        WHERE r.organization = owner AND r.kind = 'recording' AND r.report ->> 'file' IS NOT NULL;
    END LOOP;
    PERFORM set_config('ringbridge.organization', before, true);
END
$$;
COMMENT ON FUNCTION edge_events IS
    'Takes events of the edge: into the ledger once, and into the transcript or the record.';

CREATE FUNCTION edge_event(organization uuid, conversation uuid, number bigint, event text,
                           happened timestamptz, report jsonb)
RETURNS text
LANGUAGE sql
RETURN (SELECT taken FROM edge_events(ARRAY[organization], ARRAY[conversation], ARRAY[number],
                                      ARRAY[event], ARRAY[(extract(epoch FROM happened) * 1000)::bigint],
                                      ARRAY[report]));
COMMENT ON FUNCTION edge_event IS 'One event of the edge, as edge_events takes them.';

-- An event whose JSON the database cannot hold is kept as bytes, for a person to look at.
CREATE FUNCTION park_edge_event(organization uuid, conversation uuid, number bigint, event text,
                                happened timestamptz, report bytea, why text)
RETURNS text
LANGUAGE sql
RETURN CASE edge_event(organization, conversation, number, 'unstorable', happened,
                       jsonb_build_object('kind', event, 'why', why,
                                          'base64', encode(report, 'base64')))
       WHEN 'stored' THEN 'parked' WHEN 'double' THEN 'double' ELSE 'unknown' END;
COMMENT ON FUNCTION park_edge_event IS 'Keeps an event that cannot be stored as what it is.';

-- first, used, or unknown_call.
CREATE FUNCTION use_ticket(organization uuid, conversation uuid, ticket_nonce bytea,
                           expires timestamptz)
RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    outcome text := 'first';
BEGIN
    PERFORM set_config('ringbridge.organization', organization::text, true);
    IF NOT EXISTS (SELECT FROM conversations
                   WHERE id = conversation AND organization_id = organization) THEN
        outcome := 'unknown_call';
    ELSE
        -- Tickets whose signature is refused by age need not be remembered; a day is a wide margin
        -- for clocks.
        DELETE FROM stream_tickets
        WHERE organization_id = organization AND expires_at < now() - interval '1 day';
        INSERT INTO stream_tickets (organization_id, conversation_id, nonce, expires_at)
        VALUES (organization, conversation, ticket_nonce, expires)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            outcome := 'used';
        END IF;
    END IF;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN outcome;
END
$$;
COMMENT ON FUNCTION use_ticket IS 'Uses a ticket up; the second use is told apart on any control.';

-- The plan of a call again, for an edge that was not told. No row when there is no such call under
-- that organisation or it is over.
CREATE FUNCTION plan_call(organization uuid, conversation uuid) RETURNS SETOF call_answer
LANGUAGE plpgsql AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    answer call_answer;
BEGIN
    PERFORM set_config('ringbridge.organization', organization::text, true);
    answer := describe_call(organization, conversation, false);
    PERFORM set_config('ringbridge.organization', before, true);
    IF answer.found IS NOT NULL AND call_status_rank(answer.call_status) < 4 THEN
        RETURN NEXT answer;
    END IF;
END
$$;
COMMENT ON FUNCTION plan_call IS 'What an admitted stream needs: as incoming_call, by ids.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE edges (
    name          text PRIMARY KEY,
    run           uuid NOT NULL,
    websocket_url text,
    cores         integer,
    calls         integer,
    calls_max     integer,
    is_draining   boolean NOT NULL DEFAULT false,
    started_at    timestamptz NOT NULL DEFAULT now(),
    seen_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT edges_name CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT edges_url CHECK (websocket_url ~ '^wss?://' AND length(websocket_url) <= 500),
    CONSTRAINT edges_counts CHECK (cores > 0 AND calls >= 0 AND calls_max >= 0)
);
COMMENT ON TABLE edges IS
    'The media processes sharing this database; belongs to no organisation. A full one''s calls go to another.';
COMMENT ON COLUMN edges.name IS 'What it calls itself; one process at a time has it.';
COMMENT ON COLUMN edges.run IS 'This life of the process.';
COMMENT ON COLUMN edges.websocket_url IS 'Base of its stream URLs, as the carrier reaches it.';
COMMENT ON COLUMN edges.cores IS 'How many cores carry calls.';
COMMENT ON COLUMN edges.calls IS 'Calls running when it last reported.';
COMMENT ON COLUMN edges.calls_max IS 'How many it takes.';
COMMENT ON COLUMN edges.is_draining IS 'It finishes its calls and takes no new ones.';
COMMENT ON COLUMN edges.started_at IS 'When this life was first heard of.';
COMMENT ON COLUMN edges.seen_at IS 'When it last reported.';

SELECT guard_table('edges', NULL);
CREATE POLICY gate ON edges TO ringbridge_gate USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON edges TO ringbridge_gate;

CREATE FUNCTION report_edge(edge_name text, edge_run uuid, url text, cores_count integer,
                            calls_count integer, calls_limit integer, draining boolean)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    INSERT INTO edges AS known (name, run, websocket_url, cores, calls, calls_max, is_draining)
    VALUES (edge_name, edge_run, url, cores_count, calls_count, calls_limit, draining)
    ON CONFLICT (name) DO UPDATE SET
        started_at = CASE WHEN known.run = excluded.run THEN known.started_at ELSE now() END,
        run = excluded.run, websocket_url = excluded.websocket_url, cores = excluded.cores,
        calls = excluded.calls, calls_max = excluded.calls_max,
        is_draining = excluded.is_draining, seen_at = now()
$$;
COMMENT ON FUNCTION report_edge IS 'An edge says how it is.';

-- The least loaded other edge with room that was heard of lately.
CREATE FUNCTION pick_edge(not_this text, fresh_s integer) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT websocket_url FROM edges
    WHERE name <> not_this AND websocket_url IS NOT NULL AND NOT is_draining
      AND calls < calls_max AND seen_at > now() - fresh_s * interval '1 second'
    ORDER BY calls::real / calls_max, name
    LIMIT 1
$$;
COMMENT ON FUNCTION pick_edge IS 'Where a call goes that does not fit on this edge; NULL: nowhere.';

GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION report_edge OWNER TO ringbridge_gate;
ALTER FUNCTION pick_edge OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;
REVOKE ALL ON FUNCTION report_edge, pick_edge FROM PUBLIC;
GRANT EXECUTE ON FUNCTION report_edge, pick_edge TO ringbridge_serving;
