/* outbound_call: webhooks of a call that we made. Its attempt stands in their URLs, which the
 * carrier has signed: so the first of them also says that there is a call, should the carrier's
 * answer to our question have been lost. */
#include "common/log.h"
#include "control/webhooks/webhook.h"

#define ATTEMPT_BYTES 64

/* "attempt" of our own URL; the store judges it. */
static bool read_attempt(const struct webhook *webhook, char attempt[ATTEMPT_BYTES])
{
    struct form query;
    if (form_read(webhook->request->query, &query) != FAULT_NONE)
        return false;
    bool read = form_text(&query, "attempt", attempt, ATTEMPT_BYTES);
    form_free(&query);
    return read;
}

/* Our bug or a wrong set-up: whoever was called hears nothing at all rather than half a sentence.
 */
static enum metrics_outcome hang_up(struct webhook *webhook, enum db_result result)
{
    log_error("a call that we made is not answered", log_text("result", db_result_name(result)),
              log_text("error", db_error(webhook->db)));
    webhook_say_goodbye(webhook, NULL);
    return OUTCOME_failed;
}

enum metrics_outcome outbound_call_answer(struct webhook *webhook)
{
    struct webhook_fields fields;
    struct calls_incoming call;
    char attempt[ATTEMPT_BYTES];
    enum metrics_outcome outcome;
    if (!read_attempt(webhook, attempt))
        return webhook_refuse_fields(webhook);
    webhook_read(webhook, &fields);
    enum db_result result = calls_outbound(webhook->db, &webhook->service->options->seal,
                                           &fields.fields, attempt, &call);
    if (result == DB_AWAY || result == DB_BUSY)
        outcome = webhook_answer_softly(webhook);
    else if (result != DB_OK)
        outcome = hang_up(webhook, result);
    else
        outcome = incoming_call_decide(webhook, &fields, &call);
    calls_incoming_free(&call);
    webhook_fields_free(&fields);
    return outcome;
}

static void log_status(const struct webhook_fields *fields, const struct calls_taken *taken,
                       const char *attempt, const char *what)
{
    log_info("made call", log_text("status", what), log_text("record", taken->call_status),
             log_text("organization", taken->organization[0] ? taken->organization : NULL),
             log_text("conversation", taken->conversation[0] ? taken->conversation : NULL),
             log_text("call_sid", fields->call_sid), log_text("attempt", attempt),
             log_text("result", calls_found_name(taken->found)));
}

enum metrics_outcome outbound_status_answer(struct webhook *webhook)
{
    struct webhook_fields fields;
    struct calls_taken taken;
    char attempt[ATTEMPT_BYTES];
    if (!read_attempt(webhook, attempt))
        return webhook_refuse_fields(webhook);
    webhook_read(webhook, &fields);
    enum db_result result = calls_outbound_status(webhook->db, &fields.fields, attempt, &taken);
    if (result == DB_OK)
        log_status(&fields, &taken, attempt, fields.status);
    webhook_fields_free(&fields);
    if (result != DB_OK)
        return webhook_callback_failed(webhook, result);
    return webhook_callback_taken(webhook, taken.found, !taken.stored);
}

enum metrics_outcome outbound_amd_answer(struct webhook *webhook)
{
    struct webhook_fields fields;
    struct calls_taken taken;
    char attempt[ATTEMPT_BYTES], answered_by[64];
    if (!read_attempt(webhook, attempt))
        return webhook_refuse_fields(webhook);
    webhook_read(webhook, &fields);
    webhook_text(webhook, "AnsweredBy", answered_by, sizeof answered_by);
    enum db_result result =
        calls_outbound_amd(webhook->db, &fields.fields, attempt, answered_by, &taken);
    if (result == DB_OK)
        log_status(&fields, &taken, attempt, answered_by);
    webhook_fields_free(&fields);
    if (result != DB_OK)
        return webhook_callback_failed(webhook, result);
    return webhook_callback_taken(webhook, taken.found, !taken.stored);
}
