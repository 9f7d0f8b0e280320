-- Text messages that came in, as they came, each once. Nobody answers them yet: the carrier gets an
-- empty answer, and what was written is not lost.

CREATE TABLE received_texts (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    account_sid     text NOT NULL,
    message_sid     text NOT NULL,
    from_number     text NOT NULL,
    to_number       text NOT NULL,
    body            text NOT NULL,
    media_count     integer NOT NULL DEFAULT 0,
    parameters      jsonb NOT NULL DEFAULT '{}',
    received_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT received_texts_once UNIQUE (organization_id, message_sid),
    CONSTRAINT received_texts_sid CHECK (message_sid ~ '^(SM|MM)[0-9a-fA-F]{32}$'),
    CONSTRAINT received_texts_account CHECK (account_sid ~ '^AC[0-9a-fA-F]{32}$'),
    CONSTRAINT received_texts_numbers CHECK (length(from_number) <= 256 AND length(to_number) <= 256),
    CONSTRAINT received_texts_body CHECK (length(body) <= 16384),
    CONSTRAINT received_texts_media CHECK (media_count BETWEEN 0 AND 100),
    CONSTRAINT received_texts_parameters CHECK (jsonb_typeof(parameters) = 'object')
);
CREATE INDEX received_texts_by_time ON received_texts (organization_id, received_at DESC, id);
COMMENT ON TABLE received_texts IS 'Text messages to an organisation''s numbers. Only ever added to.';
COMMENT ON COLUMN received_texts.id IS 'Its id.';
COMMENT ON COLUMN received_texts.organization_id IS 'To whom it was sent.';
COMMENT ON COLUMN received_texts.account_sid IS 'The carrier''s account that told it.';
COMMENT ON COLUMN received_texts.message_sid IS 'The carrier''s name for it; what makes a repetition one.';
COMMENT ON COLUMN received_texts.from_number IS 'Who wrote, as the carrier writes it: a number, a short code or a word.';
COMMENT ON COLUMN received_texts.to_number IS 'To which number of ours.';
COMMENT ON COLUMN received_texts.body IS 'The words; empty where only pictures came.';
COMMENT ON COLUMN received_texts.media_count IS 'How many pictures or files came with it; the carrier keeps them.';
COMMENT ON COLUMN received_texts.parameters IS 'Everything the webhook said.';
COMMENT ON COLUMN received_texts.received_at IS 'When it came.';

SELECT guard_table('received_texts');
CREATE TRIGGER append_only BEFORE UPDATE ON received_texts
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
GRANT SELECT ON received_texts TO ringbridge_serving, ringbridge_api;
GRANT SELECT, INSERT ON received_texts TO ringbridge_gate;

-- A message that came. whose: found, unknown_number, wrong_account, invalid. Leaves no organisation
-- named, like the functions of 0003.
CREATE FUNCTION receive_text(account text, sid text, sender text, receiver text, words text,
                             media bigint, told jsonb, happened text,
                             OUT whose text, OUT organization uuid, OUT stored boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    claimed boolean;
BEGIN
    stored := false;
    IF coalesce(sid, '') !~ '^(SM|MM)[0-9a-fA-F]{32}$'
       OR coalesce(account, '') !~ '^AC[0-9a-fA-F]{32}$' THEN
        whose := 'invalid';
        RETURN;
    END IF;
    SELECT n.organization_id,
           EXISTS (SELECT FROM credentials AS c
                   WHERE c.kind = 'twilio' AND c.account = receive_text.account
                     AND c.organization_id <> n.organization_id)
    INTO organization, claimed FROM phone_numbers AS n
    WHERE n.phone_number = btrim(receiver) AND n.channel = 'twilio' AND n.is_active;
    whose := CASE WHEN organization IS NULL THEN 'unknown_number'
                  WHEN claimed THEN 'wrong_account' ELSE 'found' END;
    IF whose <> 'found' THEN
        organization := NULL;
        RETURN;
    END IF;
    PERFORM set_config('ringbridge.organization', organization::text, true);
    INSERT INTO received_texts (organization_id, account_sid, message_sid, from_number, to_number,
                                body, media_count, parameters, received_at)
    VALUES (organization, account, sid, left(btrim(sender), 256), left(btrim(receiver), 256),
            coalesce(left(words, 16384), ''), greatest(least(coalesce(media, 0), 100), 0),
            coalesce(told, '{}'), coalesce(carrier_time(happened), now()))
    ON CONFLICT ON CONSTRAINT received_texts_once DO NOTHING;
    stored := FOUND;
    PERFORM set_config('ringbridge.organization', before, true);
END
$$;
COMMENT ON FUNCTION receive_text IS 'Puts a text message that came in on record, once.';

GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION receive_text OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;
REVOKE ALL ON FUNCTION receive_text FROM PUBLIC;
GRANT EXECUTE ON FUNCTION receive_text TO ringbridge_serving;
