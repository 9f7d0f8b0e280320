-- What was kept of calls: sound in files under the media directory, facts here. A row is written when
-- its file is on the disk, so whatever a row names can be played.

CREATE TABLE recordings (
    id              uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    source          text NOT NULL,
    source_name     text NOT NULL,
    edge            text,
    state           text NOT NULL DEFAULT 'ready',
    path            text NOT NULL,
    media_type      text NOT NULL,
    started_at      timestamptz NOT NULL,
    duration_ms     bigint NOT NULL,
    bytes           bigint NOT NULL,
    sha256          bytea NOT NULL,
    peaks           bytea NOT NULL,
    peak_ms         integer NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT recordings_conversation FOREIGN KEY (organization_id, conversation_id)
        REFERENCES conversations (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT recordings_once UNIQUE (organization_id, source, source_name),
    CONSTRAINT recordings_source CHECK (source IN ('edge', 'carrier')),
    CONSTRAINT recordings_state CHECK (state IN ('ready', 'deleted')),
    CONSTRAINT recordings_path CHECK (path ~ '^[0-9a-f-]+(/[0-9a-f-]+)*\.[a-z0-9]+$'),
    CONSTRAINT recordings_figures CHECK (duration_ms > 0 AND bytes > 0 AND peak_ms > 0),
    CONSTRAINT recordings_sha256 CHECK (octet_length(sha256) = 32),
    CONSTRAINT recordings_peaks CHECK (octet_length(peaks) <= 4096)
);
CREATE INDEX recordings_by_conversation ON recordings (conversation_id, organization_id);
CREATE INDEX recordings_by_time ON recordings (started_at DESC, id);
COMMENT ON TABLE recordings IS 'Recordings of calls: where the sound is, how long, how loud.';
COMMENT ON COLUMN recordings.id IS 'Its id: that of the job which made it.';
COMMENT ON COLUMN recordings.organization_id IS 'Whose call it was.';
COMMENT ON COLUMN recordings.conversation_id IS 'Which call.';
COMMENT ON COLUMN recordings.source IS 'edge: kept as it flowed; carrier: fetched.';
COMMENT ON COLUMN recordings.source_name IS 'What it was made from: the spool file, or the carrier''s sid.';
COMMENT ON COLUMN recordings.edge IS 'Which edge carried the call, where it is known.';
COMMENT ON COLUMN recordings.state IS 'ready; deleted: the file is gone, as it should.';
COMMENT ON COLUMN recordings.path IS 'The file, under the media directory.';
COMMENT ON COLUMN recordings.media_type IS 'What it is, e.g. audio/ogg; codecs=opus. Left caller, right agent.';
COMMENT ON COLUMN recordings.started_at IS 'When its first sample was heard.';
COMMENT ON COLUMN recordings.duration_ms IS 'How long it is.';
COMMENT ON COLUMN recordings.bytes IS 'How large the file is.';
COMMENT ON COLUMN recordings.sha256 IS 'What the file''s bytes are.';
COMMENT ON COLUMN recordings.peaks IS 'Largest sample per peak_ms, a byte for the caller and one for the agent in turn.';
COMMENT ON COLUMN recordings.peak_ms IS 'How much sound a pair of peaks stands for.';
COMMENT ON COLUMN recordings.created_at IS 'When the row was made.';
COMMENT ON COLUMN recordings.updated_at IS 'When the row was last changed; kept by a trigger.';

SELECT guard_table('recordings');
CREATE TRIGGER touch BEFORE UPDATE ON recordings FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
GRANT SELECT, INSERT, UPDATE ON recordings TO ringbridge_serving;
