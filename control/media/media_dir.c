#include "control/media/media_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool make(const char *path, char *error, size_t room)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    snprintf(error, room, "%s cannot be made: %s", path, strerror(errno));
    return false;
}

bool media_dir_place(const char *directory, const char *organization, const char *id,
                     const char *extension, struct media_path *place, char *error, size_t room)
{
    char path[MEDIA_DIR_PATH_BYTES];
    snprintf(place->name, sizeof place->name, "%s/%.2s/%s.%s", organization, id, id, extension);
    int bytes = snprintf(place->path, sizeof place->path, "%s/%s", directory, place->name);
    int more = snprintf(place->part, sizeof place->part, "%s/%s.part", directory, place->name);
    if (bytes < 0 || more < 0 || (size_t)more >= sizeof place->part) {
        snprintf(error, room, "the media directory's name is too long");
        return false;
    }
    if (!make(directory, error, room))
        return false;
    snprintf(path, sizeof path, "%s/%s", directory, organization);
    if (!make(path, error, room))
        return false;
    snprintf(path, sizeof path, "%s/%s/%.2s", directory, organization, id);
    return make(path, error, room);
}

bool media_dir_read(const char *name, const char *organization, char id[UUID_TEXT_BYTES + 1])
{
    static const char part[] = ".part";
    uint8_t ignored[UUID_BYTES];
    size_t bytes = strlen(organization);
    if (strncmp(name, organization, bytes) != 0 || name[bytes] != '/')
        return false;
    const char *folder = name + bytes + 1;
    if (strnlen(folder, 3 + UUID_TEXT_BYTES + 1) <= 3 + UUID_TEXT_BYTES || folder[2] != '/' ||
        strncmp(folder, folder + 3, 2) != 0)
        return false;
    memcpy(id, folder + 3, UUID_TEXT_BYTES);
    id[UUID_TEXT_BYTES] = '\0';
    const char *extension = folder + 3 + UUID_TEXT_BYTES + 1;
    size_t letters = strspn(extension, "abcdefghijklmnopqrstuvwxyz0123456789");
    return uuid_read(id, ignored) && extension[-1] == '.' && letters > 0 &&
           letters <= MEDIA_DIR_EXTENSION_MAX &&
           (extension[letters] == '\0' || strcmp(extension + letters, part) == 0);
}

/* The entry of a file is the directory's content. */
static bool sync_directory_of(const char *path)
{
    char directory[MEDIA_DIR_PATH_BYTES];
    const char *slash = strrchr(path, '/');
    snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return synced;
}

bool media_dir_keep(const struct media_path *place, char *error, size_t room)
{
    if (rename(place->part, place->path) == 0 && sync_directory_of(place->path))
        return true;
    snprintf(error, room, "%s cannot be kept: %s", place->path, strerror(errno));
    return false;
}
