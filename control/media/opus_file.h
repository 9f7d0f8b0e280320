/* opus_file: an Ogg Opus file, written while the sound comes.
 *
 * What it is: the only includer of libopusenc; stereo, caller left, agent right. What it is not: a
 * reader of recordings (recording_spool) or a place to keep files (media_dir). Owner: the caller.
 * Thread: one at a time. Bound: what is written; errors are kept and told at the end. */
#ifndef RINGBRIDGE_CONTROL_MEDIA_OPUS_FILE_H
#define RINGBRIDGE_CONTROL_MEDIA_OPUS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPUS_FILE_CHANNELS   2
#define OPUS_FILE_HASH_BYTES 32

struct opus_file_facts {
    uint64_t bytes;
    uint8_t sha256[OPUS_FILE_HASH_BYTES];
};

struct opus_file;

/* Creates path (0600; what was there is written over) for sound of this rate. NULL with a sentence
 * in error. */
struct opus_file *opus_file_create(const char *path, unsigned rate_hz, unsigned kbps, char *error,
                                   size_t room);

/* frames: left and right in turn. */
void opus_file_write(struct opus_file *file, const int16_t *frames, size_t count);

/* Ends the file at exactly the sample that was written last and brings it to the disk. False with a
 * sentence in error; the file is freed in any case, what is on the disk stays. */
bool opus_file_finish(struct opus_file *file, struct opus_file_facts *facts, char *error,
                      size_t room);

#endif
