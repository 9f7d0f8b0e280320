/* recording_status: the carrier has recorded something: a message that a caller left, or a call.
 * Which of the two, the path says; what came first does not matter. */
#include "common/log.h"
#include "control/webhooks/webhook.h"

#include <stdlib.h>

static int64_t read_duration_ms(const struct webhook *webhook)
{
    char text[16];
    webhook_text(webhook, "RecordingDuration", text, sizeof text);
    size_t digits = strspn(text, "0123456789");
    return digits && !text[digits] ? strtoll(text, NULL, 10) * 1000 : -1;
}

static enum metrics_outcome take(struct webhook *webhook, const char *kind)
{
    struct webhook_fields fields;
    struct calls_taken taken;
    char sid[64], url[1024], status[32];
    webhook_read(webhook, &fields);
    struct calls_recording recording = {
        .kind = kind,
        .sid = webhook_text(webhook, "RecordingSid", sid, sizeof sid),
        .url = webhook_text(webhook, "RecordingUrl", url, sizeof url),
        .status = webhook_text(webhook, "RecordingStatus", status, sizeof status),
        .duration_ms = read_duration_ms(webhook)};
    enum db_result result = calls_recording(webhook->db, &fields.fields, &recording, &taken);
    if (result == DB_OK)
        log_info("recording", log_text("kind", kind), log_text("status", status),
                 log_text("recording_sid", sid),
                 log_text("organization", taken.organization[0] ? taken.organization : NULL),
                 log_text("conversation", taken.conversation[0] ? taken.conversation : NULL),
                 log_text("result", calls_found_name(taken.found)));
    webhook_fields_free(&fields);
    if (result != DB_OK)
        return webhook_callback_failed(webhook, result);
    return webhook_callback_taken(webhook, taken.found, !taken.stored);
}

enum metrics_outcome recording_status_answer(struct webhook *webhook)
{
    return take(webhook, "recording");
}

enum metrics_outcome voicemail_recording_answer(struct webhook *webhook)
{
    return take(webhook, "voicemail");
}
