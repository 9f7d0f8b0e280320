-- The questions that webhooks ask. No organisation is known when they come, so the functions that
-- may look across organisations belong to ringbridge_gate and run with its rights (SECURITY
-- DEFINER, fixed search_path). The pattern of each: find whose call it is, name that organisation
-- for the rest of the function, write under the ordinary policies, restore what was named before.
-- (An error rolls the naming back together with everything else.)
--
-- Nothing in a webhook is an SQL error: what cannot be understood gives found = 'invalid' or NULLs.

-- Text as the carrier writes times: RFC 2822 or ISO 8601. NULL for everything else.
CREATE FUNCTION carrier_time(written text) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF written IS NULL OR NOT (
        written ~ '^([A-Z][a-z]{2}, )?[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} ([+-][0-9]{4}|GMT|UTC)$'
        OR written ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})$')
    THEN
        RETURN NULL;
    END IF;
    BEGIN -- costs a subtransaction: not for those that say no time
        RETURN written::timestamptz;
    EXCEPTION WHEN data_exception THEN
        RETURN NULL; -- the 32nd of a month, the 25th hour
    END;
END
$$;
COMMENT ON FUNCTION carrier_time IS 'Reads a carrier''s Timestamp; NULL when it is not one.';

-- A number in JSON as a bounded bigint; NULL when it is something else.
CREATE FUNCTION json_number(value jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_typeof(value) = 'number'
            THEN greatest(least(trunc((value #>> '{}')::numeric), 9007199254740991), 0)::bigint END;
COMMENT ON FUNCTION json_number IS 'A JSON number of at least 0 as bigint; NULL when it is none.';

-- ---------------------------------------------------------------------------------------------
-- The record of a call, computed from its ledger. The caller holds the row's lock (lock first, then
-- add, then settle: each step sees what others have committed before it).
--
-- Evidence of status: every CallStatus the carrier sent; a started stream (in-progress); and, as
-- long as the carrier has not said how the call ended, our own knowledge that it is over: the caller
-- hung up, or we answered the after-stream webhook with a hang-up (or with the agent, because the
-- report of an orderly end was late, and no further stream came of it). The furthest rank wins; at the
-- end the carrier's word beats ours, then the highest SequenceNumber, then the order of the list.
--
-- Duration, from the answer to the end: never a difference between two parties' clocks. The edge's
-- milliseconds win where the carrier's whole seconds agree with them, to 2 s: it rounds, and a stream
-- begins a moment after the answer. Where they do not, there was more than streams (a greeting, a
-- person it was forwarded to), and the carrier's seconds win.
CREATE FUNCTION settle_conversation(conversation uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    status record;
    stream record;
    ending record;
    start record;
    orderly boolean;
    edge_ms bigint;
    carrier_ms bigint;
    measurer text;
BEGIN
    SELECT kind = 'ended' AND body ->> 'reason' NOT IN ('drained', 'internal') INTO orderly
    FROM call_events
    WHERE conversation_id = conversation AND source = 'edge' AND kind IN ('started', 'ended')
    ORDER BY seq DESC LIMIT 1;

    SELECT e.said, e.by_carrier, e.at, e.body INTO status
    FROM (
        SELECT CASE
                   WHEN source = 'carrier' AND kind = 'after-stream'
                        AND (body ->> 'step' = 'hangup' OR (orderly AND body ->> 'step' = 'agent'))
                       THEN 'completed'
                   WHEN source = 'carrier' THEN body ->> 'status'
                   WHEN kind = 'started' THEN 'in-progress'
                   WHEN kind = 'ended' AND body ->> 'reason' = 'caller_hung_up' THEN 'completed'
               END AS said,
               source = 'carrier' AND kind <> 'after-stream' AS by_carrier,
               at, seq, body
        FROM call_events WHERE conversation_id = conversation
    ) AS e
    WHERE call_status_rank(e.said) IS NOT NULL
    ORDER BY call_status_rank(e.said) DESC,
             CASE WHEN e.by_carrier THEN coalesce(e.seq, -1) END DESC NULLS LAST,
             array_position(ARRAY['completed', 'busy', 'no-answer', 'failed', 'canceled'], e.said),
             e.at
    LIMIT 1;

    -- A call may have several streams, one after the other; the last one speaks for it.
    SELECT body INTO stream FROM call_events
    WHERE conversation_id = conversation AND source = 'edge' AND kind = 'started'
    ORDER BY seq DESC LIMIT 1;

    SELECT body INTO ending FROM call_events
    WHERE conversation_id = conversation AND source = 'edge' AND kind = 'ended'
    ORDER BY seq DESC LIMIT 1;

    -- The webhook that asked for TwiML is the beginning; for a call that never asked, the first
    -- thing anybody told.
    SELECT coalesce(min(at) FILTER (WHERE kind = 'incoming'), min(at)) AS at,
           max(json_number(body -> 'duration_ms')) FILTER (WHERE source = 'carrier') AS carrier_ms,
           min(at) FILTER (WHERE source = 'carrier' AND body ->> 'status' = 'in-progress')
               AS answered_at,
           sum(json_number(body -> 'duration_ms')) FILTER (WHERE source = 'edge' AND kind = 'ended')
               AS streams_ms,
           count(*) FILTER (WHERE source = 'edge' AND kind = 'ended') AS streams,
           min(at) FILTER (WHERE source = 'edge' AND kind = 'started') AS streamed_at,
           max(at) FILTER (WHERE source = 'edge' AND kind = 'ended') AS streams_ended_at
    INTO start FROM call_events WHERE conversation_id = conversation;

    edge_ms := coalesce( -- one stream was measured without a clock that may be set
        CASE WHEN start.streams > 1
             THEN round(extract(epoch FROM start.streams_ended_at - start.streamed_at) * 1000) END,
        start.streams_ms);
    carrier_ms := coalesce(
        CASE WHEN status.by_carrier THEN json_number(status.body -> 'duration_ms') END,
        start.carrier_ms);
    measurer := CASE WHEN edge_ms >= 0 AND coalesce(abs(edge_ms - carrier_ms) <= 2000, true)
                     THEN 'edge'
                     WHEN carrier_ms IS NOT NULL THEN 'carrier' END;

    UPDATE conversations AS c SET
        call_status = coalesce(status.said, c.call_status),
        start_timestamp = coalesce(start.at, c.start_timestamp),
        end_timestamp = CASE WHEN call_status_rank(status.said) = 4 THEN status.at END,
        disconnection_reason = CASE WHEN call_status_rank(status.said) = 4 THEN status.said END,
        sip_response_code = json_number(status.body -> 'sip_response_code'),
        stream_duration_ms = start.streams_ms,
        answered_at = CASE WHEN measurer = 'edge' THEN start.streamed_at
                           ELSE least(start.answered_at, start.streamed_at) END,
        duration_ms = CASE measurer WHEN 'edge' THEN edge_ms ELSE carrier_ms END,
        duration_by = measurer,
        carrier_duration_ms = carrier_ms,
        ended_reason = CASE WHEN ending.body IS NULL THEN NULL
                            WHEN known_end_reason(ending.body ->> 'reason')
                            THEN ending.body ->> 'reason' ELSE 'internal' END,
        figures = ending.body -> 'figures',
        metadata = c.metadata || jsonb_strip_nulls(jsonb_build_object(
            'stream_sid', stream.body -> 'stream_sid',
            'media_format', stream.body -> 'media_format',
            'edge', stream.body -> 'edge', 'edge_run', stream.body -> 'edge_run'))
    WHERE c.id = conversation;
    IF call_status_rank(status.said) = 4 THEN
        PERFORM plan_after_call(conversation);
    END IF;
END
$$;
COMMENT ON FUNCTION settle_conversation IS
    'Computes a call''s record from its ledger: the same for any order and repetition of reports.';

-- Asks the domain instead of repeating its list.
CREATE FUNCTION known_end_reason(reason text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    PERFORM reason::end_reason;
    RETURN reason IS NOT NULL;
EXCEPTION WHEN check_violation THEN
    RETURN false;
END
$$;
COMMENT ON FUNCTION known_end_reason IS 'Is this one of end_reason''s names?';

-- Adds one fact of the carrier's to the ledger, once. Says whether it was new.
CREATE FUNCTION add_carrier_event(organization uuid, conversation uuid, event text, sequence bigint,
                                  key text, happened timestamptz, report jsonb)
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO call_events (organization_id, conversation_id, source, kind, seq, idempotency_key,
                             at, body)
    VALUES (organization, conversation, 'carrier', event, sequence, left(key, 200), happened,
            jsonb_strip_nulls(report))
    ON CONFLICT (conversation_id, idempotency_key) WHERE source = 'carrier' DO NOTHING;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION add_carrier_event IS 'Stores a webhook''s fact once.';

-- The same, and settles.
CREATE FUNCTION note_carrier_event(organization uuid, conversation uuid, event text, sequence bigint,
                                   key text, happened timestamptz, report jsonb)
RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    is_new boolean;
BEGIN
    PERFORM FROM conversations WHERE id = conversation FOR NO KEY UPDATE;
    is_new := add_carrier_event(organization, conversation, event, sequence, key, happened, report);
    IF is_new THEN
        PERFORM settle_conversation(conversation);
    END IF;
    RETURN is_new;
END
$$;
COMMENT ON FUNCTION note_carrier_event IS 'Stores a webhook''s fact once and brings the record up to date.';

-- ---------------------------------------------------------------------------------------------
-- A webhook's standard parameters, as they came (control/store/calls.h).
CREATE TYPE carrier_webhook AS (
    account_sid     text,
    call_sid        text,
    from_number     text,
    to_number       text,
    direction       text,
    status          text,
    sequence_number bigint,
    happened        text,
    duration_s      bigint,
    sip_code        bigint,
    token           text,
    parameters      jsonb
);
COMMENT ON TYPE carrier_webhook IS 'What a voice webhook of the carrier says, each field as it came.';

-- CallStatus in our words; NULL when it is not a status.
CREATE FUNCTION carrier_status_name(said text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN said = 'answered' THEN 'in-progress'
            WHEN call_status_rank(said) IS NOT NULL THEN said END;
COMMENT ON FUNCTION carrier_status_name IS
    'A CallStatus as the record writes it: the event name answered means in-progress.';

-- What of a webhook goes into the ledger. (Stable, as jsonb_build_object is, or it is not inlined.)
CREATE FUNCTION webhook_report(webhook carrier_webhook) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN jsonb_build_object(
    'status', carrier_status_name((webhook).status),
    'duration_ms', (webhook).duration_s * 1000,
    'sip_response_code', (webhook).sip_code,
    'idempotency_token', (webhook).token,
    'parameters', (webhook).parameters);
COMMENT ON FUNCTION webhook_report IS 'The ledger''s body for a webhook.';

-- Whose call is this? found: found, unknown_number, unknown_call, wrong_account, invalid.
CREATE TYPE call_owner AS (
    found           text,
    created         boolean,
    organization_id uuid,
    conversation_id uuid
);
COMMENT ON TYPE call_owner IS 'The organisation and conversation of a call, or why there is none.';

-- A call's id follows from its names at the carrier, so that a control which has to answer while the
-- database is away (control/webhooks/last_known.h) knows it beforehand. It is no secret and proves nothing.
CREATE FUNCTION call_id(account_sid text, call_sid text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN left(encode(sha256((account_sid || '/' || call_sid)::bytea), 'hex'), 32)::uuid;
COMMENT ON FUNCTION call_id IS 'The id of the conversation of a carrier''s call; both names are plain ASCII.';

-- Finds the call's row, or makes it from the number. An account of one organisation cannot speak for
-- another: an account that somebody has claimed (credentials) is believed for its owner only.
-- Leaves the organisation named; callers restore it. Runs as the gate.
--
-- answers: the webhook asks what to do, so the number must be active and the call gets its route. A
-- new row is written with all that this webhook says; what is told later is settle_conversation's.
CREATE FUNCTION find_or_open_call(webhook carrier_webhook, answers boolean) RETURNS call_owner
LANGUAGE plpgsql AS $$
DECLARE
    owner call_owner;
    number record;
    outbound boolean := coalesce((webhook).direction ~ '^(outbound|trunking-terminating)', false);
    ours text := btrim(CASE WHEN outbound THEN (webhook).from_number ELSE (webhook).to_number END);
BEGIN
    owner.created := false;
    IF coalesce((webhook).call_sid, '') !~ '^CA[0-9a-fA-F]{32}$'
       OR coalesce((webhook).account_sid, '') !~ '^AC[0-9a-fA-F]{32}$' THEN
        owner.found := 'invalid';
        RETURN owner;
    END IF;

    SELECT 'found', false, organization_id, id INTO owner FROM conversations
    WHERE account_sid = (webhook).account_sid AND call_sid = (webhook).call_sid;
    IF FOUND THEN
        PERFORM set_config('ringbridge.organization', owner.organization_id::text, true);
        RETURN owner;
    END IF;

    SELECT n.organization_id, n.id,
           EXISTS (SELECT FROM credentials AS c
                   WHERE c.kind = 'twilio' AND c.account = (webhook).account_sid
                     AND c.organization_id <> n.organization_id) AS claimed
    INTO number FROM phone_numbers AS n
    WHERE n.phone_number = ours AND n.channel = 'twilio' AND (n.is_active OR NOT answers);
    IF NOT FOUND THEN
        owner.found := CASE WHEN ours IS NULL OR ours = '' THEN 'unknown_call' ELSE 'unknown_number' END;
        RETURN owner;
    ELSIF number.claimed THEN
        owner.found := 'wrong_account';
        RETURN owner;
    END IF;

    PERFORM set_config('ringbridge.organization', number.organization_id::text, true);
    INSERT INTO conversations (id, organization_id, session_id, channel, phone_number_id,
                               account_sid, call_sid, from_number, to_number, direction,
                               start_timestamp, call_status, route, metadata)
    VALUES (call_id((webhook).account_sid, (webhook).call_sid), number.organization_id,
            'twilio_' || (webhook).call_sid, 'voice', number.id,
            (webhook).account_sid, (webhook).call_sid, left(btrim((webhook).from_number), 256),
            left(btrim((webhook).to_number), 256),
            CASE WHEN outbound THEN 'outbound' ELSE 'inbound' END,
            coalesce(carrier_time((webhook).happened), now()),
            coalesce(carrier_status_name((webhook).status), 'queued'),
            CASE WHEN answers THEN choose_route(number.organization_id, number.id) END,
            '{"channel": "twilio"}')
    ON CONFLICT DO NOTHING
    RETURNING 'found', true, organization_id, id INTO owner;
    IF NOT FOUND THEN -- another webhook of the same call was quicker by a hair
        SELECT 'found', false, organization_id, id INTO owner FROM conversations
        WHERE account_sid = (webhook).account_sid AND call_sid = (webhook).call_sid;
        IF NOT FOUND THEN -- the organisation knows this CallSid from another account
            owner.found := 'wrong_account';
            RETURN owner;
        END IF;
        PERFORM set_config('ringbridge.organization', owner.organization_id::text, true);
    END IF;
    RETURN owner;
END
$$;
COMMENT ON FUNCTION find_or_open_call IS
    'Finds a call by account and CallSid, or opens it for the organisation whose number it is.';

-- ---------------------------------------------------------------------------------------------
-- All that is needed to answer a call. ai_sealed is the organisation's own AI key, sealed.
CREATE TYPE call_answer AS (
    found               text,
    created             boolean,
    conversation_id     uuid,
    organization_id     uuid,
    organization_name   text,
    account_sid         text,
    call_sid            text,
    call_status         text,
    configured          boolean,
    ai_backend          text,
    model               text,
    voice               text,
    instructions        text,
    greeting            text,
    audio_format        text,
    language            text,
    transcription_model text,
    duration_max_s      integer,
    tools               jsonb,
    settings            jsonb,
    ai_sealed           bytea,
    append_ms           integer,
    record              boolean,
    greeting_interruptible boolean,
    interrupt_after_ms  integer,
    vad_prefix_ms       integer,
    vad_silence_ms      integer,
    vad_threshold_percent integer,
    session_max_s       integer,
    route               jsonb,
    fallback            jsonb,
    tool_waits          jsonb
);
COMMENT ON TYPE call_answer IS 'Whose call it is and how its agent behaves.';

-- In PL/pgSQL, here and below, because its plans are kept by the session; those of an SQL function
-- that cannot be inlined are made anew by every webhook.
CREATE FUNCTION describe_call(organization uuid, conversation uuid, is_new boolean)
RETURNS call_answer
LANGUAGE plpgsql STABLE AS $$
DECLARE
    answer call_answer;
    note record;
    attempt uuid; -- of a call that we made (0015)
BEGIN
    SELECT 'found', is_new, c.id, o.id, o.name, c.account_sid, c.call_sid, c.call_status::text,
           f.configured, f.ai_backend, f.model, f.voice, f.instructions, f.greeting, f.audio_format,
           f.language, f.transcription_model, f.duration_max_s,
           CASE WHEN t.functions IS NULL THEN f.tools ELSE f.tools || t.functions END, f.settings,
           k.sealed,
           f.append_ms, f.record, f.greeting_interruptible, f.interrupt_after_ms, f.vad_prefix_ms,
           f.vad_silence_ms, f.vad_threshold_percent, f.session_max_s,
           c.route, find_route(c.organization_id, c.phone_number_id, 'fallback', now()), t.waits
    INTO answer
    FROM conversations AS c
    JOIN organizations AS o ON o.id = c.organization_id
    CROSS JOIN LATERAL channel_configuration(o.id, 'voice') AS f
    CROSS JOIN LATERAL channel_tools(o.id, 'voice') AS t
    LEFT JOIN credentials AS k ON k.organization_id = o.id AND k.kind = 'openai'
    WHERE c.id = conversation AND c.organization_id = organization;
    IF NOT is_new THEN -- a call that comes in for the first time is none of ours
        SELECT (c.metadata ->> 'attempt')::uuid INTO attempt FROM conversations AS c
        WHERE c.id = conversation AND c.direction = 'outbound';
        IF attempt IS NOT NULL THEN
            answer := outbound_manners(answer, attempt);
        END IF;
        -- Perhaps back from a person who could not be reached (sql/0013).
        SELECT * INTO note FROM transfer_note(conversation);
        answer.instructions := concat_ws(E'\n\n', answer.instructions, note.words);
        answer.greeting := coalesce(note.greeting, answer.greeting);
    END IF;
    RETURN answer;
END
$$;
COMMENT ON FUNCTION describe_call IS 'The call''s organisation and configuration, under the named organisation.';

CREATE FUNCTION incoming_call(webhook carrier_webhook) RETURNS call_answer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    owner call_owner;
    answer call_answer;
BEGIN
    owner := find_or_open_call(webhook, true);
    IF owner.created AND (webhook).duration_s IS NULL AND (webhook).sip_code IS NULL
       AND coalesce(call_status_rank(carrier_status_name((webhook).status)), 0) < 4 THEN
        -- The row says already what settling it would: a call is taken with one row and one event.
        PERFORM add_carrier_event(owner.organization_id, owner.conversation_id, 'incoming', NULL,
                                  'incoming', coalesce(carrier_time((webhook).happened), now()),
                                  webhook_report(webhook));
        answer := describe_call(owner.organization_id, owner.conversation_id, true);
    ELSIF owner.found = 'found' THEN
        PERFORM note_carrier_event(owner.organization_id, owner.conversation_id, 'incoming', NULL,
                                   'incoming', coalesce(carrier_time((webhook).happened), now()),
                                   webhook_report(webhook));
        PERFORM take_route(owner.conversation_id);
        answer := describe_call(owner.organization_id, owner.conversation_id, owner.created);
    ELSE
        answer.found := owner.found;
        answer.created := false;
    END IF;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN answer;
END
$$;
COMMENT ON FUNCTION incoming_call IS
    'A call comes in: whose it is, its conversation (made once) and its configuration, in one round trip.';

-- ---------------------------------------------------------------------------------------------
CREATE TYPE carrier_taken AS (
    found           text,
    stored          boolean,
    conversation_id uuid,
    organization_id uuid,
    call_status     text,
    is_over         boolean,
    ended_reason    text,
    place           text,
    steps           jsonb
);
COMMENT ON TYPE carrier_taken IS 'What became of a webhook that reports something, and the record after it.';

-- The common end of the functions below.
CREATE FUNCTION carrier_result(owner call_owner, is_new boolean) RETURNS carrier_taken
LANGUAGE plpgsql STABLE AS $$
DECLARE
    taken carrier_taken;
BEGIN
    SELECT (owner).found, coalesce(is_new, false), c.id, c.organization_id, c.call_status::text,
           call_status_rank(c.call_status) = 4, c.ended_reason::text
    INTO taken FROM conversations AS c
    WHERE c.id = (owner).conversation_id AND c.organization_id = (owner).organization_id;
    taken.found := (owner).found;
    taken.stored := coalesce(taken.stored, false);
    taken.is_over := coalesce(taken.is_over, false);
    RETURN taken;
END
$$;
COMMENT ON FUNCTION carrier_result IS 'The answer of the webhook functions, under the named organisation.';

CREATE FUNCTION carrier_status(webhook carrier_webhook) RETURNS carrier_taken
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    owner call_owner;
    is_new boolean;
    taken carrier_taken;
    said text := carrier_status_name((webhook).status);
    parent carrier_webhook := webhook;
BEGIN
    parent.call_sid := (webhook).parameters ->> 'ParentCallSid';
    IF said IS NULL THEN
        owner.found := 'invalid';
    ELSIF coalesce(parent.call_sid, '') <> '' THEN
        parent.from_number := NULL; -- a leg opens no conversation
        parent.to_number := NULL;
        owner := find_or_open_call(parent, false);
    ELSE
        owner := find_or_open_call(webhook, false);
    END IF;
    IF owner.found = 'found' AND parent.call_sid <> '' THEN
        is_new := note_leg(owner, webhook, said);
    ELSIF owner.found = 'found' THEN
        is_new := note_carrier_event(
            owner.organization_id, owner.conversation_id, 'status', (webhook).sequence_number,
            format('status/%s/%s', coalesce((webhook).sequence_number::text, '-'), said),
            coalesce(carrier_time((webhook).happened), now()), webhook_report(webhook));
    END IF;
    taken := carrier_result(owner, is_new);
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN taken;
END
$$;
COMMENT ON FUNCTION carrier_status IS
    'Applies a call status callback: any order, any repetition, also for a call not seen before.';

-- The stream is over: what now? next, what was noted for this moment; agent, once more, when the edge
-- died or was stopped under the call (three times at most); fallback, when we or the AI failed;
-- hangup otherwise.
CREATE FUNCTION after_stream_place(conversation uuid, has_next boolean, has_fallback boolean)
RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT CASE
            WHEN has_next THEN 'next'
            WHEN streams.count BETWEEN 1 AND 3
                 AND (streams.ended < streams.started OR streams.reason IN ('drained', 'internal'))
                THEN 'agent'
            WHEN has_fallback AND (streams.count = 0 OR streams.ended < streams.started
                                   OR streams.reason ~ '^ai_'
                                   OR streams.reason IN ('drained', 'internal', 'no_capacity'))
                THEN 'fallback'
            ELSE 'hangup' END
        FROM (SELECT count(*) FILTER (WHERE kind = 'started') AS count,
                     max(seq) FILTER (WHERE kind = 'started') AS started,
                     coalesce(max(seq) FILTER (WHERE kind = 'ended'), -1) AS ended,
                     (array_agg(body ->> 'reason' ORDER BY seq DESC)
                      FILTER (WHERE kind = 'ended'))[1] AS reason
              FROM call_events
              WHERE conversation_id = conversation AND source = 'edge') AS streams);
END
$$;
COMMENT ON FUNCTION after_stream_place IS 'Where a call goes on when its stream is over.';

-- What the carrier reports about the stream, or asks in the course of a call. event is stream,
-- after-stream, step (a verb of ours is done) or wait (in a queue).
CREATE FUNCTION carrier_note(webhook carrier_webhook, event text, key text, note jsonb)
RETURNS carrier_taken
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    owner call_owner;
    is_new boolean;
    taken carrier_taken;
    place text;
    steps jsonb;
BEGIN
    owner := find_or_open_call(webhook, false);
    IF owner.found = 'found' THEN
        IF event <> 'stream' THEN
            SELECT jsonb_strip_nulls(jsonb_build_object(
                       'route', c.route, 'next', c.next_step, 'fallback',
                       find_route(c.organization_id, c.phone_number_id, 'fallback', now())))
            INTO steps FROM conversations AS c WHERE c.id = owner.conversation_id;
        END IF;
        IF event = 'after-stream' THEN
            place := after_stream_place(owner.conversation_id, steps ? 'next', steps ? 'fallback');
        END IF;
        is_new := note_carrier_event(
            owner.organization_id, owner.conversation_id, event, NULL, format('%s/%s', event, key),
            coalesce(carrier_time((webhook).happened), now()),
            webhook_report(webhook) || coalesce(note, '{}')
                || jsonb_build_object('step', CASE WHEN place IN ('agent', 'hangup') THEN place
                                                   ELSE steps #>> ARRAY[place, 'step'] END));
    END IF;
    taken := carrier_result(owner, is_new);
    taken.place := place;
    taken.steps := steps;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN taken;
END
$$;
COMMENT ON FUNCTION carrier_note IS
    'Notes a stream status callback, or what is asked in the course of a call and where it goes on.';

CREATE FUNCTION account_secrets(account_sid text)
RETURNS TABLE (organization_id uuid, sealed bytea, sealed_previous bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT organization_id, sealed, sealed_previous FROM credentials
    WHERE kind = 'twilio' AND account = account_sid
$$;
COMMENT ON FUNCTION account_secrets IS
    'The sealed auth tokens with which an account''s webhooks are checked, before anything is believed.';

-- ---------------------------------------------------------------------------------------------
-- Handing the functions to the gate needs CREATE on the schema for a moment.
GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION incoming_call OWNER TO ringbridge_gate;
ALTER FUNCTION carrier_status OWNER TO ringbridge_gate;
ALTER FUNCTION carrier_note OWNER TO ringbridge_gate;
ALTER FUNCTION account_secrets OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;

REVOKE ALL ON FUNCTION incoming_call, carrier_status, carrier_note, account_secrets FROM PUBLIC;
GRANT EXECUTE ON FUNCTION incoming_call, carrier_status, carrier_note, account_secrets
    TO ringbridge_serving;
