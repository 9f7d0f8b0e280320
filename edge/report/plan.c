#include "edge/report/plan.h"

#include "common/panic.h"
#include "common/ticket.h"
#include "edge/limits.h"
#include "edge/report/plan_url.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(TICKET_TEXT_BYTES < sizeof((struct plan *)0)->ticket, "a ticket fits");

/* Reads members until the first that is wrong; what follows reads as empty. */
struct reader {
    unsigned cores;
    bool failed;
    char *error;
    size_t room;
};

/* The texts of variable length, in the order in which they lie behind the struct. */
enum tail { TARGET, KEY, FORMAT, MODEL, VOICE, INSTRUCTIONS, GREETING, HEARER, LANGUAGE, TOOLS };
#define TAILS (TOOLS + 1)

struct parts {
    struct plan_url url;
    const char *texts[TAILS];
    char *tools; /* malloc'ed: texts[TOOLS] */
    struct plan_tool waits[PLAN_TOOLS_MAX];
    unsigned waits_count;
};

__attribute__((format(printf, 2, 3))) static void fail(struct reader *reader, const char *format,
                                                       ...)
{
    va_list arguments;
    if (reader->failed)
        return;
    reader->failed = true;
    va_start(arguments, format);
    vsnprintf(reader->error, reader->room, format, arguments);
    va_end(arguments);
}

static const char *text(struct reader *reader, const json_t *object, const char *name, size_t min,
                        size_t max)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value)) {
        fail(reader, "%s is missing or not a text", name);
        return "";
    }
    if (json_string_length(value) < min || json_string_length(value) > max) {
        fail(reader, "%s is %s", name, json_string_length(value) < min ? "too short" : "too long");
        return "";
    }
    return json_string_value(value);
}

static int64_t integer(struct reader *reader, const json_t *object, const char *name, int64_t min,
                       int64_t max)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value)) {
        fail(reader, "%s is missing or not an integer", name);
        return min;
    }
    if (json_integer_value(value) < min || json_integer_value(value) > max) {
        fail(reader, "%s is out of range", name);
        return min;
    }
    return json_integer_value(value);
}

/* What an organisation may choose and mostly does not. */
static int64_t choice(struct reader *reader, const json_t *object, const char *name,
                      int64_t otherwise, int64_t min, int64_t max)
{
    return json_object_get(object, name) ? integer(reader, object, name, min, max) : otherwise;
}

static bool yes(struct reader *reader, const json_t *object, const char *name, bool otherwise)
{
    const json_t *value = json_object_get(object, name);
    if (value && !json_is_boolean(value))
        fail(reader, "%s is neither true nor false", name);
    return value ? json_is_true(value) : otherwise;
}

static bool is_hex(char byte, bool upper_too)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') ||
           (upper_too && byte >= 'A' && byte <= 'F');
}

/* 8-4-4-4-12, lower case as PostgreSQL prints it: one text per id, so texts can be compared. */
static void read_uuid(struct reader *reader, const json_t *object, const char *name, char out[37])
{
    const char *value = text(reader, object, name, 36, 36);
    for (size_t i = 0; i < 36 && value[0]; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? value[i] != '-' : !is_hex(value[i], false)) {
            fail(reader, "%s is not a UUID in lower case", name);
            return;
        }
    }
    snprintf(out, 37, "%s", value);
}

static void read_sid(struct reader *reader, const json_t *object, const char *name,
                     const char *prefix, char out[35])
{
    const char *value = text(reader, object, name, 34, 34);
    bool right = strncmp(value, prefix, 2) == 0;
    for (size_t i = 2; i < 34 && right; i++)
        right = is_hex(value[i], true);
    if (!right)
        fail(reader, "%s is not %s and 32 hexadecimal digits", name, prefix);
    snprintf(out, 35, "%s", value);
}

static void read_ticket(struct reader *reader, const json_t *object, struct plan *plan)
{
    struct ticket ticket;
    const char *value = text(reader, object, "ticket", TICKET_TEXT_BYTES, TICKET_TEXT_BYTES);
    if (!ticket_read(span_of(value), &ticket))
        fail(reader, "ticket is not well formed");
    else if (ticket.home_core != plan->home_core)
        fail(reader, "ticket names another home core than home_core");
    snprintf(plan->ticket, sizeof plan->ticket, "%s", value);
}

/* HMAC-SHA1 in base64: 27 letters of the alphabet and one "=". */
static bool is_signature(const json_t *value)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return json_is_string(value) && json_string_length(value) == 28 &&
           strspn(json_string_value(value), alphabet) == 27 && json_string_value(value)[27] == '=';
}

static void read_signatures(struct reader *reader, const json_t *object, struct plan *plan)
{
    const json_t *values = json_object_get(object, "signatures");
    size_t count = json_array_size(values);
    if (!json_is_array(values) || count > PLAN_SIGNATURES_MAX) {
        fail(reader, "signatures is missing, not an array or too long");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(values, i);
        if (!is_signature(value)) {
            fail(reader, "signatures holds something that is no signature");
            return;
        }
        memcpy(plan->signatures[i], json_string_value(value), sizeof plan->signatures[i]);
    }
    plan->signatures_count = (unsigned)count;
}

static void read_facts(struct reader *reader, const json_t *object, struct plan *plan)
{
    assert(reader->cores > 0);
    read_uuid(reader, object, "call", plan->call);
    read_uuid(reader, object, "organization", plan->organization);
    read_sid(reader, object, "call_sid", "CA", plan->call_sid);
    read_sid(reader, object, "account_sid", "AC", plan->account_sid);
    plan->home_core = (unsigned)integer(reader, object, "home_core", 0, reader->cores - 1);
    plan->expires_at_ms = integer(reader, object, "expires_at_ms", 1, INT64_MAX);
    plan->duration_max_s =
        (uint32_t)integer(reader, object, "duration_max_s", 1, PLAN_DURATION_S_MAX);
    /* 0: the conversation's first stream */
    plan->first_seq = (uint64_t)choice(reader, object, "first_seq", 0, 0, INT64_MAX / 2);
    plan->append_ms = (uint16_t)choice(reader, object, "append_ms", 20, 20, 100);
    if (plan->append_ms % 20 || plan->append_ms == 80)
        fail(reader, "append_ms is none of 20, 40, 60 and 100");
    plan->record = yes(reader, object, "record", false);
    read_ticket(reader, object, plan);
    read_signatures(reader, object, plan);
}

/* The key travels in an HTTP head: nothing but printable ASCII, no blanks. */
static const char *read_key(struct reader *reader, const json_t *ai)
{
    const char *key = text(reader, ai, "key", 0, PLAN_KEY_BYTES_MAX);
    for (const char *at = key; *at; at++)
        if (*at <= ' ' || *at > '~') {
            fail(reader, "key holds a character that may not stand in a header");
            return "";
        }
    return key;
}

static void read_tools(struct reader *reader, const json_t *ai, struct parts *parts)
{
    const json_t *tools = json_object_get(ai, "tools");
    if (!json_is_array(tools) || json_array_size(tools) > PLAN_TOOLS_MAX) {
        fail(reader, "tools is missing, not an array or too long");
        return;
    }
    for (size_t i = 0; i < json_array_size(tools); i++)
        if (!json_is_object(json_array_get(tools, i))) {
            fail(reader, "tools holds something that is no object");
            return;
        }
    parts->tools = json_dumps(tools, JSON_COMPACT);
    if (!parts->tools || strlen(parts->tools) > PLAN_TOOLS_BYTES_MAX)
        fail(reader, "tools is too large");
    else
        parts->texts[TOOLS] = parts->tools;
}

static enum plan_tool_place read_place(struct reader *reader, const json_t *wait)
{
    const json_t *value = json_object_get(wait, "at_edge");
    const char *place = json_string_value(value);
    if (!value || json_is_null(value))
        return PLAN_TOOL_AT_CONTROL;
    if (place && strcmp(place, "end_call") == 0)
        return PLAN_TOOL_END_CALL;
    if (!place || strcmp(place, "collect_digits") != 0)
        fail(reader, "at_edge is nothing that this edge does");
    return PLAN_TOOL_COLLECT_DIGITS;
}

static void read_waits(struct reader *reader, const json_t *ai, struct parts *parts)
{
    const json_t *waits = json_object_get(ai, "tool_waits");
    if (waits && (!json_is_array(waits) || json_array_size(waits) > PLAN_TOOLS_MAX)) {
        fail(reader, "tool_waits is not an array or too long");
        return;
    }
    for (size_t i = 0; i < json_array_size(waits) && !reader->failed; i++) {
        const json_t *wait = json_array_get(waits, i);
        struct plan_tool *tool = &parts->waits[parts->waits_count++];
        snprintf(tool->name, sizeof tool->name, "%s",
                 text(reader, wait, "name", 1, PLAN_TOOL_NAME_BYTES_MAX));
        tool->interim_ms =
            (uint32_t)choice(reader, wait, "interim_ms", TOOL_INTERIM_MS, 0, PLAN_TOOL_MS_MAX);
        tool->deadline_ms =
            (uint32_t)choice(reader, wait, "deadline_ms", TOOL_DEADLINE_MS, 1000, PLAN_TOOL_MS_MAX);
        tool->place = read_place(reader, wait);
    }
}

static void read_ai(struct reader *reader, const json_t *ai, struct parts *parts)
{
    if (!json_is_object(ai)) {
        fail(reader, "ai is missing or not an object");
        return;
    }
    if (strcmp(text(reader, ai, "backend", 1, PLAN_NAME_BYTES_MAX), "openai_realtime") != 0)
        fail(reader, "backend is not one this edge speaks");
    const char *wrong =
        plan_url_read(text(reader, ai, "url", 1, PLAN_TARGET_BYTES_MAX + 256), &parts->url);
    if (wrong)
        fail(reader, "url %s", wrong);
    const char *format = text(reader, ai, "format", 1, PLAN_NAME_BYTES_MAX);
    if (strcmp(format, "pcmu") != 0 && strcmp(format, "pcm") != 0)
        fail(reader, "format is neither pcmu nor pcm");
    parts->texts[TARGET] = parts->url.target;
    parts->texts[KEY] = read_key(reader, ai);
    parts->texts[FORMAT] = format;
    parts->texts[MODEL] = text(reader, ai, "model", 1, PLAN_NAME_BYTES_MAX);
    parts->texts[VOICE] = text(reader, ai, "voice", 1, PLAN_NAME_BYTES_MAX);
    parts->texts[INSTRUCTIONS] = text(reader, ai, "instructions", 0, PLAN_INSTRUCTIONS_BYTES_MAX);
    parts->texts[GREETING] = text(reader, ai, "greeting", 0, PLAN_GREETING_BYTES_MAX);
    parts->texts[HEARER] = text(reader, ai, "transcription_model", 0, PLAN_NAME_BYTES_MAX);
    parts->texts[LANGUAGE] = text(reader, ai, "language", 0, PLAN_NAME_BYTES_MAX);
    read_tools(reader, ai, parts);
    read_waits(reader, ai, parts);
}

static void read_manners(struct reader *reader, const json_t *ai, struct plan *plan)
{
    plan->ai.greeting_interruptible = yes(reader, ai, "greeting_interruptible", true);
    plan->ai.interrupt_after_ms =
        (uint16_t)choice(reader, ai, "interrupt_after_ms", 0, 0, PLAN_INTERRUPT_AFTER_MS_MAX);
    plan->ai.vad_prefix_ms =
        (uint16_t)choice(reader, ai, "vad_prefix_ms", 300, 0, PLAN_VAD_PREFIX_MS_MAX);
    plan->ai.vad_silence_ms =
        (uint16_t)choice(reader, ai, "vad_silence_ms", 500, 100, PLAN_VAD_SILENCE_MS_MAX);
    plan->ai.vad_threshold_percent =
        (uint8_t)choice(reader, ai, "vad_threshold_percent", 50, 0, 100);
    plan->ai.session_max_s = (uint32_t)choice(reader, ai, "session_max_s", PLAN_SESSION_S,
                                              PLAN_SESSION_S_MIN, PLAN_DURATION_S_MAX);
}

/* Puts facts and texts into one block. */
static struct plan *join(const struct plan *facts, const struct parts *parts)
{
    size_t waits_bytes = parts->waits_count * sizeof parts->waits[0];
    size_t bytes = sizeof *facts + waits_bytes;
    for (size_t i = 0; i < TAILS; i++)
        bytes += strlen(parts->texts[i]) + 1;
    struct plan *plan = malloc(bytes);
    if (!plan)
        return NULL;
    *plan = *facts;
    const char **places[TAILS] = {
        [TARGET] = &plan->ai.target,     [KEY] = &plan->ai.key,
        [FORMAT] = &plan->ai.format,     [MODEL] = &plan->ai.model,
        [VOICE] = &plan->ai.voice,       [INSTRUCTIONS] = &plan->ai.instructions,
        [GREETING] = &plan->ai.greeting, [HEARER] = &plan->ai.transcription_model,
        [LANGUAGE] = &plan->ai.language, [TOOLS] = &plan->ai.tools_json,
    };
    char *at = (char *)(plan + 1);
    plan->ai.tools = (const struct plan_tool *)(const void *)at;
    plan->ai.tools_count = parts->waits_count;
    if (waits_bytes)
        memcpy(at, parts->waits, waits_bytes);
    at += waits_bytes;
    for (size_t i = 0; i < TAILS; i++) {
        size_t length = strlen(parts->texts[i]) + 1;
        memcpy(at, parts->texts[i], length);
        *places[i] = at;
        at += length;
    }
    assert(at == (char *)plan + bytes);
    memcpy(plan->ai.host, parts->url.host, sizeof plan->ai.host);
    plan->ai.port = parts->url.port;
    plan->ai.tls = parts->url.tls;
    return plan;
}

static void wipe_key(const json_t *ai)
{
    const json_t *key = json_object_get(ai, "key");
    if (json_is_string(key))
        explicit_bzero((char *)(uintptr_t)json_string_value(key), json_string_length(key));
}

struct plan *plan_read_object(struct json_t *object, unsigned cores, char *error, size_t room)
{
    struct reader reader = {.cores = cores, .error = error, .room = room};
    struct plan facts = {.home_core = 0};
    struct parts parts = {.tools = NULL};
    struct plan *plan = NULL;
    const json_t *ai = json_object_get(object, "ai");
    if (!json_is_object(object))
        fail(&reader, "plan is missing or not an object");
    else
        read_facts(&reader, object, &facts);
    read_ai(&reader, ai, &parts);
    read_manners(&reader, ai, &facts);
    if (!reader.failed) {
        plan = join(&facts, &parts);
        if (!plan)
            fail(&reader, "no memory for the plan");
    }
    free(parts.tools);
    wipe_key(ai);
    assert(reader.failed == (plan == NULL));
    return plan;
}

struct plan *plan_read(struct span json, unsigned cores, char *error, size_t room)
{
    json_error_t where;
    json_t *object =
        json_loadb((const char *)json.data, json.bytes, JSON_REJECT_DUPLICATES, &where);
    if (!object) {
        snprintf(error, room, "plan is not valid JSON");
        return NULL;
    }
    struct plan *plan = plan_read_object(object, cores, error, room);
    json_decref(object);
    return plan;
}

void plan_forget_key(struct plan *plan)
{
    char *key = (char *)(uintptr_t)plan->ai.key; /* ours: it lies in the plan's own block */
    explicit_bzero(key, strlen(key));
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    plan_forget_key(plan);
    free(plan);
}
