/* down: AI to caller. Each delta becomes media, is entered in the ledger and followed by a mark;
 * when the caller interrupts, the carrier falls silent first, then the AI learns what was heard. */
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
        return END_carrier_too_slow;
    twilio_mark_write(out, sid, mark);
    conn_frame_end(calls->io, carrier, bytes);
    return END_NONE;
}

enum end down_audio(struct calls *calls, struct call *call, const struct realtime_event *delta)
{
    struct down *down = &call->down;
    ptrdiff_t decoded = base64_decoded_bytes(delta->audio);
    if (decoded < 0 || !base64_valid(delta->audio))
        return call_blame_ai(call, FAULT_base64_invalid);
    if (call->carrier_state != CARRIER_STARTED || span_is(delta->response_id, down->dropped)) {
        call->figures.late_dropped_bytes += (uint64_t)decoded;
        COUNT_BY(calls->metrics, audio_dropped_late, decoded);
        return END_NONE;
    }
    size_t samples = 0;
    TRY(convert_down(calls, call, delta->audio, &samples));
    if (!heard_sent(&down->heard, delta->item_id, delta->content_index, samples,
                    up_clock(calls, call), clock_wall_ms()))
        return call_blame_ai(call, FAULT_ai_event);
    call->figures.frames_down++;
    call->figures.bytes_down += samples;
    COUNT(calls->metrics, frames_ai_in);
    COUNT_BY(calls->metrics, audio_ai_in, decoded);
    if (!down->first_audio_sent) {
        down->first_audio_sent = true;
        call->figures.first_audio_ms = io_now_ms(calls->io) - call->started_ms;
        histogram_add(&calls->metrics->first_audio, call->figures.first_audio_ms * 1000);
    }
    histogram_add(&calls->metrics->relay_down,
                  (clock_monotonic_ns() - io_now_ns(calls->io)) / 1000);
    return down_mark(calls, call, false);
}

/* ---- the caller interrupts ---- */

static enum end send_clear(struct calls *calls, struct call *call)
{
    struct span sid = span_of(call->stream_sid);
    struct conn *carrier = call_carrier(calls, call);
    size_t bytes = twilio_clear_bytes(sid);
    uint8_t *out = conn_frame_begin(calls->io, carrier, bytes);
    if (!out)
        return END_carrier_too_slow;
    twilio_clear_write(out, sid);
    conn_frame_end(calls->io, carrier, bytes);
    return END_NONE;
}

static enum end send_truncate(struct calls *calls, struct call *call, const struct heard_item *item)
{
    uint8_t text[REALTIME_TRUNCATE_BYTES_MAX + HEARD_ID_BYTES_MAX];
    size_t bytes = realtime_truncate_write(text, span_of(item->id), item->content_index,
                                           item->heard / HEARD_SAMPLES_PER_MS);
    assert(bytes <= sizeof text);
    return conn_send_text(calls->io, call_ai(calls, call), span_from(text, bytes))
               ? END_NONE
               : END_ai_too_slow;
}

/* First the carrier falls silent, then the AI learns what was heard. The server cancels its
 * response itself (interrupt_response); what it had sent before is dropped here until its
 * response.done. */
enum end down_interrupt(struct calls *calls, struct call *call)
{
    struct down *down = &call->down;
    uint64_t now = up_clock(calls, call);
    bool playing = heard_playing(&down->heard, now);
    if (call->carrier_state != CARRIER_STARTED || (!playing && !down->response[0]))
        return END_NONE;
    memcpy(down->dropped, down->response, sizeof down->dropped);
    struct heard_item *cut[CALL_ITEMS_MAX];
    unsigned count = heard_interrupt(&down->heard, now, cut);
    if (count == 0)
        return END_NONE;
    TRY(send_clear(calls, call));
    call->figures.barge_ins++;
    COUNT(calls->metrics, barge_ins);
    for (unsigned i = 0; i < count; i++) {
        TRY(send_truncate(calls, call, cut[i]));
        record_barge_in(calls, call, cut[i]);
    }
    resample_open(&down->resample, RESAMPLE_24_TO_8); /* what follows does not continue it */
    pcm_open(&down->pcm);
    record_agent_texts(calls, call, false);
    return END_NONE;
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
    if (heard_echo(&call->down.heard, number, up_clock(calls, call)))
        record_agent_texts(calls, call, false);
}

void down_response_done(struct calls *calls, struct call *call, const struct realtime_event *done)
{
    struct down *down = &call->down;
    if (span_is(done->response_id, down->response))
        down->response[0] = '\0';
    if (span_is(done->response_id, down->dropped))
        down->dropped[0] = '\0';
    record_usage(calls, call, done);
}
