#include "control/link/journal.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct journal {
    char directory[400];
    int file;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool woken;
    uint64_t read_at;                /* what is before it is on record */
    atomic_uint_fast64_t end, count; /* the file's bytes; how many wait */
};

/* ---- reading ---- */

static bool read_at(int file, uint8_t *data, size_t bytes, uint64_t at)
{
    while (bytes > 0) {
        ssize_t got = pread(file, data, bytes, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        data += got;
        at += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return true;
}

/* A whole record at this place; false: there is none. */
static bool read_record(int file, uint64_t at, struct link_frame *frame, uint8_t **block)
{
    uint8_t header[LINK_HEADER_BYTES];
    size_t bytes, used;
    if (!read_at(file, header, sizeof header, at) ||
        link_decode(span_from(header, sizeof header), frame, &bytes) == LINK_BAD)
        return false;
    *block = malloc(bytes);
    if (*block && read_at(file, *block, bytes, at) &&
        link_decode(span_from(*block, bytes), frame, &used) == LINK_DONE)
        return true;
    free(*block);
    *block = NULL;
    return false;
}

static uint64_t frame_bytes(const struct link_frame *frame)
{
    return LINK_HEADER_BYTES + frame->json.bytes + frame->raw.bytes;
}

/* What a crash left half written goes; what is whole waits. */
static void look_through(struct journal *journal)
{
    struct link_frame frame;
    uint8_t *block;
    uint64_t end = 0;
    unsigned records = 0;
    struct stat status;
    for (; read_record(journal->file, end, &frame, &block); records++) {
        end += frame_bytes(&frame);
        free(block);
    }
    if (fstat(journal->file, &status) == 0 && (uint64_t)status.st_size > end) {
        log_warn("the journal's end was not whole",
                 log_number("bytes", status.st_size - (off_t)end));
        if (ftruncate(journal->file, (off_t)end) != 0)
            log_error("the journal cannot be cut", log_text("error", strerror(errno)));
    }
    atomic_store(&journal->end, end);
    atomic_store(&journal->count, records);
    if (records)
        log_info("webhooks wait in the journal", log_number("webhooks", records));
}

/* ---- life ---- */

static int open_file(const char *directory, const char *name, int flags, char *error, size_t room)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int file = open(path, flags | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        snprintf(error, room, "cannot open %s: %s", path, strerror(errno));
    return file;
}

struct journal *journal_open(const char *directory, char *error, size_t room)
{
    struct journal *journal = calloc(1, sizeof *journal);
    pthread_condattr_t monotonic;
    if (!journal || strlen(directory) >= sizeof journal->directory) {
        snprintf(error, room, "no memory for the journal, or its path is too long");
        free(journal);
        return NULL;
    }
    snprintf(journal->directory, sizeof journal->directory, "%s", directory);
    journal->file = open_file(directory, "webhooks.journal", O_RDWR, error, room);
    if (journal->file >= 0 && flock(journal->file, LOCK_EX | LOCK_NB) != 0) {
        snprintf(error, room, "another control keeps its journal in %s", directory);
        close(journal->file);
        journal->file = -1;
    }
    if (journal->file < 0) {
        free(journal);
        return NULL;
    }
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&journal->lock, NULL);
    pthread_cond_init(&journal->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    look_through(journal);
    return journal;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    close(journal->file);
    pthread_cond_destroy(&journal->changed);
    pthread_mutex_destroy(&journal->lock);
    free(journal);
}

/* ---- adding ---- */

static bool write_at(int file, const uint8_t *data, size_t bytes, uint64_t at)
{
    while (bytes > 0) {
        ssize_t put = pwrite(file, data, bytes, (off_t)at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        data += put;
        at += (uint64_t)put;
        bytes -= (size_t)put;
    }
    return true;
}

/* With the lock held. */
static bool append(struct journal *journal, int64_t received_ms, struct span json, struct span raw)
{
    uint8_t header[LINK_HEADER_BYTES];
    uint64_t end = atomic_load(&journal->end);
    size_t bytes = sizeof header + json.bytes + raw.bytes;
    if (bytes > LINK_FRAME_BYTES_MAX || end + bytes > JOURNAL_BYTES_MAX)
        return false;
    link_encode_header(header, LINK_REQUEST, (uint64_t)received_ms, json.bytes, raw.bytes);
    if (!write_at(journal->file, header, sizeof header, end) ||
        !write_at(journal->file, json.data, json.bytes, end + sizeof header) ||
        !write_at(journal->file, raw.data, raw.bytes, end + sizeof header + json.bytes)) {
        log_error("the journal cannot be written", log_text("error", strerror(errno)));
        return false; /* what is half there is written over by the next, or cut off */
    }
    atomic_store(&journal->end, end + bytes);
    atomic_fetch_add(&journal->count, 1);
    pthread_cond_broadcast(&journal->changed);
    return true;
}

/* Several at once share a disk's turn. Where the disk refuses after all, the record may stand there
 * nevertheless: then it is on record twice as often as acknowledged, and stored once. */
bool journal_add(struct journal *journal, int64_t received_ms, struct span json, struct span raw)
{
    pthread_mutex_lock(&journal->lock);
    bool added = append(journal, received_ms, json, raw);
    pthread_mutex_unlock(&journal->lock);
    if (added && fdatasync(journal->file) != 0) {
        log_error("the journal is not on disk", log_text("error", strerror(errno)));
        return false;
    }
    return added;
}

bool journal_is_empty(const struct journal *journal)
{
    return !journal || atomic_load(&journal->count) == 0;
}

uint64_t journal_count(const struct journal *journal)
{
    return journal ? atomic_load(&journal->count) : 0;
}

/* ---- catching up ---- */

bool journal_first(struct journal *journal, struct link_frame *frame, uint8_t **block)
{
    if (journal_is_empty(journal))
        return false;
    bool whole = read_record(journal->file, journal->read_at, frame, block);
    if (!whole)
        log_error("the journal cannot be read", log_text("error", strerror(errno)));
    return whole;
}

/* The file begins anew when everything is on record. */
void journal_drop(struct journal *journal)
{
    struct link_frame frame;
    uint8_t *block;
    bool whole = read_record(journal->file, journal->read_at, &frame, &block);
    assert(whole); /* journal_first gave it */
    uint64_t bytes = frame_bytes(&frame);
    free(block);
    pthread_mutex_lock(&journal->lock);
    journal->read_at += bytes;
    if (journal->read_at == atomic_load(&journal->end) && ftruncate(journal->file, 0) == 0) {
        journal->read_at = 0;
        atomic_store(&journal->end, 0);
    }
    atomic_fetch_sub(&journal->count, 1);
    pthread_mutex_unlock(&journal->lock);
}

void journal_refuse(struct journal *journal)
{
    struct link_frame frame;
    uint8_t *block;
    char error[600] = "";
    bool whole = read_record(journal->file, journal->read_at, &frame, &block);
    assert(whole);
    int file =
        open_file(journal->directory, "refused.journal", O_WRONLY | O_APPEND, error, sizeof error);
    ssize_t put = file < 0 ? -1 : write(file, block, frame_bytes(&frame));
    if (put != (ssize_t)frame_bytes(&frame))
        log_error("a refused webhook could not be put aside", log_text("error", error));
    if (file >= 0)
        close(file);
    free(block);
    journal_drop(journal);
}

void journal_await(struct journal *journal, unsigned wait_ms)
{
    uint64_t at_ns = clock_monotonic_ns() + (uint64_t)wait_ms * 1000000u;
    struct timespec until = {.tv_sec = (time_t)(at_ns / 1000000000u),
                             .tv_nsec = (long)(at_ns % 1000000000u)};
    int late = 0;
    pthread_mutex_lock(&journal->lock);
    while (!journal->woken && journal_is_empty(journal) && late == 0)
        late = pthread_cond_timedwait(&journal->changed, &journal->lock, &until);
    pthread_mutex_unlock(&journal->lock);
}

void journal_wake(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    journal->woken = true;
    pthread_cond_broadcast(&journal->changed);
    pthread_mutex_unlock(&journal->lock);
}
