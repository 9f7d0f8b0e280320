/* resample: 8 kHz to 16 or 24 kHz and back, polyphase FIR with its history across chunks.
 *
 * What it is: the same output whatever the chunking, so no clicks at frame borders. What it is not:
 * a general converter; only these four ratios exist. Speech band flat to 3.4 kHz, images and
 * aliases at least 90 dB down outside 4.6 kHz, group delay under 3 ms per direction. Owner: the
 * caller places struct resample (in a call's slot); it allocates nothing. Thread: one at a time per
 * struct. Bound: RESAMPLE_CHUNK_SAMPLES_MAX input samples a run. */
#ifndef RINGBRIDGE_EDGE_MEDIA_RESAMPLE_H
#define RINGBRIDGE_EDGE_MEDIA_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

enum resample_ratio { RESAMPLE_8_TO_16, RESAMPLE_8_TO_24, RESAMPLE_16_TO_8, RESAMPLE_24_TO_8 };

#define RESAMPLE_HISTORY_SAMPLES   160 /* private: longest filter at the higher rate, less one */
#define RESAMPLE_CHUNK_SAMPLES_MAX 49152

struct resample {
    enum resample_ratio ratio;
    uint8_t phase; /* input samples already taken towards the next output, when reducing */
    uint16_t filled;
    int16_t history[RESAMPLE_HISTORY_SAMPLES];
};

/* Clears the state: as if silence had gone before. */
void resample_open(struct resample *resample, enum resample_ratio ratio);

/* Most samples that resample_run may write for so many input samples. */
size_t resample_out_max(const struct resample *resample, size_t samples);

/* Takes all of in, writes to out (room for resample_out_max), returns samples written. in and out
 * may not overlap. Rounds to nearest and saturates. */
size_t resample_run(struct resample *resample, const int16_t *in, size_t samples, int16_t *out);

/* Delay in output samples of the filter (constant per ratio): output n answers input n minus this.
 */
size_t resample_delay_samples(enum resample_ratio ratio);

#endif
