/* taps: the taps of a core's calls, and who hears through them: at most one recording and any
 * number of listeners for each call.
 *
 * A call without any has no tap, and pays for none but one look at a pointer per frame. Whoever
 * begins wants it, whoever ends leaves it; the first makes it, the last frees it. What is heard is
 * handed on in taps_hear and nowhere else, piece by piece: that is the place to add a consumer.
 * Owner: struct calls has the memory of all taps. Thread: the core's. Bounds: one tap per call,
 * TAP_CHUNKS_MAX. */
#ifndef RINGBRIDGE_EDGE_CALL_TAPS_H
#define RINGBRIDGE_EDGE_CALL_TAPS_H

#include "edge/call/tap.h"

struct call;
struct calls;

/* Placed in struct calls. */
struct taps {
    struct slab taps;   /* struct tap, one per call at most */
    struct slab chunks; /* a share of TAP_CHUNKS_MAX for each call that there may be */
};

/* False when memory is out. */
bool taps_open(struct taps *taps, unsigned calls_max);
void taps_close(struct taps *taps);

/* Makes call->tap, or joins those who have it. From now on what is said is handed to whoever the
 * call says is there. False: no memory. */
bool taps_want(struct calls *calls, struct call *call);

/* One less wants it. With the last of them it is gone. */
void taps_leave(struct calls *calls, struct call *call);

/* ---- what the call tells; only while call->tap is there ---- */

/* Caller audio, at position up.samples of the carrier's clock: frames, and silence for gaps. */
void taps_hear(struct calls *calls, struct call *call, const uint8_t *codes, size_t samples);

/* Agent audio leaves for the carrier, and is entered in the ledger behind this. */
void taps_say(struct call *call, const uint8_t *codes, size_t samples);

/* The ledger was cut: what lies beyond its end was never heard. */
void taps_cut(struct call *call);

/* The call is over: the last samples are handed on. Before its consumers end. */
void taps_end(struct calls *calls, struct call *call);

/* Bytes of a tap, without the chunks; and of all chunks, for --plan. */
size_t taps_footprint_bytes(size_t *chunks_bytes);

#endif
