/* wav_file: reads a WAV file as sound, and says whether it is one at all.
 *
 * What it is: the check that a fetched recording is what it should be, by its bytes and not by what
 * a header says of it; then stereo frames, a single channel on both sides. Taken is PCM of 16 bits,
 * one or two channels, 8 to 48 kHz, as the carrier records. What it is not: a player. Hostile
 * input: every size is compared with the file's. Owner: the caller. Thread: one at a time. Bound:
 * WAV_FILE_CHUNKS_MAX chunks before the sound. */
#ifndef RINGBRIDGE_CONTROL_MEDIA_WAV_FILE_H
#define RINGBRIDGE_CONTROL_MEDIA_WAV_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define WAV_FILE_FRAMES_MAX 4096
#define WAV_FILE_CHUNKS_MAX 64

enum wav_file_found {
    WAV_FILE_OPENED,
    WAV_FILE_OTHER,     /* something else, or WAV that is not taken: never */
    WAV_FILE_TRUNCATED, /* it begins as one, and ends too early: fetch it again */
    WAV_FILE_EMPTY      /* whole, and without a sample */
};

struct wav_file {
    FILE *file; /* private from here on */
    unsigned rate_hz, channels;
    uint64_t frames, read_frames;
};

/* Reads the head of file (bytes long, at its start), which stays the caller's. */
enum wav_file_found wav_file_open(struct wav_file *wav, FILE *file, uint64_t bytes);

/* The next frames, left and right in turn; at most WAV_FILE_FRAMES_MAX. 0: that was all; or it
 * could not be read: then read_frames is less than frames. */
size_t wav_file_read(struct wav_file *wav, int16_t frames[2 * WAV_FILE_FRAMES_MAX]);

#endif
