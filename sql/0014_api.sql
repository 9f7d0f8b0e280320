-- The REST API: what a token may and how often, the answers that are remembered for a repetition,
-- and who did what.
--
-- The API works as ringbridge_api, a role of its own: webhooks keep the few rights that they need,
-- and row security binds this one like all others.

GRANT USAGE ON SCHEMA public TO ringbridge_api;

ALTER TABLE api_tokens
    ADD COLUMN scopes text[],
    ADD COLUMN rate_per_minute integer NOT NULL DEFAULT 600,
    ADD CONSTRAINT api_tokens_label CHECK (length(label) <= 200),
    ADD CONSTRAINT api_tokens_scopes
        CHECK (cardinality(scopes) BETWEEN 1 AND 40
               AND array_to_string(scopes, ',') ~ '^[a-z][a-z-]{0,39}(,[a-z][a-z-]{0,39})*$'),
    ADD CONSTRAINT api_tokens_rate CHECK (rate_per_minute BETWEEN 1 AND 60000);
COMMENT ON COLUMN api_tokens.scopes IS
    'What it is good for: groups of the API (calls, recordings, ..); NULL: all that its role may.';
COMMENT ON COLUMN api_tokens.rate_per_minute IS
    'How many requests a minute it may make, at each control; a sixth of them at once.';

-- Whose token is it? No row: nobody's, or not valid (any more); which of them, nobody is told.
CREATE FUNCTION api_token(wanted bytea)
RETURNS TABLE (id uuid, organization uuid, role text, scopes text[], label text,
               rate_per_minute integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT t.id, t.organization_id, t.role, t.scopes, t.label, t.rate_per_minute
    FROM api_tokens AS t
    WHERE t.hash = wanted AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())
$$;
COMMENT ON FUNCTION api_token IS 'The valid token with this hash: for whom it speaks and what it may.';
GRANT SELECT ON api_tokens TO ringbridge_gate;
CREATE POLICY gate ON api_tokens FOR SELECT TO ringbridge_gate USING (true);

-- ---------------------------------------------------------------------------------------------
CREATE TABLE api_answers (
    organization_id uuid NOT NULL,
    token_id        uuid NOT NULL,
    key             text NOT NULL,
    operation       text NOT NULL,
    body_hash       bytea NOT NULL,
    request_id      uuid NOT NULL,
    status          integer,
    location        text,
    answer          text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, token_id, key),
    CONSTRAINT api_answers_token FOREIGN KEY (organization_id, token_id)
        REFERENCES api_tokens (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT api_answers_key CHECK (length(key) BETWEEN 1 AND 200),
    CONSTRAINT api_answers_body_hash CHECK (octet_length(body_hash) = 32),
    CONSTRAINT api_answers_sizes CHECK (length(answer) <= 262144 AND length(location) <= 1024)
);
CREATE INDEX api_answers_by_time ON api_answers (organization_id, created_at);
COMMENT ON TABLE api_answers IS
    'What a change was answered with, written in its transaction, so that whoever asks again with the same key gets the same answer and nothing is done twice. Kept for a day.';
COMMENT ON COLUMN api_answers.organization_id IS 'Whose it is.';
COMMENT ON COLUMN api_answers.token_id IS 'Who asked; keys of one token mean nothing to another.';
COMMENT ON COLUMN api_answers.key IS 'The Idempotency-Key, or one of ours that begins with a dot.';
COMMENT ON COLUMN api_answers.operation IS 'What was asked: method and path.';
COMMENT ON COLUMN api_answers.body_hash IS 'SHA-256 of the body: another one under the same key is refused.';
COMMENT ON COLUMN api_answers.request_id IS 'Which request has it: the same one may come again when the answer to its COMMIT got lost.';
COMMENT ON COLUMN api_answers.status IS 'The HTTP status; NULL only within the transaction.';
COMMENT ON COLUMN api_answers.location IS 'Where what was made is found; NULL: nothing was made.';
COMMENT ON COLUMN api_answers.answer IS 'The body, without what is shown only once; NULL: none.';
COMMENT ON COLUMN api_answers.created_at IS 'When it was asked.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE api_audit (
    id              uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    at              timestamptz NOT NULL DEFAULT now(),
    token_id        uuid NOT NULL,
    token_label     text NOT NULL,
    operation       text NOT NULL,
    target          text NOT NULL,
    status          integer NOT NULL,
    key             text,
    peer            text NOT NULL,
    UNIQUE (organization_id, id),
    CONSTRAINT api_audit_sizes CHECK (length(target) <= 1024 AND length(peer) <= 100
                                      AND length(key) <= 200 AND length(operation) <= 100)
);
CREATE INDEX api_audit_by_time ON api_audit (organization_id, at DESC, id DESC);
CREATE TRIGGER append_only BEFORE UPDATE ON api_audit
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
COMMENT ON TABLE api_audit IS
    'Who wanted what changed through the API, when, and what became of it. Only ever added to.';
COMMENT ON COLUMN api_audit.id IS 'The id of the request, which its answer carries too.';
COMMENT ON COLUMN api_audit.organization_id IS 'Whose it is.';
COMMENT ON COLUMN api_audit.at IS 'When.';
COMMENT ON COLUMN api_audit.token_id IS 'With which token; it may be gone since.';
COMMENT ON COLUMN api_audit.token_label IS 'For whom that token was made.';
COMMENT ON COLUMN api_audit.operation IS 'What: the operation''s name in the OpenAPI document.';
COMMENT ON COLUMN api_audit.target IS 'On what: the path as it came.';
COMMENT ON COLUMN api_audit.status IS 'The HTTP status of the answer; from 400 on nothing was changed.';
COMMENT ON COLUMN api_audit.key IS 'The Idempotency-Key; NULL: none came.';
COMMENT ON COLUMN api_audit.peer IS 'From which address.';

-- ---------------------------------------------------------------------------------------------
SELECT guard_table('api_answers');
SELECT guard_table('api_audit');
REVOKE UPDATE, DELETE ON api_audit FROM ringbridge_admin;

GRANT SELECT, INSERT, UPDATE, DELETE ON api_answers TO ringbridge_api;
GRANT SELECT, INSERT ON api_audit TO ringbridge_api;

GRANT SELECT ON organizations, conversations, conversation_messages, call_events, recordings,
    recording_accesses, tool_calls, deliveries, after_calls, reconciliations, text_messages,
    transfers
    TO ringbridge_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON phone_numbers, channel_configurations, call_routes, tools,
    availability, endpoints, after_call_settings TO ringbridge_api;
GRANT SELECT, INSERT, UPDATE ON api_tokens, appointments, call_orders, jobs TO ringbridge_api;
GRANT SELECT, UPDATE ON voicemails, left_messages TO ringbridge_api;
GRANT INSERT ON call_events, recording_accesses TO ringbridge_api;

GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION api_token OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;
REVOKE ALL ON FUNCTION api_token FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api_token TO ringbridge_api;
