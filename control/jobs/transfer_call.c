/* transfer_call: the person whom a caller waits for is called.
 *
 * Calls.json knows no idempotency key, so a transfer is marked before the carrier is asked, and one
 * that is found marked is not placed again: the leg, if there is one, tells of itself by webhooks
 * that name the transfer, and if there is none the watch gives the caller back at the deadline. A
 * person is never called twice for one caller. */
#include "common/log.h"
#include "control/base/json_read.h"
#include "control/carrier/transfer_twiml.h"
#include "control/carrier/twilio_rest.h"
#include "control/jobs/kinds.h"
#include "control/store/transfers.h"

struct calling {
    struct job *job;
    const struct options *options;
    const char *transfer;
    struct db_rows *rows;
    bool began, moved;
    const char *sid; /* of the leg, when the carrier has said it */
};

static enum db_result look(struct db *db, void *context)
{
    struct calling *calling = context;
    db_rows_free(calling->rows);
    calling->rows = NULL;
    return transfers_look(db, calling->transfer, &calling->rows);
}

static enum db_result mark(struct db *db, void *context)
{
    struct calling *calling = context;
    return transfers_place(db, calling->transfer, &calling->began);
}

static enum db_result unmark(struct db *db, void *context)
{
    struct calling *calling = context;
    return transfers_unplace(db, calling->transfer);
}

static enum db_result put_on_record(struct db *db, void *context)
{
    struct calling *calling = context;
    return transfers_placed(db, calling->transfer, calling->sid);
}

static enum db_result give_back(struct db *db, void *context)
{
    struct calling *calling = context;
    return transfers_move(db, calling->transfer, "calling", "returned", "failed", &calling->moved);
}

/* The carrier will not call: the caller need not wait for the deadline. */
static enum job_end give_up(struct calling *calling, struct db *db, const char *why)
{
    struct job *job = calling->job;
    if (db_transact(db, job->claimed.organization, give_back, calling) != DB_OK)
        return job_later(job, "not on record: %s", db_error(db));
    return job_dead(job, "%s", why);
}

static bool was_not_taken(const struct http_client_response *response)
{
    return response->end == HTTP_CLIENT_unresolved || response->end == HTTP_CLIENT_unreachable ||
           response->end == HTTP_CLIENT_tls || response->end == HTTP_CLIENT_refused ||
           (response->end == HTTP_CLIENT_answered && response->status == 429);
}

static enum job_end settle(struct calling *calling, struct db *db, bool asked, const json_t *answer,
                           const struct http_client_response *response)
{
    struct job *job = calling->job;
    calling->sid = json_read_text(answer, "sid", TWILIO_REST_SID_BYTES - 1);
    if (asked && twilio_rest_is_sid(calling->sid, "CA")) {
        if (job_commit(job, db, put_on_record, calling) != DB_OK)
            return job_later(job, "called, but not on record: %s", db_error(db));
        log_info("transfer calls", log_text("transfer", calling->transfer),
                 log_text("callee_sid", calling->sid),
                 log_text("organization", job->claimed.organization));
        return JOB_DONE;
    }
    if (was_not_taken(response)) {
        if (db_transact(db, job->claimed.organization, unmark, calling) != DB_OK)
            return job_later(job, "not on record: %s", db_error(db));
        return job_asked(job, response);
    }
    if (response->end == HTTP_CLIENT_answered && response->status >= 400 && response->status < 500)
        return give_up(calling, db, response->error);
    return job_dead(job, "it is not known whether the person was called: %s", response->error);
}

static enum job_end ask_carrier(struct calling *calling, struct db *db,
                                const struct twilio_rest *rest)
{
    char url[TRANSFER_URL_BYTES], status_url[TRANSFER_URL_BYTES], ring[12];
    struct http_client_response response;
    json_t *answer = NULL;
    json_t *step = json_loads(db_cell(calling->rows, 0, TRANSFERS_STEP), 0, NULL);
    const json_t *ring_s = json_object_get(step, "ring_s");
    snprintf(ring, sizeof ring, "%d", ring_s ? (int)json_integer_value(ring_s) : 25);
    json_decref(step);
    transfer_url(url, calling->options->public_url, "/api/twilio/transfer-answered",
                 calling->transfer);
    transfer_url(status_url, calling->options->public_url, "/api/twilio/transfer-status",
                 calling->transfer);
    const struct twilio_rest_pair pairs[] = {{"To", db_cell(calling->rows, 0, TRANSFERS_TO)},
                                             {"From", db_cell(calling->rows, 0, TRANSFERS_FROM)},
                                             {"Url", url},
                                             {"Method", "POST"},
                                             {"Timeout", ring},
                                             {"StatusCallback", status_url},
                                             {"StatusCallbackMethod", "POST"},
                                             {"StatusCallbackEvent", "initiated"},
                                             {"StatusCallbackEvent", "ringing"},
                                             {"StatusCallbackEvent", "answered"},
                                             {"StatusCallbackEvent", "completed"}};
    bool asked = twilio_rest_ask(rest, "POST", "Calls.json", pairs, sizeof pairs / sizeof pairs[0],
                                 &answer, &response);
    enum job_end end = settle(calling, db, asked, answer, &response);
    json_decref(answer);
    http_client_free(&response);
    return end;
}

static enum job_end place(struct calling *calling, struct db *db)
{
    struct job *job = calling->job;
    struct twilio_rest rest;
    char error[256];
    switch (twilio_rest_open(&rest, db, calling->options,
                             db_cell(calling->rows, 0, TRANSFERS_ACCOUNT), error, sizeof error)) {
    case TWILIO_REST_OPENED:
        break;
    case TWILIO_REST_UNKNOWN:
        return give_up(calling, db, error);
    case TWILIO_REST_AWAY:
        return job_later(job, "%s", db_error(db));
    }
    enum job_end end = JOB_DONE; /* placed before, or too late: the watch sees to it */
    if (db_transact(db, job->claimed.organization, mark, calling) != DB_OK)
        end = job_later(job, "%s", db_error(db));
    else if (calling->began)
        end = ask_carrier(calling, db, &rest);
    twilio_rest_close(&rest);
    return end;
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    struct calling calling = {.job = job,
                              .options = given->options,
                              .transfer = json_read_text(job->payload, "transfer", 36)};
    enum job_end end = JOB_DONE;
    if (!calling.transfer)
        return job_dead(job, "its payload names no transfer");
    if (db_transact(db, job->claimed.organization, look, &calling) != DB_OK)
        end = job_later(job, "%s", db_error(db));
    else if (db_rows_count(calling.rows) == 1)
        end = place(&calling, db);
    db_rows_free(calling.rows);
    return end;
}

const struct job_kind transfer_call = {
    .limits = {.name = "transfer_call", .lease_ms = 10000},
    .pause_ms = 1000,
    .pause_ms_max = 5000,
    .run = run,
};
