/* carrier_wav: sound files in and out.
 *
 * What it is: reads RIFF/WAVE of PCM16 (any rate, any number of channels, mixed to one) and mu-law
 * 8 kHz into telephone mu-law; writes mu-law files, so that what was heard is kept bit for bit.
 * Owner: results are malloc'ed, the caller's. Thread: any. Bound: CARRIER_WAV_BYTES_MAX. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_WAV_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_WAV_H

#include "common/span.h"

#define CARRIER_WAV_BYTES_MAX (64u << 20)

/* Turns a whole file's bytes into mu-law. NULL with *why set (constant text). mu-law at 8 kHz and
 * one channel comes through untouched. */
uint8_t *carrier_wav_read(struct span file, size_t *bytes, const char **why);

/* The same from a file by name. */
uint8_t *carrier_wav_load(const char *path, size_t *bytes, const char **why);

/* Writes a mono 8 kHz mu-law file. False: errno says why. */
bool carrier_wav_save(const char *path, const uint8_t *codes, size_t bytes);

/* The same with two channels of so many samples each. */
bool carrier_wav_save_stereo(const char *path, const uint8_t *left, const uint8_t *right,
                             size_t samples);

#endif
