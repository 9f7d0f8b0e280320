/* call_make: one attempt to call somebody: the carrier is asked to create the call.
 *
 * Calls.json knows no idempotency key. So the attempt is marked before the carrier is asked, and
 * one that is found marked is not asked for again but looked for: by its own webhooks, which name
 * it, and in the carrier's list of calls between the two numbers (sql/0015). It is asked for again
 * only when neither has told of a call for as long as the organisation's settle_s.
 *
 * So a number is called twice only if the carrier makes a call, loses its answer, tells none of its
 * callbacks and keeps it from its own list for all that time; and then the second call of the
 * attempt is hung up before it says a word. None is forgotten: until the answer is known the job
 * goes on. */
#include "common/log.h"
#include "control/carrier/twilio_rest.h"
#include "control/jobs/kinds.h"
#include "control/store/outbound.h"

#include <stdlib.h>

#define URL_BYTES    1024
#define NUMBER_BYTES 24
#define FORM_MAX     TWILIO_REST_PAIRS_MAX
#define LOOK_MS      2000 /* between two looks at the carrier's list */
#define RING_S       60
#define LIMIT_S      14400

struct making {
    struct job *job;
    struct db *db;
    const struct options *options;
    const char *attempt;
    struct db_rows *rows; /* of outbound_begin */
    json_t *plan;
    struct twilio_rest rest;
    struct http_client_response response;
    /* what a transaction is to note, and what it found */
    const char *sid, *created, *outcome, *why, *by;
    bool yes;
    bool settled; /* the list was read for long enough: there is no call */
};

static const char *verdict_of(const struct making *making)
{
    return db_cell(making->rows, 0, 0);
}

/* ---- what is noted ---- */

static enum db_result note_begin(struct db *db, void *context)
{
    struct making *making = context;
    db_rows_free(making->rows);
    making->rows = NULL;
    return outbound_begin(db, making->attempt, &making->rows);
}

static enum db_result note_made(struct db *db, void *context)
{
    struct making *making = context;
    return outbound_made(db, making->attempt, making->sid, making->by, &making->yes);
}

static enum db_result note_unasked(struct db *db, void *context)
{
    const struct making *making = context;
    return outbound_unasked(db, making->attempt);
}

static enum db_result note_unsure(struct db *db, void *context)
{
    const struct making *making = context;
    return outbound_unsure(db, making->attempt);
}

static enum db_result note_listed(struct db *db, void *context)
{
    struct making *making = context;
    return outbound_listed(db, making->attempt, making->sid, making->created, &making->yes);
}

static enum db_result note_unlisted(struct db *db, void *context)
{
    struct making *making = context;
    return outbound_unlisted(db, making->attempt, &making->yes);
}

static enum db_result note_drop(struct db *db, void *context)
{
    const struct making *making = context;
    return outbound_drop(db, making->attempt, making->outcome, making->why);
}

static enum db_result note_pause(struct db *db, void *context)
{
    struct making *making = context;
    enum db_result result = outbound_pause_for(db, making->attempt, making->why, &making->yes);
    return result == DB_OK && !making->yes ? note_drop(db, context) : result;
}

static bool note(struct making *making, enum db_result (*what)(struct db *db, void *context))
{
    return db_transact(making->db, making->job->claimed.organization, what, making) == DB_OK;
}

/* With the end of the job. */
static enum job_end end_with(struct making *making,
                             enum db_result (*what)(struct db *db, void *context))
{
    if (job_commit(making->job, making->db, what, making) == DB_OK)
        return JOB_DONE;
    return job_later(making->job, "not on record: %s", db_error(making->db));
}

/* ---- what is asked ---- */

struct asking {
    struct twilio_rest_pair pairs[FORM_MAX];
    size_t count;
    char url[URL_BYTES], status_url[URL_BYTES], amd_url[URL_BYTES];
    char ring[NUMBER_BYTES], limit[NUMBER_BYTES];
};

static void add(struct asking *asking, const char *name, const char *value)
{
    asking->pairs[asking->count++] = (struct twilio_rest_pair){name, value};
}

static const char *write_number(const struct making *making, const char *name, json_int_t otherwise,
                                char text[NUMBER_BYTES])
{
    const json_t *value = json_object_get(making->plan, name);
    snprintf(text, NUMBER_BYTES, "%lld",
             (long long)(value ? json_integer_value(value) : otherwise));
    return text;
}

static void add_machine_detection(struct asking *asking, const struct making *making)
{
    const char *wanted = json_string_value(json_object_get(making->plan, "machine_detection"));
    if (!wanted || strcmp(wanted, "off") == 0)
        return;
    add(asking, "MachineDetection",
        strcmp(wanted, "message_end") == 0 ? "DetectMessageEnd" : "Enable");
    add(asking, "AsyncAmd", "true"); /* nobody waits in silence for the verdict */
    add(asking, "AsyncAmdStatusCallback", asking->amd_url);
    add(asking, "AsyncAmdStatusCallbackMethod", "POST");
}

/* Events are repeated parameters: in one value the carrier understands none of them. */
static void write_asking(const struct making *making, struct asking *asking)
{
    static const char *const events[] = {"initiated", "ringing", "answered", "completed"};
    const char *base = making->options->public_url;
    *asking = (struct asking){.count = 0};
    snprintf(asking->url, URL_BYTES, "%s/api/twilio/outbound-call?attempt=%s#rc=5&rp=all", base,
             making->attempt);
    snprintf(asking->status_url, URL_BYTES, "%s/api/twilio/outbound-status?attempt=%s#rc=5&rp=all",
             base, making->attempt);
    snprintf(asking->amd_url, URL_BYTES, "%s/api/twilio/outbound-amd?attempt=%s#rc=5&rp=all", base,
             making->attempt);
    add(asking, "To", db_cell(making->rows, 0, 3));
    add(asking, "From", db_cell(making->rows, 0, 2));
    add(asking, "Url", asking->url);
    add(asking, "Method", "POST");
    add(asking, "StatusCallback", asking->status_url);
    add(asking, "StatusCallbackMethod", "POST");
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        add(asking, "StatusCallbackEvent", events[i]);
    add(asking, "Timeout", write_number(making, "ring_s", RING_S, asking->ring));
    add(asking, "TimeLimit", write_number(making, "limit_s", LIMIT_S, asking->limit));
    add_machine_detection(asking, making);
}

/* ---- what came of it ---- */

/* Did the carrier surely not take it? */
static bool was_not_taken(const struct http_client_response *response)
{
    return response->end == HTTP_CLIENT_unresolved || response->end == HTTP_CLIENT_unreachable ||
           response->end == HTTP_CLIENT_tls || response->end == HTTP_CLIENT_refused ||
           (response->end == HTTP_CLIENT_answered && response->status == 429);
}

/* Refused, and every other call would be: credentials, or an account that may not call. */
static bool is_ours_to_mend(const struct http_client_response *response)
{
    return response->status == 401 || response->status == 403 || response->status == 404;
}

static enum job_end look(struct making *making);

/* Refused for good. */
static enum job_end give_up(struct making *making, const char *why, bool all)
{
    making->outcome = "refused";
    making->why = why;
    log_warn("a call is not made", log_text("attempt", making->attempt),
             log_text("organization", making->job->claimed.organization), log_text("error", why));
    return end_with(making, all ? note_pause : note_drop);
}

static enum job_end settle(struct making *making, bool asked, const json_t *answer)
{
    const struct http_client_response *response = &making->response;
    making->sid = json_string_value(json_object_get(answer, "sid"));
    if (asked && twilio_rest_is_sid(making->sid, "CA")) {
        making->by = "answer";
        enum job_end end = end_with(making, note_made);
        if (end == JOB_DONE && !making->yes)
            log_error("an attempt has two calls", log_text("attempt", making->attempt),
                      log_text("call_sid", making->sid));
        return end;
    }
    if (was_not_taken(response)) {
        if (!note(making, note_unasked))
            return job_later(making->job, "not on record: %s", db_error(making->db));
        enum job_end end = job_asked(making->job, response);
        return end == JOB_DEAD ? JOB_LATER : end;
    }
    if (response->end == HTTP_CLIENT_answered && response->status / 100 == 4 &&
        response->status != 408)
        return give_up(making, response->error, is_ours_to_mend(response));
    if (!note(making, note_unsure))
        return job_later(making->job, "not on record: %s", db_error(making->db));
    log_warn("it is not known whether a call was made", log_text("attempt", making->attempt),
             log_text("organization", making->job->claimed.organization),
             log_text("error", response->error));
    return look(making);
}

/* After the mark and before the question there is nothing that could take time. */
static enum job_end ask(struct making *making)
{
    struct asking asking;
    json_t *answer = NULL;
    json_decref(making->plan);
    making->plan = json_loads(db_cell(making->rows, 0, 4), 0, NULL);
    write_asking(making, &asking);
    if (job_must_stop(making->job)) { /* frozen in between: somebody else may be looking by now */
        note(making, note_unasked);
        return JOB_RETURNED;
    }
    bool asked = twilio_rest_ask(&making->rest, "POST", "Calls.json", asking.pairs, asking.count,
                                 &answer, &making->response);
    enum job_end end = settle(making, asked, answer);
    json_decref(answer);
    return end;
}

/* ---- what the list has ---- */

struct search {
    struct making *making;
    bool found, away;
};

/* False: enough was seen. */
static bool see(const json_t *item, void *context)
{
    struct search *search = context;
    struct making *making = search->making;
    const char *direction = json_string_value(json_object_get(item, "direction"));
    if (!direction || strcmp(direction, "outbound-api") != 0)
        return true;
    making->sid = json_string_value(json_object_get(item, "sid"));
    making->created = json_string_value(json_object_get(item, "date_created"));
    search->away = !note(making, note_listed);
    search->found = !search->away && making->yes;
    return !search->found && !search->away;
}

static enum job_end look(struct making *making)
{
    struct search search = {.making = making};
    const struct twilio_rest_pair between[] = {{"To", db_cell(making->rows, 0, 3)},
                                               {"From", db_cell(making->rows, 0, 2)}};
    http_client_free(&making->response);
    bool listed = twilio_rest_list(&making->rest, "Calls.json", "calls", between, 2, see, &search,
                                   &making->response);
    if (search.found) {
        log_info("a call was made after all", log_text("attempt", making->attempt));
        return JOB_DONE;
    }
    making->job->pause_least_ms = LOOK_MS / 2;
    if (search.away)
        return job_later(making->job, "%s", db_error(making->db));
    if (!listed) {
        job_asked(making->job, &making->response);
        return making->response.end == HTTP_CLIENT_stopped ? JOB_RETURNED : JOB_LATER;
    }
    if (!note(making, note_unlisted))
        return job_later(making->job, "%s", db_error(making->db));
    making->settled = making->yes;
    return job_later(making->job, "it is not known yet whether the call was made");
}

/* ---- the run ---- */

static enum job_end proceed(struct making *making)
{
    http_client_free(&making->response);
    if (!note(making, note_begin))
        return job_later(making->job, "%s", db_error(making->db));
    if (strcmp(verdict_of(making), "ask") == 0)
        return ask(making);
    if (strcmp(verdict_of(making), "look") == 0)
        return look(making);
    return JOB_DONE;
}

static enum job_end go(struct making *making)
{
    char error[256];
    switch (twilio_rest_open(&making->rest, making->db, making->options,
                             json_string_value(json_object_get(making->job->payload, "account")),
                             error, sizeof error)) {
    case TWILIO_REST_OPENED:
        break;
    case TWILIO_REST_UNKNOWN:
        return give_up(making, error, true);
    case TWILIO_REST_AWAY:
        return job_later(making->job, "%s", db_error(making->db));
    }
    making->rest.must_stop = job_must_stop_asking;
    making->rest.context = making->job;
    enum job_end end = proceed(making);
    if (making->settled) /* whoever waits to be called has waited enough */
        end = proceed(making);
    http_client_free(&making->response);
    twilio_rest_close(&making->rest);
    return end;
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    struct making making = {.job = job,
                            .db = db,
                            .options = given->options,
                            .attempt = json_string_value(json_object_get(job->payload, "attempt"))};
    if (!making.attempt)
        return job_dead(job, "its payload names no attempt");
    enum job_end end = go(&making);
    if (end == JOB_LATER && job->claimed.tries >= job->claimed.max_tries) {
        making.outcome =
            "unknown"; /* the number is free again; the job stays, dead, for a person */
        making.why = job->error;
        note(&making, note_drop);
    }
    db_rows_free(making.rows);
    json_decref(making.plan);
    return end;
}

const struct job_kind call_make = {
    .limits = {.name = "call_make", .lease_ms = 15000},
    .pause_ms = LOOK_MS,
    .pause_ms_max = 15000,
    .run = run,
};
