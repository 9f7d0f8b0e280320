/* up: caller to AI. The carrier's timestamps are the clock: gaps become silence, so that every
 * sample the AI has heard has one place on it. Audio that cannot go to the AI yet is kept, bounded:
 * before it is ready, and while it has not taken what it was sent; the oldest goes first. A carrier
 * that stalled sends seconds of audio at once, which fill the AI's queue for a moment only: so they
 * are kept as long as before it is ready, and nothing is lost. An AI that is too slow is told by
 * time: when it has not caught up for CALL_STALE_MS, no more than that is kept for it, and what it
 * hears late is never later than AI_QUEUE_BYTES_MAX and CALL_STALE_MS make it. */
#include "common/base64.h"
#include "common/clock.h"
#include "common/panic.h"
#include "edge/call/own.h"
#include "edge/media/g711.h"

#include <stdlib.h>

#define GAP_MS_MIN    10 /* half a frame: less is the carrier's rounding */
#define STALL_NS      1000000000u
#define LATENCY_EVERY 8 /* frames: a look at the clock costs as much as a small frame */

/* ---- time ---- */

/* The last frame's end, and what has passed since it came. A carrier that loses frames goes on
 * playing, and its marks say so; one of which nothing has come for a second stalls, and so does its
 * playing. */
uint64_t up_clock(const struct calls *calls, const struct call *call)
{
    const struct up *up = &call->up;
    uint64_t since_ns = io_now_ns(calls->io) - up->heard_ns;
    uint64_t most_ns = up->sign_ns - up->heard_ns + STALL_NS;
    if (!up->timed)
        return 0;
    if (since_ns > most_ns)
        since_ns = most_ns;
    return up->samples + since_ns / (1000000 / HEARD_SAMPLES_PER_MS);
}

/* ---- audio ---- */

/* Where a moment of the AI's audio clock lies on the carrier's: the AI has been given everything up
 * to what is still held here. */
bool up_moment(const struct call *call, uint64_t audio_ms, uint64_t *position)
{
    const struct up *up = &call->up;
    uint64_t samples = audio_ms * HEARD_SAMPLES_PER_MS;
    uint64_t given_until = up->samples - up->join.bytes - up->early_bytes;
    if (audio_ms == 0 || audio_ms > UINT32_MAX || samples > up->appended ||
        up->appended - samples > given_until)
        return false;
    *position = given_until - (up->appended - samples);
    return true;
}

bool up_open(const struct call *call)
{
    return call->ai.state == AI_READY && !call->up.waiting;
}

/* Drops of the oldest are counted by what they waited for. */
COLD static void drop_oldest(struct calls *calls, struct call *call, size_t bytes)
{
    struct up *up = &call->up;
    assert(bytes <= up->early_bytes);
    up->early_first = (up->early_first + bytes) % CALL_EARLY_BYTES_MAX;
    up->early_bytes -= bytes;
    if (call->ai.state == AI_READY) {
        call->figures.slow_dropped_bytes += bytes;
        COUNT_BY(calls->metrics, audio_dropped_slow, bytes);
    } else {
        call->figures.early_dropped_bytes += bytes;
        COUNT_BY(calls->metrics, audio_dropped_early, bytes);
    }
}

static size_t kept_bytes_max(const struct calls *calls, const struct call *call)
{
    bool slow =
        call->ai.state == AI_READY && io_now_ms(calls->io) - call->up.waiting_ms >= CALL_STALE_MS;
    return slow ? CALL_STALE_BYTES_MAX : CALL_EARLY_BYTES_MAX;
}

enum end up_keep(struct calls *calls, struct call *call, const uint8_t *codes, size_t bytes)
{
    struct up *up = &call->up;
    size_t most = kept_bytes_max(calls, call);
    assert(bytes <= CALL_STALE_BYTES_MAX);
    if (!up->early && !(up->early = malloc(CALL_EARLY_BYTES_MAX)))
        return END_no_capacity;
    if (up->early_bytes + bytes > most)
        drop_oldest(calls, call, up->early_bytes + bytes - most);
    size_t at = (up->early_first + up->early_bytes) % CALL_EARLY_BYTES_MAX;
    size_t run = CALL_EARLY_BYTES_MAX - at < bytes ? CALL_EARLY_BYTES_MAX - at : bytes;
    memcpy(up->early + at, codes, run);
    memcpy(up->early, codes + run, bytes - run);
    up->early_bytes += bytes;
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

/* An AI that does not read is not given more: what it has not taken is late already. When it has
 * taken most of that, it gets the caller's last seconds and goes on from there. */
static enum end look_at_queue(struct calls *calls, struct call *call)
{
    struct up *up = &call->up;
    const struct conn *ai = call_ai(calls, call);
    size_t queued = ai ? conn_queued_bytes(ai) : 0;
    size_t most = AI_QUEUE_BYTES_MAX * (call->pcm ? 4 : 1);
    if (!up->waiting && queued > most) {
        TRY(join_flush(calls, call));
        up->waiting = true;
        up->waiting_ms = io_now_ms(calls->io);
        COUNT(calls->metrics, ai_slow);
    } else if (up->waiting && queued <= most / 4) {
        TRY(join_flush(calls, call)); /* to the end of what is kept */
        up->waiting = false;
        TRY(up_flush_early(calls, call));
    }
    return END_NONE;
}

COLD static enum end pass_silence(struct calls *calls, struct call *call, size_t samples)
{
    static const uint8_t silence[STREAM_PAYLOAD_BYTES_MAX] = {[0 ... STREAM_PAYLOAD_BYTES_MAX - 1] =
                                                                  G711_ULAW_SILENCE};
    call->figures.gap_samples += samples;
    COUNT_BY(calls->metrics, gap_filled_samples, samples);
    TRY(join_flush(calls, call));
    while (samples) {
        size_t part = samples < sizeof silence ? samples : sizeof silence;
        session_hear(calls, call, silence, part);
        if (call->tap)
            taps_hear(calls, call, silence, part);
        TRY(up_open(call) ? convert_up(calls, call, silence, part)
                          : up_keep(calls, call, silence, part));
        call->up.samples += part;
        samples -= part;
    }
    return END_NONE;
}

/* The carrier drops audio that we do not read fast enough (31930); it shows as a gap. */
static void note_loss(struct calls *calls, struct call *call, uint64_t lost_ms)
{
    if (call->figures.losses++ == 0)
        record_carrier_warning(calls, call, 31930, lost_ms);
    COUNT(calls->metrics, carrier_31930);
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
    if (ahead_ms >= CALL_GAP_TOLD_MS)
        note_loss(calls, call, (uint64_t)ahead_ms);
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
    call->up.heard_ns = call->up.sign_ns = io_now_ns(calls->io);
    call->up.frames++;
    call->up.bytes += samples;
    COUNT(calls->metrics, frames_carrier_in);
    COUNT_BY(calls->metrics, audio_carrier_in, samples);
    if (call->ai.state == AI_READY)
        TRY(look_at_queue(calls, call));
    base64_decode(media->payload, calls->codes);
    session_hear(calls, call, calls->codes, samples);
    if (call->tap)
        taps_hear(calls, call, calls->codes, samples);
    if (up_open(call)) {
        TRY(join_frame(calls, call, media->payload, samples));
    } else {
        TRY(join_flush(calls, call));
        TRY(up_keep(calls, call, calls->codes, samples));
    }
    call->up.samples += samples;
    if (call->speech.open)
        TRY(interrupt_hear(calls, call, media->payload, samples));
    if (call->up.frames % LATENCY_EVERY == 0)
        histogram_add(&calls->metrics->relay_up,
                      (clock_monotonic_ns() - io_now_ns(calls->io)) / 1000);
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
