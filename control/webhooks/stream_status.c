/* stream_status: the carrier reports on its media stream. The only place where a failed handshake
 * becomes visible to us, because the edge never sees one. */
#include "common/log.h"
#include "control/carrier/carrier_error.h"
#include "control/webhooks/webhook.h"

static void log_stream(const struct webhook_fields *fields, const char *event, const char *error,
                       const struct calls_taken *taken)
{
    log_at(error[0] ? LOG_WARN : LOG_INFO, "stream status", log_text("event", event),
           log_text("error", error[0] ? error : NULL),
           log_text("meaning", carrier_error_words(carrier_error_code(error))),
           log_text("organization", taken->organization[0] ? taken->organization : NULL),
           log_text("conversation", taken->conversation[0] ? taken->conversation : NULL),
           log_text("call_sid", fields->call_sid),
           log_text("result", calls_found_name(taken->found)));
}

enum metrics_outcome stream_status_answer(struct webhook *webhook)
{
    struct webhook_fields fields;
    struct calls_taken taken;
    char stream_sid[WEBHOOK_TEXT_BYTES], event[WEBHOOK_TEXT_BYTES], error[WEBHOOK_TEXT_BYTES];
    webhook_read(webhook, &fields);
    webhook_text(webhook, "StreamSid", stream_sid, sizeof stream_sid);
    webhook_text(webhook, "StreamEvent", event, sizeof event);
    webhook_text(webhook, "StreamError", error, sizeof error);
    enum db_result result =
        calls_stream_status(webhook->db, &fields.fields, stream_sid, event, error[0] ? error : NULL,
                            carrier_error_words(carrier_error_code(error)), &taken);
    if (result == DB_OK)
        log_stream(&fields, event, error, &taken);
    webhook_fields_free(&fields);
    if (result != DB_OK)
        return webhook_callback_failed(webhook, result);
    return webhook_callback_taken(webhook, taken.found, !taken.stored);
}
