/* pcm: 16-bit little-endian audio as bytes, to and from samples.
 *
 * An AI cuts its audio where it likes, so a chunk may end in the middle of a sample: the odd byte
 * waits for the next chunk. Owner: the caller places struct pcm (in a call's slot); nothing is
 * allocated. Thread: one at a time per struct. Bound: the caller's lengths. Buffers may not
 * overlap.
 */
#ifndef RINGBRIDGE_EDGE_MEDIA_PCM_H
#define RINGBRIDGE_EDGE_MEDIA_PCM_H

#include "common/span.h"

struct pcm {
    uint8_t held; /* private: the first byte of a sample */
    bool holds;
};

/* Nothing held. */
void pcm_open(struct pcm *pcm);

/* Most samples that pcm_take may write for so many bytes. */
static inline size_t pcm_samples_max(size_t bytes)
{
    return (bytes + 1) / 2;
}

/* Takes all of bytes, writes the whole samples they complete to samples (room for pcm_samples_max)
 * and returns how many. A byte without its partner is held until the next call. */
size_t pcm_take(struct pcm *pcm, struct span bytes, int16_t *samples);

/* The same memory as little-endian bytes, ready for base64: nothing happens on a little-endian
 * machine, on another the bytes are swapped where they stand. */
struct span pcm_bytes(int16_t *samples, size_t count);

#endif
