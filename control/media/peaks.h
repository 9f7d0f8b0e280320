/* peaks: how loud each track was, small enough to draw: at most PEAKS_MAX buckets for any length.
 *
 * What it is: the largest absolute sample of each track per bucket, 0 to 255. Buckets begin at
 * PEAKS_MS and double when there is no room, so that memory is fixed. Owner: the caller, by value.
 * Thread: the caller's. */
#ifndef RINGBRIDGE_CONTROL_MEDIA_PEAKS_H
#define RINGBRIDGE_CONTROL_MEDIA_PEAKS_H

#include <stddef.h>
#include <stdint.h>

#define PEAKS_MAX 1024 /* even */
#define PEAKS_MS  20

struct peaks {
    uint8_t peaks[PEAKS_MAX][2]; /* caller, agent */
    size_t count;                /* buckets begun */
    uint32_t bucket_samples, filled_samples;
    unsigned rate_hz;
};

void peaks_open(struct peaks *peaks, unsigned rate_hz);

/* frames: left and right in turn. */
void peaks_add(struct peaks *peaks, const int16_t *frames, size_t count);

/* How long one bucket is. */
unsigned peaks_bucket_ms(const struct peaks *peaks);

#endif
