-- What an organisation has done with a call: per number, per hours of the week, in steps; and the
-- messages that callers leave.
--
-- A step is a JSON object, {"step": "dial", ...}; control/carrier/steps.h describes each kind. Steps nest:
-- what follows when nobody answers stands inside ("else"), so a whole menu is one value, and a
-- webhook names the place it is at by a path ("route.keys.1.else"). The call keeps the route it
-- was given at its beginning: a change in the middle of a call changes nothing for that call.

CREATE FUNCTION is_time_zone(name text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM now() AT TIME ZONE name;
    RETURN name IS NOT NULL AND name ~ '^[A-Za-z][A-Za-z0-9_+/-]*$';
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN false;
END
$$;
COMMENT ON FUNCTION is_time_zone IS 'Is this the name of a time zone, e.g. Europe/Berlin?';

CREATE TABLE call_routes (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    phone_number_id uuid,
    purpose         text NOT NULL DEFAULT 'answer',
    position        integer NOT NULL DEFAULT 100,
    days            smallint[] NOT NULL DEFAULT '{1,2,3,4,5,6,7}',
    opens           time NOT NULL DEFAULT '00:00',
    closes          time NOT NULL DEFAULT '24:00',
    time_zone       text NOT NULL DEFAULT 'UTC',
    step            jsonb NOT NULL,
    label           text NOT NULL DEFAULT '',
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT call_routes_phone_number FOREIGN KEY (organization_id, phone_number_id)
        REFERENCES phone_numbers (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT call_routes_purpose CHECK (purpose IN ('answer', 'fallback')),
    CONSTRAINT call_routes_days
        CHECK (cardinality(days) BETWEEN 1 AND 7 AND days <@ '{1,2,3,4,5,6,7}'::smallint[]),
    CONSTRAINT call_routes_time_zone CHECK (is_time_zone(time_zone)),
    CONSTRAINT call_routes_step CHECK (jsonb_typeof(step -> 'step') = 'string'
                                       AND length(step::text) <= 16384),
    CONSTRAINT call_routes_label CHECK (length(label) <= 200)
);
CREATE INDEX call_routes_by_number ON call_routes (organization_id, phone_number_id);
COMMENT ON TABLE call_routes IS
    'What is done with a call. The first that fits wins: those of its number before those of all numbers, then by position. None: the agent answers.';
COMMENT ON COLUMN call_routes.id IS 'Its id.';
COMMENT ON COLUMN call_routes.organization_id IS 'Whose calls.';
COMMENT ON COLUMN call_routes.phone_number_id IS 'Calls to this number; NULL: to any.';
COMMENT ON COLUMN call_routes.purpose IS
    'answer: what happens first; fallback: what happens when the agent could not go on through no fault of the caller''s.';
COMMENT ON COLUMN call_routes.position IS 'Smaller is asked first.';
COMMENT ON COLUMN call_routes.days IS 'Days of the week, 1 is Monday, by the local clock.';
COMMENT ON COLUMN call_routes.opens IS 'From this local time on.';
COMMENT ON COLUMN call_routes.closes IS
    'Until before this local time; not after opens: until then on the following day.';
COMMENT ON COLUMN call_routes.time_zone IS 'Whose local time.';
COMMENT ON COLUMN call_routes.step IS 'What is done: control/carrier/steps.h.';
COMMENT ON COLUMN call_routes.label IS 'What people call it.';
COMMENT ON COLUMN call_routes.created_at IS 'When the row was made.';
COMMENT ON COLUMN call_routes.updated_at IS 'When the row was last changed; kept by a trigger.';

CREATE FUNCTION hours_open(days smallint[], opens time, closes time, zone text, moment timestamptz)
RETURNS boolean
LANGUAGE sql STABLE
RETURN (
    SELECT CASE
        WHEN opens < closes THEN
            here::time >= opens AND here::time < closes
            AND extract(isodow FROM here)::smallint = ANY (days)
        ELSE -- over midnight: the evening of a day, or the morning after it
            (here::time >= opens AND extract(isodow FROM here)::smallint = ANY (days))
            OR (here::time < closes
                AND extract(isodow FROM here - interval '1 day')::smallint = ANY (days))
        END
    FROM (SELECT moment AT TIME ZONE zone) AS local (here));
COMMENT ON FUNCTION hours_open IS 'Do these hours of the week include this moment, by that zone''s clock?';

CREATE FUNCTION route_open(route call_routes, moment timestamptz) RETURNS boolean
LANGUAGE sql STABLE
RETURN hours_open(route.days, route.opens, route.closes, route.time_zone, moment);
COMMENT ON FUNCTION route_open IS 'Does this route''s week include this moment?';

CREATE FUNCTION find_route(organization uuid, number uuid, wanted text, moment timestamptz)
RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT r.step FROM call_routes AS r
        WHERE r.organization_id = organization AND r.purpose = wanted
          AND (r.phone_number_id = number OR r.phone_number_id IS NULL) AND route_open(r, moment)
        ORDER BY r.phone_number_id IS NULL, r.position, r.created_at, r.id
        LIMIT 1);
END
$$;
COMMENT ON FUNCTION find_route IS 'The step with which a call to this number begins now; NULL: none fits.';

CREATE FUNCTION choose_route(organization uuid, number uuid) RETURNS jsonb
LANGUAGE sql STABLE
RETURN coalesce(find_route(organization, number, 'answer', now()), '{"step": "agent"}');
COMMENT ON FUNCTION choose_route IS 'The same; where none fits, the agent.';

-- For a call that was opened by another webhook than the one that asks. Called with the organisation
-- named and the call's row locked.
CREATE FUNCTION take_route(conversation uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE conversations AS c SET route = choose_route(c.organization_id, c.phone_number_id)
    WHERE c.id = conversation AND c.route IS NULL;
END
$$;
COMMENT ON FUNCTION take_route IS 'Gives a call its route, once.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE voicemails (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    conversation_id uuid NOT NULL,
    account_sid     text NOT NULL,
    recording_sid   text NOT NULL,
    recording_url   text,
    status          text NOT NULL DEFAULT 'in-progress',
    duration_ms     bigint,
    from_number     text,
    to_number       text,
    state           text NOT NULL DEFAULT 'new',
    transcription   text,
    summary         text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    listened_at     timestamptz,
    archived_at     timestamptz,
    UNIQUE (organization_id, id),
    CONSTRAINT voicemails_recording UNIQUE (account_sid, recording_sid),
    CONSTRAINT voicemails_conversation FOREIGN KEY (organization_id, conversation_id)
        REFERENCES conversations (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT voicemails_state CHECK (state IN ('new', 'listened', 'archived')),
    CONSTRAINT voicemails_status CHECK (status IN ('in-progress', 'completed', 'absent', 'failed')),
    CONSTRAINT voicemails_duration CHECK (duration_ms >= 0),
    CONSTRAINT voicemails_sizes CHECK (length(recording_url) <= 1024 AND length(summary) <= 16384
                                       AND length(transcription) <= 262144)
);
CREATE INDEX voicemails_by_time ON voicemails (organization_id, created_at DESC, id);
CREATE INDEX voicemails_by_conversation ON voicemails (organization_id, conversation_id);
COMMENT ON TABLE voicemails IS 'Messages that callers left.';
COMMENT ON COLUMN voicemails.id IS 'Its id.';
COMMENT ON COLUMN voicemails.organization_id IS 'For whom.';
COMMENT ON COLUMN voicemails.conversation_id IS 'In which call.';
COMMENT ON COLUMN voicemails.account_sid IS 'The carrier''s account that keeps the recording.';
COMMENT ON COLUMN voicemails.recording_sid IS 'The carrier''s name for the recording.';
COMMENT ON COLUMN voicemails.recording_url IS 'Where the carrier keeps it.';
COMMENT ON COLUMN voicemails.status IS 'in-progress, completed, absent (nothing was said) or failed.';
COMMENT ON COLUMN voicemails.duration_ms IS 'How long it is.';
COMMENT ON COLUMN voicemails.from_number IS 'Who left it.';
COMMENT ON COLUMN voicemails.to_number IS 'Which number was called.';
COMMENT ON COLUMN voicemails.state IS 'new, listened or archived; a person moves it on.';
COMMENT ON COLUMN voicemails.transcription IS 'Its words; NULL: not written down yet.';
COMMENT ON COLUMN voicemails.summary IS 'What it is about; NULL: not summarised yet.';
COMMENT ON COLUMN voicemails.created_at IS 'When we first heard of it.';
COMMENT ON COLUMN voicemails.updated_at IS 'When the row was last changed; kept by a trigger.';
COMMENT ON COLUMN voicemails.listened_at IS 'When somebody listened first.';
COMMENT ON COLUMN voicemails.archived_at IS 'When it was put away.';

-- ---------------------------------------------------------------------------------------------
-- The second leg of a <Dial>, a call of its own at the carrier.
CREATE TABLE call_legs (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    conversation_id uuid NOT NULL,
    account_sid     text NOT NULL,
    call_sid        text NOT NULL,
    from_number     text,
    to_number       text,
    call_status     call_status NOT NULL,
    duration_ms     bigint,
    sequence_number bigint,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT call_legs_call UNIQUE (account_sid, call_sid),
    CONSTRAINT call_legs_conversation FOREIGN KEY (organization_id, conversation_id)
        REFERENCES conversations (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT call_legs_duration CHECK (duration_ms >= 0),
    CONSTRAINT call_legs_numbers CHECK (length(from_number) <= 256 AND length(to_number) <= 256)
);
CREATE INDEX call_legs_by_conversation ON call_legs (organization_id, conversation_id);
COMMENT ON TABLE call_legs IS 'Whom a call was connected with: each leg of a Dial, by its parent.';
COMMENT ON COLUMN call_legs.id IS 'Its id.';
COMMENT ON COLUMN call_legs.organization_id IS 'Whose call it is.';
COMMENT ON COLUMN call_legs.conversation_id IS 'The call that dialled.';
COMMENT ON COLUMN call_legs.account_sid IS 'The carrier''s account that owns the leg.';
COMMENT ON COLUMN call_legs.call_sid IS 'The carrier''s name for the leg.';
COMMENT ON COLUMN call_legs.from_number IS 'What the one who was dialled saw.';
COMMENT ON COLUMN call_legs.to_number IS 'Who was dialled.';
COMMENT ON COLUMN call_legs.call_status IS 'How far it came; never goes back.';
COMMENT ON COLUMN call_legs.duration_ms IS 'How long it was connected.';
COMMENT ON COLUMN call_legs.sequence_number IS 'Of the callback that its status is from.';
COMMENT ON COLUMN call_legs.created_at IS 'When we first heard of it.';
COMMENT ON COLUMN call_legs.updated_at IS 'When the row was last changed; kept by a trigger.';

SELECT guard_table('call_routes');
SELECT guard_table('voicemails');
SELECT guard_table('call_legs');
CREATE TRIGGER touch BEFORE UPDATE ON call_routes FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON voicemails FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON call_legs FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
GRANT SELECT ON call_routes TO ringbridge_serving, ringbridge_gate;
GRANT SELECT, INSERT, UPDATE ON voicemails, call_legs TO ringbridge_serving, ringbridge_gate;

-- ---------------------------------------------------------------------------------------------
-- A leg's callback names its parent. True: this was not told before.
CREATE FUNCTION note_leg(owner call_owner, webhook carrier_webhook, said text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO call_legs AS known (organization_id, conversation_id, account_sid, call_sid,
                                    from_number, to_number, call_status, duration_ms,
                                    sequence_number)
    VALUES (owner.organization_id, owner.conversation_id, (webhook).account_sid,
            (webhook).call_sid, left(btrim((webhook).from_number), 256),
            left(btrim((webhook).to_number), 256), said, (webhook).duration_s * 1000,
            (webhook).sequence_number)
    ON CONFLICT (account_sid, call_sid) DO UPDATE
    SET call_status = excluded.call_status,
        duration_ms = coalesce(excluded.duration_ms, known.duration_ms),
        sequence_number = excluded.sequence_number
    WHERE (call_status_rank(known.call_status), coalesce(known.sequence_number, -1))
        < (call_status_rank(excluded.call_status), coalesce(excluded.sequence_number, -1));
    -- Every fact stands in the ledger, once, also one that came too late to change the row. Not under
    -- the names of the call's own facts: a leg's end is not the call's.
    RETURN add_carrier_event(
        owner.organization_id, owner.conversation_id, 'leg', (webhook).sequence_number,
        format('leg/%s/%s/%s', (webhook).call_sid, coalesce((webhook).sequence_number::text, '-'), said),
        coalesce(carrier_time((webhook).happened), now()),
        webhook_report(webhook) - 'status' - 'duration_ms' - 'sip_response_code' || jsonb_build_object(
            'leg', (webhook).call_sid, 'leg_status', said, 'leg_duration_ms', (webhook).duration_s * 1000,
            'leg_sip_response_code', (webhook).sip_code));
END
$$;
COMMENT ON FUNCTION note_leg IS 'Applies a status callback of a leg that a call of ours dialled.';
