/* resample_kernels: the filter's loops behind resample.c, one set per kind of processor, and the
 * taps they share. Private: included by resample*.c, their tests, their fuzzer and the micro
 * benchmark.
 *
 * Time is counted in samples of 8 kHz. A window is what an output may look at: RESAMPLE_TAPS of
 * them (times the factor, when reducing). Each tap is coarse / 2^shift + fine / 2^(shift + 3): the
 * few large taps in the middle need both parts to be exact enough, all others have the fine part
 * only. The two sums are kept apart, because either fits 32 bits for every input and the sum of
 * products at full precision would not:
 *      fine   = half + sum of fine[k] * window[k]        half: a half of the output's last bit
 *      coarse =        sum of coarse[k] * window[k]      (times unit for the middle, when reducing)
 *      output = saturate(((fine >> 3) + coarse) >> shift)
 * Kernels do exactly this, in any order, so all give the same bits. Thread: any; constant data. */
#ifndef RINGBRIDGE_EDGE_MEDIA_RESAMPLE_KERNELS_H
#define RINGBRIDGE_EDGE_MEDIA_RESAMPLE_KERNELS_H

#include "edge/media/resample.h"

#include <stdbool.h>

#define RESAMPLE_RATIOS       4
#define RESAMPLE_FACTOR_MAX   3
#define RESAMPLE_TAPS         40
#define RESAMPLE_COARSE_FIRST 16 /* the first tap with a coarse part */
#define RESAMPLE_COARSE_TAPS  8
#define RESAMPLE_COPIED       19  /* where in its window the sample stands that raising copies */
#define RESAMPLE_MIDDLE       20  /* where in its window the middle stands, reducing */
#define RESAMPLE_BLOCK        320 /* most positions a kernel is given at once */
#define RESAMPLE_SLACK        192 /* readable samples that must follow a window; their value is free */

struct resample_taps {
    uint8_t factor;  /* 2 or 3 */
    uint8_t raises;  /* else reduces */
    uint8_t in_step; /* input samples per position: 1 raising, factor reducing */
    uint8_t shift;   /* 14 raising, 15 reducing */
    int16_t unit;    /* the weight of the middle when reducing: 2^shift / factor, rounded */
    int16_t delay;   /* in output samples */
    int16_t fine[RESAMPLE_FACTOR_MAX - 1][RESAMPLE_TAPS]; /* by phase, less one */
    int16_t coarse[RESAMPLE_FACTOR_MAX - 1][RESAMPLE_COARSE_TAPS];
};

/* By enum resample_ratio. In resample_taps.c, which resample_design writes. */
extern const struct resample_taps resample_taps[RESAMPLE_RATIOS];

struct resample_kernel {
    const char *name;
    bool (*usable)(void); /* does this processor have the instructions? */

    /* Raising: window holds positions + RESAMPLE_TAPS - 1 samples, out takes factor * positions:
     * for each position the copied sample and the factor - 1 between it and the next. */
    void (*raise)(const struct resample_taps *taps, const int16_t *window, size_t positions,
                  int16_t *out);

    /* Reducing: window holds factor * (positions + RESAMPLE_TAPS - 1) samples, out takes positions.
     */
    void (*reduce)(const struct resample_taps *taps, const int16_t *window, size_t positions,
                   int16_t *out);
};

extern const struct resample_kernel resample_plain;
#if defined(__x86_64__)
extern const struct resample_kernel resample_avx2;
extern const struct resample_kernel resample_avx512; /* where VBMI is: Ice Lake, Zen 4 and later */
#endif

/* Every kernel built for this machine, best first, usable or not; NULL ends it. */
extern const struct resample_kernel *const resample_kernels[];

/* The test's door: from now on the public functions use this kernel. Not for use while another
 * thread is inside resample. */
void resample_use(const struct resample_kernel *kernel);
const struct resample_kernel *resample_used(void);

#endif
