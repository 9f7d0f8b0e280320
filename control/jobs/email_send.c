/* email_send: hands an e-mail of the outbox over, to Resend or to a mail server.
 *
 * Resend remembers the Idempotency-Key, which is the delivery's id, for a day: a try after one
 * whose answer was lost gets the same answer, and no second e-mail goes out. SMTP has no such
 * thing. There the hand-over is noted before it begins; who finds such a note has died, or lost the
 * connection, between handing over and writing down that it worked. It sends again, with the same
 * Message-ID, by which many mailboxes tell, and notes on the delivery that this was perhaps the
 * second. */
#include "control/base/json_read.h"
#include "control/jobs/kinds.h"
#include "control/net/mail_message.h"
#include "control/net/smtp_client.h"
#include "control/store/deliveries.h"

#include <stdlib.h>

#define RESEND_CONNECT_MS   10000
#define RESEND_TOTAL_MS     30000
#define RESEND_ANSWER_BYTES 65536

struct sending {
    struct job *job;
    const struct options *options;
    const char *delivery;
    json_t *email;
    int64_t created_s;
    bool is_sent;
    int answer;
    char provider_id[200];
};

/* ---- on record ---- */

static enum db_result load(struct db *db, void *context)
{
    struct sending *sending = context;
    struct db_rows *rows;
    enum db_result result =
        deliveries_load(db, sending->job->claimed.organization, sending->delivery, &rows);
    json_decref(sending->email);
    sending->email = NULL;
    if (result == DB_OK && db_rows_count(rows) == 1) {
        sending->email = json_loads(db_cell(rows, 0, DELIVERIES_BODY), 0, NULL);
        sending->is_sent = db_cell_bool(rows, 0, DELIVERIES_IS_SENT);
        sending->created_s = db_cell_number(rows, 0, DELIVERIES_CREATED_S);
    }
    db_rows_free(rows);
    return result;
}

static enum db_result note_begin(struct db *db, void *context)
{
    const struct sending *sending = context;
    return deliveries_begin(db, sending->job->claimed.organization, sending->delivery);
}

static enum db_result note_failure(struct db *db, void *context)
{
    const struct sending *sending = context;
    return deliveries_failed(db, sending->job->claimed.organization, sending->delivery);
}

static enum db_result note_sent(struct db *db, void *context)
{
    const struct sending *sending = context;
    return deliveries_sent(db, sending->job->claimed.organization, sending->delivery,
                           sending->answer, sending->provider_id);
}

static enum job_end finish(struct sending *sending, struct db *db)
{
    if (job_commit(sending->job, db, note_sent, sending) != DB_OK)
        return job_later(sending->job, "sent, but not on record: %s", db_error(db));
    return JOB_DONE;
}

/* ---- Resend ---- */

/* Among the answers that a status alone does not explain. */
static bool may_mend(const json_t *answer, unsigned status, bool otherwise)
{
    const char *name = json_read_text(answer, "name", 100);
    if (status == 409)
        return !name || strcmp(name, "concurrent_idempotent_requests") == 0;
    if (status == 429 && name)
        return strcmp(name, "rate_limit_exceeded") == 0;
    return otherwise || status >= 500;
}

static enum job_end judge_resend(struct sending *sending, struct db *db,
                                 struct http_client_response *response)
{
    json_t *answer =
        response->body ? json_read_object(span_from(response->body, response->bytes)) : NULL;
    const char *id = json_read_text(answer, "id", sizeof sending->provider_id - 1);
    const char *words = json_read_text(answer, "message", 200);
    enum job_end end;
    if (response->status / 100 == 2) {
        snprintf(sending->provider_id, sizeof sending->provider_id, "%s", id ? id : "");
        sending->answer = (int)response->status;
        end = finish(sending, db);
    } else {
        size_t bytes = strlen(response->error);
        if (words)
            snprintf(response->error + bytes, sizeof response->error - bytes, ": %s", words);
        if (response->end == HTTP_CLIENT_answered)
            response->try_again = may_mend(answer, response->status, response->try_again);
        end = job_asked(sending->job, response);
    }
    json_decref(answer);
    return end;
}

static enum job_end send_resend(struct sending *sending, struct db *db)
{
    char url[1024], key[64];
    struct http_client_response response;
    const struct options *options = sending->options;
    char *body = json_dumps(sending->email, JSON_COMPACT);
    if (!body)
        return job_later(sending->job, "no memory");
    snprintf(url, sizeof url, "%s/emails", options->resend_base_url);
    snprintf(key, sizeof key, "after-%s", sending->delivery);
    const struct http_client_header headers[] = {
        {.name = "Content-Type", .value = "application/json"},
        {.name = "Idempotency-Key", .value = key}};
    const struct http_client_request request = {.method = "POST",
                                                .url = url,
                                                .headers = headers,
                                                .headers_count = 2,
                                                .body = span_of(body),
                                                .bearer = options->resend_api_key,
                                                .by_operator = true,
                                                .ca_path = options->ca_path,
                                                .bytes_max = RESEND_ANSWER_BYTES,
                                                .connect_ms = RESEND_CONNECT_MS,
                                                .total_ms = RESEND_TOTAL_MS,
                                                .must_stop = job_must_stop_asking,
                                                .context = sending->job};
    http_client_run(&request, &response);
    enum job_end end = judge_resend(sending, db, &response);
    http_client_free(&response);
    free(body);
    return end;
}

/* ---- SMTP ---- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static void hand_over(struct sending *sending, const struct mail_message *message,
                      struct smtp_client_response *response)
{
    const struct options *options = sending->options;
    char from[MAIL_MESSAGE_ADDRESS_BYTES];
    size_t bytes = 0;
    char *text = mail_message_write(message, &bytes);
    *response = (struct smtp_client_response){.end = SMTP_CLIENT_NEVER};
    if (!text || !mail_message_address(message->from, from)) {
        snprintf(response->error, sizeof response->error, "it is not a message");
    } else {
        const struct smtp_client_request request = {.url = options->smtp_url,
                                                    .user = options->smtp_user,
                                                    .password = options->smtp_password,
                                                    .needs_tls =
                                                        !options_is_loopback(options->smtp_url),
                                                    .ca_path = options->ca_path,
                                                    .from = from,
                                                    .to = message->to,
                                                    .to_count = message->to_count,
                                                    .message = span_from(text, bytes)};
        smtp_client_run(&request, response);
    }
    free(text);
}

static enum job_end send_smtp(struct sending *sending, struct db *db)
{
    struct job *job = sending->job;
    struct smtp_client_response response;
    char id[64];
    const char *reply_to = text_of(sending->email, "reply_to");
    size_t i;
    const json_t *address;
    snprintf(id, sizeof id, "after-%s", sending->delivery);
    struct mail_message message = {.from = text_of(sending->email, "from"),
                                   .reply_to = reply_to[0] ? reply_to : NULL,
                                   .subject = text_of(sending->email, "subject"),
                                   .text = text_of(sending->email, "text"),
                                   .html = text_of(sending->email, "html"),
                                   .id = id,
                                   .date_s = sending->created_s};
    json_array_foreach(json_object_get(sending->email, "to"), i,
                       address) if (message.to_count < MAIL_MESSAGE_TO_MAX &&
                                    json_is_string(address)) message.to[message.to_count++] =
        json_string_value(address);
    if (db_transact(db, job->claimed.organization, note_begin, sending) != DB_OK)
        return job_later(job, "%s", db_error(db));
    hand_over(sending, &message, &response);
    sending->answer = response.status;
    if (response.end == SMTP_CLIENT_TAKEN)
        return finish(sending, db);
    if (response.end != SMTP_CLIENT_UNSURE &&
        db_transact(db, job->claimed.organization, note_failure, sending) != DB_OK)
        return job_later(job, "%s", response.error);
    return response.end == SMTP_CLIENT_NEVER ? job_dead(job, "%s", response.error)
                                             : job_later(job, "%s", response.error);
}

/* ---- the run ---- */

static enum job_end send_loaded(struct sending *sending, struct db *db)
{
    struct job *job = sending->job;
    const struct options *options = sending->options;
    bool again = json_is_true(json_object_get(job->payload, "again"));
    if (sending->is_sent && !again)
        return JOB_DONE;
    if (!text_of(sending->email, "from")[0] && options->email_from)
        json_object_set_new(sending->email, "from", json_string(options->email_from));
    if (!text_of(sending->email, "from")[0])
        return job_dead(job, "no sender: set EMAIL_FROM, or email_from of the organisation");
    if (options->resend_api_key)
        return send_resend(sending, db);
    if (options->smtp_url)
        return send_smtp(sending, db);
    return job_dead(job, "no way to send e-mail: set RESEND_API_KEY or SMTP_URL");
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    struct sending sending = {.job = job,
                              .options = given->options,
                              .delivery =
                                  json_string_value(json_object_get(job->payload, "delivery"))};
    enum job_end end;
    if (!sending.delivery)
        return job_dead(job, "its payload names no delivery");
    if (db_transact(db, job->claimed.organization, load, &sending) != DB_OK)
        end = job_later(job, "%s", db_error(db));
    else if (!sending.email)
        end = job_dead(job, "there is no such delivery");
    else
        end = send_loaded(&sending, db);
    json_decref(sending.email);
    return end;
}

const struct job_kind email_send = {
    .limits = {.name = "email_send", .lease_ms = 15000},
    .pause_ms = 2000,
    .run = run,
};
