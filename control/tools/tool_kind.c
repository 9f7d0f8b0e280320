#include "control/tools/tool_kind.h"

#include "common/panic.h"
#include "control/carrier/steps.h"

#include <stdio.h>
#include <string.h>

#define DESTINATIONS_MAX 32
#define URL_BYTES_MAX    2000

#define OBJECT(members) "{\"type\":\"object\",\"properties\":{" members "}}"
#define NEEDING(needed, members)                                                                   \
    "{\"type\":\"object\",\"required\":[" needed "],\"properties\":{" members "}}"
#define TEXT(name, max) "\"" name "\":{\"type\":\"string\",\"maxLength\":" #max "}"
#define NEEDED_TEXT(name, max)                                                                     \
    "\"" name "\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":" #max "}"
#define REMARKED(name, format, remark)                                                             \
    "\"" name "\":{\"type\":\"string\"" format ",\"description\":\"" remark "\"}"
#define WHOLE(name, max) "\"" name "\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":" #max "}"

/* Of transfer, where somebody is called who hears it before the caller. */
#define BRIEFING                                                                                   \
    "{\"type\":\"string\",\"maxLength\":1000,\"description\":\"What the person hears before the "  \
    "caller: who calls and what about, in a sentence or two\"}"

static const struct kind {
    const char *name, *description, *parameters;
} kinds[] = {
    [TOOL_HTTP] = {"http", NULL, NULL},
    [TOOL_END_CALL] = {"end_call", "Hangs up. Say goodbye first; the caller hears it to its end.",
                       OBJECT(TEXT("reason", 500))},
    [TOOL_TRANSFER] = {"transfer",
                       "Connects the caller with a person. Say that you do so first; your part of "
                       "the call is over then.",
                       NEEDING("\"to\"", "\"to\":{\"type\":\"string\"}," TEXT("reason", 500))},
    [TOOL_SEND_SMS] = {"send_sms", "Sends a text message to the caller's phone.",
                       NEEDING("\"text\"",
                               NEEDED_TEXT("text", 1600) "," REMARKED(
                                   "to", "",
                                   "Only if it is another number than the caller's: with the "
                                   "country, e.g. +15550100"))},
    [TOOL_LEAVE_MESSAGE] =
        {"leave_message", "Notes a message from the caller for the people of the company.",
         NEEDING("\"message\"",
                 NEEDED_TEXT("message", 4000) "," TEXT("name", 200) "," REMARKED(
                     "phone", ",\"maxLength\":64",
                     "Only if it is another number than the caller's") ",\"urgent\":{\"type\":"
                                                                       "\"boolean\"}")},
    [TOOL_COLLECT_DIGITS] = {"collect_digits",
                             "Waits for keys that the caller presses on the phone. Say first what "
                             "shall be pressed.",
                             OBJECT(WHOLE("digits_max", 32) "," WHOLE("timeout_s", 60) "," REMARKED(
                                 "finish_on_key", "", "# unless given; empty: none"))},
    [TOOL_BOOK_APPOINTMENT] =
        {"book_appointment",
         "Books an appointment. Ask for free times first and repeat the time to the caller.",
         NEEDING(
             "\"start\",\"name\"",
             REMARKED("start", ",\"format\":\"date-time\"", "Local date and time, e.g. 2026-11-23T09:30") "," NEEDED_TEXT(
                 "name", 200) "," TEXT("phone", 64) "," TEXT("note", 2000))},
    [TOOL_FIND_TIMES] = {"find_times", "Lists free times for an appointment, and today's date.",
                         OBJECT(REMARKED("from", ",\"format\":\"date\"",
                                         "Local date, e.g. 2026-11-23; today unless "
                                         "given") "," WHOLE("days", 31))},
};

enum tool_action tool_kind_action(const char *name)
{
    for (int action = 0; action < TOOL_UNKNOWN; action++)
        if (strcmp(name, kinds[action].name) == 0)
            return (enum tool_action)action;
    return TOOL_UNKNOWN;
}

const char *tool_kind_name(enum tool_action action)
{
    assert(action < TOOL_UNKNOWN);
    return kinds[action].name;
}

const char *tool_kind_description(enum tool_action action)
{
    assert(action < TOOL_UNKNOWN);
    return kinds[action].description;
}

json_t *tool_kind_parameters(enum tool_action action, const json_t *settings)
{
    assert(action < TOOL_UNKNOWN);
    if (!kinds[action].parameters)
        return NULL;
    json_t *schema = json_loads(kinds[action].parameters, 0, NULL);
    assert(schema);
    if (action == TOOL_TRANSFER) {
        json_t *properties = json_object_get(schema, "properties"), *names = json_array(), *step;
        const char *name;
        bool warm = false;
        json_object_foreach(json_object_get(settings, "to"), name, step)
        {
            json_array_append_new(names, json_string(name));
            warm |= steps_is_warm(step);
        }
        json_object_set_new(json_object_get(properties, "to"), "enum", names);
        if (warm)
            json_object_set_new(properties, "briefing", json_loads(BRIEFING, 0, NULL));
    }
    return schema;
}

/* ---- settings ---- */

static bool fail(char *error, size_t room, const char *sentence)
{
    snprintf(error, room, "%s", sentence);
    return false;
}

/* What an AI says may fill in path and query, never where the request goes. */
static bool check_url(const char *url, char *error, size_t room)
{
    const char *host = NULL;
    if (url && strncmp(url, "https://", 8) == 0)
        host = url + 8;
    else if (url && strncmp(url, "http://", 7) == 0)
        host = url + 7;
    if (!host || !*host || strlen(url) > URL_BYTES_MAX)
        return fail(error, room, "\"url\" must be a URL: https://host/path");
    if (memchr(host, '{', strcspn(host, "/?#")))
        return fail(error, room, "\"url\" may have {arguments} behind the host only");
    return true;
}

static bool check_http(const json_t *settings, char *error, size_t room)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    const char *method = json_string_value(json_object_get(settings, "method"));
    for (size_t i = 0; method && i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(method, methods[i]) == 0)
            return check_url(json_string_value(json_object_get(settings, "url")), error, room);
    return fail(error, room, "\"method\" must be GET, POST, PUT, PATCH or DELETE");
}

static bool check_destination(const char *name, const json_t *step, char *error, size_t room)
{
    const char *kind = steps_kind(step);
    char why[256];
    if (strcmp(kind, "dial") != 0 && strcmp(kind, "queue") != 0 && strcmp(kind, "voicemail") != 0) {
        snprintf(error, room, "\"%.60s\" must be a step of dial, queue or voicemail", name);
        return false;
    }
    if (steps_check(step, why, sizeof why))
        return true;
    snprintf(error, room, "\"%.60s\": %s", name, why);
    return false;
}

static bool check_transfer(const json_t *settings, char *error, size_t room)
{
    json_t *to = json_object_get(settings, "to"), *step;
    const char *name;
    if (json_object_size(to) == 0 || json_object_size(to) > DESTINATIONS_MAX)
        return fail(error, room,
                    "\"to\" must name whom it may connect with: "
                    "{\"to\":{\"sales\":{\"step\":\"dial\",\"to\":\"+15550101\"}}}");
    json_object_foreach(to, name,
                        step) if (!check_destination(name, step, error, room)) return false;
    return true;
}

static bool check_sms(const json_t *settings, char *error, size_t room)
{
    const json_t *to = json_object_get(settings, "to"), *from = json_object_get(settings, "from");
    const char *whom = json_string_value(to);
    if (from && (!json_is_string(from) || json_string_value(from)[0] != '+'))
        return fail(error, room, "\"from\" must be a number of yours, e.g. +15550100");
    if (to && (!whom || (strcmp(whom, "caller") != 0 && strcmp(whom, "any") != 0)))
        return fail(error, room, "\"to\" must be caller (default) or any");
    return true;
}

static bool check_calendar(const json_t *settings, char *error, size_t room)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    const json_t *value = json_object_get(settings, "calendar");
    const char *name = json_string_value(value);
    if (value && (!name || !*name || strlen(name) > 64 || name[strspn(name, letters)]))
        return fail(error, room, "\"calendar\" must be small letters, digits, - and _");
    return true;
}

bool tool_kind_check(enum tool_action action, const json_t *settings, char *error, size_t room)
{
    switch (action) {
    case TOOL_HTTP:
        return check_http(settings, error, room);
    case TOOL_TRANSFER:
        return check_transfer(settings, error, room);
    case TOOL_SEND_SMS:
        return check_sms(settings, error, room);
    case TOOL_BOOK_APPOINTMENT:
    case TOOL_FIND_TIMES:
        return check_calendar(settings, error, room);
    case TOOL_END_CALL:
    case TOOL_LEAVE_MESSAGE:
    case TOOL_COLLECT_DIGITS:
        return true;
    case TOOL_UNKNOWN:
        break;
    }
    return fail(error, room, "there is no such action");
}
