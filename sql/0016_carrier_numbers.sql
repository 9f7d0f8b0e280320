-- Numbers and accounts at the carrier: what numbers cost, what an organisation may spend on them, each
-- order of a number with its state, and who had what done. A number is bought once, whatever dies in
-- between: the order chooses one number, says so here, and only then asks; an answer that never came
-- is found again by the order's id, which the number bears as its name at the carrier.

CREATE TABLE number_prices (
    country    text NOT NULL,
    kind       text NOT NULL,
    price      numeric(12, 4) NOT NULL,
    price_unit text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (country, kind),
    CONSTRAINT number_prices_country CHECK (country ~ '^[A-Z]{2}$'),
    CONSTRAINT number_prices_kind CHECK (kind IN ('local', 'toll_free', 'mobile')),
    CONSTRAINT number_prices_price CHECK (price >= 0),
    CONSTRAINT number_prices_unit CHECK (price_unit ~ '^[A-Z]{3}$')
);
COMMENT ON TABLE number_prices IS
    'What a number costs a month, as the operator has it from the carrier''s price list. What has no price here is not bought.';
COMMENT ON COLUMN number_prices.country IS 'ISO 3166, two letters.';
COMMENT ON COLUMN number_prices.kind IS 'local, toll_free or mobile.';
COMMENT ON COLUMN number_prices.price IS 'A month.';
COMMENT ON COLUMN number_prices.price_unit IS 'The currency, e.g. USD.';
COMMENT ON COLUMN number_prices.updated_at IS 'When the row was last changed; kept by a trigger.';

CREATE TABLE number_limits (
    organization_id uuid PRIMARY KEY REFERENCES organizations ON DELETE CASCADE,
    spend_max       numeric(12, 4) NOT NULL,
    price_unit      text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT number_limits_spend CHECK (spend_max >= 0),
    CONSTRAINT number_limits_unit CHECK (price_unit ~ '^[A-Z]{3}$')
);
COMMENT ON TABLE number_limits IS
    'How much an organisation''s numbers may cost a month. Without a row it buys none.';
COMMENT ON COLUMN number_limits.organization_id IS 'Whose limit it is.';
COMMENT ON COLUMN number_limits.spend_max IS 'Most that all its numbers of a month may cost together.';
COMMENT ON COLUMN number_limits.price_unit IS 'The currency.';
COMMENT ON COLUMN number_limits.created_at IS 'When the row was made.';
COMMENT ON COLUMN number_limits.updated_at IS 'When the row was last changed; kept by a trigger.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE number_orders (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    idempotency_key text NOT NULL,
    wish            jsonb NOT NULL,
    country         text NOT NULL,
    kind            text NOT NULL,
    price           numeric(12, 4) NOT NULL,
    price_unit      text NOT NULL,
    state           text NOT NULL DEFAULT 'ordered',
    phone_number    text,
    passed_over     text[] NOT NULL DEFAULT '{}',
    account_sid     text,
    number_sid      text,
    error           text,
    ordered_by      text NOT NULL,
    asked_at        timestamptz,
    bought_at       timestamptz,
    released_at     timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT number_orders_once UNIQUE (organization_id, idempotency_key),
    CONSTRAINT number_orders_key CHECK (length(idempotency_key) BETWEEN 1 AND 200),
    CONSTRAINT number_orders_wish
        CHECK (jsonb_typeof(wish) = 'object' AND length(wish::text) <= 4096),
    CONSTRAINT number_orders_country CHECK (country ~ '^[A-Z]{2}$'),
    CONSTRAINT number_orders_kind CHECK (kind IN ('local', 'toll_free', 'mobile')),
    CONSTRAINT number_orders_area CHECK (wish ->> 'area_code' ~ '^[0-9]{2,6}$'),
    CONSTRAINT number_orders_contains CHECK (wish ->> 'contains' ~ '^[0-9A-Za-z*%+$]{2,16}$'),
    CONSTRAINT number_orders_number CHECK (wish ->> 'phone_number' ~ '^\+[1-9][0-9]{1,14}$'),
    CONSTRAINT number_orders_address CHECK (wish ->> 'address_sid' ~ '^AD[0-9a-fA-F]{32}$'),
    CONSTRAINT number_orders_bundle CHECK (wish ->> 'bundle_sid' ~ '^BU[0-9a-fA-F]{32}$'),
    CONSTRAINT number_orders_state
        CHECK (state IN ('ordered', 'asked', 'bought', 'refused', 'releasing', 'released')),
    CONSTRAINT number_orders_chosen
        CHECK (state IN ('ordered', 'refused')
               OR (phone_number IS NOT NULL AND account_sid IS NOT NULL)),
    CONSTRAINT number_orders_asked CHECK ((state = 'asked') <= (asked_at IS NOT NULL)),
    CONSTRAINT number_orders_bought
        CHECK ((number_sid IS NOT NULL) = (state IN ('bought', 'releasing', 'released'))),
    CONSTRAINT number_orders_released CHECK ((released_at IS NOT NULL) = (state = 'released')),
    CONSTRAINT number_orders_passed_over CHECK (cardinality(passed_over) <= 100),
    CONSTRAINT number_orders_error CHECK (length(error) <= 2000),
    CONSTRAINT number_orders_by CHECK (length(ordered_by) BETWEEN 1 AND 200)
);
CREATE INDEX number_orders_by_time ON number_orders (organization_id, created_at DESC, id);
CREATE INDEX number_orders_by_number ON number_orders (organization_id, phone_number);
COMMENT ON TABLE number_orders IS 'Each number that somebody wanted bought: what came of it, and what it costs.';
COMMENT ON COLUMN number_orders.id IS 'Its id; the number is called "ringbridge ID" at the carrier.';
COMMENT ON COLUMN number_orders.organization_id IS 'For whom it is bought.';
COMMENT ON COLUMN number_orders.idempotency_key IS 'What makes it the same order again; once per organisation.';
COMMENT ON COLUMN number_orders.wish IS
    'What was wanted: country, kind, and perhaps area_code, contains, phone_number, address_sid, bundle_sid.';
COMMENT ON COLUMN number_orders.country IS 'ISO 3166, two letters.';
COMMENT ON COLUMN number_orders.kind IS 'local, toll_free or mobile.';
COMMENT ON COLUMN number_orders.price IS 'A month, as known when it was ordered; counts towards the limit.';
COMMENT ON COLUMN number_orders.price_unit IS 'The currency.';
COMMENT ON COLUMN number_orders.state IS
    'ordered; asked: the carrier may have sold it, or may not; bought; refused: error says why; releasing; released.';
COMMENT ON COLUMN number_orders.phone_number IS 'The number chosen; it stays the same until the carrier has said that it is gone.';
COMMENT ON COLUMN number_orders.passed_over IS 'Numbers that were gone when they were asked for.';
COMMENT ON COLUMN number_orders.account_sid IS 'The carrier''s account that it is bought with.';
COMMENT ON COLUMN number_orders.number_sid IS 'What the carrier calls it.';
COMMENT ON COLUMN number_orders.error IS 'Why it was refused, or what is not right with it.';
COMMENT ON COLUMN number_orders.ordered_by IS 'By whom: a user of the machine, or a token''s label.';
COMMENT ON COLUMN number_orders.asked_at IS 'When the carrier was last asked to sell it.';
COMMENT ON COLUMN number_orders.bought_at IS 'When it was known to be ours.';
COMMENT ON COLUMN number_orders.released_at IS 'When it was given back.';
COMMENT ON COLUMN number_orders.created_at IS 'When it was ordered.';
COMMENT ON COLUMN number_orders.updated_at IS 'When the row was last changed; kept by a trigger.';

-- ---------------------------------------------------------------------------------------------
CREATE TABLE carrier_changes (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    what            text NOT NULL,
    phone_number    text,
    account_sid     text,
    by_whom         text NOT NULL,
    detail          jsonb NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT carrier_changes_what
        CHECK (what IN ('ordered', 'bought', 'refused', 'release_ordered', 'released', 'mended',
                        'limited', 'account_opened', 'sealed_anew')),
    CONSTRAINT carrier_changes_by CHECK (length(by_whom) BETWEEN 1 AND 200),
    CONSTRAINT carrier_changes_detail
        CHECK (jsonb_typeof(detail) = 'object' AND length(detail::text) <= 16384)
);
CREATE INDEX carrier_changes_by_time ON carrier_changes (organization_id, created_at DESC, id);
COMMENT ON TABLE carrier_changes IS
    'Who had what changed at the carrier: numbers, their webhooks, accounts. Only ever added to.';
COMMENT ON COLUMN carrier_changes.id IS 'Its id.';
COMMENT ON COLUMN carrier_changes.organization_id IS 'Whose it is.';
COMMENT ON COLUMN carrier_changes.what IS 'What was done.';
COMMENT ON COLUMN carrier_changes.phone_number IS 'To which number.';
COMMENT ON COLUMN carrier_changes.account_sid IS 'In which of the carrier''s accounts.';
COMMENT ON COLUMN carrier_changes.by_whom IS 'By whom: a user of the machine, or a token''s label.';
COMMENT ON COLUMN carrier_changes.detail IS 'What belongs to it. No secrets.';
COMMENT ON COLUMN carrier_changes.created_at IS 'When.';

SELECT guard_table('number_prices', NULL);
SELECT guard_table('number_limits');
SELECT guard_table('number_orders');
SELECT guard_table('carrier_changes');
CREATE TRIGGER touch BEFORE UPDATE ON number_prices FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON number_limits FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON number_orders FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
GRANT SELECT ON number_prices, number_limits TO ringbridge_serving, ringbridge_api;
GRANT SELECT, INSERT ON number_orders, carrier_changes TO ringbridge_api;
GRANT SELECT (id, organization_id, kind, account, created_at, updated_at) ON credentials
    TO ringbridge_api;
GRANT SELECT, INSERT, UPDATE ON number_orders TO ringbridge_serving, ringbridge_gate;
GRANT SELECT, INSERT ON carrier_changes TO ringbridge_serving, ringbridge_gate;
-- Prices belong to nobody; whoever acts for an organisation may read them.
CREATE POLICY reading ON number_prices FOR SELECT TO ringbridge_serving, ringbridge_api
    USING ((SELECT current_organization()) IS NOT NULL);
-- Under the organisation that the transaction has named, like everybody else.
GRANT INSERT, UPDATE, DELETE ON phone_numbers TO ringbridge_gate;
GRANT INSERT ON credentials TO ringbridge_gate;
-- The command line asks the carrier as well (number verify, doctor).
GRANT EXECUTE ON FUNCTION account_secrets TO ringbridge_admin;

-- What an organisation's numbers cost in this month: those it has or is about to have, and those it
-- had for a part of it.
CREATE FUNCTION number_spend(organization uuid, currency text) RETURNS numeric
LANGUAGE sql STABLE
RETURN (SELECT coalesce(sum(price), 0) FROM number_orders
        WHERE organization_id = organization AND price_unit = currency AND state <> 'refused'
          AND (released_at IS NULL OR released_at >= date_trunc('month', now(), 'UTC')));
COMMENT ON FUNCTION number_spend IS 'What an organisation''s numbers cost this month.';

-- Orders a number, with the rights of whoever orders, under the organisation that the transaction has
-- named. why, and no id: role, only an administrator buys; no_price; no_limit; currency, of price and
-- limit differ; over_limit; key_reused, the key's order was another. made is false for the same again.
CREATE FUNCTION order_number(organization uuid, order_key text, wanted jsonb, by_whom text,
                             by_role text, OUT id uuid, OUT made boolean, OUT why text)
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    known number_orders;
    cost number_prices;
    bound number_limits;
BEGIN
    made := false;
    IF by_role <> 'admin' THEN
        why := 'role';
        RETURN;
    END IF;
    -- One after the other: two orders must not both find the last of the money.
    PERFORM pg_advisory_xact_lock(hashtextextended('ringbridge order_number ' || organization, 0));
    SELECT * INTO known FROM number_orders AS o
    WHERE o.organization_id = organization AND o.idempotency_key = order_key;
    SELECT * INTO cost FROM number_prices AS p
    WHERE p.country = wanted ->> 'country' AND p.kind = wanted ->> 'kind';
    SELECT * INTO bound FROM number_limits AS l WHERE l.organization_id = organization;
    IF known.id IS NOT NULL THEN
        IF known.wish = wanted THEN
            id := known.id;
        ELSE
            why := 'key_reused';
        END IF;
        RETURN;
    END IF;
    why := CASE WHEN cost.price IS NULL THEN 'no_price'
                WHEN bound.spend_max IS NULL THEN 'no_limit'
                WHEN bound.price_unit <> cost.price_unit THEN 'currency'
                WHEN number_spend(organization, cost.price_unit) + cost.price > bound.spend_max
                     THEN 'over_limit' END;
    IF why IS NULL THEN
        INSERT INTO number_orders AS o (organization_id, idempotency_key, wish, country, kind, price,
                                        price_unit, ordered_by)
        VALUES (organization, order_key, wanted, wanted ->> 'country', wanted ->> 'kind', cost.price,
                cost.price_unit, by_whom)
        RETURNING o.id INTO id;
        made := enqueue_job(organization, 'number_buy', id::text, jsonb_build_object('order', id), 30);
        INSERT INTO carrier_changes (organization_id, what, by_whom, detail)
        VALUES (organization, 'ordered', by_whom, wanted || jsonb_build_object('order', id));
    END IF;
END
$$;
COMMENT ON FUNCTION order_number IS 'Orders a number within the organisation''s limit, once per key.';

-- The number is ours: on record, and routed. What another organisation has on its list stays there,
-- and the order says so. False: it was on record already.
CREATE FUNCTION settle_number(settled uuid, sid text, bought text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    known number_orders;
    problem text;
BEGIN
    SELECT * INTO known FROM number_orders
    WHERE id = settled AND organization_id = current_organization() FOR UPDATE;
    IF known.state IS DISTINCT FROM 'asked' THEN
        RETURN false;
    END IF;
    BEGIN
        INSERT INTO phone_numbers AS n (organization_id, phone_number, channel, metadata)
        VALUES (known.organization_id, bought, 'twilio',
                jsonb_build_object('sid', sid, 'account_sid', known.account_sid, 'order', known.id))
        ON CONFLICT (phone_number, channel) DO UPDATE
        SET is_active = true, metadata = n.metadata || excluded.metadata
        WHERE n.organization_id = excluded.organization_id;
        IF NOT FOUND THEN
            problem := 'bought, but another organisation has it on its list';
        END IF;
    EXCEPTION WHEN exclusion_violation OR insufficient_privilege THEN
        problem := 'bought, but another organisation has it on its list';
    END;
    UPDATE number_orders SET state = 'bought', number_sid = sid, phone_number = bought,
                             bought_at = now(), error = problem
    WHERE id = settled AND organization_id = known.organization_id;
    INSERT INTO carrier_changes (organization_id, what, phone_number, account_sid, by_whom, detail)
    VALUES (known.organization_id, 'bought', bought, known.account_sid, known.ordered_by,
            jsonb_build_object('order', known.id, 'sid', sid, 'price', known.price,
                               'unit', known.price_unit));
    RETURN true;
END
$$;
COMMENT ON FUNCTION settle_number IS 'Puts a bought number on record and on the organisation''s list.';

-- Wants a number given back: from now on calls to it are refused, and a job gives it back. why:
-- role; unknown; or waiting: that was ordered before.
CREATE FUNCTION order_release(organization uuid, unwanted text, by_whom text, by_role text,
                              OUT why text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    number phone_numbers;
BEGIN
    IF by_role <> 'admin' THEN
        why := 'role';
        RETURN;
    END IF;
    SELECT * INTO number FROM phone_numbers AS n
    WHERE n.organization_id = organization AND n.organization_id = current_organization()
      AND n.phone_number = unwanted AND n.channel = 'twilio' FOR UPDATE;
    IF number.id IS NULL THEN
        why := 'unknown';
        RETURN;
    END IF;
    UPDATE phone_numbers AS n SET is_active = false
    WHERE n.id = number.id AND n.organization_id = organization;
    UPDATE number_orders AS o SET state = 'releasing'
    WHERE o.organization_id = organization AND o.phone_number = unwanted AND o.state = 'bought';
    IF enqueue_job(organization, 'number_release', number.id::text,
                   jsonb_build_object('number', unwanted, 'by', by_whom,
                                      'account', number.metadata ->> 'account_sid'), 30) THEN
        INSERT INTO carrier_changes (organization_id, what, phone_number, by_whom)
        VALUES (organization, 'release_ordered', unwanted, by_whom);
    ELSE
        why := 'waiting';
    END IF;
END
$$;
COMMENT ON FUNCTION order_release IS 'Wants a number given back to the carrier.';

-- The carrier has it back.
CREATE FUNCTION number_released(released text, account text, by_whom text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM phone_numbers
    WHERE organization_id = current_organization() AND phone_number = released
      AND channel = 'twilio' AND NOT is_active;
    UPDATE number_orders SET state = 'released', released_at = now()
    WHERE organization_id = current_organization() AND phone_number = released
      AND state = 'releasing';
    INSERT INTO carrier_changes (organization_id, what, phone_number, account_sid, by_whom)
    VALUES (current_organization(), 'released', released, account, by_whom);
END
$$;
COMMENT ON FUNCTION number_released IS 'Takes a number that was given back off every list.';

-- A new account of the organisation's own, with its sealed token. False: it has one already.
CREATE FUNCTION keep_account(sid text, token bytea, by_whom text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM credentials
               WHERE organization_id = current_organization() AND kind = 'twilio') THEN
        RETURN false;
    END IF;
    INSERT INTO credentials (organization_id, kind, account, sealed)
    VALUES (current_organization(), 'twilio', sid, token);
    INSERT INTO carrier_changes (organization_id, what, account_sid, by_whom)
    VALUES (current_organization(), 'account_opened', sid, by_whom);
    RETURN true;
END
$$;
COMMENT ON FUNCTION keep_account IS 'Keeps the credentials of an account that was made for the organisation.';

GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION settle_number OWNER TO ringbridge_gate;
ALTER FUNCTION order_release OWNER TO ringbridge_gate;
ALTER FUNCTION number_released OWNER TO ringbridge_gate;
ALTER FUNCTION keep_account OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;
REVOKE ALL ON FUNCTION settle_number, order_release, number_released, keep_account FROM PUBLIC;
GRANT EXECUTE ON FUNCTION settle_number, number_released, keep_account TO ringbridge_serving;
GRANT EXECUTE ON FUNCTION order_release TO ringbridge_serving, ringbridge_api, ringbridge_admin;
