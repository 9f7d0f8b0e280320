/* lanes: sixteen bytes at a time. The one place of this folder that knows the processor; other
 * machines get the same answers from plain C. Thread: any. Bound: 16 bytes from at are read. */
#ifndef RINGBRIDGE_EDGE_WIRE_LANES_H
#define RINGBRIDGE_EDGE_WIRE_LANES_H

#include <stdint.h>

#define LANES 16

#ifdef __SSE2__
#include <emmintrin.h>

/* One bit per byte that ends a plain run of a JSON string: quote, backslash, control byte. *wide
 * becomes non-zero when a byte is not ASCII and is left alone otherwise. */
static inline unsigned lanes_json_stops(const uint8_t *at, unsigned *wide)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)at);
    __m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i escapes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    __m128i controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    *wide |= (unsigned)_mm_movemask_epi8(bytes);
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, escapes), controls));
}

#else

static inline unsigned lanes_json_stops(const uint8_t *at, unsigned *wide)
{
    unsigned stops = 0;
    for (unsigned i = 0; i < LANES; i++) {
        stops |= (unsigned)(at[i] == '"' || at[i] == '\\' || at[i] < 0x20) << i;
        *wide |= at[i] & 0x80u;
    }
    return stops;
}

#endif
#endif
