/* resample: 8 kHz to 16 or 24 kHz and back, polyphase FIR with its history across chunks.
 *
 * What it is: the same output whatever the chunking, so no clicks at frame borders. What it is not:
 * a general converter; only these four ratios exist.
 *
 * The filter is a sinc with a Kaiser window, 20 samples of 8 kHz to either side: flat to 0.001 dB
 * up to 3.4 kHz, at least 90 dB down from 4.6 kHz on, and half way down at 4 kHz, which is what
 * makes it a Nyquist filter: raising copies the samples it was given and computes only those
 * between. Delay 2.5 ms raising, 2.375 ms reducing. resample_design.c makes the taps and says more.
 *
 * All in integers with one rounding per sample, so that every kernel gives the same bits; a sum
 * that leaves 16 bits is held at their end (saturates) and cannot wrap.
 *
 * Owner: the caller places struct resample (in a call's slot); it allocates nothing. Thread: one at
 * a time per struct. Bound: RESAMPLE_CHUNK_SAMPLES_MAX input samples a run. */
#ifndef RINGBRIDGE_EDGE_MEDIA_RESAMPLE_H
#define RINGBRIDGE_EDGE_MEDIA_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

enum resample_ratio { RESAMPLE_8_TO_16, RESAMPLE_8_TO_24, RESAMPLE_16_TO_8, RESAMPLE_24_TO_8 };

#define RESAMPLE_HISTORY_SAMPLES   119 /* private: 39 of 8 kHz at the higher rate, two in waiting */
#define RESAMPLE_CHUNK_SAMPLES_MAX 49152

struct resample { /* private, but for its size */
    uint8_t ratio;
    uint8_t pending; /* input samples taken towards the next output, when reducing */
    int16_t history[RESAMPLE_HISTORY_SAMPLES];
};

/* Clears the state: as if silence had gone before. */
void resample_open(struct resample *resample, enum resample_ratio ratio);

/* Exactly how many samples resample_run will write for so many input samples. */
size_t resample_out_max(const struct resample *resample, size_t samples);

/* Takes all of in, writes to out (room for resample_out_max), returns samples written. in and out
 * may not overlap. Rounds to nearest and saturates. */
size_t resample_run(struct resample *resample, const int16_t *in, size_t samples, int16_t *out);

/* Delay in output samples of the filter (constant per ratio): output n answers the input's moment
 * n minus this. */
size_t resample_delay_samples(enum resample_ratio ratio);

#endif
