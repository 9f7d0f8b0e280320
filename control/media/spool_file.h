/* spool_file: reads a recording that an edge has left (common/spool_format.h) as sound.
 *
 * What it is: blocks in, PCM in stereo out, with silence where nothing was kept. What it is not:
 * trusting: a block that is not of the same stream as the first ends it. Owner: the caller.
 * Thread: one at a time. Bound: SPOOL_FILE_GAP_SAMPLES of silence between two blocks. */
#ifndef RINGBRIDGE_CONTROL_MEDIA_SPOOL_FILE_H
#define RINGBRIDGE_CONTROL_MEDIA_SPOOL_FILE_H

#include "common/spool_format.h"

#define SPOOL_FILE_FRAMES_MAX  SPOOL_BLOCK_SAMPLES
#define SPOOL_FILE_GAP_SAMPLES (UINT64_C(86400) * SPOOL_RATE_HZ)

enum spool_file_found {
    SPOOL_FILE_OPENED,
    SPOOL_FILE_MISSING, /* there is no such file here */
    SPOOL_FILE_BUSY,    /* its edge is still at it */
    SPOOL_FILE_EMPTY,   /* no block in it holds: nothing was kept */
    SPOOL_FILE_FAILED   /* errno says why */
};

struct spool_file;

/* Opens directory/name and locks it; name must be valid (assert). *file is set with OPENED only. */
enum spool_file_found spool_file_open(const char *directory, const char *name,
                                      struct spool_file **file);
void spool_file_close(struct spool_file *file);

/* Whose it is, from its first block. */
const struct spool_head *spool_file_head(const struct spool_file *file);

/* The next frames, left caller, right agent; at most SPOOL_FILE_FRAMES_MAX. 0: that was all. */
size_t spool_file_read(struct spool_file *file, int16_t frames[2 * SPOOL_FILE_FRAMES_MAX]);

/* Samples of silence that stand for what was lost. */
uint64_t spool_file_lost(const struct spool_file *file);

#endif
