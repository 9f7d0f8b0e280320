#include "edge/media/resample.h"

#include "common/panic.h"
#include "edge/media/resample_kernels.h"

#include <string.h>

const struct resample_kernel *const resample_kernels[] = {
#if defined(__x86_64__)
    &resample_avx512,
    &resample_avx2,
#endif
    &resample_plain,
    NULL,
};

/* Set once, before main and so before any thread; read-only from then on. */
static const struct resample_kernel *kernel = &resample_plain;

__attribute__((constructor)) static void choose_kernel(void)
{
    const struct resample_kernel *const *best = resample_kernels;
    while (!(*best)->usable())
        best++;
    kernel = *best;
}

void resample_use(const struct resample_kernel *wanted)
{
    assert(wanted);
    kernel = wanted;
}

const struct resample_kernel *resample_used(void)
{
    return kernel;
}

static const struct resample_taps *taps_of(const struct resample *resample)
{
    assert(resample->ratio < RESAMPLE_RATIOS);
    return &resample_taps[resample->ratio];
}

/* What every position still needs of the past: a window less one position. */
static size_t past_samples(const struct resample_taps *taps)
{
    return (size_t)taps->in_step * (RESAMPLE_TAPS - 1);
}

void resample_open(struct resample *resample, enum resample_ratio ratio)
{
    assert((unsigned)ratio < RESAMPLE_RATIOS);
    *resample = (struct resample){.ratio = (uint8_t)ratio};
    assert(past_samples(taps_of(resample)) + taps_of(resample)->in_step - 1 <=
           RESAMPLE_HISTORY_SAMPLES);
}

size_t resample_out_max(const struct resample *resample, size_t samples)
{
    const struct resample_taps *taps = taps_of(resample);
    size_t positions = (resample->pending + samples) / taps->in_step;
    return taps->raises ? positions * taps->factor : positions;
}

size_t resample_delay_samples(enum resample_ratio ratio)
{
    assert((unsigned)ratio < RESAMPLE_RATIOS);
    return (size_t)resample_taps[ratio].delay;
}

/* Past and present side by side, filter, and the end of it is the next block's past. Returns the
 * samples written. */
static size_t run_block(struct resample *resample, const int16_t *in, size_t samples, int16_t *out)
{
    const struct resample_taps *taps = taps_of(resample);
    int16_t
        window[RESAMPLE_HISTORY_SAMPLES + RESAMPLE_BLOCK * RESAMPLE_FACTOR_MAX + RESAMPLE_SLACK];
    size_t past = past_samples(taps) + resample->pending;
    size_t taken = resample->pending + samples;
    size_t positions = taken / taps->in_step;
    assert(past <= RESAMPLE_HISTORY_SAMPLES && positions <= RESAMPLE_BLOCK);

    memcpy(window, resample->history, past * sizeof window[0]);
    memcpy(window + past, in, samples * sizeof window[0]);
    memset(window + past + samples, 0, RESAMPLE_SLACK * sizeof window[0]);
    if (taps->raises)
        kernel->raise(taps, window, positions, out);
    else
        kernel->reduce(taps, window, positions, out);

    resample->pending = (uint8_t)(taken % taps->in_step);
    memcpy(resample->history, window + positions * taps->in_step,
           (past_samples(taps) + resample->pending) * sizeof window[0]);
    return taps->raises ? positions * taps->factor : positions;
}

size_t resample_run(struct resample *resample, const int16_t *in, size_t samples, int16_t *out)
{
    assert(samples <= RESAMPLE_CHUNK_SAMPLES_MAX);
    size_t written = 0, expected = resample_out_max(resample, samples);
    size_t block_max = (size_t)RESAMPLE_BLOCK * taps_of(resample)->in_step;
    while (samples > 0) {
        size_t block = block_max - resample->pending;
        if (block > samples)
            block = samples;
        written += run_block(resample, in, block, out + written);
        in += block;
        samples -= block;
    }
    assert(written == expected);
    return written;
}
