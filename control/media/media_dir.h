/* media_dir: where the files of recordings are: DIR/<organization>/<2 digits of id>/<id>.opus,
 * or .wav, and .part behind that while one is being written.
 *
 * What it is: names, private directories (0700), and making a finished file appear whole under its
 * name. What it is not: what is in the files. Thread: any. */
#ifndef RINGBRIDGE_CONTROL_MEDIA_MEDIA_DIR_H
#define RINGBRIDGE_CONTROL_MEDIA_MEDIA_DIR_H

#include "control/base/uuid.h"

#include <stdbool.h>
#include <stddef.h>

#define MEDIA_DIR_PATH_BYTES    4096
#define MEDIA_DIR_NAME_BYTES    128
#define MEDIA_DIR_EXTENSION_MAX 8

struct media_path {
    char name[MEDIA_DIR_NAME_BYTES]; /* as the database has it: relative */
    char path[MEDIA_DIR_PATH_BYTES];
    char part[MEDIA_DIR_PATH_BYTES]; /* while it is being written */
};

/* Names the file and makes its directories. False with a sentence in error. */
bool media_dir_place(const char *directory, const char *organization, const char *id,
                     const char *extension, struct media_path *place, char *error, size_t room);

/* Is it a name of ours (of a file or of its part) of this organisation? Then id is the recording's,
 * and the job's that makes it. */
bool media_dir_read(const char *name, const char *organization, char id[UUID_TEXT_BYTES + 1]);

/* What stands at part appears at path, for good: renamed, and the directory brought to the disk. */
bool media_dir_keep(const struct media_path *place, char *error, size_t room);

#endif
