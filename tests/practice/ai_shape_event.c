/* The tables: OpenAI API reference, Realtime client events, GA. */
#include "tests/practice/ai_shape.h"

#include <string.h>

#define WORDS(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define TABLE(...)                                                                                 \
    (const struct ai_shape[])                                                                      \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            .name = NULL                                                                           \
        }                                                                                          \
    }

/* ---- unions: the type decides which table holds ---- */

struct variant {
    const char *type;
    const struct ai_shape *table;
};

static bool judge_variant(json_t *value, const char *path, const struct variant *variants,
                          struct ai_complaint *complaint)
{
    const char *type = json_string_value(json_object_get(value, "type"));
    const char *names[16] = {NULL};
    if (!type)
        return ai_shape_missing(complaint, path, "type");
    for (size_t i = 0; variants[i].type && i < 15; i++) {
        names[i] = variants[i].type;
        if (strcmp(variants[i].type, type) == 0)
            return ai_shape_members(variants[i].table, value, path, complaint);
    }
    char whole[200];
    snprintf(whole, sizeof whole, "%.190s.type", path);
    return ai_shape_not_a_word(complaint, whole, type, names);
}

#define TYPE                                                                                       \
    {                                                                                              \
        .name = "type", .kind = AI_TEXT, .required = true                                          \
    }

static bool judge_format(json_t *value, const char *path, struct ai_complaint *complaint)
{
    const struct ai_shape pcm[] = {
        TYPE, {.name = "rate", .kind = AI_INTEGER, .min = 24000, .max = 24000}, {.name = NULL}};
    const struct ai_shape law[] = {TYPE, {.name = NULL}}; /* no rate: GA refuses one */
    const struct variant variants[] = {
        {"audio/pcm", pcm}, {"audio/pcmu", law}, {"audio/pcma", law}, {NULL, NULL}};
    return judge_variant(value, path, variants, complaint);
}

static bool judge_turn_detection(json_t *value, const char *path, struct ai_complaint *complaint)
{
    const struct ai_shape server[] = {
        TYPE,
        {.name = "threshold", .kind = AI_NUMBER, .max = 1},
        {.name = "prefix_padding_ms", .kind = AI_INTEGER, .max = 10000},
        {.name = "silence_duration_ms", .kind = AI_INTEGER, .max = 10000},
        {.name = "create_response", .kind = AI_FLAG},
        {.name = "interrupt_response", .kind = AI_FLAG},
        {.name = "idle_timeout_ms",
         .kind = AI_INTEGER,
         .nullable = true,
         .min = 5000,
         .max = 30000},
        {.name = NULL}};
    const struct ai_shape semantic[] = {
        TYPE,
        {.name = "eagerness", .kind = AI_TEXT, .words = WORDS("low", "medium", "high", "auto")},
        {.name = "create_response", .kind = AI_FLAG},
        {.name = "interrupt_response", .kind = AI_FLAG},
        {.name = NULL}};
    const struct variant variants[] = {
        {"server_vad", server}, {"semantic_vad", semantic}, {NULL, NULL}};
    return judge_variant(value, path, variants, complaint);
}

static bool judge_tool(json_t *value, const char *path, struct ai_complaint *complaint)
{
    const struct ai_shape function[] = {
        TYPE,
        {.name = "name", .kind = AI_TEXT, .required = true, .min = 1, .max = 64},
        {.name = "description", .kind = AI_TEXT},
        {.name = "parameters", .kind = AI_OBJECT},
        {.name = NULL}};
    const struct variant variants[] = {{"function", function}, {NULL, NULL}};
    return judge_variant(value, path, variants, complaint);
}

static bool judge_tool_choice(json_t *value, const char *path, struct ai_complaint *complaint)
{
    static const char *const words[] = {"none", "auto", "required", NULL};
    const struct ai_shape function[] = {
        TYPE, {.name = "name", .kind = AI_TEXT, .required = true}, {.name = NULL}};
    const struct variant variants[] = {{"function", function}, {NULL, NULL}};
    if (json_is_object(value))
        return judge_variant(value, path, variants, complaint);
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    for (size_t i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0)
            return true;
    return ai_shape_not_a_word(complaint, path, text, words);
}

static bool judge_voice(json_t *value, const char *path, struct ai_complaint *complaint)
{
    static const char *const names[] = {"alloy",   "ash",   "ballad", "coral", "echo", "sage",
                                        "shimmer", "verse", "marin",  "cedar", NULL};
    const struct ai_shape custom[] = {{.name = "id", .kind = AI_TEXT, .required = true},
                                      {.name = NULL}};
    if (json_is_object(value))
        return ai_shape_members(custom, value, path, complaint);
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], text) == 0)
            return true;
    return ai_shape_not_a_word(complaint, path, text, names);
}

static bool judge_tokens(json_t *value, const char *path, struct ai_complaint *complaint)
{
    if (json_is_integer(value) && json_integer_value(value) >= 1 &&
        json_integer_value(value) <= 4096)
        return true;
    if (json_is_string(value) && strcmp(json_string_value(value), "inf") == 0)
        return true;
    return ai_shape_complain(complaint, "invalid_value", path,
                             "Invalid '%s': expected an integer from 1 to 4096, or 'inf'.", path);
}

static bool judge_truncation(json_t *value, const char *path, struct ai_complaint *complaint)
{
    const struct ai_shape ratio[] = {
        TYPE,
        {.name = "retention_ratio", .kind = AI_NUMBER, .required = true, .max = 1},
        {.name = "token_limits",
         .kind = AI_OBJECT,
         .members = TABLE({.name = "post_instructions", .kind = AI_INTEGER})},
        {.name = NULL}};
    const struct variant variants[] = {{"retention_ratio", ratio}, {NULL, NULL}};
    if (json_is_object(value))
        return judge_variant(value, path, variants, complaint);
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    if (strcmp(text, "auto") == 0 || strcmp(text, "disabled") == 0)
        return true;
    return ai_shape_not_a_word(complaint, path, text, WORDS("auto", "disabled"));
}

static bool judge_tracing(json_t *value, const char *path, struct ai_complaint *complaint)
{
    const struct ai_shape table[] = {{.name = "workflow_name", .kind = AI_TEXT},
                                     {.name = "group_id", .kind = AI_TEXT},
                                     {.name = "metadata", .kind = AI_OBJECT},
                                     {.name = NULL}};
    if (json_is_object(value))
        return ai_shape_members(table, value, path, complaint);
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    return strcmp(text, "auto") == 0 || ai_shape_not_a_word(complaint, path, text, WORDS("auto"));
}

static bool judge_modalities(json_t *value, const char *path, struct ai_complaint *complaint)
{
    const char *only = json_string_value(json_array_get(value, 0));
    if (json_array_size(value) == 1 && only &&
        (strcmp(only, "audio") == 0 || strcmp(only, "text") == 0))
        return true;
    return ai_shape_complain(complaint, "invalid_value", path,
                             "Invalid modalities. Supported combinations are: ['text'] and "
                             "['audio'].");
}

/* ---- items ---- */

static bool judge_content(json_t *value, const char *path, struct ai_complaint *complaint)
{
#define TEXT_PART                                                                                  \
    {                                                                                              \
        TYPE, {.name = "text", .kind = AI_TEXT, .required = true},                                 \
        {                                                                                          \
            .name = NULL                                                                           \
        }                                                                                          \
    }
    const struct ai_shape text[] = TEXT_PART;
    const struct ai_shape audio[] = {TYPE,
                                     {.name = "audio", .kind = AI_TEXT, .required = true},
                                     {.name = "transcript", .kind = AI_TEXT, .nullable = true},
                                     {.name = NULL}};
    const struct ai_shape image[] = {
        TYPE,
        {.name = "image_url", .kind = AI_TEXT, .required = true},
        {.name = "detail", .kind = AI_TEXT, .words = WORDS("auto", "low", "high")},
        {.name = NULL}};
    const struct variant variants[] = {{"input_text", text},
                                       {"input_audio", audio},
                                       {"input_image", image},
                                       {"output_text", text},
                                       {NULL, NULL}};
    return judge_variant(value, path, variants, complaint);
}

#define ITEM_MEMBERS                                                                               \
    TYPE, {.name = "id", .kind = AI_TEXT, .min = 1, .max = 64},                                    \
        {.name = "object", .kind = AI_TEXT, .words = WORDS("realtime.item")},                      \
    {                                                                                              \
        .name = "status", .kind = AI_TEXT,                                                         \
        .words = WORDS("completed", "incomplete", "in_progress")                                   \
    }

/* Who may say what: system input_text; user all inputs; assistant output_text only, for nobody can
 * put sound into the assistant's mouth. */
static bool judge_role(json_t *item, const char *path, struct ai_complaint *complaint)
{
    const char *role = json_string_value(json_object_get(item, "role"));
    size_t i;
    json_t *part;
    json_array_foreach(json_object_get(item, "content"), i, part)
    {
        const char *type = json_string_value(json_object_get(part, "type"));
        bool output = strncmp(type, "output_", 7) == 0;
        bool fits = strcmp(role, "assistant") == 0 ? output
                    : strcmp(role, "user") == 0    ? !output
                                                   : strcmp(type, "input_text") == 0;
        char whole[200];
        snprintf(whole, sizeof whole, "%.150s.content[%zu].type", path, i);
        if (!fits)
            return ai_shape_not_a_word(complaint, whole, type,
                                       strcmp(role, "assistant") == 0 ? WORDS("output_text")
                                       : strcmp(role, "user") == 0
                                           ? WORDS("input_text", "input_audio", "input_image")
                                           : WORDS("input_text"));
    }
    return true;
}

static bool judge_item(json_t *value, const char *path, struct ai_complaint *complaint)
{
    const struct ai_shape content = {.name = "content", .kind = AI_OBJECT, .judge = judge_content};
    const struct ai_shape message[] = {
        ITEM_MEMBERS,
        {.name = "role",
         .kind = AI_TEXT,
         .required = true,
         .words = WORDS("system", "user", "assistant")},
        {.name = "content", .kind = AI_LIST, .required = true, .members = &content},
        {.name = NULL}};
    const struct ai_shape call[] = {ITEM_MEMBERS,
                                    {.name = "call_id", .kind = AI_TEXT},
                                    {.name = "name", .kind = AI_TEXT, .required = true},
                                    {.name = "arguments", .kind = AI_TEXT, .required = true},
                                    {.name = NULL}};
    const struct ai_shape output[] = {ITEM_MEMBERS,
                                      {.name = "call_id", .kind = AI_TEXT, .required = true},
                                      {.name = "output", .kind = AI_TEXT, .required = true},
                                      {.name = NULL}};
    const struct variant variants[] = {{"message", message},
                                       {"function_call", call},
                                       {"function_call_output", output},
                                       {NULL, NULL}};
    if (!judge_variant(value, path, variants, complaint))
        return false;
    const char *type = json_string_value(json_object_get(value, "type"));
    return strcmp(type, "message") != 0 || judge_role(value, path, complaint);
}

/* response.create may also point at what exists. */
static bool judge_input(json_t *value, const char *path, struct ai_complaint *complaint)
{
    const struct ai_shape reference[] = {
        TYPE, {.name = "id", .kind = AI_TEXT, .required = true}, {.name = NULL}};
    const char *type = json_string_value(json_object_get(value, "type"));
    if (type && strcmp(type, "item_reference") == 0)
        return ai_shape_members(reference, value, path, complaint);
    return judge_item(value, path, complaint);
}

/* ---- session and response ---- */

static const struct ai_shape transcription[] = {
    {.name = "model",
     .kind = AI_TEXT,
     .words = WORDS("whisper-1", "gpt-transcribe", "gpt-live-transcribe", "gpt-4o-transcribe",
                    "gpt-4o-mini-transcribe", "gpt-4o-mini-transcribe-2025-12-15",
                    "gpt-4o-transcribe-diarize", "gpt-realtime-whisper")},
    {.name = "language", .kind = AI_TEXT, .min = 2, .max = 8},
    {.name = "languages", .kind = AI_LIST},
    {.name = "keywords", .kind = AI_LIST},
    {.name = "prompt", .kind = AI_TEXT},
    {.name = "delay", .kind = AI_TEXT, .words = WORDS("minimal", "low", "medium", "high", "xhigh")},
    {.name = NULL}};

static const struct ai_shape input[] = {
    {.name = "format", .kind = AI_OBJECT, .judge = judge_format},
    {.name = "transcription", .kind = AI_OBJECT, .nullable = true, .members = transcription},
    {.name = "noise_reduction",
     .kind = AI_OBJECT,
     .nullable = true,
     .members = TABLE({.name = "type",
                       .kind = AI_TEXT,
                       .required = true,
                       .words = WORDS("near_field", "far_field")})},
    {.name = "turn_detection", .kind = AI_OBJECT, .nullable = true, .judge = judge_turn_detection},
    {.name = NULL}};

static const struct ai_shape prompt[] = {{.name = "id", .kind = AI_TEXT, .required = true},
                                         {.name = "version", .kind = AI_TEXT, .nullable = true},
                                         {.name = "variables", .kind = AI_OBJECT, .nullable = true},
                                         {.name = NULL}};

static const struct ai_shape effort[] = {
    {.name = "effort",
     .kind = AI_TEXT,
     .words = WORDS("minimal", "low", "medium", "high", "xhigh")},
    {.name = NULL}};

static const struct ai_shape one_tool = {.name = "tool", .kind = AI_OBJECT, .judge = judge_tool};
static const struct ai_shape one_word = {.name = "word", .kind = AI_TEXT};
static const struct ai_shape one_input = {.name = "item", .kind = AI_OBJECT, .judge = judge_input};

#define SPEECH_MEMBERS                                                                             \
    {.name = "output_modalities",                                                                  \
     .kind = AI_LIST,                                                                              \
     .members = &one_word,                                                                         \
     .judge = judge_modalities},                                                                   \
        {.name = "instructions", .kind = AI_TEXT},                                                 \
        {.name = "tools", .kind = AI_LIST, .members = &one_tool},                                  \
        {.name = "tool_choice", .kind = AI_ANY, .judge = judge_tool_choice},                       \
        {.name = "parallel_tool_calls", .kind = AI_FLAG},                                          \
        {.name = "reasoning", .kind = AI_OBJECT, .members = effort},                               \
        {.name = "max_output_tokens", .kind = AI_ANY, .judge = judge_tokens},                      \
    {                                                                                              \
        .name = "prompt", .kind = AI_OBJECT, .nullable = true, .members = prompt                   \
    }

static const struct ai_shape session[] = {
    {.name = "type", .kind = AI_TEXT, .required = true, .words = WORDS("realtime")},
    {.name = "model", .kind = AI_TEXT},
    SPEECH_MEMBERS,
    {.name = "audio",
     .kind = AI_OBJECT,
     .members =
         TABLE({.name = "input", .kind = AI_OBJECT, .members = input},
               {.name = "output",
                .kind = AI_OBJECT,
                .members = TABLE({.name = "format", .kind = AI_OBJECT, .judge = judge_format},
                                 {.name = "voice", .kind = AI_ANY, .judge = judge_voice},
                                 {.name = "speed", .kind = AI_NUMBER, .min = 0.25, .max = 1.5})})},
    {.name = "truncation", .kind = AI_ANY, .judge = judge_truncation},
    {.name = "tracing", .kind = AI_ANY, .nullable = true, .judge = judge_tracing},
    {.name = "include", .kind = AI_LIST, .nullable = true, .members = &one_word},
    {.name = NULL}};

static bool judge_metadata(json_t *value, const char *path, struct ai_complaint *complaint)
{
    const char *name;
    json_t *text;
    if (json_object_size(value) > 16)
        return ai_shape_complain(complaint, "object_above_max_properties", path,
                                 "Invalid '%s': at most 16 pairs are allowed.", path);
    json_object_foreach(value, name, text)
    {
        if (!json_is_string(text) || strlen(name) > 64 || json_string_length(text) > 512)
            return ai_shape_complain(complaint, "invalid_value", path,
                                     "Invalid '%s': keys up to 64 and values up to 512 characters.",
                                     path);
    }
    return true;
}

static const struct ai_shape response[] = {
    SPEECH_MEMBERS,
    {.name = "audio",
     .kind = AI_OBJECT,
     .members =
         TABLE({.name = "output",
                .kind = AI_OBJECT,
                .members = TABLE({.name = "format", .kind = AI_OBJECT, .judge = judge_format},
                                 {.name = "voice", .kind = AI_ANY, .judge = judge_voice})})},
    {.name = "conversation", .kind = AI_TEXT, .words = WORDS("auto", "none")},
    {.name = "metadata", .kind = AI_OBJECT, .nullable = true, .judge = judge_metadata},
    {.name = "input", .kind = AI_LIST, .members = &one_input},
    {.name = NULL}};

/* ---- events ---- */

#define EVENT                                                                                      \
    TYPE,                                                                                          \
    {                                                                                              \
        .name = "event_id", .kind = AI_TEXT, .min = 0, .max = 512                                  \
    }
#define ITEM_ID                                                                                    \
    {                                                                                              \
        .name = "item_id", .kind = AI_TEXT, .required = true                                       \
    }

static const struct ai_shape session_update[] = {
    EVENT,
    {.name = "session", .kind = AI_OBJECT, .required = true, .members = session},
    {.name = NULL}};
static const struct ai_shape append[] = {
    EVENT, {.name = "audio", .kind = AI_TEXT, .required = true}, {.name = NULL}};
static const struct ai_shape bare[] = {EVENT, {.name = NULL}};
static const struct ai_shape item_create[] = {
    EVENT,
    {.name = "previous_item_id", .kind = AI_TEXT, .nullable = true},
    {.name = "item", .kind = AI_OBJECT, .required = true, .judge = judge_item},
    {.name = NULL}};
static const struct ai_shape item_truncate[] = {
    EVENT,
    ITEM_ID,
    {.name = "content_index", .kind = AI_INTEGER, .required = true, .max = 1000},
    {.name = "audio_end_ms", .kind = AI_INTEGER, .required = true, .max = 1e12},
    {.name = NULL}};
static const struct ai_shape item_only[] = {EVENT, ITEM_ID, {.name = NULL}};
static const struct ai_shape response_create[] = {
    EVENT, {.name = "response", .kind = AI_OBJECT, .members = response}, {.name = NULL}};
static const struct ai_shape response_cancel[] = {
    EVENT, {.name = "response_id", .kind = AI_TEXT}, {.name = NULL}};

static const struct variant events[] = {{"session.update", session_update},
                                        {"input_audio_buffer.append", append},
                                        {"input_audio_buffer.commit", bare},
                                        {"input_audio_buffer.clear", bare},
                                        {"conversation.item.create", item_create},
                                        {"conversation.item.truncate", item_truncate},
                                        {"conversation.item.delete", item_only},
                                        {"conversation.item.retrieve", item_only},
                                        {"response.create", response_create},
                                        {"response.cancel", response_cancel},
                                        {NULL, NULL}};

bool ai_shape_event(json_t *event, struct ai_complaint *complaint)
{
    const char *names[16] = {NULL};
    json_t *type = json_object_get(event, "type");
    if (!json_is_string(type))
        return ai_shape_complain(complaint, "invalid_event", "type",
                                 "The 'type' field is missing.");
    for (size_t i = 0; events[i].type; i++) {
        names[i] = events[i].type;
        if (strcmp(events[i].type, json_string_value(type)) == 0)
            return ai_shape_members(events[i].table, event, "", complaint);
    }
    return ai_shape_not_a_word(complaint, "type", json_string_value(type), names);
}
