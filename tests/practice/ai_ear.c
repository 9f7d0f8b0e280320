#include "tests/practice/ai_ear.h"

#include "common/panic.h"
#include "tests/practice/ai_record.h"
#include "tests/practice/ai_response.h"
#include "tests/practice/ai_session.h"

#include <stdlib.h>

#define SLACK_MS 200 /* kept before the prefix, for the frames that speech needs to be noticed */

void ai_ear_configure(struct ai_session *session)
{
    struct ai_ear *ear = &session->ear;
    struct ai_turns turns = ai_config_turns(session->config);
    enum ai_format format = ai_config_input(session->config);
    if (format != ear->format) {
        ear->count = 0;
        ear->start_ms = ear->vad.heard_ms;
        ear->format = format;
    }
    ai_vad_configure(&ear->vad, ai_audio_rate(format), turns.threshold, turns.silence_ms);
    if (!turns.on)
        ear->vad.speaking = 0;
}

void ai_ear_close(struct ai_ear *ear)
{
    free(ear->bytes);
    ear->bytes = NULL;
}

/* Forgets what lies before a position. */
static void drop_until(struct ai_ear *ear, uint64_t at_ms)
{
    if (at_ms <= ear->start_ms)
        return;
    size_t bytes = (at_ms - ear->start_ms) * ai_audio_bytes_per_ms(ear->format);
    if (bytes > ear->count)
        bytes = ear->count;
    memmove(ear->bytes, ear->bytes + bytes, ear->count - bytes);
    ear->count -= bytes;
    ear->start_ms = at_ms;
}

static void keep(struct ai_ear *ear, struct span audio)
{
    if (ear->count + audio.bytes > ear->room) {
        ear->room = 2 * (ear->count + audio.bytes);
        ear->bytes = realloc(ear->bytes, ear->room);
        assert(ear->bytes);
    }
    if (audio.bytes)
        memcpy(ear->bytes + ear->count, audio.data, audio.bytes);
    ear->count += audio.bytes;
}

/* ---- turns ---- */

static char *understand(struct ai_session *session, uint64_t audio_ms)
{
    char *text =
        ai_take_expected(session->ai, session->model, ai_config_instructions(session->config));
    if (text)
        return text;
    char guess[64];
    snprintf(guess, sizeof guess, "(%.1f s of speech)", (double)audio_ms / 1000);
    return strdup(guess);
}

/* Makes a user item of the first bytes of the buffer. */
static void make_item(struct ai_session *session, size_t bytes)
{
    struct ai_ear *ear = &session->ear;
    uint64_t audio_ms = bytes / ai_audio_bytes_per_ms(ear->format);
    const struct ai_item *last = ai_item_last(&session->items);
    ai_session_emit(session,
                    json_pack("{s:s, s:s?, s:s}", "type", "input_audio_buffer.committed",
                              "previous_item_id", last ? last->id : NULL, "item_id", ear->item_id));
    struct ai_item *item =
        ai_item_add(&session->items,
                    json_pack("{s:s, s:s, s:s, s:s, s:s, s:[{s:s}]}", "id", ear->item_id, "object",
                              "realtime.item", "type", "message", "status", "completed", "role",
                              "user", "content", "type", "input_audio"),
                    NULL);
    assert(item);
    ai_item_set_audio(&session->items, item, ear->format, span_from(ear->bytes, bytes));
    item->heard = understand(session, audio_ms);
    ai_session_say(session, "caller: %s", item->heard);
    ai_session_announce(session, item);
    if (ai_config_transcribes(session->config))
        ai_session_transcribe(session, item->id, strdup(item->heard), audio_ms);
}

static void speech_started(struct ai_session *session, const struct ai_turns *turns)
{
    struct ai_ear *ear = &session->ear;
    uint64_t back_ms = turns->prefix_ms + AI_VAD_START_FRAMES * AI_VAD_FRAME_MS;
    uint64_t start_ms = ear->vad.heard_ms > back_ms ? ear->vad.heard_ms - back_ms : 0;
    ear->speech_start_ms = start_ms > ear->start_ms ? start_ms : ear->start_ms;
    ai_make_id(ear->item_id, "item_");
    ai_session_await_no_more(session);
    ai_session_emit(session, json_pack("{s:s, s:I, s:s}", "type",
                                       "input_audio_buffer.speech_started", "audio_start_ms",
                                       (json_int_t)ear->speech_start_ms, "item_id", ear->item_id));
    if (turns->interrupt && session->response) {
        session->figures.interrupted++;
        ai_response_cancel(session, "turn_detected");
    }
}

static void speech_stopped(struct ai_session *session, const struct ai_turns *turns)
{
    struct ai_ear *ear = &session->ear;
    uint64_t end_ms = ear->vad.heard_ms;
    ai_session_emit(session,
                    json_pack("{s:s, s:I, s:s}", "type", "input_audio_buffer.speech_stopped",
                              "audio_end_ms", (json_int_t)end_ms, "item_id", ear->item_id));
    drop_until(ear, ear->speech_start_ms);
    size_t bytes = (end_ms - ear->start_ms) * ai_audio_bytes_per_ms(ear->format);
    make_item(session, bytes < ear->count ? bytes : ear->count);
    drop_until(ear, end_ms);
    if (!turns->create)
        return;
    if (session->response)
        session->response_wanted = true;
    else
        ai_response_begin(session, NULL, NULL);
}

static void listen(struct ai_session *session, struct span audio)
{
    struct ai_ear *ear = &session->ear;
    struct ai_turns turns = ai_config_turns(session->config);
    size_t width = ear->format == AI_PCM ? 2 : 1;
    int16_t samples[2048];
    while (audio.bytes) {
        size_t bytes = audio.bytes < 2048 * width ? audio.bytes : 2048 * width;
        size_t count = ai_audio_decode(ear->format, span_from(audio.data, bytes), samples);
        size_t done = 0, used;
        while (done < count) {
            enum ai_vad_event event = ai_vad_hear(&ear->vad, samples + done, count - done, &used);
            done += used;
            if (turns.on && event == AI_VAD_STARTED)
                speech_started(session, &turns);
            else if (turns.on && event == AI_VAD_STOPPED)
                speech_stopped(session, &turns);
        }
        audio = span_from(audio.data + bytes, audio.bytes - bytes);
    }
    uint64_t reach_ms = turns.prefix_ms + SLACK_MS;
    if (turns.on && !ear->vad.speaking && ear->vad.heard_ms > reach_ms)
        drop_until(ear, ear->vad.heard_ms - reach_ms);
}

/* ---- events ---- */

static void complain(struct ai_session *session, json_t *event, const char *code,
                     const char *message)
{
    struct ai_complaint complaint = {0};
    ai_shape_complain(&complaint, code, "audio", "%s", message);
    ai_session_error(session, &complaint, json_string_value(json_object_get(event, "event_id")));
}

static void write_wav(struct ai_session *session, struct span audio)
{
    if (!session->ai->record_audio)
        return;
    if (!session->wav)
        session->wav =
            ai_record_open_wav(session->ai->record_audio, session->id, session->ear.format);
    if (session->wav)
        fwrite(audio.data, 1, audio.bytes, session->wav);
}

void ai_ear_append(struct ai_session *session, json_t *event)
{
    struct ai_ear *ear = &session->ear;
    json_t *audio = json_object_get(event, "audio");
    struct span text = span_from(json_string_value(audio), json_string_length(audio));
    size_t bytes;
    uint8_t *data = malloc(text.bytes / 4 * 3 + 3);
    assert(data);
    if (!ai_audio_unbase64(text, data, &bytes)) {
        complain(session, event, "invalid_value",
                 "Invalid 'audio'. Expected base64-encoded audio bytes.");
    } else if (bytes > AI_APPEND_BYTES_MAX) {
        complain(session, event, "string_above_max_length",
                 "Invalid 'audio'. At most 15 MiB are allowed in one event.");
    } else if (ear->format == AI_PCM && bytes % 2) {
        complain(session, event, "invalid_value",
                 "Invalid 'audio'. Expected whole 16-bit samples, but got an odd byte.");
    } else if (ear->count + bytes > AI_EAR_BYTES_MAX) {
        complain(session, event, "input_audio_buffer_full", "The input audio buffer is full.");
    } else {
        session->figures.appends++;
        session->figures.append_bytes += bytes;
        write_wav(session, span_from(data, bytes));
        keep(ear, span_from(data, bytes));
        listen(session, span_from(data, bytes));
    }
    free(data);
}

void ai_ear_commit(struct ai_session *session, json_t *event)
{
    struct ai_ear *ear = &session->ear;
    size_t per_ms = ai_audio_bytes_per_ms(ear->format);
    if (ear->count < 100 * per_ms) {
        char message[200];
        snprintf(message, sizeof message,
                 "Error committing input audio buffer: buffer too small. Expected at least 100ms "
                 "of audio, but buffer only has %.2fms of audio.",
                 (double)ear->count / (double)per_ms);
        complain(session, event, "input_audio_buffer_commit_empty", message);
        return;
    }
    if (!ear->vad.speaking)
        ai_make_id(ear->item_id, "item_");
    ear->vad.speaking = 0;
    make_item(session, ear->count);
    drop_until(ear, ear->start_ms + ear->count / per_ms);
    ear->count = 0;
}

void ai_ear_clear(struct ai_session *session)
{
    struct ai_ear *ear = &session->ear;
    ear->start_ms += ear->count / ai_audio_bytes_per_ms(ear->format);
    ear->count = 0;
    ear->vad.speaking = 0;
    ai_session_emit(session, json_pack("{s:s}", "type", "input_audio_buffer.cleared"));
}

void ai_ear_time_out(struct ai_session *session)
{
    struct ai_ear *ear = &session->ear;
    ai_make_id(ear->item_id, "item_");
    ai_session_emit(session, json_pack("{s:s, s:I, s:I, s:s}", "type",
                                       "input_audio_buffer.timeout_triggered", "audio_start_ms",
                                       (json_int_t)ear->start_ms, "audio_end_ms",
                                       (json_int_t)ear->vad.heard_ms, "item_id", ear->item_id));
    const struct ai_item *last = ai_item_last(&session->items);
    ai_session_emit(session,
                    json_pack("{s:s, s:s?, s:s}", "type", "input_audio_buffer.committed",
                              "previous_item_id", last ? last->id : NULL, "item_id", ear->item_id));
    struct ai_item *item =
        ai_item_add(&session->items,
                    json_pack("{s:s, s:s, s:s, s:s, s:s, s:[{s:s}]}", "id", ear->item_id, "object",
                              "realtime.item", "type", "message", "status", "completed", "role",
                              "user", "content", "type", "input_audio"),
                    NULL);
    assert(item);
    ai_session_announce(session, item);
}
