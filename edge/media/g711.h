/* g711: mu-law and A-law to and from 16-bit linear samples (ITU-T G.711; exact against G.191's
 * reference tables for all codes and all samples).
 *
 * Linear samples are the law's own numbers moved to the top of 16 bits, as G.191 has them: mu-law
 * knows 14 bits (its loudest code is 32124), A-law 13 (32256). Encoding looks at those bits only;
 * a negative sample is first complemented bit by bit, so -1 is the negative zero. Decoding and
 * encoding again gives every code back, but for mu-law's 0x7f, the negative zero: its sample is 0,
 * and 0 is 0xff.
 *
 * Pure: no state, no allocation. Thread: any. Bound: the caller's counts. Buffers may not overlap.
 * A mu-law or A-law byte is one sample; linear samples are host-endian int16_t. SIMD where the
 * processor has it (chosen once at run time), plain C elsewhere, equal results. */
#ifndef RINGBRIDGE_EDGE_MEDIA_G711_H
#define RINGBRIDGE_EDGE_MEDIA_G711_H

#include <stddef.h>
#include <stdint.h>

#define G711_ULAW_SILENCE 0xff
#define G711_ALAW_SILENCE 0xd5

void g711_ulaw_decode(const uint8_t *codes, int16_t *samples, size_t count);
void g711_ulaw_encode(const int16_t *samples, uint8_t *codes, size_t count);
void g711_alaw_decode(const uint8_t *codes, int16_t *samples, size_t count);
void g711_alaw_encode(const int16_t *samples, uint8_t *codes, size_t count);

#endif
