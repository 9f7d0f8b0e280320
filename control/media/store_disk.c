#include "control/media/store.h"

#include "common/panic.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDERS      256        /* of an organisation, by the first two digits of a name */
#define NAMES_MAX    (1u << 18) /* of one folder */
#define NAME_BYTES   64         /* what is longer is not ours */
#define FOLDER_BYTES 3

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

/* ---- lists ---- */

struct names {
    char (*names)[NAME_BYTES];
    size_t count, room;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* False with errno. */
static bool add_name(struct names *names, const char *name)
{
    if (names->count == names->room) {
        size_t room = names->room ? 2 * names->room : 256;
        void *larger =
            room <= NAMES_MAX ? realloc(names->names, room * sizeof names->names[0]) : NULL;
        errno = larger ? errno : ENOMEM;
        if (!larger)
            return false;
        names->names = larger;
        names->room = room;
    }
    memcpy(names->names[names->count++], name, strlen(name) + 1);
    return true;
}

/* All names of a folder, in order; those that are too long are only counted. False with errno. */
static bool read_names(int folder, struct names *names, size_t *others)
{
    int own = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = own >= 0 ? fdopendir(own) : NULL;
    const struct dirent *entry;
    bool whole = directory != NULL;
    if (!directory && own >= 0)
        close(own);
    for (errno = 0; whole && (entry = readdir(directory)); errno = 0) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (strlen(entry->d_name) >= NAME_BYTES)
            ++*others;
        else
            whole = add_name(names, entry->d_name);
    }
    int why = errno;
    if (directory)
        closedir(directory);
    if (names->count > 0)
        qsort(names->names, names->count, sizeof names->names[0], by_name);
    errno = why;
    return whole && why == 0;
}

/* Not followed when it is a link; gone in between is nothing. */
static void take_name(struct store_page *page, int folder, const char *organization,
                      const char *key, const char *name)
{
    struct store_object *object = &page->objects[page->count];
    struct stat facts;
    char id[UUID_TEXT_BYTES + 1];
    if (fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (!S_ISREG(facts.st_mode) || !media_dir_read(key, organization, id)) {
        page->others++;
        return;
    }
    assert(strlen(key) < sizeof object->key); /* a name of ours is short */
    memcpy(object->key, key, strlen(key) + 1);
    object->changed_ms = facts.st_mtim.tv_sec * 1000 + facts.st_mtim.tv_nsec / 1000000;
    object->bytes = (uint64_t)facts.st_size;
    page->count++;
}

/* Until the page is full. False with errno. */
static bool take_folder(struct store_page *page, int folder, const char *organization,
                        const char *digits)
{
    struct names names = {.count = 0};
    char key[MEDIA_DIR_NAME_BYTES + NAME_BYTES];
    size_t others = 0;
    bool read = read_names(folder, &names, &others);
    for (size_t i = 0; read && i < names.count && !page->more; i++) {
        snprintf(key, sizeof key, "%s/%s/%s", organization, digits, names.names[i]);
        if (strcmp(key, page->last) <= 0)
            continue;
        if (page->count == STORE_PAGE_OBJECTS)
            page->more = true;
        else
            take_name(page, folder, organization, key, names.names[i]);
    }
    page->others += page->more ? 0 : others;
    int why = errno;
    free(names.names);
    errno = why;
    return read;
}

/* The organisation's directory, opened; -1 with errno, ENOENT: it has nothing yet. */
static int open_organization(const char *media_dir, const char *organization)
{
    int top = open(media_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top < 0) {
        errno =
            errno == ENOENT ? ENXIO : errno; /* a directory that is not mounted has no nothing */
        return -1;
    }
    int own = openat(top, organization, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int why = errno;
    close(top);
    errno = why;
    return own;
}

static bool take_folders(struct store_page *page, int own, const char *organization)
{
    const char *slash = strchr(page->last, '/');
    unsigned first = slash ? (unsigned)strtoul(slash + 1, NULL, 16) : 0;
    bool read = true;
    for (unsigned i = first; read && i < FOLDERS && !page->more; i++) {
        char digits[FOLDER_BYTES];
        snprintf(digits, sizeof digits, "%02x", i);
        int folder = openat(own, digits, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder < 0) {
            read = errno == ENOENT;
            continue;
        }
        read = take_folder(page, folder, organization, digits);
        int why = errno;
        close(folder);
        errno = why;
    }
    return read;
}

static enum store_end list(struct store *store, const char *organization, struct store_page *page)
{
    page->count = page->others = 0;
    page->more = false;
    page->token[0] = '\0';
    int own = open_organization(store->options->media_dir, organization);
    if (own < 0 && errno == ENOENT)
        return STORE_DONE;
    bool read = own >= 0 && take_folders(page, own, organization);
    if (!read)
        fail(store, store->options->media_dir);
    if (own >= 0)
        close(own);
    if (page->count > 0)
        memcpy(page->last, page->objects[page->count - 1].key, sizeof page->last);
    return read ? STORE_DONE : STORE_LATER;
}

const struct store_kind store_disk = {"disk", keep, read_piece, remove_file, list};
