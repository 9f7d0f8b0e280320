#include "control/media/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum store_end fail(struct store *store, const char *path)
{
    snprintf(store->error, sizeof store->error, "%.300s: %s", path, strerror(errno));
    return errno == ENOENT ? STORE_MISSING : STORE_LATER;
}

const struct store_kind *store_chosen(const struct options *options)
{
    return options->s3_url ? &store_s3 : &store_disk;
}

const struct store_kind *store_named(const struct options *options, const char *name)
{
    if (strcmp(name, store_disk.name) == 0)
        return &store_disk;
    return options->s3_url && strcmp(name, store_s3.name) == 0 ? &store_s3 : NULL;
}

static bool bring_to_disk(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return synced;
}

/* Who begins anew finds the part, or the file that was kept before. */
static enum store_end keep(struct store *store, const struct media_path *place,
                           const struct store_file *file)
{
    struct stat found;
    if (!bring_to_disk(place->part))
        return fail(store, place->part);
    if (!media_dir_keep(place, store->error, sizeof store->error))
        return STORE_LATER;
    if (stat(place->path, &found) != 0)
        return fail(store, place->path);
    if ((uint64_t)found.st_size == file->bytes)
        return STORE_DONE;
    snprintf(store->error, sizeof store->error, "%s has another size than was written",
             place->name);
    return STORE_LATER;
}

static bool name_path(struct store *store, const char *key, char path[MEDIA_DIR_PATH_BYTES])
{
    int bytes = snprintf(path, MEDIA_DIR_PATH_BYTES, "%s/%s", store->options->media_dir, key);
    errno = ENAMETOOLONG;
    return bytes > 0 && bytes < MEDIA_DIR_PATH_BYTES;
}

static enum store_end read_piece(struct store *store, const char *key, uint64_t at, uint8_t *piece,
                                 size_t room, size_t *taken)
{
    char path[MEDIA_DIR_PATH_BYTES];
    int fd = name_path(store, key, path) ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (fd < 0)
        return fail(store, key);
    for (*taken = 0; *taken < room;) {
        ssize_t got = pread(fd, piece + *taken, room - *taken, (off_t)(at + *taken));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            enum store_end end = fail(store, key);
            close(fd);
            return end;
        }
        if (got == 0)
            break;
        *taken += (size_t)got;
    }
    close(fd);
    return STORE_DONE;
}

static enum store_end remove_file(struct store *store, const char *key)
{
    char path[MEDIA_DIR_PATH_BYTES];
    if (!name_path(store, key, path) || unlink(path) != 0)
        return fail(store, key);
    return STORE_DONE;
}

const struct store_kind store_disk = {"disk", keep, read_piece, remove_file};
