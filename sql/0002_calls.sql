-- What happened: conversations, what was said in them, and the ledger of everything that was
-- reported about them.
--
-- call_events is the truth and is only ever added to. The row in conversations is computed from it
-- (settle_conversation in 0003), so webhooks and events may come in any order and any number of
-- times and the record is the same.

-- A call's status in the carrier's words; the order of the list is the order of a call's life.
CREATE DOMAIN call_status AS text
    CONSTRAINT call_status_known CHECK (VALUE IN (
        'queued', 'initiated', 'ringing', 'in-progress',
        'completed', 'busy', 'no-answer', 'failed', 'canceled'));
COMMENT ON DOMAIN call_status IS 'Where a call is in its life, in Twilio''s words.';

CREATE FUNCTION call_status_rank(status text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE status
    WHEN 'queued' THEN 0 WHEN 'initiated' THEN 1 WHEN 'ringing' THEN 2 WHEN 'in-progress' THEN 3
    WHEN 'completed' THEN 4 WHEN 'busy' THEN 4 WHEN 'no-answer' THEN 4 WHEN 'failed' THEN 4
    WHEN 'canceled' THEN 4 END;
COMMENT ON FUNCTION call_status_rank IS
    'How far along a status is; a record never goes back. 4 is the end. NULL: not a status.';

-- common/end.def as a domain; a test compares the two.
CREATE DOMAIN end_reason AS text
    CONSTRAINT end_reason_known CHECK (VALUE IN (
        'caller_hung_up', 'agent_hung_up', 'transferred', 'hung_up_by_order', 'duration_limit',
        'drained', 'carrier_lost', 'carrier_silent', 'carrier_no_start', 'carrier_protocol',
        'carrier_wrong_call', 'carrier_too_slow', 'carrier_no_show', 'ai_unresolved',
        'ai_unreachable', 'ai_tls', 'ai_refused', 'ai_not_ready', 'ai_error', 'ai_expired',
        'ai_lost', 'ai_closed', 'ai_silent', 'ai_protocol', 'ai_too_slow', 'no_capacity',
        'internal'));
COMMENT ON DOMAIN end_reason IS 'Why the edge ended a call: the names of common/end.def.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE conversations (
    id                    uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id       uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    session_id            text NOT NULL,
    channel               text NOT NULL,
    phone_number_id       uuid,
    account_sid           text,
    call_sid              text,
    from_number           text,
    to_number             text,
    direction             text NOT NULL DEFAULT 'inbound',
    start_timestamp       timestamptz NOT NULL DEFAULT now(),
    end_timestamp         timestamptz,
    answered_at           timestamptz,
    duration_ms           bigint,
    duration_by           text,
    carrier_duration_ms   bigint,
    stream_duration_ms    bigint,
    call_status           call_status,
    disconnection_reason  text,
    sip_response_code     integer,
    ended_reason          end_reason,
    route                 jsonb,
    next_step             jsonb,
    figures               jsonb,
    recording_sid         text,
    recording_url         text,
    recording_status      text,
    recording_duration_ms bigint,
    metadata              jsonb NOT NULL DEFAULT '{}',
    created_at            timestamptz NOT NULL DEFAULT now(),
    updated_at            timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT conversations_session UNIQUE (organization_id, session_id),
    -- This way round it also finds a call by its CallSid alone.
    CONSTRAINT conversations_call UNIQUE (call_sid, account_sid),
    -- The number may be taken away later; the record stays.
    CONSTRAINT conversations_phone_number FOREIGN KEY (organization_id, phone_number_id)
        REFERENCES phone_numbers (organization_id, id) ON DELETE SET NULL (phone_number_id),
    CONSTRAINT conversations_session_length CHECK (length(session_id) BETWEEN 1 AND 600),
    CONSTRAINT conversations_channel CHECK (channel IN ('voice', 'sms', 'whatsapp')),
    CONSTRAINT conversations_direction CHECK (direction IN ('inbound', 'outbound')),
    CONSTRAINT conversations_voice
        CHECK (channel <> 'voice' OR (call_sid IS NOT NULL AND call_status IS NOT NULL)),
    CONSTRAINT conversations_numbers
        CHECK (length(from_number) <= 256 AND length(to_number) <= 256),
    CONSTRAINT conversations_durations
        CHECK (duration_ms >= 0 AND carrier_duration_ms >= 0 AND stream_duration_ms >= 0
               AND recording_duration_ms >= 0),
    CONSTRAINT conversations_duration_by
        CHECK (duration_by IN ('edge', 'carrier') AND (duration_by IS NULL) = (duration_ms IS NULL)),
    CONSTRAINT conversations_metadata CHECK (jsonb_typeof(metadata) = 'object'),
    CONSTRAINT conversations_route CHECK (jsonb_typeof(route) = 'object'),
    CONSTRAINT conversations_next_step CHECK (jsonb_typeof(next_step) = 'object')
);
CREATE INDEX conversations_by_time ON conversations (organization_id, start_timestamp DESC, id);
CREATE INDEX conversations_all_by_time ON conversations (start_timestamp DESC, id);
-- Not the organisation first: where the planner knows nothing about a young table it would look calls
-- up by their organisation alone.
CREATE INDEX conversations_by_number ON conversations (phone_number_id, organization_id);
COMMENT ON TABLE conversations IS
    'One call, or one thread of messages, of an organisation with somebody.';
COMMENT ON COLUMN conversations.id IS 'Its id; on the link it is called "call".';
COMMENT ON COLUMN conversations.organization_id IS 'Whose conversation it is.';
COMMENT ON COLUMN conversations.session_id IS 'twilio_<CallSid> for calls, sms_<from>_<to> for threads.';
COMMENT ON COLUMN conversations.channel IS 'voice, sms or whatsapp.';
COMMENT ON COLUMN conversations.phone_number_id IS 'The number of ours it went through, while we have it.';
COMMENT ON COLUMN conversations.account_sid IS 'The carrier''s account that owns the call.';
COMMENT ON COLUMN conversations.call_sid IS 'The carrier''s name for the call; unique with the account.';
COMMENT ON COLUMN conversations.from_number IS 'Who called, as the carrier wrote it: a number, sip:, client: or a word.';
COMMENT ON COLUMN conversations.to_number IS 'Who was called, as the carrier wrote it.';
COMMENT ON COLUMN conversations.direction IS 'inbound: they called us; outbound: we called them.';
COMMENT ON COLUMN conversations.start_timestamp IS 'When the call began: the first thing we know of it.';
COMMENT ON COLUMN conversations.end_timestamp IS 'When it ended; NULL while it lives.';
COMMENT ON COLUMN conversations.answered_at IS
    'When it was answered: by the clock that duration_by names. NULL: not answered, or not told.';
COMMENT ON COLUMN conversations.duration_ms IS
    'How long it took, from the answer to the end; whose clock says so is duration_by.';
COMMENT ON COLUMN conversations.duration_by IS
    'edge: to the millisecond, first stream''s start to last stream''s end; the carrier agrees to 2 s or says nothing. carrier: its whole seconds, because more happened than was streamed.';
COMMENT ON COLUMN conversations.carrier_duration_ms IS 'What the carrier says, in whole seconds.';
COMMENT ON COLUMN conversations.stream_duration_ms IS 'How long the edge carried its audio, to the millisecond.';
COMMENT ON COLUMN conversations.call_status IS 'Where it is in its life; never goes back. NULL for threads.';
COMMENT ON COLUMN conversations.disconnection_reason IS
    'How the carrier says it ended: completed, busy, no-answer, failed, canceled.';
COMMENT ON COLUMN conversations.sip_response_code IS 'The final SIP code, when the carrier told.';
COMMENT ON COLUMN conversations.ended_reason IS 'Why the edge ended it; NULL when it never streamed.';
COMMENT ON COLUMN conversations.route IS
    'What was chosen to be done with the call when it came in (control/carrier/steps.h), once.';
COMMENT ON COLUMN conversations.next_step IS
    'What the after-stream webhook shall answer, e.g. {"step":"dial","to":"+1..."}; NULL: it depends on how the stream ended.';
COMMENT ON COLUMN conversations.figures IS 'What the edge measured: frames, bytes, latencies.';
COMMENT ON COLUMN conversations.recording_sid IS 'The carrier''s name for the recording.';
COMMENT ON COLUMN conversations.recording_url IS 'Where the carrier keeps it.';
COMMENT ON COLUMN conversations.recording_status IS 'in-progress, completed, absent or failed.';
COMMENT ON COLUMN conversations.recording_duration_ms IS 'How long the recording is.';
COMMENT ON COLUMN conversations.metadata IS 'channel, stream_sid, media_format and other notes.';
COMMENT ON COLUMN conversations.created_at IS 'When the row was made.';
COMMENT ON COLUMN conversations.updated_at IS 'When the row was last changed; kept by a trigger.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE conversation_messages (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    seq             bigint,
    role            text NOT NULL,
    content         text NOT NULL,
    "timestamp"     timestamptz NOT NULL DEFAULT now(),
    item_id         text,
    interrupted     boolean NOT NULL DEFAULT false,
    audio_ms        bigint,
    heard_ms        bigint,
    metadata        jsonb NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT conversation_messages_conversation FOREIGN KEY (organization_id, conversation_id)
        REFERENCES conversations (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT conversation_messages_seq UNIQUE (conversation_id, seq),
    CONSTRAINT conversation_messages_role CHECK (role IN ('user', 'assistant', 'system', 'tool')),
    CONSTRAINT conversation_messages_durations CHECK (audio_ms >= 0 AND heard_ms >= 0),
    CONSTRAINT conversation_messages_metadata CHECK (jsonb_typeof(metadata) = 'object')
);
CREATE INDEX conversation_messages_by_time
    ON conversation_messages (organization_id, conversation_id, "timestamp", seq);
COMMENT ON TABLE conversation_messages IS 'What was said or written, one finished utterance a row.';
COMMENT ON COLUMN conversation_messages.id IS 'Its id.';
COMMENT ON COLUMN conversation_messages.organization_id IS 'Whose conversation it is.';
COMMENT ON COLUMN conversation_messages.conversation_id IS 'In which conversation.';
COMMENT ON COLUMN conversation_messages.seq IS 'Number of the edge''s event that told it; NULL for texts.';
COMMENT ON COLUMN conversation_messages.role IS 'user: the other side; assistant: our agent; system; tool.';
COMMENT ON COLUMN conversation_messages.content IS 'The words.';
COMMENT ON COLUMN conversation_messages."timestamp" IS 'When it was said.';
COMMENT ON COLUMN conversation_messages.item_id IS 'The AI''s name for it.';
COMMENT ON COLUMN conversation_messages.interrupted IS 'The caller spoke before it was played to its end.';
COMMENT ON COLUMN conversation_messages.audio_ms IS 'How long its audio is.';
COMMENT ON COLUMN conversation_messages.heard_ms IS 'How much of it the caller heard.';
COMMENT ON COLUMN conversation_messages.metadata IS 'message_sid, from, to and other notes.';
COMMENT ON COLUMN conversation_messages.created_at IS 'When the row was made.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE call_events (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    source          text NOT NULL,
    kind            text NOT NULL,
    seq             bigint,
    idempotency_key text,
    at              timestamptz NOT NULL,
    body            jsonb NOT NULL DEFAULT '{}',
    received_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT call_events_conversation FOREIGN KEY (organization_id, conversation_id)
        REFERENCES conversations (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT call_events_source CHECK (source IN ('edge', 'carrier', 'operator')),
    CONSTRAINT call_events_kind CHECK (kind ~ '^[a-z][a-z0-9_-]{0,39}$'),
    -- Each source says for itself what makes a fact the same fact.
    CONSTRAINT call_events_identity CHECK (CASE source
        WHEN 'edge' THEN seq IS NOT NULL AND seq >= 0 AND idempotency_key IS NULL
        ELSE idempotency_key IS NOT NULL AND length(idempotency_key) <= 200 END),
    CONSTRAINT call_events_body CHECK (jsonb_typeof(body) = 'object')
);
CREATE UNIQUE INDEX call_events_edge ON call_events (conversation_id, seq) WHERE source = 'edge';
CREATE UNIQUE INDEX call_events_carrier ON call_events (conversation_id, idempotency_key)
    WHERE source = 'carrier';
CREATE INDEX call_events_by_time ON call_events (organization_id, conversation_id, at, id);
COMMENT ON TABLE call_events IS
    'The ledger: everything reported about a call, each fact once, never changed afterwards.';
COMMENT ON COLUMN call_events.id IS 'Order of arrival.';
COMMENT ON COLUMN call_events.organization_id IS 'Whose call it is.';
COMMENT ON COLUMN call_events.conversation_id IS 'Which call.';
COMMENT ON COLUMN call_events.source IS 'edge: the media process; carrier: a signed webhook; operator: an order of ours.';
COMMENT ON COLUMN call_events.kind IS
    'started, message, barge_in, dtmf, tool_call, usage, ended, ... (edge); incoming, status, stream, after-stream (carrier); order, listen (operator); unstorable: body kept as bytes.';
COMMENT ON COLUMN call_events.seq IS 'edge: its number within the call; carrier: SequenceNumber, if sent.';
COMMENT ON COLUMN call_events.idempotency_key IS
    'carrier: what makes a repetition a repetition, e.g. status/3/completed; operator: the order''s id.';
COMMENT ON COLUMN call_events.at IS 'When it happened, by the clock of whoever reported it.';
COMMENT ON COLUMN call_events.body IS
    'The report; the words of a message stand in conversation_messages only.';
COMMENT ON COLUMN call_events.received_at IS 'When it was stored.';

CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;
COMMENT ON FUNCTION refuse_change() IS 'Trigger: rows of this table are never changed.';
CREATE TRIGGER append_only BEFORE UPDATE ON call_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- ---------------------------------------------------------------------------------------------
CREATE TABLE stream_tickets (
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    nonce           bytea NOT NULL,
    expires_at      timestamptz NOT NULL,
    used_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, nonce),
    CONSTRAINT stream_tickets_conversation FOREIGN KEY (organization_id, conversation_id)
        REFERENCES conversations (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT stream_tickets_nonce CHECK (octet_length(nonce) BETWEEN 8 AND 64)
);
CREATE INDEX stream_tickets_by_conversation ON stream_tickets (organization_id, conversation_id);
CREATE INDEX stream_tickets_by_expiry ON stream_tickets (organization_id, expires_at);
COMMENT ON TABLE stream_tickets IS
    'Tickets that were used, so that none is used twice, on whichever control or edge.';
COMMENT ON COLUMN stream_tickets.organization_id IS 'Whose call it is.';
COMMENT ON COLUMN stream_tickets.conversation_id IS 'Which call the ticket was for.';
COMMENT ON COLUMN stream_tickets.nonce IS 'The ticket''s random bytes.';
COMMENT ON COLUMN stream_tickets.expires_at IS 'From then on its signature is refused anyway; the row may go.';
COMMENT ON COLUMN stream_tickets.used_at IS 'When it was used.';

-- ---------------------------------------------------------------------------------------------
SELECT guard_table('conversations');
SELECT guard_table('conversation_messages');
SELECT guard_table('call_events');
SELECT guard_table('stream_tickets');

CREATE TRIGGER touch BEFORE UPDATE ON conversations
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

GRANT SELECT, INSERT, UPDATE ON conversations TO ringbridge_serving, ringbridge_gate;
GRANT SELECT, INSERT ON call_events TO ringbridge_serving, ringbridge_gate;
GRANT SELECT, INSERT ON conversation_messages TO ringbridge_serving;
GRANT SELECT, INSERT, DELETE ON stream_tickets TO ringbridge_serving;

-- A webhook names a call, not an organisation.
CREATE POLICY gate ON conversations FOR SELECT TO ringbridge_gate USING (true);
