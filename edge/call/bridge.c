/* bridge: the story of a syllable.
 *
 *   caller -> carrier -> [media] -> fill gaps -> (early ring until the AI is ready) -> append -> AI
 *   AI -> [audio delta] -> drop if interrupted -> media + ledger + mark -> carrier -> caller
 *   AI hears speech -> clear the carrier, then truncate at what was heard, then drop what comes
 * late
 *
 * Everything named here that is not in this file is a leaf you need not open to believe. */
#include "common/base64.h"
#include "common/clock.h"
#include "common/panic.h"
#include "edge/call/own.h"
#include "edge/media/g711.h"

#include <stdio.h>
#include <stdlib.h>

#define SAMPLES_PER_MS 8
#define GAP_MS_MIN     10 /* half a frame: less is the carrier's rounding */

/* ---- time ---- */

/* The last frame's end, and what has passed since it came (at most a second: then the carrier
 * stalls and so does its playing). */
uint64_t bridge_clock(const struct calls *calls, const struct call *call)
{
    uint64_t since_ns = io_now_ns(calls->io) - call->up.heard_ns;
    if (!call->up.timed)
        return 0;
    if (since_ns > 1000000000u)
        since_ns = 1000000000u;
    return call->up.samples + since_ns / (1000000 / SAMPLES_PER_MS);
}

/* ---- blame ---- */

/* A leg did wrong: its close frame will say so, and conn_close counts it. */
static enum end blame_carrier(struct call *call, enum fault fault)
{
    call->carrier_fault = fault;
    return fault == FAULT_stream_wrong_call ? END_carrier_wrong_call : END_carrier_protocol;
}

static enum end blame_ai(struct call *call, enum fault fault)
{
    call->ai_fault = fault;
    return END_ai_protocol;
}

/* ---- caller to AI ---- */

/* Until the AI is ready the caller's last CALL_EARLY_BYTES_MAX are kept; the oldest go first. */
static enum end keep_early(struct calls *calls, struct call *call, const uint8_t *codes,
                           size_t bytes)
{
    struct up *up = &call->up;
    if (!up->early && !(up->early = malloc(CALL_EARLY_BYTES_MAX)))
        return END_no_capacity;
    for (size_t i = 0; i < bytes; i++) {
        up->early[(up->early_first + up->early_bytes) % CALL_EARLY_BYTES_MAX] = codes[i];
        if (up->early_bytes < CALL_EARLY_BYTES_MAX) {
            up->early_bytes++;
            continue;
        }
        up->early_first = (up->early_first + 1) % CALL_EARLY_BYTES_MAX;
        call->figures.early_dropped_bytes++;
        COUNT(calls->metrics, audio_dropped_early);
    }
    return END_NONE;
}

enum end bridge_flush_early(struct calls *calls, struct call *call)
{
    struct up *up = &call->up;
    while (up->early_bytes) {
        size_t run = CALL_EARLY_BYTES_MAX - up->early_first;
        size_t bytes = up->early_bytes < run ? up->early_bytes : run;
        if (bytes > STREAM_PAYLOAD_BYTES_MAX)
            bytes = STREAM_PAYLOAD_BYTES_MAX;
        TRY(convert_up(calls, call, up->early + up->early_first, bytes));
        up->early_first = (up->early_first + bytes) % CALL_EARLY_BYTES_MAX;
        up->early_bytes -= bytes;
    }
    free(up->early);
    up->early = NULL;
    return END_NONE;
}

static enum end pass_silence(struct calls *calls, struct call *call, size_t samples)
{
    static const uint8_t silence[STREAM_PAYLOAD_BYTES_MAX] = {[0 ... STREAM_PAYLOAD_BYTES_MAX - 1] =
                                                                  G711_ULAW_SILENCE};
    call->figures.gap_samples += samples;
    COUNT_BY(calls->metrics, gap_filled_samples, samples);
    while (samples) {
        size_t part = samples < sizeof silence ? samples : sizeof silence;
        TRY(call->ai_state == AI_READY ? convert_up(calls, call, silence, part)
                                       : keep_early(calls, call, silence, part));
        call->up.samples += part;
        samples -= part;
    }
    return END_NONE;
}

/* Samples taken so far are the clock: what the carrier's timestamp runs ahead of them is a gap,
 * filled exactly, so that nothing drifts over an hour. A jump beyond the bound, either way, starts
 * a new clock. */
static enum end keep_time(struct calls *calls, struct call *call, uint64_t timestamp_ms)
{
    struct up *up = &call->up;
    if (!up->timed) {
        up->timed = true;
        up->position_ms_base = timestamp_ms;
        return END_NONE;
    }
    int64_t due_ms = (int64_t)(up->position_ms_base + up->samples / SAMPLES_PER_MS);
    int64_t ahead_ms = (int64_t)timestamp_ms - due_ms;
    if (ahead_ms > STREAM_GAP_FILL_MS_MAX || ahead_ms < -STREAM_GAP_FILL_MS_MAX) {
        up->position_ms_base = (uint64_t)((int64_t)up->position_ms_base + ahead_ms);
        return END_NONE;
    }
    if (ahead_ms < GAP_MS_MIN)
        return END_NONE;
    return pass_silence(calls, call, (size_t)ahead_ms * SAMPLES_PER_MS);
}

static enum end carrier_to_ai(struct calls *calls, struct call *call,
                              const struct twilio_message *media)
{
    ptrdiff_t decoded = base64_decoded_bytes(media->payload);
    if (decoded > STREAM_PAYLOAD_BYTES_MAX)
        return blame_carrier(call, FAULT_stream_payload_large);
    if (decoded < 0 || !base64_valid(media->payload))
        return blame_carrier(call, FAULT_base64_invalid);
    size_t samples = (size_t)decoded;
    TRY(keep_time(calls, call, media->timestamp_ms));
    call->last_media_ms = io_now_ms(calls->io);
    call->up.heard_ns = io_now_ns(calls->io);
    call->figures.frames_up++;
    call->figures.bytes_up += samples;
    COUNT(calls->metrics, frames_carrier_in);
    COUNT_BY(calls->metrics, audio_carrier_in, samples);
    if (call->ai_state == AI_READY) {
        TRY(convert_up_text(calls, call, media->payload, samples));
    } else {
        base64_decode(media->payload, calls->codes);
        TRY(keep_early(calls, call, calls->codes, samples));
    }
    call->up.samples += samples;
    histogram_add(&calls->metrics->relay_up, (clock_monotonic_ns() - io_now_ns(calls->io)) / 1000);
    return END_NONE;
}

/* ---- what else the carrier says ---- */

static enum end start_stream(struct calls *calls, struct call *call,
                             const struct twilio_message *start)
{
    if (call->carrier_state != CARRIER_OPEN || !call->connected_seen)
        return blame_carrier(call, FAULT_stream_unexpected);
    if (!span_equal_secret(start->call_sid, span_of(call->plan->call_sid)) ||
        !span_equal_secret(start->account_sid, span_of(call->plan->account_sid)))
        return blame_carrier(call, FAULT_stream_wrong_call);
    if (!span_copy_text(start->stream_sid, call->stream_sid, sizeof call->stream_sid))
        return blame_carrier(call, FAULT_stream_field);
    call->carrier_state = CARRIER_STARTED;
    call->started_ms = call->last_media_ms = io_now_ms(calls->io);
    call->started_at_ms = clock_wall_ms();
    struct wheel *wheel = io_wheel(calls->io);
    wheel_set(wheel, &call->carrier_timer, call->started_ms + STREAM_SILENT_MS);
    wheel_set(wheel, &call->duration_timer,
              call->started_ms + (uint64_t)call->plan->duration_max_s * 1000);
    COUNT(calls->metrics, calls_started);
    record_started(calls, call, start);
    return dial_greet(calls, call);
}

static enum end connected(struct calls *calls, struct call *call)
{
    if (call->connected_seen)
        return blame_carrier(call, FAULT_stream_unexpected);
    call->connected_seen = true;
    wheel_set(io_wheel(calls->io), &call->carrier_timer,
              io_now_ms(calls->io) + STREAM_FIRST_MESSAGE_MS);
    return END_NONE;
}

/* Mark names are numbers of ours; any other name was not sent by us and means nothing. */
static void hear_mark(struct calls *calls, struct call *call, struct span name)
{
    uint32_t number = 0;
    if (name.bytes < 2 || name.bytes > 10 || name.data[0] != 'm')
        return;
    for (size_t i = 1; i < name.bytes; i++) {
        if (name.data[i] < '0' || name.data[i] > '9')
            return;
        number = number * 10 + (uint32_t)(name.data[i] - '0');
    }
    if (heard_echo(&call->down.heard, number, bridge_clock(calls, call)))
        record_agent_texts(calls, call, false);
}

/* One counter runs over all messages after connected; TCP keeps the order, so a jump is the
 * carrier's loss. */
static void count_sequence(struct calls *calls, struct call *call, uint64_t sequence)
{
    if (sequence != call->up.sequence + 1 && call->up.sequence) {
        call->figures.sequence_gaps++;
        COUNT(calls->metrics, sequence_gaps);
    }
    call->up.sequence = sequence;
}

static enum end started_only(struct call *call, const struct twilio_message *message)
{
    if (call->carrier_state != CARRIER_STARTED)
        return blame_carrier(call, FAULT_stream_unexpected);
    if (!span_is(message->stream_sid, call->stream_sid))
        return blame_carrier(call, FAULT_stream_wrong_call);
    return END_NONE;
}

enum end bridge_carrier(struct calls *calls, struct call *call, struct span text)
{
    struct twilio_message message;
    enum fault fault = twilio_read(text, &message);
    if (fault != FAULT_NONE)
        return blame_carrier(call, fault);
    if (message.has_sequence)
        count_sequence(calls, call, message.sequence);
    switch (message.event) {
    case TWILIO_CONNECTED:
        return connected(calls, call);
    case TWILIO_START:
        return start_stream(calls, call, &message);
    case TWILIO_MEDIA:
        TRY(started_only(call, &message));
        return carrier_to_ai(calls, call, &message);
    case TWILIO_MARK:
        TRY(started_only(call, &message));
        hear_mark(calls, call, message.mark_name);
        return END_NONE;
    case TWILIO_DTMF:
        TRY(started_only(call, &message));
        record_dtmf(calls, call, message.digit);
        return END_NONE;
    case TWILIO_STOP:
        TRY(started_only(call, &message));
        return END_caller_hung_up;
    case TWILIO_OTHER:
        return END_NONE;
    }
    return END_NONE;
}

/* ---- AI to caller ---- */

static enum end send_mark(struct calls *calls, struct call *call, bool at_end)
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

static enum end ai_to_carrier(struct calls *calls, struct call *call,
                              const struct realtime_event *delta)
{
    struct down *down = &call->down;
    ptrdiff_t decoded = base64_decoded_bytes(delta->audio);
    if (decoded < 0 || !base64_valid(delta->audio))
        return blame_ai(call, FAULT_base64_invalid);
    if (call->carrier_state != CARRIER_STARTED || span_is(delta->response_id, down->dropped)) {
        call->figures.late_dropped_bytes += (uint64_t)decoded;
        COUNT_BY(calls->metrics, audio_dropped_late, decoded);
        return END_NONE;
    }
    size_t samples = 0;
    TRY(convert_down(calls, call, delta->audio, &samples));
    if (!heard_sent(&down->heard, delta->item_id, delta->content_index, samples,
                    bridge_clock(calls, call), clock_wall_ms()))
        return blame_ai(call, FAULT_ai_event);
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
    return send_mark(calls, call, false);
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
                                           item->heard / SAMPLES_PER_MS);
    assert(bytes <= sizeof text);
    return conn_send_text(calls->io, call_ai(calls, call), span_from(text, bytes))
               ? END_NONE
               : END_ai_too_slow;
}

/* First the carrier falls silent, then the AI learns what was heard. The server cancels its
 * response itself (interrupt_response); what it had sent before is dropped here until its
 * response.done. */
static enum end barge_in(struct calls *calls, struct call *call)
{
    struct down *down = &call->down;
    uint64_t now = bridge_clock(calls, call);
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

static void note_caller_item(struct call *call, struct span item_id)
{
    struct caller_item *item = &call->caller_items[call->caller_items_next++ % CALLER_ITEMS];
    if (span_copy_text(item_id, item->id, sizeof item->id))
        item->began_at_ms = clock_wall_ms();
}

/* ---- what else the AI says ---- */

/* Codes after which a new session would meet the same wall, or this one is over. */
static enum end judge_error(const struct call *call, const struct realtime_event *error)
{
    static const char *const fatal[] = {"insufficient_quota", "invalid_api_key",
                                        "account_deactivated", "billing_hard_limit_reached",
                                        "beta_api_shape_disabled"};
    if (span_is(error->code, "session_expired"))
        return END_ai_expired;
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        if (span_is(error->code, fatal[i]))
            return END_ai_error;
    return call->ai_state == AI_READY ? END_NONE
                                      : END_ai_refused; /* it refused our session.update */
}

static void end_response(struct calls *calls, struct call *call, const struct realtime_event *done)
{
    struct down *down = &call->down;
    if (span_is(done->response_id, down->response))
        down->response[0] = '\0';
    if (span_is(done->response_id, down->dropped))
        down->dropped[0] = '\0';
    record_usage(calls, call, done);
}

enum end bridge_ai(struct calls *calls, struct call *call, struct span text)
{
    struct realtime_event event;
    struct down *down = &call->down;
    enum fault fault = realtime_read(text, &event);
    if (fault != FAULT_NONE)
        return blame_ai(call, fault);
    switch (event.kind) {
    case REALTIME_AUDIO_DELTA:
        return ai_to_carrier(calls, call, &event);
    case REALTIME_AUDIO_DONE:
        heard_sent_whole(&down->heard, event.item_id);
        return call->carrier_state == CARRIER_STARTED ? send_mark(calls, call, true) : END_NONE;
    case REALTIME_SPEECH_STARTED:
        note_caller_item(call, event.item_id);
        return barge_in(calls, call);
    case REALTIME_SESSION_UPDATED:
        return dial_ready(calls, call, &event);
    case REALTIME_RESPONSE_CREATED:
        return span_copy_text(event.response_id, down->response, sizeof down->response)
                   ? END_NONE
                   : blame_ai(call, FAULT_ai_event);
    case REALTIME_RESPONSE_DONE:
        end_response(calls, call, &event);
        return END_NONE;
    case REALTIME_AGENT_TEXT_DELTA:
    case REALTIME_AGENT_TEXT_DONE:
        heard_text(&down->heard, event.item_id, event.text, event.kind == REALTIME_AGENT_TEXT_DONE);
        record_agent_texts(calls, call, false);
        return END_NONE;
    case REALTIME_CALLER_TEXT_DONE:
        record_caller_text(calls, call, &event);
        return END_NONE;
    case REALTIME_TOOL_CALL:
        record_tool_call(calls, call, &event);
        return END_NONE;
    case REALTIME_ERROR:
        record_ai_error(calls, call, &event);
        return judge_error(call, &event);
    default: /* session.created, speech_stopped, committed, item added, failed transcripts, others
              */
        return END_NONE;
    }
}
