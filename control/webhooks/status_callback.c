/* status_callback: the carrier reports how far a call is, or a message. In any order, any number of
 * times; the store makes one result of it. */
#include "common/log.h"
#include "control/webhooks/webhook.h"

static void log_status(const struct webhook_fields *fields, const struct calls_taken *taken)
{
    log_info(
        "call status", log_text("status", fields->status), log_text("record", taken->call_status),
        log_text("organization", taken->organization[0] ? taken->organization : NULL),
        log_text("conversation", taken->conversation[0] ? taken->conversation : NULL),
        log_text("call_sid", fields->call_sid), log_text("result", calls_found_name(taken->found)),
        log_text("repeated", taken->stored ? NULL : "yes"));
}

static enum metrics_outcome take_call_status(struct webhook *webhook)
{
    struct webhook_fields fields;
    struct calls_taken taken;
    webhook_read(webhook, &fields);
    enum db_result result = calls_status(webhook->db, &fields.fields, &taken);
    if (result == DB_OK)
        log_status(&fields, &taken);
    webhook_fields_free(&fields);
    if (result != DB_OK)
        return webhook_callback_failed(webhook, result);
    return webhook_callback_taken(webhook, taken.found, !taken.stored);
}

/* Delivery of messages is not kept before there are messages: it is acknowledged and counted, so
 * that the carrier does not repeat it. */
static enum metrics_outcome take_message_status(struct webhook *webhook)
{
    char message_sid[64], status[32];
    webhook->route = ROUTE_message_status;
    log_info("message status",
             log_text("message_sid",
                      webhook_text(webhook, "MessageSid", message_sid, sizeof message_sid)),
             log_text("status", webhook_text(webhook, "MessageStatus", status, sizeof status)));
    response_empty(webhook->response, 204);
    return OUTCOME_answered;
}

/* A call's callback never names a message. */
enum metrics_outcome status_callback_answer(struct webhook *webhook)
{
    bool message =
        form_value(webhook->form, "MessageSid").data && !form_value(webhook->form, "CallSid").data;
    return message ? take_message_status(webhook) : take_call_status(webhook);
}
