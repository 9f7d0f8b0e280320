-- Sound that is kept: fetched from the carrier or made by an edge, on the disk or in a store of
-- objects, linked with its call or the message that a caller left, given out by links, and deleted
-- when its time has come.
--
-- Whoever has something to do with sound that has come (transcription, e-mail) does it with a trigger
-- AFTER INSERT ON recordings: the row is written when the file is kept, in the transaction that links
-- it, once.

ALTER TABLE recordings
    ADD COLUMN purpose text NOT NULL DEFAULT 'call',
    ADD COLUMN store text NOT NULL DEFAULT 'disk',
    ADD COLUMN account_sid text,
    ADD COLUMN deleted_at timestamptz,
    ADD COLUMN carrier_deleted_at timestamptz,
    ADD CONSTRAINT recordings_purpose CHECK (purpose IN ('call', 'voicemail')),
    ADD CONSTRAINT recordings_store CHECK (store IN ('disk', 's3')),
    ADD CONSTRAINT recordings_account CHECK ((account_sid IS NOT NULL) = (source = 'carrier')),
    ADD CONSTRAINT recordings_deleted CHECK ((deleted_at IS NOT NULL) = (state = 'deleted'));
COMMENT ON COLUMN recordings.purpose IS 'call: of the whole call; voicemail: a message that the caller left.';
COMMENT ON COLUMN recordings.store IS 'disk: under the media directory; s3: in the store of objects.';
COMMENT ON COLUMN recordings.account_sid IS 'The carrier''s account that it was fetched from.';
COMMENT ON COLUMN recordings.deleted_at IS 'When its file was deleted, because its time had come or somebody wanted it.';
COMMENT ON COLUMN recordings.carrier_deleted_at IS 'When the carrier''s own copy was deleted.';
COMMENT ON COLUMN recordings.path IS 'The file, under the media directory, or the object''s key.';
COMMENT ON COLUMN recordings.media_type IS
    'What it is, e.g. audio/ogg; codecs=opus or audio/wav. Left caller, right agent, where there are two.';
CREATE INDEX recordings_by_age ON recordings (organization_id, created_at) WHERE state = 'ready';

ALTER TABLE voicemails
    ADD COLUMN recording_id uuid,
    ADD CONSTRAINT voicemails_sound FOREIGN KEY (organization_id, recording_id)
        REFERENCES recordings (organization_id, id) ON DELETE SET NULL (recording_id);
COMMENT ON COLUMN voicemails.recording_id IS 'Its sound; NULL: not fetched yet.';

-- How long sound is kept and whether the carrier keeps its copy are settings of the voice channel.
ALTER TABLE channel_configurations
    ADD CONSTRAINT channel_configurations_keep_days
        CHECK (settings -> 'keep_days' IS NULL
               OR (jsonb_typeof(settings -> 'keep_days') = 'number'
                   AND settings ->> 'keep_days' ~ '^[0-9]{1,5}$')),
    ADD CONSTRAINT channel_configurations_carrier_copy
        CHECK (settings -> 'carrier_copy' IS NULL OR settings ->> 'carrier_copy' IN ('keep', 'delete'));

-- ---------------------------------------------------------------------------------------------
CREATE TABLE recording_accesses (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL,
    recording_id    uuid NOT NULL,
    what            text NOT NULL,
    by_whom         text NOT NULL,
    expires_at      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT recording_accesses_recording FOREIGN KEY (organization_id, recording_id)
        REFERENCES recordings (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT recording_accesses_what
        CHECK (what IN ('link', 'read', 'exported', 'deleted', 'carrier_deleted')),
    CONSTRAINT recording_accesses_by CHECK (length(by_whom) BETWEEN 1 AND 200)
);
CREATE INDEX recording_accesses_by_recording ON recording_accesses (organization_id, recording_id, created_at);
COMMENT ON TABLE recording_accesses IS 'Who was given a recording, who took it, and who deleted it. Only ever added to.';
COMMENT ON COLUMN recording_accesses.id IS 'Its id; a link carries that of the row by which it was given.';
COMMENT ON COLUMN recording_accesses.organization_id IS 'Whose recording.';
COMMENT ON COLUMN recording_accesses.recording_id IS 'Which recording.';
COMMENT ON COLUMN recording_accesses.what IS
    'link: an address was given; read: somebody began to hear it there; exported; deleted; carrier_deleted: the carrier''s copy.';
COMMENT ON COLUMN recording_accesses.by_whom IS 'A user of the machine, a network address, or retention.';
COMMENT ON COLUMN recording_accesses.expires_at IS 'link: until when it works.';
COMMENT ON COLUMN recording_accesses.created_at IS 'When.';

-- A recording's callback names its call and nothing else of it. When the call is not known yet it waits
-- here, and is taken up when the call's row is made.
CREATE TABLE early_recordings (
    account_sid   text NOT NULL,
    recording_sid text NOT NULL,
    status        text NOT NULL,
    call_sid      text NOT NULL,
    kind          text NOT NULL,
    url           text,
    duration_ms   bigint,
    happened_at   timestamptz NOT NULL,
    report        jsonb NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_sid, recording_sid, status),
    CONSTRAINT early_recordings_report CHECK (length(report::text) <= 65536)
);
CREATE INDEX early_recordings_by_call ON early_recordings (account_sid, call_sid);
COMMENT ON TABLE early_recordings IS 'Recording callbacks that came before their call, for a day at most.';
COMMENT ON COLUMN early_recordings.account_sid IS 'Whose account signed it.';
COMMENT ON COLUMN early_recordings.recording_sid IS 'The carrier''s name for the recording.';
COMMENT ON COLUMN early_recordings.status IS 'What was reported of it.';
COMMENT ON COLUMN early_recordings.call_sid IS 'The call that is awaited.';
COMMENT ON COLUMN early_recordings.kind IS 'voicemail or recording.';
COMMENT ON COLUMN early_recordings.url IS 'Where the carrier keeps it.';
COMMENT ON COLUMN early_recordings.duration_ms IS 'How long it is.';
COMMENT ON COLUMN early_recordings.happened_at IS 'When the carrier says it was.';
COMMENT ON COLUMN early_recordings.report IS 'The callback, for the call''s ledger.';
COMMENT ON COLUMN early_recordings.created_at IS 'When it came.';

SELECT guard_table('recording_accesses');
SELECT guard_table('early_recordings', NULL);
GRANT SELECT, INSERT ON recording_accesses TO ringbridge_serving, ringbridge_gate;
GRANT SELECT, INSERT, DELETE ON early_recordings TO ringbridge_gate;
CREATE POLICY gate ON early_recordings TO ringbridge_gate USING (true) WITH CHECK (true);
-- Who looks for what has grown too old does not know yet whose it is.
GRANT SELECT ON recordings TO ringbridge_gate;
CREATE POLICY gate ON recordings FOR SELECT TO ringbridge_gate USING (true);
CREATE POLICY gate ON channel_configurations FOR SELECT TO ringbridge_gate USING (true);

-- ---------------------------------------------------------------------------------------------
-- One fact about a recording, under its organisation. True: it was new.
CREATE FUNCTION note_recording(organization uuid, conversation uuid, early early_recordings)
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT note_carrier_event(organization, conversation, (early).kind, NULL,
                              format('%s/%s/%s', (early).kind, (early).recording_sid, (early).status),
                              (early).happened_at, (early).report) THEN
        RETURN false;
    END IF;
    IF (early).kind = 'voicemail' THEN
        INSERT INTO voicemails AS known (organization_id, conversation_id, account_sid, recording_sid,
                                         recording_url, status, duration_ms, from_number, to_number,
                                         recording_id)
        SELECT c.organization_id, c.id, (early).account_sid, (early).recording_sid, (early).url,
               (early).status, (early).duration_ms, c.from_number, c.to_number,
               (SELECT r.id FROM recordings AS r WHERE r.organization_id = c.organization_id
                AND r.source = 'carrier' AND r.source_name = (early).recording_sid)
        FROM conversations AS c WHERE c.id = conversation
        ON CONFLICT ON CONSTRAINT voicemails_recording DO UPDATE
        SET status = excluded.status,
            recording_url = coalesce(excluded.recording_url, known.recording_url),
            duration_ms = coalesce(excluded.duration_ms, known.duration_ms)
        WHERE known.status = 'in-progress';
    ELSE
        UPDATE conversations AS c
        SET recording_sid = (early).recording_sid,
            recording_url = coalesce((early).url, c.recording_url),
            recording_status = (early).status,
            recording_duration_ms = coalesce((early).duration_ms, c.recording_duration_ms)
        WHERE c.id = conversation
          AND (c.recording_sid IS DISTINCT FROM (early).recording_sid
               OR coalesce(c.recording_status, 'in-progress') = 'in-progress');
    END IF;
    IF (early).status = 'completed' THEN
        PERFORM fetch_recording(organization, conversation, (early).account_sid,
                                (early).recording_sid,
                                CASE (early).kind WHEN 'voicemail' THEN 'voicemail' ELSE 'call' END);
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION note_recording IS 'Applies a recording callback to the call it is about.';

-- For callbacks and for whoever finds at the carrier what no callback told of.
CREATE FUNCTION fetch_recording(organization uuid, conversation uuid, account text, recording text,
                                purpose text) RETURNS boolean
LANGUAGE sql
RETURN enqueue_job(organization, 'recording_fetch', recording,
                   jsonb_build_object('conversation', conversation, 'account', account,
                                      'recording', recording, 'purpose', purpose), 30);
COMMENT ON FUNCTION fetch_recording IS 'Has a recording fetched from the carrier, once.';

-- What the carrier recorded of a call. kind: voicemail or recording.
CREATE FUNCTION carrier_recording(webhook carrier_webhook, kind text, recording_sid text,
                                  recording_url text, recording_status text, duration_ms bigint)
RETURNS carrier_taken
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    owner call_owner;
    early early_recordings;
    is_new boolean;
    taken carrier_taken;
BEGIN
    IF coalesce(recording_sid, '') !~ '^RE[0-9a-fA-F]{32}$'
       OR recording_status NOT IN ('in-progress', 'completed', 'absent', 'failed') THEN
        owner.found := 'invalid';
    ELSE
        owner := find_or_open_call(webhook, false);
        early := ROW((webhook).account_sid, recording_sid, recording_status, (webhook).call_sid, kind,
                     recording_url, duration_ms, coalesce(carrier_time((webhook).happened), now()),
                     webhook_report(webhook), now());
    END IF;
    IF owner.found = 'found' THEN
        is_new := note_recording(owner.organization_id, owner.conversation_id, early);
    ELSIF owner.found = 'unknown_call' THEN
        DELETE FROM early_recordings AS e WHERE e.created_at < now() - interval '1 day';
        INSERT INTO early_recordings SELECT early.* ON CONFLICT DO NOTHING;
    END IF;
    taken := carrier_result(owner, is_new);
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN taken;
END
$$;
COMMENT ON FUNCTION carrier_recording IS
    'Takes a recording callback: a message that a caller left, or the recording of a call.';

-- The call has come: what waited for it is taken up, under the organisation that was named for it.
CREATE FUNCTION take_early_recordings() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET row_security = on AS $$
DECLARE
    early early_recordings;
BEGIN
    FOR early IN DELETE FROM early_recordings AS e
                 WHERE e.account_sid = NEW.account_sid AND e.call_sid = NEW.call_sid RETURNING e.* LOOP
        PERFORM note_recording(NEW.organization_id, NEW.id, early);
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION take_early_recordings IS 'Trigger: recordings that were reported before their call.';
CREATE TRIGGER early_recordings AFTER INSERT ON conversations
    FOR EACH ROW WHEN (NEW.call_sid IS NOT NULL) EXECUTE FUNCTION take_early_recordings();

-- ---------------------------------------------------------------------------------------------
-- A number that is kept per organisation; 0: for ever.
CREATE FUNCTION keep_days(organization uuid) RETURNS integer
LANGUAGE sql STABLE
RETURN coalesce((SELECT (settings ->> 'keep_days')::integer FROM channel_configurations
                 WHERE organization_id = organization AND channel = 'voice'), 0);
COMMENT ON FUNCTION keep_days IS 'How many days an organisation''s sound is kept; 0: for ever.';

-- Has everything deleted whose time has come, some at a time. How many.
CREATE FUNCTION expire_recordings() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    old record;
    gone integer := 0;
BEGIN
    FOR old IN SELECT r.id, r.organization_id FROM channel_configurations AS c
               JOIN recordings AS r ON r.organization_id = c.organization_id AND r.state = 'ready'
               WHERE c.channel = 'voice' AND (c.settings ->> 'keep_days')::integer > 0
                 AND r.created_at < now() - (c.settings ->> 'keep_days')::integer * interval '1 day'
                 AND NOT EXISTS (SELECT FROM jobs AS j WHERE j.organization_id = r.organization_id
                                 AND j.kind = 'recording_delete' AND j.idempotency_key = r.id::text)
               ORDER BY r.created_at LIMIT 1000 LOOP
        PERFORM set_config('ringbridge.organization', old.organization_id::text, true);
        IF enqueue_job(old.organization_id, 'recording_delete', old.id::text,
                       jsonb_build_object('recording', old.id, 'by', 'retention'), 30) THEN
            gone := gone + 1;
        END IF;
    END LOOP;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN gone;
END
$$;
COMMENT ON FUNCTION expire_recordings IS 'Makes jobs that delete what was kept long enough.';

GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION carrier_recording OWNER TO ringbridge_gate;
ALTER FUNCTION take_early_recordings OWNER TO ringbridge_gate;
ALTER FUNCTION expire_recordings OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;
REVOKE ALL ON FUNCTION carrier_recording, take_early_recordings, expire_recordings FROM PUBLIC;
GRANT EXECUTE ON FUNCTION carrier_recording, expire_recordings TO ringbridge_serving;
