#include "tests/practice/carrier_leg.h"

#include "common/clock.h"
#include "common/panic.h"
#include "tests/practice/carrier_hint.h"
#include "tests/practice/carrier_sign.h"
#include "tests/practice/carrier_webhook.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_PER_MS 1000000ull
#define FRAME_NS  (CARRIER_FRAME_MS * NS_PER_MS)
#define LATE_NS   (10 * NS_PER_MS)

static bool misbehaves(const struct carrier_leg *leg, enum carrier_misdeed misdeed)
{
    return leg->options->misdeeds[misdeed];
}

static uint64_t now_ns(const struct carrier_leg *leg)
{
    return peer_loop_now_ns(leg->loop);
}

/* Milliseconds since the stream began. */
static double at_ms(const struct carrier_leg *leg, uint64_t ns)
{
    return ns < leg->begun_ns ? 0 : (double)(ns - leg->begun_ns) / 1e6;
}

__attribute__((format(printf, 2, 3))) static void tell(const struct carrier_leg *leg,
                                                       const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    leg->hooks->tell(leg->owner, line);
}

static void send_text(struct carrier_leg *leg, const char *text, size_t bytes)
{
    peer_ws_send(leg->conn, PEER_TEXT, span_from(text, bytes));
}

/* ---- what the caller hears ---- */

/* Twilio's debugger, as far as a stream can reach it. */
static void warn(struct carrier_leg *leg, unsigned code, const char *why)
{
    json_array_append_new(leg->warnings, json_pack("{s:i, s:s, s:f}", "code", (int)code, "text",
                                                   why, "at_ms", at_ms(leg, now_ns(leg))));
    tell(leg, "warning %u: %s", code, why);
}

/* Notices that the agent begins or ends speaking. */
static void watch_agent(struct carrier_leg *leg)
{
    uint64_t now = now_ns(leg);
    struct carrier_playback *playback = &leg->playback;
    bool playing = carrier_playback_queued(playback, now) > 0;
    if (playing && !leg->agent_speaking) {
        leg->agent_speaking = true;
        leg->speech_since_ns = playback->begun_ns;
        tell(leg, "agent begins to speak");
        if (leg->awaiting_answer) {
            double ms = (double)(playback->begun_ns - leg->utterance_end_ns) / 1e6;
            json_array_append_new(leg->answers_ms, json_real(ms));
            leg->awaiting_answer = false;
        }
        return;
    }
    bool over =
        !playing && (playback->speech_over || now - playback->dry_ns > CARRIER_SPEECH_GAP_NS);
    if (!over || !leg->agent_speaking)
        return;
    leg->agent_speaking = false;
    double ms = (double)playback->speech_bytes / CARRIER_BYTES_PER_MS;
    json_array_append_new(leg->speeches,
                          json_pack("{s:f, s:f, s:b}", "at_ms", at_ms(leg, leg->speech_since_ns),
                                    "played_ms", ms, "cut", playback->speech_over));
    tell(leg, "agent %s after %.0f ms", playback->speech_over ? "is cut off" : "falls quiet", ms);
}

/* Sends back the marks that are due and sets the timer for the next. */
static void return_marks(struct carrier_leg *leg)
{
    char text[CARRIER_MESSAGE_BYTES_MAX];
    struct carrier_mark mark;
    while (carrier_playback_next(&leg->playback, now_ns(leg), &mark)) {
        send_text(leg, text, carrier_message_mark(&leg->stream, mark.name, text));
        json_array_append_new(leg->marks,
                              json_pack("{s:s, s:f, s:f, s:f, s:b}", "name", mark.name, "at_ms",
                                        at_ms(leg, mark.returned_ns), "played_ms", mark.played_ms,
                                        "speech_ms", mark.speech_ms, "flushed", mark.flushed));
        if (mark.flushed) /* the many that were heard stand in the report */
            tell(leg, "mark %s flushed at %.0f ms", mark.name, mark.speech_ms);
        free(mark.name);
    }
    uint64_t due = carrier_playback_due_ns(&leg->playback);
    if (due)
        peer_timer_set(leg->loop, &leg->mark_timer, due);
    else
        peer_timer_clear(leg->loop, &leg->mark_timer);
}

static void mark_timer_fired(void *owner)
{
    struct carrier_leg *leg = owner;
    if (!leg->over)
        return_marks(leg);
}

static void on_clear(struct carrier_leg *leg)
{
    struct carrier_cleared cleared = carrier_playback_clear(&leg->playback, now_ns(leg));
    double at = at_ms(leg, now_ns(leg));
    json_t *clear = json_pack("{s:f, s:f, s:f, s:f, s:i}", "at_ms", at, "played_ms",
                              cleared.played_ms, "speech_ms", cleared.speech_ms, "thrown_ms",
                              cleared.thrown_ms, "marks", (int)cleared.marks);
    json_object_set_new(clear, "wall_ms", json_integer(clock_wall_ms()));
    if (leg->interrupt_ns) {
        json_object_set_new(clear, "after_interrupt_ms",
                            json_real((double)(now_ns(leg) - leg->interrupt_ns) / 1e6));
        leg->interrupt_ns = 0;
    }
    json_array_append_new(leg->clears, clear);
    tell(leg, "clear: %.0f ms heard of this speech, %.0f ms thrown away", cleared.speech_ms,
         cleared.thrown_ms);
    watch_agent(leg);
}

static void on_media(struct carrier_leg *leg, struct span codes)
{
    if (leg->media_messages++ == 0)
        leg->first_media_ms = (uint64_t)at_ms(leg, now_ns(leg));
    leg->media_bytes += codes.bytes;
    if (carrier_playback_media(&leg->playback, now_ns(leg), codes)) {
        watch_agent(leg);
    } else if (!leg->warned_31931) {
        leg->warned_31931 = true;
        warn(leg, 31931, "more than ten minutes of audio are queued");
    }
}

static void on_message(struct peer_conn *conn, enum peer_opcode opcode, struct span body)
{
    struct carrier_leg *leg = peer_owner(conn);
    if (leg->over || opcode == PEER_PING || opcode == PEER_PONG)
        return;
    if (opcode != PEER_TEXT) {
        warn(leg, 31950, "a binary message");
        return;
    }
    struct carrier_incoming message;
    carrier_incoming_read(&leg->stream, body, &message);
    if (message.kind == CARRIER_INVALID)
        warn(leg, 31951, message.why);
    else if (message.kind == CARRIER_MEDIA)
        on_media(leg, span_from(message.codes, message.bytes));
    else if (message.kind == CARRIER_CLEAR)
        on_clear(leg);
    else if (!carrier_playback_mark(&leg->playback, now_ns(leg), span_of(message.mark)))
        warn(leg, 31951, "too many marks, or a name too long");
    carrier_incoming_free(&message);
    return_marks(leg);
}

/* ---- what the caller says ---- */

static void keep_sent(struct carrier_leg *leg, const uint8_t *frame)
{
    if (leg->sent_bytes + CARRIER_FRAME_BYTES > CARRIER_HEARD_BYTES_MAX)
        return;
    if (leg->sent_bytes + CARRIER_FRAME_BYTES > leg->sent_room) {
        leg->sent_room = 2 * leg->sent_room + 16000;
        leg->sent = realloc(leg->sent, leg->sent_room);
        assert(leg->sent);
    }
    memcpy(leg->sent + leg->sent_bytes, frame, CARRIER_FRAME_BYTES);
    leg->sent_bytes += CARRIER_FRAME_BYTES;
}

/* Notes what the caller does with this frame; false when he hangs up. */
static bool follow_script(struct carrier_leg *leg, uint8_t *frame)
{
    const struct carrier_script *script = &leg->options->script;
    uint64_t now = now_ns(leg);
    uint64_t quiet_since =
        leg->playback.runs ? leg->playback.dry_ns : leg->begun_ns; /* of the stream */
    struct carrier_agent agent = {.speaking = carrier_playback_queued(&leg->playback, now) > 0,
                                  .speech_ms = leg->playback.speech_bytes / CARRIER_BYTES_PER_MS};
    agent.quiet_ms = agent.speaking ? 0 : (now - quiet_since) / NS_PER_MS;
    size_t item = leg->caller.item;
    enum carrier_act act = carrier_script_frame(script, &leg->caller, now, &agent, frame);
    const char *text = item < script->count ? script->items[item].text : "";
    bool interrupts = item < script->count && script->items[item].kind == CARRIER_INTERRUPT;
    if (act == CARRIER_BEGINS) {
        tell(leg, "caller %s: %s", interrupts ? "interrupts" : "says", text);
        json_array_append_new(leg->said, json_pack("{s:s, s:f, s:b}", "text", text, "at_ms",
                                                   at_ms(leg, now), "interrupts", interrupts));
        if (interrupts)
            leg->interrupt_ns = now;
        if (script->items[item].spoken)
            carrier_hint_send(leg->options, leg->loop, leg->tls, text);
    } else if (act == CARRIER_ENDS) {
        leg->utterance_end_ns = now;
        leg->awaiting_answer = true;
        tell(leg, "caller has spoken");
    } else if (act == CARRIER_PRESSES) {
        char message[CARRIER_MESSAGE_BYTES_MAX];
        send_text(leg, message, carrier_message_dtmf(&leg->stream, leg->caller.digit, message));
        tell(leg, "caller presses %c", leg->caller.digit);
    }
    return act != CARRIER_HANGS_UP;
}

/* One frame on the wire, unless a misbehaviour leaves it out. */
static void send_frame(struct carrier_leg *leg, uint64_t due_ns, const uint8_t *frame)
{
    char text[CARRIER_MESSAGE_BYTES_MAX];
    uint64_t timestamp_ms = leg->timestamp_base_ms + leg->frame_number * CARRIER_FRAME_MS;
    bool gap = misbehaves(leg, MISDEED_TIMESTAMP_GAP) && leg->frame_number % 50 >= 45;
    keep_sent(leg, frame);
    if (gap || misbehaves(leg, MISDEED_SILENCE) || misbehaves(leg, MISDEED_NO_START)) {
        leg->frames_skipped++;
        return;
    }
    uint64_t late_ns = now_ns(leg) - due_ns;
    leg->frames_late += late_ns > LATE_NS ? 1 : 0;
    if (late_ns / 1000 > leg->frame_late_max_us)
        leg->frame_late_max_us = late_ns / 1000;
    leg->frames_sent++;
    send_text(leg, text,
              carrier_message_media(&leg->stream, timestamp_ms,
                                    span_from(frame, CARRIER_FRAME_BYTES), text));
}

static uint64_t frame_due_ns(const struct carrier_leg *leg)
{
    return leg->begun_ns + (leg->frame_number + 1) * FRAME_NS;
}

static bool is_over(const struct carrier_leg *leg)
{
    double at = at_ms(leg, now_ns(leg));
    uint64_t after = leg->options->hangup_after_ms;
    return (after && at >= (double)after) || at >= (double)leg->options->call_max_ms;
}

/* The steady clock: every frame that is due by now, each with its own timestamp. */
static void frame_timer_fired(void *owner)
{
    struct carrier_leg *leg = owner;
    watch_agent(leg);
    while (!leg->over && !leg->hung_up && frame_due_ns(leg) <= now_ns(leg)) {
        uint8_t frame[CARRIER_FRAME_BYTES];
        if (is_over(leg) || !follow_script(leg, frame)) {
            carrier_leg_hang_up(leg);
            return;
        }
        send_frame(leg, frame_due_ns(leg), frame);
        leg->frame_number++;
        if (leg->frame_number == 50 && !leg->misdone)
            carrier_misdeed_send(leg);
    }
    if (!leg->over && !leg->hung_up)
        peer_timer_set(leg->loop, &leg->frame_timer, frame_due_ns(leg));
}

/* ---- the life of the stream ---- */

static void send_start(struct carrier_leg *leg)
{
    char text[CARRIER_MESSAGE_BYTES_MAX];
    char call_sid[CARRIER_SID_BYTES + 1];
    memcpy(call_sid, leg->stream.call_sid, sizeof call_sid);
    if (misbehaves(leg, MISDEED_WRONG_CALL_SID))
        carrier_sid("CA", leg->stream.call_sid);
    send_text(leg, text,
              carrier_message_start(&leg->stream, leg->parameters, leg->parameter_count, text));
    memcpy(leg->stream.call_sid, call_sid, sizeof call_sid);
}

static const struct peer_hooks second_hooks;

static void dial(struct carrier_leg *leg, const struct carrier_url *as_written,
                 const struct peer_hooks *hooks, struct peer_conn **conn);

static void on_open(struct peer_conn *conn)
{
    struct carrier_leg *leg = peer_owner(conn);
    char text[CARRIER_MESSAGE_BYTES_MAX];
    leg->conn = conn;
    leg->end.opened = true;
    leg->begun_ns = now_ns(leg);
    leg->connect_ms = (leg->begun_ns - leg->dialled_ns) / NS_PER_MS;
    carrier_playback_open(&leg->playback, leg->begun_ns);
    carrier_script_begin(&leg->caller, leg->begun_ns);
    send_text(leg, text, carrier_message_connected(text));
    if (misbehaves(leg, MISDEED_MEDIA_BEFORE_START))
        send_text(leg, text,
                  carrier_message_media(&leg->stream, 1, span_from("\xff\xff", 2), text));
    if (!misbehaves(leg, MISDEED_NO_START))
        send_start(leg);
    leg->started = true;
    if (misbehaves(leg, MISDEED_SLOW_READER))
        peer_pause(conn);
    leg->hooks->opened(leg->owner);
    peer_timer_set(leg->loop, &leg->frame_timer, frame_due_ns(leg));
}

static void on_refused(struct peer_conn *conn, const struct peer_response *response)
{
    struct carrier_leg *leg = peer_owner(conn);
    leg->end.status = response->status;
}

/* Twilio's number for a stream that did not come about, or broke. */
static void judge_end(struct carrier_leg *leg, const struct peer_ending *ending)
{
    struct carrier_leg_end *end = &leg->end;
    end->why = ending->why;
    end->close_code = ending->websocket ? ending->close_code : 0;
    if (end->status)
        end->error = 31920;
    else if (!end->opened)
        end->error = strstr(ending->why, "refused") ? 31902 : 31901;
    else if (end->hung_up)
        end->error = 0;
    else if (ending->close_code == 1006)
        end->error = ending->sent_code ? 31924 : 31903;
    else
        end->error = 31921;
}

static void on_closed(struct peer_conn *conn, const struct peer_ending *ending)
{
    struct carrier_leg *leg = peer_owner(conn);
    leg->over = true;
    leg->conn = NULL;
    leg->ended_ns = now_ns(leg);
    peer_timer_clear(leg->loop, &leg->frame_timer);
    peer_timer_clear(leg->loop, &leg->mark_timer);
    if (leg->end.opened) {
        carrier_playback_finish(&leg->playback, leg->ended_ns);
        leg->playback.speech_over |= leg->playback.queue_bytes > 0;
    }
    judge_end(leg, ending);
    leg->hooks->ended(leg->owner, &leg->end);
}

static const struct peer_hooks hooks = {
    .open = on_open, .response = on_refused, .message = on_message, .closed = on_closed};

/* ---- the same ticket again ---- */

static void on_second_open(struct peer_conn *conn)
{
    struct carrier_leg *leg = peer_owner(conn);
    leg->second_status = 101;
    peer_ws_close(conn, 1000, "");
}

static void on_second_response(struct peer_conn *conn, const struct peer_response *response)
{
    struct carrier_leg *leg = peer_owner(conn);
    leg->second_status = response->status;
    tell(leg, "the second stream is refused with %u", response->status);
}

static void on_second_closed(struct peer_conn *conn, const struct peer_ending *ending)
{
    (void)ending;
    struct carrier_leg *leg = peer_owner(conn);
    leg->second = NULL;
}

static const struct peer_hooks second_hooks = {
    .open = on_second_open, .response = on_second_response, .closed = on_second_closed};

/* Signs for the URL as written (with wss:// and the public host), connects to where it is here. */
static void dial(struct carrier_leg *leg, const struct carrier_url *as_written,
                 const struct peer_hooks *with, struct peer_conn **conn)
{
    char address[CARRIER_URL_BYTES_MAX + 300], text[sizeof address], headers[256];
    char signature[CARRIER_SIGNATURE_ROOM], connect_to[300];
    bool fits = carrier_sign_address(as_written, address, sizeof address - 1);
    assert(fits);
    if (leg->options->handshake_slash)
        strcat(address, "/");
    carrier_sign(leg->options->token, address, NULL, signature);
    if (misbehaves(leg, MISDEED_WRONG_STREAM_SIGNATURE))
        signature[0] = signature[0] == 'A' ? 'B' : 'A';
    bool bare = misbehaves(leg, MISDEED_NO_STREAM_SIGNATURE);
    snprintf(headers, sizeof headers, "User-Agent: Twilio.TmeWs/1.0\r\n%s%s%s",
             bare ? "" : "x-twilio-signature: ", bare ? "" : signature, bare ? "" : "\r\n");
    struct carrier_url url = *as_written;
    carrier_webhook_route(leg->options, &url, true, connect_to, sizeof connect_to);
    fits = carrier_url_write(&url, true, text, sizeof text);
    assert(fits);
    *conn =
        peer_ws_dial(leg->loop, &(struct peer_dial){.url = text,
                                                    .connect_to = connect_to[0] ? connect_to : NULL,
                                                    .headers = headers,
                                                    .tls = leg->tls,
                                                    .hooks = with,
                                                    .owner = leg});
}

static void fail_to_dial(void *owner)
{
    struct carrier_leg *leg = owner;
    leg->over = true;
    leg->end.error = 31901;
    leg->end.why = "cannot connect";
    leg->hooks->ended(leg->owner, &leg->end);
}

void carrier_leg_open(struct carrier_leg *leg, const struct carrier_url *url)
{
    struct carrier_url as_written = *url;
    leg->marks = json_array();
    leg->clears = json_array();
    leg->warnings = json_array();
    leg->answers_ms = json_array();
    leg->speeches = json_array();
    leg->said = json_array();
    leg->frame_timer = (struct peer_timer){.fire = frame_timer_fired, .owner = leg};
    leg->mark_timer = (struct peer_timer){.fire = mark_timer_fired, .owner = leg};
    carrier_sid("MZ", leg->stream.stream_sid);
    /* Live captures begin at some odd figure, never at 0. */
    leg->timestamp_base_ms = 41 + leg->options->seed % 7 * 19;
    leg->dialled_ns = now_ns(leg);
    if (misbehaves(leg, MISDEED_FORGED_TICKET))
        carrier_misdeed_forge(as_written.target);
    dial(leg, &as_written, &hooks, &leg->conn);
    if (!leg->conn) {
        leg->frame_timer.fire = fail_to_dial;
        peer_timer_set(leg->loop, &leg->frame_timer, leg->dialled_ns);
    } else if (misbehaves(leg, MISDEED_REUSED_TICKET)) {
        dial(leg, &as_written, &second_hooks, &leg->second);
    }
}

void carrier_leg_hang_up(struct carrier_leg *leg)
{
    char text[CARRIER_MESSAGE_BYTES_MAX];
    if (leg->over || leg->hung_up || !leg->conn)
        return;
    leg->hung_up = true;
    leg->end.hung_up = true;
    peer_timer_clear(leg->loop, &leg->frame_timer);
    tell(leg, "caller hangs up");
    if (misbehaves(leg, MISDEED_NO_STOP) || !leg->started) {
        peer_reset(leg->conn);
        return;
    }
    send_text(leg, text, carrier_message_stop(&leg->stream, text));
    peer_resume(leg->conn);
    peer_ws_close(leg->conn, 1000, "");
}
