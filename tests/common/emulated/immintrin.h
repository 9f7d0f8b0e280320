/* Stands in for the compiler's header when a test compiles an AVX-512 source of ours for a machine
 * that has none: the same intrinsics, in plain C, from Debian's libsimde-dev. Only what SIMDe 0.7
 * lacks (masked loads and stores of bytes, arithmetic shifts) or names wrongly (madd) is written
 * here. */
#ifndef RINGBRIDGE_TESTS_EMULATED_IMMINTRIN_H
#define RINGBRIDGE_TESTS_EMULATED_IMMINTRIN_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#pragma GCC diagnostic pop

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#undef _mm512_madd_epi16
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)

static inline __m512i _mm512_mask_loadu_epi8(__m512i other, uint64_t mask, const void *from)
{
    uint8_t bytes[64];
    memcpy(bytes, &other, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        if (mask >> i & 1)
            bytes[i] = ((const uint8_t *)from)[i];
    memcpy(&other, bytes, sizeof bytes);
    return other;
}

static inline __m512i _mm512_maskz_loadu_epi8(uint64_t mask, const void *from)
{
    return _mm512_mask_loadu_epi8(_mm512_setzero_si512(), mask, from);
}

static inline void _mm512_mask_storeu_epi8(void *to, uint64_t mask, __m512i value)
{
    uint8_t bytes[64];
    memcpy(bytes, &value, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        if (mask >> i & 1)
            ((uint8_t *)to)[i] = bytes[i];
}

static inline __m512i _mm512_srai_epi32(__m512i value, unsigned shift)
{
    int32_t words[16];
    memcpy(words, &value, sizeof words);
    for (size_t i = 0; i < 16; i++)
        words[i] >>= shift;
    memcpy(&value, words, sizeof words);
    return value;
}

static inline __m512i _mm512_sra_epi32(__m512i value, __m128i shift)
{
    return _mm512_srai_epi32(value, (unsigned)_mm_cvtsi128_si32(shift));
}

#endif
