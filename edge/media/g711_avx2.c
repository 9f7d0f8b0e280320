/* G.711 with AVX2: sixteen samples a step. Shifts by a different count in each lane, which AVX2
 * does not have for 16 bits, are products with a power of two looked up by segment. The last step
 * ends where the data ends and overlaps the one before it. */
#include "edge/media/g711_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2        __attribute__((target("avx2")))
#define AVX2_INLINE __attribute__((target("avx2"), always_inline)) static inline
#define STEP        16

/* One entry per segment, into the lower or the upper byte of each lane. An index with its top bit
 * set looks up zero. */
AVX2_INLINE __m256i look_up_lower(__m128i table, __m256i segment)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table),
                               _mm256_or_si256(segment, _mm256_set1_epi16((int16_t)0x8000)));
}

AVX2_INLINE __m256i look_up_upper(__m128i table, __m256i segment)
{
    return _mm256_shuffle_epi8(
        _mm256_broadcastsi128_si256(table),
        _mm256_or_si256(_mm256_slli_epi16(segment, 8), _mm256_set1_epi16(0x0080)));
}

AVX2_INLINE __m256i load_codes(const uint8_t *codes)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)codes));
}

AVX2_INLINE void store_codes(uint8_t *codes, __m256i lanes)
{
    __m128i packed =
        _mm_packus_epi16(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    _mm_storeu_si128((__m128i *)(void *)codes, packed);
}

AVX2_INLINE __m256i segment_of(__m256i upright)
{
    return _mm256_and_si256(_mm256_srli_epi16(upright, 4), _mm256_set1_epi16(7));
}

AVX2_INLINE __m256i mantissa_of(__m256i upright)
{
    return _mm256_and_si256(upright, _mm256_set1_epi16(15));
}

/* Codes without their top bit are negative. */
AVX2_INLINE void store_signed(int16_t *samples, __m256i codes, __m256i magnitude)
{
    __m256i minus = _mm256_cmpgt_epi16(_mm256_set1_epi16(0x80), codes);
    __m256i value = _mm256_sub_epi16(_mm256_xor_si256(magnitude, minus), minus);
    _mm256_storeu_si256((__m256i *)(void *)samples, value);
}

AVX2_INLINE void ulaw_decode_step(const uint8_t *from, int16_t *samples)
{
    const __m128i powers = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i bias = _mm256_set1_epi16(0x84);
    __m256i codes = load_codes(from);
    __m256i upright = _mm256_xor_si256(codes, _mm256_set1_epi16(0xff));
    __m256i biased = _mm256_or_si256(_mm256_slli_epi16(mantissa_of(upright), 3), bias);
    biased = _mm256_mullo_epi16(biased, look_up_lower(powers, segment_of(upright)));
    store_signed(samples, codes, _mm256_sub_epi16(biased, bias));
}

AVX2_INLINE void alaw_decode_step(const uint8_t *from, int16_t *samples)
{
    const __m128i powers = _mm_setr_epi8(1, 1, 2, 4, 8, 16, 32, 64, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m128i leading = _mm_setr_epi8(0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
    __m256i codes = load_codes(from);
    __m256i upright = _mm256_xor_si256(codes, _mm256_set1_epi16(0x55));
    __m256i segment = segment_of(upright);
    __m256i step = _mm256_slli_epi16(mantissa_of(upright), 4);
    step = _mm256_or_si256(step, _mm256_set1_epi16(8)); /* the middle of its step */
    step = _mm256_or_si256(step, look_up_upper(leading, segment));
    store_signed(samples, codes, _mm256_mullo_epi16(step, look_up_lower(powers, segment)));
}

/* How many bits a number below 128 needs. */
AVX2_INLINE __m256i bits_of(__m256i number)
{
    const __m128i lower = _mm_setr_epi8(0, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4);
    const __m128i upper = _mm_setr_epi8(0, 5, 6, 6, 7, 7, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0);
    return _mm256_max_epi16(look_up_lower(lower, mantissa_of(number)),
                            look_up_lower(upper, _mm256_srli_epi16(number, 4)));
}

/* Segment and mantissa side by side. powers[segment] is 2 to the 8 less the shift, in the upper
 * byte of a product whose upper half we take. */
AVX2_INLINE __m256i code_of(__m256i magnitude, __m256i segment, __m128i powers)
{
    __m256i shifted = _mm256_mulhi_epu16(magnitude, look_up_upper(powers, segment));
    return _mm256_or_si256(_mm256_slli_epi16(segment, 4), mantissa_of(shifted));
}

/* flip is what positive samples' codes are turned over with; negative ones keep the top bit. */
AVX2_INLINE __m256i turn_over(__m256i code, __m256i sign, int16_t flip)
{
    __m256i minus = _mm256_and_si256(sign, _mm256_set1_epi16(0x80));
    return _mm256_xor_si256(_mm256_xor_si256(code, minus), _mm256_set1_epi16(flip));
}

AVX2_INLINE void ulaw_encode_step(const int16_t *from, uint8_t *codes)
{
    const __m128i powers = _mm_setr_epi8(-128, 64, 32, 16, 8, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0);
    __m256i samples = _mm256_loadu_si256((const __m256i *)(const void *)from);
    __m256i sign = _mm256_srai_epi16(samples, 15);
    __m256i biased = _mm256_srli_epi16(_mm256_xor_si256(samples, sign), 2);
    biased = _mm256_add_epi16(biased, _mm256_set1_epi16(33));
    biased = _mm256_min_epi16(biased, _mm256_set1_epi16(8191));
    __m256i segment = bits_of(_mm256_srli_epi16(biased, 6));
    store_codes(codes, turn_over(code_of(biased, segment, powers), sign, 0xff));
}

AVX2_INLINE void alaw_encode_step(const int16_t *from, uint8_t *codes)
{
    const __m128i powers = _mm_setr_epi8(-128, -128, 64, 32, 16, 8, 4, 2, 0, 0, 0, 0, 0, 0, 0, 0);
    __m256i samples = _mm256_loadu_si256((const __m256i *)(const void *)from);
    __m256i sign = _mm256_srai_epi16(samples, 15);
    __m256i magnitude = _mm256_srli_epi16(_mm256_xor_si256(samples, sign), 4);
    __m256i segment = bits_of(_mm256_srli_epi16(magnitude, 4));
    __m256i doubled = _mm256_add_epi16(magnitude, magnitude);
    store_codes(codes, turn_over(code_of(doubled, segment, powers), sign, 0xd5));
}

AVX2 static void ulaw_decode(const uint8_t *codes, int16_t *samples, size_t count)
{
    if (count < STEP) {
        g711_plain.ulaw_decode(codes, samples, count);
        return;
    }
    size_t done = 0;
    for (; done + STEP <= count; done += STEP)
        ulaw_decode_step(codes + done, samples + done);
    if (done < count)
        ulaw_decode_step(codes + count - STEP, samples + count - STEP);
}

AVX2 static void alaw_decode(const uint8_t *codes, int16_t *samples, size_t count)
{
    if (count < STEP) {
        g711_plain.alaw_decode(codes, samples, count);
        return;
    }
    size_t done = 0;
    for (; done + STEP <= count; done += STEP)
        alaw_decode_step(codes + done, samples + done);
    if (done < count)
        alaw_decode_step(codes + count - STEP, samples + count - STEP);
}

AVX2 static void ulaw_encode(const int16_t *samples, uint8_t *codes, size_t count)
{
    if (count < STEP) {
        g711_plain.ulaw_encode(samples, codes, count);
        return;
    }
    size_t done = 0;
    for (; done + STEP <= count; done += STEP)
        ulaw_encode_step(samples + done, codes + done);
    if (done < count)
        ulaw_encode_step(samples + count - STEP, codes + count - STEP);
}

AVX2 static void alaw_encode(const int16_t *samples, uint8_t *codes, size_t count)
{
    if (count < STEP) {
        g711_plain.alaw_encode(samples, codes, count);
        return;
    }
    size_t done = 0;
    for (; done + STEP <= count; done += STEP)
        alaw_encode_step(samples + done, codes + done);
    if (done < count)
        alaw_encode_step(samples + count - STEP, codes + count - STEP);
}

static bool usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}

const struct g711_kernel g711_avx2 = {"avx2",      usable,      ulaw_decode,
                                      ulaw_encode, alaw_decode, alaw_encode};

#endif
