/* recording_delete: the file of a recording whose time has come goes, then its row says so, with
 * who had it done. carrier_delete: the carrier's copy goes, when ours is kept and that is wanted.
 * Both are harmless to repeat: what is gone already is gone. */
#include "common/log.h"
#include "control/base/json_read.h"
#include "control/carrier/twilio_rest.h"
#include "control/jobs/kinds.h"
#include "control/media/store.h"
#include "control/store/recordings.h"

struct deleting {
    struct job *job;
    const struct options *options;
    const char *recording, *by;
    bool at_carrier;
    struct db_rows *rows; /* of recordings_look */
};

static enum db_result look(struct db *db, void *context)
{
    struct deleting *deleting = context;
    db_rows_free(deleting->rows);
    deleting->rows = NULL;
    return recordings_look(db, deleting->recording, &deleting->rows);
}

static enum db_result put_on_record(struct db *db, void *context)
{
    const struct deleting *deleting = context;
    return recordings_deleted(db, deleting->recording, deleting->at_carrier, deleting->by);
}

static enum job_end commit(struct deleting *deleting, struct db *db)
{
    if (job_commit(deleting->job, db, put_on_record, deleting) != DB_OK)
        return job_later(deleting->job, "not on record: %s", db_error(db));
    log_info("recording deleted", log_text("recording", deleting->recording),
             log_text("organization", deleting->job->claimed.organization),
             log_text("where", deleting->at_carrier ? "carrier" : "here"),
             log_text("by", deleting->by));
    return JOB_DONE;
}

static enum job_end delete_here(struct deleting *deleting, struct db *db)
{
    struct job *job = deleting->job;
    struct store store = {
        .options = deleting->options, .must_stop = job_must_stop_asking, .context = job};
    const char *name = db_cell(deleting->rows, 0, 1);
    const struct store_kind *kind = store_named(deleting->options, name);
    if (strcmp(db_cell(deleting->rows, 0, 2), "deleted") == 0)
        return JOB_DONE;
    if (!kind)
        return job_later(job, "this control has no store \"%s\": --s3-url", name);
    if (kind->remove(&store, db_cell(deleting->rows, 0, 0)) == STORE_LATER)
        return job_later(job, "%s", store.error);
    return commit(deleting, db);
}

static enum job_end ask_carrier(struct job *job, const struct twilio_rest *rest, const char *sid)
{
    char path[TWILIO_REST_PATH_BYTES];
    struct http_client_response response;
    snprintf(path, sizeof path, "Recordings/%s.json", sid);
    enum job_end end = JOB_DONE;
    if (!twilio_rest_ask(rest, "DELETE", path, NULL, 0, NULL, &response) && response.status != 404)
        end = job_asked(job, &response);
    http_client_free(&response);
    return end;
}

static enum job_end delete_at_carrier(struct deleting *deleting, struct db *db)
{
    struct job *job = deleting->job;
    struct twilio_rest rest;
    enum job_end end = JOB_LATER;
    if (!db_cell(deleting->rows, 0, 4) || db_cell_bool(deleting->rows, 0, 5))
        return JOB_DONE; /* it was never there, or is gone */
    switch (twilio_rest_open(&rest, db, deleting->options, db_cell(deleting->rows, 0, 4),
                             job->error, sizeof job->error)) {
    case TWILIO_REST_OPENED:
        rest.must_stop = job_must_stop_asking;
        rest.context = job;
        end = ask_carrier(job, &rest, db_cell(deleting->rows, 0, 3));
        break;
    case TWILIO_REST_AWAY:
        end = job_later(job, "%s", db_error(db));
        break;
    case TWILIO_REST_UNKNOWN:
        break;
    }
    twilio_rest_close(&rest);
    return end == JOB_DONE ? commit(deleting, db) : end;
}

static enum job_end run(struct job *job, struct db *db, void *context, bool at_carrier)
{
    const struct kinds_context *given = context;
    const char *by = json_read_text(job->payload, "by", 200);
    struct deleting deleting = {.job = job,
                                .options = given->options,
                                .recording =
                                    json_read_text(job->payload, "recording", UUID_TEXT_BYTES),
                                .by = by ? by : "carrier_copy=delete",
                                .at_carrier = at_carrier};
    enum job_end end;
    if (!deleting.recording)
        return job_dead(job, "its payload names no recording");
    if (db_transact(db, job->claimed.organization, look, &deleting) != DB_OK)
        end = job_later(job, "%s", db_error(db));
    else if (db_rows_count(deleting.rows) == 0)
        end = job_dead(job, "there is no such recording");
    else
        end = at_carrier ? delete_at_carrier(&deleting, db) : delete_here(&deleting, db);
    db_rows_free(deleting.rows);
    return end;
}

static enum job_end run_here(struct job *job, struct db *db, void *context)
{
    return run(job, db, context, false);
}

static enum job_end run_at_carrier(struct job *job, struct db *db, void *context)
{
    return run(job, db, context, true);
}

const struct job_kind recording_delete = {
    .limits = {.name = "recording_delete", .lease_ms = 30000},
    .pause_ms = 5000,
    .run = run_here,
};

const struct job_kind carrier_delete = {
    .limits = {.name = "carrier_delete", .lease_ms = 30000},
    .pause_ms = 5000,
    .run = run_at_carrier,
};
