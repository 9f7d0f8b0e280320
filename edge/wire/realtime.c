#include "edge/wire/realtime.h"

#include "common/panic.h"
#include "edge/wire/arguments.h"
#include "edge/wire/jscan.h"

#include <jansson.h>

enum slot {
    TYPE,
    RESPONSE_ID,
    ITEM_ID,
    CONTENT_INDEX,
    DELTA,
    TRANSCRIPT,
    START_MS,
    END_MS,
    SESSION,
    SESSION_ID,
    SESSION_EXPIRES,
    RESPONSE,
    RESPONSE_INNER_ID,
    RESPONSE_STATUS,
    RESPONSE_DETAILS,
    RESPONSE_REASON,
    RESPONSE_USAGE,
    ITEM,
    ITEM_INNER_ID,
    ITEM_TYPE,
    ITEM_STATUS,
    ITEM_CALL_ID,
    ITEM_NAME,
    ITEM_ARGUMENTS,
    ERROR,
    ERROR_TYPE,
    ERROR_CODE,
    ERROR_MESSAGE,
    ERROR_EVENT_ID,
    SLOTS
};

static const struct jscan_member session_members[] = {
    JSCAN_MEMBER("id", SESSION_ID, NULL),
    JSCAN_MEMBER("expires_at", SESSION_EXPIRES, NULL),
    {0},
};
static const struct jscan_member details_members[] = {
    JSCAN_MEMBER("reason", RESPONSE_REASON, NULL),
    {0},
};
static const struct jscan_member response_members[] = {
    JSCAN_MEMBER("id", RESPONSE_INNER_ID, NULL),
    JSCAN_MEMBER("status", RESPONSE_STATUS, NULL),
    JSCAN_MEMBER("status_details", RESPONSE_DETAILS, details_members),
    JSCAN_MEMBER("usage", RESPONSE_USAGE, NULL),
    {0},
};
static const struct jscan_member item_members[] = {
    JSCAN_MEMBER("id", ITEM_INNER_ID, NULL),
    JSCAN_MEMBER("type", ITEM_TYPE, NULL),
    JSCAN_MEMBER("status", ITEM_STATUS, NULL),
    JSCAN_MEMBER("call_id", ITEM_CALL_ID, NULL),
    JSCAN_MEMBER("name", ITEM_NAME, NULL),
    JSCAN_MEMBER("arguments", ITEM_ARGUMENTS, NULL),
    {0},
};
static const struct jscan_member error_members[] = {
    JSCAN_MEMBER("type", ERROR_TYPE, NULL),
    JSCAN_MEMBER("code", ERROR_CODE, NULL),
    JSCAN_MEMBER("message", ERROR_MESSAGE, NULL),
    JSCAN_MEMBER("event_id", ERROR_EVENT_ID, NULL),
    {0},
};
static const struct jscan_member event_members[] = {
    JSCAN_MEMBER("type", TYPE, NULL),
    JSCAN_MEMBER("response_id", RESPONSE_ID, NULL),
    JSCAN_MEMBER("item_id", ITEM_ID, NULL),
    JSCAN_MEMBER("content_index", CONTENT_INDEX, NULL),
    JSCAN_MEMBER("delta", DELTA, NULL),
    JSCAN_MEMBER("transcript", TRANSCRIPT, NULL),
    JSCAN_MEMBER("audio_start_ms", START_MS, NULL),
    JSCAN_MEMBER("audio_end_ms", END_MS, NULL),
    JSCAN_MEMBER("session", SESSION, session_members),
    JSCAN_MEMBER("response", RESPONSE, response_members),
    JSCAN_MEMBER("item", ITEM, item_members),
    JSCAN_MEMBER("error", ERROR, error_members),
    {0},
};

/* Takes a string that must be there. */
static bool need(const struct jscan_value *value, struct span *text)
{
    *text = value->text;
    return value->kind == JSCAN_STRING;
}

/* Takes a string that may be absent or null. */
static bool may(const struct jscan_value *value, struct span *text)
{
    *text = value->kind == JSCAN_STRING ? value->text : (struct span){0};
    return value->kind == JSCAN_STRING || value->kind == JSCAN_NULL || value->kind == JSCAN_ABSENT;
}

/* Takes a whole number from 0 to most; absent or null count as 0. */
static bool whole_number(const struct jscan_value *value, uint64_t most, uint64_t *number)
{
    *number = 0;
    if (value->kind == JSCAN_NULL || value->kind == JSCAN_ABSENT)
        return true;
    return value->kind == JSCAN_NUMBER && jscan_digits(value->text, number) && *number <= most;
}

static bool content_index(const struct jscan_value *values, struct realtime_event *event)
{
    uint64_t number;
    bool good = whole_number(&values[CONTENT_INDEX], UINT32_MAX, &number);
    event->content_index = (uint32_t)number;
    return good;
}

static bool read_session(const struct jscan_value *values, struct realtime_event *event)
{
    uint64_t expires_at_s;
    bool good = values[SESSION].kind == JSCAN_OBJECT &&
                may(&values[SESSION_ID], &event->session_id) &&
                whole_number(&values[SESSION_EXPIRES], INT64_MAX, &expires_at_s);
    event->expires_at_s = good ? (int64_t)expires_at_s : 0;
    return good;
}

static bool read_error(const struct jscan_value *values, struct realtime_event *event)
{
    return values[ERROR].kind == JSCAN_OBJECT && may(&values[ERROR_TYPE], &event->error_type) &&
           may(&values[ERROR_CODE], &event->code) && may(&values[ERROR_MESSAGE], &event->text) &&
           may(&values[ERROR_EVENT_ID], &event->client_event_id);
}

static bool read_speech(const struct jscan_value *values, struct realtime_event *event)
{
    enum slot moment = event->kind == REALTIME_SPEECH_STARTED ? START_MS : END_MS;
    return need(&values[ITEM_ID], &event->item_id) &&
           whole_number(&values[moment], UINT64_MAX, &event->audio_ms);
}

static bool read_committed(const struct jscan_value *values, struct realtime_event *event)
{
    return need(&values[ITEM_ID], &event->item_id);
}

static bool read_response(const struct jscan_value *values, struct realtime_event *event)
{
    if (values[RESPONSE_USAGE].kind == JSCAN_OBJECT)
        event->usage = values[RESPONSE_USAGE].text;
    return values[RESPONSE].kind == JSCAN_OBJECT &&
           need(&values[RESPONSE_INNER_ID], &event->response_id) &&
           may(&values[RESPONSE_STATUS], &event->status) &&
           may(&values[RESPONSE_REASON], &event->status_reason);
}

static bool read_item(const struct jscan_value *values, struct realtime_event *event)
{
    return values[ITEM].kind == JSCAN_OBJECT && need(&values[RESPONSE_ID], &event->response_id) &&
           need(&values[ITEM_INNER_ID], &event->item_id) &&
           need(&values[ITEM_TYPE], &event->item_type);
}

/* A finished item matters when it is a function call that ran to its end; arguments of a cancelled
 * one may be cut off. */
static bool read_item_done(const struct jscan_value *values, struct realtime_event *event)
{
    if (!jscan_is(&values[ITEM_TYPE], "function_call") ||
        !jscan_is(&values[ITEM_STATUS], "completed")) {
        event->kind = REALTIME_OTHER;
        return true;
    }
    return read_item(values, event) && need(&values[ITEM_CALL_ID], &event->call_id) &&
           need(&values[ITEM_NAME], &event->name) &&
           need(&values[ITEM_ARGUMENTS], &event->arguments);
}

static bool read_audio(const struct jscan_value *values, struct realtime_event *event)
{
    return need(&values[RESPONSE_ID], &event->response_id) &&
           need(&values[ITEM_ID], &event->item_id) && need(&values[DELTA], &event->audio) &&
           content_index(values, event);
}

static bool read_audio_done(const struct jscan_value *values, struct realtime_event *event)
{
    return need(&values[RESPONSE_ID], &event->response_id) &&
           need(&values[ITEM_ID], &event->item_id) && content_index(values, event);
}

static bool read_text_delta(const struct jscan_value *values, struct realtime_event *event)
{
    return need(&values[ITEM_ID], &event->item_id) && need(&values[DELTA], &event->text) &&
           may(&values[RESPONSE_ID], &event->response_id) && content_index(values, event);
}

static bool read_text_done(const struct jscan_value *values, struct realtime_event *event)
{
    return need(&values[ITEM_ID], &event->item_id) && need(&values[TRANSCRIPT], &event->text) &&
           may(&values[RESPONSE_ID], &event->response_id) && content_index(values, event);
}

static bool read_text_failed(const struct jscan_value *values, struct realtime_event *event)
{
    return need(&values[ITEM_ID], &event->item_id) && read_error(values, event);
}

static const struct dialect {
    const char *type;
    enum realtime_kind kind;
    bool (*read)(const struct jscan_value *values, struct realtime_event *event);
} dialect[] = {
    {"response.output_audio.delta", REALTIME_AUDIO_DELTA, read_audio},
    {"response.output_audio_transcript.delta", REALTIME_AGENT_TEXT_DELTA, read_text_delta},
    {"input_audio_buffer.speech_started", REALTIME_SPEECH_STARTED, read_speech},
    {"input_audio_buffer.speech_stopped", REALTIME_SPEECH_STOPPED, read_speech},
    {"input_audio_buffer.committed", REALTIME_COMMITTED, read_committed},
    {"response.created", REALTIME_RESPONSE_CREATED, read_response},
    {"response.done", REALTIME_RESPONSE_DONE, read_response},
    {"response.output_item.added", REALTIME_ITEM_ADDED, read_item},
    {"response.output_item.done", REALTIME_TOOL_CALL, read_item_done},
    {"response.output_audio.done", REALTIME_AUDIO_DONE, read_audio_done},
    {"response.output_audio_transcript.done", REALTIME_AGENT_TEXT_DONE, read_text_done},
    {"conversation.item.input_audio_transcription.completed", REALTIME_CALLER_TEXT_DONE,
     read_text_done},
    {"conversation.item.input_audio_transcription.failed", REALTIME_CALLER_TEXT_FAILED,
     read_text_failed},
    {"error", REALTIME_ERROR, read_error},
    {"session.created", REALTIME_SESSION_CREATED, read_session},
    {"session.updated", REALTIME_SESSION_UPDATED, read_session},
};

enum fault realtime_read(struct span text, struct realtime_event *event)
{
    struct jscan_value values[SLOTS];
    *event = (struct realtime_event){.kind = REALTIME_OTHER};
    enum fault fault = jscan_read(text, event_members, values, SLOTS);
    if (fault)
        return fault;
    if (values[TYPE].kind != JSCAN_STRING)
        return FAULT_ai_event;
    for (size_t i = 0; i < sizeof dialect / sizeof *dialect; i++) {
        if (!jscan_is(&values[TYPE], dialect[i].type))
            continue;
        event->kind = dialect[i].kind;
        return dialect[i].read(values, event) ? FAULT_NONE : FAULT_ai_event;
    }
    return FAULT_NONE;
}

/* ---- what we say ---- */

#define APPEND_HEAD "{\"type\":\"input_audio_buffer.append\",\"audio\":\""
#define APPEND_TAIL "\"}"
#define TRUNCATE_HEAD                                                                              \
    "{\"type\":\"conversation.item.truncate\",\"event_id\":\"" REALTIME_TRUNCATE_EVENT_ID          \
    "\",\"item_id\":\""
#define TRUNCATE_INDEX  "\",\"content_index\":"
#define TRUNCATE_MOMENT ",\"audio_end_ms\":"
#define TRUNCATE_TAIL   "}"
#define RESPONSE_CREATE                                                                            \
    "{\"type\":\"response.create\",\"event_id\":\"" REALTIME_RESPONSE_EVENT_ID "\"}"
#define RESPONSE_CANCEL                                                                            \
    "{\"type\":\"response.cancel\",\"event_id\":\"" REALTIME_CANCEL_EVENT_ID "\"}"

/* Bytes of a literal without its NUL. */
#define LENGTH(literal) (sizeof(literal) - 1)

#define UINT32_DIGITS 10
#define UINT64_DIGITS 20

_Static_assert(LENGTH(TRUNCATE_HEAD TRUNCATE_INDEX TRUNCATE_MOMENT TRUNCATE_TAIL) + UINT32_DIGITS +
                       UINT64_DIGITS <=
                   REALTIME_TRUNCATE_BYTES_MAX,
               "a truncate fits its announced bound");

const struct span realtime_response_create = {(const uint8_t *)RESPONSE_CREATE,
                                              LENGTH(RESPONSE_CREATE)};
const struct span realtime_response_cancel = {(const uint8_t *)RESPONSE_CANCEL,
                                              LENGTH(RESPONSE_CANCEL)};

static uint8_t *put(uint8_t *out, const void *bytes, size_t count)
{
    memcpy(out, bytes, count);
    return out + count;
}

static uint8_t *put_number(uint8_t *out, uint64_t number)
{
    uint8_t digits[UINT64_DIGITS];
    size_t at = sizeof digits;
    do {
        digits[--at] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number);
    return put(out, digits + at, sizeof digits - at);
}

#define ITEM_TAIL "\"}]}}"
#define ITEM_USER                                                                                  \
    "{\"type\":\"conversation.item.create\",\"event_id\":\"" REALTIME_HISTORY_EVENT_ID             \
    "\",\"item\":{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\","   \
    "\"text\":\""
#define ITEM_AGENT                                                                                 \
    "{\"type\":\"conversation.item.create\",\"event_id\":\"" REALTIME_HISTORY_EVENT_ID             \
    "\",\"item\":{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_"    \
    "text\","                                                                                      \
    "\"text\":\""

size_t realtime_item_bytes(bool by_agent, size_t text_bytes)
{
    return (by_agent ? LENGTH(ITEM_AGENT) : LENGTH(ITEM_USER)) + text_bytes + LENGTH(ITEM_TAIL);
}

void realtime_item_write(uint8_t *out, bool by_agent, struct span text)
{
    assert(text.bytes > 0);
    uint8_t *at = by_agent ? put(out, ITEM_AGENT, LENGTH(ITEM_AGENT))
                           : put(out, ITEM_USER, LENGTH(ITEM_USER));
    at = put(at, text.data, text.bytes);
    put(at, ITEM_TAIL, LENGTH(ITEM_TAIL));
}

size_t realtime_append_bytes(size_t audio_text_bytes)
{
    return LENGTH(APPEND_HEAD APPEND_TAIL) + audio_text_bytes;
}

uint8_t *realtime_append_write(uint8_t *out, size_t audio_text_bytes)
{
    uint8_t *audio = put(out, APPEND_HEAD, LENGTH(APPEND_HEAD));
    put(audio + audio_text_bytes, APPEND_TAIL, LENGTH(APPEND_TAIL));
    return audio;
}

size_t realtime_truncate_write(uint8_t *out, struct span item_id, uint32_t content_index,
                               uint64_t audio_end_ms)
{
    uint8_t *at = out;
    assert(item_id.bytes > 0);
    at = put(at, TRUNCATE_HEAD, LENGTH(TRUNCATE_HEAD));
    at = put(at, item_id.data, item_id.bytes);
    at = put(at, TRUNCATE_INDEX, LENGTH(TRUNCATE_INDEX));
    at = put_number(at, content_index);
    at = put(at, TRUNCATE_MOMENT, LENGTH(TRUNCATE_MOMENT));
    at = put_number(at, audio_end_ms);
    at = put(at, TRUNCATE_TAIL, LENGTH(TRUNCATE_TAIL));
    return (size_t)(at - out);
}

/* ---- cold messages: once per call, built with the JSON library ---- */

/* Prints and lets go of the object. NULL when there is none or memory is out. */
static char *print(json_t *object, size_t *bytes)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    *bytes = text ? strlen(text) : 0;
    return text;
}

static bool given(const char *text)
{
    return text && text[0];
}

/* The two formats that phone calls use; PCM has one rate, G.711 must not name one. */
static json_t *format(const char *name)
{
    return strcmp(name, "audio/pcm") == 0 ? json_pack("{s:s,s:i}", "type", name, "rate", 24000)
                                          : json_pack("{s:s}", "type", name);
}

static json_t *transcription(const struct realtime_session *session)
{
    return json_pack("{s:s,s:s*}", "model", session->transcription_model, "language",
                     given(session->language) ? session->language : NULL);
}

/* The server hears turns and, unless told to be patient, interruptions; silence_duration_ms is
 * always sent because its documented defaults disagree. */
static json_t *turn_detection(const struct realtime_session *session)
{
    return json_pack("{s:s,s:f,s:i,s:i,s:b,s:b}", "type", "server_vad", "threshold",
                     (double)session->threshold_percent / 100, "prefix_padding_ms",
                     (int)session->prefix_ms, "silence_duration_ms",
                     session->silence_ms ? (int)session->silence_ms : 500, "create_response", 1,
                     "interrupt_response", !session->patient);
}

/* Without a transcription model the caller's transcripts stay off, which is the server's default.
 */
static json_t *audio_input(const struct realtime_session *session)
{
    json_t *input = json_pack("{s:o,s:o}", "format", format(session->format), "turn_detection",
                              turn_detection(session));
    if (!given(session->transcription_model) ||
        json_object_set_new(input, "transcription", transcription(session)) == 0)
        return input;
    json_decref(input);
    return NULL;
}

static json_t *audio(const struct realtime_session *session)
{
    return json_pack("{s:o,s:{s:o,s:s*}}", "input", audio_input(session), "output", "format",
                     format(session->format), "voice",
                     given(session->voice) ? session->voice : NULL);
}

/* NULL with *good unset when the text is no array. */
static json_t *tools(const char *text, bool *good)
{
    json_t *array = given(text) ? json_loads(text, 0, NULL) : NULL;
    *good = !given(text) || json_is_array(array);
    if (*good && json_array_size(array) > 0)
        return array;
    json_decref(array);
    return NULL;
}

char *realtime_session_update(const struct realtime_session *session, size_t *bytes)
{
    assert(given(session->format));
    bool good;
    json_t *tool_array = tools(session->tools_json, &good);
    *bytes = 0;
    if (!good)
        return NULL;
    bool with_tools = tool_array != NULL;
    return print(
        json_pack("{s:s,s:s,s:{s:s,s:s*,s:[s],s:s*,s:o,s:o*,s:s*}}", "type", "session.update",
                  "event_id", REALTIME_SESSION_EVENT_ID, "session", "type", "realtime", "model",
                  given(session->model) ? session->model : NULL, "output_modalities", "audio",
                  "instructions", given(session->instructions) ? session->instructions : NULL,
                  "audio", audio(session), "tools", tool_array, "tool_choice",
                  with_tools ? "auto" : NULL),
        bytes);
}

char *realtime_turns_update(const struct realtime_session *session, size_t *bytes)
{
    return print(json_pack("{s:s,s:s,s:{s:s,s:{s:{s:o}}}}", "type", "session.update", "event_id",
                           REALTIME_SESSION_EVENT_ID, "session", "type", "realtime", "audio",
                           "input", "turn_detection", turn_detection(session)),
                 bytes);
}

#define SAY_ASK      "Say exactly this: "
#define GREETING_ASK "Greet the caller now, before they speak. Say exactly this: "

char *realtime_greeting(const char *greeting, size_t *bytes)
{
    json_t *text = json_sprintf("%s%s", GREETING_ASK, greeting);
    return print(json_pack("{s:s,s:s,s:{s:s,s:s,s:[{s:s,s:o}]}}", "type",
                           "conversation.item.create", "event_id", REALTIME_GREETING_EVENT_ID,
                           "item", "type", "message", "role", "user", "content", "type",
                           "input_text", "text", text),
                 bytes);
}

char *realtime_say(const char *words, size_t *bytes)
{
    json_t *text = json_sprintf("%s%s", SAY_ASK, words);
    return print(json_pack("{s:s,s:s,s:{s:o}}", "type", "response.create", "event_id",
                           REALTIME_SAY_EVENT_ID, "response", "instructions", text),
                 bytes);
}

/* ---- functions ---- */

char *realtime_tool_output(struct span call_id, const char *output, size_t *bytes)
{
    return print(json_pack("{s:s,s:s,s:{s:s,s:o,s:s}}", "type", "conversation.item.create",
                           "event_id", REALTIME_TOOL_EVENT_ID, "item", "type",
                           "function_call_output", "call_id", arguments_text(call_id), "output",
                           output),
                 bytes);
}

char *realtime_tool_note(const char *name, const char *output, size_t *bytes)
{
    json_t *text =
        json_sprintf("The function %s that you called earlier has come back: %s", name, output);
    return print(json_pack("{s:s,s:s,s:{s:s,s:s,s:[{s:s,s:o}]}}", "type",
                           "conversation.item.create", "event_id", REALTIME_TOOL_EVENT_ID, "item",
                           "type", "message", "role", "system", "content", "type", "input_text",
                           "text", text),
                 bytes);
}
