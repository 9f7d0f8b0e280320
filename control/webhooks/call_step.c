/* call_step: a verb of ours is done (a Dial, a Record, a Gather, an Enqueue) and the carrier asks
 * what next; and what it plays to those who wait. Both are answered from the call's row and the
 * question alone, so a repetition gets the same answer. */
#include "common/log.h"
#include "control/carrier/steps.h"
#include "control/webhooks/webhook.h"

#include <stdlib.h>

#define WAIT_SAY_EVERY_S 30

/* The place of our own URL: "at", undone of its escapes by the form's rules. */
static bool read_place(const struct webhook *webhook, char place[STEPS_PLACE_BYTES_MAX],
                       unsigned *tries)
{
    struct form query;
    char text[8];
    if (form_read(webhook->request->query, &query) != FAULT_NONE)
        return false;
    bool read = form_text(&query, "at", place, STEPS_PLACE_BYTES_MAX);
    *tries = form_text(&query, "tries", text, sizeof text) ? (unsigned)strtoul(text, NULL, 10) : 0;
    form_free(&query);
    return read;
}

struct question {
    struct webhook_fields fields;
    struct calls_next next;
    char place[STEPS_PLACE_BYTES_MAX];
    char transfer[CALLS_UUID_TEXT], transfer_state[16]; /* of a warm one that is over, or "" */
    unsigned tries;
    json_t *steps;
};

/* With the place that every call has. */
static json_t *read_steps(const struct calls_next *next)
{
    json_t *steps = json_loads(next->steps_json, 0, NULL);
    if (steps)
        json_object_set_new(steps, STEPS_AGENT, json_pack("{s:s}", "step", "agent"));
    return steps;
}

/* The database is away: a caller who has waited for a while goes on by what is remembered of the
 * number's steps, when his place is in them. */
static enum metrics_outcome ask_without(struct webhook *webhook, struct question *question)
{
    calls_next_free(&question->next);
    if (!webhook_recall_steps(webhook, &question->fields, &question->next))
        return webhook_answer_softly(webhook);
    question->steps = read_steps(&question->next);
    if (question->transfer[0]) /* whether they talked is not known: nobody is hung up on */
        snprintf(question->transfer_state, sizeof question->transfer_state, "returned");
    return steps_at(question->steps, question->place) ? OUTCOME_remembered
                                                      : webhook_answer_softly(webhook);
}

/* OUTCOME_answered, OUTCOME_remembered: the call is known; everything else was answered already. */
static enum metrics_outcome ask(struct webhook *webhook, const char *event,
                                struct question *question)
{
    char key[STEPS_PLACE_BYTES_MAX + CALLS_UUID_TEXT];
    if (!read_place(webhook, question->place, &question->tries))
        return webhook_refuse_fields(webhook);
    webhook_read(webhook, &question->fields);
    webhook_query(webhook, "transfer", question->transfer, sizeof question->transfer);
    if (question->transfer[0])
        snprintf(key, sizeof key, "%s/%s", question->place, question->transfer);
    else
        snprintf(key, sizeof key, "%s/%u", question->place, question->tries);
    enum db_result result = DB_OK;
    if (question->transfer[0])
        result = transfer_leave(webhook, &question->fields, question->transfer,
                                question->transfer_state);
    if (result == DB_OK)
        result = calls_step(webhook->db, &question->fields.fields, event, key, &question->next);
    if (result == DB_AWAY || result == DB_BUSY)
        return ask_without(webhook, question);
    if (result != DB_OK) {
        log_error("next step not known", log_text("result", db_result_name(result)),
                  log_text("error", db_error(webhook->db)));
        webhook_say_goodbye(webhook, NULL);
        return OUTCOME_failed;
    }
    if (question->next.found == CALLS_WRONG_ACCOUNT)
        return webhook_refuse_account(webhook);
    if (question->next.found == CALLS_INVALID)
        return webhook_refuse_fields(webhook);
    if (question->next.found != CALLS_FOUND) {
        webhook_say_goodbye(webhook, NULL);
        return OUTCOME_unknown_call;
    }
    question->steps = read_steps(&question->next);
    return OUTCOME_answered;
}

static void forget(struct question *question)
{
    json_decref(question->steps);
    calls_next_free(&question->next);
    webhook_fields_free(&question->fields);
}

/* A warm transfer begins before the answer that leads the caller into it. While the database is
 * away it cannot begin, and the caller is asked for a moment's patience: false. */
static bool begin_transfer(struct webhook *webhook, const struct webhook_fields *fields,
                           const json_t *steps, const char *place, struct steps_call *call,
                           char id[CALLS_UUID_TEXT])
{
    char at[STEPS_PLACE_BYTES_MAX];
    const json_t *step = steps_choose(steps, place, call, at);
    if (!steps_is_warm(step))
        return true;
    enum db_result result =
        transfer_begin(webhook, fields, step, at, steps_warm_caller_id(step, call), id);
    if (result == DB_AWAY || result == DB_BUSY)
        return false;
    call->transfer = id[0] ? id : NULL; /* none: the dial is a cold one */
    return true;
}

void webhook_answer_step(struct webhook *webhook, const struct webhook_fields *fields,
                         const char *organization, const json_t *steps, const char *place,
                         unsigned tries)
{
    struct twiml twiml;
    char transfer[CALLS_UUID_TEXT];
    struct steps_call call = {.public_url = webhook->service->options->public_url,
                              .organization = organization,
                              .from = fields->from,
                              .to = fields->to,
                              .ours = strncmp(fields->direction, "outbound", 8) == 0 ? fields->from
                                                                                     : fields->to,
                              .tries = tries};
    if (!begin_transfer(webhook, fields, steps, place, &call, transfer)) {
        webhook_answer_softly(webhook);
        return;
    }
    response_twiml(webhook->response, &twiml);
    steps_write(&twiml, steps, place, &call);
    response_twiml_done(webhook->response, &twiml);
}

static void answer_step(struct webhook *webhook, struct question *question)
{
    char status[32], bridged[8], digits[32], recording[512], queue[32];
    char next[STEPS_PLACE_BYTES_MAX];
    struct steps_result result = {
        .dial_status = webhook_text(webhook, "DialCallStatus", status, sizeof status),
        .bridged = webhook_text(webhook, "DialBridged", bridged, sizeof bridged),
        .digits = webhook_text(webhook, "Digits", digits, sizeof digits),
        .recording = webhook_text(webhook, "RecordingUrl", recording, sizeof recording),
        .queue = webhook_text(webhook, "QueueResult", queue, sizeof queue),
        .transfer = question->transfer_state,
        .tries = question->tries};
    const json_t *step = steps_at(question->steps, question->place);
    enum steps_next follow = steps_follow(question->steps, question->place, &result, next);
    if (!step && strcmp(question->transfer_state, "returned") == 0) { /* a late repetition */
        snprintf(next, sizeof next, "%s", STEPS_AGENT);
        follow = STEPS_GO;
    }
    const char *organization = question->next.organization;
    if (follow == STEPS_GO)
        webhook_answer_step(webhook, &question->fields, organization, question->steps, next, 0);
    else if (follow == STEPS_AGAIN)
        webhook_answer_step(webhook, &question->fields, organization, question->steps,
                            question->place, question->tries + 1);
    else
        webhook_say_goodbye(webhook, steps_farewell(step, follow));
    log_info(
        "call step done", log_text("step", steps_kind(step)), log_text("place", question->place),
        log_text("next", next[0] ? next : NULL), log_text("dial_status", status[0] ? status : NULL),
        log_text("queue_result", queue[0] ? queue : NULL),
        log_text("transfer", question->transfer[0] ? question->transfer : NULL),
        log_text("transfer_state", question->transfer_state[0] ? question->transfer_state : NULL),
        log_text("organization", organization),
        log_text("conversation", question->next.conversation),
        log_text("call_sid", question->fields.call_sid));
}

enum metrics_outcome call_step_answer(struct webhook *webhook)
{
    struct question question = {.steps = NULL};
    enum metrics_outcome outcome = ask(webhook, "step", &question);
    if (outcome == OUTCOME_answered || outcome == OUTCOME_remembered)
        answer_step(webhook, &question);
    forget(&question);
    return outcome;
}

/* ---- waiting ---- */

static void write_wait(struct twiml *twiml, const json_t *step, const char *position)
{
    char words[64];
    const char *music = json_string_value(json_object_get(step, "music"));
    const char *say = json_string_value(json_object_get(step, "say"));
    twiml_say(twiml, say ? say : "Please hold the line.");
    if (position[0] && strspn(position, "0123456789") == strlen(position) && strlen(position) < 6) {
        snprintf(words, sizeof words, "You are number %s in the queue.", position);
        twiml_say(twiml, words);
    }
    if (!music) {
        twiml_pause(twiml, WAIT_SAY_EVERY_S);
        return;
    }
    twiml_begin(twiml, "Play");
    twiml_text(twiml, span_of(music));
    twiml_end(twiml);
}

/* The carrier asks again whenever the document is through; who has waited too long leaves. */
static void answer_wait(struct webhook *webhook, const struct question *question)
{
    struct twiml twiml;
    char position[16], waited[16];
    const json_t *step = steps_at(question->steps, question->place);
    const json_t *limit = json_object_get(step, "limit_s");
    webhook_text(webhook, "QueuePosition", position, sizeof position);
    webhook_text(webhook, "QueueTime", waited, sizeof waited);
    bool enough = strtol(waited, NULL, 10) >= (limit ? json_integer_value(limit) : 1800);
    response_twiml(webhook->response, &twiml);
    if (!step || enough) {
        twiml_begin(&twiml, "Leave");
        twiml_end(&twiml);
    } else {
        write_wait(&twiml, step, position);
    }
    response_twiml_done(webhook->response, &twiml);
}

enum metrics_outcome queue_wait_answer(struct webhook *webhook)
{
    struct question question = {.steps = NULL};
    enum metrics_outcome outcome = ask(webhook, "wait", &question);
    if (outcome == OUTCOME_answered || outcome == OUTCOME_remembered)
        answer_wait(webhook, &question);
    forget(&question);
    return outcome;
}
