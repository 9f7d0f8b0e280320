#include "control/media/peaks.h"

#include "common/panic.h"

#include <stdlib.h>
#include <string.h>

void peaks_open(struct peaks *peaks, unsigned rate_hz)
{
    assert(rate_hz % (1000 / PEAKS_MS) == 0);
    *peaks = (struct peaks){.bucket_samples = rate_hz * PEAKS_MS / 1000, .rate_hz = rate_hz};
}

static uint8_t larger(uint8_t a, uint8_t b)
{
    return a > b ? a : b;
}

/* Two buckets become one. */
static void halve(struct peaks *peaks)
{
    assert(peaks->count == PEAKS_MAX);
    for (size_t i = 0; i < PEAKS_MAX / 2; i++)
        for (size_t track = 0; track < 2; track++)
            peaks->peaks[i][track] =
                larger(peaks->peaks[2 * i][track], peaks->peaks[2 * i + 1][track]);
    memset(peaks->peaks[PEAKS_MAX / 2], 0, sizeof peaks->peaks / 2);
    peaks->count = PEAKS_MAX / 2;
    peaks->bucket_samples *= 2;
}

static void begin_bucket(struct peaks *peaks)
{
    if (peaks->count == PEAKS_MAX)
        halve(peaks);
    peaks->count++;
    peaks->filled_samples = 0;
}

void peaks_add(struct peaks *peaks, const int16_t *frames, size_t count)
{
    for (size_t i = 0; i < count; i++, peaks->filled_samples++) {
        if (peaks->count == 0 || peaks->filled_samples == peaks->bucket_samples)
            begin_bucket(peaks);
        uint8_t *bucket = peaks->peaks[peaks->count - 1];
        for (size_t track = 0; track < 2; track++)
            bucket[track] =
                larger(bucket[track], (uint8_t)(abs(frames[2 * i + track]) * 255 / 32768));
    }
}

unsigned peaks_bucket_ms(const struct peaks *peaks)
{
    return peaks->bucket_samples * 1000 / peaks->rate_hz;
}
