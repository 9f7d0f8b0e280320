-- Takes events of the edge as 0004 does, but finds each call by its id. There a list of ids was looked for,
-- and where the planner knew nothing about a young table it read all calls of the organisation instead, with
-- every batch: the more calls, the slower.

CREATE OR REPLACE FUNCTION edge_events(organizations uuid[], conversations uuid[], numbers bigint[],
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
        -- Memberships stand in the select lists, not in joins: the planner takes a batch for one row, and
        -- would loop over everything. is_new is hashed; is_known looks for one id at a time.
        RETURN QUERY
        WITH batch AS MATERIALIZED (
            SELECT e.place, e.conversation, e.seq, e.kind, e.report,
                   timestamptz 'epoch' + e.at_ms * interval '1 millisecond' AS at,
                   (SELECT c.id FROM conversations AS c
                    WHERE c.id = e.conversation AND c.organization_id = owner) IS NOT NULL AS is_known,
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
