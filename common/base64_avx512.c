/* base64 with AVX-512 VBMI: 48 bytes are 64 characters a step, and any shorter rest is one step
 * under a mask. A masked load or store does not touch what its mask leaves out, not even to fault.
 */
#include "common/base64_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

/* The tests compile this file over an emulation of the instructions, without the attribute. */
#ifndef BASE64_AVX512_TARGET
#define BASE64_AVX512_TARGET __attribute__((target("avx512f,avx512bw,avx512vbmi")))
#endif
#define AVX512_INLINE BASE64_AVX512_TARGET __attribute__((always_inline)) static inline

#define STEP_QUANTA 16

/* The lowest count bits set, count 0 to 64. */
static inline uint64_t lowest(size_t count)
{
    return count == 0 ? 0 : ~(uint64_t)0 >> (64 - count);
}

AVX512_INLINE void encode_step(const uint8_t *bytes, size_t quanta, uint8_t *text)
{
    /* Each quantum b0 b1 b2 becomes the word b1 b0 b2 b1; in it the four fields begin at bits 10,
     * 4, 22 and 16. The lookup takes six bits of each byte, so nothing needs clearing. */
    const __m512i spread =
        _mm512_set_epi32(0x2e2f2d2e, 0x2b2c2a2b, 0x28292728, 0x25262425, 0x22232122, 0x1f201e1f,
                         0x1c1d1b1c, 0x191a1819, 0x16171516, 0x13141213, 0x10110f10, 0x0d0e0c0d,
                         0x0a0b090a, 0x07080607, 0x04050304, 0x01020001);
    const __m512i fields = _mm512_set1_epi64(0x3036242a1016040a);
    __m512i alphabet = _mm512_loadu_si512(base64_alphabet);
    __m512i input = _mm512_maskz_loadu_epi8(lowest(quanta * 3), bytes);
    __m512i words = _mm512_permutexvar_epi8(spread, input);
    __m512i values = _mm512_multishift_epi64_epi8(fields, words);
    _mm512_mask_storeu_epi8(text, lowest(quanta * 4), _mm512_permutexvar_epi8(values, alphabet));
}

BASE64_AVX512_TARGET static void encode(const uint8_t *bytes, size_t quanta, uint8_t *text)
{
    for (; quanta > STEP_QUANTA; quanta -= STEP_QUANTA, bytes += 48, text += 64)
        encode_step(bytes, STEP_QUANTA, text);
    encode_step(bytes, quanta, text);
}

/* Characters in, six-bit values out. Bit 7 is set in *bad where a character is none of ours: in the
 * table for ASCII, in the character itself beyond it. */
AVX512_INLINE __m512i look_up(const uint8_t *text, size_t quanta, __m512i *bad)
{
    __m512i first = _mm512_loadu_si512(base64_values);
    __m512i second = _mm512_loadu_si512(base64_values + 64);
    __m512i letters = _mm512_mask_loadu_epi8(_mm512_set1_epi8('A'), lowest(quanta * 4), text);
    __m512i values = _mm512_permutex2var_epi8(first, letters, second);
    *bad = _mm512_or_si512(*bad, _mm512_or_si512(letters, values));
    return values;
}

AVX512_INLINE void decode_step(const uint8_t *text, size_t quanta, uint8_t *bytes, __m512i *bad)
{
    __m512i values = look_up(text, quanta, bad);
    __m512i twelve = _mm512_maddubs_epi16(values, _mm512_set1_epi32(0x01400140));
    __m512i whole = _mm512_madd_epi16(twelve, _mm512_set1_epi32(0x00011000));
    /* Bytes 2, 1, 0 of each word, front to front. */
    const __m512i pick = _mm512_set_epi32(
        0, 0, 0, 0, 0x3c3d3e38, 0x393a3435, 0x36303132, 0x2c2d2e28, 0x292a2425, 0x26202122,
        0x1c1d1e18, 0x191a1415, 0x16101112, 0x0c0d0e08, 0x090a0405, 0x06000102);
    _mm512_mask_storeu_epi8(bytes, lowest(quanta * 3), _mm512_permutexvar_epi8(pick, whole));
}

BASE64_AVX512_TARGET static bool decode(const uint8_t *text, size_t quanta, uint8_t *bytes)
{
    __m512i bad = _mm512_setzero_si512();
    for (; quanta > STEP_QUANTA; quanta -= STEP_QUANTA, text += 64, bytes += 48)
        decode_step(text, STEP_QUANTA, bytes, &bad);
    decode_step(text, quanta, bytes, &bad);
    return _mm512_movepi8_mask(bad) == 0;
}

BASE64_AVX512_TARGET static bool valid(const uint8_t *text, size_t quanta)
{
    __m512i bad = _mm512_setzero_si512();
    for (; quanta > STEP_QUANTA; quanta -= STEP_QUANTA, text += 64)
        look_up(text, STEP_QUANTA, &bad);
    look_up(text, quanta, &bad);
    return _mm512_movepi8_mask(bad) == 0;
}

static bool usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi");
}

const struct base64_kernel base64_avx512 = {"avx512", usable, encode, decode, valid};

#endif
