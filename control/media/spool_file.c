#include "control/media/spool_file.h"

#include "common/panic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

struct spool_file {
    int fd;
    struct spool_head first, head; /* of the stream; of the block in hand */
    bool has_block;
    uint64_t at_sample, lost_samples;
    uint8_t block[SPOOL_BLOCK_BYTES];
};

/* ITU-T G.711, mu-law. */
static int16_t expand(uint8_t code)
{
    code = (uint8_t)~code;
    int magnitude = (((code & 0x0f) << 3) + 0x84) << ((code & 0x70) >> 4);
    return (int16_t)(code & 0x80 ? 0x84 - magnitude : magnitude - 0x84);
}

static bool same_stream(const struct spool_head *a, const struct spool_head *b)
{
    return a->started_at_ms == b->started_at_ms && memcmp(a->call, b->call, sizeof a->call) == 0 &&
           memcmp(a->organization, b->organization, sizeof a->organization) == 0;
}

static bool read_whole(struct spool_file *file)
{
    size_t bytes = 0;
    while (bytes < sizeof file->block) {
        ssize_t taken = read(file->fd, file->block + bytes, sizeof file->block - bytes);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken <= 0)
            return false;
        bytes += (size_t)taken;
    }
    return true;
}

/* Takes the next block in hand. What does not go on from here is not part of the recording. */
static void next_block(struct spool_file *file)
{
    const struct spool_head *head = &file->head;
    file->has_block = read_whole(file) &&
                      spool_head_read(span_from(file->block, SPOOL_HEAD_BYTES), &file->head) &&
                      head->first_sample >= file->at_sample &&
                      head->first_sample - file->at_sample <= SPOOL_FILE_GAP_SAMPLES;
}

static enum spool_file_found open_locked(const char *path, int *fd)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0)
        return errno == ENOENT ? SPOOL_FILE_MISSING : SPOOL_FILE_FAILED;
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return SPOOL_FILE_OPENED;
    int why = errno;
    close(*fd);
    errno = why;
    return why == EWOULDBLOCK ? SPOOL_FILE_BUSY : SPOOL_FILE_FAILED;
}

enum spool_file_found spool_file_open(const char *directory, const char *name,
                                      struct spool_file **file)
{
    char path[4096];
    int fd;
    assert(spool_name_valid(span_of(name)));
    snprintf(path, sizeof path, "%s/%s", directory, name);
    enum spool_file_found found = open_locked(path, &fd);
    if (found != SPOOL_FILE_OPENED)
        return found;
    struct spool_file *made = calloc(1, sizeof *made);
    if (!made) {
        close(fd);
        errno = ENOMEM;
        return SPOOL_FILE_FAILED;
    }
    made->fd = fd;
    next_block(made);
    made->first = made->head;
    if (!made->has_block) {
        spool_file_close(made);
        return SPOOL_FILE_EMPTY;
    }
    *file = made;
    return SPOOL_FILE_OPENED;
}

void spool_file_close(struct spool_file *file)
{
    if (file) {
        close(file->fd);
        free(file);
    }
}

const struct spool_head *spool_file_head(const struct spool_file *file)
{
    return &file->first;
}

uint64_t spool_file_lost(const struct spool_file *file)
{
    return file->lost_samples;
}

static size_t read_silence(struct spool_file *file, int16_t *frames)
{
    uint64_t gap = file->head.first_sample - file->at_sample;
    size_t count = gap < SPOOL_FILE_FRAMES_MAX ? (size_t)gap : SPOOL_FILE_FRAMES_MAX;
    memset(frames, 0, count * 2 * sizeof frames[0]);
    file->at_sample += count;
    file->lost_samples += count;
    return count;
}

static size_t read_block(struct spool_file *file, int16_t *frames)
{
    const uint8_t *caller = file->block + SPOOL_HEAD_BYTES, *agent = caller + SPOOL_BLOCK_SAMPLES;
    bool silent = file->head.flags & SPOOL_PAUSED;
    size_t count = file->head.samples;
    for (size_t i = 0; i < count; i++) {
        frames[2 * i] = silent ? 0 : expand(caller[i]);
        frames[2 * i + 1] = silent ? 0 : expand(agent[i]);
    }
    file->at_sample += count;
    return count;
}

size_t spool_file_read(struct spool_file *file, int16_t frames[2 * SPOOL_FILE_FRAMES_MAX])
{
    size_t count = 0;
    while (count == 0 && file->has_block && same_stream(&file->first, &file->head)) {
        if (file->head.first_sample > file->at_sample)
            return read_silence(file, frames);
        count = read_block(file, frames);
        next_block(file);
    }
    return count;
}
