/* up: caller to AI. The carrier's timestamps are the clock: gaps become silence, so that every
 * sample the AI has heard has one place on it. Audio before the AI is ready is kept, bounded. */
#include "common/base64.h"
#include "common/clock.h"
#include "common/panic.h"
#include "edge/call/own.h"
#include "edge/media/g711.h"

#include <stdlib.h>

#define GAP_MS_MIN 10 /* half a frame: less is the carrier's rounding */

/* ---- time ---- */

/* The last frame's end, and what has passed since it came (at most a second: then the carrier
 * stalls and so does its playing). */
uint64_t up_clock(const struct calls *calls, const struct call *call)
{
    uint64_t since_ns = io_now_ns(calls->io) - call->up.heard_ns;
    if (!call->up.timed)
        return 0;
    if (since_ns > 1000000000u)
        since_ns = 1000000000u;
    return call->up.samples + since_ns / (1000000 / HEARD_SAMPLES_PER_MS);
}

/* ---- audio ---- */

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

enum end up_flush_early(struct calls *calls, struct call *call)
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
    int64_t due_ms = (int64_t)(up->position_ms_base + up->samples / HEARD_SAMPLES_PER_MS);
    int64_t ahead_ms = (int64_t)timestamp_ms - due_ms;
    if (ahead_ms > STREAM_GAP_FILL_MS_MAX || ahead_ms < -STREAM_GAP_FILL_MS_MAX) {
        up->position_ms_base = (uint64_t)((int64_t)up->position_ms_base + ahead_ms);
        return END_NONE;
    }
    if (ahead_ms < GAP_MS_MIN)
        return END_NONE;
    return pass_silence(calls, call, (size_t)ahead_ms * HEARD_SAMPLES_PER_MS);
}

enum end up_media(struct calls *calls, struct call *call, const struct twilio_message *media)
{
    ptrdiff_t decoded = base64_decoded_bytes(media->payload);
    if (decoded > STREAM_PAYLOAD_BYTES_MAX)
        return call_blame_carrier(call, FAULT_stream_payload_large);
    if (decoded < 0 || !base64_valid(media->payload))
        return call_blame_carrier(call, FAULT_base64_invalid);
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

/* One counter runs over all messages after connected; TCP keeps the order, so a jump is the
 * carrier's loss. */
void up_sequence(struct calls *calls, struct call *call, uint64_t sequence)
{
    if (sequence != call->up.sequence + 1 && call->up.sequence) {
        call->figures.sequence_gaps++;
        COUNT(calls->metrics, sequence_gaps);
    }
    call->up.sequence = sequence;
}
