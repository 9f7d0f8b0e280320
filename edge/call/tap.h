/* tap: what is said in a call, both sides, for those who want to have it: a recording, listeners.
 *
 *   caller  frames as the carrier sends them, gaps as silence ---------------------> caller track
 *   agent   what leaves for the carrier -> waits here -> played by the carrier's clock -> agent
 *                                                ^ the caller interrupts: the rest is cut away
 *
 * Both tracks are mu-law on the carrier's sample clock (8 kHz, 0 is the stream's first sample), in
 * whole pieces of 20 ms that lie at multiples of 20 ms. The caller's is what was heard of him; the
 * agent's is what he heard, and when: the AI speaks faster than real time, so its audio waits here
 * under its position in the ledger (heard.h) and is let out one sample per sample of the carrier's.
 * After a silence it begins where the ledger has it begin; from there it runs on without a break,
 * because the marks that correct the ledger by some milliseconds must not tear words. Agent audio
 * that was sent before the tap was opened is not on its track.
 * What it is not: files, sockets, who listens (taps.h). Pull: tap_hear takes a frame, then tap_next
 * yields what has become whole. Pure but for memory. Owner: placed in its owner; what waits lies in
 * chunks of a slab that all taps of a core share. Thread: the core's. Bounds: CALL_UNPLAYED_MS_MAX
 * of audio that waits, TAP_CHUNKS_MAX for all; what finds no chunk is silence, and counted. */
#ifndef RINGBRIDGE_EDGE_CALL_TAP_H
#define RINGBRIDGE_EDGE_CALL_TAP_H

#include "common/span.h"
#include "edge/call/heard.h"
#include "edge/io/slab.h"

#define TAP_PIECE_SAMPLES 160 /* 20 ms */

/* 20 ms of both sides. */
struct tap_piece {
    uint64_t first_sample; /* a multiple of TAP_PIECE_SAMPLES */
    unsigned samples;      /* all of them; fewer only from tap_rest. Behind them: anything */
    uint8_t caller[TAP_PIECE_SAMPLES], agent[TAP_PIECE_SAMPLES];
};

struct tap_chunk;

struct tap {
    struct slab *chunks;       /* borrowed */
    const struct heard *heard; /* borrowed: the call's ledger */
    struct span input; /* of the caller, not yet in a piece; borrowed until tap_next is done */
    struct tap_chunk *first, *last; /* agent audio that waits */
    uint64_t end;                   /* the agent's position after the last sample sent */
    uint64_t played;                /* .. and after the last sample let out */
    uint64_t played_until;          /* on the carrier's clock: where that one lies */
    bool playing;           /* it was let out just now, so what follows goes on from there */
    uint64_t lost_samples;  /* of the agent: no chunk was free */
    struct tap_piece piece; /* being made of frames that are no whole pieces */
};

/* What was let out as the agent's and yet was never heard, on the carrier's clock. */
struct tap_unheard {
    uint64_t first_sample, samples;
};

/* Bytes of a slot in the slab of chunks. */
#define TAP_CHUNK_BYTES 4096

/* From this sample of the carrier's clock on. The first piece begins at the multiple before it;
 * what was before is silence. */
void tap_open(struct tap *tap, struct slab *chunks, const struct heard *heard, uint64_t at_sample);

/* Gives the chunks back. */
void tap_close(struct tap *tap);

/* Agent audio leaves for the carrier; its place in the ledger is right behind what was said before.
 */
void tap_say(struct tap *tap, const uint8_t *codes, size_t samples);

/* Everything from the ledger's heard.sent on was taken back: after heard_interrupt. Returns what
 * had been let out already, because the carrier plays a little later than the ledger thought;
 * mostly nothing. Consumers may still erase it. */
struct tap_unheard tap_cut(struct tap *tap);

/* The caller's next samples, as many as the carrier's clock goes on. codes must live until tap_next
 * has said no, which it must before the next tap_hear (assert). */
void tap_hear(struct tap *tap, const uint8_t *codes, size_t samples);

/* The next whole piece, good until the next call. False: no more now. */
bool tap_next(struct tap *tap, struct tap_piece *piece);

/* The call is over: the last samples that do not fill a piece. False: there are none. */
bool tap_rest(struct tap *tap, struct tap_piece *piece);

/* The carrier's clock: how many samples were heard. */
static inline uint64_t tap_clock(const struct tap *tap)
{
    return tap->piece.first_sample + tap->piece.samples;
}

#endif
