#include "control/webhooks/webhook.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"
#include "control/base/utf8.h"
#include "control/link/journal.h"
#include "control/webhooks/last_known.h"

#include <stdlib.h>
#include <time.h>

const char *webhook_text(const struct webhook *webhook, const char *name, char *text, size_t room)
{
    struct span value = form_value(webhook->form, name);
    utf8_clean(value, text, room);
    return text;
}

const char *webhook_query(const struct webhook *webhook, const char *name, char *text, size_t room)
{
    struct form query;
    text[0] = '\0';
    if (form_read(webhook->request->query, &query) != FAULT_NONE)
        return text;
    if (!form_text(&query, name, text, room))
        text[0] = '\0';
    form_free(&query);
    return text;
}

/* Decimal digits only; -1 for everything else. */
static int64_t read_number(const struct webhook *webhook, const char *name)
{
    char text[20];
    webhook_text(webhook, name, text, sizeof text);
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 15 || text[digits] != '\0')
        return -1;
    return strtoll(text, NULL, 10);
}

/* Every field, the first of a name; the record keeps what we do not know today. */
static char *write_parameters(const struct form *form)
{
    char *text = NULL;
    json_t *object = json_object();
    size_t room = FORM_VALUE_BYTES_MAX * 3 + 1; /* every byte replaced */
    char *clean = malloc(room);
    for (size_t i = 0; object && clean && i < form->count; i++) {
        char name[FORM_NAME_BYTES_MAX * 3 + 1];
        utf8_clean(form->fields[i].name, name, sizeof name);
        utf8_clean(form->fields[i].value, clean, room);
        if (!json_object_get(object, name))
            json_object_set_new(object, name, json_string(clean));
    }
    if (object && clean)
        text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    free(clean);
    return text;
}

/* As the carrier would write it: ISO 8601. */
static void write_time(int64_t wall_ms, char text[WEBHOOK_TEXT_BYTES])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t bytes = strftime(text, WEBHOOK_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + bytes, WEBHOOK_TEXT_BYTES - bytes, ".%03dZ", (int)(wall_ms % 1000));
}

void webhook_read(const struct webhook *webhook, struct webhook_fields *fields)
{
    const char *idempotency = request_header(webhook->request, "i-twilio-idempotency-token");
    *fields = (struct webhook_fields){.parameters_json = write_parameters(webhook->form)};
    utf8_clean(span_of(idempotency ? idempotency : ""), fields->idempotency_token,
               WEBHOOK_TEXT_BYTES);
    fields->fields = (struct calls_webhook){
        .account_sid = webhook_text(webhook, "AccountSid", fields->account_sid, WEBHOOK_TEXT_BYTES),
        .call_sid = webhook_text(webhook, "CallSid", fields->call_sid, WEBHOOK_TEXT_BYTES),
        .from = webhook_text(webhook, "From", fields->from, WEBHOOK_TEXT_BYTES),
        .to = webhook_text(webhook, "To", fields->to, WEBHOOK_TEXT_BYTES),
        .direction = webhook_text(webhook, "Direction", fields->direction, WEBHOOK_TEXT_BYTES),
        .status = webhook_text(webhook, "CallStatus", fields->status, WEBHOOK_TEXT_BYTES),
        .sequence_number = read_number(webhook, "SequenceNumber"),
        .duration_s = read_number(webhook, "CallDuration"),
        .sip_response_code = read_number(webhook, "SipResponseCode"),
        .idempotency_token = fields->idempotency_token,
        .parameters_json = fields->parameters_json};
    webhook_text(webhook, "Timestamp", fields->timestamp, WEBHOOK_TEXT_BYTES);
    if (!fields->timestamp[0] && webhook->kept_ms)
        write_time(webhook->kept_ms, fields->timestamp); /* it happened then, not now */
    if (fields->timestamp[0])
        fields->fields.timestamp = fields->timestamp;
}

void webhook_fields_free(struct webhook_fields *fields)
{
    free(fields->parameters_json);
    fields->parameters_json = NULL;
}

const char *webhook_shorten(const char *number, char text[8])
{
    size_t bytes = number ? strlen(number) : 0;
    if (bytes == 0)
        return NULL;
    snprintf(text, 8, "..%s", bytes > 4 ? number + bytes - 2 : "");
    return text;
}

/* ---- answers in words ---- */

void webhook_say_goodbye(struct webhook *webhook, const char *sentence)
{
    struct twiml twiml;
    response_twiml(webhook->response, &twiml);
    if (sentence)
        twiml_say(&twiml, sentence);
    twiml_hangup(&twiml);
    response_twiml_done(webhook->response, &twiml);
}

/* How often this caller was asked to wait: "wait=N" stands last in the query then. *rest is what
 * stands before it: where the call is. */
static unsigned times_waited(const struct webhook *webhook, char *rest, size_t room)
{
    if (!span_copy_text(webhook->request->query, rest, room)) {
        rest[0] = '\0';
        return 0;
    }
    char *last = strrchr(rest, '&');
    char *wait = last ? last + 1 : rest;
    if (strncmp(wait, "wait=", strlen("wait=")) != 0)
        return 0;
    unsigned long times = strtoul(wait + strlen("wait="), NULL, 10);
    *(last ? last : rest) = '\0';
    return times > WEBHOOK_SOFT_MAX ? WEBHOOK_SOFT_MAX : (unsigned)times;
}

enum metrics_outcome webhook_answer_softly(struct webhook *webhook)
{
    struct twiml twiml;
    char url[WEBHOOK_TEXT_BYTES * 2], rest[WEBHOOK_TEXT_BYTES / 2];
    struct span path = webhook->request->path;
    unsigned times = times_waited(webhook, rest, sizeof rest);
    if (times >= WEBHOOK_SOFT_MAX) {
        webhook_say_goodbye(webhook, "We are sorry, we cannot take your call right now. "
                                     "Please call again later.");
        return OUTCOME_given_up;
    }
    int length =
        snprintf(url, sizeof url, "%s%.*s?%s%swait=%u", webhook->service->options->public_url,
                 (int)path.bytes, (const char *)path.data, rest, rest[0] ? "&" : "", times + 1);
    assert(length > 0 && (size_t)length < sizeof url); /* ours, and bounded at boot */
    response_twiml(webhook->response, &twiml);
    if (times == 0)
        twiml_say(&twiml, "One moment, please.");
    twiml_pause(&twiml, 2);
    twiml_redirect(&twiml, url);
    response_twiml_done(webhook->response, &twiml);
    return OUTCOME_soft;
}

/* ---- while the database is away ---- */

bool webhook_keep(const struct webhook *webhook)
{
    struct journal *journal = webhook->service->journal;
    if (!journal || webhook->kept_ms ||
        !journal_add(journal, clock_wall_ms(), webhook->frame_json, webhook->request->body))
        return false;
    COUNT(webhook->service->metrics, journal_waiting);
    return true;
}

static bool write_steps(const struct calls_incoming *call, struct calls_next *next)
{
    json_t *route = json_loads(call->route_json, 0, NULL);
    json_t *fallback = json_loads(call->fallback_json, 0, NULL);
    json_t *steps = json_pack("{s:o*, s:o*}", "route", route, "fallback", fallback);
    next->steps_owned = steps ? json_dumps(steps, JSON_COMPACT) : NULL;
    next->steps_json = next->steps_owned ? next->steps_owned : "{}";
    if (fallback)
        snprintf(next->place, sizeof next->place, "fallback");
    json_decref(steps);
    return next->steps_owned != NULL;
}

bool webhook_recall_steps(struct webhook *webhook, const struct webhook_fields *fields,
                          struct calls_next *next)
{
    char rest[WEBHOOK_TEXT_BYTES / 2];
    struct calls_incoming call;
    const struct service *service = webhook->service;
    *next = (struct calls_next){.found = CALLS_INVALID, .steps_json = "{}"};
    if (times_waited(webhook, rest, sizeof rest) < WEBHOOK_SOFT_SOME)
        return false;
    bool found = last_known_find(service->last_known, fields->account_sid, fields->to,
                                 fields->call_sid, &service->options->seal, &call) &&
                 write_steps(&call, next);
    if (found) {
        next->found = CALLS_FOUND;
        memcpy(next->conversation, call.conversation, sizeof next->conversation);
        memcpy(next->organization, call.organization, sizeof next->organization);
        log_warn("next step without the database", log_text("organization", call.organization),
                 log_text("conversation", call.conversation),
                 log_text("path", metrics_route_name(webhook->route)));
    }
    calls_incoming_free(&call);
    return found;
}

/* ---- answers to callbacks ---- */

enum metrics_outcome webhook_callback_failed(struct webhook *webhook, enum db_result result)
{
    if ((result == DB_AWAY || result == DB_BUSY) && webhook_keep(webhook)) {
        response_empty(webhook->response, 204);
        return OUTCOME_kept;
    }
    return webhook_refuse_now(webhook, result);
}

enum metrics_outcome webhook_refuse_now(struct webhook *webhook, enum db_result result)
{
    bool try_again = result == DB_AWAY || result == DB_BUSY;
    log_error("webhook not stored", log_text("path", metrics_route_name(webhook->route)),
              log_text("result", db_result_name(result)), log_text("error", db_error(webhook->db)));
    response_sentence(webhook->response, try_again ? 503 : 500,
                      try_again ? "The record cannot be written at the moment; try again."
                                : "Something went wrong on our side.");
    webhook->response->retry_after_s = try_again ? 1 : 0;
    return try_again ? OUTCOME_unavailable : OUTCOME_failed;
}

enum metrics_outcome webhook_refuse_account(struct webhook *webhook)
{
    response_sentence(webhook->response, 403, "This account may not speak for that call.");
    return OUTCOME_wrong_account;
}

enum metrics_outcome webhook_refuse_fields(struct webhook *webhook)
{
    response_sentence(webhook->response, 400, "CallSid, AccountSid or CallStatus is not one.");
    return OUTCOME_malformed;
}

enum metrics_outcome webhook_callback_taken(struct webhook *webhook, enum calls_found found,
                                            bool repeated)
{
    switch (found) {
    case CALLS_WRONG_ACCOUNT:
        return webhook_refuse_account(webhook);
    case CALLS_INVALID:
        return webhook_refuse_fields(webhook);
    case CALLS_UNKNOWN_NUMBER:
        response_empty(webhook->response, 204); /* sending it again would change nothing */
        return OUTCOME_unknown_number;
    case CALLS_UNKNOWN_CALL:
    case CALLS_DOUBLE:
        response_empty(webhook->response, 204);
        return OUTCOME_unknown_call;
    case CALLS_FOUND:
        break;
    }
    response_empty(webhook->response, 204);
    return repeated ? OUTCOME_repeated : OUTCOME_answered;
}
