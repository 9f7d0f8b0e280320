-- Jobs: slow outside work as rows. One is made in the same transaction as the fact that causes it,
-- claimed by one worker at a time under a lease, tried again with growing pauses, and given up with
-- its reason, for a person to look at.

CREATE TABLE jobs (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    kind            text NOT NULL,
    idempotency_key text NOT NULL,
    payload         jsonb NOT NULL DEFAULT '{}',
    state           text NOT NULL DEFAULT 'queued',
    due_at          timestamptz DEFAULT now(),
    tries           integer NOT NULL DEFAULT 0,
    max_tries       integer NOT NULL DEFAULT 10,
    leased_by       uuid,
    last_error      text,
    started_at      timestamptz,
    finished_at     timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    CONSTRAINT jobs_once UNIQUE (organization_id, kind, idempotency_key),
    CONSTRAINT jobs_kind CHECK (kind ~ '^[a-z][a-z0-9_]{0,39}$'),
    CONSTRAINT jobs_key CHECK (length(idempotency_key) BETWEEN 1 AND 200),
    CONSTRAINT jobs_payload
        CHECK (jsonb_typeof(payload) = 'object' AND length(payload::text) <= 65536),
    CONSTRAINT jobs_state CHECK (state IN ('queued', 'leased', 'done', 'dead')),
    CONSTRAINT jobs_due CHECK ((state IN ('queued', 'leased')) = (due_at IS NOT NULL)),
    CONSTRAINT jobs_lease CHECK ((state = 'leased') = (leased_by IS NOT NULL)),
    CONSTRAINT jobs_tries CHECK (tries >= 0 AND max_tries BETWEEN 1 AND 1000),
    CONSTRAINT jobs_error CHECK (length(last_error) <= 2000)
);
CREATE INDEX jobs_by_due ON jobs (kind, organization_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_by_start ON jobs (kind, organization_id, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX jobs_leased ON jobs (leased_by) WHERE state = 'leased';
CREATE INDEX jobs_by_time ON jobs (created_at DESC, id);
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE state = 'done';
COMMENT ON TABLE jobs IS
    'Work that waits for the outside world: one row a piece, done once, or given up with a reason.';
COMMENT ON COLUMN jobs.id IS 'Its id.';
COMMENT ON COLUMN jobs.organization_id IS 'For whom it is done.';
COMMENT ON COLUMN jobs.kind IS 'What is to be done: the name of a file in control/jobs.';
COMMENT ON COLUMN jobs.idempotency_key IS 'What makes it the same work again; once per organisation and kind.';
COMMENT ON COLUMN jobs.payload IS 'What the work needs to know, 64 KiB at most. No secrets.';
COMMENT ON COLUMN jobs.state IS
    'queued: waits until due_at; leased: somebody is at it until due_at; done; dead: given up, last_error says why.';
COMMENT ON COLUMN jobs.due_at IS
    'queued: not before; leased: from then on another may take it; NULL: nobody need.';
COMMENT ON COLUMN jobs.tries IS 'How often it was begun; with leased_by the token of a lease.';
COMMENT ON COLUMN jobs.max_tries IS 'After so many it is dead.';
COMMENT ON COLUMN jobs.leased_by IS 'The life of the control process that is at it.';
COMMENT ON COLUMN jobs.last_error IS 'Why the last try failed.';
COMMENT ON COLUMN jobs.started_at IS 'When the last try began.';
COMMENT ON COLUMN jobs.finished_at IS 'When it was done or given up.';
COMMENT ON COLUMN jobs.created_at IS 'When the row was made.';
COMMENT ON COLUMN jobs.updated_at IS 'When the row was last changed; kept by a trigger.';

SELECT guard_table('jobs');
CREATE TRIGGER touch BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
GRANT SELECT, INSERT, UPDATE ON jobs TO ringbridge_serving, ringbridge_gate;
GRANT DELETE ON jobs TO ringbridge_gate;
-- Who claims does not know yet for whom. It writes under the organisation that it has found.
CREATE POLICY gate ON jobs FOR SELECT TO ringbridge_gate USING (true);

-- Makes a job under the organisation that the transaction has named. False: it was there.
CREATE FUNCTION enqueue_job(organization uuid, job_kind text, key text, body jsonb,
                            tries_max integer DEFAULT 10, due timestamptz DEFAULT now())
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO jobs (organization_id, kind, idempotency_key, payload, max_tries, due_at)
    VALUES (organization, job_kind, key, body, tries_max, due)
    ON CONFLICT (organization_id, kind, idempotency_key) DO NOTHING;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION enqueue_job IS 'Makes a job, once, in the transaction of the fact that causes it.';

-- The organisations with something due of a kind, each looked up with one step in the index, the one
-- that has waited longest for its turn first: fewest at work, then longest since its last start.
CREATE FUNCTION job_turns(wanted text) RETURNS SETOF uuid
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE owner AS (
        SELECT (SELECT organization_id FROM jobs WHERE kind = wanted AND due_at IS NOT NULL
                ORDER BY organization_id LIMIT 1) AS id
        UNION ALL
        SELECT (SELECT organization_id FROM jobs WHERE kind = wanted AND due_at IS NOT NULL
                AND organization_id > owner.id ORDER BY organization_id LIMIT 1)
        FROM owner WHERE owner.id IS NOT NULL
    )
    SELECT owner.id FROM owner,
    LATERAL (SELECT min(due_at) AS due_at FROM jobs
             WHERE kind = wanted AND organization_id = owner.id AND due_at IS NOT NULL) AS first,
    LATERAL (SELECT count(*) AS running FROM jobs WHERE kind = wanted AND organization_id = owner.id
             AND state = 'leased' AND due_at > now()) AS busy,
    LATERAL (SELECT max(started_at) AS started_at FROM jobs WHERE kind = wanted
             AND organization_id = owner.id AND started_at IS NOT NULL) AS last
    WHERE owner.id IS NOT NULL AND first.due_at <= now()
    ORDER BY busy.running, last.started_at NULLS FIRST, owner.id
$$;
COMMENT ON FUNCTION job_turns IS 'Whose turn it is, for one kind of job.';

-- May one more of this kind begin? Limits hold over all controls: claims go one after the other.
CREATE FUNCTION job_allowed(wanted text, concurrency integer, per_minute integer) RETURNS boolean
LANGUAGE sql STABLE
RETURN (concurrency = 0 OR concurrency > (
            SELECT count(*) FROM jobs WHERE kind = wanted AND state = 'leased' AND due_at > now()))
   AND (per_minute = 0 OR per_minute > (
            SELECT count(*) FROM jobs WHERE kind = wanted
            AND started_at > now() - interval '1 minute'));
COMMENT ON FUNCTION job_allowed IS 'Is there room for one more of a kind?';

CREATE TYPE claimed_job AS (
    id              uuid,
    organization_id uuid,
    kind            text,
    idempotency_key text,
    payload         jsonb,
    tries           integer,
    max_tries       integer
);
COMMENT ON TYPE claimed_job IS 'What a worker needs to know of its job.';

-- Claims one job of the first of these kinds that has one due and room for it. A lease that ran out
-- is claimed like what waits; one whose tries are used up with it is given up here, because whoever
-- was at it has died of it that often.
CREATE FUNCTION claim_job(kinds text[], concurrency integer[], per_minute integer[],
                          lease_ms integer[], worker uuid)
RETURNS SETOF claimed_job
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    owner uuid;
    job jobs;
BEGIN
    IF NOT EXISTS (SELECT FROM unnest(kinds) AS k
                   WHERE EXISTS (SELECT FROM jobs WHERE kind = k AND due_at <= now())) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('ringbridge claim_job', 0));
    <<kinds>> FOR i IN 1 .. cardinality(kinds) LOOP
        CONTINUE WHEN NOT job_allowed(kinds[i], concurrency[i], per_minute[i]);
        FOR owner IN SELECT * FROM job_turns(kinds[i]) LOOP
            PERFORM set_config('ringbridge.organization', owner::text, true);
            FOR job IN SELECT * FROM jobs WHERE kind = kinds[i] AND organization_id = owner
                       AND due_at <= now() ORDER BY due_at, id FOR UPDATE SKIP LOCKED LIMIT 8 LOOP
                IF job.tries >= job.max_tries THEN
                    UPDATE jobs SET state = 'dead', finished_at = now(), due_at = NULL,
                                    leased_by = NULL,
                                    last_error = 'the worker died or lost its lease on the last try'
                    WHERE id = job.id AND organization_id = owner;
                    CONTINUE;
                END IF;
                UPDATE jobs SET state = 'leased', tries = jobs.tries + 1, leased_by = worker,
                                started_at = now(),
                                due_at = now() + lease_ms[i] * interval '1 millisecond'
                WHERE id = job.id AND organization_id = owner;
                RETURN NEXT ROW(job.id, owner, job.kind, job.idempotency_key, job.payload,
                                job.tries + 1, job.max_tries)::claimed_job;
                EXIT kinds;
            END LOOP;
        END LOOP;
    END LOOP;
    PERFORM set_config('ringbridge.organization', before, true);
END
$$;
COMMENT ON FUNCTION claim_job IS 'Takes one job under a lease, fairly between organisations.';

-- Prolongs what a control is at; the ids that are still its own.
CREATE FUNCTION renew_jobs(worker uuid, kinds text[], lease_ms integer[]) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    job record;
BEGIN
    FOR job IN SELECT id, organization_id, kind FROM jobs
               WHERE leased_by = worker AND state = 'leased' ORDER BY id LOOP
        PERFORM set_config('ringbridge.organization', job.organization_id::text, true);
        UPDATE jobs SET due_at =
            now() + lease_ms[array_position(kinds, job.kind)] * interval '1 millisecond'
        WHERE id = job.id AND organization_id = job.organization_id AND leased_by = worker
          AND job.kind = ANY (kinds);
        IF FOUND THEN
            RETURN NEXT job.id;
        END IF;
    END LOOP;
    PERFORM set_config('ringbridge.organization', before, true);
END
$$;
COMMENT ON FUNCTION renew_jobs IS 'Prolongs the leases of one control.';

-- How many wait, how long, and what is dead: for the metrics.
CREATE FUNCTION job_figures(kinds text[])
RETURNS TABLE (kind text, queued bigint, leased bigint, dead bigint, oldest_ms bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT k, count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'leased'),
           count(*) FILTER (WHERE state = 'dead'),
           coalesce(greatest(extract(epoch FROM now() - min(due_at)
                    FILTER (WHERE state = 'queued' AND due_at <= now())) * 1000, 0), 0)::bigint
    FROM unnest(kinds) AS k LEFT JOIN jobs ON jobs.kind = k AND jobs.state <> 'done'
    GROUP BY k
$$;
COMMENT ON FUNCTION job_figures IS 'Depth and age of the queues.';

-- What is done is kept for a while, so that a repetition finds it; then it goes, some at a time.
CREATE FUNCTION prune_jobs(keep_days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('ringbridge.organization', true), '');
    job record;
    gone integer := 0;
BEGIN
    FOR job IN SELECT id, organization_id FROM jobs WHERE state = 'done'
               AND finished_at < now() - keep_days * interval '1 day' ORDER BY finished_at LIMIT 1000 LOOP
        PERFORM set_config('ringbridge.organization', job.organization_id::text, true);
        DELETE FROM jobs WHERE id = job.id AND organization_id = job.organization_id;
        gone := gone + 1;
    END LOOP;
    PERFORM set_config('ringbridge.organization', before, true);
    RETURN gone;
END
$$;
COMMENT ON FUNCTION prune_jobs IS 'Forgets jobs that were done long ago.';

GRANT CREATE ON SCHEMA public TO ringbridge_gate;
ALTER FUNCTION claim_job OWNER TO ringbridge_gate;
ALTER FUNCTION renew_jobs OWNER TO ringbridge_gate;
ALTER FUNCTION job_figures OWNER TO ringbridge_gate;
ALTER FUNCTION prune_jobs OWNER TO ringbridge_gate;
REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;
REVOKE ALL ON FUNCTION claim_job, renew_jobs, job_figures, prune_jobs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_job, renew_jobs, job_figures, prune_jobs TO ringbridge_serving;
