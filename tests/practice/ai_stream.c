#include "tests/practice/ai_stream.h"

#include "common/clock.h"
#include "common/panic.h"

#include <math.h>
#include <stdlib.h>

#define TONE_HZ       400 /* whole periods in every multiple of 5 ms */
#define TONE_PEAK     8000
#define STAMP_BYTES   12
#define STAMP_LETTERS 16

struct ai_stream {
    struct ai_session *session;
    struct peer_timer timer;
    bool echo, stamp, started;
    unsigned delta_ms, talk_deltas, quiet_ms;
    char response_id[AI_ID_BYTES], item_id[AI_ID_BYTES];
    unsigned sent;  /* deltas of this spurt */
    uint32_t count; /* deltas in all */
    uint64_t next_ns;
    uint8_t *frame; /* header, text, base64, text: tone's delta, or echo's room */
    size_t frame_bytes, frame_room, audio_at;
};

/* ---- opening ---- */

static unsigned parameter(struct span query, const char *name, unsigned otherwise, unsigned most)
{
    char text[16];
    struct span value = peer_query_find(query, name);
    if (!value.data || !span_copy_text(value, text, sizeof text))
        return otherwise;
    unsigned long number = strtoul(text, NULL, 10);
    return number > most ? most : (unsigned)number;
}

static void talk(void *owner);

struct ai_stream *ai_stream_open(struct ai_session *session, struct span query)
{
    bool echo = strcmp(session->model, "practice-echo") == 0;
    if (!echo && strcmp(session->model, "practice-tone") != 0)
        return NULL;
    struct ai_stream *stream = calloc(1, sizeof *stream);
    assert(stream);
    stream->session = session;
    stream->timer = (struct peer_timer){.fire = talk, .owner = stream};
    stream->echo = echo;
    stream->stamp = parameter(query, "stamp", 0, 1) == 1;
    stream->delta_ms = parameter(query, "delta_ms", 100, 2000);
    if (stream->delta_ms < 5)
        stream->delta_ms = 5;
    stream->talk_deltas = parameter(query, "talk_ms", 5000, 3600000) / stream->delta_ms;
    stream->quiet_ms = parameter(query, "quiet_ms", 5000, 3600000);
    peer_ws_set_fast(session->conn);
    return stream;
}

void ai_stream_close(struct ai_stream *stream)
{
    if (!stream)
        return;
    peer_timer_clear(stream->session->ai->loop, &stream->timer);
    free(stream->frame);
    free(stream);
}

/* ---- the events around the deltas ---- */

/* @e event id, @r response id, @i item id, @c conversation id, @f format */
static const char *const opening[] = {
    ("{\"type\":\"response.created\",\"event_id\":\"@e\",\"response\":{\"object\":"
     "\"realtime.response\",\"id\":\"@r\",\"status\":\"in_progress\",\"status_details\":null,"
     "\"output\":[],\"conversation_id\":\"@c\",\"output_modalities\":[\"audio\"],"
     "\"max_output_tokens\":\"inf\",\"audio\":{\"output\":{\"format\":{\"type\":\"@f\"},"
     "\"voice\":\"marin\"}},\"usage\":null,\"metadata\":null}}"),
    ("{\"type\":\"response.output_item.added\",\"event_id\":\"@e\",\"response_id\":\"@r\","
     "\"output_index\":0,\"item\":{\"id\":\"@i\",\"object\":\"realtime.item\",\"type\":"
     "\"message\",\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}}"),
    ("{\"type\":\"conversation.item.added\",\"event_id\":\"@e\",\"previous_item_id\":null,"
     "\"item\":{\"id\":\"@i\",\"object\":\"realtime.item\",\"type\":\"message\",\"status\":"
     "\"in_progress\",\"role\":\"assistant\",\"content\":[]}}"),
    ("{\"type\":\"response.content_part.added\",\"event_id\":\"@e\",\"response_id\":\"@r\","
     "\"item_id\":\"@i\",\"output_index\":0,\"content_index\":0,\"part\":{\"type\":\"audio\","
     "\"transcript\":\"\"}}"),
    ("{\"type\":\"response.output_audio_transcript.delta\",\"event_id\":\"@e\",\"response_id\":"
     "\"@r\",\"item_id\":\"@i\",\"output_index\":0,\"content_index\":0,\"delta\":\"(sound)\"}")};

static const char *const closing[] = {
    ("{\"type\":\"response.output_audio.done\",\"event_id\":\"@e\",\"response_id\":\"@r\","
     "\"item_id\":\"@i\",\"output_index\":0,\"content_index\":0}"),
    ("{\"type\":\"response.output_audio_transcript.done\",\"event_id\":\"@e\",\"response_id\":"
     "\"@r\",\"item_id\":\"@i\",\"output_index\":0,\"content_index\":0,\"transcript\":"
     "\"(sound)\"}"),
    ("{\"type\":\"response.content_part.done\",\"event_id\":\"@e\",\"response_id\":\"@r\","
     "\"item_id\":\"@i\",\"output_index\":0,\"content_index\":0,\"part\":{\"type\":\"audio\","
     "\"transcript\":\"(sound)\"}}"),
    ("{\"type\":\"response.output_item.done\",\"event_id\":\"@e\",\"response_id\":\"@r\","
     "\"output_index\":0,\"item\":{\"id\":\"@i\",\"object\":\"realtime.item\",\"type\":"
     "\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":"
     "\"output_audio\",\"transcript\":\"(sound)\"}]}}"),
    ("{\"type\":\"response.done\",\"event_id\":\"@e\",\"response\":{\"object\":"
     "\"realtime.response\",\"id\":\"@r\",\"status\":\"completed\",\"status_details\":null,"
     "\"output\":[{\"id\":\"@i\",\"object\":\"realtime.item\",\"type\":\"message\",\"status\":"
     "\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_audio\",\"transcript\":"
     "\"(sound)\"}]}],\"conversation_id\":\"@c\",\"output_modalities\":[\"audio\"],"
     "\"max_output_tokens\":\"inf\",\"audio\":{\"output\":{\"format\":{\"type\":\"@f\"},"
     "\"voice\":\"marin\"}},\"usage\":{\"total_tokens\":0,\"input_tokens\":0,\"output_tokens\":0,"
     "\"input_token_details\":{\"text_tokens\":0,\"audio_tokens\":0,\"image_tokens\":0,"
     "\"cached_tokens\":0},\"output_token_details\":{\"text_tokens\":0,\"audio_tokens\":0}},"
     "\"metadata\":null}}")};

static const char *value_of(const struct ai_stream *stream, char letter, const char *event_id)
{
    switch (letter) {
    case 'e':
        return event_id;
    case 'r':
        return stream->response_id;
    case 'i':
        return stream->item_id;
    case 'c':
        return stream->session->conversation_id;
    default:
        assert(letter == 'f');
        return ai_audio_name(ai_config_output(stream->session->config));
    }
}

static size_t fill(const struct ai_stream *stream, const char *template, char *text, size_t room)
{
    char event_id[AI_ID_BYTES];
    size_t bytes = 0;
    ai_make_id(event_id, "event_");
    for (; *template; template ++) {
        char letter[2] = {*template, '\0'};
        const char *piece = *template == '@' ? value_of(stream, *++template, event_id) : letter;
        size_t length = strlen(piece);
        assert(bytes + length < room);
        memcpy(text + bytes, piece, length);
        bytes += length;
    }
    return bytes;
}

static void emit_all(struct ai_stream *stream, const char *const *templates, size_t count)
{
    char text[2048];
    for (size_t i = 0; i < count; i++) {
        size_t bytes = fill(stream, templates[i], text, sizeof text);
        ai_session_emit_text(stream->session, span_from(text, bytes));
    }
}

static void open_response(struct ai_stream *stream)
{
    ai_make_id(stream->response_id, "resp_");
    ai_make_id(stream->item_id, "item_");
    emit_all(stream, opening, sizeof opening / sizeof *opening);
    stream->session->figures.responses++;
    stream->session->spoke = true;
}

/* ---- deltas ---- */

/* Puts a whole delta frame into stream->frame, with room for so much base64 text in it; what the
 * text says is left to the caller (at audio_at). Ids have constant lengths. */
static void lay_frame(struct ai_stream *stream, size_t letters)
{
    char head[512], event_id[AI_ID_BYTES];
    ai_make_id(event_id, "event_");
    int head_bytes = snprintf(head, sizeof head,
                              "{\"type\":\"response.output_audio.delta\",\"event_id\":\"%s\","
                              "\"response_id\":\"%s\",\"item_id\":\"%s\",\"output_index\":0,"
                              "\"content_index\":0,\"delta\":\"",
                              event_id, stream->response_id, stream->item_id);
    size_t body = (size_t)head_bytes + letters + 2;
    if (body + PEER_FRAME_HEADER_BYTES > stream->frame_room) {
        stream->frame_room = 2 * (body + PEER_FRAME_HEADER_BYTES);
        stream->frame = realloc(stream->frame, stream->frame_room);
        assert(stream->frame);
    }
    size_t header = peer_frame_header(stream->frame, PEER_TEXT, body, NULL);
    memcpy(stream->frame + header, head, (size_t)head_bytes);
    stream->audio_at = header + (size_t)head_bytes;
    memcpy(stream->frame + stream->audio_at + letters, "\"}", 2);
    stream->frame_bytes = stream->audio_at + letters + 2;
}

/* A spurt's frame: same length as ever, so only the ids change from spurt to spurt. */
static void lay_tone(struct ai_stream *stream)
{
    enum ai_format format = ai_config_output(stream->session->config);
    unsigned rate = ai_audio_rate(format);
    size_t count = (size_t)rate * stream->delta_ms / 1000, bytes;
    int16_t *samples = malloc(count * sizeof *samples);
    assert(samples);
    for (size_t i = 0; i < count; i++)
        samples[i] = (int16_t)lrint(TONE_PEAK * sin(2 * M_PI * TONE_HZ * (double)i / rate));
    uint8_t *audio = ai_audio_encode(format, samples, count, &bytes);
    assert(audio);
    lay_frame(stream, (bytes + 2) / 3 * 4);
    ai_audio_base64(span_from(audio, bytes), (char *)stream->frame + stream->audio_at);
    free(audio);
    free(samples);
}

static void send_frame(struct ai_stream *stream, size_t letters)
{
    struct ai_session *session = stream->session;
    peer_ws_send_prebuilt(session->conn, span_from(stream->frame, stream->frame_bytes));
    session->figures.deltas++;
    session->figures.delta_bytes += letters / 4 * 3;
}

static void write_stamp(struct ai_stream *stream)
{
    uint8_t stamp[STAMP_BYTES];
    uint64_t now_ns = clock_monotonic_ns();
    memcpy(stamp, &now_ns, 8);
    memcpy(stamp + 8, &stream->count, 4);
    ai_audio_base64(span_from(stamp, STAMP_BYTES), (char *)stream->frame + stream->audio_at);
}

static void talk(void *owner)
{
    struct ai_stream *stream = owner;
    struct peer_loop *loop = stream->session->ai->loop;
    if (stream->sent == 0) {
        open_response(stream);
        lay_tone(stream);
        stream->next_ns = peer_loop_now_ns(loop);
    }
    if (stream->stamp)
        write_stamp(stream);
    send_frame(stream, stream->frame_bytes - stream->audio_at - 2);
    stream->count++;
    stream->next_ns += (uint64_t)stream->delta_ms * 1000000;
    if (++stream->sent >= stream->talk_deltas) {
        emit_all(stream, closing, sizeof closing / sizeof *closing);
        stream->sent = 0;
        stream->next_ns += (uint64_t)stream->quiet_ms * 1000000;
    }
    peer_timer_set(loop, &stream->timer, stream->next_ns);
}

void ai_stream_start(struct ai_stream *stream)
{
    const struct ai *ai = stream->session->ai;
    if (stream->started)
        return;
    stream->started = true;
    if (stream->echo) {
        open_response(stream);
        return;
    }
    /* Half of the sessions talk while the others are quiet; spread over the delta's length. */
    uint64_t wait_ms = ai->figures.sessions % 2 ? stream->quiet_ms : 0;
    wait_ms += ai->figures.sessions * 7 % stream->delta_ms;
    if (stream->talk_deltas)
        peer_timer_set(ai->loop, &stream->timer, peer_loop_now_ns(ai->loop) + wait_ms * 1000000);
}

/* ---- what comes in ---- */

static void send_back(struct ai_stream *stream, struct span base64)
{
    lay_frame(stream, base64.bytes);
    memcpy(stream->frame + stream->audio_at, base64.data, base64.bytes);
    send_frame(stream, base64.bytes);
}

bool ai_stream_take(struct ai_stream *stream, struct span message)
{
    static const char type[] = "\"input_audio_buffer.append\"", name[] = "\"audio\":\"";
    size_t near = message.bytes < 640 ? message.bytes : 640;
    if (!stream->started || !memmem(message.data, near, type, sizeof type - 1))
        return false;
    const uint8_t *begin = memmem(message.data, near, name, sizeof name - 1);
    if (!begin)
        return false;
    begin += sizeof name - 1;
    size_t rest = message.bytes - (size_t)(begin - message.data);
    const uint8_t *end = memchr(begin, '"', rest);
    if (!end)
        return false;
    struct span base64 = span_from(begin, (size_t)(end - begin));
    stream->session->figures.appends++;
    stream->session->figures.append_bytes += base64.bytes / 4 * 3;
    if (stream->echo && base64.bytes)
        send_back(stream, base64);
    return true;
}
