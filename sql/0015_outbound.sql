-- Calls that we make: one at a time, or a batch of numbers, at a pace, within hours, tried again when
-- nobody answers; whom not to call; and how much an organisation may call.
--
-- A call to be made (outbound_calls) is reached by attempts (call_attempts), each one request to the
-- carrier to create a call. The carrier knows no idempotency key for that, so an attempt is marked
-- before it is asked for, and what is not known afterwards is found out, not guessed:
--
--   ready    released: a job (call_make) shall ask the carrier
--   asking   the carrier is being asked, or was, by somebody who died since
--   unsure   it was asked and gave no answer that says yes or no
--   made     there is a call, and this is its CallSid: by the answer, by a webhook, or by the list
--   over     the call has ended
--   dropped  there never was a call
--
-- Each attempt has URLs of its own, so the first webhook of its call names it; and while one is unsure
-- the carrier's list of calls between the two numbers is read until outbound_limits.settle_s have
-- passed. There is never more than one open attempt to a number, so a call in that list which no
-- attempt knows is this one's. Only when nothing has come by then was there no call, and it is asked
-- for again. A second call of one attempt, should it come up even later, is hung up before it talks.

-- ---------------------------------------------------------------------------------------------
CREATE TABLE outbound_limits (
    organization_id  uuid PRIMARY KEY REFERENCES organizations ON DELETE CASCADE,
    calls_at_once    integer NOT NULL,
    calls_per_minute integer NOT NULL,
    calls_per_day    integer NOT NULL,
    time_zone        text NOT NULL,
    settle_s         integer NOT NULL,
    next_at          timestamptz NOT NULL DEFAULT '-infinity',
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT outbound_limits_at_once CHECK (calls_at_once BETWEEN 0 AND 10000),
    CONSTRAINT outbound_limits_per_minute CHECK (calls_per_minute BETWEEN 1 AND 6000),
    CONSTRAINT outbound_limits_per_day CHECK (calls_per_day BETWEEN 0 AND 1000000),
    CONSTRAINT outbound_limits_time_zone CHECK (is_time_zone(time_zone)),
    CONSTRAINT outbound_limits_settle CHECK (settle_s BETWEEN 5 AND 3600)
);
COMMENT ON TABLE outbound_limits IS
    'How much an organisation may call. No row: as outbound_limits_in_force has it.';
COMMENT ON COLUMN outbound_limits.organization_id IS 'Who calls.';
COMMENT ON COLUMN outbound_limits.calls_at_once IS 'Calls asked for and not over; 0: none are made.';
COMMENT ON COLUMN outbound_limits.calls_per_minute IS
    'Calls begun; the default is what a new account gets from the carrier, one a second.';
COMMENT ON COLUMN outbound_limits.calls_per_day IS 'Calls begun since midnight of time_zone.';
COMMENT ON COLUMN outbound_limits.time_zone IS
    'The organisation''s own: for hours where the callee''s zone is not known, and for its day.';
COMMENT ON COLUMN outbound_limits.settle_s IS
    'How long it is looked for a call of which the carrier did not say whether it was made.';
COMMENT ON COLUMN outbound_limits.next_at IS 'The next call begins no sooner: the pace.';
COMMENT ON COLUMN outbound_limits.updated_at IS 'When the row was last changed; kept by a trigger.';

-- An organisation begins with what a new account of the carrier's may do.
CREATE FUNCTION outbound_limits_in_force(organization uuid) RETURNS outbound_limits
LANGUAGE plpgsql STABLE AS $$
DECLARE
    limits outbound_limits;
BEGIN
    SELECT * INTO limits FROM outbound_limits WHERE organization_id = organization;
    IF NOT FOUND THEN
        limits.organization_id := organization;
        limits.calls_at_once := 20;
        limits.calls_per_minute := 60;
        limits.calls_per_day := 1000;
        limits.time_zone := 'UTC';
        limits.settle_s := 120;
        limits.next_at := '-infinity';
        limits.updated_at := now();
    END IF;
    RETURN limits;
END
$$;
COMMENT ON FUNCTION outbound_limits_in_force IS 'An organisation''s limits, set or not.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE do_not_call (
    id              uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    phone_number    text NOT NULL,
    reason          text NOT NULL DEFAULT '',
    added_by        text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, phone_number),
    CONSTRAINT do_not_call_number CHECK (phone_number ~ '^\+[1-9][0-9]{1,14}$'),
    CONSTRAINT do_not_call_texts CHECK (length(reason) <= 500 AND length(added_by) BETWEEN 1 AND 200)
);
CREATE INDEX do_not_call_by_time ON do_not_call (organization_id, created_at DESC, id DESC);
COMMENT ON TABLE do_not_call IS 'Whom an organisation does not call, whoever asks for it.';
COMMENT ON COLUMN do_not_call.id IS 'Its id.';
COMMENT ON COLUMN do_not_call.organization_id IS 'Who does not call.';
COMMENT ON COLUMN do_not_call.phone_number IS 'Whom; E.164.';
COMMENT ON COLUMN do_not_call.reason IS 'Why.';
COMMENT ON COLUMN do_not_call.added_by IS 'Who said so: a user of the machine, or a token''s label.';
COMMENT ON COLUMN do_not_call.created_at IS 'Since when.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE call_batches (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id  uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name             text NOT NULL,
    from_number      text NOT NULL,
    account_sid      text NOT NULL,
    plan             jsonb NOT NULL,
    calls_per_minute integer NOT NULL DEFAULT 60,
    days             smallint[] NOT NULL DEFAULT '{1,2,3,4,5,6,7}',
    opens            time NOT NULL DEFAULT '00:00',
    closes           time NOT NULL DEFAULT '24:00',
    time_zone        text,
    retries          integer NOT NULL DEFAULT 0,
    retry_after_s    integer NOT NULL DEFAULT 900,
    state            text NOT NULL DEFAULT 'running',
    reason           text NOT NULL DEFAULT '',
    next_at          timestamptz NOT NULL DEFAULT '-infinity',
    requested_by     text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT call_batches_name UNIQUE (organization_id, name),
    CONSTRAINT call_batches_texts CHECK (length(name) BETWEEN 1 AND 200 AND length(reason) <= 1000
                                         AND length(requested_by) BETWEEN 1 AND 200),
    CONSTRAINT call_batches_from CHECK (from_number ~ '^\+[1-9][0-9]{1,14}$'),
    CONSTRAINT call_batches_account CHECK (account_sid ~ '^AC[0-9a-fA-F]{32}$'),
    CONSTRAINT call_batches_plan
        CHECK (jsonb_typeof(plan) = 'object' AND length(plan::text) <= 131072),
    CONSTRAINT call_batches_pace CHECK (calls_per_minute BETWEEN 1 AND 6000),
    CONSTRAINT call_batches_days
        CHECK (cardinality(days) BETWEEN 1 AND 7 AND days <@ '{1,2,3,4,5,6,7}'::smallint[]),
    CONSTRAINT call_batches_time_zone CHECK (is_time_zone(coalesce(time_zone, 'UTC'))),
    CONSTRAINT call_batches_retries
        CHECK (retries BETWEEN 0 AND 10 AND retry_after_s BETWEEN 1 AND 604800),
    CONSTRAINT call_batches_state CHECK (state IN ('running', 'paused', 'stopped', 'done'))
);
CREATE INDEX call_batches_running ON call_batches (organization_id, next_at) WHERE state = 'running';
CREATE INDEX call_batches_by_time ON call_batches (organization_id, created_at DESC, id DESC);
COMMENT ON TABLE call_batches IS 'A list of numbers to be called one after the other.';
COMMENT ON COLUMN call_batches.id IS 'Its id.';
COMMENT ON COLUMN call_batches.organization_id IS 'Who calls.';
COMMENT ON COLUMN call_batches.name IS 'What people call it; unique in its organisation.';
COMMENT ON COLUMN call_batches.from_number IS 'Which number of ours is shown.';
COMMENT ON COLUMN call_batches.account_sid IS 'The carrier''s account that makes the calls.';
COMMENT ON COLUMN call_batches.plan IS 'What is done with an answered call (control/outbound/outbound_plan.h).';
COMMENT ON COLUMN call_batches.calls_per_minute IS 'Its pace; that of the organisation holds too.';
COMMENT ON COLUMN call_batches.days IS 'Days of the week, 1 is Monday, by the callee''s clock.';
COMMENT ON COLUMN call_batches.opens IS 'From this time of the callee''s on.';
COMMENT ON COLUMN call_batches.closes IS 'Until before this time; not after opens: of the next day.';
COMMENT ON COLUMN call_batches.time_zone IS
    'Where the number does not say the callee''s zone; NULL: the organisation''s.';
COMMENT ON COLUMN call_batches.retries IS 'How often a number is called again that was busy or did not answer.';
COMMENT ON COLUMN call_batches.retry_after_s IS 'How long after.';
COMMENT ON COLUMN call_batches.state IS
    'running; paused: no call begins until it is resumed; stopped: none will; done.';
COMMENT ON COLUMN call_batches.reason IS 'Why we paused it ourselves, e.g. the carrier refused our credentials.';
COMMENT ON COLUMN call_batches.next_at IS 'The next call begins no sooner: the pace.';
COMMENT ON COLUMN call_batches.requested_by IS 'Who made it.';
COMMENT ON COLUMN call_batches.created_at IS 'When it was made.';
COMMENT ON COLUMN call_batches.updated_at IS 'When the row was last changed; kept by a trigger.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE outbound_calls (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    batch_id        uuid,
    line            integer NOT NULL DEFAULT 0,
    to_number       text NOT NULL,
    from_number     text NOT NULL,
    account_sid     text NOT NULL,
    plan            jsonb,
    variables       jsonb NOT NULL DEFAULT '{}',
    lead            text NOT NULL DEFAULT '',
    time_zone       text,
    state           text NOT NULL DEFAULT 'waiting',
    due_at          timestamptz DEFAULT now(),
    attempts        integer NOT NULL DEFAULT 0,
    outcome         text,
    error           text,
    idempotency_key text,
    request_hash    bytea,
    requested_by    text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT outbound_calls_batch FOREIGN KEY (organization_id, batch_id)
        REFERENCES call_batches (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT outbound_calls_once UNIQUE (batch_id, to_number),
    CONSTRAINT outbound_calls_key UNIQUE (organization_id, idempotency_key),
    CONSTRAINT outbound_calls_numbers CHECK (to_number ~ '^\+[1-9][0-9]{1,14}$'
                                             AND from_number ~ '^\+[1-9][0-9]{1,14}$'),
    CONSTRAINT outbound_calls_account CHECK (account_sid ~ '^AC[0-9a-fA-F]{32}$'),
    CONSTRAINT outbound_calls_plan
        CHECK ((plan IS NOT NULL) = (batch_id IS NULL) AND jsonb_typeof(plan) = 'object'
               AND length(plan::text) <= 131072),
    CONSTRAINT outbound_calls_variables
        CHECK (jsonb_typeof(variables) = 'object' AND length(variables::text) <= 65536),
    CONSTRAINT outbound_calls_texts CHECK (length(lead) <= 200 AND length(error) <= 1000
        AND length(idempotency_key) BETWEEN 1 AND 200 AND length(requested_by) BETWEEN 1 AND 200),
    CONSTRAINT outbound_calls_time_zone CHECK (is_time_zone(coalesce(time_zone, 'UTC'))),
    CONSTRAINT outbound_calls_state CHECK (state IN ('waiting', 'calling', 'done')),
    CONSTRAINT outbound_calls_due CHECK ((state = 'waiting') = (due_at IS NOT NULL)),
    CONSTRAINT outbound_calls_outcome CHECK ((state = 'done') = (outcome IS NOT NULL) AND outcome IN (
        'completed', 'busy', 'no-answer', 'failed', 'canceled',
        'do_not_call', 'never_open', 'refused', 'unknown', 'stopped')),
    CONSTRAINT outbound_calls_hash CHECK (octet_length(request_hash) = 32)
);
CREATE INDEX outbound_calls_waiting ON outbound_calls (batch_id, due_at, line) WHERE state = 'waiting';
CREATE INDEX outbound_calls_single ON outbound_calls (organization_id, due_at, id)
    WHERE state = 'waiting' AND batch_id IS NULL;
CREATE INDEX outbound_calls_open ON outbound_calls (batch_id) WHERE state <> 'done';
CREATE INDEX outbound_calls_by_time ON outbound_calls (organization_id, created_at DESC, id DESC);
-- Two open attempts to one number could not be told apart in the carrier's list.
CREATE UNIQUE INDEX outbound_calls_one ON outbound_calls (organization_id, to_number)
    WHERE state = 'calling';
COMMENT ON TABLE outbound_calls IS 'Somebody to be called, once, or until he answers.';
COMMENT ON COLUMN outbound_calls.id IS 'Its id.';
COMMENT ON COLUMN outbound_calls.organization_id IS 'Who calls.';
COMMENT ON COLUMN outbound_calls.batch_id IS 'Of which batch; NULL: asked for by itself.';
COMMENT ON COLUMN outbound_calls.line IS 'Where in the batch''s file.';
COMMENT ON COLUMN outbound_calls.to_number IS 'Who is called.';
COMMENT ON COLUMN outbound_calls.from_number IS 'Which number of ours is shown.';
COMMENT ON COLUMN outbound_calls.account_sid IS 'The carrier''s account that makes the call.';
COMMENT ON COLUMN outbound_calls.plan IS 'What is done with it; NULL: the batch''s.';
COMMENT ON COLUMN outbound_calls.variables IS 'Put for {{name}} into instructions, greeting and step.';
COMMENT ON COLUMN outbound_calls.lead IS 'What whoever asked calls the callee; kept with the conversation.';
COMMENT ON COLUMN outbound_calls.time_zone IS 'The callee''s, when it was told; NULL: by the number.';
COMMENT ON COLUMN outbound_calls.state IS 'waiting until due_at; calling: an attempt is open; done.';
COMMENT ON COLUMN outbound_calls.due_at IS 'Not before.';
COMMENT ON COLUMN outbound_calls.attempts IS 'How many there were.';
COMMENT ON COLUMN outbound_calls.outcome IS
    'How the last call ended, or why there was none: do_not_call, never_open (no common hours), refused by the carrier, unknown (ten times without an answer), stopped.';
COMMENT ON COLUMN outbound_calls.error IS 'The same in words.';
COMMENT ON COLUMN outbound_calls.idempotency_key IS 'What makes a request the same request again.';
COMMENT ON COLUMN outbound_calls.request_hash IS 'SHA-256 of what was asked for under that key.';
COMMENT ON COLUMN outbound_calls.requested_by IS 'Who asked: a user of the machine, or a token''s label.';
COMMENT ON COLUMN outbound_calls.created_at IS 'When it was asked for.';
COMMENT ON COLUMN outbound_calls.updated_at IS 'When the row was last changed; kept by a trigger.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE call_attempts (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id  uuid NOT NULL,
    outbound_call_id uuid NOT NULL,
    number           integer NOT NULL,
    account_sid      text NOT NULL,
    state            text NOT NULL DEFAULT 'ready',
    asks             integer NOT NULL DEFAULT 0,
    asked_at         timestamptz,
    unsure_since     timestamptz,
    call_sid         text,
    found_by         text,
    call_status      call_status,
    answered_by      text,
    doubles          integer NOT NULL DEFAULT 0,
    error            text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT call_attempts_call FOREIGN KEY (organization_id, outbound_call_id)
        REFERENCES outbound_calls (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT call_attempts_number UNIQUE (outbound_call_id, number),
    CONSTRAINT call_attempts_sid UNIQUE (account_sid, call_sid),
    CONSTRAINT call_attempts_state
        CHECK (state IN ('ready', 'asking', 'unsure', 'made', 'over', 'dropped')),
    CONSTRAINT call_attempts_made CHECK (state NOT IN ('made', 'over') OR call_sid IS NOT NULL),
    CONSTRAINT call_attempts_unsure CHECK (state <> 'unsure' OR unsure_since IS NOT NULL),
    CONSTRAINT call_attempts_found CHECK ((call_sid IS NULL) = (found_by IS NULL)
                                          AND found_by IN ('answer', 'webhook', 'list')),
    CONSTRAINT call_attempts_call_sid CHECK (call_sid ~ '^CA[0-9a-fA-F]{32}$'),
    CONSTRAINT call_attempts_counts CHECK (asks >= 0 AND doubles >= 0),
    CONSTRAINT call_attempts_texts CHECK (length(error) <= 1000 AND length(answered_by) <= 40)
);
CREATE INDEX call_attempts_live ON call_attempts (organization_id)
    WHERE state IN ('ready', 'asking', 'unsure', 'made');
CREATE INDEX call_attempts_by_time ON call_attempts (organization_id, created_at);
COMMENT ON TABLE call_attempts IS
    'Each time the carrier was asked to make a call, and how it is known what came of it.';
COMMENT ON COLUMN call_attempts.id IS 'Its id: stands in the URLs that this call, and no other, is given.';
COMMENT ON COLUMN call_attempts.organization_id IS 'Who calls.';
COMMENT ON COLUMN call_attempts.outbound_call_id IS 'To reach whom.';
COMMENT ON COLUMN call_attempts.number IS '1, 2, ..';
COMMENT ON COLUMN call_attempts.account_sid IS 'The carrier''s account that was asked.';
COMMENT ON COLUMN call_attempts.state IS 'As said at the head of sql/0015.';
COMMENT ON COLUMN call_attempts.asks IS 'Requests that may have reached the carrier.';
COMMENT ON COLUMN call_attempts.asked_at IS 'When the last of them was about to be sent.';
COMMENT ON COLUMN call_attempts.unsure_since IS 'When it was noticed that its answer never came.';
COMMENT ON COLUMN call_attempts.call_sid IS 'The call.';
COMMENT ON COLUMN call_attempts.found_by IS
    'How we know: the carrier''s answer, a webhook of the call, or the carrier''s list.';
COMMENT ON COLUMN call_attempts.call_status IS 'How far the call is.';
COMMENT ON COLUMN call_attempts.answered_by IS 'human, machine_start, fax, ..: as the carrier has it.';
COMMENT ON COLUMN call_attempts.doubles IS 'Further calls that turned out to be of this attempt; they are hung up.';
COMMENT ON COLUMN call_attempts.error IS 'Why there was no call.';
COMMENT ON COLUMN call_attempts.created_at IS 'When it was released, by the clock of the pace.';
COMMENT ON COLUMN call_attempts.updated_at IS 'When the row was last changed; kept by a trigger.';

-- ---------------------------------------------------------------------------------------------
-- What a number says about the clock on its owner's wall. A number says where it was given out, not
-- where the telephone is; so for a country with several zones all of them count, and somebody who
-- knows better says so (outbound_calls.time_zone). Source: ITU-T E.164 country codes, and the North
-- American codes that belong to one place; zones of the IANA database.
CREATE TABLE dialling_zones (
    prefix text PRIMARY KEY,
    zones  text[] NOT NULL,
    CONSTRAINT dialling_zones_prefix CHECK (prefix ~ '^[1-9][0-9]{0,5}$'),
    CONSTRAINT dialling_zones_zones CHECK (cardinality(zones) BETWEEN 1 AND 4)
);
COMMENT ON TABLE dialling_zones IS 'Time zones of the places to which numbers of a prefix are given out.';
COMMENT ON COLUMN dialling_zones.prefix IS 'Digits after the plus sign; the longest that fits counts.';
COMMENT ON COLUMN dialling_zones.zones IS
    'One, or those between which all others of the country lie: it must be open in each.';

INSERT INTO dialling_zones
SELECT prefix, string_to_array(zones, ' ') FROM (VALUES
    ('1', 'America/New_York America/Los_Angeles'), ('1907', 'America/Anchorage America/Adak'),
    ('1808', 'Pacific/Honolulu'), ('1671', 'Pacific/Guam'), ('1670', 'Pacific/Guam'),
    ('1684', 'Pacific/Pago_Pago'), ('1787', 'America/Puerto_Rico'), ('1939', 'America/Puerto_Rico'),
    ('1340', 'America/St_Thomas'), ('1242', 'America/Nassau'), ('1246', 'America/Barbados'),
    ('1345', 'America/Cayman'), ('1441', 'Atlantic/Bermuda'), ('1868', 'America/Port_of_Spain'),
    ('1876', 'America/Jamaica'), ('1658', 'America/Jamaica'), ('1809', 'America/Santo_Domingo'),
    ('1829', 'America/Santo_Domingo'), ('1849', 'America/Santo_Domingo'),
    ('1709', 'America/St_Johns America/Halifax'), ('1902', 'America/Halifax'), ('1506', 'America/Moncton'),
    ('7', 'Europe/Kaliningrad Asia/Kamchatka'), ('77', 'Asia/Almaty'), ('76', 'Asia/Almaty'),
    ('20', 'Africa/Cairo'), ('27', 'Africa/Johannesburg'), ('30', 'Europe/Athens'),
    ('31', 'Europe/Amsterdam'), ('32', 'Europe/Brussels'), ('33', 'Europe/Paris'),
    ('34', 'Europe/Madrid Atlantic/Canary'), ('36', 'Europe/Budapest'), ('39', 'Europe/Rome'),
    ('40', 'Europe/Bucharest'), ('41', 'Europe/Zurich'), ('43', 'Europe/Vienna'),
    ('44', 'Europe/London'), ('45', 'Europe/Copenhagen'), ('46', 'Europe/Stockholm'),
    ('47', 'Europe/Oslo'), ('48', 'Europe/Warsaw'), ('49', 'Europe/Berlin'),
    ('51', 'America/Lima'), ('52', 'America/Cancun America/Tijuana'), ('53', 'America/Havana'),
    ('54', 'America/Argentina/Buenos_Aires'), ('55', 'America/Noronha America/Rio_Branco'),
    ('56', 'America/Santiago Pacific/Easter'), ('57', 'America/Bogota'), ('58', 'America/Caracas'),
    ('60', 'Asia/Kuala_Lumpur'), ('61', 'Australia/Sydney Australia/Perth'),
    ('62', 'Asia/Jayapura Asia/Jakarta'), ('63', 'Asia/Manila'), ('64', 'Pacific/Auckland'),
    ('65', 'Asia/Singapore'), ('66', 'Asia/Bangkok'), ('81', 'Asia/Tokyo'), ('82', 'Asia/Seoul'),
    ('84', 'Asia/Ho_Chi_Minh'), ('86', 'Asia/Shanghai'), ('90', 'Europe/Istanbul'),
    ('91', 'Asia/Kolkata'), ('92', 'Asia/Karachi'), ('93', 'Asia/Kabul'), ('94', 'Asia/Colombo'),
    ('95', 'Asia/Yangon'), ('98', 'Asia/Tehran'), ('212', 'Africa/Casablanca'),
    ('213', 'Africa/Algiers'), ('216', 'Africa/Tunis'), ('233', 'Africa/Accra'),
    ('234', 'Africa/Lagos'), ('254', 'Africa/Nairobi'), ('351', 'Europe/Lisbon Atlantic/Azores'),
    ('352', 'Europe/Luxembourg'), ('353', 'Europe/Dublin'), ('354', 'Atlantic/Reykjavik'),
    ('355', 'Europe/Tirane'), ('356', 'Europe/Malta'), ('357', 'Asia/Nicosia'),
    ('358', 'Europe/Helsinki'), ('359', 'Europe/Sofia'), ('370', 'Europe/Vilnius'),
    ('371', 'Europe/Riga'), ('372', 'Europe/Tallinn'), ('373', 'Europe/Chisinau'),
    ('375', 'Europe/Minsk'), ('377', 'Europe/Monaco'), ('380', 'Europe/Kiev'),
    ('381', 'Europe/Belgrade'), ('385', 'Europe/Zagreb'), ('386', 'Europe/Ljubljana'),
    ('387', 'Europe/Sarajevo'), ('389', 'Europe/Skopje'), ('420', 'Europe/Prague'),
    ('421', 'Europe/Bratislava'), ('423', 'Europe/Vaduz'), ('502', 'America/Guatemala'),
    ('503', 'America/El_Salvador'), ('504', 'America/Tegucigalpa'), ('505', 'America/Managua'),
    ('506', 'America/Costa_Rica'), ('507', 'America/Panama'), ('591', 'America/La_Paz'),
    ('593', 'America/Guayaquil Pacific/Galapagos'), ('595', 'America/Asuncion'),
    ('598', 'America/Montevideo'), ('852', 'Asia/Hong_Kong'), ('853', 'Asia/Macau'),
    ('855', 'Asia/Phnom_Penh'), ('880', 'Asia/Dhaka'), ('886', 'Asia/Taipei'),
    ('961', 'Asia/Beirut'), ('962', 'Asia/Amman'), ('965', 'Asia/Kuwait'), ('966', 'Asia/Riyadh'),
    ('971', 'Asia/Dubai'), ('972', 'Asia/Jerusalem'), ('973', 'Asia/Bahrain'),
    ('974', 'Asia/Qatar'), ('977', 'Asia/Kathmandu'), ('995', 'Asia/Tbilisi'),
    ('998', 'Asia/Tashkent')) AS known (prefix, zones);

-- The numbers of toll-free and personal services are given out for whole countries or for the world
-- (+1 800, +800, ..): for them the rule of the country holds, or none.
CREATE FUNCTION number_zones(number text, otherwise text) RETURNS text[]
LANGUAGE sql STABLE
RETURN coalesce((SELECT zones FROM dialling_zones
                 WHERE prefix = ANY (ARRAY(SELECT substr(number, 2, n) FROM generate_series(1, 6) AS n))
                 ORDER BY length(prefix) DESC LIMIT 1),
                ARRAY[otherwise]);
COMMENT ON FUNCTION number_zones IS
    'The zones in which a number''s owner may be; otherwise: where it does not say.';

-- The next moment, not before this one, at which it is open in every zone; NULL: not within 8 days. A
-- time that is open everywhere begins where one of the zones opens.
CREATE FUNCTION next_open(days smallint[], opens time, closes time, zones text[], moment timestamptz)
RETURNS timestamptz
LANGUAGE sql STABLE
RETURN (
    SELECT min(candidate) FROM (
        SELECT moment AS candidate
        UNION ALL
        SELECT (date_trunc('day', moment AT TIME ZONE zone) + ahead * interval '1 day' + opens)
               AT TIME ZONE zone
        FROM unnest(zones) AS zone, generate_series(0, 8) AS ahead) AS candidates
    WHERE candidate >= moment
      AND NOT EXISTS (SELECT FROM unnest(zones) AS zone
                      WHERE NOT hours_open(days, opens, closes, zone, candidate)));
COMMENT ON FUNCTION next_open IS 'When it is next open in all of these zones.';

-- ---------------------------------------------------------------------------------------------
SELECT guard_table('outbound_limits');
SELECT guard_table('do_not_call');
SELECT guard_table('call_batches');
SELECT guard_table('outbound_calls');
SELECT guard_table('call_attempts');
SELECT guard_table('dialling_zones', NULL);

CREATE TRIGGER touch BEFORE UPDATE ON outbound_limits
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON call_batches FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON outbound_calls FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON call_attempts FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

GRANT SELECT, INSERT, UPDATE ON outbound_limits, call_batches, outbound_calls, call_attempts
    TO ringbridge_serving, ringbridge_gate;
GRANT SELECT, INSERT, DELETE ON do_not_call TO ringbridge_serving;
GRANT SELECT ON do_not_call, dialling_zones TO ringbridge_gate;
GRANT SELECT, INSERT, UPDATE ON outbound_limits, call_batches, outbound_calls TO ringbridge_api;
GRANT SELECT, INSERT, DELETE ON do_not_call TO ringbridge_api;
GRANT SELECT ON call_attempts TO ringbridge_api;
GRANT SELECT (organization_id, kind, account, updated_at) ON credentials TO ringbridge_api;
-- A webhook names an attempt, and the pace looks for whoever is due: neither an organisation.
CREATE POLICY gate ON call_batches FOR SELECT TO ringbridge_gate USING (true);
CREATE POLICY gate ON outbound_calls FOR SELECT TO ringbridge_gate USING (true);
CREATE POLICY gate ON call_attempts FOR SELECT TO ringbridge_gate USING (true);
CREATE POLICY gate ON dialling_zones FOR SELECT TO ringbridge_gate USING (true);

-- ---------------------------------------------------------------------------------------------
-- A call that is not to be made any more, and why.
CREATE FUNCTION finish_outbound(call uuid, how text, why text) RETURNS void
LANGUAGE sql AS $$
    UPDATE outbound_calls SET state = 'done', due_at = NULL, outcome = how, error = left(why, 1000)
    WHERE id = call
$$;
COMMENT ON FUNCTION finish_outbound IS 'Ends a call to be made.';

-- An attempt's call is over, or is known to be so otherwise than before. Busy and no answer are tried
-- again as often as the batch says. Called with the organisation named.
CREATE FUNCTION end_attempt(ended call_attempts, said text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    call outbound_calls;
    batch call_batches;
    calls integer;
BEGIN
    UPDATE call_attempts SET state = 'over', call_status = said WHERE id = (ended).id;
    SELECT * INTO call FROM outbound_calls WHERE id = (ended).outbound_call_id FOR NO KEY UPDATE;
    IF call.attempts <> (ended).number THEN
        RETURN; -- a later one speaks for the call
    END IF;
    SELECT * INTO batch FROM call_batches WHERE id = call.batch_id;
    SELECT count(*) INTO calls FROM call_attempts
    WHERE outbound_call_id = call.id AND state = 'over';
    IF said IN ('busy', 'no-answer') AND calls <= batch.retries AND batch.state <> 'stopped' THEN
        UPDATE outbound_calls SET state = 'waiting', outcome = NULL, error = NULL,
                                  due_at = now() + batch.retry_after_s * interval '1 second'
        WHERE id = call.id AND state <> 'waiting';
    ELSE
        PERFORM finish_outbound(call.id, said, NULL);
    END IF;
END
$$;
COMMENT ON FUNCTION end_attempt IS 'Notes how an attempt''s call ended, and what follows.';

-- However a call's status came to be known: webhooks, the edge's events, the carrier's lists.
CREATE FUNCTION follow_outbound() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    attempt call_attempts;
BEGIN
    SELECT * INTO attempt FROM call_attempts
    WHERE account_sid = NEW.account_sid AND call_sid = NEW.call_sid
      AND organization_id = NEW.organization_id FOR NO KEY UPDATE;
    IF NOT FOUND OR attempt.call_status = NEW.call_status THEN
        RETURN NULL;
    ELSIF call_status_rank(NEW.call_status) = 4 THEN
        PERFORM end_attempt(attempt, NEW.call_status);
    ELSE
        UPDATE call_attempts SET call_status = NEW.call_status WHERE id = attempt.id;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION follow_outbound() IS 'Trigger: what is known of a call is known of its attempt.';
CREATE TRIGGER outbound AFTER UPDATE OF call_status ON conversations
    FOR EACH ROW WHEN (NEW.direction = 'outbound') EXECUTE FUNCTION follow_outbound();

-- ---------------------------------------------------------------------------------------------
-- Which account makes an organisation's calls: its own, or the installation's.
CREATE FUNCTION outbound_account(organization uuid, otherwise text) RETURNS text
LANGUAGE sql STABLE
RETURN coalesce((SELECT account FROM credentials WHERE organization_id = organization AND kind = 'twilio'
                 ORDER BY updated_at DESC LIMIT 1), otherwise);
COMMENT ON FUNCTION outbound_account IS 'The carrier''s account that makes an organisation''s calls.';

-- Somebody asks for one call. verdict: made; repeated, the same was asked for under this key before;
-- other_request, another one was; not_ours, not a number to call from; do_not_call; no_account.
CREATE FUNCTION make_outbound_call(organization uuid, wanted outbound_calls, OUT id uuid,
                                   OUT verdict text)
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    hash bytea;
BEGIN
    wanted.account_sid := outbound_account(organization, wanted.account_sid);
    SELECT o.id, o.request_hash INTO id, hash FROM outbound_calls AS o
    WHERE o.organization_id = organization AND o.idempotency_key = wanted.idempotency_key;
    IF FOUND THEN
        verdict := CASE WHEN hash = wanted.request_hash THEN 'repeated' ELSE 'other_request' END;
    ELSIF NOT EXISTS (SELECT FROM phone_numbers AS n WHERE n.organization_id = organization
                      AND n.phone_number = wanted.from_number AND n.channel = 'twilio' AND n.is_active) THEN
        verdict := 'not_ours';
    ELSIF wanted.account_sid IS NULL THEN
        verdict := 'no_account';
    ELSIF EXISTS (SELECT FROM do_not_call AS d
                  WHERE d.organization_id = organization AND d.phone_number = wanted.to_number) THEN
        verdict := 'do_not_call';
    ELSE
        INSERT INTO outbound_calls AS o (organization_id, to_number, from_number, account_sid, plan,
                                         variables, lead, idempotency_key, request_hash, requested_by)
        VALUES (organization, wanted.to_number, wanted.from_number, wanted.account_sid, wanted.plan,
                wanted.variables, wanted.lead, wanted.idempotency_key, wanted.request_hash,
                wanted.requested_by)
        ON CONFLICT (organization_id, idempotency_key) DO NOTHING
        RETURNING o.id INTO id;
        -- Asked for twice at the same moment: who comes second finds it by asking again.
        verdict := CASE WHEN id IS NULL THEN 'other_request' ELSE 'made' END;
    END IF;
END
$$;
COMMENT ON FUNCTION make_outbound_call IS 'Puts one call into the queue, once.';

-- ---------------------------------------------------------------------------------------------
-- The pace. Releases what is due, as far as hours, the do-not-call list and the limits allow: an
-- attempt and its job, in one transaction. Called several times a second by every control; one at a
-- time does it. What was missed for longer than half a second is not made up for: after a pause the
-- calls go on at their pace and not all at once.

-- What stands against calling this number now. due: when to look again; NULL: now is fine.
CREATE FUNCTION check_outbound(call outbound_calls, batch call_batches, home_zone text,
                               moment timestamptz, OUT due timestamptz, OUT ended text)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (SELECT FROM do_not_call AS d WHERE d.organization_id = (call).organization_id
               AND d.phone_number = (call).to_number) THEN
        ended := 'do_not_call';
    ELSIF (batch).id IS NOT NULL THEN
        due := next_open((batch).days, (batch).opens, (batch).closes,
                         CASE WHEN (call).time_zone IS NULL
                              THEN number_zones((call).to_number, coalesce((batch).time_zone, home_zone))
                              ELSE ARRAY[(call).time_zone] END, moment);
        ended := CASE WHEN due IS NULL THEN 'never_open' END;
    END IF;
    IF ended IS NULL AND coalesce(due, moment) <= moment THEN
        due := CASE WHEN EXISTS (SELECT FROM outbound_calls AS o
                                 WHERE o.organization_id = (call).organization_id
                                   AND o.to_number = (call).to_number AND o.state = 'calling')
                    THEN moment + interval '5 seconds' END;
    END IF;
END
$$;
COMMENT ON FUNCTION check_outbound IS 'May this number be called now, later, or not at all?';

CREATE FUNCTION release_call(call outbound_calls, moment timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    attempt uuid;
BEGIN
    UPDATE outbound_calls SET state = 'calling', due_at = NULL, attempts = outbound_calls.attempts + 1
    WHERE id = (call).id;
    INSERT INTO call_attempts (organization_id, outbound_call_id, number, account_sid, created_at)
    VALUES ((call).organization_id, (call).id, (call).attempts + 1, (call).account_sid, moment)
    RETURNING id INTO attempt;
    PERFORM enqueue_job((call).organization_id, 'call_make', attempt::text,
                        jsonb_build_object('attempt', attempt, 'account', (call).account_sid), 1000);
END
$$;
COMMENT ON FUNCTION release_call IS 'Begins an attempt: its row and its job.';

-- The next call of this organisation that is due; batches take turns by their pace.
CREATE FUNCTION next_outbound(organization uuid, moment timestamptz) RETURNS outbound_calls
LANGUAGE plpgsql AS $$
DECLARE
    call outbound_calls;
BEGIN
    SELECT * INTO call FROM outbound_calls
    WHERE organization_id = organization AND batch_id IS NULL AND state = 'waiting' AND due_at <= moment
    ORDER BY due_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        SELECT first.* INTO call
        FROM call_batches AS b
        CROSS JOIN LATERAL (SELECT * FROM outbound_calls AS o
                            WHERE o.batch_id = b.id AND o.organization_id = organization
                              AND o.state = 'waiting' AND o.due_at <= moment
                            ORDER BY o.due_at, o.line LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS first
        WHERE b.organization_id = organization AND b.state = 'running' AND b.next_at <= moment
        ORDER BY b.next_at, b.id LIMIT 1;
    END IF;
    RETURN call;
END
$$;
COMMENT ON FUNCTION next_outbound IS 'Who is to be called next.';

CREATE FUNCTION release_organization(organization uuid, moment timestamptz) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    most CONSTANT interval := interval '500 milliseconds'; -- that is made up for
    limits outbound_limits;
    room integer;
    call outbound_calls;
    batch call_batches;
    verdict record;
    released integer := 0;
BEGIN
    INSERT INTO outbound_limits SELECT (outbound_limits_in_force(organization)).* ON CONFLICT DO NOTHING;
    SELECT * INTO limits FROM outbound_limits WHERE organization_id = organization FOR NO KEY UPDATE;
    room := least(
        limits.calls_at_once - (SELECT count(*) FROM call_attempts
                                WHERE organization_id = organization
                                  AND state IN ('ready', 'asking', 'unsure', 'made')
                                  AND created_at > moment - interval '6 hours'),
        limits.calls_per_day - (SELECT count(*) FROM call_attempts
                                WHERE organization_id = organization AND state <> 'dropped'
                                  AND created_at >= date_trunc('day', moment, limits.time_zone)));
    limits.next_at := greatest(limits.next_at, moment - most);
    FOR look IN 1 .. 200 LOOP
        EXIT WHEN room <= released OR limits.next_at > moment;
        call := next_outbound(organization, moment);
        EXIT WHEN call.id IS NULL;
        SELECT * INTO batch FROM call_batches WHERE id = call.batch_id;
        SELECT * INTO verdict FROM check_outbound(call, batch, limits.time_zone, moment);
        IF verdict.ended IS NOT NULL THEN
            PERFORM finish_outbound(call.id, verdict.ended, NULL);
        ELSIF verdict.due > moment THEN
            UPDATE outbound_calls SET due_at = verdict.due WHERE id = call.id;
        ELSE
            PERFORM release_call(call, moment);
            released := released + 1;
            limits.next_at := limits.next_at + interval '60 seconds' / limits.calls_per_minute;
            UPDATE call_batches SET next_at = greatest(next_at, moment - most)
                                              + interval '60 seconds' / calls_per_minute
            WHERE id = batch.id;
        END IF;
    END LOOP;
    UPDATE outbound_limits SET next_at = limits.next_at
    WHERE organization_id = organization AND released > 0;
    UPDATE call_batches AS b SET state = 'done'
    WHERE b.organization_id = organization AND b.state = 'running'
      AND NOT EXISTS (SELECT FROM outbound_calls AS o
                      WHERE o.batch_id = b.id AND o.organization_id = organization
                        AND o.state <> 'done');
    RETURN released;
END
$$;
COMMENT ON FUNCTION release_organization IS 'Releases what one organisation may call now.';

CREATE FUNCTION release_calls() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    moment timestamptz := clock_timestamp();
    owner uuid;
    released integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ringbridge release_calls', 0)) THEN
        RETURN 0;
    END IF;
    FOR owner IN SELECT organization_id FROM call_batches WHERE state = 'running'
                 UNION
                 SELECT organization_id FROM outbound_calls
                 WHERE batch_id IS NULL AND state = 'waiting' AND due_at <= moment LOOP
        PERFORM set_config('ringbridge.organization', owner::text, true);
        released := released + release_organization(owner, moment);
    END LOOP;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN released;
END
$$;
COMMENT ON FUNCTION release_calls IS 'Releases what may be called now, of all organisations.';

-- ---------------------------------------------------------------------------------------------
-- What the job of an attempt does, step by step; each with the organisation named.

-- Gives up an attempt that never became a call. how NULL: the number waits again.
CREATE FUNCTION drop_attempt(attempt uuid, how text, why text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    call uuid;
BEGIN
    UPDATE call_attempts SET state = 'dropped', error = left(why, 1000)
    WHERE id = attempt AND state IN ('ready', 'asking', 'unsure') RETURNING outbound_call_id INTO call;
    IF NOT FOUND THEN
        RETURN; -- a webhook knew better
    ELSIF how IS NULL THEN
        UPDATE outbound_calls SET state = 'waiting', due_at = now(), error = left(why, 1000) WHERE id = call;
    ELSE
        PERFORM finish_outbound(call, how, why);
    END IF;
END
$$;
COMMENT ON FUNCTION drop_attempt IS 'Ends an attempt of which it is certain that there is no call.';

-- What to do with it now. verdict: ask, and it is marked so; look, somebody asked and does not know;
-- nothing. The rest: what to ask with.
CREATE FUNCTION begin_attempt(attempt uuid, OUT verdict text, OUT account text, OUT from_number text,
                              OUT to_number text, OUT plan jsonb, OUT asks integer)
LANGUAGE plpgsql AS $$
DECLARE
    known call_attempts;
    call outbound_calls;
    batch call_batches;
BEGIN
    verdict := 'nothing';
    SELECT * INTO known FROM call_attempts WHERE id = attempt FOR NO KEY UPDATE;
    SELECT * INTO call FROM outbound_calls WHERE id = known.outbound_call_id FOR NO KEY UPDATE;
    SELECT * INTO batch FROM call_batches WHERE id = call.batch_id;
    account := known.account_sid;
    from_number := call.from_number;
    to_number := call.to_number;
    plan := coalesce(call.plan, batch.plan);
    asks := known.asks;
    IF known.state = 'asking' THEN
        UPDATE call_attempts SET state = 'unsure', unsure_since = now() WHERE id = attempt;
        verdict := 'look';
    ELSIF known.state = 'unsure' THEN
        verdict := 'look';
    ELSIF known.state <> 'ready' THEN
        RETURN;
    ELSIF batch.state = 'stopped' THEN
        PERFORM drop_attempt(attempt, 'stopped', NULL);
    ELSIF batch.state = 'paused' THEN
        PERFORM drop_attempt(attempt, NULL, NULL);
    ELSIF EXISTS (SELECT FROM do_not_call AS d WHERE d.organization_id = call.organization_id
                  AND d.phone_number = call.to_number) THEN
        PERFORM drop_attempt(attempt, 'do_not_call', NULL);
    ELSIF NOT EXISTS (SELECT FROM phone_numbers AS n WHERE n.organization_id = call.organization_id
                      AND n.phone_number = call.from_number AND n.channel = 'twilio' AND n.is_active) THEN
        PERFORM drop_attempt(attempt, 'refused', 'the number to call from is not ours any more');
    ELSE
        UPDATE call_attempts SET state = 'asking', asks = call_attempts.asks + 1,
                                 asked_at = clock_timestamp()
        WHERE id = attempt;
        asks := known.asks + 1;
        verdict := 'ask';
    END IF;
END
$$;
COMMENT ON FUNCTION begin_attempt IS 'Marks an attempt before the carrier is asked; says what is known of it.';

-- There is a call. by: answer, webhook or list. True: it is this attempt's; false: it has another.
CREATE FUNCTION attempt_made(attempt uuid, sid text, by text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    known call_attempts;
BEGIN
    SELECT * INTO known FROM call_attempts WHERE id = attempt FOR NO KEY UPDATE;
    IF known.call_sid IS NOT NULL THEN
        RETURN known.call_sid = sid;
    ELSIF known.state = 'dropped'
          AND EXISTS (SELECT FROM call_attempts AS later
                      WHERE later.outbound_call_id = known.outbound_call_id
                        AND later.number > known.number) THEN
        RETURN false; -- the number is being called by another attempt
    END IF;
    UPDATE call_attempts SET call_sid = sid, found_by = by, state = 'made', error = NULL
    WHERE id = attempt;
    -- One that was given up, or made ready again, after all.
    UPDATE outbound_calls AS o SET state = 'calling', due_at = NULL, outcome = NULL, error = NULL
    WHERE o.id = known.outbound_call_id AND o.state <> 'calling'
      AND NOT EXISTS (SELECT FROM outbound_calls AS other
                      WHERE other.organization_id = o.organization_id
                        AND other.to_number = o.to_number AND other.state = 'calling');
    RETURN true;
END
$$;
COMMENT ON FUNCTION attempt_made IS 'Notes an attempt''s call, the first that is told.';

-- A call of the carrier's list between the two numbers. True: it is the one that is looked for. The
-- two clocks may differ by two minutes.
CREATE FUNCTION attempt_listed(attempt uuid, sid text, created text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    known call_attempts;
BEGIN
    SELECT * INTO known FROM call_attempts WHERE id = attempt FOR NO KEY UPDATE;
    IF known.state <> 'unsure' OR coalesce(sid, '') !~ '^CA[0-9a-fA-F]{32}$'
       OR coalesce(carrier_time(created), 'infinity') < known.asked_at - interval '2 minutes'
       OR EXISTS (SELECT FROM call_attempts AS a
                  WHERE a.account_sid = known.account_sid AND a.call_sid = sid) THEN
        RETURN false;
    END IF;
    RETURN attempt_made(attempt, sid, 'list');
END
$$;
COMMENT ON FUNCTION attempt_listed IS 'Is this call of the carrier''s list the attempt''s?';

-- The carrier's list has nothing. Settled: long enough after, so there was no call: it is asked for
-- again, ten times in all.
CREATE FUNCTION attempt_unlisted(attempt uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    known call_attempts;
    settle integer;
BEGIN
    SELECT * INTO known FROM call_attempts WHERE id = attempt FOR NO KEY UPDATE;
    settle := (outbound_limits_in_force(known.organization_id)).settle_s;
    IF known.state <> 'unsure' THEN
        RETURN true;
    ELSIF known.unsure_since > now() - settle * interval '1 second' THEN
        RETURN false;
    ELSIF known.asks >= 10 THEN
        PERFORM drop_attempt(attempt, 'unknown', 'the carrier was asked ten times and never said what came of it');
    ELSE
        UPDATE call_attempts SET state = 'ready', unsure_since = NULL WHERE id = attempt;
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION attempt_unlisted IS 'Nothing was found: has it been looked for long enough?';

-- Neither this number's fault nor the next one's: nothing more is called until somebody has looked.
CREATE FUNCTION pause_for(attempt uuid, why text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE call_batches SET state = 'paused', reason = left(why, 1000)
    WHERE id = (SELECT c.batch_id FROM call_attempts AS a JOIN outbound_calls AS c
                ON c.id = a.outbound_call_id WHERE a.id = attempt)
      AND state IN ('running', 'paused');
    IF FOUND THEN
        PERFORM drop_attempt(attempt, NULL, why);
    END IF;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION pause_for IS 'Pauses the batch of an attempt that was refused for no reason of its own.';

-- ---------------------------------------------------------------------------------------------
-- The call's own webhooks: its attempt stands in their URLs, which the carrier has signed.

-- Whose is it? verdict as found in call_owner; double: this attempt has another call already.
CREATE FUNCTION find_attempt(webhook carrier_webhook, attempt text, OUT verdict text, OUT known call_attempts)
LANGUAGE plpgsql AS $$
BEGIN
    verdict := 'unknown_call';
    IF attempt !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
       OR coalesce((webhook).call_sid, '') !~ '^CA[0-9a-fA-F]{32}$' THEN
        verdict := 'invalid';
        RETURN;
    END IF;
    SELECT * INTO known FROM call_attempts WHERE id = attempt::uuid;
    IF NOT FOUND THEN
        RETURN;
    ELSIF known.account_sid <> (webhook).account_sid THEN
        verdict := 'wrong_account';
        RETURN;
    END IF;
    PERFORM set_config('ringbridge.organization', known.organization_id::text, true);
    IF EXISTS (SELECT FROM call_attempts WHERE account_sid = known.account_sid
               AND call_sid = (webhook).call_sid AND id <> known.id) THEN
        verdict := 'invalid'; -- a call of another attempt
    ELSIF attempt_made(known.id, (webhook).call_sid, 'webhook') THEN
        verdict := 'found';
    ELSE
        verdict := 'double';
        IF enqueue_job(known.organization_id, 'call_hangup', (webhook).call_sid,
                       jsonb_build_object('account', known.account_sid, 'call', (webhook).call_sid)) THEN
            UPDATE call_attempts SET doubles = doubles + 1 WHERE id = known.id;
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION find_attempt IS 'Whose call a webhook with an attempt in its URL is.';

-- {{name}} becomes the value; what nobody gave stays as it is, to be noticed.
CREATE FUNCTION fill_in(pattern text, variables jsonb, in_json boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    pair record;
BEGIN
    FOR pair IN SELECT key, value FROM jsonb_each_text(variables) LOOP
        pattern := replace(pattern, '{{' || pair.key || '}}',
                           CASE WHEN in_json THEN left(right(to_json(pair.value)::text, -1), -1)
                                ELSE pair.value END);
    END LOOP;
    RETURN pattern;
END
$$;
COMMENT ON FUNCTION fill_in IS 'Puts variables into a text, or into JSON as text.';

-- What is done with the call, kept with it like any other route.
CREATE FUNCTION outbound_route(attempt uuid) RETURNS jsonb
LANGUAGE sql STABLE
RETURN (
    SELECT CASE WHEN plan ? 'twiml' THEN '{"step": "hangup"}'
                ELSE fill_in(coalesce(plan -> 'step', '{"step": "agent"}')::text, variables, true)::jsonb END
    FROM (SELECT coalesce(c.plan, b.plan) AS plan, c.variables
          FROM call_attempts AS a JOIN outbound_calls AS c ON c.id = a.outbound_call_id
          LEFT JOIN call_batches AS b ON b.id = c.batch_id WHERE a.id = attempt) AS it);
COMMENT ON FUNCTION outbound_route IS 'With what step an attempt''s call begins.';

-- The agent of a call that we made may have a task of its own (describe_call, 0003).
CREATE FUNCTION outbound_manners(answer call_answer, attempt uuid) RETURNS call_answer
LANGUAGE plpgsql STABLE AS $$
DECLARE
    it record;
BEGIN
    SELECT coalesce(c.plan, b.plan) AS plan, c.variables INTO it
    FROM call_attempts AS a JOIN outbound_calls AS c ON c.id = a.outbound_call_id
    LEFT JOIN call_batches AS b ON b.id = c.batch_id
    WHERE a.id = attempt AND a.organization_id = answer.organization_id;
    IF FOUND THEN
        answer.instructions := fill_in(coalesce(it.plan ->> 'instructions', answer.instructions), it.variables);
        answer.greeting := fill_in(coalesce(it.plan ->> 'greeting', answer.greeting), it.variables);
        IF it.plan ? 'twiml' THEN -- for the answer alone: it is no step
            answer.route := jsonb_build_object('twiml', it.plan ->> 'twiml');
        END IF;
        answer.record := coalesce((it.plan ->> 'record')::boolean, answer.record);
    END IF;
    RETURN answer;
END
$$;
COMMENT ON FUNCTION outbound_manners IS 'Puts a made call''s own task over its organisation''s configuration.';

CREATE FUNCTION outbound_answer(webhook carrier_webhook, attempt text) RETURNS call_answer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    it record;
    owner call_owner;
    answer call_answer;
BEGIN
    SELECT * INTO it FROM find_attempt(webhook, attempt);
    answer.found := it.verdict;
    answer.created := false;
    IF it.verdict = 'found' THEN
        owner := find_or_open_call(webhook, false);
        answer.found := owner.found;
    END IF;
    IF owner.found = 'found' AND owner.organization_id = (it.known).organization_id THEN
        PERFORM FROM conversations WHERE id = owner.conversation_id FOR NO KEY UPDATE;
        UPDATE conversations AS c SET route = outbound_route((it.known).id)
        WHERE c.id = owner.conversation_id AND c.route IS NULL;
        PERFORM tell_outbound(owner.conversation_id, (it.known).id);
        PERFORM note_carrier_event(owner.organization_id, owner.conversation_id, 'incoming', NULL,
                                   'incoming', coalesce(carrier_time((webhook).happened), now()),
                                   webhook_report(webhook));
        answer := describe_call(owner.organization_id, owner.conversation_id, false);
    ELSIF owner.found = 'found' THEN
        answer.found := 'wrong_account';
    END IF;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN answer;
END
$$;
COMMENT ON FUNCTION outbound_answer IS 'Somebody we called has answered: what now?';

-- Whom the conversation was with, and for what: beside what the carrier says.
CREATE FUNCTION tell_outbound(conversation uuid, attempt uuid) RETURNS void
LANGUAGE sql AS $$
    UPDATE conversations AS v SET metadata = v.metadata || jsonb_strip_nulls(jsonb_build_object(
        'outbound_call', o.id, 'attempt', a.id, 'batch', o.batch_id, 'lead', nullif(o.lead, '')))
    FROM call_attempts AS a JOIN outbound_calls AS o ON o.id = a.outbound_call_id
    WHERE v.id = conversation AND a.id = attempt AND NOT v.metadata ? 'outbound_call'
$$;
COMMENT ON FUNCTION tell_outbound IS 'Links a conversation with the call that was asked for.';

CREATE FUNCTION outbound_status(webhook carrier_webhook, attempt text) RETURNS carrier_taken
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    it record;
    taken carrier_taken;
    said text := carrier_status_name((webhook).status);
BEGIN
    SELECT * INTO it FROM find_attempt(webhook, attempt);
    taken := carrier_status(webhook); -- doubles are calls too, and cost money
    IF taken.found = 'found' THEN
        PERFORM tell_outbound(taken.conversation_id, (it.known).id);
    ELSIF it.verdict = 'found' AND call_status_rank(said) = 4 THEN
        PERFORM end_attempt(it.known, said); -- the number was taken away meanwhile
    END IF;
    IF it.verdict NOT IN ('found', 'double') THEN
        taken.found := it.verdict;
    END IF;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN taken;
END
$$;
COMMENT ON FUNCTION outbound_status IS 'Applies a status callback of a call that we made.';

-- Who answered, as far as the carrier can hear.
CREATE FUNCTION outbound_amd(webhook carrier_webhook, attempt text, said text) RETURNS carrier_taken
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    it record;
    taken carrier_taken;
    wanted text;
BEGIN
    SELECT * INTO it FROM find_attempt(webhook, attempt);
    taken.found := it.verdict;
    taken.stored := false;
    taken.is_over := false;
    IF said !~ '^[a-z_]{1,40}$' THEN
        taken.found := 'invalid';
    ELSIF it.verdict = 'found' THEN
        taken := carrier_note(webhook, 'amd', said, jsonb_build_object('answered_by', said));
        UPDATE call_attempts SET answered_by = said WHERE id = (it.known).id;
        SELECT coalesce(c.plan, b.plan) ->> 'on_machine' INTO wanted
        FROM outbound_calls AS c LEFT JOIN call_batches AS b ON b.id = c.batch_id
        WHERE c.id = (it.known).outbound_call_id;
        IF wanted = 'hangup' AND said ~ '^(machine|fax)' THEN
            PERFORM enqueue_job((it.known).organization_id, 'call_hangup', (webhook).call_sid,
                                jsonb_build_object('account', (webhook).account_sid,
                                                   'call', (webhook).call_sid));
        END IF;
    ELSIF it.verdict = 'double' THEN
        taken.found := 'unknown_call';
    END IF;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN taken;
END
$$;
COMMENT ON FUNCTION outbound_amd IS 'Notes whether a person or a machine answered.';

-- ---------------------------------------------------------------------------------------------
GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION release_calls OWNER TO ringbridge_gate;
ALTER FUNCTION outbound_answer OWNER TO ringbridge_gate;
ALTER FUNCTION outbound_status OWNER TO ringbridge_gate;
ALTER FUNCTION outbound_amd OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;
REVOKE ALL ON FUNCTION release_calls, outbound_answer, outbound_status, outbound_amd
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION release_calls, outbound_answer, outbound_status, outbound_amd
    TO ringbridge_serving;
