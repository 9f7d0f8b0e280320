-- Calls that come in at the same moment, taken together: one statement, one commit, and what they have
-- in common is looked up once (control/webhooks/convoy.h). It is incoming_call (0003) for the plain case and
-- leaves the same rows; a test compares them. Whoever is not among the answers was not plain after all
-- (known already, not our number, not its account, nothing that could be a call) and asks alone.
--
-- A webhook here says no time, no duration and no SIP code, asks about a call that came in, and its
-- CallSid and AccountSid look like such (control/store/calls_together.c sees to that: a regular
-- expression over each was a tenth of all the work).

-- (generic plans: for arrays of one to sixteen the planner would plan anew each time, which costs as
-- much as all the rest)
CREATE FUNCTION incoming_calls(account_sids text[], call_sids text[], from_numbers text[],
                               to_numbers text[], statuses text[], tokens text[], parameters text[])
RETURNS SETOF call_answer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    webhooks carrier_webhook[] := ARRAY(
        SELECT ROW(w.account_sid, w.call_sid, nullif(btrim(w.from_number), ''), btrim(w.to_number),
                   'inbound', carrier_status_name(w.status), NULL, NULL, NULL, NULL,
                   nullif(w.token, ''), nullif(w.parameters, '')::jsonb)::carrier_webhook
        FROM unnest(account_sids, call_sids, from_numbers, to_numbers, statuses, tokens, parameters)
            AS w(account_sid, call_sid, from_number, to_number, status, token, parameters)
        WHERE coalesce(call_status_rank(carrier_status_name(w.status)), 0) < 4);
    number record;
    chosen jsonb;
    opened record;
    answer call_answer;
BEGIN
    FOR number IN
        SELECT n.organization_id, n.id, n.phone_number FROM phone_numbers AS n
        WHERE n.phone_number IN (SELECT w.to_number FROM unnest(webhooks) AS w)
          AND n.channel = 'twilio' AND n.is_active
        ORDER BY n.organization_id, n.id
    LOOP
        PERFORM set_config('ringbridge.organization', number.organization_id::text, true);
        chosen := choose_route(number.organization_id, number.id);
        answer := NULL;
        -- In the order of their names, so that two of these with the same calls wait for each other in
        -- one direction only.
        FOR opened IN
            WITH asked AS (
                SELECT call_id(w.account_sid, w.call_sid) AS id, w.account_sid, w.call_sid,
                       left(w.from_number, 256) AS from_number, w.to_number,
                       coalesce(w.status, 'queued') AS status,
                       jsonb_strip_nulls(webhook_report(w)) AS report
                FROM unnest(webhooks) AS w
                WHERE w.to_number = number.phone_number
                  AND NOT EXISTS (SELECT FROM credentials AS c
                                  WHERE c.kind = 'twilio' AND c.account = w.account_sid
                                    AND c.organization_id <> number.organization_id)
            ), made AS (
                INSERT INTO conversations (id, organization_id, session_id, channel, phone_number_id,
                                           account_sid, call_sid, from_number, to_number, direction,
                                           call_status, route, metadata)
                SELECT a.id, number.organization_id, 'twilio_' || a.call_sid, 'voice', number.id,
                       a.account_sid, a.call_sid, a.from_number, a.to_number, 'inbound', a.status,
                       chosen, '{"channel": "twilio"}'
                FROM asked AS a ORDER BY a.id
                ON CONFLICT DO NOTHING
                RETURNING id, account_sid, call_sid, call_status
            ), noted AS (
                INSERT INTO call_events (organization_id, conversation_id, source, kind,
                                         idempotency_key, at, body)
                SELECT number.organization_id, m.id, 'carrier', 'incoming', 'incoming', now(),
                       a.report
                FROM made AS m JOIN asked AS a ON a.id = m.id
                ON CONFLICT (conversation_id, idempotency_key) WHERE source = 'carrier' DO NOTHING
            )
            SELECT m.id, m.account_sid, m.call_sid, m.call_status FROM made AS m
        LOOP
            IF answer.found IS NULL THEN
                answer := describe_call(number.organization_id, opened.id, true);
            END IF;
            answer.conversation_id := opened.id;
            answer.account_sid := opened.account_sid;
            answer.call_sid := opened.call_sid;
            answer.call_status := opened.call_status;
            RETURN NEXT answer;
        END LOOP;
    END LOOP;
    PERFORM set_config('ringbridge.organization', before, true);
END
$$;
COMMENT ON FUNCTION incoming_calls IS
    'Calls come in together: those that are new and plain, each with what incoming_call would say.';

GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION incoming_calls OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;
REVOKE ALL ON FUNCTION incoming_calls FROM PUBLIC;
GRANT EXECUTE ON FUNCTION incoming_calls TO ringbridge_serving;
