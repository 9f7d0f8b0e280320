/* incoming_sms: somebody has sent a text message. It is put on record, once, and answered with an
 * empty document: no reply. Whoever numbers send their messages to must take them, or what callers
 * write is lost. */
#include "common/log.h"
#include "control/store/messages.h"
#include "control/webhooks/webhook.h"

#include <stdlib.h>

#define BODY_BYTES 8192 /* 1,600 characters, and more than any carrier sends */

static void answer_nothing(struct webhook *webhook)
{
    struct twiml twiml;
    response_twiml(webhook->response, &twiml);
    response_twiml_done(webhook->response, &twiml);
}

static enum metrics_outcome judge(struct webhook *webhook, const struct messages_taken *taken)
{
    switch (taken->found) {
    case CALLS_WRONG_ACCOUNT:
        response_sentence(webhook->response, 403, "This account may not speak for that number.");
        return OUTCOME_wrong_account;
    case CALLS_FOUND:
        answer_nothing(webhook);
        return taken->stored ? OUTCOME_answered : OUTCOME_repeated;
    case CALLS_UNKNOWN_NUMBER:
        answer_nothing(webhook); /* sending it again would change nothing */
        return OUTCOME_unknown_number;
    case CALLS_UNKNOWN_CALL:
    case CALLS_DOUBLE:
    case CALLS_INVALID:
        break;
    }
    response_sentence(webhook->response, 400, "MessageSid or AccountSid is not one.");
    return OUTCOME_malformed;
}

/* Kept in the journal, it is as good as taken. */
static enum metrics_outcome fail(struct webhook *webhook, enum db_result result)
{
    enum metrics_outcome outcome = webhook_callback_failed(webhook, result);
    if (outcome == OUTCOME_kept)
        answer_nothing(webhook);
    return outcome;
}

enum metrics_outcome incoming_sms_answer(struct webhook *webhook)
{
    struct webhook_fields fields;
    struct messages_taken taken;
    char sid[64], body[BODY_BYTES], media[8], to[8];
    webhook_read(webhook, &fields);
    webhook_text(webhook, "NumMedia", media, sizeof media);
    struct messages_received text = {.account_sid = fields.account_sid,
                                     .message_sid =
                                         webhook_text(webhook, "MessageSid", sid, sizeof sid),
                                     .from = fields.from,
                                     .to = fields.to,
                                     .body = webhook_text(webhook, "Body", body, sizeof body),
                                     .media = strtol(media, NULL, 10),
                                     .parameters_json = fields.parameters_json,
                                     .timestamp = fields.fields.timestamp};
    enum db_result result = messages_receive(webhook->db, &text, &taken);
    if (result == DB_OK)
        log_info("text message received", log_text("message_sid", sid),
                 log_text("organization", taken.organization[0] ? taken.organization : NULL),
                 log_text("to", webhook_shorten(fields.to, to)),
                 log_text("result", calls_found_name(taken.found)),
                 log_text("repeated", taken.stored ? NULL : "yes"));
    webhook_fields_free(&fields);
    return result == DB_OK ? judge(webhook, &taken) : fail(webhook, result);
}
