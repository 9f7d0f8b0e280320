/* convert: audio between the legs' formats, composed straight into the send buffers.
 *
 *   up    mu-law text --- as it is -------------------------------> append     (AI takes mu-law)
 *         mu-law text -> codes -> 8 kHz samples -> 24 kHz -> text -> append     (AI takes PCM16)
 *   down  the mirror image
 *
 * Base64 text is copied once, from the receive buffer into the send buffer, where the formats
 * agree. */
#include "common/base64.h"
#include "common/panic.h"
#include "edge/call/own.h"
#include "edge/media/g711.h"

#define PIECE_TEXT_BYTES                                                                           \
    65536                     /* of a PCM delta: 49152 bytes, 24576 samples, a second of speech    \
                               */
#define PASS_TEXT_BYTES 16384 /* of a mu-law delta: one media message of a second and a half */

_Static_assert(PIECE_TEXT_BYTES % 4 == 0 && PASS_TEXT_BYTES % 4 == 0,
               "base64 may be cut between groups of four only");
_Static_assert(PIECE_TEXT_BYTES / 4 * 3 <= SCRATCH_SAMPLES, "a decoded piece fits the scratch");
_Static_assert(PIECE_TEXT_BYTES / 4 * 3 / 2 <= RESAMPLE_CHUNK_SAMPLES_MAX, "and the resampler");
_Static_assert(STREAM_PAYLOAD_BYTES_MAX <= SCRATCH_SAMPLES, "a carrier's payload fits the scratch");

/* Up.c stops long before the AI's queue is full, so memory is out: this much is lost, and the call
 * goes on. */
static enum end drop_slow(struct calls *calls, struct call *call, size_t samples)
{
    call->figures.slow_dropped_bytes += samples;
    COUNT_BY(calls->metrics, audio_dropped_slow, samples);
    return END_NONE;
}

static void count_up(struct calls *calls, struct call *call, size_t samples, size_t bytes)
{
    call->up.appended += samples;
    COUNT(calls->metrics, frames_ai_out);
    COUNT_BY(calls->metrics, audio_ai_out, bytes);
}

enum end convert_up_text(struct calls *calls, struct call *call, struct span payload,
                         size_t samples)
{
    if (call->pcm) {
        bool whole = base64_decode(payload, calls->codes);
        assert(whole); /* up.c and down.c have looked */
        return convert_up(calls, call, calls->codes, samples);
    }
    struct conn *ai = call_ai(calls, call);
    size_t bytes = realtime_append_bytes(payload.bytes);
    uint8_t *out = ai ? conn_frame_begin(calls->io, ai, bytes) : NULL;
    if (!out)
        return drop_slow(calls, call, samples);
    memcpy(realtime_append_write(out, payload.bytes), payload.data, payload.bytes);
    conn_frame_end(calls->io, ai, bytes);
    count_up(calls, call, samples, samples);
    return END_NONE;
}

enum end convert_up(struct calls *calls, struct call *call, const uint8_t *codes, size_t samples)
{
    assert(samples <= SCRATCH_SAMPLES);
    struct span audio = span_from(codes, samples);
    if (call->pcm) {
        g711_ulaw_decode(codes, calls->narrow, samples);
        size_t count = resample_run(&call->up.resample, calls->narrow, samples, calls->wide);
        audio = pcm_bytes(calls->wide, count);
    }
    size_t text_bytes = base64_encoded_bytes(audio.bytes);
    size_t bytes = realtime_append_bytes(text_bytes);
    struct conn *ai = call_ai(calls, call);
    uint8_t *out = ai ? conn_frame_begin(calls->io, ai, bytes) : NULL;
    if (!out)
        return drop_slow(calls, call, samples);
    base64_encode(audio, realtime_append_write(out, text_bytes));
    conn_frame_end(calls->io, ai, bytes);
    count_up(calls, call, samples, audio.bytes);
    return END_NONE;
}

/* One media message whose payload the caller writes where *payload points. */
static enum end begin_media(struct calls *calls, struct call *call, size_t text_bytes,
                            uint8_t **payload)
{
    struct span sid = span_of(call->stream_sid);
    struct conn *carrier = call_carrier(calls, call);
    uint8_t *out =
        carrier ? conn_frame_begin(calls->io, carrier, twilio_media_bytes(sid, text_bytes)) : NULL;
    if (!out)
        return send_failed(carrier, END_carrier_too_slow);
    *payload = twilio_media_write(out, sid, text_bytes);
    return END_NONE;
}

static void end_media(struct calls *calls, struct call *call, size_t text_bytes, size_t samples)
{
    struct conn *carrier = call_carrier(calls, call);
    conn_frame_end(calls->io, carrier, twilio_media_bytes(span_of(call->stream_sid), text_bytes));
    COUNT(calls->metrics, frames_carrier_out);
    COUNT_BY(calls->metrics, audio_carrier_out, samples);
}

static enum end pass_down(struct calls *calls, struct call *call, struct span piece,
                          size_t *samples)
{
    uint8_t *payload;
    TRY(begin_media(calls, call, piece.bytes, &payload));
    memcpy(payload, piece.data, piece.bytes);
    *samples = (size_t)base64_decoded_bytes(piece);
    if (call->tap) {
        base64_decode(piece, calls->codes);
        taps_say(call, calls->codes, *samples);
    }
    end_media(calls, call, piece.bytes, *samples);
    return END_NONE;
}

enum end convert_down_codes(struct calls *calls, struct call *call, const uint8_t *codes,
                            size_t samples)
{
    uint8_t *payload;
    size_t text_bytes = base64_encoded_bytes(samples);
    TRY(begin_media(calls, call, text_bytes, &payload));
    base64_encode(span_from(codes, samples), payload);
    if (call->tap)
        taps_say(call, codes, samples);
    end_media(calls, call, text_bytes, samples);
    return END_NONE;
}

/* One piece in the carrier's format, in calls->codes. */
static size_t narrow(struct calls *calls, struct call *call, struct span piece)
{
    struct down *down = &call->down;
    bool whole = base64_decode(piece, calls->codes);
    assert(whole); /* up.c and down.c have looked */
    size_t bytes = (size_t)base64_decoded_bytes(piece);
    if (!call->pcm)
        return bytes;
    size_t wide = pcm_take(&down->pcm, span_from(calls->codes, bytes), calls->wide);
    size_t samples = resample_run(&down->resample, calls->wide, wide, calls->narrow);
    g711_ulaw_encode(calls->narrow, calls->codes, samples);
    return samples; /* 0: the filter keeps them for the next delta */
}

static enum end narrow_down(struct calls *calls, struct call *call, struct span piece,
                            size_t *samples)
{
    *samples = narrow(calls, call, piece);
    return *samples ? convert_down_codes(calls, call, calls->codes, *samples) : END_NONE;
}

size_t convert_keep(struct calls *calls, struct call *call, struct span audio, uint8_t *codes,
                    size_t room)
{
    size_t kept = 0;
    while (audio.bytes) {
        size_t bytes = audio.bytes < PIECE_TEXT_BYTES ? audio.bytes : PIECE_TEXT_BYTES;
        size_t samples = narrow(calls, call, span_from(audio.data, bytes));
        if (samples > room - kept)
            samples = room - kept;
        memcpy(codes + kept, calls->codes, samples);
        kept += samples;
        audio = span_from(audio.data + bytes, audio.bytes - bytes);
    }
    return kept;
}

enum end convert_down(struct calls *calls, struct call *call, struct span audio, size_t *samples)
{
    size_t piece_max = call->pcm ? PIECE_TEXT_BYTES : PASS_TEXT_BYTES;
    *samples = 0;
    while (audio.bytes) {
        size_t bytes = audio.bytes < piece_max ? audio.bytes : piece_max, sent = 0;
        struct span piece = span_from(audio.data, bytes);
        TRY(call->pcm ? narrow_down(calls, call, piece, &sent)
                      : pass_down(calls, call, piece, &sent));
        *samples += sent;
        audio = span_from(audio.data + bytes, audio.bytes - bytes);
    }
    return END_NONE;
}
