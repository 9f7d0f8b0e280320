/* The resampler's filter with AVX2: sixteen positions a step.
 *
 * One multiply-add takes a pair of neighbouring samples times a pair of neighbouring taps. Read as
 * pairs, sixteen samples from an even place serve the eight even positions and, read one sample
 * further on, the eight odd ones: no sample is ever moved to meet its tap. */
#include "edge/media/resample_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#define AVX2        __attribute__((target("avx2")))
#define AVX2_INLINE __attribute__((target("avx2"), always_inline)) static inline
#define STEP        16
#define STREAM      (RESAMPLE_BLOCK + 3 * STEP)

/* The two sums of one phase, each for the even and for the odd positions. */
struct sums {
    __m256i fine_even, fine_odd, coarse_even, coarse_odd;
};

AVX2_INLINE __m256i load(const int16_t *samples)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)samples);
}

AVX2_INLINE void store(int16_t *samples, __m256i value)
{
    _mm256_storeu_si256((__m256i *)(void *)samples, value);
}

/* Sixteen bytes that say how to order each half. */
AVX2_INLINE __m256i reorder(__m256i value, const int8_t order[16])
{
    return _mm256_shuffle_epi8(
        value, _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)order)));
}

AVX2_INLINE __m256i pair_of(const int16_t *taps)
{
    int32_t pair;
    memcpy(&pair, taps, sizeof pair);
    return _mm256_set1_epi32(pair);
}

AVX2_INLINE __m256i multiply_add(__m256i sum, __m256i samples, __m256i pair)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(samples, pair));
}

AVX2_INLINE struct sums start(const struct resample_taps *taps)
{
    __m256i half = _mm256_set1_epi32(4 << taps->shift), zero = _mm256_setzero_si256();
    return (struct sums){half, half, zero, zero};
}

/* Adds all taps of one phase over its window. */
AVX2_INLINE void filter(struct sums *sums, const struct resample_taps *taps, size_t phase,
                        const int16_t *window)
{
    const int16_t *middle = window + RESAMPLE_COARSE_FIRST;
    for (size_t k = 0; k < RESAMPLE_TAPS; k += 2) {
        __m256i pair = pair_of(&taps->fine[phase][k]);
        sums->fine_even = multiply_add(sums->fine_even, load(window + k), pair);
        sums->fine_odd = multiply_add(sums->fine_odd, load(window + k + 1), pair);
    }
    for (size_t k = 0; k < RESAMPLE_COARSE_TAPS; k += 2) {
        __m256i pair = pair_of(&taps->coarse[phase][k]);
        sums->coarse_even = multiply_add(sums->coarse_even, load(middle + k), pair);
        sums->coarse_odd = multiply_add(sums->coarse_odd, load(middle + k + 1), pair);
    }
}

/* The same for both phases of factor 3 over one window, whose loads they share. */
AVX2_INLINE void filter_two(struct sums *first, struct sums *second,
                            const struct resample_taps *taps, const int16_t *window)
{
    const int16_t *middle = window + RESAMPLE_COARSE_FIRST;
    for (size_t k = 0; k < RESAMPLE_TAPS; k += 2) {
        __m256i even = load(window + k), odd = load(window + k + 1);
        __m256i pair = pair_of(&taps->fine[0][k]), other = pair_of(&taps->fine[1][k]);
        first->fine_even = multiply_add(first->fine_even, even, pair);
        first->fine_odd = multiply_add(first->fine_odd, odd, pair);
        second->fine_even = multiply_add(second->fine_even, even, other);
        second->fine_odd = multiply_add(second->fine_odd, odd, other);
    }
    for (size_t k = 0; k < RESAMPLE_COARSE_TAPS; k += 2) {
        __m256i even = load(middle + k), odd = load(middle + k + 1);
        __m256i pair = pair_of(&taps->coarse[0][k]), other = pair_of(&taps->coarse[1][k]);
        first->coarse_even = multiply_add(first->coarse_even, even, pair);
        first->coarse_odd = multiply_add(first->coarse_odd, odd, pair);
        second->coarse_even = multiply_add(second->coarse_even, even, other);
        second->coarse_odd = multiply_add(second->coarse_odd, odd, other);
    }
}

AVX2_INLINE __m256i add_up(__m256i fine, __m256i coarse, __m128i shift)
{
    return _mm256_sra_epi32(_mm256_add_epi32(_mm256_srai_epi32(fine, 3), coarse), shift);
}

/* Rounded and saturated; in each half four even positions stand before four odd ones. */
AVX2_INLINE __m256i rounded(const struct sums *sums, const struct resample_taps *taps)
{
    __m128i shift = _mm_cvtsi32_si128(taps->shift);
    return _mm256_packs_epi32(add_up(sums->fine_even, sums->coarse_even, shift),
                              add_up(sums->fine_odd, sums->coarse_odd, shift));
}

/* Orders, as bytes. Even before odd to natural; and the places that natural (0) or even-before-odd
 * (1, 2) samples take in a run of three interleaved streams, modulo eight. */
#define AT(sample) 2 * (sample), 2 * (sample) + 1
static const int8_t natural[16] = {AT(0), AT(4), AT(1), AT(5), AT(2), AT(6), AT(3), AT(7)};
static const int8_t third_0[16] = {AT(0), AT(3), AT(6), AT(1), AT(4), AT(7), AT(2), AT(5)};
static const int8_t third_1[16] = {AT(6), AT(0), AT(5), AT(3), AT(4), AT(2), AT(7), AT(1)};
static const int8_t third_2[16] = {AT(1), AT(6), AT(0), AT(5), AT(3), AT(4), AT(2), AT(7)};

AVX2_INLINE void raise_2(const struct resample_taps *taps, const int16_t *window, int16_t *out)
{
    struct sums sums = start(taps);
    filter(&sums, taps, 0, window);
    __m256i copied = load(window + RESAMPLE_COPIED);
    __m256i between = reorder(rounded(&sums, taps), natural);
    __m256i first = _mm256_unpacklo_epi16(copied, between);
    __m256i second = _mm256_unpackhi_epi16(copied, between);
    store(out, _mm256_permute2x128_si256(first, second, 0x20));
    store(out + STEP, _mm256_permute2x128_si256(first, second, 0x31));
}

/* Three streams become one: each is put into the right places modulo eight, then blends pick. */
AVX2_INLINE void raise_3(const struct resample_taps *taps, const int16_t *window, int16_t *out)
{
    struct sums first = start(taps), second = first;
    filter_two(&first, &second, taps, window);
    __m256i a = reorder(load(window + RESAMPLE_COPIED), third_0);
    __m256i b = reorder(rounded(&first, taps), third_1);
    __m256i c = reorder(rounded(&second, taps), third_2);
    __m256i x = _mm256_blend_epi16(_mm256_blend_epi16(a, b, 0x92), c, 0x24);
    __m256i y = _mm256_blend_epi16(_mm256_blend_epi16(a, b, 0x24), c, 0x49);
    __m256i z = _mm256_blend_epi16(_mm256_blend_epi16(a, b, 0x49), c, 0x92);
    store(out, _mm256_permute2x128_si256(x, y, 0x20));
    store(out + STEP, _mm256_permute2x128_si256(z, x, 0x30));
    store(out + 2 * STEP, _mm256_permute2x128_si256(y, z, 0x31));
}

AVX2_INLINE void raise_step(const struct resample_taps *taps, const int16_t *window, int16_t *out)
{
    if (taps->factor == 2)
        raise_2(taps, window, out);
    else
        raise_3(taps, window, out);
}

/* Full steps go straight to out; what is left over is made in a spare step and copied. */
AVX2 static void raise(const struct resample_taps *taps, const int16_t *window, size_t positions,
                       int16_t *out)
{
    size_t factor = taps->factor;
    for (; positions >= STEP; positions -= STEP, window += STEP, out += STEP * factor)
        raise_step(taps, window, out);
    if (positions > 0) {
        int16_t spare[STEP * RESAMPLE_FACTOR_MAX];
        raise_step(taps, window, spare);
        memcpy(out, spare, positions * factor * sizeof out[0]);
    }
}

/* The streams that are interleaved at the higher rate, each by itself. */
struct streams {
    int16_t samples[RESAMPLE_FACTOR_MAX][STREAM];
};

AVX2_INLINE void split_2(const int16_t *in, struct streams *streams, size_t at)
{
    static const int8_t apart[16] = {AT(0), AT(2), AT(4), AT(6), AT(1), AT(3), AT(5), AT(7)};
    __m256i x = reorder(load(in), apart), y = reorder(load(in + STEP), apart);
    __m256i low = _mm256_unpacklo_epi64(x, y), high = _mm256_unpackhi_epi64(x, y);
    store(streams->samples[0] + at, _mm256_permute4x64_epi64(low, 0xd8));
    store(streams->samples[1] + at, _mm256_permute4x64_epi64(high, 0xd8));
}

/* raise_3's way backwards. */
AVX2_INLINE void split_3(const int16_t *in, struct streams *streams, size_t at)
{
    static const int8_t from_0[16] = {AT(0), AT(3), AT(6), AT(1), AT(4), AT(7), AT(2), AT(5)};
    static const int8_t from_1[16] = {AT(1), AT(4), AT(7), AT(2), AT(5), AT(0), AT(3), AT(6)};
    static const int8_t from_2[16] = {AT(2), AT(5), AT(0), AT(3), AT(6), AT(1), AT(4), AT(7)};
    __m256i first = load(in), second = load(in + STEP), third = load(in + 2 * STEP);
    __m256i x = _mm256_permute2x128_si256(first, second, 0x30);
    __m256i y = _mm256_permute2x128_si256(first, third, 0x21);
    __m256i z = _mm256_permute2x128_si256(second, third, 0x30);
    __m256i a = _mm256_blend_epi16(_mm256_blend_epi16(x, y, 0x92), z, 0x24);
    __m256i b = _mm256_blend_epi16(_mm256_blend_epi16(x, y, 0x24), z, 0x49);
    __m256i c = _mm256_blend_epi16(_mm256_blend_epi16(x, y, 0x49), z, 0x92);
    store(streams->samples[0] + at, reorder(a, from_0));
    store(streams->samples[1] + at, reorder(b, from_1));
    store(streams->samples[2] + at, reorder(c, from_2));
}

/* Covers what the last, possibly partial step will read. */
AVX2_INLINE void split(const struct resample_taps *taps, const int16_t *window, size_t positions,
                       struct streams *streams)
{
    size_t needed = (positions + STEP - 1) / STEP * STEP + RESAMPLE_TAPS;
    for (size_t at = 0; at < needed; at += STEP) {
        if (taps->factor == 2)
            split_2(window + at * 2, streams, at);
        else
            split_3(window + at * 3, streams, at);
    }
}

AVX2_INLINE __m256i reduce_step(const struct resample_taps *taps, const struct streams *streams,
                                size_t at)
{
    struct sums sums = start(taps);
    const int16_t *middle = streams->samples[0] + at + RESAMPLE_MIDDLE;
    __m256i unit = _mm256_set1_epi32(taps->unit); /* a pair whose second tap is zero */
    sums.coarse_even = _mm256_madd_epi16(load(middle), unit);
    sums.coarse_odd = _mm256_madd_epi16(load(middle + 1), unit);
    for (size_t phase = 0; phase + 1 < taps->factor; phase++)
        filter(&sums, taps, phase, streams->samples[phase + 1] + at);
    return reorder(rounded(&sums, taps), natural);
}

AVX2 static void reduce(const struct resample_taps *taps, const int16_t *window, size_t positions,
                        int16_t *out)
{
    struct streams streams;
    size_t at = 0;
    split(taps, window, positions, &streams);
    for (; at + STEP <= positions; at += STEP)
        store(out + at, reduce_step(taps, &streams, at));
    if (at < positions) {
        int16_t spare[STEP];
        store(spare, reduce_step(taps, &streams, at));
        memcpy(out + at, spare, (positions - at) * sizeof out[0]);
    }
}

static bool usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}

const struct resample_kernel resample_avx2 = {"avx2", usable, raise, reduce};

#endif
