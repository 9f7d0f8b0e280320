-- Who there is: organisations, their telephone numbers, how their channels behave, and who may come
-- in. Times are timestamptz, durations are integer milliseconds, ids are uuid.
--
-- Every table that belongs to an organisation has organization_id, a unique (organization_id, id),
-- and is referenced by that pair: foreign keys ignore row policies, so a reference by id alone could
-- reach into another organisation.

-- gist over plain types, for "one number, one organisation" below. Comes with PostgreSQL and may be
-- installed by the owner of the database.
CREATE EXTENSION IF NOT EXISTS btree_gist;

GRANT USAGE ON SCHEMA public TO ringbridge_serving, ringbridge_gate, ringbridge_admin;

-- The organisation of this transaction, or NULL. After a SET LOCAL has ended the setting is the empty
-- string and not NULL again, so both close.
CREATE FUNCTION current_organization() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('ringbridge.organization', true), '')::uuid;
COMMENT ON FUNCTION current_organization() IS
    'The organisation that this transaction has named in ringbridge.organization; NULL when none.';

-- Every table is closed with this one call. A test walks the catalogue and fails for a table that
-- was forgotten. tenant_column is NULL for tables that belong to no organisation: those are for the
-- gate and the admin only.
CREATE FUNCTION guard_table(guarded regclass, tenant_column name DEFAULT 'organization_id')
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', guarded);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', guarded);
    EXECUTE format('CREATE POLICY admin ON %s TO ringbridge_admin USING (true) WITH CHECK (true)',
                   guarded);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO ringbridge_admin', guarded);
    IF tenant_column IS NOT NULL THEN
        EXECUTE format('CREATE POLICY tenant ON %1$s TO PUBLIC
                        USING (%2$I = (SELECT current_organization()))
                        WITH CHECK (%2$I = (SELECT current_organization()))',
                       guarded, tenant_column);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION guard_table FROM PUBLIC;
COMMENT ON FUNCTION guard_table IS
    'Enables and forces row security on a new table and writes its policies.';

CREATE FUNCTION touch_updated_at() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION touch_updated_at() IS 'Trigger: keeps updated_at true.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE organizations (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name       text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT organizations_name CHECK (length(name) BETWEEN 1 AND 200 AND name = btrim(name)
                                         AND name !~ '[[:cntrl:]]')
);
COMMENT ON TABLE organizations IS
    'A customer. Everything else belongs to exactly one, and no row of one is visible to another.';
COMMENT ON COLUMN organizations.id IS 'Its id; the value of ringbridge.organization.';
COMMENT ON COLUMN organizations.name IS 'What people call it; unique, because commands take it.';
COMMENT ON COLUMN organizations.created_at IS 'When the row was made.';
COMMENT ON COLUMN organizations.updated_at IS 'When the row was last changed; kept by a trigger.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE phone_numbers (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    phone_number    text NOT NULL,
    channel         text NOT NULL DEFAULT 'twilio',
    is_active       boolean NOT NULL DEFAULT true,
    metadata        jsonb NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT phone_numbers_number_channel UNIQUE (phone_number, channel),
    CONSTRAINT phone_numbers_e164 CHECK (phone_number ~ '^\+[1-9][0-9]{1,14}$'),
    CONSTRAINT phone_numbers_channel CHECK (channel IN ('twilio', 'retell', 'whatsapp')),
    CONSTRAINT phone_numbers_metadata CHECK (jsonb_typeof(metadata) = 'object'),
    -- Several channels of one number are fine, two organisations are not.
    CONSTRAINT phone_numbers_one_organization
        EXCLUDE USING gist (phone_number WITH =, organization_id WITH <>)
);
COMMENT ON TABLE phone_numbers IS
    'Which organisation is meant when a number is called or written to.';
COMMENT ON COLUMN phone_numbers.id IS 'Its id.';
COMMENT ON COLUMN phone_numbers.organization_id IS 'Whose number it is.';
COMMENT ON COLUMN phone_numbers.phone_number IS 'E.164 with the plus sign, nothing else.';
COMMENT ON COLUMN phone_numbers.channel IS 'Through whom it is reached: twilio, retell or whatsapp.';
COMMENT ON COLUMN phone_numbers.is_active IS 'False: calls to it are refused in words.';
COMMENT ON COLUMN phone_numbers.metadata IS 'What the carrier calls it (sid) and other notes.';
COMMENT ON COLUMN phone_numbers.created_at IS 'When the row was made.';
COMMENT ON COLUMN phone_numbers.updated_at IS 'When the row was last changed; kept by a trigger.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE channel_configurations (
    id                  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id     uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    channel             text NOT NULL,
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
    append_ms           integer,
    greeting_interruptible boolean,
    interrupt_after_ms  integer,
    vad_prefix_ms       integer,
    vad_silence_ms      integer,
    vad_threshold_percent integer,
    session_max_s       integer,
    record              boolean,
    record_kbps         integer,
    settings            jsonb NOT NULL DEFAULT '{}',
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT channel_configurations_one UNIQUE (organization_id, channel),
    CONSTRAINT channel_configurations_channel CHECK (channel IN ('voice', 'sms', 'whatsapp')),
    CONSTRAINT channel_configurations_ai_backend CHECK (ai_backend ~ '^[a-z][a-z0-9_]{0,39}$'),
    CONSTRAINT channel_configurations_model CHECK (model ~ '^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$'),
    CONSTRAINT channel_configurations_voice CHECK (voice ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$'),
    CONSTRAINT channel_configurations_instructions CHECK (length(instructions) <= 65536),
    CONSTRAINT channel_configurations_greeting CHECK (length(greeting) <= 4096),
    CONSTRAINT channel_configurations_audio_format CHECK (audio_format IN ('pcmu', 'pcm')),
    CONSTRAINT channel_configurations_language CHECK (language ~ '^([a-z]{2,3}(-[A-Za-z0-9]{2,8})*)?$'),
    CONSTRAINT channel_configurations_transcription_model
        CHECK (transcription_model ~ '^([A-Za-z0-9][A-Za-z0-9._:/-]{0,99})?$'),
    CONSTRAINT channel_configurations_duration CHECK (duration_max_s BETWEEN 10 AND 86400),
    CONSTRAINT channel_configurations_tools
        CHECK (jsonb_typeof(tools) = 'array' AND length(tools::text) <= 262144),
    -- The same bounds stand in edge/limits.h and edge/report/plan.c; a test compares them.
    CONSTRAINT channel_configurations_append CHECK (append_ms IN (20, 40, 60, 100)),
    CONSTRAINT channel_configurations_interrupt CHECK (interrupt_after_ms BETWEEN 0 AND 2000),
    CONSTRAINT channel_configurations_vad
        CHECK (vad_prefix_ms BETWEEN 0 AND 2000 AND vad_silence_ms BETWEEN 100 AND 5000
               AND vad_threshold_percent BETWEEN 0 AND 100),
    CONSTRAINT channel_configurations_session CHECK (session_max_s BETWEEN 10 AND 86400),
    CONSTRAINT channel_configurations_record CHECK (record_kbps BETWEEN 8 AND 256),
    CONSTRAINT channel_configurations_settings
        CHECK (jsonb_typeof(settings) = 'object' AND length(settings::text) <= 65536)
);
COMMENT ON TABLE channel_configurations IS
    'How an organisation''s agent behaves on a channel. NULL means the built-in default, which stands in default_configuration().';
COMMENT ON COLUMN channel_configurations.id IS 'Its id.';
COMMENT ON COLUMN channel_configurations.organization_id IS 'Whose agent it is.';
COMMENT ON COLUMN channel_configurations.channel IS 'What it is for: voice, sms or whatsapp.';
COMMENT ON COLUMN channel_configurations.ai_backend IS 'Which dialect the AI speaks, e.g. openai_realtime.';
COMMENT ON COLUMN channel_configurations.model IS 'The model''s name, as the AI''s maker writes it.';
COMMENT ON COLUMN channel_configurations.voice IS 'The voice''s name, as the AI''s maker writes it.';
COMMENT ON COLUMN channel_configurations.instructions IS 'What the agent is told about its task.';
COMMENT ON COLUMN channel_configurations.greeting IS 'What the agent says first; empty: it waits for the caller.';
COMMENT ON COLUMN channel_configurations.audio_format IS
    'What goes to and from the AI: pcmu (mu-law 8 kHz, passed through untouched) or pcm (24 kHz).';
COMMENT ON COLUMN channel_configurations.language IS 'The caller''s language for the transcript, e.g. en; empty: found out.';
COMMENT ON COLUMN channel_configurations.transcription_model IS 'What writes down the caller''s words; empty: nobody does.';
COMMENT ON COLUMN channel_configurations.duration_max_s IS 'Longest call in seconds.';
COMMENT ON COLUMN channel_configurations.tools IS 'Functions the agent may call: a JSON array of function objects.';
COMMENT ON COLUMN channel_configurations.append_ms IS
    'How much caller audio goes into one message to the AI: 20, 40, 60 or 100 ms.';
COMMENT ON COLUMN channel_configurations.greeting_interruptible IS
    'False: the caller hears the greeting to its end, whatever he says.';
COMMENT ON COLUMN channel_configurations.interrupt_after_ms IS
    'How long the caller must speak before the agent falls silent; 0: at once.';
COMMENT ON COLUMN channel_configurations.vad_prefix_ms IS 'Audio before the detected speech that belongs to it.';
COMMENT ON COLUMN channel_configurations.vad_silence_ms IS 'Silence that ends the caller''s turn.';
COMMENT ON COLUMN channel_configurations.vad_threshold_percent IS
    'How sure the AI must be that it hears speech: more for noisy lines.';
COMMENT ON COLUMN channel_configurations.session_max_s IS
    'How long the AI''s maker lets a session live; it is renewed before.';
COMMENT ON COLUMN channel_configurations.record IS 'True: both sides of every call are kept.';
COMMENT ON COLUMN channel_configurations.record_kbps IS 'Opus bit rate of what is kept, both sides together.';
COMMENT ON COLUMN channel_configurations.settings IS
    'What has no column yet: forwarding, voicemail, addresses for notifications.';
COMMENT ON COLUMN channel_configurations.created_at IS 'When the row was made.';
COMMENT ON COLUMN channel_configurations.updated_at IS 'When the row was last changed; kept by a trigger.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE api_tokens (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    role            text NOT NULL,
    hash            bytea NOT NULL,
    label           text NOT NULL DEFAULT '',
    expires_at      timestamptz,
    revoked_at      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT api_tokens_hash UNIQUE (hash),
    CONSTRAINT api_tokens_hash_bytes CHECK (octet_length(hash) = 32),
    CONSTRAINT api_tokens_role CHECK (role IN ('viewer', 'operator', 'admin'))
);
COMMENT ON TABLE api_tokens IS
    'Who may use the API for an organisation. The token itself is shown once and stored nowhere.';
COMMENT ON COLUMN api_tokens.id IS 'Its id, by which it is named when it is revoked.';
COMMENT ON COLUMN api_tokens.organization_id IS 'For which organisation it speaks.';
COMMENT ON COLUMN api_tokens.role IS 'viewer reads, operator acts, admin configures.';
COMMENT ON COLUMN api_tokens.hash IS 'SHA-256 of the token, which is 256 random bits.';
COMMENT ON COLUMN api_tokens.label IS 'For whom it was made.';
COMMENT ON COLUMN api_tokens.expires_at IS 'Not valid from then on; NULL: does not expire.';
COMMENT ON COLUMN api_tokens.revoked_at IS 'When it was taken back; NULL: it was not.';
COMMENT ON COLUMN api_tokens.created_at IS 'When it was made.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE credentials (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    kind            text NOT NULL,
    account         text NOT NULL DEFAULT '',
    sealed          bytea NOT NULL,
    sealed_previous bytea,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT credentials_one UNIQUE (organization_id, kind, account),
    CONSTRAINT credentials_kind CHECK (kind IN ('twilio', 'openai')),
    CONSTRAINT credentials_account
        CHECK (CASE kind WHEN 'twilio' THEN account ~ '^AC[0-9a-fA-F]{32}$' ELSE account = '' END),
    CONSTRAINT credentials_sealed CHECK (octet_length(sealed) BETWEEN 30 AND 8192)
);
-- Whoever holds an account's token can sign for it, so an account has one owner. Organisations that
-- share a carrier account use the installation's own, which is in the environment and not here.
CREATE UNIQUE INDEX credentials_account_owner ON credentials (kind, account) WHERE account <> '';
COMMENT ON TABLE credentials IS
    'Secrets of organisations with others, sealed with the key of the installation (control/base/seal.h).';
COMMENT ON COLUMN credentials.id IS 'Its id.';
COMMENT ON COLUMN credentials.organization_id IS 'Whose secret it is.';
COMMENT ON COLUMN credentials.kind IS 'With whom: twilio (auth token) or openai (API key).';
COMMENT ON COLUMN credentials.account IS 'The AccountSid; empty where there is no such thing.';
COMMENT ON COLUMN credentials.sealed IS 'The secret, sealed and bound to organisation, kind and account.';
COMMENT ON COLUMN credentials.sealed_previous IS 'The one before it, still accepted while a rotation is under way.';
COMMENT ON COLUMN credentials.created_at IS 'When the row was made.';
COMMENT ON COLUMN credentials.updated_at IS 'When the row was last changed; kept by a trigger.';

-- ---------------------------------------------------------------------------------------------
SELECT guard_table('organizations', 'id');
SELECT guard_table('phone_numbers');
SELECT guard_table('channel_configurations');
SELECT guard_table('api_tokens');
SELECT guard_table('credentials');

CREATE TRIGGER touch BEFORE UPDATE ON organizations
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON phone_numbers
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON channel_configurations
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON credentials
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- Serving reads what it needs to answer and writes none of this.
GRANT SELECT ON organizations, phone_numbers, channel_configurations, credentials
    TO ringbridge_serving, ringbridge_gate;

-- What the gate may see of all organisations: enough to find out which one is meant.
CREATE POLICY gate ON phone_numbers FOR SELECT TO ringbridge_gate USING (true);
CREATE POLICY gate ON credentials FOR SELECT TO ringbridge_gate USING (true);

-- ---------------------------------------------------------------------------------------------
-- The built-in default configuration, in one place.
CREATE FUNCTION default_configuration()
RETURNS TABLE (ai_backend text, model text, voice text, instructions text, greeting text,
               audio_format text, language text, transcription_model text,
               duration_max_s integer, tools jsonb, append_ms integer,
               greeting_interruptible boolean, interrupt_after_ms integer, vad_prefix_ms integer,
               vad_silence_ms integer, vad_threshold_percent integer, session_max_s integer,
               record boolean, record_kbps integer)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT 'openai_realtime', 'gpt-realtime', 'marin',
           'You answer the telephone for a small company. Be friendly and brief, speak in short '
           'sentences, ask one question at a time, and speak the language of the caller. When you '
           'do not know something, say so and offer to take a message.',
           'Hello! How can I help you?',
           'pcmu', '', 'gpt-4o-mini-transcribe', 3600, '[]'::jsonb,
           20, true, 0, 300, 500, 50, 3600, false, 24
$$;
COMMENT ON FUNCTION default_configuration() IS
    'What answers when an organisation has not said otherwise, value by value.';

CREATE FUNCTION channel_configuration(organization uuid, wanted text)
RETURNS TABLE (configured boolean, ai_backend text, model text, voice text, instructions text,
               greeting text, audio_format text, language text, transcription_model text,
               duration_max_s integer, tools jsonb, append_ms integer,
               greeting_interruptible boolean, interrupt_after_ms integer, vad_prefix_ms integer,
               vad_silence_ms integer, vad_threshold_percent integer, session_max_s integer,
               record boolean, record_kbps integer, settings jsonb)
LANGUAGE sql STABLE AS $$
    SELECT own.id IS NOT NULL,
           coalesce(own.ai_backend, built_in.ai_backend),
           coalesce(own.model, built_in.model),
           coalesce(own.voice, built_in.voice),
           coalesce(own.instructions, built_in.instructions),
           coalesce(own.greeting, built_in.greeting),
           coalesce(own.audio_format, built_in.audio_format),
           coalesce(own.language, built_in.language),
           coalesce(own.transcription_model, built_in.transcription_model),
           coalesce(own.duration_max_s, built_in.duration_max_s),
           coalesce(own.tools, built_in.tools),
           coalesce(own.append_ms, built_in.append_ms),
           coalesce(own.greeting_interruptible, built_in.greeting_interruptible),
           coalesce(own.interrupt_after_ms, built_in.interrupt_after_ms),
           coalesce(own.vad_prefix_ms, built_in.vad_prefix_ms),
           coalesce(own.vad_silence_ms, built_in.vad_silence_ms),
           coalesce(own.vad_threshold_percent, built_in.vad_threshold_percent),
           coalesce(own.session_max_s, built_in.session_max_s),
           coalesce(own.record, built_in.record),
           coalesce(own.record_kbps, built_in.record_kbps),
           coalesce(own.settings, '{}'::jsonb)
    FROM default_configuration() AS built_in
    LEFT JOIN channel_configurations AS own
           ON own.organization_id = organization AND own.channel = wanted
$$;
COMMENT ON FUNCTION channel_configuration IS
    'The configuration in force: an organisation''s own values over the built-in ones.';
