/* carrier_audio: the telephone's sound, by formula: mu-law, and any rate to 8 kHz.
 *
 * What it is: G.711's mu-law computed from its definition and a windowed-sinc resampler in double
 * precision over a whole recording. Slow and plain on purpose: it is an oracle for edge/media and
 * shares nothing with it. Pure. Thread: any. Bound: the caller's counts. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_AUDIO_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_AUDIO_H

#include <stddef.h>
#include <stdint.h>

#define CARRIER_RATE         8000
#define CARRIER_BYTES_PER_MS 8
#define CARRIER_FRAME_MS     20
#define CARRIER_FRAME_BYTES  160
#define CARRIER_SILENCE      0xff

uint8_t carrier_audio_encode(int16_t sample);
int16_t carrier_audio_decode(uint8_t code);

/* samples at rate Hz to mu-law at 8 kHz; returns a malloc'ed array (NULL: no memory or a rate
 * outside 1 to 384 kHz) and its length. */
uint8_t *carrier_audio_to_telephone(const int16_t *samples, size_t count, unsigned rate,
                                    size_t *bytes);

/* Loudness of mu-law in decibels below full scale, for showing who speaks; -99 for silence. */
double carrier_audio_level_db(const uint8_t *codes, size_t count);

#endif
