/* g711: mu-law and A-law to and from 16-bit linear samples (ITU-T G.711; exact against G.191's
 * reference tables for all codes).
 *
 * Pure: no state, no allocation. Thread: any. Bound: the caller's counts. Buffers may not overlap.
 * A mu-law or A-law byte is one sample; linear samples are host-endian int16_t. */
#ifndef RINGBRIDGE_EDGE_MEDIA_G711_H
#define RINGBRIDGE_EDGE_MEDIA_G711_H

#include <stddef.h>
#include <stdint.h>

#define G711_ULAW_SILENCE 0xff

void g711_ulaw_decode(const uint8_t *codes, int16_t *samples, size_t count);
void g711_ulaw_encode(const int16_t *samples, uint8_t *codes, size_t count);
void g711_alaw_decode(const uint8_t *codes, int16_t *samples, size_t count);
void g711_alaw_encode(const int16_t *samples, uint8_t *codes, size_t count);

#endif
