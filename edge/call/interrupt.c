/* interrupt: the caller speaks while the agent does.
 *
 *   speech_started --> does it count yet? --> carrier falls silent --> the AI learns what was heard
 *                      (speech.c, where an    what comes late is dropped
 *                       organisation asks)
 *
 * A session that is not patient is cancelled by the AI itself when it hears speech; a patient one
 * goes on until it is told to stop, so that a short word, or speech over what has to be heard
 * whole, changes nothing. Patience is asked for when the session is configured, or before the first
 * text that must be heard whole, and stays. */
#include "common/base64.h"
#include "common/panic.h"
#include "edge/call/own.h"
#include "edge/media/g711.h"

#include <stdlib.h>

#define LASTED_MS_MAX 1000 /* an AI that needs longer to notice speech tells something else */

bool interrupt_patiently(const struct plan *plan)
{
    return plan->ai.interrupt_after_ms > 0 ||
           (plan->ai.greeting[0] && !plan->ai.greeting_interruptible);
}

enum end interrupt_never(struct calls *calls, struct call *call)
{
    if (call->patient)
        return END_NONE;
    call->patient = true;
    struct realtime_session session = {.silence_ms = call->plan->ai.vad_silence_ms,
                                       .prefix_ms = call->plan->ai.vad_prefix_ms,
                                       .threshold_percent = call->plan->ai.vad_threshold_percent,
                                       .patient = true};
    size_t bytes;
    char *text = realtime_turns_update(&session, &bytes);
    return send_made(calls, call_ai(calls, call), text, bytes);
}

/* ---- the carrier falls silent, the AI learns what was heard ---- */

static enum end send_clear(struct calls *calls, struct call *call)
{
    struct span sid = span_of(call->stream_sid);
    struct conn *carrier = call_carrier(calls, call);
    size_t bytes = twilio_clear_bytes(sid);
    uint8_t *out = conn_frame_begin(calls->io, carrier, bytes);
    if (!out)
        return send_failed(carrier, END_carrier_too_slow);
    twilio_clear_write(out, sid);
    conn_frame_end(calls->io, carrier, bytes);
    return END_NONE;
}

static enum end send_truncate(struct calls *calls, struct call *call, struct span item_id,
                              uint32_t content_index, uint64_t heard_ms)
{
    uint8_t text[REALTIME_TRUNCATE_BYTES_MAX + HEARD_ID_BYTES_MAX];
    size_t bytes = realtime_truncate_write(text, item_id, content_index, heard_ms);
    assert(bytes <= sizeof text);
    return send_text(calls, call_ai(calls, call), span_from(text, bytes));
}

/* What it had sent before it stopped is dropped until its response.done. */
static enum end stop_response(struct calls *calls, struct call *call, bool tell)
{
    struct down *down = &call->down;
    if (!down->response[0])
        return END_NONE;
    memcpy(down->dropped, down->response, sizeof down->dropped);
    return tell ? send_text(calls, call_ai(calls, call), realtime_response_cancel) : END_NONE;
}

enum end interrupt_excess(struct calls *calls, struct call *call,
                          const struct realtime_event *delta, uint64_t samples)
{
    TRY(stop_response(calls, call, true));
    return send_truncate(calls, call, delta->item_id, delta->content_index,
                         samples / HEARD_SAMPLES_PER_MS);
}

static enum end cut(struct calls *calls, struct call *call, uint64_t now)
{
    struct heard_item *items[CALL_ITEMS_MAX];
    unsigned count = heard_interrupt(&call->down.heard, now, items);
    if (call->tap)
        taps_cut(call);
    if (count == 0)
        return stop_response(calls, call, call->patient);
    TRY(send_clear(calls, call));
    TRY(stop_response(calls, call, call->patient));
    call->figures.barge_ins++;
    COUNT(calls->metrics, barge_ins);
    for (unsigned i = 0; i < count; i++) {
        const struct heard_item *item = items[i];
        if (!item->foreign && call->ai.state == AI_READY)
            TRY(send_truncate(calls, call, span_of(item->id), item->content_index,
                              item->heard / HEARD_SAMPLES_PER_MS));
        record_barge_in(calls, call, item);
    }
    down_break(call);
    record_agent_texts(calls, call, false);
    return tools_interrupted(calls, call);
}

static bool agent_is_busy(const struct calls *calls, const struct call *call)
{
    return call->carrier_state == CARRIER_STARTED &&
           (call->down.response[0] || heard_playing(&call->down.heard, up_clock(calls, call)));
}

static enum end judge(struct calls *calls, struct call *call)
{
    if (!speech_counts(&call->speech) || speak_firmly(calls, call))
        return END_NONE;
    speech_end(&call->speech);
    if (!agent_is_busy(calls, call))
        return END_NONE; /* it has fallen silent by itself */
    down_settle(calls, call);
    return cut(calls, call, up_clock(calls, call));
}

/* ---- what the AI and the caller say ---- */

/* How long the caller had spoken when the AI noticed: audio_start_ms lies before the speech by the
 * prefix. An AI that does not say when gives nothing to count. */
static unsigned lasted_ms(const struct call *call, uint64_t audio_start_ms)
{
    uint64_t appended_ms = call->up.appended / HEARD_SAMPLES_PER_MS;
    uint64_t began_ms = audio_start_ms + call->plan->ai.vad_prefix_ms;
    if (audio_start_ms == 0 || began_ms > appended_ms || appended_ms - began_ms > LASTED_MS_MAX)
        return 0;
    return (unsigned)(appended_ms - began_ms);
}

enum end interrupt_started(struct calls *calls, struct call *call,
                           const struct realtime_event *event)
{
    if (call->turn.stage != TURN_SENT)
        turn_forget(&call->turn);
    if (!agent_is_busy(calls, call))
        return END_NONE;
    speech_begin(&call->speech, call->plan->ai.interrupt_after_ms,
                 lasted_ms(call, event->audio_ms));
    return judge(calls, call);
}

enum end interrupt_hear(struct calls *calls, struct call *call, struct span payload, size_t samples)
{
    assert(samples <= SCRATCH_SAMPLES);
    base64_decode(payload, calls->codes);
    g711_ulaw_decode(calls->codes, calls->narrow, samples);
    speech_hear(&call->speech, calls->narrow, samples);
    return judge(calls, call);
}

/* The silence that the AI waited for is no part of the speech. */
void interrupt_stopped(struct calls *calls, struct call *call, const struct realtime_event *event)
{
    uint64_t now_ns = io_now_ns(calls->io), position;
    uint64_t silence_ms = call->plan->ai.vad_silence_ms;
    uint64_t ago_ns = silence_ms * 1000000;
    if (event->audio_ms > silence_ms && up_moment(call, event->audio_ms - silence_ms, &position)) {
        uint64_t clock = up_clock(calls, call);
        ago_ns = clock > position ? (clock - position) * HEARD_SAMPLE_NS : 0;
    }
    down_settle(calls, call);
    turn_spoken(&call->turn, now_ns > ago_ns ? now_ns - ago_ns : 0, now_ns);
    speech_end(&call->speech);
}
