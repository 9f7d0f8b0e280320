/* text_send: a text message goes to the carrier.
 *
 * Messages.json knows no idempotency key, so a message is marked before the carrier is asked, and
 * one that is found marked is given up: whether it was sent is not known, and a person who gets it
 * twice is worse off than one who is asked. What the carrier surely did not take is unmarked and
 * tried again. */
#include "common/log.h"
#include "control/carrier/twilio_rest.h"
#include "control/jobs/kinds.h"
#include "control/store/messages.h"

#include <stdlib.h>

struct sending {
    struct job *job;
    const char *message;
    char sid[TWILIO_REST_SID_BYTES];
    const char *error; /* NULL: sent */
};

static enum db_result put_on_record(struct db *db, void *context)
{
    const struct sending *sending = context;
    return messages_end_text(db, sending->message, sending->error ? NULL : sending->sid,
                             sending->error);
}

/* The row says why, beside the job. */
static enum job_end give_up(struct sending *sending, struct db *db, const char *why)
{
    struct job *job = sending->job;
    sending->error = why;
    if (db_transact(db, job->claimed.organization, put_on_record, sending) != DB_OK)
        return job_later(job, "not on record: %s", db_error(db));
    return job_dead(job, "%s", why);
}

/* Did the carrier surely not take it? */
static bool was_not_taken(const struct http_client_response *response)
{
    return response->end == HTTP_CLIENT_unresolved || response->end == HTTP_CLIENT_unreachable ||
           response->end == HTTP_CLIENT_tls || response->end == HTTP_CLIENT_refused ||
           (response->end == HTTP_CLIENT_answered && response->status == 429);
}

static enum job_end settle(struct sending *sending, struct db *db, bool sent, const json_t *answer,
                           const struct http_client_response *response)
{
    struct job *job = sending->job;
    const char *sid = json_string_value(json_object_get(answer, "sid"));
    if (sent && sid && span_copy_text(span_of(sid), sending->sid, sizeof sending->sid)) {
        if (job_commit(job, db, put_on_record, sending) != DB_OK)
            return job_later(job, "sent, but not on record: %s", db_error(db));
        log_info("text message sent", log_text("message", sending->message),
                 log_text("message_sid", sid), log_text("organization", job->claimed.organization));
        return JOB_DONE;
    }
    if (was_not_taken(response)) {
        if (messages_requeue_text(db, job->claimed.organization, sending->message) != DB_OK)
            return job_later(job, "not on record: %s", db_error(db));
        return job_asked(job, response);
    }
    if (response->end == HTTP_CLIENT_answered && response->status >= 400 && response->status < 500)
        return give_up(sending, db, response->error);
    return give_up(sending, db, "it is not known whether it was sent: the carrier did not say");
}

static enum job_end send_text(struct sending *sending, struct db *db, const struct db_rows *rows,
                              const struct options *options)
{
    struct job *job = sending->job;
    struct twilio_rest rest;
    struct http_client_response response;
    json_t *answer = NULL;
    bool began;
    char error[256];
    switch (twilio_rest_open(&rest, db, options, db_cell(rows, 0, 1), error, sizeof error)) {
    case TWILIO_REST_OPENED:
        break;
    case TWILIO_REST_UNKNOWN:
        return give_up(sending, db, error);
    case TWILIO_REST_AWAY:
        return job_later(job, "%s", db_error(db));
    }
    enum db_result result =
        messages_begin_text(db, job->claimed.organization, sending->message, &began);
    if (result != DB_OK || !began) {
        twilio_rest_close(&rest);
        return result == DB_OK ? JOB_DONE : job_later(job, "%s", db_error(db));
    }
    const struct twilio_rest_pair pairs[] = {
        {"From", db_cell(rows, 0, 2)}, {"To", db_cell(rows, 0, 3)}, {"Body", db_cell(rows, 0, 4)}};
    bool sent = twilio_rest_ask(&rest, "POST", "Messages.json", pairs, 3, &answer, &response);
    enum job_end end = settle(sending, db, sent, answer, &response);
    json_decref(answer);
    http_client_free(&response);
    twilio_rest_close(&rest);
    return end;
}

struct question {
    const char *message;
    struct db_rows *rows;
};

static enum db_result read_message(struct db *db, void *context)
{
    struct question *question = context;
    db_rows_free(question->rows);
    return messages_text(db, question->message, &question->rows);
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    const char *message = json_string_value(json_object_get(job->payload, "message"));
    struct sending sending = {.job = job, .message = message};
    struct question question = {.message = message};
    if (!message)
        return job_dead(job, "its payload names no message");
    enum job_end end = JOB_DONE;
    enum db_result result = db_transact(db, job->claimed.organization, read_message, &question);
    bool found = result == DB_OK && db_rows_count(question.rows) > 0;
    const char *state = found ? db_cell(question.rows, 0, 0) : "";
    if (result != DB_OK)
        end = job_later(job, "%s", db_error(db));
    else if (strcmp(state, "queued") == 0)
        end = send_text(&sending, db, question.rows, given->options);
    else if (strcmp(state, "sending") == 0)
        end = give_up(&sending, db, "it is not known whether it was sent: its sender died");
    db_rows_free(question.rows);
    return end;
}

const struct job_kind text_send = {
    .limits = {.name = "text_send", .lease_ms = 30000},
    .pause_ms = 2000,
    .run = run,
};
