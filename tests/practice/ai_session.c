#include "tests/practice/ai_session.h"

#include "common/clock.h"
#include "common/panic.h"
#include "tests/practice/ai_record.h"
#include "tests/practice/ai_response.h"
#include "tests/practice/ai_stream.h"

#include <stdarg.h>
#include <stdlib.h>

#define TRANSCRIBE_MS 150 /* speech recognition lags behind the model */
#define EXPIRED_TEXT  "Your session hit the maximum duration of 60 minutes."

/* ---- saying ---- */

void ai_session_say(const struct ai_session *session, const char *format, ...)
{
    if (!session->ai->verbose)
        return;
    int64_t now_ms = clock_wall_ms();
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%02d:%02d.%03d %.9s  %s\n", (int)(now_ms / 60000 % 60),
            (int)(now_ms / 1000 % 60), (int)(now_ms % 1000), session->id + 5, text);
}

void ai_session_emit_text(struct ai_session *session, struct span text)
{
    if (session->mute)
        return;
    ai_record_event(session->ai->record, session->id, "server", text);
    peer_ws_send(session->conn, PEER_TEXT, text);
}

void ai_session_emit(struct ai_session *session, json_t *event)
{
    char id[AI_ID_BYTES];
    assert(event);
    ai_make_id(id, "event_");
    json_object_set_new(event, "event_id", json_string(id));
    char *text = json_dumps(event, JSON_COMPACT);
    assert(text);
    json_decref(event);
    ai_session_emit_text(session, span_of(text));
    free(text);
}

void ai_session_error(struct ai_session *session, const struct ai_complaint *complaint,
                      const char *event_id)
{
    session->figures.errors++;
    ai_session_say(session, "(error %s: %s)", complaint->code ? complaint->code : "",
                   complaint->message);
    ai_session_emit(session,
                    json_pack("{s:s, s:{s:s, s:s?, s:s, s:s?, s:s?}}", "type", "error", "error",
                              "type", complaint->type ? complaint->type : "invalid_request_error",
                              "code", complaint->code, "message", complaint->message, "param",
                              *complaint->param ? complaint->param : NULL, "event_id", event_id));
}

void ai_session_announce(struct ai_session *session, const struct ai_item *item)
{
    static const char *const types[] = {"conversation.item.added", "conversation.item.done"};
    for (size_t i = 0; i < 2; i++)
        ai_session_emit(session,
                        json_pack("{s:s, s:s?, s:O}", "type", types[i], "previous_item_id",
                                  ai_item_before(&session->items, item), "item", item->json));
}

void ai_session_expire(struct ai_session *session)
{
    struct ai_complaint complaint = {.code = "session_expired"};
    snprintf(complaint.message, sizeof complaint.message, "%s", EXPIRED_TEXT);
    ai_session_error(session, &complaint, NULL);
    peer_ws_close(session->conn, 1001, EXPIRED_TEXT);
}

/* ---- clocks ---- */

static void expired(void *owner)
{
    struct ai_session *session = owner;
    ai_response_drop(session);
    ai_session_expire(session);
}

static void caller_is_idle(void *owner)
{
    struct ai_session *session = owner;
    if (session->response)
        return;
    ai_ear_time_out(session);
    ai_response_begin(session, NULL, NULL);
}

void ai_session_await(struct ai_session *session, uint64_t from_ns)
{
    struct ai_turns turns = ai_config_turns(session->config);
    if (turns.on && turns.idle_ms && !session->ear.vad.speaking)
        peer_timer_set(session->ai->loop, &session->idle,
                       from_ns + (uint64_t)turns.idle_ms * 1000000);
}

void ai_session_await_no_more(struct ai_session *session)
{
    peer_timer_clear(session->ai->loop, &session->idle);
}

static json_t *transcript_usage(const struct ai_session *session,
                                const struct ai_transcript *transcript)
{
    const char *model = json_string_value(
        json_object_get(ai_config_at(session->config, "audio", "input", "transcription"), "model"));
    if (model && strcmp(model, "whisper-1") == 0)
        return json_pack("{s:s, s:f}", "type", "duration", "seconds",
                         (double)(transcript->audio_ms + 999) / 1000);
    json_int_t heard = (json_int_t)transcript->audio_ms / 100;
    json_int_t written = (json_int_t)strlen(transcript->text) / 4 + 1;
    return json_pack("{s:s, s:I, s:I, s:{s:i, s:I}, s:I}", "type", "tokens", "total_tokens",
                     heard + written, "input_tokens", heard, "input_token_details", "text_tokens",
                     0, "audio_tokens", heard, "output_tokens", written);
}

static void transcribe(void *owner)
{
    struct ai_session *session = owner;
    for (size_t i = 0; i < session->transcript_count; i++) {
        struct ai_transcript *transcript = &session->transcripts[i];
        ai_session_emit(session, json_pack("{s:s, s:s, s:i, s:s}", "type",
                                           "conversation.item.input_audio_transcription.delta",
                                           "item_id", transcript->item_id, "content_index", 0,
                                           "delta", transcript->text));
        ai_session_emit(session, json_pack("{s:s, s:s, s:i, s:s, s:o}", "type",
                                           "conversation.item.input_audio_transcription.completed",
                                           "item_id", transcript->item_id, "content_index", 0,
                                           "transcript", transcript->text, "usage",
                                           transcript_usage(session, transcript)));
        free(transcript->text);
    }
    session->transcript_count = 0;
}

void ai_session_transcribe(struct ai_session *session, const char *item_id, char *text,
                           uint64_t audio_ms)
{
    if (session->transcript_count == AI_TRANSCRIPTS_MAX)
        transcribe(session);
    struct ai_transcript *transcript = &session->transcripts[session->transcript_count++];
    transcript->text = text;
    transcript->audio_ms = audio_ms;
    snprintf(transcript->item_id, sizeof transcript->item_id, "%s", item_id);
    peer_timer_set(session->ai->loop, &session->transcribe,
                   peer_loop_now_ns(session->ai->loop) + (uint64_t)TRANSCRIBE_MS * 1000000);
}

/* ---- opening ---- */

static struct peer_timer clock_of(struct ai_session *session, void (*fire)(void *owner))
{
    return (struct peer_timer){.fire = fire, .owner = session};
}

static void run_out_of_quota(struct ai_session *session)
{
    struct ai_complaint complaint = {.type = "insufficient_quota", .code = "insufficient_quota"};
    snprintf(complaint.message, sizeof complaint.message, "You exceeded your current quota.");
    ai_session_error(session, &complaint, NULL);
    peer_ws_close(session->conn, 1008, "insufficient_quota");
}

struct ai_session *ai_session_open(struct ai *ai, struct peer_conn *conn, struct span query,
                                   const char *model, enum ai_misbehaviour misbehaviour)
{
    struct ai_session *session = calloc(1, sizeof *session);
    assert(session);
    session->ai = ai;
    session->conn = conn;
    session->misbehaviour = misbehaviour;
    session->next = ai->sessions;
    ai->sessions = session;
    ai->figures.sessions++;
    ai_make_id(session->id, "sess_");
    ai_make_id(session->conversation_id, "conv_");
    snprintf(session->model, sizeof session->model, "%s", model);
    int64_t expires_at_s = clock_wall_ms() / 1000 + ai->session_seconds;
    session->config = ai_config_new(session->id, model, expires_at_s);
    session->expiry = clock_of(session, expired);
    session->idle = clock_of(session, caller_is_idle);
    session->transcribe = clock_of(session, transcribe);
    peer_timer_set(ai->loop, &session->expiry,
                   peer_loop_now_ns(ai->loop) + (uint64_t)ai->session_seconds * 1000000000);
    peer_set_owner(conn, session);
    peer_set_hooks(conn, &ai_session_hooks);
    ai_ear_configure(session);
    session->stream = ai_stream_open(session, query);
    ai_session_say(session, "(session for %s%s%s)", model, misbehaviour ? ", will misbehave: " : "",
                   misbehaviour ? ai_misbehave_name(misbehaviour) : "");
    if (misbehaviour == AI_QUOTA)
        run_out_of_quota(session);
    else if (misbehaviour != AI_NO_CREATED)
        ai_session_emit(session, json_pack("{s:s, s:O}", "type", "session.created", "session",
                                           session->config));
    return session;
}

static void add_figures(struct ai *ai, const struct ai_figures *figures)
{
    ai->figures.appends += figures->appends;
    ai->figures.append_bytes += figures->append_bytes;
    ai->figures.deltas += figures->deltas;
    ai->figures.delta_bytes += figures->delta_bytes;
    ai->figures.errors += figures->errors;
    ai->figures.responses += figures->responses;
    ai->figures.interrupted += figures->interrupted;
}

static void on_closed(struct peer_conn *conn, const struct peer_ending *ending)
{
    struct ai_session *session = peer_owner(conn);
    struct ai *ai = session->ai;
    ai_session_say(session, "(ended: %s, code %u %.*s)", ending->why, ending->close_code,
                   (int)ending->reason.bytes, (const char *)ending->reason.data);
    ai_response_drop(session);
    ai_stream_close(session->stream);
    ai_ear_close(&session->ear);
    ai_item_clear(&session->items);
    peer_timer_clear(ai->loop, &session->expiry);
    peer_timer_clear(ai->loop, &session->idle);
    peer_timer_clear(ai->loop, &session->transcribe);
    for (size_t i = 0; i < session->transcript_count; i++)
        free(session->transcripts[i].text);
    if (session->wav)
        ai_record_close_wav(session->wav);
    add_figures(ai, &session->figures);
    struct ai_session **link = &ai->sessions;
    while (*link != session)
        link = &(*link)->next;
    *link = session->next;
    json_decref(session->config);
    free(session);
}

/* ---- client events ---- */

static const char *event_id_of(const json_t *event)
{
    return json_string_value(json_object_get(event, "event_id"));
}

static const char *text_of(const json_t *event, const char *name)
{
    return json_string_value(json_object_get(event, name));
}

static void take_update(struct ai_session *session, json_t *event)
{
    struct ai_complaint complaint = {0};
    if (session->misbehaviour == AI_NO_READY)
        return;
    if (session->misbehaviour == AI_REJECT_UPDATE) {
        ai_shape_complain(&complaint, "invalid_value", "session",
                          "The practice AI was told to reject this.");
        ai_session_error(session, &complaint, event_id_of(event));
        return;
    }
    if (!ai_config_update(session->config, json_object_get(event, "session"), session->spoke,
                          &complaint)) {
        ai_session_error(session, &complaint, event_id_of(event));
        return;
    }
    ai_ear_configure(session);
    ai_session_emit(session,
                    json_pack("{s:s, s:O}", "type", "session.updated", "session", session->config));
    if (session->stream)
        ai_stream_start(session->stream);
}

static void take_append(struct ai_session *session, json_t *event)
{
    ai_ear_append(session, event);
}

static void take_commit(struct ai_session *session, json_t *event)
{
    ai_ear_commit(session, event);
}

static void take_clear(struct ai_session *session, json_t *event)
{
    (void)event;
    ai_ear_clear(session);
}

static bool call_is_known(const struct ai_session *session, const char *call_id)
{
    for (size_t i = 0; i < session->items.count; i++) {
        const char *known = text_of(session->items.list[i]->json, "call_id");
        if (known && strcmp(known, call_id) == 0)
            return true;
    }
    return false;
}

/* Audio that comes in an item is kept apart from its JSON. */
static bool take_audio(struct ai_session *session, struct ai_item *item)
{
    json_t *content = json_array_get(json_object_get(item->json, "content"), 0);
    json_t *audio = json_object_get(content, "audio");
    if (!audio)
        return true;
    size_t bytes;
    uint8_t *data = malloc(json_string_length(audio) / 4 * 3 + 3);
    assert(data);
    bool right = ai_audio_unbase64(span_from(json_string_value(audio), json_string_length(audio)),
                                   data, &bytes);
    if (right)
        ai_item_set_audio(&session->items, item, ai_config_input(session->config),
                          span_from(data, bytes));
    free(data);
    json_object_del(content, "audio");
    const char *transcript = text_of(content, "transcript");
    item->heard = strdup(transcript ? transcript : "(audio)");
    return right;
}

static void take_item(struct ai_session *session, json_t *event)
{
    struct ai_complaint complaint = {0};
    json_t *json = json_deep_copy(json_object_get(event, "item"));
    const char *id = text_of(json, "id"), *previous = text_of(event, "previous_item_id");
    char made[AI_ID_BYTES];
    const char *call_id = strcmp(text_of(json, "type"), "function_call_output") == 0
                              ? text_of(json, "call_id")
                              : NULL;
    if (id && ai_item_find(&session->items, id))
        ai_shape_complain(&complaint, "item_create_duplicate_item_id", "item.id",
                          "Error adding item: an item with id '%.60s' exists already.", id);
    else if (previous && strcmp(previous, "root") != 0 && !ai_item_find(&session->items, previous))
        ai_shape_complain(&complaint, "item_create_invalid_previous_item_id", "previous_item_id",
                          "Error adding item: the previous item with id '%.60s' does not exist.",
                          previous);
    else if (call_id && !call_is_known(session, call_id))
        ai_shape_complain(&complaint, "invalid_tool_call_id", "item.call_id",
                          "Tool call id '%.60s' not found in conversation.", call_id);
    if (complaint.code) {
        json_decref(json);
        ai_session_error(session, &complaint, event_id_of(event));
        return;
    }
    if (!id) {
        ai_make_id(made, "item_");
        json_object_set_new(json, "id", json_string(made));
    }
    json_object_set_new(json, "object", json_string("realtime.item"));
    json_object_set_new(json, "status", json_string("completed"));
    struct ai_item *item = ai_item_add(&session->items, json, previous);
    assert(item);
    if (!take_audio(session, item)) {
        ai_item_delete(&session->items, item);
        ai_shape_complain(&complaint, "invalid_value", "item.content[0].audio",
                          "Invalid audio. Expected base64-encoded audio bytes.");
        ai_session_error(session, &complaint, event_id_of(event));
        return;
    }
    ai_session_announce(session, item);
}

static struct ai_item *find_item(struct ai_session *session, json_t *event, const char *code)
{
    const char *id = text_of(event, "item_id");
    struct ai_item *item = ai_item_find(&session->items, id);
    struct ai_complaint complaint = {0};
    if (item)
        return item;
    ai_shape_complain(&complaint, code, "item_id", "Item with item_id '%.60s' not found.", id);
    ai_session_error(session, &complaint, event_id_of(event));
    return NULL;
}

static void take_truncate(struct ai_session *session, json_t *event)
{
    struct ai_complaint complaint = {0};
    struct ai_item *item = find_item(session, event, "item_truncate_invalid_item_id");
    if (!item)
        return;
    json_t *part = json_array_get(json_object_get(item->json, "content"), 0);
    const char *role = text_of(item->json, "role"), *kind = text_of(part, "type");
    json_int_t index = json_integer_value(json_object_get(event, "content_index"));
    json_int_t end_ms = json_integer_value(json_object_get(event, "audio_end_ms"));
    size_t per_ms = ai_audio_bytes_per_ms(item->format);
    json_int_t whole_ms = (json_int_t)(item->audio_bytes / per_ms);
    bool spoken =
        role && strcmp(role, "assistant") == 0 && (!kind || strcmp(kind, "output_audio") == 0);
    if (!spoken)
        ai_shape_complain(&complaint, "invalid_value", "item_id",
                          "Only audio messages of the model can be truncated.");
    else if (index != 0)
        ai_shape_complain(&complaint, "invalid_value", "content_index",
                          "The item has no content at index %lld.", (long long)index);
    else if (end_ms > whole_ms)
        ai_shape_complain(&complaint, NULL, "",
                          "Audio content of %lldms is already shorter than %lldms",
                          (long long)whole_ms, (long long)end_ms);
    if (complaint.message[0]) {
        ai_session_error(session, &complaint, event_id_of(event));
        return;
    }
    ai_item_cut_audio(&session->items, item, (size_t)end_ms * per_ms);
    if (part)
        json_object_del(part, "transcript"); /* nobody knows which words were heard */
    ai_session_say(session, "(heard until %lld of %lld ms)", (long long)end_ms,
                   (long long)whole_ms);
    ai_session_emit(session,
                    json_pack("{s:s, s:s, s:I, s:I}", "type", "conversation.item.truncated",
                              "item_id", item->id, "content_index", index, "audio_end_ms", end_ms));
}

static void take_delete(struct ai_session *session, json_t *event)
{
    struct ai_item *item = find_item(session, event, "item_delete_invalid_item_id");
    if (!item)
        return;
    ai_item_delete(&session->items, item);
    ai_session_emit(session, json_pack("{s:s, s:s}", "type", "conversation.item.deleted", "item_id",
                                       text_of(event, "item_id")));
}

static void take_retrieve(struct ai_session *session, json_t *event)
{
    struct ai_item *item = find_item(session, event, "item_retrieve_invalid_item_id");
    if (item)
        ai_session_emit(session, json_pack("{s:s, s:o}", "type", "conversation.item.retrieved",
                                           "item", ai_item_whole(item)));
}

static void take_create(struct ai_session *session, json_t *event)
{
    if (session->stream)
        return; /* tone and echo have a response of their own, always */
    ai_response_begin(session, json_object_get(event, "response"), event_id_of(event));
}

static void take_cancel(struct ai_session *session, json_t *event)
{
    if (ai_response_is(session, text_of(event, "response_id"))) {
        ai_response_cancel(session, "client_cancelled");
        return;
    }
    struct ai_complaint complaint = {0};
    ai_shape_complain(&complaint, "response_cancel_not_active", "",
                      "Cancellation failed: no active response found");
    ai_session_error(session, &complaint, event_id_of(event));
}

static const struct {
    const char *type;
    void (*take)(struct ai_session *session, json_t *event);
} takers[] = {
    {"input_audio_buffer.append", take_append}, {"session.update", take_update},
    {"input_audio_buffer.commit", take_commit}, {"input_audio_buffer.clear", take_clear},
    {"conversation.item.create", take_item},    {"conversation.item.truncate", take_truncate},
    {"conversation.item.delete", take_delete},  {"conversation.item.retrieve", take_retrieve},
    {"response.create", take_create},           {"response.cancel", take_cancel}};

static void take_event(struct ai_session *session, json_t *event)
{
    struct ai_complaint complaint = {0};
    if (!ai_shape_event(event, &complaint)) {
        ai_session_error(session, &complaint, event_id_of(event));
        return;
    }
    for (size_t i = 0; i < sizeof takers / sizeof *takers; i++)
        if (strcmp(takers[i].type, text_of(event, "type")) == 0)
            takers[i].take(session, event);
}

static void on_message(struct peer_conn *conn, enum peer_opcode opcode, struct span body)
{
    struct ai_session *session = peer_owner(conn);
    if (opcode == PEER_PING || opcode == PEER_PONG || session->mute)
        return;
    if (session->stream && ai_stream_take(session->stream, body))
        return;
    ai_record_event(session->ai->record, session->id, "client", body);
    json_error_t error;
    json_t *event = opcode == PEER_TEXT ? json_loadb((const char *)body.data, body.bytes,
                                                     JSON_REJECT_DUPLICATES, &error)
                                        : NULL;
    if (json_is_object(event)) {
        take_event(session, event);
    } else {
        struct ai_complaint complaint = {0};
        ai_shape_complain(&complaint, "invalid_json", "",
                          "Events are JSON objects in text messages. This is not one: %s",
                          opcode != PEER_TEXT ? "it is binary"
                          : event             ? "it is no object"
                                              : error.text);
        ai_session_error(session, &complaint, NULL);
    }
    json_decref(event);
}

const struct peer_hooks ai_session_hooks = {.message = on_message, .closed = on_closed};
