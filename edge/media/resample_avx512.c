/* The resampler's filter with AVX-512: as resample_avx2.c, which explains it, with thirty-two
 * positions a step. Only where VBMI is too (Ice Lake, Zen 4 and later): older processors slow down
 * when they meet wide registers. */
#include "edge/media/resample_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

/* The tests compile this file over an emulation of the instructions, without the attribute. */
#ifndef RESAMPLE_AVX512_TARGET
#define RESAMPLE_AVX512_TARGET __attribute__((target("avx512f,avx512bw")))
#endif
#define AVX512_INLINE RESAMPLE_AVX512_TARGET __attribute__((always_inline)) static inline
#define STEP          32
#define STREAM        (RESAMPLE_BLOCK + 2 * STEP)

/* The two sums of one phase, each for the even and for the odd positions. */
struct sums {
    __m512i fine_even, fine_odd, coarse_even, coarse_odd;
};

AVX512_INLINE __m512i load(const int16_t *samples)
{
    return _mm512_loadu_si512(samples);
}

AVX512_INLINE void store(int16_t *samples, __m512i value)
{
    _mm512_storeu_si512(samples, value);
}

AVX512_INLINE __m512i pair_of(const int16_t *taps)
{
    int32_t pair;
    memcpy(&pair, taps, sizeof pair);
    return _mm512_set1_epi32(pair);
}

AVX512_INLINE __m512i multiply_add(__m512i sum, __m512i samples, __m512i pair)
{
    return _mm512_add_epi32(sum, _mm512_madd_epi16(samples, pair));
}

AVX512_INLINE struct sums start(const struct resample_taps *taps)
{
    __m512i half = _mm512_set1_epi32(4 << taps->shift), zero = _mm512_setzero_si512();
    return (struct sums){half, half, zero, zero};
}

/* Adds all taps of one phase over its window. */
AVX512_INLINE void filter(struct sums *sums, const struct resample_taps *taps, size_t phase,
                          const int16_t *window)
{
    const int16_t *middle = window + RESAMPLE_COARSE_FIRST;
    for (size_t k = 0; k < RESAMPLE_TAPS; k += 2) {
        __m512i pair = pair_of(&taps->fine[phase][k]);
        sums->fine_even = multiply_add(sums->fine_even, load(window + k), pair);
        sums->fine_odd = multiply_add(sums->fine_odd, load(window + k + 1), pair);
    }
    for (size_t k = 0; k < RESAMPLE_COARSE_TAPS; k += 2) {
        __m512i pair = pair_of(&taps->coarse[phase][k]);
        sums->coarse_even = multiply_add(sums->coarse_even, load(middle + k), pair);
        sums->coarse_odd = multiply_add(sums->coarse_odd, load(middle + k + 1), pair);
    }
}

AVX512_INLINE __m512i add_up(__m512i fine, __m512i coarse, __m128i shift)
{
    return _mm512_sra_epi32(_mm512_add_epi32(_mm512_srai_epi32(fine, 3), coarse), shift);
}

/* Rounded and saturated; in each quarter four even positions stand before four odd ones, so that
 * position p is found at PACKED(p). */
AVX512_INLINE __m512i rounded(const struct sums *sums, const struct resample_taps *taps)
{
    __m128i shift = _mm_cvtsi32_si128(taps->shift);
    return _mm512_packs_epi32(add_up(sums->fine_even, sums->coarse_even, shift),
                              add_up(sums->fine_odd, sums->coarse_odd, shift));
}
#define PACKED(p) ((p) / 8 * 8 + (p) % 8 / 2 + (p) % 2 * 4)

/* Orders: which sample each of the 32 places takes, of two sources side by side. */
#define EIGHT(rule, i)                                                                             \
    rule((i)), rule((i) + 1), rule((i) + 2), rule((i) + 3), rule((i) + 4), rule((i) + 5),          \
        rule((i) + 6), rule((i) + 7)
#define FROM(rule, i)                                                                              \
    {                                                                                              \
        EIGHT(rule, i), EIGHT(rule, (i) + 8), EIGHT(rule, (i) + 16), EIGHT(rule, (i) + 24)         \
    }
#define BESIDE(place) (STEP + (place)) /* in the second source */

static const int16_t natural[STEP] = FROM(PACKED, 0);

/* One copied, one made: place i of the result. */
#define OF_TWO(i) ((i) % 2 == 0 ? (i) / 2 : BESIDE(PACKED((i) / 2)))
static const int16_t merge_2[2][STEP] = {FROM(OF_TWO, 0), FROM(OF_TWO, STEP)};

/* One copied, two made: the first two from two sources, then every third from one more. */
#define OF_THREE(i)  ((i) % 3 == 0 ? (i) / 3 : (i) % 3 == 1 ? BESIDE(PACKED((i) / 3)) : 0)
#define THE_THIRD(i) PACKED((i) / 3)
static const int16_t merge_3[3][STEP] = {FROM(OF_THREE, 0), FROM(OF_THREE, STEP),
                                         FROM(OF_THREE, 2 * STEP)};
static const int16_t merge_last[3][STEP] = {FROM(THE_THIRD, 0), FROM(THE_THIRD, STEP),
                                            FROM(THE_THIRD, 2 * STEP)};
static const uint32_t merge_mask[3] = {0x24924924, 0x49249249, 0x92492492}; /* i % 3 == 2 */

AVX512_INLINE void raise_2(const struct resample_taps *taps, const int16_t *window, int16_t *out)
{
    struct sums sums = start(taps);
    filter(&sums, taps, 0, window);
    __m512i copied = load(window + RESAMPLE_COPIED), made = rounded(&sums, taps);
    for (size_t v = 0; v < 2; v++)
        store(out + v * STEP, _mm512_permutex2var_epi16(copied, load(merge_2[v]), made));
}

AVX512_INLINE void raise_3(const struct resample_taps *taps, const int16_t *window, int16_t *out)
{
    struct sums first = start(taps), second = first;
    filter(&first, taps, 0, window);
    filter(&second, taps, 1, window);
    __m512i copied = load(window + RESAMPLE_COPIED);
    __m512i one = rounded(&first, taps), other = rounded(&second, taps);
    for (size_t v = 0; v < 3; v++) {
        __m512i two = _mm512_permutex2var_epi16(copied, load(merge_3[v]), one);
        store(out + v * STEP,
              _mm512_mask_permutexvar_epi16(two, merge_mask[v], load(merge_last[v]), other));
    }
}

AVX512_INLINE void raise_step(const struct resample_taps *taps, const int16_t *window, int16_t *out)
{
    if (taps->factor == 2)
        raise_2(taps, window, out);
    else
        raise_3(taps, window, out);
}

/* Full steps go straight to out; what is left over is made in a spare step and copied. */
RESAMPLE_AVX512_TARGET static void raise(const struct resample_taps *taps, const int16_t *window,
                                         size_t positions, int16_t *out)
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

#define EVEN(i) (2 * (i))
#define ODD(i)  (2 * (i) + 1)
static const int16_t apart_2[2][STEP] = {FROM(EVEN, 0), FROM(ODD, 0)};

AVX512_INLINE void split_2(const int16_t *in, struct streams *streams, size_t at)
{
    __m512i first = load(in), second = load(in + STEP);
    for (size_t s = 0; s < 2; s++)
        store(streams->samples[s] + at, _mm512_permutex2var_epi16(first, load(apart_2[s]), second));
}

/* Every third sample of 96: what lies beyond 64 comes from the third source. */
#define THIRD_0(i) (3 * (i) % 64)
#define THIRD_1(i) ((3 * (i) + 1) % 64)
#define THIRD_2(i) ((3 * (i) + 2) % 64)
static const int16_t apart_3[3][STEP] = {FROM(THIRD_0, 0), FROM(THIRD_1, 0), FROM(THIRD_2, 0)};
static const uint32_t apart_mask[3] = {0xffc00000, 0xffe00000, 0xffe00000}; /* 3 i + s >= 64 */

AVX512_INLINE void split_3(const int16_t *in, struct streams *streams, size_t at)
{
    __m512i first = load(in), second = load(in + STEP), third = load(in + 2 * STEP);
    for (size_t s = 0; s < 3; s++) {
        __m512i order = load(apart_3[s]);
        __m512i two = _mm512_permutex2var_epi16(first, order, second);
        store(streams->samples[s] + at,
              _mm512_mask_permutexvar_epi16(two, apart_mask[s], order, third));
    }
}

/* Covers what the last, possibly partial step will read. */
AVX512_INLINE void split(const struct resample_taps *taps, const int16_t *window, size_t positions,
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

AVX512_INLINE __m512i reduce_step(const struct resample_taps *taps, const struct streams *streams,
                                  size_t at)
{
    struct sums sums = start(taps);
    const int16_t *middle = streams->samples[0] + at + RESAMPLE_MIDDLE;
    __m512i unit = _mm512_set1_epi32(taps->unit); /* a pair whose second tap is zero */
    sums.coarse_even = _mm512_madd_epi16(load(middle), unit);
    sums.coarse_odd = _mm512_madd_epi16(load(middle + 1), unit);
    for (size_t phase = 0; phase + 1 < taps->factor; phase++)
        filter(&sums, taps, phase, streams->samples[phase + 1] + at);
    return _mm512_permutexvar_epi16(load(natural), rounded(&sums, taps));
}

RESAMPLE_AVX512_TARGET static void reduce(const struct resample_taps *taps, const int16_t *window,
                                          size_t positions, int16_t *out)
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
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi");
}

const struct resample_kernel resample_avx512 = {"avx512", usable, raise, reduce};

#endif
