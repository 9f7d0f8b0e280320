/* webhook_send, slack_send: brings a delivery of the outbox to an organisation's own system.
 *
 * A webhook carries the delivery's id, the same in every try, by which its receiver tells
 * repetitions; it is signed anew in each try, because the time is signed with it. Whatever is not
 * a 2xx is tried again, for a receiver in the middle of an upgrade answers all kinds of things;
 * only 410 means that nobody wants it any more, and the endpoint is put out of use. Slack's has no
 * id and no key, so there a hand-over is noted before it begins, as with SMTP. */
#include "common/clock.h"
#include "common/log.h"
#include "control/jobs/kinds.h"
#include "control/net/webhook_sign.h"
#include "control/store/deliveries.h"
#include "control/store/endpoints.h"

#include <stdlib.h>

#define CONNECT_MS   5000
#define TOTAL_MS     20000
#define ANSWER_BYTES (1 << 20)

struct posting {
    struct job *job;
    const struct options *options;
    const char *delivery;
    struct db_rows *rows; /* of the delivery */
    struct endpoints_target target;
    unsigned answer;
};

/* ---- on record ---- */

static enum db_result load(struct db *db, void *context)
{
    struct posting *posting = context;
    const char *organization = posting->job->claimed.organization;
    db_rows_free(posting->rows);
    posting->rows = NULL;
    enum db_result result = deliveries_load(db, organization, posting->delivery, &posting->rows);
    if (result != DB_OK || db_rows_count(posting->rows) != 1)
        return result;
    const char *endpoint = db_cell(posting->rows, 0, DELIVERIES_ENDPOINT);
    return endpoint ? endpoints_open(db, &posting->options->seal, organization, endpoint,
                                     &posting->target)
                    : DB_OK;
}

static enum db_result note_begin(struct db *db, void *context)
{
    const struct posting *posting = context;
    return deliveries_begin(db, posting->job->claimed.organization, posting->delivery);
}

static enum db_result note_failure(struct db *db, void *context)
{
    const struct posting *posting = context;
    return deliveries_failed(db, posting->job->claimed.organization, posting->delivery);
}

static enum db_result note_sent(struct db *db, void *context)
{
    const struct posting *posting = context;
    return deliveries_sent(db, posting->job->claimed.organization, posting->delivery,
                           (int)posting->answer, NULL);
}

static enum db_result disable(struct db *db, void *context)
{
    const struct posting *posting = context;
    return endpoints_disable(db, posting->job->claimed.organization,
                             db_cell(posting->rows, 0, DELIVERIES_ENDPOINT),
                             "it answered 410: gone for good");
}

/* ---- the request ---- */

static bool post(struct posting *posting, const struct http_client_header *headers, size_t count,
                 struct http_client_response *response)
{
    const struct http_client_request request = {
        .method = "POST",
        .url = posting->target.url,
        .headers = headers,
        .headers_count = count,
        .body = span_of(db_cell(posting->rows, 0, DELIVERIES_BODY)),
        .allow_private = posting->options->allow_private,
        .ca_path = posting->options->ca_path,
        .once = true,
        .bytes_max = ANSWER_BYTES,
        .connect_ms = CONNECT_MS,
        .total_ms = TOTAL_MS,
        .must_stop = job_must_stop_asking,
        .context = posting->job};
    bool taken = http_client_run(&request, response);
    posting->answer = response->status;
    return taken;
}

static enum job_end finish(struct posting *posting, struct db *db)
{
    if (job_commit(posting->job, db, note_sent, posting) != DB_OK)
        return job_later(posting->job, "sent, but not on record: %s", db_error(db));
    return JOB_DONE;
}

static enum job_end send_webhook(struct posting *posting, struct db *db)
{
    char time[24], signature[WEBHOOK_SIGN_TEXT];
    struct http_client_response response;
    struct job *job = posting->job;
    int64_t now_s = clock_wall_ms() / 1000;
    struct span body = span_of(db_cell(posting->rows, 0, DELIVERIES_BODY));
    snprintf(time, sizeof time, "%lld", (long long)now_s);
    if (!webhook_sign(posting->target.secret, posting->delivery, now_s, body, signature))
        return job_dead(job, "its secret is not one that signs");
    const struct http_client_header headers[] = {
        {.name = "Content-Type", .value = "application/json"},
        {.name = "webhook-id", .value = posting->delivery},
        {.name = "webhook-timestamp", .value = time},
        {.name = "webhook-signature", .value = signature}};
    enum job_end end = JOB_DONE;
    if (!post(posting, headers, 4, &response)) {
        end = job_asked(job, &response);
        if (response.status == 410)
            db_transact(db, job->claimed.organization, disable, posting);
        else if (response.end == HTTP_CLIENT_answered || response.end == HTTP_CLIENT_too_large)
            end = job_later(job, "%s", response.error[0] ? response.error : "it redirects");
    }
    http_client_free(&response);
    return end == JOB_DONE ? finish(posting, db) : end;
}

/* After these nobody knows whether the message was taken. */
static bool is_unsure(const struct http_client_response *response)
{
    return response->end == HTTP_CLIENT_timed_out || response->end == HTTP_CLIENT_broken ||
           response->end == HTTP_CLIENT_stopped || response->end == HTTP_CLIENT_cut;
}

static enum job_end send_slack(struct posting *posting, struct db *db)
{
    struct job *job = posting->job;
    struct http_client_response response;
    const struct http_client_header headers[] = {
        {.name = "Content-Type", .value = "application/json"}};
    if (db_transact(db, job->claimed.organization, note_begin, posting) != DB_OK)
        return job_later(job, "%s", db_error(db));
    enum job_end end = JOB_DONE;
    if (!post(posting, headers, 1, &response)) {
        end = job_asked(job, &response);
        if (response.status >= 500)
            end = JOB_LATER;
        if (!is_unsure(&response))
            db_transact(db, job->claimed.organization, note_failure, posting);
    }
    http_client_free(&response);
    return end == JOB_DONE ? finish(posting, db) : end;
}

/* ---- the runs ---- */

static enum job_end send_loaded(struct posting *posting, struct db *db,
                                enum job_end (*send)(struct posting *posting, struct db *db))
{
    struct job *job = posting->job;
    if (db_rows_count(posting->rows) != 1)
        return job_dead(job, "there is no such delivery");
    if (db_cell_bool(posting->rows, 0, DELIVERIES_IS_SENT) &&
        !json_is_true(json_object_get(job->payload, "again")))
        return JOB_DONE;
    if (!posting->target.found)
        return job_dead(job, "its endpoint was removed or is disabled");
    if (!posting->target.opened)
        return job_dead(job, "the endpoint's secret does not open with RINGBRIDGE_SECRET_KEY");
    return send(posting, db);
}

static enum job_end run(struct job *job, struct db *db, void *context,
                        enum job_end (*send)(struct posting *posting, struct db *db))
{
    const struct kinds_context *given = context;
    struct posting posting = {.job = job,
                              .options = given->options,
                              .delivery =
                                  json_string_value(json_object_get(job->payload, "delivery"))};
    enum job_end end;
    if (!posting.delivery)
        return job_dead(job, "its payload names no delivery");
    if (db_transact(db, job->claimed.organization, load, &posting) != DB_OK)
        end = job_later(job, "%s", db_error(db));
    else
        end = send_loaded(&posting, db, send);
    db_rows_free(posting.rows);
    explicit_bzero(&posting.target, sizeof posting.target);
    return end;
}

static enum job_end run_webhook(struct job *job, struct db *db, void *context)
{
    return run(job, db, context, send_webhook);
}

static enum job_end run_slack(struct job *job, struct db *db, void *context)
{
    return run(job, db, context, send_slack);
}

const struct job_kind webhook_send = {
    .limits = {.name = "webhook_send", .lease_ms = 15000},
    .pause_ms = 2000,
    .run = run_webhook,
};

const struct job_kind slack_send = {
    .limits = {.name = "slack_send", .lease_ms = 15000},
    .pause_ms = 2000,
    .run = run_slack,
};
