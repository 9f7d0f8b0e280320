-- What an agent may do beside talking: functions that it calls, each call on record with what it was
-- given, what came of it and when; and what the built-in ones write: appointments, messages left for
-- people, text messages on their way.
--
-- A call comes as an event of the edge (or from whoever carries texts), is carried out by one control,
-- and its result goes back. Nothing here knows about voice but edge_run and number, by which the way
-- back is found.

CREATE TABLE tools (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name            text NOT NULL,
    description     text NOT NULL,
    parameters      jsonb NOT NULL,
    action          text NOT NULL,
    settings        jsonb NOT NULL DEFAULT '{}',
    headers_sealed  bytea,
    channels        text[] NOT NULL DEFAULT '{voice,sms,whatsapp}',
    tries_max       integer NOT NULL DEFAULT 1,
    timeout_ms      integer NOT NULL DEFAULT 8000,
    deadline_ms     integer NOT NULL DEFAULT 20000,
    interim_ms      integer NOT NULL DEFAULT 4000,
    is_active       boolean NOT NULL DEFAULT true,
    position        integer NOT NULL DEFAULT 100,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT tools_one UNIQUE (organization_id, name),
    CONSTRAINT tools_name CHECK (name ~ '^[A-Za-z][A-Za-z0-9_-]{0,63}$'),
    CONSTRAINT tools_description CHECK (length(description) BETWEEN 1 AND 2000),
    CONSTRAINT tools_parameters
        CHECK (jsonb_typeof(parameters) = 'object' AND length(parameters::text) <= 16384),
    CONSTRAINT tools_action CHECK (action IN ('http', 'end_call', 'transfer', 'send_sms',
        'leave_message', 'collect_digits', 'book_appointment', 'find_times')),
    CONSTRAINT tools_settings
        CHECK (jsonb_typeof(settings) = 'object' AND length(settings::text) <= 16384),
    CONSTRAINT tools_headers CHECK (octet_length(headers_sealed) BETWEEN 30 AND 8192),
    CONSTRAINT tools_channels CHECK (cardinality(channels) BETWEEN 1 AND 3
                                     AND channels <@ '{voice,sms,whatsapp}'::text[]),
    CONSTRAINT tools_tries CHECK (tries_max BETWEEN 1 AND 5),
    CONSTRAINT tools_times CHECK (timeout_ms BETWEEN 100 AND 60000
                                  AND deadline_ms BETWEEN 1000 AND 120000
                                  AND interim_ms BETWEEN 0 AND 60000)
);
COMMENT ON TABLE tools IS 'Functions that an organisation''s agent may call.';
COMMENT ON COLUMN tools.id IS 'Its id.';
COMMENT ON COLUMN tools.organization_id IS 'Whose agent.';
COMMENT ON COLUMN tools.name IS 'What the AI calls it by.';
COMMENT ON COLUMN tools.description IS 'What the AI is told about it.';
COMMENT ON COLUMN tools.parameters IS 'JSON Schema of its arguments; what does not fit is refused in words.';
COMMENT ON COLUMN tools.action IS 'http: a request to the organisation''s own system; else a built-in one.';
COMMENT ON COLUMN tools.settings IS
    'http: method, url; transfer: to (a step of dial by name); send_sms: to, from; book_appointment and find_times: calendar.';
COMMENT ON COLUMN tools.headers_sealed IS 'http: a JSON object of headers, sealed and bound to organisation and name.';
COMMENT ON COLUMN tools.channels IS 'Where it is offered: voice, sms, whatsapp.';
COMMENT ON COLUMN tools.tries_max IS
    'http: how often it is asked; 1: what cannot be known to have happened is not repeated.';
COMMENT ON COLUMN tools.timeout_ms IS 'http: of one request.';
COMMENT ON COLUMN tools.deadline_ms IS 'From the call to the answer that the AI gets in any case.';
COMMENT ON COLUMN tools.interim_ms IS
    'After so long the AI is told that it takes longer, and talks on; 0: it waits.';
COMMENT ON COLUMN tools.is_active IS 'False: not offered, and refused.';
COMMENT ON COLUMN tools.position IS 'The order in which the AI reads them.';
COMMENT ON COLUMN tools.created_at IS 'When the row was made.';
COMMENT ON COLUMN tools.updated_at IS 'When the row was last changed; kept by a trigger.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE tool_calls (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    tool_id         uuid,
    name            text NOT NULL,
    call_id         text NOT NULL,
    arguments       text NOT NULL DEFAULT '',
    number          bigint,
    edge_run        uuid,
    at_edge         boolean NOT NULL DEFAULT false,
    state           text NOT NULL DEFAULT 'waiting',
    tries           integer NOT NULL DEFAULT 0,
    leased_by       uuid,
    leased_until    timestamptz,
    output          jsonb,
    ends            text,
    asked_at        timestamptz NOT NULL DEFAULT now(),
    deadline_at     timestamptz NOT NULL,
    started_at      timestamptz,
    finished_at     timestamptz,
    abandoned_at    timestamptz,
    sent_at         timestamptz,
    told_at         timestamptz,
    UNIQUE (organization_id, id),
    CONSTRAINT tool_calls_number UNIQUE (conversation_id, number),
    CONSTRAINT tool_calls_conversation FOREIGN KEY (organization_id, conversation_id)
        REFERENCES conversations (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT tool_calls_tool FOREIGN KEY (organization_id, tool_id)
        REFERENCES tools (organization_id, id) ON DELETE SET NULL (tool_id),
    CONSTRAINT tool_calls_texts CHECK (length(name) BETWEEN 1 AND 256 AND length(call_id) <= 256
                                       AND length(arguments) <= 65536),
    CONSTRAINT tool_calls_state CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    CONSTRAINT tool_calls_lease CHECK ((leased_by IS NULL) = (leased_until IS NULL)
                                       AND (leased_by IS NULL OR state = 'running')),
    CONSTRAINT tool_calls_finished CHECK ((state IN ('done', 'failed')) = (finished_at IS NOT NULL)
                                          AND (finished_at IS NULL OR output IS NOT NULL)),
    CONSTRAINT tool_calls_output
        CHECK (jsonb_typeof(output) = 'object' AND length(output::text) <= 40000),
    CONSTRAINT tool_calls_ends CHECK (ends IN ('agent_hung_up', 'transferred'))
);
CREATE INDEX tool_calls_open ON tool_calls (asked_at) WHERE state IN ('waiting', 'running');
CREATE INDEX tool_calls_untold ON tool_calls (edge_run, finished_at)
    WHERE told_at IS NULL AND state IN ('done', 'failed') AND NOT at_edge;
CREATE INDEX tool_calls_leased ON tool_calls (leased_by) WHERE leased_by IS NOT NULL;
CREATE INDEX tool_calls_by_time ON tool_calls (organization_id, conversation_id, asked_at, id);
CREATE INDEX tool_calls_by_tool ON tool_calls (organization_id, tool_id);
COMMENT ON TABLE tool_calls IS
    'Each function that an AI called: with what, what came of it, and when the AI learned that.';
COMMENT ON COLUMN tool_calls.id IS 'Its id; the Idempotency-Key of its requests.';
COMMENT ON COLUMN tool_calls.organization_id IS 'Whose agent called.';
COMMENT ON COLUMN tool_calls.conversation_id IS 'In which conversation.';
COMMENT ON COLUMN tool_calls.tool_id IS 'Which tool it was; NULL: there is none of that name (any more).';
COMMENT ON COLUMN tool_calls.name IS 'The name that the AI called.';
COMMENT ON COLUMN tool_calls.call_id IS 'The AI''s name for the call.';
COMMENT ON COLUMN tool_calls.arguments IS 'What the AI gave it, as it wrote it: JSON, if it got it right.';
COMMENT ON COLUMN tool_calls.number IS 'Number of the edge''s event; makes a repetition the same call.';
COMMENT ON COLUMN tool_calls.edge_run IS 'The life of the edge that waits for the result; NULL: nobody does, it is read here.';
COMMENT ON COLUMN tool_calls.at_edge IS 'The edge carries it out by itself and reports the result.';
COMMENT ON COLUMN tool_calls.state IS 'waiting; running; done; failed: output says why in words for the AI.';
COMMENT ON COLUMN tool_calls.tries IS 'How often it was begun; with leased_by the token of a lease.';
COMMENT ON COLUMN tool_calls.leased_by IS 'The life of the control that is at it.';
COMMENT ON COLUMN tool_calls.leased_until IS 'From then on another may take it.';
COMMENT ON COLUMN tool_calls.output IS 'What the AI is told: {"ok":true,..} or {"ok":false,"error":".."}.';
COMMENT ON COLUMN tool_calls.ends IS 'How the stream ends when it is done and what was said was heard; NULL: it goes on.';
COMMENT ON COLUMN tool_calls.asked_at IS 'When the AI called it, by the edge''s clock.';
COMMENT ON COLUMN tool_calls.deadline_at IS 'Not begun after this: the AI was told by then that it did not happen.';
COMMENT ON COLUMN tool_calls.started_at IS 'When it was last begun.';
COMMENT ON COLUMN tool_calls.finished_at IS 'When its result was there.';
COMMENT ON COLUMN tool_calls.abandoned_at IS 'When the edge told the AI that no answer had come.';
COMMENT ON COLUMN tool_calls.sent_at IS 'When the result was last sent to the edge.';
COMMENT ON COLUMN tool_calls.told_at IS 'When the edge had it.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE availability (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    calendar        text NOT NULL DEFAULT 'default',
    days            smallint[] NOT NULL DEFAULT '{1,2,3,4,5}',
    opens           time NOT NULL,
    closes          time NOT NULL,
    time_zone       text NOT NULL,
    slot_minutes    integer NOT NULL DEFAULT 30,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT availability_calendar CHECK (calendar ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    CONSTRAINT availability_days
        CHECK (cardinality(days) BETWEEN 1 AND 7 AND days <@ '{1,2,3,4,5,6,7}'::smallint[]),
    CONSTRAINT availability_hours CHECK (opens < closes),
    CONSTRAINT availability_time_zone CHECK (is_time_zone(time_zone)),
    CONSTRAINT availability_slot CHECK (slot_minutes BETWEEN 5 AND 480)
);
CREATE INDEX availability_by_calendar ON availability (organization_id, calendar);
COMMENT ON TABLE availability IS 'When appointments can be had: hours of the week, cut into slots.';
COMMENT ON COLUMN availability.id IS 'Its id.';
COMMENT ON COLUMN availability.organization_id IS 'Whose hours.';
COMMENT ON COLUMN availability.calendar IS 'Whose calendar within the organisation: a person, a room.';
COMMENT ON COLUMN availability.days IS 'Days of the week, 1 is Monday, by the local clock.';
COMMENT ON COLUMN availability.opens IS 'The first slot begins at this local time.';
COMMENT ON COLUMN availability.closes IS 'The last one ends by this local time.';
COMMENT ON COLUMN availability.time_zone IS 'Whose local time.';
COMMENT ON COLUMN availability.slot_minutes IS 'How long one is.';
COMMENT ON COLUMN availability.created_at IS 'When the row was made.';

CREATE TABLE appointments (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    calendar        text NOT NULL DEFAULT 'default',
    starts_at       timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL,
    name            text NOT NULL DEFAULT '',
    phone           text NOT NULL DEFAULT '',
    note            text NOT NULL DEFAULT '',
    state           text NOT NULL DEFAULT 'booked',
    conversation_id uuid,
    tool_call_id    uuid,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT appointments_call UNIQUE (organization_id, tool_call_id),
    CONSTRAINT appointments_conversation FOREIGN KEY (organization_id, conversation_id)
        REFERENCES conversations (organization_id, id) ON DELETE SET NULL (conversation_id),
    CONSTRAINT appointments_tool_call FOREIGN KEY (organization_id, tool_call_id)
        REFERENCES tool_calls (organization_id, id) ON DELETE SET NULL (tool_call_id),
    CONSTRAINT appointments_calendar CHECK (calendar ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    CONSTRAINT appointments_length CHECK (starts_at < ends_at),
    CONSTRAINT appointments_texts
        CHECK (length(name) <= 200 AND length(phone) <= 64 AND length(note) <= 2000),
    CONSTRAINT appointments_state CHECK (state IN ('booked', 'cancelled')),
    -- Two callers who want the same hour: the second one's insert waits for the first and fails.
    CONSTRAINT appointments_one_at_a_time
        EXCLUDE USING gist (organization_id WITH =, calendar WITH =,
                            tstzrange(starts_at, ends_at) WITH &&)
        WHERE (state = 'booked')
);
CREATE INDEX appointments_by_time ON appointments (organization_id, starts_at, id);
CREATE INDEX appointments_by_conversation ON appointments (organization_id, conversation_id);
COMMENT ON TABLE appointments IS 'What was booked, and with whom; no two of a calendar at one time.';
COMMENT ON COLUMN appointments.id IS 'Its id.';
COMMENT ON COLUMN appointments.organization_id IS 'Whose appointment.';
COMMENT ON COLUMN appointments.calendar IS 'In which calendar of the organisation.';
COMMENT ON COLUMN appointments.starts_at IS 'When it begins.';
COMMENT ON COLUMN appointments.ends_at IS 'When it ends; the next may begin then.';
COMMENT ON COLUMN appointments.name IS 'For whom, as the agent understood it.';
COMMENT ON COLUMN appointments.phone IS 'How they are reached.';
COMMENT ON COLUMN appointments.note IS 'What it is about.';
COMMENT ON COLUMN appointments.state IS 'booked or cancelled; a cancelled one takes no time.';
COMMENT ON COLUMN appointments.conversation_id IS 'In which conversation it was booked.';
COMMENT ON COLUMN appointments.tool_call_id IS 'By which call of a function; one books once.';
COMMENT ON COLUMN appointments.created_at IS 'When the row was made.';
COMMENT ON COLUMN appointments.updated_at IS 'When the row was last changed; kept by a trigger.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE left_messages (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    conversation_id uuid NOT NULL,
    tool_call_id    uuid,
    name            text NOT NULL DEFAULT '',
    phone           text NOT NULL DEFAULT '',
    body            text NOT NULL,
    is_urgent       boolean NOT NULL DEFAULT false,
    state           text NOT NULL DEFAULT 'new',
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT left_messages_call UNIQUE (organization_id, tool_call_id),
    CONSTRAINT left_messages_conversation FOREIGN KEY (organization_id, conversation_id)
        REFERENCES conversations (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT left_messages_tool_call FOREIGN KEY (organization_id, tool_call_id)
        REFERENCES tool_calls (organization_id, id) ON DELETE SET NULL (tool_call_id),
    CONSTRAINT left_messages_texts
        CHECK (length(name) <= 200 AND length(phone) <= 64 AND length(body) BETWEEN 1 AND 4000),
    CONSTRAINT left_messages_state CHECK (state IN ('new', 'read', 'archived'))
);
CREATE INDEX left_messages_by_time ON left_messages (organization_id, created_at DESC, id);
CREATE INDEX left_messages_by_conversation ON left_messages (organization_id, conversation_id);
COMMENT ON TABLE left_messages IS 'What callers asked the agent to pass on to people.';
COMMENT ON COLUMN left_messages.id IS 'Its id.';
COMMENT ON COLUMN left_messages.organization_id IS 'For whom.';
COMMENT ON COLUMN left_messages.conversation_id IS 'In which conversation.';
COMMENT ON COLUMN left_messages.tool_call_id IS 'By which call of a function; one leaves one.';
COMMENT ON COLUMN left_messages.name IS 'From whom, as the agent understood it.';
COMMENT ON COLUMN left_messages.phone IS 'Where to call back.';
COMMENT ON COLUMN left_messages.body IS 'The message.';
COMMENT ON COLUMN left_messages.is_urgent IS 'The caller said so.';
COMMENT ON COLUMN left_messages.state IS 'new, read or archived; a person moves it on.';
COMMENT ON COLUMN left_messages.created_at IS 'When it was left.';
COMMENT ON COLUMN left_messages.updated_at IS 'When the row was last changed; kept by a trigger.';

CREATE TABLE text_messages (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    conversation_id uuid,
    tool_call_id    uuid,
    account_sid     text NOT NULL,
    from_number     text NOT NULL,
    to_number       text NOT NULL,
    body            text NOT NULL,
    state           text NOT NULL DEFAULT 'queued',
    message_sid     text,
    error           text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT text_messages_call UNIQUE (organization_id, tool_call_id),
    CONSTRAINT text_messages_conversation FOREIGN KEY (organization_id, conversation_id)
        REFERENCES conversations (organization_id, id) ON DELETE SET NULL (conversation_id),
    CONSTRAINT text_messages_tool_call FOREIGN KEY (organization_id, tool_call_id)
        REFERENCES tool_calls (organization_id, id) ON DELETE SET NULL (tool_call_id),
    CONSTRAINT text_messages_account CHECK (account_sid ~ '^AC[0-9a-fA-F]{32}$'),
    CONSTRAINT text_messages_numbers CHECK (from_number ~ '^\+[1-9][0-9]{1,14}$'
                                            AND to_number ~ '^\+[1-9][0-9]{1,14}$'),
    CONSTRAINT text_messages_body CHECK (length(body) BETWEEN 1 AND 1600),
    CONSTRAINT text_messages_state CHECK (state IN ('queued', 'sending', 'sent', 'failed')),
    CONSTRAINT text_messages_sid CHECK (message_sid ~ '^(SM|MM)[0-9a-fA-F]{32}$'),
    CONSTRAINT text_messages_error CHECK (length(error) <= 1000)
);
CREATE INDEX text_messages_by_time ON text_messages (organization_id, created_at DESC, id);
CREATE INDEX text_messages_by_conversation ON text_messages (organization_id, conversation_id);
COMMENT ON TABLE text_messages IS 'Text messages that an agent sent, or is about to.';
COMMENT ON COLUMN text_messages.id IS 'Its id.';
COMMENT ON COLUMN text_messages.organization_id IS 'For whom it is sent.';
COMMENT ON COLUMN text_messages.conversation_id IS 'In which conversation.';
COMMENT ON COLUMN text_messages.tool_call_id IS 'By which call of a function; one sends one.';
COMMENT ON COLUMN text_messages.account_sid IS 'The carrier''s account that sends it.';
COMMENT ON COLUMN text_messages.from_number IS 'From which number of ours.';
COMMENT ON COLUMN text_messages.to_number IS 'To whom.';
COMMENT ON COLUMN text_messages.body IS 'The words.';
COMMENT ON COLUMN text_messages.state IS
    'queued; sending: the carrier was asked and its answer is not on record; sent: the carrier has it; failed: error says why.';
COMMENT ON COLUMN text_messages.message_sid IS 'The carrier''s name for it.';
COMMENT ON COLUMN text_messages.error IS 'Why it was not sent.';
COMMENT ON COLUMN text_messages.created_at IS 'When it was asked for.';
COMMENT ON COLUMN text_messages.updated_at IS 'When the row was last changed; kept by a trigger.';

-- ---------------------------------------------------------------------------------------------
SELECT guard_table('tools');
SELECT guard_table('tool_calls');
SELECT guard_table('availability');
SELECT guard_table('appointments');
SELECT guard_table('left_messages');
SELECT guard_table('text_messages');
CREATE TRIGGER touch BEFORE UPDATE ON tools FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON appointments FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON left_messages FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON text_messages FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
GRANT SELECT ON tools, availability TO ringbridge_serving, ringbridge_gate;
GRANT SELECT, INSERT, UPDATE ON tool_calls, appointments, left_messages, text_messages
    TO ringbridge_serving;
GRANT SELECT, UPDATE ON tool_calls TO ringbridge_gate;
-- Whoever claims does not know yet for whom. It writes under the organisation that it has found.
CREATE POLICY gate ON tool_calls FOR SELECT TO ringbridge_gate USING (true);

-- ---------------------------------------------------------------------------------------------
-- What the AI of a channel is told, and how long each tool may take; which the edge carries out by
-- itself. NULL: there are none.
CREATE FUNCTION channel_tools(organization uuid, wanted text, OUT functions jsonb, OUT waits jsonb)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT jsonb_agg(jsonb_build_object('type', 'function', 'name', t.name, 'description',
                                        t.description, 'parameters', t.parameters)
                     ORDER BY t.position, t.name),
           jsonb_agg(jsonb_build_object(
               'name', t.name, 'interim_ms', t.interim_ms, 'deadline_ms', t.deadline_ms, 'at_edge',
               CASE WHEN t.action IN ('end_call', 'collect_digits') THEN t.action END)
               ORDER BY t.position, t.name)
    INTO functions, waits
    FROM tools AS t
    WHERE t.organization_id = organization AND t.is_active AND wanted = ANY (t.channels);
END
$$;
COMMENT ON FUNCTION channel_tools IS
    'An organisation''s tools as the AI of a channel reads them, and as whoever carries them out.';

-- An event of the edge about a function: in the transaction that puts the event on record, so it is
-- taken exactly once, however often the edge sends it.
CREATE FUNCTION take_tool_event() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    tool record;
    given jsonb := NEW.body;
    failed boolean := given -> 'ok' IS DISTINCT FROM 'true'::jsonb;
BEGIN
    IF NEW.kind = 'tool_call' AND length(given ->> 'name') BETWEEN 1 AND 256 THEN
        SELECT t.id, t.deadline_ms INTO tool FROM tools AS t
        WHERE t.organization_id = NEW.organization_id AND t.name = given ->> 'name' AND t.is_active;
        INSERT INTO tool_calls (organization_id, conversation_id, tool_id, name, call_id, arguments,
                                number, edge_run, at_edge, state, asked_at, deadline_at, started_at)
        VALUES (NEW.organization_id, NEW.conversation_id, tool.id, given ->> 'name',
                left(given ->> 'call_id', 256), left(coalesce(given ->> 'arguments', ''), 65536),
                NEW.seq, CASE WHEN given ->> 'edge_run' ~ '^[0-9a-f-]{36}$'
                              THEN (given ->> 'edge_run')::uuid END,
                given -> 'at_edge' IS NOT DISTINCT FROM 'true'::jsonb,
                CASE WHEN given -> 'at_edge' IS NOT DISTINCT FROM 'true'::jsonb THEN 'running'
                     ELSE 'waiting' END,
                NEW.at, NEW.at + coalesce(tool.deadline_ms, 20000) * interval '1 millisecond',
                CASE WHEN given -> 'at_edge' IS NOT DISTINCT FROM 'true'::jsonb THEN NEW.at END)
        ON CONFLICT DO NOTHING;
    ELSIF NEW.kind = 'started' THEN
        -- Back with the agent: the step that was noted for the end of an earlier stream is done.
        UPDATE conversations SET next_step = NULL
        WHERE id = NEW.conversation_id AND next_step IS NOT NULL
          AND EXISTS (SELECT FROM call_events AS e WHERE e.conversation_id = NEW.conversation_id
                      AND e.source = 'edge' AND e.kind = 'started' AND e.seq < NEW.seq);
    ELSIF NEW.kind = 'tool_result' THEN
        UPDATE tool_calls
        SET state = CASE WHEN failed THEN 'failed' ELSE 'done' END, finished_at = NEW.at,
            told_at = NEW.at,
            output = CASE WHEN jsonb_typeof(given -> 'output') = 'object'
                          AND length((given -> 'output')::text) <= 40000 THEN given -> 'output'
                          ELSE jsonb_build_object('ok', NOT failed) END
        WHERE conversation_id = NEW.conversation_id AND number = json_number(given -> 'number')
          AND at_edge AND state = 'running';
        UPDATE tool_calls SET abandoned_at = NEW.at
        WHERE conversation_id = NEW.conversation_id AND number = json_number(given -> 'number')
          AND NOT at_edge AND abandoned_at IS NULL;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION take_tool_event() IS
    'Trigger: a function that the AI called becomes a row to be carried out.';
CREATE TRIGGER tool_event AFTER INSERT ON call_events FOR EACH ROW
    WHEN (NEW.source = 'edge' AND NEW.kind IN ('started', 'tool_call', 'tool_result'))
    EXECUTE FUNCTION take_tool_event();

CREATE TYPE claimed_tool_call AS (
    id              uuid,
    organization_id uuid,
    conversation_id uuid,
    name            text,
    arguments       text,
    tries           integer,
    left_ms         bigint
);
COMMENT ON TYPE claimed_tool_call IS 'A function to be carried out, and how long there is for it.';

-- Takes one call under a lease, that of an organisation with the fewest at work first. What is too
-- late, or was begun by somebody who died and must not be repeated, is ended here in words.
CREATE FUNCTION claim_tool_call(worker uuid, lease_ms integer) RETURNS SETOF claimed_tool_call
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    candidate record;
    wanted tool_calls;
    tries_allowed integer;
    why text;
BEGIN
    FOR candidate IN
        SELECT c.id, c.organization_id FROM tool_calls AS c
        WHERE c.state IN ('waiting', 'running') AND NOT c.at_edge
          AND (c.state = 'waiting' OR c.leased_until < now())
        ORDER BY (SELECT count(*) FROM tool_calls AS r
                  WHERE r.organization_id = c.organization_id AND r.state = 'running'
                    AND r.leased_until >= now()), c.asked_at, c.id
        LIMIT 32 LOOP
        PERFORM set_config('ringbridge.organization', candidate.organization_id::text, true);
        SELECT * INTO wanted FROM tool_calls AS c
        WHERE c.id = candidate.id AND c.organization_id = candidate.organization_id
          AND (c.state = 'waiting' OR (c.state = 'running' AND c.leased_until < now()))
        FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        SELECT CASE t.action WHEN 'http' THEN t.tries_max ELSE 5 END INTO tries_allowed
        FROM tools AS t WHERE t.id = wanted.tool_id AND t.organization_id = wanted.organization_id;
        why := CASE
            WHEN wanted.tries >= coalesce(tries_allowed, 1) THEN
                'It was begun and then interrupted; it is not known whether it was done.'
            WHEN wanted.deadline_at < now() THEN 'It could not be begun in time and was not done.'
            END;
        IF why IS NOT NULL THEN
            UPDATE tool_calls SET state = 'failed', finished_at = now(), leased_by = NULL,
                                  leased_until = NULL,
                                  output = jsonb_build_object('ok', false, 'error', why)
            WHERE id = wanted.id AND organization_id = wanted.organization_id;
            CONTINUE;
        END IF;
        UPDATE tool_calls SET state = 'running', tries = wanted.tries + 1, leased_by = worker,
                              leased_until = now() + lease_ms * interval '1 millisecond',
                              started_at = now()
        WHERE id = wanted.id AND organization_id = wanted.organization_id;
        RETURN NEXT ROW(wanted.id, wanted.organization_id, wanted.conversation_id, wanted.name,
                        wanted.arguments, wanted.tries + 1,
                        (extract(epoch FROM wanted.deadline_at - now()) * 1000)::bigint
                       )::claimed_tool_call;
        EXIT;
    END LOOP;
    PERFORM set_config('ringbridge.organization', before, true);
END
$$;
COMMENT ON FUNCTION claim_tool_call IS 'Takes one function to be carried out, fairly between organisations.';

CREATE FUNCTION renew_tool_calls(worker uuid, lease_ms integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    held record;
    renewed integer := 0;
BEGIN
    FOR held IN SELECT id, organization_id FROM tool_calls WHERE leased_by = worker ORDER BY id LOOP
        PERFORM set_config('ringbridge.organization', held.organization_id::text, true);
        UPDATE tool_calls SET leased_until = now() + lease_ms * interval '1 millisecond'
        WHERE id = held.id AND organization_id = held.organization_id AND leased_by = worker;
        renewed := renewed + 1;
    END LOOP;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN renewed;
END
$$;
COMMENT ON FUNCTION renew_tool_calls IS 'Prolongs what one control is at.';

-- Results that these edges wait for and have not confirmed; sent again every two seconds, for an
-- hour. The edge takes each once.
CREATE FUNCTION take_tool_results(runs uuid[]) RETURNS SETOF taken_order
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    result record;
BEGIN
    FOR result IN SELECT id, organization_id, edge_run, conversation_id, number, output, ends
                  FROM tool_calls
                  WHERE told_at IS NULL AND state IN ('done', 'failed') AND NOT at_edge
                    AND edge_run = ANY (runs) AND finished_at > now() - interval '1 hour'
                    AND (sent_at IS NULL OR sent_at < now() - interval '2 seconds')
                  ORDER BY finished_at, id LIMIT 100 LOOP
        PERFORM set_config('ringbridge.organization', result.organization_id::text, true);
        UPDATE tool_calls SET sent_at = now()
        WHERE id = result.id AND organization_id = result.organization_id;
        RETURN NEXT ROW(result.id, result.edge_run, result.conversation_id,
                        jsonb_strip_nulls(jsonb_build_object(
                            'kind', 'tool_result', 'call', result.conversation_id,
                            'number', result.number, 'output', result.output::text,
                            'end', result.ends)))::taken_order;
    END LOOP;
    PERFORM set_config('ringbridge.organization', before, true);
END
$$;
COMMENT ON FUNCTION take_tool_results IS 'Results of functions on their way to these edges.';

CREATE FUNCTION settle_tool_result(settled uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    owner uuid;
BEGIN
    SELECT organization_id INTO owner FROM tool_calls WHERE id = settled;
    PERFORM set_config('ringbridge.organization', coalesce(owner::text, ''), true);
    UPDATE tool_calls SET told_at = coalesce(told_at, now())
    WHERE id = settled AND organization_id = owner;
    PERFORM set_config('ringbridge.organization', before, true);
END
$$;
COMMENT ON FUNCTION settle_tool_result IS 'The edge has a result.';

-- ---------------------------------------------------------------------------------------------
-- The slots of a calendar that begin in a span of time; is_free: nobody has it and it is to come.
CREATE FUNCTION appointment_slots(organization uuid, wanted text, since timestamptz,
                                  until timestamptz)
RETURNS TABLE (starts_at timestamptz, ends_at timestamptz, time_zone text, is_free boolean)
LANGUAGE sql STABLE AS $$
    SELECT slot.starts_at, slot.ends_at, slot.time_zone,
           slot.starts_at > now() AND NOT EXISTS (
               SELECT FROM appointments AS a
               WHERE a.organization_id = organization AND a.calendar = wanted AND a.state = 'booked'
                 AND tstzrange(a.starts_at, a.ends_at) && tstzrange(slot.starts_at, slot.ends_at))
    FROM (
        SELECT DISTINCT h.time_zone,
               (day + h.opens + n * h.slot_minutes * interval '1 minute') AT TIME ZONE h.time_zone
                   AS starts_at,
               (day + h.opens + (n + 1) * h.slot_minutes * interval '1 minute')
                   AT TIME ZONE h.time_zone AS ends_at
        FROM availability AS h
        CROSS JOIN LATERAL generate_series(
            -- timestamps without a zone: the hours are added by the local clock
            date_trunc('day', since AT TIME ZONE h.time_zone) - interval '1 day',
            least(until, since + interval '32 days') AT TIME ZONE h.time_zone + interval '1 day',
            interval '1 day') AS day
        CROSS JOIN LATERAL generate_series(
            0, (extract(epoch FROM h.closes - h.opens) / 60 / h.slot_minutes)::integer - 1) AS n
        WHERE h.organization_id = organization AND h.calendar = wanted
          AND extract(isodow FROM day)::smallint = ANY (h.days)
          AND h.opens + (n + 1) * h.slot_minutes * interval '1 minute' <= h.closes
    ) AS slot
    WHERE slot.starts_at >= since AND slot.starts_at < until
    ORDER BY slot.starts_at
$$;
COMMENT ON FUNCTION appointment_slots IS 'Slots by the hours of a calendar, free or not.';

-- A moment as an AI writes it: with an offset, or by the local clock of the calendar. NULL: neither.
CREATE FUNCTION appointment_time(organization uuid, wanted text, said text) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE
    zone text;
BEGIN
    IF said !~ '^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?$' THEN
        RETURN NULL;
    END IF;
    IF said ~ '(Z|[+-]\d\d:?\d\d)$' AND said ~ '[T ]' THEN
        RETURN said::timestamptz;
    END IF;
    SELECT time_zone INTO zone FROM availability
    WHERE organization_id = organization AND calendar = wanted ORDER BY created_at, id LIMIT 1;
    RETURN said::timestamp AT TIME ZONE coalesce(zone, 'UTC');
EXCEPTION WHEN datetime_field_overflow OR invalid_datetime_format THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION appointment_time IS 'Reads a moment, ISO 8601, in a calendar''s time zone.';

-- outcome: booked, taken, past, closed (no slot begins then), unclear (not a moment) or none (the
-- calendar has no hours). Under the organisation that the transaction has named.
CREATE FUNCTION book_appointment(organization uuid, wanted text, said text, for_name text,
                                 for_phone text, about text, conversation uuid, call uuid,
                                 OUT outcome text, OUT starts text, OUT ends text)
LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := appointment_time(organization, wanted, said);
    slot record;
BEGIN
    IF NOT EXISTS (SELECT FROM availability
                   WHERE organization_id = organization AND calendar = wanted) THEN
        outcome := 'none';
        RETURN;
    ELSIF moment IS NULL THEN
        outcome := 'unclear';
        RETURN;
    END IF;
    SELECT * INTO slot FROM appointment_slots(organization, wanted, moment,
                                              moment + interval '1 microsecond') AS s
    ORDER BY s.ends_at LIMIT 1;
    outcome := CASE WHEN moment <= now() THEN 'past'
                    WHEN slot.starts_at IS NULL THEN 'closed' ELSE 'booked' END;
    starts := to_char(slot.starts_at AT TIME ZONE slot.time_zone, 'YYYY-MM-DD"T"HH24:MI');
    ends := to_char(slot.ends_at AT TIME ZONE slot.time_zone, 'YYYY-MM-DD"T"HH24:MI');
    IF outcome = 'booked' THEN
        -- In turn: inserts that wait for each other's rows would otherwise deadlock.
        PERFORM pg_advisory_xact_lock(hashtextextended(organization::text || wanted, 0));
        INSERT INTO appointments (organization_id, calendar, starts_at, ends_at, name, phone, note,
                                  conversation_id, tool_call_id)
        VALUES (organization, wanted, slot.starts_at, slot.ends_at, left(coalesce(for_name, ''), 200),
                left(coalesce(for_phone, ''), 64), left(coalesce(about, ''), 2000), conversation,
                call);
    END IF;
EXCEPTION WHEN exclusion_violation THEN
    outcome := 'taken';
END
$$;
COMMENT ON FUNCTION book_appointment IS 'Books a slot for one, whoever else wants it at the same moment.';

GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION claim_tool_call OWNER TO ringbridge_gate;
ALTER FUNCTION renew_tool_calls OWNER TO ringbridge_gate;
ALTER FUNCTION take_tool_results OWNER TO ringbridge_gate;
ALTER FUNCTION settle_tool_result OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;
REVOKE ALL ON FUNCTION claim_tool_call, renew_tool_calls, take_tool_results, settle_tool_result
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_tool_call, renew_tool_calls, take_tool_results, settle_tool_result
    TO ringbridge_serving;
