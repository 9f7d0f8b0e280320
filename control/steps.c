#include "control/steps.h"

#include "common/panic.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define STEP_PATH   "/api/twilio/call-step"
#define WAIT_PATH   "/api/twilio/queue-wait"
#define AGENT_PATH  "/api/twilio/incoming-call?at=agent#rc=3&rp=all"
#define STATUS_PATH "/api/twilio/status-callback#rc=5&rp=all"
#define CALLBACKS   "#rc=5&rp=all"

#define NOBODY "We are sorry, nobody can take your call right now. Please try again later."

/* ---- reading ---- */

static const char *text_of(const json_t *step, const char *name)
{
    const char *text = json_string_value(json_object_get(step, name));
    return text ? text : "";
}

static unsigned number_of(const json_t *step, const char *name, unsigned otherwise)
{
    const json_t *value = json_object_get(step, name);
    return json_is_integer(value) ? (unsigned)json_integer_value(value) : otherwise;
}

static bool is_number(const char *text)
{
    size_t digits = text[0] == '+' ? strspn(text + 1, "0123456789") : 0;
    return digits >= 2 && digits <= 15 && text[1] != '0' && text[1 + digits] == '\0';
}

static bool is_key(const char *text)
{
    return text[0] && strchr("0123456789*#", text[0]) && text[1] == '\0';
}

/* ---- checking ---- */

struct check {
    char *error;
    size_t room;
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct check *check, const char *format,
                                                        ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(check->error, check->room, format, arguments);
    va_end(arguments);
    return false;
}

enum shape {
    SHAPE_TEXT,
    SHAPE_NUMBERS,
    SHAPE_CALLER,
    SHAPE_NAME,
    SHAPE_URL,
    SHAPE_INTEGER,
    SHAPE_YES,
    SHAPE_KEYS,
    SHAPE_STEP
};

/* Every member of every step, once: for the check and for its words. */
static const struct member {
    const char *step, *name;
    enum shape shape;
    bool needed;
    int min, max;
} members[] = {
    {"hangup", "say", SHAPE_TEXT, false, 0, 0},
    {"reject", "busy", SHAPE_YES, false, 0, 0},
    {"dial", "to", SHAPE_NUMBERS, true, 0, 0},
    {"dial", "ring_s", SHAPE_INTEGER, false, 5, 120},
    {"dial", "limit_s", SHAPE_INTEGER, false, 60, 14400},
    {"dial", "caller_id", SHAPE_CALLER, false, 0, 0},
    {"dial", "say", SHAPE_TEXT, false, 0, 0},
    {"dial", "record", SHAPE_YES, false, 0, 0},
    {"dial", "else", SHAPE_STEP, false, 0, 0},
    {"voicemail", "greeting", SHAPE_TEXT, false, 0, 0},
    {"voicemail", "max_s", SHAPE_INTEGER, false, 5, 3600},
    {"menu", "say", SHAPE_TEXT, true, 0, 0},
    {"menu", "keys", SHAPE_KEYS, true, 0, 0},
    {"menu", "wait_s", SHAPE_INTEGER, false, 1, 60},
    {"menu", "tries", SHAPE_INTEGER, false, 1, 5},
    {"menu", "else", SHAPE_STEP, false, 0, 0},
    {"queue", "queue", SHAPE_NAME, true, 0, 0},
    {"queue", "say", SHAPE_TEXT, false, 0, 0},
    {"queue", "music", SHAPE_URL, false, 0, 0},
    {"queue", "limit_s", SHAPE_INTEGER, false, 10, 14400},
    {"queue", "else", SHAPE_STEP, false, 0, 0},
    {"pick_up", "queue", SHAPE_NAME, true, 0, 0},
    {"pick_up", "else", SHAPE_STEP, false, 0, 0},
};
#define MEMBERS (sizeof members / sizeof members[0])

static const char *const kinds[] = {"agent",     "hangup", "reject", "dial",
                                    "voicemail", "menu",   "queue",  "pick_up"};

static bool check_step(struct check *check, const json_t *step, unsigned depth);

static bool check_numbers(struct check *check, const json_t *value)
{
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    if (count < 1 || count > STEPS_NUMBERS_MAX)
        return wrong(check, "dial: \"to\" is one number or a list of at most %d",
                     STEPS_NUMBERS_MAX);
    for (size_t i = 0; i < count; i++) {
        const char *number =
            json_string_value(json_is_array(value) ? json_array_get(value, i) : value);
        if (!number || !is_number(number))
            return wrong(check, "dial: \"to\" holds something that is no number in E.164, "
                                "e.g. +15550100");
    }
    return true;
}

static bool check_keys(struct check *check, json_t *keys, unsigned depth)
{
    const char *key;
    json_t *step;
    if (!json_is_object(keys) || json_object_size(keys) == 0)
        return wrong(check, "menu: \"keys\" is an object such as {\"1\": {\"step\": \"agent\"}}");
    json_object_foreach(keys, key, step)
    {
        if (!is_key(key))
            return wrong(check, "menu: \"%.8s\" is not a key: one of 0 to 9, * and #", key);
        if (!check_step(check, step, depth + 1))
            return false;
    }
    return true;
}

/* A queue's name is part of the carrier's, which is bounded. */
static bool is_name(const char *text)
{
    size_t bytes = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return bytes > 0 && bytes <= 24 && text[bytes] == '\0';
}

static bool check_member(struct check *check, const struct member *member, json_t *value,
                         unsigned depth)
{
    const char *text = json_string_value(value);
    switch (member->shape) {
    case SHAPE_TEXT:
        return (text && strlen(text) <= STEPS_TEXT_BYTES_MAX) ||
               wrong(check, "%s: \"%s\" is a text of at most %d bytes", member->step, member->name,
                     STEPS_TEXT_BYTES_MAX);
    case SHAPE_NUMBERS:
        return check_numbers(check, value);
    case SHAPE_CALLER:
        return (text &&
                (strcmp(text, "caller") == 0 || strcmp(text, "called") == 0 || is_number(text))) ||
               wrong(check, "dial: \"caller_id\" is \"caller\", \"called\" or a number of yours");
    case SHAPE_NAME:
        return (text && is_name(text)) ||
               wrong(check, "%s: \"queue\" is 1 to 24 of a-z, 0-9 and -", member->step);
    case SHAPE_URL:
        return (text && strncmp(text, "https://", 8) == 0 && strlen(text) <= 500) ||
               wrong(check, "%s: \"%s\" is an https URL", member->step, member->name);
    case SHAPE_INTEGER:
        return (json_is_integer(value) && json_integer_value(value) >= member->min &&
                json_integer_value(value) <= member->max) ||
               wrong(check, "%s: \"%s\" is a number from %d to %d", member->step, member->name,
                     member->min, member->max);
    case SHAPE_YES:
        return json_is_boolean(value) ||
               wrong(check, "%s: \"%s\" is true or false", member->step, member->name);
    case SHAPE_KEYS:
        return check_keys(check, value, depth);
    case SHAPE_STEP:
        return check_step(check, value, depth + 1);
    }
    return false;
}

static const struct member *find_member(const char *step, const char *name)
{
    for (size_t i = 0; i < MEMBERS; i++)
        if (strcmp(members[i].step, step) == 0 && strcmp(members[i].name, name) == 0)
            return &members[i];
    return NULL;
}

static bool is_kind(const char *text)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i], text) == 0)
            return true;
    return false;
}

static bool check_step(struct check *check, const json_t *step, unsigned depth)
{
    const char *kind = text_of(step, "step"), *name;
    json_t *value;
    if (depth > STEPS_DEPTH_MAX)
        return wrong(check, "steps are nested deeper than %d", STEPS_DEPTH_MAX);
    if (!is_kind(kind))
        return wrong(check, "\"step\" is one of agent, hangup, reject, dial, voicemail, menu, "
                            "queue and pick_up");
    if (depth > 1 && strcmp(kind, "reject") == 0)
        return wrong(check, "reject is for the beginning of a call only");
    json_object_foreach((json_t *)(uintptr_t)step, name, value)
    {
        const struct member *member = find_member(kind, name);
        if (strcmp(name, "step") == 0)
            continue;
        if (!member)
            return wrong(check, "%s has no \"%.40s\"", kind, name);
        if (!check_member(check, member, value, depth))
            return false;
    }
    for (size_t i = 0; i < MEMBERS; i++)
        if (members[i].needed && strcmp(members[i].step, kind) == 0 &&
            !json_object_get(step, members[i].name))
            return wrong(check, "%s needs \"%s\"", kind, members[i].name);
    return true;
}

bool steps_check(const json_t *step, char *error, size_t room)
{
    struct check check = {error, room};
    if (!json_is_object(step))
        return wrong(&check, "a step is a JSON object such as {\"step\": \"agent\"}");
    return check_step(&check, step, 1);
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
    return step ? text_of(step, "step") : "hangup";
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
    if (tries)
        snprintf(url + bytes, room - bytes, "&tries=%u" CALLBACKS, tries);
    else
        snprintf(url + bytes, room - bytes, CALLBACKS);
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
    const char *wanted = text_of(step, "caller_id");
    if (is_number(wanted))
        return wanted;
    if (strcmp(wanted, "called") == 0 || !is_number(call->from)) /* anonymous, SIP, a word */
        return call->to;
    return call->from;
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
    snprintf(status_url, sizeof status_url, "%s" STATUS_PATH, call->public_url);
    say(twiml, text_of(step, "say"));
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
    const char *greeting = text_of(step, "greeting");
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
    twiml_say(twiml, text_of(step, "say"));
    twiml_end(twiml);
}

/* The carrier's queues are the account's; an organisation's name in it keeps tenants apart. */
static void write_queue_name(struct twiml *twiml, const json_t *step, const struct steps_call *call)
{
    char name[64];
    snprintf(name, sizeof name, "%s-%s", call->organization, text_of(step, "queue"));
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

void steps_write(struct twiml *twiml, const json_t *steps, const char *place,
                 const struct steps_call *call)
{
    char at[STEPS_PLACE_BYTES_MAX];
    const json_t *step = steps_at(steps, place);
    bool passed = false, here = span_copy_text(span_of(place), at, sizeof at);
    while (here && step && strcmp(steps_kind(step), "dial") == 0 && loops(step, call)) {
        char next[STEPS_PLACE_BYTES_MAX];
        passed = true;
        here = join(next, at, "else");
        step = here ? steps_at(steps, next) : NULL;
        memcpy(at, next, sizeof at);
    }
    const char *kind = steps_kind(here ? step : NULL);
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
        write_end(twiml, step ? text_of(step, "say") : passed ? NOBODY : "");
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

static enum steps_next follow_menu(const json_t *step, const char *place,
                                   const struct steps_result *result,
                                   char next[STEPS_PLACE_BYTES_MAX])
{
    char member[16];
    if (is_key(result->digits) && json_object_get(json_object_get(step, "keys"), result->digits)) {
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
