#include "tests/practice/ai_response.h"

#include "common/panic.h"
#include "tests/practice/ai_script.h"
#include "tests/practice/ai_voice.h"

#include <stdlib.h>

#define SLOW_THINK_MS      5000
#define SLOW_BURST         0.5
#define ARGUMENT_DELTA     12 /* characters of a function call's arguments in one delta */
#define AUDIO_TOKEN_OUT_MS 50
#define AUDIO_TOKEN_IN_MS  100
#define TEXT_TOKEN_BYTES   4

enum stage { THINKING, SPEAKING };

struct ai_response {
    struct ai_session *session;
    struct peer_timer timer;
    enum stage stage;
    char id[AI_ID_BYTES], item_id[AI_ID_BYTES];
    char *voice;
    enum ai_format format;
    bool text_only, out_of_band, cut, misbehaved;
    json_t *metadata, *max_tokens, *output;
    struct ai_answer answer;
    size_t text_sent; /* bytes of answer.say */
    uint8_t *audio;
    size_t audio_bytes, audio_sent;
    unsigned deltas, think_ms, delta_ms;
    double burst;
    uint64_t first_delta_ns;
    size_t output_tokens_text;
};

static void step(void *owner);

/* ---- what the answer is ---- */

/* What the last thing in the conversation asks for. */
static void read_cause(struct ai_session *session, const json_t *options, struct ai_prompt *prompt)
{
    const char *own = json_string_value(json_object_get(options, "instructions"));
    const struct ai_item *last = ai_item_last(&session->items);
    const json_t *json = last ? last->json : NULL;
    const json_t *input = json_object_get(options, "input");
    if (json_array_size(input))
        json = json_array_get(input, json_array_size(input) - 1);
    const char *type = json_string_value(json_object_get(json, "type"));
    const char *text = json_string_value(
        json_object_get(json_array_get(json_object_get(json, "content"), 0), "text"));
    *prompt = (struct ai_prompt){.cause = AI_CAUSE_TEXT, .heard = own ? own : ""};
    if (own)
        return;
    if (type && strcmp(type, "function_call_output") == 0) {
        prompt->cause = AI_CAUSE_TOOL;
        prompt->heard = json_string_value(json_object_get(json, "output"));
    } else if (text) {
        prompt->heard = text;
    } else if (last && last->heard) {
        prompt->cause = AI_CAUSE_SPEECH;
        prompt->heard = last->heard;
    } else if (last) {
        prompt->cause = AI_CAUSE_IDLE;
    }
}

static void think_up(struct ai_response *response, const json_t *options)
{
    struct ai_session *session = response->session;
    struct ai_prompt prompt;
    read_cause(session, options, &prompt);
    prompt.tools = json_object_get(options, "tools");
    if (!prompt.tools)
        prompt.tools = json_object_get(session->config, "tools");
    prompt.tool_choice = json_object_get(options, "tool_choice");
    if (!prompt.tool_choice)
        prompt.tool_choice = json_object_get(session->config, "tool_choice");
    ai_script_answer(session->ai->script, &prompt, &response->answer);
}

static void limit_tokens(struct ai_response *response)
{
    if (!json_is_integer(response->max_tokens))
        return;
    size_t tokens = (size_t)json_integer_value(response->max_tokens);
    size_t bytes = tokens * AUDIO_TOKEN_OUT_MS * ai_audio_bytes_per_ms(response->format);
    if (bytes < response->audio_bytes) {
        response->audio_bytes = bytes;
        response->cut = true;
    }
}

static void find_voice(struct ai_response *response)
{
    if (!response->answer.say || response->text_only)
        return;
    struct span audio = ai_voice_say(response->answer.say, response->voice, response->format);
    response->audio = malloc(audio.bytes + 1);
    assert(response->audio);
    if (audio.bytes)
        memcpy(response->audio, audio.data, audio.bytes);
    response->audio_bytes = audio.bytes;
    limit_tokens(response);
}

/* ---- events ---- */

static json_t *format_object(enum ai_format format)
{
    return format == AI_PCM ? json_pack("{s:s, s:i}", "type", "audio/pcm", "rate", 24000)
                            : json_pack("{s:s}", "type", ai_audio_name(format));
}

/* The "response" member of response.created and response.done; steals details and usage. */
static json_t *describe(const struct ai_response *response, const char *status, json_t *details,
                        json_t *usage)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:O, s:s?, s:[s], s:O, s:{s:{s:o, s:s}}, s:o, s:O}",
                     "object", "realtime.response", "id", response->id, "status", status,
                     "status_details", details, "output", response->output, "conversation_id",
                     response->out_of_band ? NULL : response->session->conversation_id,
                     "output_modalities", response->text_only ? "text" : "audio",
                     "max_output_tokens", response->max_tokens, "audio", "output", "format",
                     format_object(response->format), "voice", response->voice, "usage", usage,
                     "metadata", response->metadata);
}

/* An event about the content part that is being made. */
static json_t *about_part(const struct ai_response *response, const char *type)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:i}", "type", type, "response_id", response->id,
                     "item_id", response->item_id, "output_index",
                     (json_int_t)json_array_size(response->output), "content_index", 0);
}

static void emit_with(struct ai_response *response, const char *type, const char *name,
                      json_t *value)
{
    json_t *event = about_part(response, type);
    json_object_set_new(event, name, value);
    ai_session_emit(response->session, event);
}

static void emit_item(struct ai_response *response, const char *type, json_t *item)
{
    ai_session_emit(response->session,
                    json_pack("{s:s, s:s, s:I, s:O}", "type", type, "response_id", response->id,
                              "output_index", (json_int_t)json_array_size(response->output), "item",
                              item));
}

static void emit_conversation(struct ai_response *response, const char *type, json_t *item)
{
    struct ai_items *items = &response->session->items;
    const struct ai_item *ours = ai_item_find(items, response->item_id);
    if (!ours)
        return;
    ai_session_emit(response->session,
                    json_pack("{s:s, s:s?, s:O}", "type", type, "previous_item_id",
                              ai_item_before(items, ours), "item", item));
}

static void emit_limits(struct ai_session *session)
{
    ai_session_emit(session,
                    json_pack("{s:s, s:[{s:s, s:i, s:i, s:f}, {s:s, s:i, s:i, s:f}]}", "type",
                              "rate_limits.updated", "rate_limits", "name", "requests", "limit",
                              1000, "remaining", 999, "reset_seconds", 0.06, "name", "tokens",
                              "limit", 40000, "remaining", 39000, "reset_seconds", 1.5));
}

/* ---- a message ---- */

static json_t *message_item(const struct ai_response *response, const char *status, bool whole)
{
    const char *kind = response->text_only ? "output_text" : "output_audio";
    json_t *content = whole ? json_pack("[{s:s, s:s%}]", "type", kind,
                                        response->text_only ? "text" : "transcript",
                                        response->answer.say, response->text_sent)
                            : json_array();
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "id", response->item_id, "object",
                     "realtime.item", "type", "message", "status", status, "role", "assistant",
                     "content", content);
}

static json_t *part(const struct ai_response *response, bool whole)
{
    return json_pack("{s:s, s:s%}", "type", response->text_only ? "text" : "audio",
                     response->text_only ? "text" : "transcript", response->answer.say,
                     whole ? response->text_sent : (size_t)0);
}

static void add_item(struct ai_response *response, json_t *item)
{
    emit_item(response, "response.output_item.added", item);
    if (!response->out_of_band) {
        struct ai_item *ours = ai_item_add(&response->session->items, json_incref(item), NULL);
        assert(ours);
        ours->format = response->format;
    }
    emit_conversation(response, "conversation.item.added", item);
}

static void finish_item(struct ai_response *response, json_t *item)
{
    struct ai_item *ours = ai_item_find(&response->session->items, response->item_id);
    if (ours) {
        json_decref(ours->json);
        ours->json = json_incref(item);
    }
    emit_conversation(response, "conversation.item.done", item);
    emit_item(response, "response.output_item.done", item);
    json_array_append_new(response->output, item);
}

static void begin_message(struct ai_response *response)
{
    response->stage = SPEAKING;
    response->first_delta_ns = peer_loop_now_ns(response->session->ai->loop);
    ai_make_id(response->item_id, "item_");
    json_t *item = message_item(response, "in_progress", false);
    add_item(response, item);
    json_decref(item);
    emit_with(response, "response.content_part.added", "part", part(response, false));
}

static void finish_message(struct ai_response *response, const char *status)
{
    if (response->text_only) {
        emit_with(response, "response.output_text.done", "text",
                  json_stringn(response->answer.say, response->text_sent));
    } else {
        ai_session_emit(response->session, about_part(response, "response.output_audio.done"));
        emit_with(response, "response.output_audio_transcript.done", "transcript",
                  json_stringn(response->answer.say, response->text_sent));
    }
    emit_with(response, "response.content_part.done", "part", part(response, true));
    ai_session_say(response->session, "agent:  %.*s%s", (int)response->text_sent,
                   response->answer.say, *status == 'c' ? "" : " ... (cut off)");
    response->output_tokens_text += response->text_sent / TEXT_TOKEN_BYTES + 1;
    finish_item(response, message_item(response, status, true));
    response->stage = THINKING;
}

/* ---- deltas ---- */

char *ai_response_delta_text(const struct ai_session *session, struct span base64, size_t *bytes)
{
    const struct ai_response *response = session->response;
    char event_id[AI_ID_BYTES];
    size_t room = base64.bytes + 512;
    char *text = malloc(room);
    assert(text && response);
    ai_make_id(event_id, "event_");
    int head =
        snprintf(text, room,
                 "{\"type\":\"response.output_audio.delta\",\"event_id\":\"%s\","
                 "\"response_id\":\"%s\",\"item_id\":\"%s\",\"output_index\":%zu,"
                 "\"content_index\":0,\"delta\":\"",
                 event_id, response->id, response->item_id, json_array_size(response->output));
    if (base64.bytes)
        memcpy(text + head, base64.data, base64.bytes);
    memcpy(text + (size_t)head + base64.bytes, "\"}", 3);
    *bytes = (size_t)head + base64.bytes + 2;
    return text;
}

/* Whole words up to the share of the text that belongs to the audio sent so far, one delta ahead.
 */
static void emit_words(struct ai_response *response)
{
    const char *say = response->answer.say;
    size_t whole = strlen(say), end = whole;
    size_t ahead =
        response->audio_sent + response->delta_ms * ai_audio_bytes_per_ms(response->format);
    if (!response->text_only && ahead < response->audio_bytes)
        end = whole * ahead / response->audio_bytes;
    else if (response->cut)
        end = response->text_sent;
    while (end < whole && say[end] != ' ')
        end++;
    if (end <= response->text_sent)
        return;
    json_t *delta = json_stringn(say + response->text_sent, end - response->text_sent);
    response->text_sent = end;
    emit_with(response,
              response->text_only ? "response.output_text.delta"
                                  : "response.output_audio_transcript.delta",
              "delta", delta);
}

static void emit_audio(struct ai_response *response)
{
    struct ai_session *session = response->session;
    size_t bytes = response->delta_ms * ai_audio_bytes_per_ms(response->format);
    size_t rest = response->audio_bytes - response->audio_sent;
    struct span audio =
        span_from(response->audio + response->audio_sent, bytes < rest ? bytes : rest);
    char *base64 = malloc((audio.bytes + 2) / 3 * 4 + 1);
    assert(base64);
    size_t characters = ai_audio_base64(audio, base64), text_bytes;
    char *text = ai_response_delta_text(session, span_from(base64, characters), &text_bytes);
    ai_session_emit_text(session, span_from(text, text_bytes));
    free(text);
    free(base64);
    struct ai_item *item = ai_item_find(&session->items, response->item_id);
    if (item)
        ai_item_grow_audio(&session->items, item, audio);
    response->audio_sent += audio.bytes;
    response->deltas++;
    session->spoke = true;
    session->figures.deltas++;
    session->figures.delta_bytes += audio.bytes;
}

/* ---- a function call ---- */

static json_t *call_item(const struct ai_response *response, const char *call_id, const char *name,
                         const char *status, const char *arguments)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", response->item_id, "object",
                     "realtime.item", "type", "function_call", "status", status, "call_id", call_id,
                     "name", name, "arguments", arguments);
}

/* An event about the call; steals value. */
static void emit_call(struct ai_response *response, const char *type, const char *call_id,
                      const char *name, json_t *value)
{
    json_t *event =
        json_pack("{s:s, s:s, s:s, s:I, s:s, s:o}", "type", type, "response_id", response->id,
                  "item_id", response->item_id, "output_index",
                  (json_int_t)json_array_size(response->output), "call_id", call_id, name, value);
    ai_session_emit(response->session, event);
}

static void emit_done(struct ai_response *response, const char *call_id, const char *name,
                      const char *arguments)
{
    ai_session_emit(response->session,
                    json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s}", "type",
                              "response.function_call_arguments.done", "response_id", response->id,
                              "item_id", response->item_id, "output_index",
                              (json_int_t)json_array_size(response->output), "call_id", call_id,
                              "arguments", arguments, "name", name));
}

static void call_function(struct ai_response *response, const char *name, const char *arguments)
{
    char call_id[AI_ID_BYTES];
    ai_make_id(call_id, "call_");
    ai_make_id(response->item_id, "item_");
    json_t *item = call_item(response, call_id, name, "in_progress", "");
    add_item(response, item);
    json_decref(item);
    for (size_t at = 0, whole = strlen(arguments); at < whole;) {
        size_t bytes = whole - at < ARGUMENT_DELTA ? whole - at : ARGUMENT_DELTA;
        while (at + bytes < whole && ((uint8_t)arguments[at + bytes] & 0xc0) == 0x80)
            bytes++; /* not through the middle of a character */
        emit_call(response, "response.function_call_arguments.delta", call_id, "delta",
                  json_stringn(arguments + at, bytes));
        at += bytes;
    }
    emit_done(response, call_id, name, arguments);
    ai_session_say(response->session, "agent:  calls %s(%s)", name, arguments);
    response->output_tokens_text += strlen(arguments) / TEXT_TOKEN_BYTES + 1;
    finish_item(response, call_item(response, call_id, name, "completed", arguments));
}

/* All that the answer calls, one after the other. */
static void call_functions(struct ai_response *response)
{
    for (size_t i = 0; i < json_array_size(response->answer.calls); i++) {
        const json_t *call = json_array_get(response->answer.calls, i);
        const json_t *given = json_object_get(call, "arguments");
        const char *name = json_string_value(json_object_get(call, "name"));
        char *arguments = json_is_object(given) ? json_dumps(given, JSON_COMPACT) : strdup("{}");
        if (name)
            call_function(response, name, arguments);
        free(arguments);
    }
}

/* ---- the end ---- */

static json_t *count_usage(const struct ai_response *response)
{
    const struct ai_session *session = response->session;
    json_int_t text =
        (json_int_t)strlen(ai_config_instructions(session->config)) / TEXT_TOKEN_BYTES;
    json_int_t audio = 0;
    for (size_t i = 0; i < session->items.count; i++) {
        const struct ai_item *item = session->items.list[i];
        audio += (json_int_t)(item->audio_bytes / ai_audio_bytes_per_ms(item->format)) /
                 AUDIO_TOKEN_IN_MS;
        text += 4;
    }
    json_int_t spoken =
        (json_int_t)(response->audio_sent / ai_audio_bytes_per_ms(response->format)) /
        AUDIO_TOKEN_OUT_MS;
    json_int_t written = (json_int_t)response->output_tokens_text;
    json_int_t cached = text / 2;
    return json_pack("{s:I, s:I, s:I, s:{s:I, s:I, s:i, s:I, s:{s:I, s:i, s:i}}, s:{s:I, s:I}}",
                     "total_tokens", text + audio + spoken + written, "input_tokens", text + audio,
                     "output_tokens", spoken + written, "input_token_details", "text_tokens", text,
                     "audio_tokens", audio, "image_tokens", 0, "cached_tokens", cached,
                     "cached_tokens_details", "text_tokens", cached, "audio_tokens", 0,
                     "image_tokens", 0, "output_token_details", "text_tokens", written,
                     "audio_tokens", spoken);
}

static void free_response(struct ai_response *response)
{
    struct ai_session *session = response->session;
    assert(session->response == response);
    session->response = NULL;
    peer_timer_clear(session->ai->loop, &response->timer);
    json_decref(response->metadata);
    json_decref(response->max_tokens);
    json_decref(response->output);
    free(response->answer.say);
    json_decref(response->answer.calls);
    free(response->audio);
    free(response->voice);
    free(response);
}

/* Says response.done and lets go; what waited for the end begins. */
static void end(struct ai_response *response, const char *status, json_t *details)
{
    struct ai_session *session = response->session;
    ai_session_emit(session, json_pack("{s:s, s:o}", "type", "response.done", "response",
                                       describe(response, status, details, count_usage(response))));
    uint64_t now_ns = peer_loop_now_ns(session->ai->loop);
    uint64_t played_ns = response->first_delta_ns +
                         response->audio_sent * 1000000 / ai_audio_bytes_per_ms(response->format);
    free_response(response);
    if (session->response_wanted) {
        session->response_wanted = false;
        ai_response_begin(session, NULL, NULL);
    } else {
        ai_session_await(session, played_ns > now_ns ? played_ns : now_ns);
    }
}

static void break_off(struct ai_response *response, const char *status, json_t *details)
{
    if (response->stage == SPEAKING)
        finish_message(response, "incomplete");
    end(response, status, details);
}

void ai_response_cancel(struct ai_session *session, const char *reason)
{
    assert(session->response);
    break_off(session->response, "cancelled",
              json_pack("{s:s, s:s}", "type", "cancelled", "reason", reason));
}

void ai_response_fail(struct ai_session *session, const char *type, const char *code)
{
    assert(session->response);
    break_off(
        session->response, "failed",
        json_pack("{s:s, s:{s:s, s:s}}", "type", "failed", "error", "type", type, "code", code));
}

void ai_response_drop(struct ai_session *session)
{
    if (session->response)
        free_response(session->response);
}

bool ai_response_is(const struct ai_session *session, const char *response_id)
{
    return session->response && (!response_id || strcmp(session->response->id, response_id) == 0);
}

/* ---- the course of an answer ---- */

static void finish(struct ai_response *response)
{
    const char *status = response->cut ? "incomplete" : "completed";
    if (response->stage == SPEAKING)
        finish_message(response, status);
    if (!response->cut)
        call_functions(response);
    end(response, status,
        response->cut ? json_pack("{s:s, s:s}", "type", "incomplete", "reason", "max_output_tokens")
                      : json_null());
}

static void step(void *owner)
{
    struct ai_response *response = owner;
    struct ai_session *session = response->session;
    if (response->stage == THINKING && response->answer.say)
        begin_message(response);
    if (response->stage == THINKING) {
        finish(response);
        return;
    }
    emit_words(response);
    if (response->audio_sent < response->audio_bytes)
        emit_audio(response);
    bool last = response->audio_sent == response->audio_bytes;
    if (!response->misbehaved && (last || response->deltas == AI_MISBEHAVE_AT_DELTA)) {
        response->misbehaved = true;
        if (ai_misbehave_now(session))
            return;
    }
    if (last) {
        finish(response);
        return;
    }
    peer_timer_set(session->ai->loop, &response->timer,
                   peer_loop_now_ns(session->ai->loop) +
                       (uint64_t)(response->delta_ms * 1e6 / response->burst));
}

static void take_options(struct ai_response *response, const json_t *options)
{
    const json_t *config = response->session->config;
    const json_t *modalities = json_object_get(options, "output_modalities");
    const json_t *format = ai_config_at(options, "audio", "output", "format");
    const json_t *voice = ai_config_at(options, "audio", "output", "voice");
    json_t *max_tokens = json_object_get(options, "max_output_tokens");
    const char *conversation = json_string_value(json_object_get(options, "conversation"));
    if (!modalities)
        modalities = json_object_get(config, "output_modalities");
    response->text_only = strcmp(json_string_value(json_array_get(modalities, 0)), "text") == 0;
    response->format = format ? ai_config_format(format) : ai_config_output(config);
    response->voice =
        strdup(json_is_string(voice) ? json_string_value(voice) : ai_config_voice(config));
    response->max_tokens =
        json_incref(max_tokens ? max_tokens : json_object_get(config, "max_output_tokens"));
    response->out_of_band = conversation && strcmp(conversation, "none") == 0;
    json_t *metadata = json_object_get(options, "metadata");
    response->metadata = metadata ? json_incref(metadata) : json_null();
}

static bool may_begin(struct ai_session *session, const json_t *options, const char *event_id)
{
    struct ai_complaint complaint = {0};
    const json_t *voice = ai_config_at(options, "audio", "output", "voice");
    if (session->response)
        ai_shape_complain(&complaint, "conversation_already_has_active_response", "",
                          "Conversation already has an active response in progress: %s. Wait until "
                          "the response is finished before creating a new one.",
                          session->response->id);
    else if (json_is_string(voice) && session->spoke &&
             strcmp(json_string_value(voice), ai_config_voice(session->config)) != 0)
        ai_shape_complain(&complaint, "cannot_update_voice", "response.audio.output.voice",
                          "Cannot update a conversation's voice if assistant audio is present.");
    if (complaint.code)
        ai_session_error(session, &complaint, event_id);
    return !complaint.code;
}

void ai_response_begin(struct ai_session *session, json_t *options, const char *event_id)
{
    const struct ai *ai = session->ai;
    if (!may_begin(session, options, event_id))
        return;
    if (session->misbehaviour == AI_SILENT) {
        ai_session_say(session, "(silent: no answer)");
        return;
    }
    bool slow = session->misbehaviour == AI_SLOW;
    struct ai_response *response = calloc(1, sizeof *response);
    assert(response);
    *response = (struct ai_response){.session = session,
                                     .timer = {.fire = step, .owner = response},
                                     .output = json_array(),
                                     .think_ms = slow ? SLOW_THINK_MS : ai->think_ms,
                                     .delta_ms = ai->delta_ms,
                                     .burst = slow ? SLOW_BURST : ai->burst,
                                     .first_delta_ns = peer_loop_now_ns(ai->loop)};
    session->response = response;
    session->figures.responses++;
    ai_session_await_no_more(session);
    ai_make_id(response->id, "resp_");
    take_options(response, options);
    think_up(response, options);
    find_voice(response);
    ai_session_emit(session,
                    json_pack("{s:s, s:o}", "type", "response.created", "response",
                              describe(response, "in_progress", json_null(), json_null())));
    emit_limits(session);
    peer_timer_set(ai->loop, &response->timer,
                   peer_loop_now_ns(ai->loop) + (uint64_t)response->think_ms * 1000000);
}
