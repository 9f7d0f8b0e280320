-- Row security, proved over every table that the catalogue knows: nobody can forget to add a table
-- here, because a table without samples, without forced row security or without a policy fails.
-- Run by rls_test.sh as a superuser on a migrated, empty database. Each DO block raises on failure.

-- What is protected must be protected by policies and not only by missing rights: the roles get all
-- rights on all tables for this test.
GRANT ALL ON ALL TABLES IN SCHEMA public TO ringbridge_serving, ringbridge_gate, ringbridge_api;

CREATE TABLE pg_temp.tenants (letter text, id uuid);
INSERT INTO tenants VALUES ('a', 'aaaaaaaa-0000-4000-8000-000000000001'),
                           ('b', 'bbbbbbbb-0000-4000-8000-000000000002');
GRANT SELECT ON tenants TO PUBLIC;

-- Every table of ours, and which column says whose a row is (NULL: nobody's).
CREATE VIEW pg_temp.ours AS
SELECT c.oid::regclass AS name, c.oid,
       CASE WHEN c.relname = 'organizations' THEN 'id'
            ELSE (SELECT attname FROM pg_attribute
                  WHERE attrelid = c.oid AND attname = 'organization_id' AND NOT attisdropped)
       END AS tenant_column
FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'f', 'm', 'v');
GRANT SELECT ON ours TO PUBLIC;

-- ---------------------------------------------------------------------------------------------
-- The structure: row security, owners, attributes of roles, functions with others' rights.
CREATE FUNCTION pg_temp.holes() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('table %s has no forced row security', name)
    FROM pg_temp.ours JOIN pg_class AS c USING (oid)
    WHERE NOT (c.relrowsecurity AND c.relforcerowsecurity)
    UNION ALL
    SELECT format('%s is a view or foreign table: decide how it is closed, then mend this test', name)
    FROM pg_temp.ours JOIN pg_class AS c USING (oid) WHERE c.relkind NOT IN ('r', 'p')
    UNION ALL
    SELECT format('role %s owns %s', r.rolname, c.relname)
    FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner WHERE r.rolname ~ '^ringbridge_'
      AND c.relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT format('role %s owns function %s', r.rolname, p.proname)
    FROM pg_proc AS p JOIN pg_roles AS r ON r.oid = p.proowner
    WHERE r.rolname IN ('ringbridge_serving', 'ringbridge_api', 'ringbridge_admin')
    UNION ALL
    SELECT format('role %s has attributes it must not have', rolname) FROM pg_roles
    WHERE rolname ~ '^ringbridge_(serving|gate|api|admin)$'
      AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolcanlogin)
    UNION ALL
    SELECT format('role %s is a member of %s', m.rolname, g.rolname)
    FROM pg_auth_members AS a JOIN pg_roles AS m ON m.oid = a.member
    JOIN pg_roles AS g ON g.oid = a.roleid WHERE m.rolname ~ '^ringbridge_(serving|gate|api|admin)$'
    UNION ALL
    SELECT format('function %s runs with rights of %s, search path %s, for everybody: %s', p.proname,
                  r.rolname, p.proconfig, has_function_privilege('public', p.oid, 'EXECUTE'))
    FROM pg_proc AS p JOIN pg_roles AS r ON r.oid = p.proowner
    WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
      AND (r.rolname <> 'ringbridge_gate'
           OR NOT coalesce('search_path=pg_catalog, public, pg_temp' = ANY (p.proconfig), false)
           OR has_function_privilege('public', p.oid, 'EXECUTE'))
    UNION ALL
    SELECT format('policy %s of %s lets %s write everything', policyname, tablename, roles)
    FROM pg_policies WHERE schemaname = 'public' AND cmd <> 'SELECT' AND policyname = 'gate'
      AND tablename NOT IN ('edges', 'early_recordings')
    UNION ALL
    SELECT format('foreign key %s does not carry the organisation', k.conname)
    FROM pg_constraint AS k
    JOIN pg_temp.ours AS source ON source.oid = k.conrelid
    JOIN pg_temp.ours AS target ON target.oid = k.confrelid
    WHERE k.contype = 'f' AND source.tenant_column IS NOT NULL AND target.tenant_column IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM generate_subscripts(k.conkey, 1) AS i
          JOIN pg_attribute AS s ON s.attrelid = k.conrelid AND s.attnum = k.conkey[i]
          JOIN pg_attribute AS t ON t.attrelid = k.confrelid AND t.attnum = k.confkey[i]
          WHERE s.attname = source.tenant_column AND t.attname = target.tenant_column)
    UNION ALL
    SELECT format('%s has no comment', o.name) FROM pg_temp.ours AS o
    WHERE obj_description(o.oid, 'pg_class') IS NULL
    UNION ALL
    SELECT format('%s.%s has no comment', o.name, a.attname)
    FROM pg_temp.ours AS o JOIN pg_attribute AS a ON a.attrelid = o.oid
    WHERE a.attnum > 0 AND NOT a.attisdropped AND col_description(o.oid, a.attnum) IS NULL
$$;

DO $$
DECLARE hole text;
BEGIN
    FOR hole IN SELECT * FROM pg_temp.holes() LOOP
        RAISE EXCEPTION '%', hole;
    END LOOP;
    ASSERT (SELECT count(*) FROM pg_temp.ours) >= 17, 'the tables are not there: was it migrated?';
END $$;

-- The check above can fail: a forgotten table is found, in each way of forgetting.
DO $$
BEGIN
    CREATE TABLE forgotten (organization_id uuid, id uuid);
    ASSERT (SELECT count(*) FROM pg_temp.holes() AS h WHERE h ~ 'forgotten has no forced') = 1,
        'a table without row security is not noticed';
    ALTER TABLE forgotten ENABLE ROW LEVEL SECURITY;
    ASSERT (SELECT count(*) FROM pg_temp.holes() AS h WHERE h ~ 'forgotten has no forced') = 1,
        'a table whose row security is not forced is not noticed';
    ALTER TABLE forgotten OWNER TO ringbridge_serving;
    ASSERT EXISTS (SELECT FROM pg_temp.holes() AS h WHERE h ~ 'serving owns forgotten'),
        'a table of the serving role is not noticed';
    RAISE EXCEPTION 'undo';
EXCEPTION WHEN raise_exception THEN
    IF SQLERRM <> 'undo' THEN RAISE; END IF;
END $$;

-- ---------------------------------------------------------------------------------------------
-- Samples: rows of both organisations in every table.
DO $$
DECLARE
    t record;
    number_id uuid;
    call uuid;
BEGIN
    FOR t IN SELECT letter, id, row_number() OVER (ORDER BY letter) AS n FROM pg_temp.tenants LOOP
        INSERT INTO organizations (id, name) VALUES (t.id, 'Organisation ' || t.letter);
        INSERT INTO phone_numbers (organization_id, phone_number)
        VALUES (t.id, '+1555010' || t.n) RETURNING id INTO number_id;
        INSERT INTO channel_configurations (organization_id, channel, instructions)
        VALUES (t.id, 'voice', 'secret of ' || t.letter);
        INSERT INTO api_tokens (id, organization_id, role, hash)
        VALUES (t.id, t.id, 'viewer', sha256(t.letter::bytea));
        INSERT INTO api_answers (organization_id, token_id, key, operation, body_hash, request_id)
        VALUES (t.id, t.id, t.letter, 'POST /api/numbers', sha256(t.letter::bytea), t.id);
        INSERT INTO api_audit (id, organization_id, token_id, token_label, operation, target, status,
                               peer)
        VALUES (t.id, t.id, t.id, '', 'add_number', '/api/numbers', 201, '198.51.100.7');
        INSERT INTO credentials (organization_id, kind, account, sealed)
        VALUES (t.id, 'twilio', 'AC' || repeat(t.letter, 32), sha256(t.letter::bytea));
        INSERT INTO conversations (organization_id, session_id, channel, phone_number_id,
                                   account_sid, call_sid, call_status)
        VALUES (t.id, 'twilio_' || t.letter, 'voice', number_id, 'AC' || repeat(t.letter, 32),
                'CA' || repeat(t.letter, 32), 'ringing') RETURNING id INTO call;
        INSERT INTO conversation_messages (organization_id, conversation_id, seq, role, content)
        VALUES (t.id, call, t.n, 'user', 'words of ' || t.letter);
        INSERT INTO call_events (organization_id, conversation_id, source, kind, seq, at)
        VALUES (t.id, call, 'edge', 'dtmf', t.n, now());
        INSERT INTO stream_tickets (organization_id, conversation_id, nonce, expires_at)
        VALUES (t.id, call, sha256(t.letter::bytea), now());
        INSERT INTO call_orders (organization_id, conversation_id, edge_run, body, ordered_by, expires_at)
        VALUES (t.id, call, t.id, '{}', 'somebody', now() + interval '1 hour');
        INSERT INTO recordings (id, organization_id, conversation_id, source, source_name, path,
                                media_type, started_at, duration_ms, bytes, sha256, peaks, peak_ms)
        VALUES (t.id, t.id, call, 'edge', t.letter, t.id || '.opus', 'audio/ogg', now(), 1, 1,
                sha256(t.letter::bytea), '', 20);
        INSERT INTO recording_accesses (organization_id, recording_id, what, by_whom)
        VALUES (t.id, t.id, 'link', 'somebody');
        PERFORM enqueue_job(t.id, 'sample', t.letter, '{}');
        INSERT INTO call_routes (organization_id, phone_number_id, step)
        VALUES (t.id, number_id, '{"step": "agent"}');
        INSERT INTO voicemails (organization_id, conversation_id, account_sid, recording_sid)
        VALUES (t.id, call, 'AC' || repeat(t.letter, 32), 'RE' || repeat(t.letter, 32));
        INSERT INTO call_legs (organization_id, conversation_id, account_sid, call_sid, call_status)
        VALUES (t.id, call, 'AC' || repeat(t.letter, 32), 'CA' || repeat(t.letter, 31) || '1',
                'ringing');
        INSERT INTO transfers (organization_id, conversation_id, account_sid, place, step,
                               from_number, to_number, deadline_at)
        VALUES (t.id, call, 'AC' || repeat(t.letter, 32), 'next', '{"step": "dial"}', '+15550100',
                '+15550101', now());
        INSERT INTO reconciliations (organization_id, account_sid, since, until, calls_seen,
                                     calls_opened, calls_ended, calls_priced, calls_differing,
                                     calls_unlisted, recordings_seen, recordings_found)
        VALUES (t.id, 'AC' || repeat(t.letter, 32), now() - interval '1 hour', now(), 1, 0, 0, 0,
                '{}', '{}', 0, 0);
        INSERT INTO tools (id, organization_id, name, description, parameters, action)
        VALUES (t.id, t.id, 'look_' || t.letter, 'Looks.', '{"type":"object"}', 'leave_message');
        INSERT INTO tool_calls (id, organization_id, conversation_id, tool_id, name, call_id, number,
                                edge_run, deadline_at)
        VALUES (t.id, t.id, call, t.id, 'look_' || t.letter, 'call_' || t.letter, t.n, t.id,
                now() + interval '1 hour');
        INSERT INTO availability (organization_id, opens, closes, time_zone)
        VALUES (t.id, '09:00', '17:00', 'UTC');
        INSERT INTO appointments (organization_id, starts_at, ends_at, name, conversation_id,
                                  tool_call_id)
        VALUES (t.id, '2026-11-23T09:00Z', '2026-11-23T09:30Z', 'Mr ' || t.letter, call, t.id);
        INSERT INTO left_messages (organization_id, conversation_id, tool_call_id, body)
        VALUES (t.id, call, t.id, 'words of ' || t.letter);
        INSERT INTO text_messages (organization_id, conversation_id, account_sid, from_number,
                                   to_number, body)
        VALUES (t.id, call, 'AC' || repeat(t.letter, 32), '+15550100', '+15550101', 'text');
        PERFORM note_number_checks(t.id, NULL, '[]');
        INSERT INTO media_checks (organization_id, store, complete) VALUES (t.id, 'disk', true);
        INSERT INTO received_texts (organization_id, account_sid, message_sid, from_number,
                                    to_number, body)
        VALUES (t.id, 'AC' || repeat(t.letter, 32), 'SM' || repeat(t.letter, 32), '72345',
                '+15550100', 'text');
        INSERT INTO after_call_settings (organization_id, email_to)
        VALUES (t.id, ARRAY[t.letter || '@example.com']);
        INSERT INTO endpoints (id, organization_id, kind, url, sealed)
        VALUES (t.id, t.id, 'webhook', 'https://' || t.letter || '.example.com/',
                sha256(t.letter::bytea));
        INSERT INTO after_calls (organization_id, conversation_id, complete, state, summary)
        VALUES (t.id, call, true, 'summed_up', 'about ' || t.letter);
        PERFORM add_delivery(t.id, t.id, call, t.id, 'webhook', 'call.completed', t.letter,
                             'somewhere', 'secret of ' || t.letter);
        INSERT INTO number_limits (organization_id, spend_max, price_unit) VALUES (t.id, 10, 'USD');
        INSERT INTO number_orders (organization_id, idempotency_key, wish, country, kind, price,
                                   price_unit, ordered_by)
        VALUES (t.id, t.letter, '{"country": "US", "kind": "local"}', 'US', 'local', 1.15, 'USD',
                'somebody');
        INSERT INTO carrier_changes (organization_id, what, by_whom)
        VALUES (t.id, 'ordered', 'somebody');
        PERFORM search_numbers(t.id, '{"country": "US", "kind": "local", "limit": 5}', 'somebody');
        INSERT INTO outbound_limits SELECT (outbound_limits_in_force(t.id)).*;
        INSERT INTO do_not_call (organization_id, phone_number, added_by)
        VALUES (t.id, '+15550199', 'somebody');
        INSERT INTO call_batches (id, organization_id, name, from_number, account_sid, plan,
                                  requested_by)
        VALUES (t.id, t.id, 'spring', '+1555010' || t.n, 'AC' || repeat(t.letter, 32), '{}',
                'somebody');
        INSERT INTO outbound_calls (id, organization_id, batch_id, to_number, from_number,
                                    account_sid, requested_by)
        VALUES (t.id, t.id, t.id, '+1555019' || t.n, '+1555010' || t.n, 'AC' || repeat(t.letter, 32),
                'somebody');
        INSERT INTO call_attempts (organization_id, outbound_call_id, number, account_sid)
        VALUES (t.id, t.id, t.n, 'AC' || repeat(t.letter, 32));
    END LOOP;
    INSERT INTO number_prices (country, kind, price, price_unit) VALUES ('US', 'local', 1.15, 'USD');
    INSERT INTO edges (name, run, calls, calls_max) VALUES ('edge', gen_random_uuid(), 1, 10);
END $$;

DO $$
DECLARE
    t record;
    rows bigint;
BEGIN
    FOR t IN SELECT o.name, o.tenant_column, tenants.id FROM pg_temp.ours AS o, pg_temp.tenants
             WHERE o.tenant_column IS NOT NULL LOOP
        EXECUTE format('SELECT count(*) FROM %s WHERE %I = %L', t.name, t.tenant_column, t.id)
            INTO rows;
        ASSERT rows > 0, format('table %s has no sample rows: add them above', t.name);
    END LOOP;
END $$;

-- ---------------------------------------------------------------------------------------------
-- Runs a statement and says how it went: 'N rows', or the name of the refusal.
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE rows bigint;
BEGIN
    EXECUTE statement;
    GET DIAGNOSTICS rows = ROW_COUNT;
    RETURN rows || ' rows';
EXCEPTION
    WHEN insufficient_privilege THEN RETURN 'policy';
    WHEN foreign_key_violation THEN RETURN 'foreign key';
    WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- A copy of any row of one organisation, given to the other.
CREATE FUNCTION pg_temp.copy_to(target regclass, tenant_column text, source uuid, other uuid)
RETURNS text LANGUAGE sql AS $$
    SELECT format('INSERT INTO %1$s OVERRIDING SYSTEM VALUE '
                  'SELECT (jsonb_populate_record(NULL::%1$s, to_jsonb(s) || %2$L)).* '
                  'FROM %1$s AS s WHERE s.%3$I = %4$L LIMIT 1',
                  target, jsonb_build_object(tenant_column, other), tenant_column, source)
$$;

-- Nothing named: NULL in a fresh session, and '' after a SET LOCAL has ended.
CREATE FUNCTION pg_temp.sees_nothing(state text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t record;
    rows bigint;
BEGIN
    FOR t IN SELECT * FROM pg_temp.ours LOOP
        EXECUTE format('SELECT count(*) FROM %s', t.name) INTO rows;
        ASSERT rows = 0, format('with %s, %s shows %s rows', state, t.name, rows);
        ASSERT pg_temp.attempt(format('DELETE FROM %s', t.name)) = '0 rows',
            format('with %s, rows of %s can be deleted', state, t.name);
    END LOOP;
END $$;

SET ROLE ringbridge_serving;
DO $$
BEGIN
    ASSERT current_setting('ringbridge.organization', true) IS NULL, 'the session is not fresh';
    PERFORM pg_temp.sees_nothing('NULL');
END $$;
BEGIN;
SET LOCAL ringbridge.organization = 'aaaaaaaa-0000-4000-8000-000000000001';
DO $$ BEGIN ASSERT (SELECT count(*) FROM conversations) = 1, 'naming an organisation shows nothing'; END $$;
COMMIT;
DO $$
BEGIN
    ASSERT current_setting('ringbridge.organization', true) = '', 'SET LOCAL leaves something else';
    PERFORM pg_temp.sees_nothing('the empty string');
END $$;

-- With A named nothing of B can be read, changed, deleted, made or taken.
CREATE FUNCTION pg_temp.keeps_out(a uuid, b uuid, reads boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t record;
    rows bigint;
    said text;
BEGIN
    PERFORM set_config('ringbridge.organization', a::text, false);
    FOR t IN SELECT * FROM pg_temp.ours WHERE tenant_column IS NOT NULL LOOP
        EXECUTE format('SELECT count(*) FROM %s WHERE %I = %L', t.name, t.tenant_column, a) INTO rows;
        ASSERT rows > 0, format('%s does not show its own rows', t.name);
        IF reads THEN
            EXECUTE format('SELECT count(*) FROM %s WHERE %I <> %L', t.name, t.tenant_column, a)
                INTO rows;
            ASSERT rows = 0, format('%s shows rows of another organisation', t.name);
        END IF;
        said := pg_temp.attempt(format('UPDATE %1$s SET %2$I = %2$I WHERE %2$I = %3$L',
                                       t.name, t.tenant_column, b));
        ASSERT said = '0 rows', format('update of another''s rows in %s: %s', t.name, said);
        said := pg_temp.attempt(format('DELETE FROM %s WHERE %I = %L', t.name, t.tenant_column, b));
        ASSERT said = '0 rows', format('delete of another''s rows in %s: %s', t.name, said);
        said := pg_temp.attempt(pg_temp.copy_to(t.name, t.tenant_column, a, b));
        ASSERT said = 'policy', format('insert for another into %s: %s', t.name, said);
        said := pg_temp.attempt(format('UPDATE %1$s SET %2$I = %3$L WHERE %2$I = %4$L',
                                       t.name, t.tenant_column, b, a));
        ASSERT said IN ('policy', '23001 ' || t.name || ' is append-only'),
            format('giving rows of %s away: %s', t.name, said);
    END LOOP;
END $$;
SELECT pg_temp.keeps_out('aaaaaaaa-0000-4000-8000-000000000001',
                         'bbbbbbbb-0000-4000-8000-000000000002', true);
SELECT pg_temp.keeps_out('bbbbbbbb-0000-4000-8000-000000000002',
                         'aaaaaaaa-0000-4000-8000-000000000001', true);
RESET ROLE;
SET ROLE ringbridge_api;
SELECT pg_temp.keeps_out('aaaaaaaa-0000-4000-8000-000000000001',
                         'bbbbbbbb-0000-4000-8000-000000000002', true);
-- The gate may look further, and change no more.
RESET ROLE;
SET ROLE ringbridge_gate;
SELECT pg_temp.keeps_out('aaaaaaaa-0000-4000-8000-000000000001',
                         'bbbbbbbb-0000-4000-8000-000000000002', false);
RESET ROLE;
RESET ringbridge.organization;

-- ---------------------------------------------------------------------------------------------
-- References: foreign keys ignore policies, so each is tried with a row of B's for its target. The
-- append-only trigger would answer first; it is taken away for this.
ALTER TABLE call_events DISABLE TRIGGER append_only;
ALTER TABLE api_audit DISABLE TRIGGER append_only;
CREATE TABLE pg_temp.keys AS
SELECT k.conname, source.name AS source, target.name AS target, source.tenant_column,
       target.tenant_column AS target_tenant, s.attname AS source_column, t.attname AS target_column
FROM pg_constraint AS k
JOIN pg_temp.ours AS source ON source.oid = k.conrelid
JOIN pg_temp.ours AS target ON target.oid = k.confrelid
CROSS JOIN LATERAL generate_subscripts(k.conkey, 1) AS i
JOIN pg_attribute AS s ON s.attrelid = k.conrelid AND s.attnum = k.conkey[i]
JOIN pg_attribute AS t ON t.attrelid = k.confrelid AND t.attnum = k.confkey[i]
WHERE k.contype = 'f' AND s.attname <> source.tenant_column;
ALTER TABLE pg_temp.keys ADD COLUMN others text;
DO $$
DECLARE
    k record;
    value text;
BEGIN
    ASSERT (SELECT count(*) FROM pg_temp.keys) >= 4, 'no foreign keys found';
    FOR k IN SELECT * FROM pg_temp.keys LOOP
        EXECUTE format('SELECT %I::text FROM %s WHERE %I = %L LIMIT 1', k.target_column, k.target,
                       k.target_tenant, 'bbbbbbbb-0000-4000-8000-000000000002') INTO value;
        UPDATE pg_temp.keys SET others = value WHERE conname = k.conname;
    END LOOP;
END $$;
GRANT SELECT ON pg_temp.keys TO PUBLIC;
SET ROLE ringbridge_serving;
DO $$
DECLARE
    k record;
    said text;
BEGIN
    PERFORM set_config('ringbridge.organization', 'aaaaaaaa-0000-4000-8000-000000000001', false);
    FOR k IN SELECT * FROM pg_temp.keys LOOP
        said := pg_temp.attempt(format('UPDATE %s SET %I = %L', k.source, k.source_column, k.others));
        ASSERT said = 'foreign key', format('%s lets another''s row be named: %s', k.conname, said);
    END LOOP;
END $$;
RESET ROLE;
ALTER TABLE call_events ENABLE TRIGGER append_only;
ALTER TABLE api_audit ENABLE TRIGGER append_only;

-- ---------------------------------------------------------------------------------------------
-- The gate's functions leave nothing named, whatever was named before and whosever call it is.
SET ROLE ringbridge_serving;
CREATE FUNCTION pg_temp.call_gate(account text, called text, sid text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE w carrier_webhook;
BEGIN
    w.account_sid := account; w.call_sid := sid; w.to_number := called; w.status := 'ringing';
    RETURN concat_ws(' ', (incoming_call(w)).found, (carrier_status(w)).found,
                     (carrier_note(w, 'after-stream', '-', NULL)).found);
END $$;
DO $$
DECLARE
    named text;
    b text := 'AC' || repeat('b', 32);
BEGIN
    FOREACH named IN ARRAY ARRAY['', 'aaaaaaaa-0000-4000-8000-000000000001'] LOOP
        PERFORM set_config('ringbridge.organization', named, false);
        ASSERT pg_temp.call_gate(b, '+15550102', 'CA' || repeat('c', 32)) = 'found found found';
        ASSERT current_setting('ringbridge.organization') = named, 'the gate leaves another named';
        ASSERT NOT EXISTS (SELECT FROM conversations WHERE call_sid = 'CA' || repeat('c', 32)),
            'a call of B is seen by others';
        -- B's account cannot speak for A's number, and an unknown number is nobody's.
        ASSERT pg_temp.call_gate(b, '+15550101', 'CA' || repeat('d', 32))
               = 'wrong_account wrong_account wrong_account';
        ASSERT pg_temp.call_gate(b, '+15550999', 'CA' || repeat('d', 32))
               = 'unknown_number unknown_number unknown_number';
        ASSERT current_setting('ringbridge.organization') = named, 'a refusal leaves another named';
    END LOOP;
    PERFORM set_config('ringbridge.organization', 'bbbbbbbb-0000-4000-8000-000000000002', false);
    ASSERT (SELECT count(*) FROM conversations WHERE call_sid = 'CA' || repeat('c', 32)) = 1;
END $$;
RESET ROLE;

-- Claiming jobs looks across organisations, fairly, changes one, and leaves nothing named.
SET ROLE ringbridge_serving;
DO $$
DECLARE
    named text;
    job claimed_job;
    owners uuid[] := '{}';
BEGIN
    FOREACH named IN ARRAY ARRAY['', 'aaaaaaaa-0000-4000-8000-000000000001'] LOOP
        PERFORM set_config('ringbridge.organization', named, false);
        job := claim_job('{sample}', '{0}', '{0}', '{1000}', gen_random_uuid());
        owners := owners || job.organization_id;
        ASSERT current_setting('ringbridge.organization') = named, 'claiming leaves another named';
        PERFORM renew_jobs(gen_random_uuid(), '{sample}', '{1000}');
        PERFORM prune_jobs(0);
        PERFORM clean_number_searches();
        ASSERT current_setting('ringbridge.organization') = named, 'renewing leaves another named';
    END LOOP;
    ASSERT (SELECT count(DISTINCT o) FROM unnest(owners) AS o) = 2, 'one was served twice';
    PERFORM set_config('ringbridge.organization', '', false);
    ASSERT (SELECT count(*) FROM jobs) = 0;
END $$;
RESET ROLE;

-- Orders are taken once, for the edges named, and settled; nothing stays named.
SET ROLE ringbridge_serving;
DO $$
DECLARE
    taken taken_order;
    b uuid := 'bbbbbbbb-0000-4000-8000-000000000002';
BEGIN
    PERFORM set_config('ringbridge.organization', 'aaaaaaaa-0000-4000-8000-000000000001', false);
    taken := take_orders(ARRAY[b]);
    ASSERT taken.edge_run = b, 'another edge''s order was taken';
    ASSERT NOT EXISTS (SELECT FROM take_orders(ARRAY[b])), 'an order was taken twice';
    PERFORM settle_order(taken.id, false, 'no');
    ASSERT current_setting('ringbridge.organization') = 'aaaaaaaa-0000-4000-8000-000000000001';
    PERFORM set_config('ringbridge.organization', b::text, false);
    ASSERT (SELECT state || error FROM call_orders) = 'refusedno';
END $$;
RESET ROLE;

-- Functions are claimed across organisations, fairly; their results are taken for the edges named.
SET ROLE ringbridge_serving;
DO $$
DECLARE
    a uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
    b uuid := 'bbbbbbbb-0000-4000-8000-000000000002';
    claimed claimed_tool_call;
    owners uuid[] := '{}';
    taken taken_order;
BEGIN
    FOR i IN 1 .. 2 LOOP
        PERFORM set_config('ringbridge.organization', a::text, false);
        claimed := claim_tool_call(a, 60000);
        owners := owners || claimed.organization_id;
        PERFORM renew_tool_calls(a, 60000);
        ASSERT current_setting('ringbridge.organization') = a::text, 'claiming leaves another named';
    END LOOP;
    ASSERT (SELECT count(DISTINCT o) FROM unnest(owners) AS o) = 2, 'one was served twice';
    ASSERT NOT EXISTS (SELECT FROM claim_tool_call(b, 60000)), 'a leased function was claimed';
    PERFORM set_config('ringbridge.organization', b::text, false);
    UPDATE tool_calls SET state = 'done', output = '{"ok": true}', finished_at = now(),
                          leased_by = NULL, leased_until = NULL;
    PERFORM set_config('ringbridge.organization', a::text, false);
    ASSERT NOT EXISTS (SELECT FROM take_tool_results(ARRAY[a])), 'not its own';
    taken := take_tool_results(ARRAY[b]);
    ASSERT taken.id = b AND taken.body ->> 'output' = '{"ok": true}', taken::text;
    ASSERT NOT EXISTS (SELECT FROM take_tool_results(ARRAY[b])), 'a result was taken twice';
    PERFORM settle_tool_result(b);
    PERFORM settle_tool_result(gen_random_uuid());
    ASSERT current_setting('ringbridge.organization') = a::text;
    PERFORM set_config('ringbridge.organization', b::text, false);
    ASSERT (SELECT told_at IS NOT NULL FROM tool_calls), 'told, and not on record';
END $$;
RESET ROLE;

-- Nobody's slot is another's obstacle, and within an organisation one slot has one taker.
DO $$
DECLARE said text;
BEGIN
    said := pg_temp.attempt($i$ INSERT INTO appointments (organization_id, starts_at, ends_at)
        VALUES ('bbbbbbbb-0000-4000-8000-000000000002', '2026-11-23T09:15Z', '2026-11-23T09:45Z') $i$);
    ASSERT said ~ '^23P01', said;
END $$;

-- One number, one organisation, whatever the channel; nothing of a ledger changes.
DO $$
DECLARE said text;
BEGIN
    said := pg_temp.attempt($i$ INSERT INTO phone_numbers (organization_id, phone_number, channel)
        VALUES ('bbbbbbbb-0000-4000-8000-000000000002', '+15550101', 'whatsapp') $i$);
    ASSERT said ~ '^23P01', said;
    said := pg_temp.attempt('UPDATE call_events SET kind = kind');
    ASSERT said ~ '^23001', said;
END $$;
\echo row security holds on every table
