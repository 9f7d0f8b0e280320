/* The resampler's filter in plain C: what every machine can run, and what the other kernels are
 * judged by. */
#include "edge/media/resample_kernels.h"

static bool always(void)
{
    return true;
}

static int16_t saturate(int32_t value)
{
    return (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
}

/* Both sums over one window, whose samples stand in_step apart. */
static void add_taps(const struct resample_taps *taps, size_t phase, const int16_t *window,
                     int32_t *fine, int32_t *coarse)
{
    size_t step = taps->in_step;
    const int16_t *middle = window + RESAMPLE_COARSE_FIRST * step;
    for (size_t k = 0; k < RESAMPLE_TAPS; k++)
        *fine += taps->fine[phase][k] * window[k * step];
    for (size_t k = 0; k < RESAMPLE_COARSE_TAPS; k++)
        *coarse += taps->coarse[phase][k] * middle[k * step];
}

static int16_t round_sums(const struct resample_taps *taps, int32_t fine, int32_t coarse)
{
    return saturate(((fine >> 3) + coarse) >> taps->shift);
}

static void raise(const struct resample_taps *taps, const int16_t *window, size_t positions,
                  int16_t *out)
{
    for (; positions > 0; positions--, window++) {
        *out++ = window[RESAMPLE_COPIED];
        for (size_t phase = 0; phase + 1 < taps->factor; phase++) {
            int32_t fine = 4 << taps->shift, coarse = 0;
            add_taps(taps, phase, window, &fine, &coarse);
            *out++ = round_sums(taps, fine, coarse);
        }
    }
}

static void reduce(const struct resample_taps *taps, const int16_t *window, size_t positions,
                   int16_t *out)
{
    for (; positions > 0; positions--, window += taps->factor) {
        int32_t fine = 4 << taps->shift;
        int32_t coarse = taps->unit * window[RESAMPLE_MIDDLE * taps->factor];
        for (size_t phase = 0; phase + 1 < taps->factor; phase++)
            add_taps(taps, phase, window + phase + 1, &fine, &coarse);
        *out++ = round_sums(taps, fine, coarse);
    }
}

const struct resample_kernel resample_plain = {"plain", always, raise, reduce};
