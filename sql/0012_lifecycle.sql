-- What the carrier's own lists say beside its webhooks: the price of a call, calls and recordings of
-- which no webhook ever told us, and a report of each comparison.

ALTER TABLE conversations
    ADD COLUMN price numeric(14, 6),
    ADD COLUMN price_unit text,
    ADD CONSTRAINT conversations_price
        CHECK ((price IS NULL) = (price_unit IS NULL) AND price_unit ~ '^[A-Z]{3}$');
COMMENT ON COLUMN conversations.price IS
    'What the carrier charges for it, negative as it writes charges; NULL: not told yet.';
COMMENT ON COLUMN conversations.price_unit IS 'The currency, e.g. USD.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE reconciliations (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id  uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    account_sid      text NOT NULL,
    since            timestamptz NOT NULL,
    until            timestamptz NOT NULL,
    calls_seen       integer NOT NULL,
    calls_opened     integer NOT NULL,
    calls_ended      integer NOT NULL,
    calls_priced     integer NOT NULL,
    calls_differing  text[] NOT NULL,
    calls_unlisted   text[] NOT NULL,
    recordings_seen  integer NOT NULL,
    recordings_found integer NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT reconciliations_period CHECK (since < until),
    CONSTRAINT reconciliations_lists
        CHECK (cardinality(calls_differing) <= 100 AND cardinality(calls_unlisted) <= 100)
);
CREATE INDEX reconciliations_by_time ON reconciliations (organization_id, created_at DESC, id);
COMMENT ON TABLE reconciliations IS
    'Each comparison of our record with the carrier''s lists: what was missing and is there now, and what a person should look at.';
COMMENT ON COLUMN reconciliations.id IS 'Its id.';
COMMENT ON COLUMN reconciliations.organization_id IS 'Whose calls were compared.';
COMMENT ON COLUMN reconciliations.account_sid IS 'The carrier''s account that was asked.';
COMMENT ON COLUMN reconciliations.since IS 'Calls that began from then on ..';
COMMENT ON COLUMN reconciliations.until IS '.. and before then.';
COMMENT ON COLUMN reconciliations.calls_seen IS 'How many the carrier lists, legs included.';
COMMENT ON COLUMN reconciliations.calls_opened IS 'Calls that no webhook had told of; they are on record now.';
COMMENT ON COLUMN reconciliations.calls_ended IS 'Calls of whose end no webhook had told.';
COMMENT ON COLUMN reconciliations.calls_priced IS 'Calls whose price was not known before, or has changed.';
COMMENT ON COLUMN reconciliations.calls_differing IS
    'CallSids that ended otherwise by the carrier''s list than by its webhooks; 100 at most.';
COMMENT ON COLUMN reconciliations.calls_unlisted IS
    'CallSids on our record that the carrier does not list; 100 at most.';
COMMENT ON COLUMN reconciliations.recordings_seen IS 'How many recordings of these calls it lists.';
COMMENT ON COLUMN reconciliations.recordings_found IS 'Those that no webhook had told of; they are fetched now.';
COMMENT ON COLUMN reconciliations.created_at IS 'When it was done.';

SELECT guard_table('reconciliations');
GRANT SELECT, INSERT ON reconciliations TO ringbridge_serving;

-- ---------------------------------------------------------------------------------------------
-- One call as the carrier lists it. outcome: known; opened, we had not heard of it; ended, not of its
-- end; differs, our record says another end (which stays: webhooks carry an order, the list does not);
-- leg, of a call of ours; other, not this organisation's. Both repairs are facts of the ledger.
CREATE FUNCTION reconcile_call(organization uuid, webhook carrier_webhook, began text, ended text,
                               charge numeric, currency text)
RETURNS TABLE (outcome text, priced boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    said text := carrier_status_name((webhook).status);
    is_over boolean := coalesce(call_status_rank(said) = 4, false);
    owner call_owner;
    known record;
BEGIN
    outcome := 'other';
    priced := false;
    IF coalesce((webhook).parameters ->> 'ParentCallSid', '') <> '' THEN
        IF (carrier_status(webhook)).organization_id = organization THEN
            outcome := 'leg';
        END IF;
    ELSE
        PERFORM set_config('ringbridge.organization', organization::text, true);
        IF EXISTS (SELECT FROM call_legs WHERE organization_id = organization
                   AND account_sid = (webhook).account_sid AND call_sid = (webhook).call_sid) THEN
            outcome := 'leg'; -- called by us for a caller who waits: the carrier knows no parent
        ELSE
            owner := find_or_open_call(webhook, false);
        END IF;
    END IF;
    IF owner.found = 'found' AND owner.organization_id = organization THEN
        SELECT c.call_status, c.price, c.price_unit INTO known FROM conversations AS c
        WHERE c.id = owner.conversation_id FOR NO KEY UPDATE;
        outcome := CASE WHEN owner.created THEN 'opened'
                        WHEN is_over AND call_status_rank(known.call_status) < 4 THEN 'ended'
                        WHEN is_over AND known.call_status <> said THEN 'differs'
                        ELSE 'known' END;
        IF outcome = 'opened' THEN
            PERFORM note_carrier_event(
                organization, owner.conversation_id, 'listed', NULL, 'listed/began',
                coalesce(carrier_time(began), now()), webhook_report(webhook) - 'status');
        END IF;
        IF outcome <> 'known' AND said IS NOT NULL THEN
            PERFORM note_carrier_event(
                organization, owner.conversation_id, 'listed', NULL, format('listed/%s', said),
                coalesce(carrier_time(CASE WHEN is_over THEN ended ELSE began END), now()),
                CASE WHEN outcome = 'differs' -- noted, and no evidence
                     THEN webhook_report(webhook) - 'status' || jsonb_build_object('listed', said)
                     ELSE webhook_report(webhook) END);
        END IF;
        IF charge IS NOT NULL AND currency ~ '^[A-Z]{3}$'
           AND (known.price, known.price_unit) IS DISTINCT FROM (charge, currency) THEN
            priced := true;
            PERFORM note_carrier_event(
                organization, owner.conversation_id, 'price', NULL,
                format('price/%s/%s', charge, currency), now(),
                jsonb_build_object('price', charge, 'unit', currency));
            UPDATE conversations SET price = charge, price_unit = currency
            WHERE id = owner.conversation_id;
        END IF;
    END IF;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION reconcile_call IS
    'Compares one call of the carrier''s list with the record, and repairs what no webhook told.';

-- Every organisation with numbers is compared with the carrier once an hour: two days back, because a
-- price comes late. Made by whichever control's clock strikes; the hour is the key.
CREATE FUNCTION plan_reconciliations() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    owner uuid;
    made integer := 0;
BEGIN
    FOR owner IN SELECT DISTINCT organization_id FROM phone_numbers WHERE channel = 'twilio' LOOP
        PERFORM set_config('ringbridge.organization', owner::text, true);
        IF enqueue_job(owner, 'reconcile', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24'),
                       '{"hours": 48}') THEN
            made := made + 1;
        END IF;
    END LOOP;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN made;
END
$$;
COMMENT ON FUNCTION plan_reconciliations IS 'Makes the hour''s comparisons with the carrier, once each.';

GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION reconcile_call OWNER TO ringbridge_gate;
ALTER FUNCTION plan_reconciliations OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;
REVOKE ALL ON FUNCTION reconcile_call, plan_reconciliations FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reconcile_call, plan_reconciliations TO ringbridge_serving;
