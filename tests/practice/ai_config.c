#include "tests/practice/ai_config.h"

#include "common/panic.h"

#define DEFAULT_INSTRUCTIONS "You are the practice agent. Be brief and friendly."

json_t *ai_config_at(const json_t *object, const char *a, const char *b, const char *c)
{
    json_t *value = json_object_get(object, a);
    if (b)
        value = json_object_get(value, b);
    return c ? json_object_get(value, c) : value;
}

json_t *ai_config_new(const char *id, const char *model, int64_t expires_at_s)
{
    json_t *config = json_pack(
        "{s:s, s:s, s:s, s:s, s:[s], s:s, s:[], s:s, s:s, s:n, s:s, s:n, s:I, s:n,"
        " s:{s:{s:{s:s, s:i}, s:n, s:n, s:{s:s, s:f, s:i, s:i, s:n, s:b, s:b}},"
        "    s:{s:{s:s, s:i}, s:s, s:f}}}",
        "type", "realtime", "object", "realtime.session", "id", id, "model", model,
        "output_modalities", "audio", "instructions", DEFAULT_INSTRUCTIONS, "tools", "tool_choice",
        "auto", "max_output_tokens", "inf", "tracing", "truncation", "auto", "prompt", "expires_at",
        (json_int_t)expires_at_s, "include", "audio", "input", "format", "type", "audio/pcm",
        "rate", 24000, "transcription", "noise_reduction", "turn_detection", "type", "server_vad",
        "threshold", 0.5, "prefix_padding_ms", 300, "silence_duration_ms", 200, "idle_timeout_ms",
        "create_response", 1, "interrupt_response", 1, "output", "format", "type", "audio/pcm",
        "rate", 24000, "voice", "marin", "speed", 1.0);
    assert(config);
    return config;
}

/* ---- updating ---- */

static bool same(const json_t *left, const json_t *right)
{
    return json_equal(left, right) == 1;
}

static bool reasons(const char *model)
{
    return strncmp(model, "gpt-realtime-2", 14) == 0 && model[14] != '0';
}

/* Rules that need to know the session. */
static bool judge(const json_t *config, const json_t *update, bool spoke,
                  struct ai_complaint *complaint)
{
    const json_t *model = json_object_get(update, "model");
    const char *ours = json_string_value(json_object_get(config, "model"));
    if (model && strcmp(json_string_value(model), ours) != 0)
        return ai_shape_complain(complaint, "invalid_value", "session.model",
                                 "The model of a session cannot be changed.");
    const json_t *voice = ai_config_at(update, "audio", "output", "voice");
    if (voice && spoke && !same(voice, ai_config_at(config, "audio", "output", "voice")))
        return ai_shape_complain(
            complaint, "cannot_update_voice", "session.audio.output.voice",
            "Cannot update a conversation's voice if assistant audio is present.");
    static const char *const needs_reasoning[] = {"reasoning", "parallel_tool_calls"};
    for (size_t i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "session.%s", needs_reasoning[i]);
        if (json_object_get(update, needs_reasoning[i]) && !reasons(ours))
            return ai_shape_complain(complaint, "invalid_value", path,
                                     "'%s' is not supported with the model '%.60s'.", path, ours);
    }
    const json_t *tracing = json_object_get(update, "tracing");
    const json_t *before = json_object_get(config, "tracing");
    if (tracing && !json_is_null(before) && !same(tracing, before))
        return ai_shape_complain(complaint, "invalid_value", "session.tracing",
                                 "Tracing cannot be changed once it is enabled.");
    return true;
}

static json_t *with_defaults(const json_t *turns)
{
    bool server = strcmp(json_string_value(json_object_get(turns, "type")), "server_vad") == 0;
    json_t *whole =
        server ? json_pack("{s:s, s:f, s:i, s:i, s:n, s:b, s:b}", "type", "server_vad", "threshold",
                           0.5, "prefix_padding_ms", 300, "silence_duration_ms", 500,
                           "idle_timeout_ms", "create_response", 1, "interrupt_response", 1)
               : json_pack("{s:s, s:s, s:b, s:b}", "type", "semantic_vad", "eagerness", "auto",
                           "create_response", 1, "interrupt_response", 1);
    json_object_update(whole, (json_t *)turns);
    return whole;
}

static void replace(json_t *object, const char *name, json_t *value)
{
    if (json_is_object(value) && strcmp(name, "turn_detection") == 0)
        json_object_set_new(object, name, with_defaults(value));
    else
        json_object_set_new(object, name, json_deep_copy(value));
}

static void replace_all(json_t *object, json_t *update, const char *except)
{
    const char *name;
    json_t *value;
    json_object_foreach(update, name, value)
    {
        if (!except || strcmp(name, except) != 0)
            replace(object, name, value);
    }
}

bool ai_config_update(json_t *config, json_t *update, bool spoke, struct ai_complaint *complaint)
{
    if (!judge(config, update, spoke, complaint))
        return false;
    replace_all(config, update, "audio");
    replace_all(ai_config_at(config, "audio", "input", NULL),
                ai_config_at(update, "audio", "input", NULL), NULL);
    replace_all(ai_config_at(config, "audio", "output", NULL),
                ai_config_at(update, "audio", "output", NULL), NULL);
    return true;
}

/* ---- reading ---- */

enum ai_format ai_config_format(const json_t *format)
{
    const char *type = json_string_value(json_object_get(format, "type"));
    assert(type);
    return strcmp(type, "audio/pcmu") == 0   ? AI_PCMU
           : strcmp(type, "audio/pcma") == 0 ? AI_PCMA
                                             : AI_PCM;
}

enum ai_format ai_config_input(const json_t *config)
{
    return ai_config_format(ai_config_at(config, "audio", "input", "format"));
}

enum ai_format ai_config_output(const json_t *config)
{
    return ai_config_format(ai_config_at(config, "audio", "output", "format"));
}

const char *ai_config_voice(const json_t *config)
{
    const json_t *voice = ai_config_at(config, "audio", "output", "voice");
    return json_is_string(voice) ? json_string_value(voice) : "custom";
}

const char *ai_config_instructions(const json_t *config)
{
    const char *text = json_string_value(json_object_get(config, "instructions"));
    return text ? text : "";
}

bool ai_config_transcribes(const json_t *config)
{
    return json_is_object(ai_config_at(config, "audio", "input", "transcription"));
}

/* How long a semantic detector waits; the real one listens to what is said. */
static unsigned patience_ms(const char *eagerness)
{
    return strcmp(eagerness, "low") == 0 ? 1500 : strcmp(eagerness, "high") == 0 ? 400 : 800;
}

struct ai_turns ai_config_turns(const json_t *config)
{
    const json_t *object = ai_config_at(config, "audio", "input", "turn_detection");
    if (!json_is_object(object))
        return (struct ai_turns){.on = false};
    struct ai_turns turns = {.on = true,
                             .threshold = 0.5,
                             .prefix_ms = 300,
                             .create = json_is_true(json_object_get(object, "create_response")),
                             .interrupt =
                                 json_is_true(json_object_get(object, "interrupt_response"))};
    const char *eagerness = json_string_value(json_object_get(object, "eagerness"));
    if (eagerness) {
        turns.silence_ms = patience_ms(eagerness);
        return turns;
    }
    turns.threshold = json_number_value(json_object_get(object, "threshold"));
    turns.prefix_ms = (unsigned)json_integer_value(json_object_get(object, "prefix_padding_ms"));
    turns.silence_ms = (unsigned)json_integer_value(json_object_get(object, "silence_duration_ms"));
    turns.idle_ms = (unsigned)json_integer_value(json_object_get(object, "idle_timeout_ms"));
    return turns;
}
