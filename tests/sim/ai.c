/* The AI: a realtime session. It answers the upgrade, configures itself, hears the caller speak
 * when its dice say so, answers in bursts of audio faster than speech, is interrupted, reports
 * errors, and compares all it is told with what the caller has said. Or meets its fate. */
#include "common/base64.h"
#include "edge/io/tls.h"
#include "edge/media/g711.h"
#include "tests/sim/story.h"
#include "tests/sim/trace.h"

#include <inttypes.h>
#include <stdio.h>

#define SAMPLES_BY_MS 8

/* ---- its fate ---- */

static const enum end excuses[AI_FATES] = {
    [AI_UNRESOLVED] = END_ai_unresolved,
    [AI_UNANSWERED] = END_ai_not_ready,
    [AI_REFUSES_TCP] = END_ai_unreachable,
    [AI_IGNORES_TCP] = END_ai_unreachable,
    [AI_REFUSES_UPGRADE] = END_ai_refused,
    [AI_IGNORES_UPGRADE] = END_ai_not_ready,
    [AI_GARBLES_UPGRADE] = END_ai_protocol,
    [AI_IGNORES_SESSION] = END_ai_not_ready,
    [AI_REFUSES_SESSION] = END_ai_refused,
    [AI_RESETS] = END_ai_lost,
    [AI_FINISHES] = END_ai_lost,
    [AI_CLOSES] = END_ai_closed,
    [AI_EXPIRES] = END_ai_expired,
    [AI_QUOTA] = END_ai_error,
    [AI_GARBAGE] = END_ai_protocol,
    [AI_DEAF] = END_ai_too_slow,
    [AI_SLOW] = END_ai_too_slow,
    [AI_SILENT] = END_ai_silent,
    [AI_MUTE] = END_ai_silent,
};

static void strike(struct story *story, struct ai *ai)
{
    ai->doomed = true;
    trace("AI's fate", story->number, ai->fate, ai->session);
    if (excuses[ai->fate])
        story_excuse(story, excuses[ai->fate]);
    if (ai->configured)
        return;
    story_excuse(story, END_ai_not_ready);
    if (ai->fate == AI_CLOSES)
        story_excuse(story, END_ai_refused);
}

static void leave(struct story *story, struct ai *ai)
{
    trace("AI leaves", story->number, ai->session, ai->stage);
    peer_leave(&ai->peer);
    ai->stage = AI_LEFT;
}

void ai_leave(struct story *story)
{
    for (unsigned i = 0; i < AIS_MAX; i++)
        if (story->ais[i].peer.tcp)
            leave(story, &story->ais[i]);
}

static struct ai *find_place(struct story *story)
{
    for (unsigned i = 0; i < AIS_MAX; i++)
        if (!story->ais[i].peer.tcp)
            return &story->ais[i];
    return NULL;
}

/* The first session has the story's fate; later ones have it again half of the time. */
static void open(struct story *story, struct ai *ai, struct tcp *tcp)
{
    struct peer peer = ai->peer;
    *ai = (struct ai){.peer = peer,
                      .dice = dice_open(dice_draw(&story->dice), 2),
                      .stage = AI_SECURING,
                      .session = story->sessions++};
    ai->updated_ns = ai->speech_ns = ai->silence_ns = ai->answer_ns = ai->delta_ns = NEVER;
    ai->transcript_ns = ai->fate_ns = NEVER;
    peer_open(&ai->peer, tcp, false, story->ai_tls, ai->dice);
    ai->ear.found = ai->session == 0; /* from the beginning; others from wherever */
    ai->ear.watched_ns = NEVER;
    ai->tracked = !story->pcm || ai->session == 0;
    resample_open(&ai->resample, RESAMPLE_8_TO_24);
    if (ai->session == 0 || dice_chance(&ai->dice, 500))
        ai->fate = story->ai_fate;
    if (ai->session) /* the one before has not got everything */
        story->cuts++;
}

enum dialled ai_dialled(struct story *story, struct tcp *tcp)
{
    struct ai *ai = find_place(story);
    if (!ai)
        return DIAL_REFUSED;
    open(story, ai, tcp);
    if (ai->fate != AI_REFUSES_TCP && ai->fate != AI_IGNORES_TCP)
        return DIAL_ANSWERED;
    strike(story, ai);
    ai->peer.tcp = NULL;
    ai->stage = AI_LEFT;
    return ai->fate == AI_REFUSES_TCP ? DIAL_REFUSED : DIAL_IGNORED;
}

static void say_garbage(struct ai *ai)
{
    static const char *const texts[] = {
        "[]",
        "{\"type\":\"response.output_audio.delta\"}",
        "{\"type\":\"response.output_audio.delta\",\"response_id\":\"r\",\"item_id\":\"i\","
        "\"content_index\":0,\"delta\":\"***\"}",
        "{\"type\":7}",
        "{\"type\":\"input_audio_buffer.speech_started\",\"item_id\":{}}",
    };
    uint64_t which = dice_below(&ai->dice, 7);
    if (which < 5)
        peer_send_text(&ai->peer, "%s", texts[which]);
    else if (which == 5)
        peer_send(&ai->peer, PEER_BINARY, span_of("binary"));
    else
        peer_say(&ai->peer, span_of("\xff\xff\xff\xff\xff\xff\xff"));
}

static void say_error(struct ai *ai, const char *code, const char *event_id)
{
    peer_send_text(&ai->peer,
                   "{\"type\":\"error\",\"event_id\":\"e1\",\"error\":{\"type\":"
                   "\"invalid_request_error\",\"code\":\"%s\",\"message\":\"no\",\"event_id\":"
                   "\"%s\"}}",
                   code, event_id);
}

static void suffer(struct story *story, struct ai *ai)
{
    strike(story, ai);
    ai->fate_ns = NEVER;
    switch (ai->fate) {
    case AI_RESETS:
        tcp_reset(ai->peer.tcp);
        leave(story, ai);
        return;
    case AI_FINISHES:
        tcp_finish(ai->peer.tcp); /* with TLS: without a word */
        return;
    case AI_CLOSES:
        peer_send_close(&ai->peer, dice_chance(&ai->dice, 500) ? 1000 : 1001);
        story_excuse(story, END_ai_expired);
        return;
    case AI_EXPIRES:
        say_error(ai, "session_expired", "");
        return;
    case AI_QUOTA:
        say_error(ai, "insufficient_quota", "");
        return;
    case AI_GARBAGE:
        story_excuse(story, END_ai_lost);
        say_garbage(ai);
        return;
    case AI_DEAF:
        story_excuse(story, END_ai_lost); /* nor does it hear the ping */
        ai->peer.deaf = true;
        tcp_narrow(ai->peer.tcp, NARROW_BYTES);
        return;
    case AI_MUTE:
        story_excuse(story, END_ai_lost); /* nor does it answer pings */
        ai->mute = true;
        return;
    case AI_SLOW:
        story_excuse(story, END_ai_lost);
        tcp_narrow(ai->peer.tcp, NARROW_BYTES);
        ai->peer.budget = 300 + dice_below(&ai->dice, 3000);
        return;
    default:
        return;
    }
}

/* ---- from the socket to the session ---- */

static void refuse_upgrade(struct story *story, struct ai *ai)
{
    strike(story, ai);
    if (ai->fate == AI_REFUSES_UPGRADE)
        peer_say(&ai->peer, span_of("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"));
    else if (ai->fate == AI_GARBLES_UPGRADE && dice_chance(&ai->dice, 500))
        peer_say(&ai->peer, span_of("HTTP/1.1 101 Fine\r\nUpgrade: websocket\r\nConnection: "
                                    "Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n"));
    else if (ai->fate == AI_GARBLES_UPGRADE)
        peer_say(&ai->peer, span_of("220 mail.example.com\r\n\r\n"));
}

static void read_upgrade(struct story *story, struct ai *ai, uint64_t now_ns)
{
    struct span head = peer_head(&ai->peer);
    char accept[29];
    if (head.bytes == 0)
        return;
    expect(span_starts(head, "GET /v1/realtime"), "the right path");
    expect(memmem(head.data, head.bytes, "Authorization: Bearer sk-sim\r\n", 30), "the key");
    const uint8_t *key = memmem(head.data, head.bytes, "Sec-WebSocket-Key: ", 19);
    expect(key, "a key");
    tls_websocket_accept(span_from(key + 19, 24), accept);
    peer_drop(&ai->peer, head.bytes);
    ai->stage = AI_OPEN;
    if (ai->fate == AI_REFUSES_UPGRADE || ai->fate == AI_IGNORES_UPGRADE ||
        ai->fate == AI_GARBLES_UPGRADE) {
        refuse_upgrade(story, ai);
        return;
    }
    char text[256];
    int bytes = snprintf(text, sizeof text,
                         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                         accept);
    peer_say(&ai->peer, span_from(text, (size_t)bytes));
    peer_send_text(&ai->peer,
                   "{\"type\":\"session.created\",\"event_id\":\"e0\",\"session\":{\"type\":"
                   "\"realtime\",\"id\":\"sess_%u\",\"expires_at\":%" PRId64 "}}",
                   ai->session, kernel_wall_ms() / 1000 + 3600);
    if (ai->fate >= AI_RESETS && ai->fate != AI_SILENT)
        ai->fate_ns =
            now_ns + (dice_chance(&ai->dice, 300) ? dice_below(&ai->dice, 100) * MS
                                                  : dice_below(&ai->dice, story->life_ns));
}

static void update_session(struct story *story, struct ai *ai, struct span text, uint64_t now_ns)
{
    ai->patient = memmem(text.data, text.bytes, "\"interrupt_response\":false", 26);
    if (ai->fate == AI_REFUSES_SESSION && !ai->configured) {
        strike(story, ai);
        say_error(ai, "invalid_value", "rb-session");
    } else if (ai->fate == AI_IGNORES_SESSION) {
        strike(story, ai);
    } else {
        bool late = !story->strict && !ai->configured && dice_chance(&ai->dice, 40);
        if (late) { /* what is kept of the caller until then is more than there is room for */
            story_excuse(story, END_ai_not_ready);
            if (story->carrier.stage < STAGE_STARTED && story->life_ns < 15 * SECOND)
                story->life_ns = 15 * SECOND;
        }
        ai->updated_ns =
            now_ns + (late ? 5000 : 0) * MS + dice_below(&ai->dice, late ? 4500 : 200) * MS;
    }
}

/* ---- it hears the caller speak ---- */

static void plan_speech(struct ai *ai, uint64_t now_ns)
{
    ai->speech_ns = now_ns + dice_between(&ai->dice, 200, 6000) * MS;
}

static void notice_speech(struct story *story, struct ai *ai, uint64_t now_ns)
{
    uint64_t start_ms = ai->audio_ms > 400 ? ai->audio_ms - 400 : 0;
    ai->speech_ns = ai->answer_ns = NEVER;
    ai->silence_ns = now_ns + dice_between(&ai->dice, 100, 2500) * MS;
    peer_send_text(&ai->peer,
                   "{\"type\":\"input_audio_buffer.speech_started\",\"event_id\":\"e9\","
                   "\"audio_start_ms\":%" PRIu64 ",\"item_id\":\"caller_%u\"}",
                   start_ms, ++ai->speech_number);
    if (!ai->patient)
        agent_cancel(story, ai, now_ns);
}

static void notice_silence(struct story *story, struct ai *ai, uint64_t now_ns)
{
    ai->silence_ns = NEVER;
    peer_send_text(&ai->peer,
                   "{\"type\":\"input_audio_buffer.speech_stopped\",\"event_id\":\"e10\","
                   "\"audio_end_ms\":%" PRIu64 ",\"item_id\":\"caller_%u\"}",
                   ai->audio_ms, ai->speech_number);
    peer_send_text(&ai->peer,
                   "{\"type\":\"input_audio_buffer.committed\",\"event_id\":\"e11\",\"item_id\":"
                   "\"caller_%u\"}",
                   ai->speech_number);
    if (story->transcribed)
        ai->transcript_ns = now_ns + dice_below(&ai->dice, 1500) * MS;
    if (ai->fate == AI_SILENT)
        strike(story, ai);
    else
        ai->answer_ns = now_ns + dice_below(&ai->dice, 700) * MS;
    plan_speech(ai, now_ns);
}

static void write_down(struct ai *ai)
{
    ai->transcript_ns = NEVER;
    if (dice_chance(&ai->dice, 100))
        peer_send_text(&ai->peer,
                       "{\"type\":\"conversation.item.input_audio_transcription.failed\","
                       "\"event_id\":\"e12\",\"item_id\":\"caller_%u\",\"content_index\":0,"
                       "\"error\":{\"type\":\"t\",\"code\":\"c\",\"message\":\"m\"}}",
                       ai->speech_number);
    else
        peer_send_text(&ai->peer,
                       "{\"type\":\"conversation.item.input_audio_transcription.completed\","
                       "\"event_id\":\"e13\",\"item_id\":\"caller_%u\",\"content_index\":0,"
                       "\"transcript\":\"a caller's words\"}",
                       ai->speech_number);
}

/* ---- it listens ---- */

/* PCM16 of 24 kHz must be what the caller's samples become. */
static void hear_pcm(struct story *story, struct ai *ai, struct span audio, uint64_t now_ns)
{
    static int16_t narrow[PCM_BYTES_MAX / 6], wide[PCM_BYTES_MAX / 2];
    size_t samples = audio.bytes / 6;
    struct ear *ear = &ai->ear;
    expect(audio.bytes % 6 == 0, "%zu bytes", audio.bytes);
    if (ai->tracked && ear->at + samples <= story->caller.count) {
        g711_ulaw_decode(story->caller.bytes + ear->at, narrow, samples);
        resample_run(&ai->resample, narrow, samples, wide);
        ai->tracked = memcmp(wide, audio.data, audio.bytes) == 0;
        ear_time(ear, &story->caller, now_ns);
    }
    expect(ai->tracked || !story->strict || ai->session,
           "the AI hears what the caller has not said");
    ear->at += samples;
    ear->heard += samples;
}

static void hear_audio(struct story *story, struct ai *ai, struct span text, uint64_t now_ns)
{
    static uint8_t bytes[PCM_BYTES_MAX];
    struct span base64 = peer_member(text, "audio");
    ptrdiff_t count = base64_decoded_bytes(base64);
    expect(count > 0 && (size_t)count <= sizeof bytes && base64_decode(base64, bytes),
           "audio in base64");
    struct span audio = span_from(bytes, (size_t)count);
    if (story->pcm)
        hear_pcm(story, ai, audio, now_ns);
    else
        expect(ear_hear(&ai->ear, &story->caller, audio, now_ns),
               "the AI hears what the caller has not said");
    ai->bytes_heard += audio.bytes;
    ai->audio_ms = ai->bytes_heard / (story->pcm ? 48 : 8);
    if (ai->speech_ns == NEVER && ai->silence_ns == NEVER && ai->configured)
        plan_speech(ai, now_ns);
}

static void hear_truncate(struct story *story, struct span text)
{
    struct span id = peer_member(text, "item_id");
    struct utterance *item = agent_find_item(story, id);
    const uint8_t *at = memmem(text.data, text.bytes, "\"audio_end_ms\":", 15);
    uint64_t ms = 0;
    expect(item && at, "%.*s", (int)text.bytes, (const char *)text.data);
    for (at += 15; *at >= '0' && *at <= '9'; at++)
        ms = ms * 10 + (unsigned)(*at - '0');
    expect(!item->truncated, "one truncation of %s", item->id);
    expect(ms <= (item->end - item->start) / SAMPLES_BY_MS + (story->pcm ? 5 : 0),
           "%" PRIu64 " ms of %s are there", ms, item->id);
    item->truncated = true;
    item->truncated_ms = ms;
    story->cuts++;
}

static void hear_create(struct story *story, struct ai *ai, struct span text, uint64_t now_ns)
{
    struct span event_id = peer_member(text, "event_id");
    char id[32];
    if (ai->fate == AI_SILENT) {
        strike(story, ai);
        return;
    }
    if (ai->mute)
        return;
    expect(span_copy_text(event_id, id, sizeof id), "an event_id");
    if (ai->response[0])
        say_error(ai, "conversation_already_has_active_response", id);
    else
        agent_begin(story, ai, now_ns);
}

static void listen(struct story *story, struct ai *ai, uint64_t now_ns)
{
    struct peer_message message;
    while (ai->peer.tcp && peer_next(&ai->peer, &message)) {
        if (message.opcode == PEER_CLOSE) {
            trace("AI hears close", story->number, ai->session, 0);
            if (!ai->peer.said_close)
                peer_send_close(&ai->peer, 1000);
            peer_finish(&ai->peer);
            return;
        }
        if (message.opcode == PEER_PING && !ai->mute)
            peer_send(&ai->peer, PEER_PONG, message.body);
        if (message.opcode != PEER_TEXT)
            continue;
        struct span type = peer_member(message.body, "type");
        if (span_is(type, "input_audio_buffer.append"))
            hear_audio(story, ai, message.body, now_ns);
        else if (span_is(type, "session.update"))
            update_session(story, ai, message.body, now_ns);
        else if (span_is(type, "response.create"))
            hear_create(story, ai, message.body, now_ns);
        else if (span_is(type, "response.cancel"))
            agent_cancel(story, ai, now_ns);
        else if (span_is(type, "conversation.item.truncate"))
            hear_truncate(story, message.body);
        else
            expect(span_is(type, "conversation.item.create"), "the AI is told %.*s",
                   (int)message.body.bytes, (const char *)message.body.data);
    }
}

/* ---- the turn ---- */

static void tell_configured(struct ai *ai, uint64_t now_ns)
{
    ai->updated_ns = NEVER;
    ai->configured = true;
    peer_send_text(&ai->peer,
                   "{\"type\":\"session.updated\",\"event_id\":\"e14\",\"session\":{\"type\":"
                   "\"realtime\",\"id\":\"sess_%u\",\"expires_at\":%" PRId64 "}}",
                   ai->session, kernel_wall_ms() / 1000 + 3600);
    ai->ear.watched_ns = now_ns + SECOND; /* what was kept until now comes late */
}

static void act_in_time(struct story *story, struct ai *ai, uint64_t now_ns)
{
    if (now_ns >= ai->updated_ns)
        tell_configured(ai, now_ns);
    if (now_ns >= ai->speech_ns)
        notice_speech(story, ai, now_ns);
    if (now_ns >= ai->silence_ns)
        notice_silence(story, ai, now_ns);
    if (now_ns >= ai->transcript_ns)
        write_down(ai);
    if (story->chatty && ai->configured && dice_chance(&ai->dice, 20))
        agent_chat(story, ai);
    if (now_ns >= ai->answer_ns) {
        ai->answer_ns = NEVER;
        agent_begin(story, ai, now_ns);
    }
    if (now_ns >= ai->delta_ns)
        agent_speak_on(story, ai, now_ns);
}

static uint64_t next_of(const struct ai *ai)
{
    uint64_t next_ns = sooner(ai->updated_ns, ai->speech_ns);
    next_ns = sooner(next_ns, sooner(ai->silence_ns, ai->answer_ns));
    next_ns = sooner(next_ns, sooner(ai->delta_ns, ai->transcript_ns));
    if (ai->peer.said_close || ai->mute)
        next_ns = NEVER;
    if (ai->peer.budget && tcp_waiting(ai->peer.tcp))
        next_ns = sooner(next_ns, ai->read_ns);
    return sooner(sooner(next_ns, ai->fate_ns), tcp_arrival_ns(ai->peer.tcp));
}

static void read_socket(struct ai *ai, uint64_t now_ns)
{
    if (ai->peer.budget && now_ns < ai->read_ns)
        return;
    ai->read_ns = now_ns + 100 * MS;
    peer_read(&ai->peer);
}

static void step(struct story *story, struct ai *ai, uint64_t now_ns)
{
    read_socket(ai, now_ns);
    if (ai->stage == AI_SECURING && peer_ready(&ai->peer))
        ai->stage = AI_UPGRADING;
    if (ai->stage == AI_UPGRADING)
        read_upgrade(story, ai, now_ns);
    if (ai->stage == AI_OPEN)
        listen(story, ai, now_ns);
    if (ai->stage == AI_OPEN && !ai->peer.said_close && !ai->mute)
        act_in_time(story, ai, now_ns);
    if (ai->peer.tcp && now_ns >= ai->fate_ns)
        suffer(story, ai);
    if (ai->peer.tcp && peer_over(&ai->peer))
        leave(story, ai);
}

uint64_t ai_step(struct story *story, uint64_t now_ns)
{
    uint64_t next_ns = NEVER;
    for (unsigned i = 0; i < AIS_MAX; i++) {
        struct ai *ai = &story->ais[i];
        if (!ai->peer.tcp)
            continue;
        step(story, ai, now_ns);
        if (ai->peer.tcp)
            next_ns = sooner(next_ns, next_of(ai));
    }
    return next_ns;
}
