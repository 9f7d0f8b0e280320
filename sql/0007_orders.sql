-- Orders about live calls from people and programs: a row, taken within a moment by the control whose
-- edge carries the call, and settled with the edge's answer. What was ordered stays in the call's
-- ledger.

CREATE TABLE call_orders (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    edge_run        uuid NOT NULL,
    body            jsonb NOT NULL,
    state           text NOT NULL DEFAULT 'waiting',
    error           text,
    ordered_by      text NOT NULL,
    expires_at      timestamptz NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT call_orders_conversation FOREIGN KEY (organization_id, conversation_id)
        REFERENCES conversations (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT call_orders_body
        CHECK (jsonb_typeof(body) = 'object' AND length(body::text) <= 65536),
    CONSTRAINT call_orders_state
        CHECK (state IN ('waiting', 'sent', 'done', 'refused', 'expired')),
    CONSTRAINT call_orders_error CHECK (length(error) <= 2000),
    CONSTRAINT call_orders_by CHECK (length(ordered_by) BETWEEN 1 AND 200)
);
CREATE INDEX call_orders_waiting ON call_orders (edge_run) WHERE state = 'waiting';
CREATE INDEX call_orders_by_conversation ON call_orders (conversation_id, organization_id);
COMMENT ON TABLE call_orders IS
    'What somebody wants done with a live call: hang up, say this, pause the recording.';
COMMENT ON COLUMN call_orders.id IS 'Its id.';
COMMENT ON COLUMN call_orders.organization_id IS 'Whose call it is.';
COMMENT ON COLUMN call_orders.conversation_id IS 'Which call.';
COMMENT ON COLUMN call_orders.edge_run IS 'The life of the edge that carries its stream.';
COMMENT ON COLUMN call_orders.body IS 'The order as the edge gets it (common/link_proto.h), without the call.';
COMMENT ON COLUMN call_orders.state IS
    'waiting; sent to the edge; done or refused by it; expired: nobody took it in time.';
COMMENT ON COLUMN call_orders.error IS 'Why it was refused.';
COMMENT ON COLUMN call_orders.ordered_by IS 'By whom: a user of the machine, or a token''s label.';
COMMENT ON COLUMN call_orders.expires_at IS 'Not after: an order that comes late does harm.';
COMMENT ON COLUMN call_orders.created_at IS 'When it was given.';
COMMENT ON COLUMN call_orders.updated_at IS 'When the row was last changed; kept by a trigger.';

SELECT guard_table('call_orders');
CREATE TRIGGER touch BEFORE UPDATE ON call_orders FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
GRANT SELECT, INSERT, UPDATE ON call_orders TO ringbridge_serving, ringbridge_gate;
CREATE POLICY gate ON call_orders FOR SELECT TO ringbridge_gate USING (true);

-- Gives an order, with the rights of whoever gives it. why: over or not_live, and no id.
CREATE FUNCTION order_call(conversation uuid, order_body jsonb, by_whom text, patience_ms integer,
                           OUT id uuid, OUT why text)
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    call record;
BEGIN
    SELECT c.organization_id, c.call_status, c.metadata ->> 'edge_run' AS edge_run,
           c.ended_reason IS NOT NULL AS stream_over
    INTO call FROM conversations AS c WHERE c.id = conversation;
    IF call_status_rank(call.call_status) = 4 THEN
        why := 'over';
    ELSIF call.edge_run IS NULL OR call.stream_over THEN
        why := 'not_live';
    ELSE
        INSERT INTO call_orders AS o (organization_id, conversation_id, edge_run, body, ordered_by,
                                      expires_at)
        VALUES (call.organization_id, conversation, call.edge_run::uuid, order_body, by_whom,
                now() + patience_ms * interval '1 millisecond')
        RETURNING o.id INTO id;
        INSERT INTO call_events (organization_id, conversation_id, source, kind, idempotency_key, at,
                                 body)
        VALUES (call.organization_id, conversation, 'operator', 'order', id::text, now(),
                order_body || jsonb_build_object('by', by_whom));
    END IF;
END
$$;
COMMENT ON FUNCTION order_call IS 'Orders something about a live call, and notes it in the ledger.';

-- Edges are nobody's rows, so who asks for one by its run is answered with this and nothing else.
CREATE FUNCTION edge_base(wanted uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT websocket_url FROM edges WHERE run = wanted
$$;
COMMENT ON FUNCTION edge_base IS 'The URL under which the edge of this run is reached; NULL: as all.';

-- Notes that somebody is given a ticket to listen to a live call. base: where the call's edge is
-- reached, NULL when as all; core: of that edge, as its last stream said. why: over or not_live, and
-- nothing noted.
CREATE FUNCTION note_listener(conversation uuid, by_whom text, OUT organization uuid, OUT base text,
                              OUT core integer, OUT why text)
LANGUAGE plpgsql AS $$
DECLARE
    call record;
BEGIN
    core := 0;
    SELECT c.organization_id, c.call_status, c.metadata ->> 'edge_run' AS edge_run,
           c.ended_reason IS NOT NULL AS stream_over
    INTO call FROM conversations AS c WHERE c.id = conversation;
    IF call_status_rank(call.call_status) = 4 THEN
        why := 'over';
    ELSIF call.edge_run IS NULL OR call.stream_over THEN
        why := 'not_live';
    ELSE
        organization := call.organization_id;
        base := edge_base(call.edge_run::uuid);
        SELECT least(json_number(e.body -> 'core'), 65535)::integer INTO core
        FROM call_events AS e
        WHERE e.conversation_id = conversation AND e.source = 'edge' AND e.kind = 'started'
        ORDER BY e.at DESC LIMIT 1;
        core := coalesce(core, 0);
        INSERT INTO call_events (organization_id, conversation_id, source, kind, idempotency_key, at,
                                 body)
        VALUES (call.organization_id, conversation, 'operator', 'listen', gen_random_uuid()::text,
                now(), jsonb_build_object('kind', 'listen', 'by', by_whom));
    END IF;
END
$$;
COMMENT ON FUNCTION note_listener IS 'Puts on record who is let listen to a call.';

CREATE TYPE taken_order AS (
    id              uuid,
    edge_run        uuid,
    conversation_id uuid,
    body            jsonb
);
COMMENT ON TYPE taken_order IS 'An order on its way to the edge.';

-- What waits for these edges, marked as sent: each is taken once.
CREATE FUNCTION take_orders(runs uuid[]) RETURNS SETOF taken_order
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    waiting call_orders;
BEGIN
    FOR waiting IN SELECT * FROM call_orders WHERE state = 'waiting' AND edge_run = ANY (runs)
                   AND expires_at > now() ORDER BY created_at, id LIMIT 100 LOOP
        PERFORM set_config('ringbridge.organization', waiting.organization_id::text, true);
        UPDATE call_orders SET state = 'sent'
        WHERE id = waiting.id AND organization_id = waiting.organization_id AND state = 'waiting';
        IF FOUND THEN
            RETURN NEXT ROW(waiting.id, waiting.edge_run, waiting.conversation_id,
                            waiting.body || jsonb_build_object('call', waiting.conversation_id)
                           )::taken_order;
        END IF;
    END LOOP;
    PERFORM set_config('ringbridge.organization', before, true);
END
$$;
COMMENT ON FUNCTION take_orders IS 'Takes the orders for these edges, once.';

CREATE FUNCTION settle_order(settled uuid, ok boolean, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    owner uuid;
BEGIN
    SELECT organization_id INTO owner FROM call_orders WHERE id = settled;
    PERFORM set_config('ringbridge.organization', owner::text, true);
    UPDATE call_orders SET state = CASE WHEN ok THEN 'done' ELSE 'refused' END,
                           error = left(reason, 2000)
    WHERE id = settled AND organization_id = owner AND state = 'sent';
    PERFORM set_config('ringbridge.organization', before, true);
END
$$;
COMMENT ON FUNCTION settle_order IS 'What the edge answered.';

GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION take_orders OWNER TO ringbridge_gate;
ALTER FUNCTION settle_order OWNER TO ringbridge_gate;
ALTER FUNCTION edge_base OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;
REVOKE ALL ON FUNCTION take_orders, settle_order, edge_base FROM PUBLIC;
GRANT EXECUTE ON FUNCTION edge_base TO ringbridge_api, ringbridge_admin;
GRANT EXECUTE ON FUNCTION take_orders, settle_order TO ringbridge_serving;
