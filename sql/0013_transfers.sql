-- Warm transfers: the caller waits with music in a conference of the carrier's, a person is called,
-- hears what it is about and presses a key; then the two talk. Whatever does not come about, and
-- whoever dies, the caller is fetched back: each transfer has one job (transfer_watch) that is due
-- at its deadline from the beginning on, and earlier when something has happened. Where a transfer
-- is follows from this row alone; webhooks only move it forward, any number of times.

CREATE TABLE transfers (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    conversation_id uuid NOT NULL,
    account_sid     text NOT NULL,
    place           text NOT NULL,
    step            jsonb NOT NULL,
    from_number     text NOT NULL,
    to_number       text NOT NULL,
    state           text NOT NULL DEFAULT 'calling',
    reason          text,
    callee_sid      text,
    callee_over     boolean NOT NULL DEFAULT false,
    deadline_at     timestamptz NOT NULL,
    placed_at       timestamptz,
    asked_at        timestamptz,
    accepted_at     timestamptz,
    joined_at       timestamptz,
    left_at         timestamptz,
    ended_at        timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT transfers_conversation FOREIGN KEY (organization_id, conversation_id)
        REFERENCES conversations (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT transfers_state CHECK (state IN ('calling', 'asked', 'accepted', 'joined',
                                                'done', 'returned', 'abandoned')),
    CONSTRAINT transfers_ended
        CHECK ((state IN ('done', 'returned', 'abandoned')) = (ended_at IS NOT NULL)),
    CONSTRAINT transfers_reason
        CHECK ((state = 'returned') = (reason IS NOT NULL)
               AND reason IN ('refused', 'not_accepted', 'busy', 'no-answer', 'failed', 'canceled',
                              'deadline', 'lost', 'left')),
    CONSTRAINT transfers_step CHECK (jsonb_typeof(step) = 'object' AND length(step::text) <= 16384),
    CONSTRAINT transfers_texts CHECK (length(place) <= 128 AND length(from_number) <= 256
                                      AND length(to_number) <= 256 AND length(callee_sid) <= 64)
);
CREATE UNIQUE INDEX transfers_open ON transfers (organization_id, conversation_id) WHERE ended_at IS NULL;
CREATE INDEX transfers_by_conversation ON transfers (organization_id, conversation_id, created_at);
CREATE INDEX transfers_by_time ON transfers (organization_id, created_at DESC, id);
COMMENT ON TABLE transfers IS
    'Each time a caller waited in a conference for a person: how it went. One at a time per call.';
COMMENT ON COLUMN transfers.id IS 'Its id; the conference is called transfer-<id>.';
COMMENT ON COLUMN transfers.organization_id IS 'Whose call it is.';
COMMENT ON COLUMN transfers.conversation_id IS 'The call whose caller waits.';
COMMENT ON COLUMN transfers.account_sid IS 'The carrier''s account that owns both legs.';
COMMENT ON COLUMN transfers.place IS 'Where in the call''s steps it began (control/carrier/steps.h).';
COMMENT ON COLUMN transfers.step IS 'The step as it was then: whom to call, how long, the briefing.';
COMMENT ON COLUMN transfers.from_number IS 'What the person who is called sees: a number of ours.';
COMMENT ON COLUMN transfers.to_number IS 'Who is called.';
COMMENT ON COLUMN transfers.state IS
    'calling; asked: the person hears the briefing; accepted: has pressed the key; joined: they talk; done: they have talked; returned: the caller goes on elsewhere; abandoned: the caller hung up before.';
COMMENT ON COLUMN transfers.reason IS 'Why the caller was returned.';
COMMENT ON COLUMN transfers.callee_sid IS 'The carrier''s name for the leg of the person; NULL: not known (yet).';
COMMENT ON COLUMN transfers.callee_over IS 'The carrier has said that this leg is over.';
COMMENT ON COLUMN transfers.deadline_at IS 'Who has not accepted by then never will.';
COMMENT ON COLUMN transfers.placed_at IS
    'When the carrier was first asked to call: not asked twice, or a person would be called twice.';
COMMENT ON COLUMN transfers.asked_at IS 'When the person answered.';
COMMENT ON COLUMN transfers.accepted_at IS 'When the person pressed the key.';
COMMENT ON COLUMN transfers.joined_at IS 'When the two were told to be together.';
COMMENT ON COLUMN transfers.left_at IS 'When the carrier said that the caller is out of the conference.';
COMMENT ON COLUMN transfers.ended_at IS 'When its state became a last one.';
COMMENT ON COLUMN transfers.created_at IS 'When the row was made.';
COMMENT ON COLUMN transfers.updated_at IS 'When the row was last changed; kept by a trigger.';

SELECT guard_table('transfers');
CREATE TRIGGER touch BEFORE UPDATE ON transfers FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
GRANT SELECT, INSERT, UPDATE ON transfers TO ringbridge_serving, ringbridge_gate;
-- A webhook of the second leg names the transfer and nothing else that we know.
CREATE POLICY gate ON transfers FOR SELECT TO ringbridge_gate USING (true);

-- ---------------------------------------------------------------------------------------------
-- All below is called with the organisation named and the conversation's row locked, except for the
-- functions of the gate, which see to both.

-- The watch looks at it then, also when it had nothing more to do. One that is at work at this
-- moment sees to it itself: it does not end on a transfer that has changed under it.
CREATE FUNCTION hurry_transfer(watched uuid, due timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs AS j SET state = 'queued', due_at = due, tries = 0, finished_at = NULL
    FROM transfers AS t
    WHERE t.id = watched AND j.organization_id = t.organization_id AND j.kind = 'transfer_watch'
      AND j.idempotency_key = watched::text AND j.state IN ('queued', 'done');
END
$$;
COMMENT ON FUNCTION hurry_transfer IS 'Has the watch look at a transfer at this time.';

-- True: it was in one of these states, and is in the new one now.
CREATE FUNCTION move_transfer(moved uuid, before text[], after text, why text DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE transfers SET
        state = after, reason = why,
        asked_at = CASE WHEN after = 'asked' THEN now() ELSE asked_at END,
        accepted_at = CASE WHEN after = 'accepted' THEN now() ELSE accepted_at END,
        joined_at = CASE WHEN after = 'joined' THEN now() ELSE joined_at END,
        ended_at = CASE WHEN after IN ('done', 'returned', 'abandoned') THEN now() END
    WHERE id = moved AND state = ANY (before);
    IF NOT FOUND THEN
        RETURN false;
    ELSIF after = 'accepted' THEN -- did they meet?
        PERFORM hurry_transfer(moved, now() + interval '10 seconds');
    ELSIF after IN ('done', 'returned', 'abandoned') THEN
        PERFORM hurry_transfer(moved, now());
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION move_transfer IS 'Moves a transfer from one of some states to another, and hurries what follows.';

-- The call is over, by whatever evidence: so is the transfer.
CREATE FUNCTION end_transfers() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    open uuid;
BEGIN
    SELECT id INTO open FROM transfers WHERE conversation_id = NEW.id AND ended_at IS NULL;
    IF FOUND AND NOT move_transfer(open, '{calling,asked}', 'abandoned') THEN
        PERFORM move_transfer(open, '{accepted,joined}', 'done');
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION end_transfers() IS 'Trigger: a call that is over waits for nobody.';
CREATE TRIGGER transfers_over AFTER UPDATE OF call_status ON conversations FOR EACH ROW
    WHEN (call_status_rank(NEW.call_status) = 4 AND call_status_rank(OLD.call_status) < 4)
    EXECUTE FUNCTION end_transfers();

CREATE FUNCTION note_transfer(noted uuid, event text, key text, more jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    transfer transfers;
BEGIN
    SELECT * INTO transfer FROM transfers WHERE id = noted;
    -- Without a member "status": what a second leg says is not the call's state.
    RETURN add_carrier_event(
        transfer.organization_id, transfer.conversation_id, 'transfer', NULL,
        format('transfer/%s/%s/%s', noted, event, key), now(),
        more || jsonb_build_object('transfer', noted, 'event', event, 'state', transfer.state,
                                   'reason', transfer.reason, 'to', transfer.to_number));
END
$$;
COMMENT ON FUNCTION note_transfer IS 'Puts what happened to a transfer into the ledger of its call, once.';

-- The answer with which a caller enters the conference. The same question again gets the same
-- transfer as long as it is open, and also when it has ended before the caller was heard of: nobody
-- is called twice because an answer got lost, and the watch fetches him out. NULL: there is no such
-- call, or it is over.
CREATE FUNCTION begin_transfer(account text, call text, at_place text, wanted jsonb, seen text,
                               called text, patience_s integer)
RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    owner record;
    known transfers;
BEGIN
    SELECT id, organization_id INTO owner FROM conversations
    WHERE call_sid = call AND account_sid = account;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('ringbridge.organization', owner.organization_id::text, true);
    PERFORM FROM conversations WHERE id = owner.id AND call_status_rank(call_status) < 4
    FOR NO KEY UPDATE;
    IF FOUND THEN
        SELECT * INTO known FROM transfers
        WHERE conversation_id = owner.id
          AND (ended_at IS NULL
               OR (place = at_place AND left_at IS NULL AND state = 'returned' AND reason <> 'left'))
        ORDER BY ended_at IS NOT NULL, created_at DESC LIMIT 1;
        IF known.ended_at IS NOT NULL THEN
            PERFORM hurry_transfer(known.id, now());
        ELSIF known.place <> at_place THEN
            PERFORM move_transfer(known.id, '{calling,asked,accepted,joined}', 'returned', 'left');
            known.id := NULL;
        END IF;
        IF known.id IS NULL THEN
            INSERT INTO transfers (organization_id, conversation_id, account_sid, place, step,
                                   from_number, to_number, deadline_at)
            VALUES (owner.organization_id, owner.id, account, at_place, wanted, seen, called,
                    now() + patience_s * interval '1 second')
            RETURNING * INTO known;
            PERFORM enqueue_job(owner.organization_id, 'transfer_call', known.id::text,
                                jsonb_build_object('transfer', known.id), 1000);
            PERFORM enqueue_job(owner.organization_id, 'transfer_watch', known.id::text,
                                jsonb_build_object('transfer', known.id), 1000, known.deadline_at);
            PERFORM note_transfer(known.id, 'begun', '-', '{}');
        END IF;
    END IF;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN known.id;
END
$$;
COMMENT ON FUNCTION begin_transfer IS 'Begins a warm transfer and plans its jobs, once, in one round trip.';

-- ---------------------------------------------------------------------------------------------
CREATE TYPE transfer_taken AS (
    found           text,
    stored          boolean,
    conversation_id uuid,
    organization_id uuid,
    state           text,
    reason          text,
    step            jsonb
);
COMMENT ON TYPE transfer_taken IS 'What became of a webhook about a transfer, and where it is after it.';

-- The second leg told how far it is.
CREATE FUNCTION take_callee_status(transfer transfers, said text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF call_status_rank(said) < 4 THEN
        IF (transfer).ended_at IS NOT NULL THEN -- it rings for nobody
            PERFORM hurry_transfer((transfer).id, now());
        END IF;
        RETURN;
    END IF;
    UPDATE transfers SET callee_over = true WHERE id = (transfer).id;
    -- Whoever hangs up while being asked does not want the call.
    IF NOT move_transfer((transfer).id, '{asked}', 'returned', 'refused')
       AND NOT move_transfer((transfer).id, '{calling}', 'returned',
                             CASE WHEN said = 'completed' THEN 'lost' ELSE said END)
       AND NOT move_transfer((transfer).id, '{joined}', 'done')
       AND (transfer).state = 'accepted' THEN -- perhaps they have met: what says so may be on its way
        PERFORM hurry_transfer((transfer).id, now() + interval '3 seconds');
    END IF;
END
$$;
COMMENT ON FUNCTION take_callee_status IS 'Applies a status of the leg of the person who is called.';

-- event: status (of the second leg), answered (it asks what to do), accept, refuse or silent (the key,
-- or none), wait (the caller's music is through), left (the caller is out of the conference), conference.
CREATE FUNCTION carrier_transfer(webhook carrier_webhook, named uuid, event text, key text)
RETURNS transfer_taken
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    said text := carrier_status_name((webhook).status);
    transfer transfers;
    taken transfer_taken;
BEGIN
    SELECT * INTO transfer FROM transfers WHERE id = named;
    IF NOT FOUND OR transfer.account_sid IS DISTINCT FROM (webhook).account_sid
       OR (event = 'status' AND said IS NULL) THEN
        taken.found := CASE WHEN transfer.id IS NULL THEN 'unknown_call'
                            WHEN event = 'status' AND said IS NULL THEN 'invalid'
                            ELSE 'wrong_account' END;
        taken.stored := false;
        RETURN taken;
    END IF;
    PERFORM set_config('ringbridge.organization', transfer.organization_id::text, true);
    PERFORM FROM conversations WHERE id = transfer.conversation_id FOR NO KEY UPDATE;
    IF event IN ('status', 'answered', 'accept', 'refuse', 'silent') THEN
        UPDATE transfers SET callee_sid = (webhook).call_sid
        WHERE id = named AND callee_sid IS NULL AND (webhook).call_sid ~ '^CA[0-9a-fA-F]{32}$';
    END IF;
    SELECT * INTO transfer FROM transfers WHERE id = named;
    CASE event
        WHEN 'status' THEN
            taken.stored := note_leg(('found', false, transfer.organization_id,
                                      transfer.conversation_id)::call_owner, webhook, said);
            PERFORM take_callee_status(transfer, said);
        WHEN 'answered' THEN
            PERFORM move_transfer(named, '{calling}', 'asked');
        WHEN 'accept' THEN
            PERFORM move_transfer(named, '{calling,asked}', 'accepted');
        WHEN 'refuse' THEN
            PERFORM move_transfer(named, '{calling,asked}', 'returned', 'refused');
        WHEN 'silent' THEN
            PERFORM move_transfer(named, '{calling,asked}', 'returned', 'not_accepted');
        WHEN 'wait' THEN
            IF transfer.ended_at IS NOT NULL OR transfer.deadline_at < now() THEN
                PERFORM hurry_transfer(named, now());
            END IF;
        WHEN 'left' THEN
            UPDATE transfers SET left_at = now() WHERE id = named AND left_at IS NULL;
            IF call_status_rank(said) = 4 THEN
                PERFORM move_transfer(named, '{calling,asked}', 'abandoned');
            END IF;
            IF NOT move_transfer(named, '{calling,asked}', 'returned', 'left') THEN
                PERFORM move_transfer(named, '{accepted,joined}', 'done');
            END IF;
        WHEN 'conference' THEN
            IF (webhook).parameters ->> 'StatusCallbackEvent' = 'conference-start'
               OR ((webhook).parameters ->> 'StatusCallbackEvent' = 'participant-join'
                   AND (webhook).call_sid = transfer.callee_sid) THEN
                PERFORM move_transfer(named, '{accepted}', 'joined');
            END IF;
    END CASE;
    IF event NOT IN ('status', 'wait') THEN
        taken.stored := note_transfer(named, event, key, jsonb_build_object(
            'parameters', (webhook).parameters, 'idempotency_token', (webhook).token));
    END IF;
    SELECT 'found', coalesce(taken.stored, true), t.conversation_id, t.organization_id, t.state,
           t.reason, t.step
    INTO taken FROM transfers AS t WHERE t.id = named;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN taken;
END
$$;
COMMENT ON FUNCTION carrier_transfer IS
    'Applies a webhook about a transfer: any order, any repetition.';

-- ---------------------------------------------------------------------------------------------
-- What the agent is told of a caller who is back, and with what it begins: the step's "back", or the
-- usual greeting. Nothing when the call was never transferred in vain.
CREATE FUNCTION transfer_note(conversation uuid, OUT words text, OUT greeting text)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT format('The caller has just waited to be connected with a person, which did not come about: %s. '
                  'You have the caller again. Say so, and offer to take a message.',
                  CASE t.reason WHEN 'busy' THEN 'the line is busy'
                                WHEN 'refused' THEN 'the person cannot take the call now'
                                WHEN 'failed' THEN 'the number could not be reached'
                                ELSE 'nobody answered' END),
           t.step ->> 'back'
    INTO words, greeting
    FROM transfers AS t
    WHERE t.organization_id = current_organization() AND t.conversation_id = conversation
      AND t.state = 'returned'
    ORDER BY t.created_at DESC LIMIT 1;
END
$$;
COMMENT ON FUNCTION transfer_note IS 'Words for the agent of a caller who was transferred in vain.';

GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION begin_transfer OWNER TO ringbridge_gate;
ALTER FUNCTION carrier_transfer OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;
REVOKE ALL ON FUNCTION begin_transfer, carrier_transfer FROM PUBLIC;
GRANT EXECUTE ON FUNCTION begin_transfer, carrier_transfer TO ringbridge_serving;
