/* transfer_watch: sees to it that no caller of a warm transfer waits for ever, and no telephone
 * rings for nobody.
 *
 * Due at the transfer's deadline from its beginning on, and earlier when it has ended. Each run
 * looks where the transfer is and asks the carrier for what is still missing: the caller fetched
 * out of the conference, the person's leg hung up. It is done when the carrier's webhooks say so;
 * until then it asks again, so it may die at any line. Fetching is a redirect to the very URL that
 * the end of the conference asks, so it does not matter which of the two comes, or both. */
#include "common/log.h"
#include "control/base/json_read.h"
#include "control/carrier/steps.h"
#include "control/carrier/transfer_twiml.h"
#include "control/carrier/twilio_rest.h"
#include "control/jobs/kinds.h"
#include "control/store/transfers.h"

#define AGAIN_MS        3000      /* the carrier's webhook takes a moment */
#define NOT_IN_PROGRESS "(21220)" /* Twilio's code, as twilio_rest.c writes it */

struct watch {
    struct job *job;
    const struct options *options;
    const char *transfer;
    struct db_rows *rows;
    struct twilio_rest rest;
    const char *before, *after, *reason;
    bool moved;
};

static const char *cell(const struct watch *watch, enum transfers_column column)
{
    return db_cell(watch->rows, 0, (int)column);
}

static bool is(const struct watch *watch, enum transfers_column column)
{
    return db_cell_bool(watch->rows, 0, (int)column);
}

static bool is_in(const struct watch *watch, const char *state)
{
    return strcmp(cell(watch, TRANSFERS_STATE), state) == 0;
}

static enum db_result look(struct db *db, void *context)
{
    struct watch *watch = context;
    db_rows_free(watch->rows);
    watch->rows = NULL;
    return transfers_look(db, watch->transfer, &watch->rows);
}

static enum db_result move(struct db *db, void *context)
{
    struct watch *watch = context;
    enum db_result result = transfers_move(db, watch->transfer, watch->before, watch->after,
                                           watch->reason, &watch->moved);
    return result == DB_OK ? look(db, watch) : result;
}

/* Moves it, if it is where it was seen; either way watch->rows say where it is now. */
static bool settle(struct watch *watch, struct db *db, const char *after, const char *reason)
{
    char before[16];
    snprintf(before, sizeof before, "%s", cell(watch, TRANSFERS_STATE));
    watch->before = before;
    watch->after = after;
    watch->reason = reason;
    bool settled = db_transact(db, watch->job->claimed.organization, move, watch) == DB_OK;
    if (settled && watch->moved)
        log_info("transfer", log_text("event", "watch"), log_text("transfer", watch->transfer),
                 log_text("state", after), log_text("reason", reason),
                 log_text("organization", watch->job->claimed.organization));
    return settled;
}

/* ---- the carrier ---- */

/* What is over cannot be ended once more. */
static bool was_over(const struct http_client_response *response)
{
    return response->end == HTTP_CLIENT_answered &&
           (response->status == 404 ||
            (response->status == 400 && strstr(response->error, NOT_IN_PROGRESS)));
}

/* JOB_DONE: that call is over, or was never known. JOB_LATER also when all is well: the carrier's
 * webhooks say when it is so. */
static enum job_end update_call(struct watch *watch, const char *call_sid,
                                const struct twilio_rest_pair *pairs, size_t count)
{
    char path[TWILIO_REST_PATH_BYTES];
    struct http_client_response response;
    enum job_end end = JOB_DONE;
    if (!twilio_rest_is_sid(call_sid, "CA"))
        return JOB_DONE;
    snprintf(path, sizeof path, "Calls/%s.json", call_sid);
    if (twilio_rest_ask(&watch->rest, "POST", path, pairs, count, NULL, &response)) {
        watch->job->pause_least_ms = AGAIN_MS;
        end = job_later(watch->job, "asked; the carrier has not told yet that it is so");
    } else if (!was_over(&response)) {
        end = job_asked(watch->job, &response);
        if (end == JOB_DEAD) /* somebody waits: perhaps it is mended meanwhile */
            end = JOB_LATER;
    }
    http_client_free(&response);
    return end;
}

static enum job_end hang_up_callee(struct watch *watch)
{
    static const struct twilio_rest_pair pairs[] = {{"Status", "completed"}};
    return update_call(watch, cell(watch, TRANSFERS_CALLEE), pairs, 1);
}

static enum job_end fetch_caller(struct watch *watch)
{
    char url[STEPS_URL_BYTES];
    const struct steps_call call = {.public_url = watch->options->public_url,
                                    .transfer = watch->transfer};
    steps_url(url, &call, cell(watch, TRANSFERS_PLACE));
    const struct twilio_rest_pair pairs[] = {{"Url", url}, {"Method", "POST"}};
    return update_call(watch, cell(watch, TRANSFERS_CALL), pairs, 2);
}

static bool note_running(const json_t *item, void *context)
{
    bool *running = context;
    *running |= json_is_object(item);
    return false;
}

/* Did the two meet? A conference that goes on has begun, and it begins when the person enters. */
static enum job_end check_conference(struct watch *watch, struct db *db)
{
    char name[TRANSFER_NAME_BYTES];
    struct http_client_response response;
    bool running = false;
    transfer_name(name, watch->transfer);
    const struct twilio_rest_pair pairs[] = {{"FriendlyName", name}, {"Status", "in-progress"}};
    bool asked = twilio_rest_list(&watch->rest, "Conferences.json", "conferences", pairs, 2,
                                  note_running, &running, &response);
    enum job_end end = asked ? JOB_DONE : job_asked(watch->job, &response);
    http_client_free(&response);
    if (asked && !settle(watch, db, running ? "joined" : "returned", running ? NULL : "lost"))
        end = job_later(watch->job, "%s", db_error(db));
    return end;
}

/* ---- a run ---- */

/* What is missing now is asked for; JOB_DONE: nothing is. The caller goes first. */
static enum job_end finish(struct watch *watch)
{
    enum job_end caller = JOB_DONE, callee = JOB_DONE;
    if (is_in(watch, "returned") && !is(watch, TRANSFERS_LEFT) && !is(watch, TRANSFERS_CALL_OVER))
        caller = fetch_caller(watch);
    if (caller != JOB_RETURNED && cell(watch, TRANSFERS_CALLEE) &&
        !is(watch, TRANSFERS_CALLEE_OVER))
        callee = hang_up_callee(watch);
    return caller == JOB_DONE ? callee : caller;
}

/* Why nobody will accept any more; NULL: somebody may. */
static const char *find_hopeless(const struct watch *watch)
{
    if (db_cell_number(watch->rows, 0, TRANSFERS_REST_MS) == 0)
        return "deadline";
    bool unheard =
        is_in(watch, "calling") && is(watch, TRANSFERS_PLACED) && !cell(watch, TRANSFERS_CALLEE);
    return unheard ? "lost" : NULL; /* this job is not due before a leg would have told of itself */
}

static enum job_end look_after(struct watch *watch, struct db *db)
{
    struct job *job = watch->job;
    enum job_end end = JOB_DONE;
    bool open = is(watch, TRANSFERS_OPEN) && !is_in(watch, "joined");
    const char *hopeless = open && !is_in(watch, "accepted") ? find_hopeless(watch) : NULL;
    if (is_in(watch, "accepted"))
        end = check_conference(watch, db);
    else if (hopeless && !settle(watch, db, "returned", hopeless))
        end = job_later(job, "%s", db_error(db));
    if (end != JOB_DONE)
        return end;
    if (!is(watch, TRANSFERS_OPEN))
        return finish(watch);
    if (is_in(watch, "joined"))
        return JOB_DONE; /* the carrier ends what they have, and hurries this job */
    job->pause_least_ms =
        db_cell_number(watch->rows, 0, TRANSFERS_REST_MS) / 2; /* or up to twice */
    return job_later(job, "the transfer goes on");
}

/* Its last word: nothing has changed since this run looked, or it looks again. Under a lock,
 * because whoever changes the transfer hurries this job, which has no effect while it is at work.
 */
static enum db_result compare(struct db *db, void *context)
{
    struct watch *watch = context;
    char state[16];
    enum db_result result = transfers_hold(db, watch->transfer, state);
    return result == DB_OK && !is_in(watch, state) ? DB_REFUSED : result;
}

static enum job_end work(struct watch *watch, struct db *db)
{
    struct job *job = watch->job;
    switch (twilio_rest_open(&watch->rest, db, watch->options, cell(watch, TRANSFERS_ACCOUNT),
                             job->error, sizeof job->error)) {
    case TWILIO_REST_OPENED:
        break;
    case TWILIO_REST_UNKNOWN:
        return JOB_LATER; /* somebody may add the credentials */
    case TWILIO_REST_AWAY:
        return job_later(job, "%s", db_error(db));
    }
    watch->rest.must_stop = job_must_stop_asking;
    watch->rest.context = job;
    enum job_end end = look_after(watch, db);
    twilio_rest_close(&watch->rest);
    if (end == JOB_DONE && job_commit(job, db, compare, watch) != DB_OK)
        end = job_later(job, "the transfer has changed meanwhile");
    return end;
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    struct watch watch = {.job = job,
                          .options = given->options,
                          .transfer = json_read_text(job->payload, "transfer", 36)};
    enum job_end end = JOB_DONE;
    if (!watch.transfer)
        return job_dead(job, "its payload names no transfer");
    if (db_transact(db, job->claimed.organization, look, &watch) != DB_OK)
        end = job_later(job, "%s", db_error(db));
    else if (db_rows_count(watch.rows) == 1)
        end = work(&watch, db);
    db_rows_free(watch.rows);
    return end;
}

const struct job_kind transfer_watch = {
    .limits = {.name = "transfer_watch", .lease_ms = 10000},
    .pause_ms = 1000,
    .pause_ms_max = 5000,
    .run = run,
};
