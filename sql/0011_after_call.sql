-- After a call: what was said is summed up, and whoever wants to know is told: by e-mail, by webhooks
-- to the organisation's own systems, in Slack.
--
-- The fact that ends a call plans one job after_call, in its own transaction (plan_after_call, at the
-- end of settle_conversation). That job writes one row of after_calls and all deliveries in one
-- transaction with its own end, so there is one set of them whatever dies. What is sent is rendered
-- once and kept: every try sends the same bytes under the same key.

CREATE FUNCTION is_email(address text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN length(address) <= 254 AND address ~
    '^[A-Za-z0-9.!#$%&''*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$';
COMMENT ON FUNCTION is_email IS 'Is this a plain e-mail address, local@domain?';

CREATE FUNCTION is_mailbox(mailbox text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN is_email(mailbox)
    OR (mailbox ~ '^[^[:cntrl:]<>"@,;:\\()]{1,100} <[^<>]+>$' AND is_email(substring(mailbox from '<([^<>]+)>$')));
COMMENT ON FUNCTION is_mailbox IS 'Is this an address, or Name <address>?';

CREATE FUNCTION are_emails(addresses text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT coalesce(bool_and(coalesce(is_email(a), false)), true) FROM unnest(addresses) AS a);
COMMENT ON FUNCTION are_emails IS 'Are all of these plain e-mail addresses?';

CREATE TABLE after_call_settings (
    organization_id      uuid PRIMARY KEY REFERENCES organizations ON DELETE CASCADE,
    email_to             text[] NOT NULL DEFAULT '{}',
    email_from           text,
    email_reply_to       text,
    language             text NOT NULL DEFAULT 'en',
    time_zone            text NOT NULL DEFAULT 'UTC',
    summary              boolean NOT NULL DEFAULT true,
    summary_model        text,
    summary_instructions text,
    transcription_model  text,
    wait_s               integer NOT NULL DEFAULT 30,
    summary_wait_s       integer NOT NULL DEFAULT 120,
    link_days            integer NOT NULL DEFAULT 7,
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT after_call_settings_email_to
        CHECK (cardinality(email_to) <= 20 AND are_emails(email_to)),
    CONSTRAINT after_call_settings_email_from CHECK (is_mailbox(email_from)),
    CONSTRAINT after_call_settings_email_reply_to CHECK (is_email(email_reply_to)),
    CONSTRAINT after_call_settings_language CHECK (language IN ('en', 'de')),
    CONSTRAINT after_call_settings_time_zone CHECK (is_time_zone(time_zone)),
    CONSTRAINT after_call_settings_models
        CHECK (summary_model ~ '^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$'
               AND transcription_model ~ '^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$'),
    CONSTRAINT after_call_settings_summary_instructions
        CHECK (length(summary_instructions) <= 8192),
    CONSTRAINT after_call_settings_waits
        CHECK (wait_s BETWEEN 1 AND 3600 AND summary_wait_s BETWEEN 0 AND 3600),
    CONSTRAINT after_call_settings_links CHECK (link_days BETWEEN 0 AND 90)
);
COMMENT ON TABLE after_call_settings IS
    'What an organisation wants done after a call. No row and no endpoint: nothing.';
COMMENT ON COLUMN after_call_settings.organization_id IS 'Whose calls.';
COMMENT ON COLUMN after_call_settings.email_to IS 'Who gets the e-mail; nobody: none is sent.';
COMMENT ON COLUMN after_call_settings.email_from IS
    'Its sender, an address or Name <address>; NULL: the installation''s.';
COMMENT ON COLUMN after_call_settings.email_reply_to IS 'Where answers to it go; NULL: to the sender.';
COMMENT ON COLUMN after_call_settings.language IS 'Of e-mails and summaries: en or de.';
COMMENT ON COLUMN after_call_settings.time_zone IS 'Whose local time they show.';
COMMENT ON COLUMN after_call_settings.summary IS 'Shall an AI sum up what was said?';
COMMENT ON COLUMN after_call_settings.summary_model IS 'Which one; NULL: the installation''s.';
COMMENT ON COLUMN after_call_settings.summary_instructions IS 'What else it should look for.';
COMMENT ON COLUMN after_call_settings.transcription_model IS
    'What writes down voicemail; NULL: the installation''s.';
COMMENT ON COLUMN after_call_settings.wait_s IS
    'How long after its end a call waits for reports that are missing; then it is taken as it is.';
COMMENT ON COLUMN after_call_settings.summary_wait_s IS
    'How long the rest waits for a summary that does not come; then it goes out without one.';
COMMENT ON COLUMN after_call_settings.link_days IS
    'How long a link to a recording works that is sent; 0: none is sent.';
COMMENT ON COLUMN after_call_settings.created_at IS 'When the row was made.';
COMMENT ON COLUMN after_call_settings.updated_at IS 'When the row was last changed; kept by a trigger.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE endpoints (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    kind            text NOT NULL,
    url             text,
    label           text NOT NULL DEFAULT '',
    sealed          bytea NOT NULL,
    disabled_at     timestamptz,
    disabled_reason text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT endpoints_kind CHECK (kind IN ('webhook', 'slack')),
    -- The address of a Slack webhook is its secret, so it is sealed; a webhook's secret signs.
    CONSTRAINT endpoints_url CHECK (CASE kind
        WHEN 'webhook' THEN url IS NOT NULL AND length(url) <= 2000
                            AND url ~ '^https?://[^[:space:][:cntrl:]]+$'
        ELSE url IS NULL END),
    CONSTRAINT endpoints_label CHECK (length(label) <= 200),
    CONSTRAINT endpoints_sealed CHECK (octet_length(sealed) BETWEEN 30 AND 8192),
    CONSTRAINT endpoints_reason CHECK (length(disabled_reason) <= 2000)
);
CREATE INDEX endpoints_by_organization ON endpoints (organization_id, created_at);
COMMENT ON TABLE endpoints IS 'Systems of an organisation''s own that want to hear of its calls.';
COMMENT ON COLUMN endpoints.id IS 'Its id.';
COMMENT ON COLUMN endpoints.organization_id IS 'Whose it is.';
COMMENT ON COLUMN endpoints.kind IS 'webhook: signed JSON; slack: a text for an incoming webhook of Slack''s kind.';
COMMENT ON COLUMN endpoints.url IS 'webhook: where it is posted.';
COMMENT ON COLUMN endpoints.label IS 'What people call it.';
COMMENT ON COLUMN endpoints.sealed IS
    'webhook: the secret that signs; slack: the URL. Sealed and bound to organisation and id.';
COMMENT ON COLUMN endpoints.disabled_at IS 'Nothing is sent since then; NULL: it is in use.';
COMMENT ON COLUMN endpoints.disabled_reason IS 'Why: it answered that it is gone for good.';
COMMENT ON COLUMN endpoints.created_at IS 'When the row was made.';
COMMENT ON COLUMN endpoints.updated_at IS 'When the row was last changed; kept by a trigger.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE after_calls (
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    complete        boolean NOT NULL,
    state           text NOT NULL,
    summary         text,
    outcome         text,
    intent          text,
    sentiment       text,
    follow_up       text[] NOT NULL DEFAULT '{}',
    callback_needed boolean,
    model           text,
    response_id     text,
    input_tokens    bigint,
    output_tokens   bigint,
    error           text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, conversation_id),
    CONSTRAINT after_calls_conversation FOREIGN KEY (organization_id, conversation_id)
        REFERENCES conversations (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT after_calls_state CHECK (state IN ('summed_up', 'not_wanted', 'silent', 'failed')),
    CONSTRAINT after_calls_summed_up CHECK ((state = 'summed_up') = (summary IS NOT NULL)),
    CONSTRAINT after_calls_sizes
        CHECK (length(summary) <= 16384 AND length(outcome) <= 100 AND length(intent) <= 1000
               AND length(sentiment) <= 100 AND cardinality(follow_up) <= 50
               AND length(model) <= 200 AND length(response_id) <= 200 AND length(error) <= 2000)
);
COMMENT ON TABLE after_calls IS
    'A call is done with: its summary, and that everybody was told. Once, for good, per call.';
COMMENT ON COLUMN after_calls.organization_id IS 'Whose call it was.';
COMMENT ON COLUMN after_calls.conversation_id IS 'Which call.';
COMMENT ON COLUMN after_calls.complete IS 'False: reports were missing when the wait was over.';
COMMENT ON COLUMN after_calls.state IS
    'summed_up; not_wanted; silent: nothing was said; failed: there is no summary, error says why.';
COMMENT ON COLUMN after_calls.summary IS 'What the call was about.';
COMMENT ON COLUMN after_calls.outcome IS 'What became of it: resolved, callback, message, appointment, transferred, none.';
COMMENT ON COLUMN after_calls.intent IS 'What the caller wanted, in a few words.';
COMMENT ON COLUMN after_calls.sentiment IS 'positive, neutral or negative.';
COMMENT ON COLUMN after_calls.follow_up IS 'What somebody should do now.';
COMMENT ON COLUMN after_calls.callback_needed IS 'Does the caller expect to be called back?';
COMMENT ON COLUMN after_calls.model IS 'Which AI said so.';
COMMENT ON COLUMN after_calls.response_id IS 'Its name for that answer.';
COMMENT ON COLUMN after_calls.input_tokens IS 'What the question cost.';
COMMENT ON COLUMN after_calls.output_tokens IS 'What the answer cost.';
COMMENT ON COLUMN after_calls.error IS 'Why there is no summary.';
COMMENT ON COLUMN after_calls.created_at IS 'When it was done.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE deliveries (
    id              uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    endpoint_id     uuid,
    kind            text NOT NULL,
    event           text NOT NULL,
    idempotency_key text NOT NULL,
    target          text NOT NULL,
    body            text NOT NULL,
    sending_since   timestamptz,
    maybe_twice     boolean NOT NULL DEFAULT false,
    sent_at         timestamptz,
    answer          integer,
    provider_id     text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT deliveries_once UNIQUE (organization_id, idempotency_key),
    CONSTRAINT deliveries_conversation FOREIGN KEY (organization_id, conversation_id)
        REFERENCES conversations (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT deliveries_endpoint FOREIGN KEY (organization_id, endpoint_id)
        REFERENCES endpoints (organization_id, id) ON DELETE SET NULL (endpoint_id),
    CONSTRAINT deliveries_kind CHECK (kind IN ('email', 'webhook', 'slack')),
    CONSTRAINT deliveries_event CHECK (event IN ('call.completed', 'voicemail.received')),
    CONSTRAINT deliveries_key CHECK (length(idempotency_key) BETWEEN 1 AND 200),
    CONSTRAINT deliveries_sizes
        CHECK (length(target) <= 5200 AND length(body) <= 4194304 AND length(provider_id) <= 300)
);
CREATE INDEX deliveries_by_time ON deliveries (created_at DESC, id);
CREATE INDEX deliveries_by_conversation ON deliveries (organization_id, conversation_id);
CREATE INDEX deliveries_by_endpoint ON deliveries (organization_id, endpoint_id, created_at);
COMMENT ON TABLE deliveries IS
    'What goes out after a call, rendered once. A job <kind>_send per row brings it there.';
COMMENT ON COLUMN deliveries.id IS 'Its id; webhooks carry it as webhook-id, e-mails as Message-ID.';
COMMENT ON COLUMN deliveries.organization_id IS 'Whose call it is about.';
COMMENT ON COLUMN deliveries.conversation_id IS 'Which call.';
COMMENT ON COLUMN deliveries.endpoint_id IS 'webhook and slack: where to; NULL: it was removed.';
COMMENT ON COLUMN deliveries.kind IS 'email, webhook or slack.';
COMMENT ON COLUMN deliveries.event IS 'What it tells: call.completed or voicemail.received.';
COMMENT ON COLUMN deliveries.idempotency_key IS 'What it is about and for whom: there is one of each.';
COMMENT ON COLUMN deliveries.target IS 'Where it goes, for people; no secret.';
COMMENT ON COLUMN deliveries.body IS 'Exactly what is sent, the same in every try.';
COMMENT ON COLUMN deliveries.sending_since IS
    'SMTP: a hand-over began then and its outcome is not known (yet).';
COMMENT ON COLUMN deliveries.maybe_twice IS
    'SMTP: it was sent again although a hand-over before may have worked; the Message-ID is the same.';
COMMENT ON COLUMN deliveries.sent_at IS 'When the other side had taken it; NULL: not yet.';
COMMENT ON COLUMN deliveries.answer IS 'The status with which it did.';
COMMENT ON COLUMN deliveries.provider_id IS 'The other side''s name for it.';
COMMENT ON COLUMN deliveries.created_at IS 'When the row was made.';
COMMENT ON COLUMN deliveries.updated_at IS 'When the row was last changed; kept by a trigger.';

SELECT guard_table('after_call_settings');
SELECT guard_table('endpoints');
SELECT guard_table('after_calls');
SELECT guard_table('deliveries');
CREATE TRIGGER touch BEFORE UPDATE ON after_call_settings
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON endpoints FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON deliveries FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
GRANT SELECT ON after_call_settings, endpoints, after_calls TO ringbridge_gate;
GRANT SELECT ON after_call_settings TO ringbridge_serving;
GRANT SELECT, UPDATE ON endpoints TO ringbridge_serving;
GRANT SELECT, INSERT ON after_calls TO ringbridge_serving;
GRANT SELECT, INSERT, UPDATE ON deliveries TO ringbridge_serving;

-- ---------------------------------------------------------------------------------------------
CREATE FUNCTION wants_after_call(organization uuid) RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (SELECT FROM after_call_settings WHERE organization_id = organization)
    OR EXISTS (SELECT FROM endpoints WHERE organization_id = organization AND disabled_at IS NULL);
COMMENT ON FUNCTION wants_after_call IS 'Does this organisation want anything done after a call?';

CREATE FUNCTION call_is_whole(conversation uuid) RETURNS boolean
LANGUAGE sql STABLE
RETURN (
    SELECT coalesce(bool_or(source = 'carrier' AND kind = 'status'
                            AND call_status_rank(body ->> 'status') = 4), false)
           AND coalesce(max(seq) FILTER (WHERE source = 'edge' AND kind = 'started')
                        < max(seq) FILTER (WHERE source = 'edge' AND kind = 'ended'), false)
    FROM call_events WHERE conversation_id = conversation);
COMMENT ON FUNCTION call_is_whole IS
    'Have the carrier told the end of a call and the edge the end of its last stream?';

-- Called with the organisation named and the call's row locked, whenever its record was settled.
-- A call whose end the carrier has told, and whose last stream the edge has reported to its end, is
-- whole: its job is due at once. Any other that is over waits wait_s for what is missing: the carrier's
-- word, an edge's last events, the callback of a voicemail. The row of after_calls outlives the job, so
-- a report that comes months later tells nobody again.
CREATE FUNCTION plan_after_call(conversation uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    call record;
    due timestamptz := now();
BEGIN
    SELECT c.organization_id, c.call_status, c.channel, c.end_timestamp INTO call
    FROM conversations AS c WHERE c.id = conversation;
    IF call.channel <> 'voice' OR call_status_rank(call.call_status) IS DISTINCT FROM 4
       OR call.end_timestamp < now() - interval '1 day' OR NOT wants_after_call(call.organization_id)
       OR EXISTS (SELECT FROM after_calls AS a WHERE a.organization_id = call.organization_id
                  AND a.conversation_id = conversation) THEN
        RETURN;
    END IF;
    IF NOT call_is_whole(conversation) THEN
        due := now() + coalesce((SELECT wait_s FROM after_call_settings
                                 WHERE organization_id = call.organization_id), 30)
                       * interval '1 second';
    END IF;
    INSERT INTO jobs AS j (organization_id, kind, idempotency_key, payload, max_tries, due_at)
    VALUES (call.organization_id, 'after_call', conversation::text,
            jsonb_build_object('conversation', conversation), 1000, due)
    ON CONFLICT (organization_id, kind, idempotency_key) DO UPDATE SET due_at = excluded.due_at
    WHERE j.state = 'queued' AND j.tries = 0 AND excluded.due_at < j.due_at;
END
$$;
COMMENT ON FUNCTION plan_after_call IS 'Plans what is done after a call that is over, once.';


-- A message that a caller left is told of by itself: when it is complete, whichever webhook said so.
-- The job is due when its sound has been fetched; or after a minute, to find out that it has not.
CREATE FUNCTION plan_voicemail() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status = 'completed' AND wants_after_call(NEW.organization_id) THEN
        PERFORM enqueue_job(NEW.organization_id, 'voicemail_after', NEW.id::text,
                            jsonb_build_object('voicemail', NEW.id), 1000,
                            CASE WHEN EXISTS (SELECT FROM recordings
                                              WHERE organization_id = NEW.organization_id
                                              AND source = 'carrier' AND source_name = NEW.recording_sid)
                                 THEN now() ELSE now() + interval '1 minute' END);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION plan_voicemail() IS 'Trigger: plans what is done with a complete voicemail, once.';
CREATE TRIGGER after_voicemail AFTER INSERT OR UPDATE OF status ON voicemails
    FOR EACH ROW EXECUTE FUNCTION plan_voicemail();

CREATE FUNCTION hurry_voicemail() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs AS j SET due_at = now() FROM voicemails AS v
    WHERE v.organization_id = NEW.organization_id AND v.recording_sid = NEW.source_name
      AND j.organization_id = NEW.organization_id AND j.kind = 'voicemail_after'
      AND j.idempotency_key = v.id::text AND j.state = 'queued';
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION hurry_voicemail() IS 'Trigger: the sound is there that the job of a voicemail waits for.';
CREATE TRIGGER voicemail_fetched AFTER INSERT ON recordings
    FOR EACH ROW WHEN (NEW.source = 'carrier') EXECUTE FUNCTION hurry_voicemail();

CREATE FUNCTION voicemail_sound(voicemail uuid)
RETURNS TABLE (conversation uuid, transcription text, duration_ms bigint, path text, store text,
               recording uuid)
LANGUAGE sql STABLE AS $$
    SELECT v.conversation_id, v.transcription, v.duration_ms, r.path,
           r.store, r.id
    FROM voicemails AS v
    LEFT JOIN recordings AS r ON r.organization_id = v.organization_id AND r.source = 'carrier'
          AND r.source_name = v.recording_sid AND r.state = 'ready'
    WHERE v.id = voicemail
$$;
COMMENT ON FUNCTION voicemail_sound IS 'Where a message''s sound is, and its words as far as there are any.';

-- ---------------------------------------------------------------------------------------------
-- Everything that summaries and templates are made from, as one JSON object.
CREATE FUNCTION iso_time(moment timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
COMMENT ON FUNCTION iso_time IS 'A time as ISO 8601 with milliseconds, in UTC.';

-- An organisation that only has endpoints has settings, too: the table's defaults.
CREATE FUNCTION after_call_setting(organization uuid) RETURNS after_call_settings
LANGUAGE plpgsql STABLE AS $$
DECLARE
    own after_call_settings;
BEGIN
    SELECT * INTO own FROM after_call_settings WHERE organization_id = organization;
    IF NOT FOUND THEN
        own.organization_id := organization;
        own.email_to := '{}';
        own.language := 'en';
        own.time_zone := 'UTC';
        own.summary := true;
        own.wait_s := 30;
        own.summary_wait_s := 120;
        own.link_days := 7;
    END IF;
    RETURN own;
END
$$;
COMMENT ON FUNCTION after_call_setting IS 'An organisation''s settings, or the defaults.';

CREATE FUNCTION after_call_facts(conversation uuid) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'organization', jsonb_build_object('id', o.id, 'name', o.name),
        'call', jsonb_build_object(
            'id', c.id, 'call_sid', c.call_sid, 'direction', c.direction, 'from', c.from_number,
            'to', c.to_number, 'status', c.call_status,
            'disconnection_reason', c.disconnection_reason, 'ended_reason', c.ended_reason,
            'started_at', iso_time(c.start_timestamp), 'ended_at', iso_time(c.end_timestamp),
            'duration_ms', c.duration_ms,
            'local_time', to_char(c.start_timestamp AT TIME ZONE s.time_zone, 'YYYY-MM-DD HH24:MI')),
        'complete', call_is_whole(c.id),
        'messages', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                       'at_ms', greatest((extract(epoch FROM m."timestamp" - c.start_timestamp)
                                          * 1000)::bigint, 0),
                       'role', m.role, 'text', m.content, 'interrupted', m.interrupted)
                   ORDER BY m."timestamp", m.seq, m.id)
            FROM conversation_messages AS m
            WHERE m.organization_id = c.organization_id AND m.conversation_id = c.id
              AND m.role IN ('user', 'assistant')), '[]'),
        'legs', coalesce((
            SELECT jsonb_agg(jsonb_build_object('to', l.to_number, 'status', l.call_status,
                                                'duration_ms', l.duration_ms) ORDER BY l.created_at)
            FROM call_legs AS l
            WHERE l.organization_id = c.organization_id AND l.conversation_id = c.id), '[]'),
        'voicemails', coalesce((
            SELECT jsonb_agg(jsonb_build_object('id', v.id, 'duration_ms', v.duration_ms,
                                                'transcription', v.transcription,
                                                'summary', v.summary) ORDER BY v.created_at)
            FROM voicemails AS v
            WHERE v.organization_id = c.organization_id AND v.conversation_id = c.id
              AND v.status IN ('in-progress', 'completed')), '[]'),
        'recordings', coalesce((
            SELECT jsonb_agg(jsonb_build_object('id', r.id, 'duration_ms', r.duration_ms)
                             ORDER BY r.started_at)
            FROM recordings AS r
            WHERE r.organization_id = c.organization_id AND r.conversation_id = c.id
              AND r.state = 'ready'), '[]'),
        'recordings_to_come', EXISTS (
            SELECT FROM jobs AS j
            WHERE j.organization_id = c.organization_id AND j.due_at IS NOT NULL
              AND (j.kind = 'recording_encode' AND j.idempotency_key LIKE c.id || '.%'
                   OR j.kind = 'recording_fetch' AND j.payload ->> 'conversation' = c.id::text)),
        'settings', jsonb_build_object(
            'email_to', to_jsonb(s.email_to), 'email_from', s.email_from,
            'email_reply_to', s.email_reply_to, 'language', s.language, 'time_zone', s.time_zone,
            'summary', s.summary, 'summary_model', s.summary_model,
            'summary_instructions', s.summary_instructions,
            'transcription_model', s.transcription_model, 'wait_s', s.wait_s,
            'summary_wait_s', s.summary_wait_s, 'link_days', s.link_days),
        'endpoints', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                       'id', e.id, 'kind', e.kind,
                       'target', CASE WHEN e.url IS NOT NULL THEN e.url ELSE e.kind END)
                   ORDER BY e.created_at, e.id)
            FROM endpoints AS e
            WHERE e.organization_id = c.organization_id AND e.disabled_at IS NULL), '[]'))
    FROM conversations AS c
    JOIN organizations AS o ON o.id = c.organization_id
    CROSS JOIN LATERAL after_call_setting(c.organization_id) AS s
    WHERE c.id = conversation
$$;
COMMENT ON FUNCTION after_call_facts IS
    'What is known of a call and of what shall be done with it, under the named organisation.';

-- One thing to be sent, and the job that brings it there; to be called in the transaction that ends
-- the job which composed it. False: there is one about this, for this one.
CREATE FUNCTION add_delivery(delivery uuid, organization uuid, conversation uuid, endpoint uuid,
                             delivery_kind text, told text, key text, whom text, what text)
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deliveries (id, organization_id, conversation_id, endpoint_id, kind, event,
                            idempotency_key, target, body)
    VALUES (delivery, organization, conversation, endpoint, delivery_kind, told, key, whom, what)
    ON CONFLICT (organization_id, idempotency_key) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- Pauses double up to an hour: thirty tries are most of a day.
    RETURN enqueue_job(organization, delivery_kind || '_send', delivery::text,
                       jsonb_build_object('delivery', delivery), 30);
END
$$;
COMMENT ON FUNCTION add_delivery IS 'Puts something into the outbox, once.';
