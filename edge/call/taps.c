#include "edge/call/taps.h"

#include "common/panic.h"
#include "edge/call/own.h"

/* As many for each call as a full core has, but never fewer than one call may need. */
static uint32_t chunks_for(unsigned calls_max)
{
    uint64_t share = (uint64_t)calls_max * TAP_CHUNKS_MAX / CALLS_PER_CORE;
    if (share < TAP_CHUNKS_MIN)
        return TAP_CHUNKS_MIN;
    return share < TAP_CHUNKS_MAX ? (uint32_t)share : TAP_CHUNKS_MAX;
}

bool taps_open(struct taps *taps, unsigned calls_max)
{
    if (!slab_open(&taps->taps, calls_max, sizeof(struct tap)))
        return false;
    if (slab_open(&taps->chunks, chunks_for(calls_max), TAP_CHUNK_BYTES))
        return true;
    slab_close(&taps->taps);
    return false;
}

void taps_close(struct taps *taps)
{
    slab_close(&taps->taps);
    slab_close(&taps->chunks);
}

bool taps_want(struct calls *calls, struct call *call)
{
    assert(call->state != CALL_FREE && call->state != CALL_ENDED);
    if (!call->tap) {
        call->tap = slab_take(&calls->taps.taps, &call->tap_ref);
        if (!call->tap)
            return false;
        tap_open(call->tap, &calls->taps.chunks, &call->down.heard, call->up.samples);
    }
    call->tap_users++;
    return true;
}

void taps_leave(struct calls *calls, struct call *call)
{
    assert(call->tap && call->tap_users > 0);
    if (--call->tap_users > 0)
        return;
    COUNT_BY(calls->metrics, tap_lost_samples, call->tap->lost_samples);
    tap_close(call->tap);
    slab_give(&calls->taps.taps, call->tap_ref);
    call->tap = NULL;
}

/* Each piece goes to everyone who is there. Any of them may be gone afterwards, and the tap with
 * the last. */
static void hand_on(struct calls *calls, struct call *call, const struct tap_piece *piece)
{
    if (call->spool)
        spool_hear(calls, call, piece);
    if (call->tap_users > (call->spool ? 1u : 0u))
        listen_hear(calls, call, piece);
}

void taps_hear(struct calls *calls, struct call *call, const uint8_t *codes, size_t samples)
{
    struct tap_piece piece;
    assert(tap_clock(call->tap) == call->up.samples);
    tap_hear(call->tap, codes, samples);
    while (call->tap && tap_next(call->tap, &piece))
        hand_on(calls, call, &piece);
}

void taps_say(struct call *call, const uint8_t *codes, size_t samples)
{
    tap_say(call->tap, codes, samples);
}

void taps_cut(struct call *call)
{
    struct tap_unheard unheard = tap_cut(call->tap);
    if (call->spool && unheard.samples)
        spool_erase(call, &unheard);
}

void taps_end(struct calls *calls, struct call *call)
{
    struct tap_piece piece;
    if (tap_rest(call->tap, &piece))
        hand_on(calls, call, &piece);
}

size_t taps_footprint_bytes(size_t *chunks_bytes)
{
    *chunks_bytes = (size_t)TAP_CHUNKS_MAX * TAP_CHUNK_BYTES;
    return sizeof(struct tap);
}
