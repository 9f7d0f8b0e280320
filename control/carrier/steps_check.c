/* steps_check: is this a step as an organisation may write it? */
#include "control/carrier/steps_inner.h"

#include <stdarg.h>
#include <stdio.h>

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
    {"dial", "warm", SHAPE_YES, false, 0, 0},
    {"dial", "briefing", SHAPE_TEXT, false, 0, 0},
    {"dial", "music", SHAPE_URL, false, 0, 0},
    {"dial", "accept_s", SHAPE_INTEGER, false, 3, 60},
    {"dial", "back", SHAPE_TEXT, false, 0, 0},
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
        if (!number || !steps_is_number(number))
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
        if (!steps_is_key(key))
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
        return (text && (strcmp(text, "caller") == 0 || strcmp(text, "called") == 0 ||
                         steps_is_number(text))) ||
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

static bool check_warm(struct check *check, const json_t *step)
{
    static const char *const only[] = {"briefing", "music", "accept_s", "back"};
    if (steps_is_warm(step)) {
        if (json_object_get(step, "record"))
            return wrong(check, "dial: a warm one has no \"record\"");
        return json_is_string(json_object_get(step, "to")) ||
               wrong(check, "dial: a warm one has one number in \"to\"");
    }
    for (size_t i = 0; i < sizeof only / sizeof only[0]; i++)
        if (json_object_get(step, only[i]))
            return wrong(check, "dial: \"%s\" goes with \"warm\": true", only[i]);
    return true;
}

static bool check_step(struct check *check, const json_t *step, unsigned depth)
{
    const char *kind = steps_text_of(step, "step"), *name;
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
    return check_warm(check, step);
}

bool steps_check(const json_t *step, char *error, size_t room)
{
    struct check check = {error, room};
    if (!json_is_object(step))
        return wrong(&check, "a step is a JSON object such as {\"step\": \"agent\"}");
    return check_step(&check, step, 1);
}
