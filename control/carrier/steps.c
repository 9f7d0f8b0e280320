#include "control/carrier/steps.h"

#include "common/panic.h"
#include "control/carrier/steps_inner.h"
#include "control/carrier/transfer_twiml.h"

#include <ctype.h>
#include <stdio.h>

#define STEP_PATH   "/api/twilio/call-step"
#define WAIT_PATH   "/api/twilio/queue-wait"
#define AGENT_PATH  "/api/twilio/incoming-call?at=agent#rc=3&rp=all"
#define STATUS_PATH "/api/twilio/status-callback#rc=5&rp=all"
#define CALLBACKS   "#rc=5&rp=all"

#define NOBODY "We are sorry, nobody can take your call right now. Please try again later."

/* ---- reading ---- */

static unsigned number_of(const json_t *step, const char *name, unsigned otherwise)
{
    const json_t *value = json_object_get(step, name);
    return json_is_integer(value) ? (unsigned)json_integer_value(value) : otherwise;
}

/* ---- places ---- */

const json_t *steps_at(const json_t *steps, const char *place)
{
    const json_t *at = steps;
    char ignored[128];
    while (*place && at) {
        char name[16];
        size_t bytes = strcspn(place, ".");
        if (bytes == 0 || bytes >= sizeof name)
            return NULL;
        memcpy(name, place, bytes);
        name[bytes] = '\0';
        at = json_object_get(at, name);
        place += bytes;
        if (*place == '.' && *++place == '\0')
            return NULL;
    }
    return at != steps && steps_check(at, ignored, sizeof ignored) ? at : NULL;
}

const char *steps_kind(const json_t *step)
{
    return step ? steps_text_of(step, "step") : "hangup";
}

static bool join(char next[STEPS_PLACE_BYTES_MAX], const char *place, const char *member)
{
    int length = snprintf(next, STEPS_PLACE_BYTES_MAX, "%s.%s", place, member);
    return length > 0 && length < STEPS_PLACE_BYTES_MAX;
}

/* ---- writing ---- */

/* Our own URL that says where the call is; '#' and '*' are keys, so they are escaped. */
static void write_url(char *url, size_t room, const struct steps_call *call, const char *path,
                      const char *place, unsigned tries)
{
    int length = snprintf(url, room, "%s%s?at=", call->public_url, path);
    assert(length > 0 && (size_t)length < room);
    size_t bytes = (size_t)length;
    for (; *place; place++) {
        bool plain = isalnum((unsigned char)*place) || *place == '.' || *place == '_';
        length =
            snprintf(url + bytes, room - bytes, plain ? "%c" : "%%%02X", (unsigned char)*place);
        bytes += (size_t)length;
        assert(bytes < room); /* places and the base are bounded */
    }
    if (call->transfer)
        snprintf(url + bytes, room - bytes, "&transfer=%s" CALLBACKS, call->transfer);
    else if (tries)
        snprintf(url + bytes, room - bytes, "&tries=%u" CALLBACKS, tries);
    else
        snprintf(url + bytes, room - bytes, CALLBACKS);
}

void steps_url(char url[STEPS_URL_BYTES], const struct steps_call *call, const char *place)
{
    write_url(url, STEPS_URL_BYTES, call, STEP_PATH, place, call->tries);
}

static void write_number(struct twiml *twiml, const char *name, unsigned number)
{
    char text[12];
    snprintf(text, sizeof text, "%u", number);
    twiml_attribute(twiml, name, text);
}

static void say(struct twiml *twiml, const char *sentence)
{
    if (sentence[0])
        twiml_say(twiml, sentence);
}

/* Calling the number that is being called would come back to us for ever. */
static bool loops(const json_t *step, const struct steps_call *call)
{
    const json_t *to = json_object_get(step, "to");
    size_t count = json_is_array(to) ? json_array_size(to) : 1;
    for (size_t i = 0; i < count; i++) {
        const char *number = json_string_value(json_is_array(to) ? json_array_get(to, i) : to);
        if (strcmp(number, call->to) == 0 || strcmp(number, call->from) == 0)
            return true;
    }
    return false;
}

static const char *choose_caller_id(const json_t *step, const struct steps_call *call)
{
    const char *wanted = steps_text_of(step, "caller_id");
    if (steps_is_number(wanted))
        return wanted;
    if (strcmp(wanted, "called") == 0 || !steps_is_number(call->from)) /* anonymous, SIP, a word */
        return call->to;
    return call->from;
}

bool steps_is_warm(const json_t *step)
{
    return strcmp(steps_kind(step), "dial") == 0 && json_is_true(json_object_get(step, "warm"));
}

/* A call that begins with us must come from a number of ours. */
const char *steps_warm_caller_id(const json_t *step, const struct steps_call *call)
{
    const char *wanted = steps_text_of(step, "caller_id");
    return steps_is_number(wanted) ? wanted : call->ours;
}

static void write_callee(struct twiml *twiml, const char *number, const char *status_url)
{
    twiml_begin(twiml, "Number");
    twiml_attribute(twiml, "statusCallback", status_url);
    twiml_attribute(twiml, "statusCallbackEvent", "initiated ringing answered completed");
    twiml_text(twiml, span_of(number));
    twiml_end(twiml);
}

static void write_dial(struct twiml *twiml, const json_t *step, const char *place,
                       const struct steps_call *call)
{
    char action[1024], status_url[600];
    const json_t *to = json_object_get(step, "to");
    write_url(action, sizeof action, call, STEP_PATH, place, 0);
    if (steps_is_warm(step) && call->transfer) {
        transfer_write_caller(twiml, step, call->public_url, call->transfer, action);
        return;
    }
    snprintf(status_url, sizeof status_url, "%s" STATUS_PATH, call->public_url);
    say(twiml, steps_text_of(step, "say"));
    twiml_begin(twiml, "Dial");
    twiml_attribute(twiml, "action", action);
    twiml_attribute(twiml, "answerOnBridge", "true");
    twiml_attribute(twiml, "callerId", choose_caller_id(step, call));
    write_number(twiml, "timeout", number_of(step, "ring_s", 25));
    write_number(twiml, "timeLimit", number_of(step, "limit_s", 14400));
    if (json_is_true(json_object_get(step, "record"))) {
        char recorded[600];
        snprintf(recorded, sizeof recorded, "%s/api/twilio/recording-status" CALLBACKS,
                 call->public_url);
        twiml_attribute(twiml, "record", "record-from-answer-dual");
        twiml_attribute(twiml, "recordingStatusCallback", recorded);
        twiml_attribute(twiml, "recordingStatusCallbackEvent", "in-progress completed absent");
    }
    if (json_is_string(to))
        write_callee(twiml, json_string_value(to), status_url);
    for (size_t i = 0; json_is_array(to) && i < json_array_size(to); i++)
        write_callee(twiml, json_string_value(json_array_get(to, i)), status_url);
    twiml_end(twiml);
}

static void write_voicemail(struct twiml *twiml, const json_t *step, const char *place,
                            const struct steps_call *call)
{
    char action[1024], recorded[600];
    const char *greeting = steps_text_of(step, "greeting");
    write_url(action, sizeof action, call, STEP_PATH, place, 0);
    snprintf(recorded, sizeof recorded, "%s/api/twilio/voicemail-recording" CALLBACKS,
             call->public_url);
    say(twiml, greeting[0] ? greeting : "Please leave a message after the tone.");
    twiml_begin(twiml, "Record");
    twiml_attribute(twiml, "action", action);
    write_number(twiml, "maxLength", number_of(step, "max_s", 120));
    twiml_attribute(twiml, "timeout", "5");
    twiml_attribute(twiml, "finishOnKey", "#");
    twiml_attribute(twiml, "playBeep", "true");
    twiml_attribute(twiml, "recordingStatusCallback", recorded);
    twiml_attribute(twiml, "recordingStatusCallbackEvent", "in-progress completed absent");
    twiml_end(twiml);
    twiml_say(twiml, "We did not get a message. Goodbye."); /* nothing recorded: no action */
    twiml_hangup(twiml);
}

static void write_menu(struct twiml *twiml, const json_t *step, const char *place,
                       const struct steps_call *call)
{
    char action[1024];
    write_url(action, sizeof action, call, STEP_PATH, place, call->tries);
    twiml_begin(twiml, "Gather");
    twiml_attribute(twiml, "input", "dtmf");
    twiml_attribute(twiml, "numDigits", "1");
    twiml_attribute(twiml, "finishOnKey", ""); /* '#' is a key like any other */
    write_number(twiml, "timeout", number_of(step, "wait_s", 5));
    twiml_attribute(twiml, "actionOnEmptyResult", "true");
    twiml_attribute(twiml, "action", action);
    twiml_say(twiml, steps_text_of(step, "say"));
    twiml_end(twiml);
}

/* The carrier's queues are the account's; an organisation's name in it keeps tenants apart. */
static void write_queue_name(struct twiml *twiml, const json_t *step, const struct steps_call *call)
{
    char name[64];
    snprintf(name, sizeof name, "%s-%s", call->organization, steps_text_of(step, "queue"));
    twiml_text(twiml, span_of(name));
}

static void write_queue(struct twiml *twiml, const json_t *step, const char *place,
                        const struct steps_call *call)
{
    char action[1024], wait[1024];
    write_url(action, sizeof action, call, STEP_PATH, place, 0);
    write_url(wait, sizeof wait, call, WAIT_PATH, place, 0);
    twiml_begin(twiml, "Enqueue");
    twiml_attribute(twiml, "action", action);
    twiml_attribute(twiml, "waitUrl", wait);
    write_queue_name(twiml, step, call);
    twiml_end(twiml);
}

static void write_pick_up(struct twiml *twiml, const json_t *step, const char *place,
                          const struct steps_call *call)
{
    char action[1024];
    write_url(action, sizeof action, call, STEP_PATH, place, 0);
    twiml_begin(twiml, "Dial");
    twiml_attribute(twiml, "action", action);
    twiml_attribute(twiml, "timeout", "5"); /* an empty queue is found out quickly */
    twiml_begin(twiml, "Queue");
    write_queue_name(twiml, step, call);
    twiml_end(twiml);
    twiml_end(twiml);
}

static void write_agent(struct twiml *twiml, const struct steps_call *call)
{
    char url[600];
    snprintf(url, sizeof url, "%s" AGENT_PATH, call->public_url);
    twiml_redirect(twiml, url);
}

static void write_reject(struct twiml *twiml, const json_t *step)
{
    twiml_begin(twiml, "Reject");
    twiml_attribute(twiml, "reason",
                    json_is_true(json_object_get(step, "busy")) ? "busy" : "rejected");
    twiml_end(twiml);
}

static void write_end(struct twiml *twiml, const char *sentence)
{
    say(twiml, sentence);
    twiml_hangup(twiml);
}

const json_t *steps_choose(const json_t *steps, const char *place, const struct steps_call *call,
                           char at[STEPS_PLACE_BYTES_MAX])
{
    const json_t *step = steps_at(steps, place);
    if (!span_copy_text(span_of(place), at, STEPS_PLACE_BYTES_MAX))
        return NULL;
    while (step && strcmp(steps_kind(step), "dial") == 0 && loops(step, call)) {
        char next[STEPS_PLACE_BYTES_MAX];
        if (!join(next, at, "else"))
            return NULL;
        step = steps_at(steps, next);
        memcpy(at, next, sizeof next);
    }
    return step;
}

void steps_write(struct twiml *twiml, const json_t *steps, const char *place,
                 const struct steps_call *call)
{
    char at[STEPS_PLACE_BYTES_MAX];
    const json_t *step = steps_choose(steps, place, call, at);
    const char *kind = steps_kind(step);
    if (strcmp(kind, "agent") == 0)
        write_agent(twiml, call);
    else if (strcmp(kind, "dial") == 0)
        write_dial(twiml, step, at, call);
    else if (strcmp(kind, "voicemail") == 0)
        write_voicemail(twiml, step, at, call);
    else if (strcmp(kind, "menu") == 0)
        write_menu(twiml, step, at, call);
    else if (strcmp(kind, "queue") == 0)
        write_queue(twiml, step, at, call);
    else if (strcmp(kind, "pick_up") == 0)
        write_pick_up(twiml, step, at, call);
    else if (strcmp(kind, "reject") == 0)
        write_reject(twiml, step);
    else
        write_end(twiml, step ? steps_text_of(step, "say") : steps_at(steps, place) ? NOBODY : "");
}

/* ---- what follows ---- */

static bool talked(const struct steps_result *result)
{
    bool done = strcmp(result->dial_status, "completed") == 0 ||
                strcmp(result->dial_status, "answered") == 0;
    return done && strcmp(result->bridged, "false") != 0; /* a screened call never met */
}

static enum steps_next otherwise(const json_t *step, const char *place,
                                 char next[STEPS_PLACE_BYTES_MAX])
{
    return json_object_get(step, "else") && join(next, place, "else") ? STEPS_GO : STEPS_NONE;
}

/* The carrier's words tell nothing here: whoever was in a conference has "answered". */
static enum steps_next follow_warm(const json_t *step, const char *place,
                                   const struct steps_result *result,
                                   char next[STEPS_PLACE_BYTES_MAX])
{
    if (strcmp(result->transfer, "returned") != 0)
        return STEPS_END;
    if (json_object_get(step, "else"))
        return otherwise(step, place, next);
    snprintf(next, STEPS_PLACE_BYTES_MAX, "%s", STEPS_AGENT);
    return STEPS_GO;
}

static enum steps_next follow_menu(const json_t *step, const char *place,
                                   const struct steps_result *result,
                                   char next[STEPS_PLACE_BYTES_MAX])
{
    char member[16];
    if (steps_is_key(result->digits) &&
        json_object_get(json_object_get(step, "keys"), result->digits)) {
        snprintf(member, sizeof member, "keys.%s", result->digits);
        return join(next, place, member) ? STEPS_GO : STEPS_NONE;
    }
    if (result->tries + 1 < number_of(step, "tries", 2))
        return STEPS_AGAIN;
    return otherwise(step, place, next);
}

enum steps_next steps_follow(const json_t *steps, const char *place,
                             const struct steps_result *result, char next[STEPS_PLACE_BYTES_MAX])
{
    const json_t *step = steps_at(steps, place);
    const char *kind = steps_kind(step);
    next[0] = '\0';
    if (strcmp(kind, "menu") == 0)
        return follow_menu(step, place, result, next);
    if (steps_is_warm(step) && result->transfer[0])
        return follow_warm(step, place, result, next);
    if (strcmp(kind, "dial") == 0 || strcmp(kind, "pick_up") == 0)
        return talked(result) ? STEPS_END : otherwise(step, place, next);
    if (strcmp(kind, "queue") == 0)
        return strcmp(result->queue, "bridged") == 0 || strcmp(result->queue, "hangup") == 0
                   ? STEPS_END
                   : otherwise(step, place, next);
    return STEPS_END;
}

const char *steps_farewell(const json_t *step, enum steps_next next)
{
    if (next == STEPS_NONE)
        return NOBODY;
    return strcmp(steps_kind(step), "voicemail") == 0 ? "Thank you. Goodbye." : NULL;
}
