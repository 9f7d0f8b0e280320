/* The resampler's filter in plain C: what every machine can run, and what the other kernels are
 * judged by. Written so that compilers find the dot products: samples of one stream side by side,
 * counts known, sums in variables of their own. */
#include "edge/media/resample_kernels.h"

#define STREAM (RESAMPLE_BLOCK + RESAMPLE_TAPS - 1)

static bool always(void)
{
    return true;
}

static int32_t dot_fine(const int16_t *taps, const int16_t *samples)
{
    int32_t sum = 0;
    for (size_t k = 0; k < RESAMPLE_TAPS; k++)
        sum += taps[k] * samples[k];
    return sum;
}

static int32_t dot_coarse(const int16_t *taps, const int16_t *samples)
{
    int32_t sum = 0;
    for (size_t k = 0; k < RESAMPLE_COARSE_TAPS; k++)
        sum += taps[k] * samples[RESAMPLE_COARSE_FIRST + k];
    return sum;
}

static int16_t round_sums(const struct resample_taps *taps, int32_t fine, int32_t coarse)
{
    int32_t value = ((fine >> 3) + coarse) >> taps->shift;
    return (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
}

static void raise(const struct resample_taps *taps, const int16_t *window, size_t positions,
                  int16_t *out)
{
    size_t phases = taps->factor - 1u;
    int32_t half = 4 << taps->shift;
    for (; positions > 0; positions--, window++) {
        *out++ = window[RESAMPLE_COPIED];
        for (size_t phase = 0; phase < phases; phase++) {
            int32_t fine = half + dot_fine(taps->fine[phase], window);
            *out++ = round_sums(taps, fine, dot_coarse(taps->coarse[phase], window));
        }
    }
}

static void split(const int16_t *window, size_t factor, size_t count, int16_t *stream)
{
    for (size_t i = 0; i < count; i++)
        stream[i] = window[i * factor];
}

static void reduce(const struct resample_taps *taps, const int16_t *window, size_t positions,
                   int16_t *out)
{
    int16_t streams[RESAMPLE_FACTOR_MAX - 1][STREAM];
    size_t phases = taps->factor - 1u;
    int32_t half = 4 << taps->shift;
    for (size_t phase = 0; phase < phases; phase++)
        split(window + phase + 1, taps->factor, positions + RESAMPLE_TAPS - 1, streams[phase]);
    for (size_t i = 0; i < positions; i++) {
        int32_t fine = half;
        int32_t coarse = taps->unit * window[(RESAMPLE_MIDDLE + i) * taps->factor];
        for (size_t phase = 0; phase < phases; phase++) {
            fine += dot_fine(taps->fine[phase], streams[phase] + i);
            coarse += dot_coarse(taps->coarse[phase], streams[phase] + i);
        }
        *out++ = round_sums(taps, fine, coarse);
    }
}

const struct resample_kernel resample_plain = {"plain", always, raise, reduce};
