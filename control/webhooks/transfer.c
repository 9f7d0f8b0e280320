/* transfer: the questions of a warm transfer (sql/0013). The caller's leg asks for music, the
 * person's leg what to do and what its key means; both tell how far they are, and so does the
 * conference. Each is answered from the transfer's row, so a repetition gets the same answer. */
#include "common/log.h"
#include "control/carrier/transfer_twiml.h"
#include "control/store/transfers.h"
#include "control/webhooks/webhook.h"

#include <stdlib.h>

#define NOBODY_WAITS "The caller is no longer waiting. Goodbye."

enum db_result transfer_begin(struct webhook *webhook, const struct webhook_fields *fields,
                              const json_t *step, const char *place, const char *from,
                              char id[CALLS_UUID_TEXT])
{
    char *text = json_dumps(step, JSON_COMPACT);
    const struct transfers_wish wish = {.account_sid = fields->account_sid,
                                        .call_sid = fields->call_sid,
                                        .place = place,
                                        .step_json = text,
                                        .from = from,
                                        .to = json_string_value(json_object_get(step, "to")),
                                        .patience_s = transfer_patience_s(step)};
    enum db_result result = transfers_begin(webhook->db, &wish, id);
    free(text);
    log_at(result == DB_OK ? LOG_INFO : LOG_WARN, "transfer begins",
           log_text("transfer", id[0] ? id : NULL), log_text("place", place),
           log_text("call_sid", fields->call_sid), log_text("result", db_result_name(result)),
           log_text("error", result == DB_OK ? NULL : db_error(webhook->db)));
    return result;
}

enum db_result transfer_leave(struct webhook *webhook, const struct webhook_fields *fields,
                              const char *id, char state[16])
{
    struct transfers_taken taken;
    enum db_result result =
        transfers_take(webhook->db, &fields->fields, id, "left", fields->idempotency_token, &taken);
    snprintf(state, 16, "%s", taken.found == CALLS_FOUND ? taken.state : "");
    transfers_taken_free(&taken);
    return result;
}

/* ---- questions ---- */

struct question {
    struct webhook_fields fields;
    struct transfers_taken taken;
    char transfer[CALLS_UUID_TEXT];
    json_t *step;
};

/* OUTCOME_answered: known; everything else was answered already. */
static enum metrics_outcome ask(struct webhook *webhook, const char *event, const char *key,
                                struct question *question)
{
    webhook_query(webhook, "transfer", question->transfer, sizeof question->transfer);
    webhook_read(webhook, &question->fields);
    enum db_result result = transfers_take(webhook->db, &question->fields.fields,
                                           question->transfer, event, key, &question->taken);
    if (result == DB_AWAY || result == DB_BUSY)
        return webhook_answer_softly(webhook);
    if (result != DB_OK) {
        log_error("transfer not known", log_text("result", db_result_name(result)),
                  log_text("error", db_error(webhook->db)));
        webhook_say_goodbye(webhook, NULL);
        return OUTCOME_failed;
    }
    if (question->taken.found == CALLS_WRONG_ACCOUNT)
        return webhook_refuse_account(webhook);
    if (question->taken.found != CALLS_FOUND) {
        webhook_say_goodbye(webhook, NULL);
        return OUTCOME_unknown_call;
    }
    question->step = json_loads(question->taken.step_json, 0, NULL);
    log_info("transfer", log_text("event", event), log_text("transfer", question->transfer),
             log_text("state", question->taken.state),
             log_text("reason", question->taken.reason[0] ? question->taken.reason : NULL),
             log_text("organization", question->taken.organization),
             log_text("conversation", question->taken.conversation));
    return OUTCOME_answered;
}

static void forget(struct question *question)
{
    json_decref(question->step);
    transfers_taken_free(&question->taken);
    webhook_fields_free(&question->fields);
}

static bool is_in(const struct question *question, const char *state)
{
    return strcmp(question->taken.state, state) == 0;
}

/* The caller's music is through, or he has just come in. */
enum metrics_outcome transfer_wait_answer(struct webhook *webhook)
{
    struct question question = {.step = NULL};
    struct twiml twiml;
    enum metrics_outcome outcome = ask(webhook, "wait", "-", &question);
    if (outcome == OUTCOME_answered) {
        response_twiml(webhook->response, &twiml);
        transfer_write_music(&twiml, question.step);
        response_twiml_done(webhook->response, &twiml);
    }
    forget(&question);
    return outcome;
}

static void write_question(struct webhook *webhook, const struct question *question, unsigned tries)
{
    struct twiml twiml;
    response_twiml(webhook->response, &twiml);
    transfer_write_question(&twiml, question->step, webhook->service->options->public_url,
                            question->transfer, tries);
    response_twiml_done(webhook->response, &twiml);
}

static void write_way(struct webhook *webhook, const struct question *question)
{
    struct twiml twiml;
    response_twiml(webhook->response, &twiml);
    transfer_write_callee(&twiml, webhook->service->options->public_url, question->transfer);
    response_twiml_done(webhook->response, &twiml);
}

/* The person has answered the telephone. */
enum metrics_outcome transfer_answered_answer(struct webhook *webhook)
{
    struct question question = {.step = NULL};
    enum metrics_outcome outcome = ask(webhook, "answered", "-", &question);
    if (outcome == OUTCOME_answered && is_in(&question, "asked"))
        write_question(webhook, &question, 0);
    else if (outcome == OUTCOME_answered)
        webhook_say_goodbye(webhook, NOBODY_WAITS);
    forget(&question);
    return outcome;
}

static const char *name_decision(const char *digits, unsigned tries)
{
    if (strcmp(digits, "1") == 0)
        return "accept";
    if (strcmp(digits, "2") == 0)
        return "refuse";
    return tries + 1 < TRANSFER_ASKS ? "answered" : "silent"; /* asked once more, or enough */
}

static void answer_decision(struct webhook *webhook, const struct question *question,
                            const char *decision, unsigned tries)
{
    bool accepts = strcmp(decision, "accept") == 0;
    if (accepts && (is_in(question, "accepted") || is_in(question, "joined")))
        write_way(webhook, question);
    else if (strcmp(decision, "answered") == 0 && is_in(question, "asked"))
        write_question(webhook, question, tries + 1);
    else
        webhook_say_goodbye(webhook, accepts ? NOBODY_WAITS : "Goodbye.");
}

/* The person has pressed a key, or none. */
enum metrics_outcome transfer_decision_answer(struct webhook *webhook)
{
    struct question question = {.step = NULL};
    char digits[8], said[8], key[8];
    webhook_query(webhook, "tries", said, sizeof said);
    unsigned tries = (unsigned)(strtoul(said, NULL, 10) % 100);
    const char *decision =
        name_decision(webhook_text(webhook, "Digits", digits, sizeof digits), tries);
    snprintf(key, sizeof key, "%u", tries);
    enum metrics_outcome outcome = ask(webhook, decision, key, &question);
    if (outcome == OUTCOME_answered)
        answer_decision(webhook, &question, decision, tries);
    forget(&question);
    return outcome;
}

/* ---- callbacks ---- */

static enum metrics_outcome take(struct webhook *webhook, const char *event, const char *key)
{
    struct webhook_fields fields;
    struct transfers_taken taken;
    char transfer[CALLS_UUID_TEXT];
    webhook_query(webhook, "transfer", transfer, sizeof transfer);
    webhook_read(webhook, &fields);
    enum db_result result =
        transfers_take(webhook->db, &fields.fields, transfer, event, key, &taken);
    enum calls_found found = taken.found;
    bool repeated = !taken.stored;
    if (result == DB_OK)
        log_info("transfer", log_text("event", event), log_text("key", key),
                 log_text("transfer", transfer), log_text("status", fields.status),
                 log_text("state", taken.state),
                 log_text("reason", taken.reason[0] ? taken.reason : NULL),
                 log_text("conversation", taken.conversation[0] ? taken.conversation : NULL),
                 log_text("result", calls_found_name(found)));
    transfers_taken_free(&taken);
    webhook_fields_free(&fields);
    if (result != DB_OK)
        return webhook_callback_failed(webhook, result);
    return webhook_callback_taken(webhook, found, repeated);
}

enum metrics_outcome transfer_status_answer(struct webhook *webhook)
{
    return take(webhook, "status", "-");
}

enum metrics_outcome conference_status_answer(struct webhook *webhook)
{
    char key[160], event[48], sequence[16], call_sid[40];
    webhook_text(webhook, "StatusCallbackEvent", event, sizeof event);
    webhook_text(webhook, "SequenceNumber", sequence, sizeof sequence);
    webhook_text(webhook, "CallSid", call_sid, sizeof call_sid);
    snprintf(key, sizeof key, "%s/%s/%s", event, call_sid, sequence);
    return take(webhook, "conference", key);
}
