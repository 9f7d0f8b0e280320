/* down: AI to caller. Each delta becomes media, is entered in the ledger and followed by a mark;
 * what comes back of the marks says what the caller has heard, and how long he waited for it. */
#include "common/base64.h"
#include "common/clock.h"
#include "common/panic.h"
#include "edge/call/own.h"

#include <stdio.h>

/* ---- audio ---- */

enum end down_mark(struct calls *calls, struct call *call, bool at_end)
{
    struct heard *heard = &call->down.heard;
    if (!heard_mark_due(heard, at_end))
        return END_NONE;
    char name[16];
    int length = snprintf(name, sizeof name, "m%u", heard_mark(heard));
    struct span sid = span_of(call->stream_sid), mark = span_from(name, (size_t)length);
    struct conn *carrier = call_carrier(calls, call);
    size_t bytes = twilio_mark_bytes(sid, mark);
    uint8_t *out = conn_frame_begin(calls->io, carrier, bytes);
    if (!out)
        return send_failed(carrier, END_carrier_too_slow);
    twilio_mark_write(out, sid, mark);
    conn_frame_end(calls->io, carrier, bytes);
    return END_NONE;
}

/* What follows does not continue what was sent so far. */
void down_break(struct call *call)
{
    resample_open(&call->down.resample, RESAMPLE_24_TO_8);
    pcm_open(&call->down.pcm);
}

enum end down_sent(struct calls *calls, struct call *call, struct span item_id,
                   uint32_t content_index, size_t samples)
{
    struct down *down = &call->down;
    if (!heard_sent(&down->heard, item_id, content_index, samples, up_clock(calls, call),
                    clock_wall_ms())) {
        if (call->tap)
            taps_cut(call);
        return call_blame_ai(call, FAULT_ai_event);
    }
    call->figures.bytes_down += samples;
    if (!down->first_audio_sent) {
        down->first_audio_sent = true;
        call->figures.first_audio_ms = io_now_ms(calls->io) - call->started_ms;
        histogram_add(&calls->metrics->first_audio, call->figures.first_audio_ms * 1000);
    }
    return down_mark(calls, call, false);
}

static enum end drop_late(struct calls *calls, struct call *call, size_t bytes)
{
    call->figures.late_dropped_bytes += bytes;
    COUNT_BY(calls->metrics, audio_dropped_late, bytes);
    return END_NONE;
}

/* The carrier throws away what comes when ten minutes wait to be played (31931). Long before, the
 * agent is stopped: nobody listens to a monologue of that length. */
static enum end watch_unplayed(struct calls *calls, struct call *call,
                               const struct realtime_event *delta)
{
    struct heard *heard = &call->down.heard;
    uint64_t unplayed = heard->sent - heard_playhead(heard, up_clock(calls, call));
    if (unplayed <= (uint64_t)CALL_UNPLAYED_MS_MAX * HEARD_SAMPLES_PER_MS)
        return END_NONE;
    COUNT(calls->metrics, carrier_31931);
    record_carrier_warning(calls, call, 31931, unplayed / HEARD_SAMPLES_PER_MS);
    heard_sent_whole(heard, delta->item_id);
    return interrupt_excess(calls, call, delta, heard_samples(heard, delta->item_id));
}

enum end down_audio(struct calls *calls, struct call *call, const struct realtime_event *delta)
{
    struct down *down = &call->down;
    ptrdiff_t decoded = base64_decoded_bytes(delta->audio);
    if (decoded < 0 || !base64_valid(delta->audio))
        return call_blame_ai(call, FAULT_base64_invalid);
    COUNT(calls->metrics, frames_ai_in);
    COUNT_BY(calls->metrics, audio_ai_in, decoded);
    call->figures.frames_down++;
    if (span_is(delta->response_id, down->dropped))
        return drop_late(calls, call, (size_t)decoded);
    if (call->carrier_state != CARRIER_STARTED)
        return ahead_keep(calls, call, delta);
    size_t samples = 0;
    uint64_t position = down->heard.sent;
    TRY(convert_down(calls, call, delta->audio, &samples));
    TRY(down_sent(calls, call, delta->item_id, delta->content_index, samples));
    uint64_t now_ns = clock_monotonic_ns();
    if (span_is(delta->response_id, down->response))
        turn_sent(&call->turn, io_now_ns(calls->io), now_ns, position);
    if (speak_is_firm(call, delta->response_id))
        call->speak.firm_until = down->heard.sent;
    histogram_add(&calls->metrics->relay_down, (now_ns - io_now_ns(calls->io)) / 1000);
    return watch_unplayed(calls, call, delta);
}

enum end down_whole(struct calls *calls, struct call *call, struct span item_id)
{
    if (call->carrier_state != CARRIER_STARTED) {
        ahead_whole(call, item_id);
        return END_NONE;
    }
    heard_sent_whole(&call->down.heard, item_id);
    return down_mark(calls, call, true);
}

/* ---- what the caller has heard ---- */

static void settle_turn(struct calls *calls, struct call *call, uint64_t heard_position)
{
    struct turn_parts parts;
    if (!turn_played(&call->turn, io_now_ns(calls->io), heard_position, HEARD_SAMPLE_NS, &parts))
        return;
    struct metrics *metrics = calls->metrics;
    histogram_add(&metrics->turn_vad, parts.vad_us);
    histogram_add(&metrics->turn_ai, parts.ai_us);
    histogram_add(&metrics->turn_edge, parts.edge_us);
    histogram_add(&metrics->turn_carrier, parts.carrier_us);
    histogram_add(&metrics->turn_whole, parts.whole_us);
    call->figures.turns++;
    call->figures.turns_us += parts.whole_us;
    if (parts.whole_us > call->figures.turn_us_max)
        call->figures.turn_us_max = parts.whole_us;
    record_turn(calls, call, &parts);
}

void down_settle(struct calls *calls, struct call *call)
{
    settle_turn(calls, call, heard_playhead(&call->down.heard, up_clock(calls, call)));
}

/* Mark names are numbers of ours; any other name was not sent by us and means nothing. */
void down_mark_echo(struct calls *calls, struct call *call, struct span name)
{
    uint32_t number = 0;
    if (name.bytes < 2 || name.bytes > 10 || name.data[0] != 'm')
        return;
    for (size_t i = 1; i < name.bytes; i++) {
        if (name.data[i] < '0' || name.data[i] > '9')
            return;
        number = number * 10 + (uint32_t)(name.data[i] - '0');
    }
    if (!heard_echo(&call->down.heard, number, up_clock(calls, call)))
        return;
    listen_mark(calls, call);
    settle_turn(calls, call, call->down.heard.anchor);
    record_agent_texts(calls, call, false);
}

enum end down_response_done(struct calls *calls, struct call *call,
                            const struct realtime_event *done)
{
    struct down *down = &call->down;
    bool spoke = down->heard.sent != down->response_from || down->ahead;
    if (span_is(done->response_id, down->response)) {
        down->response[0] = '\0';
        heard_done(&down->heard);
        record_agent_texts(calls, call, false);
    }
    if (span_is(done->response_id, down->dropped))
        down->dropped[0] = '\0';
    record_usage(calls, call, done);
    TRY(speak_done(calls, call, done->response_id));
    return tools_response_done(calls, call, done->response_id, spoke);
}
