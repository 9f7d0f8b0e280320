#include "control/link/plan_write.h"

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>

bool plan_write_url(const char *base, const char *model, char *url, size_t room)
{
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    int length = snprintf(url, room, "%s%cmodel=", base, strchr(base, '?') ? '&' : '?');
    if (length < 0)
        return false;
    size_t bytes = (size_t)length;
    for (; *model && bytes < room; model++) {
        bool plain = strchr(unreserved, *model) != NULL;
        length = snprintf(url + bytes, room - bytes, plain ? "%c" : "%%%02X", (uint8_t)*model);
        bytes += (size_t)length;
    }
    return bytes < room;
}

static json_t *write_signatures(const struct plan_facts *facts)
{
    char values[SIGNATURE_STREAM_MAX][SIGNATURE_TEXT_BYTES + 1];
    json_t *array = json_array();
    size_t count =
        signature_stream_values(facts->stream_base, facts->stream_path, facts->tokens, values);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_string(values[i]));
    return array;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static void add_number(json_t *object, const char *name, unsigned value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

static void add_manners(json_t *ai, const struct calls_incoming *call)
{
    json_object_set_new(ai, "greeting_interruptible", json_boolean(call->greeting_interruptible));
    add_number(ai, "interrupt_after_ms", call->interrupt_after_ms);
    add_number(ai, "vad_prefix_ms", call->vad_prefix_ms);
    add_number(ai, "vad_silence_ms", call->vad_silence_ms);
    add_number(ai, "vad_threshold_percent", call->vad_threshold_percent);
    add_number(ai, "session_max_s", call->session_max_s);
}

static json_t *write_ai(const struct options *options, const struct calls_incoming *call)
{
    char url[2304];
    json_t *tools = json_loads(call->tools_json ? call->tools_json : "[]", 0, NULL);
    if (!json_is_array(tools) ||
        !plan_write_url(options->openai_realtime_url, or_empty(call->model), url, sizeof url)) {
        json_decref(tools);
        return NULL;
    }
    const char *key = call->ai_key ? call->ai_key : or_empty(options->openai_api_key);
    json_t *ai = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "backend",
        or_empty(call->ai_backend), "url", url, "key", key, "format", or_empty(call->audio_format),
        "model", or_empty(call->model), "voice", or_empty(call->voice), "instructions",
        or_empty(call->instructions), "greeting", or_empty(call->greeting), "transcription_model",
        or_empty(call->transcription_model), "language", or_empty(call->language), "tools", tools);
    if (ai)
        add_manners(ai, call);
    json_t *waits = call->tool_waits_json ? json_loads(call->tool_waits_json, 0, NULL) : NULL;
    if (ai && waits)
        json_object_set(ai, "tool_waits", waits);
    json_decref(waits);
    return ai;
}

int64_t plan_write_first_seq(bool first_stream)
{
    return first_stream ? 0 : clock_wall_ms();
}

json_t *plan_write(const struct options *options, const struct plan_facts *facts)
{
    const struct calls_incoming *call = facts->call;
    json_t *ai = write_ai(options, call);
    if (!ai)
        return NULL;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:I, s:I, s:I, s:b, s:o}", "call",
                     call->conversation, "organization", call->organization, "call_sid",
                     facts->call_sid, "account_sid", facts->account_sid, "ticket", facts->ticket,
                     "expires_at_ms", (json_int_t)facts->expires_at_ms, "home_core",
                     (json_int_t)facts->home_core, "signatures", write_signatures(facts),
                     "duration_max_s", (json_int_t)call->duration_max_s, "first_seq",
                     (json_int_t)facts->first_seq, "append_ms", (json_int_t)call->append_ms,
                     "record", call->record, "ai", ai);
}

char *plan_write_order(json_t *plan)
{
    if (!plan)
        return NULL;
    json_t *order = json_pack("{s:s, s:o}", "kind", "prepare", "plan", plan);
    char *text = order ? json_dumps(order, JSON_COMPACT) : NULL;
    json_decref(order);
    return text;
}

void plan_write_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}
