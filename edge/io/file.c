#include "edge/io/file.h"

#include "common/panic.h"
#include "edge/io/conn_inner.h"
#include "edge/io/file_inner.h"
#include "edge/io/ring_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES_MAX 8 /* of a write that the kernel interrupts */

struct file {
    struct ring_socket socket;
    uint64_t owner;
    int directory;
    char name[FILE_NAME_BYTES_MAX + 1], new_name[FILE_NAME_BYTES_MAX + sizeof FILE_NEW];
    bool named, closing;
    struct span rest; /* of the write under way */
    uint64_t bytes;
    unsigned tries;
};

int file_directory(const char *path, char *error, size_t room)
{
    struct stat facts;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        snprintf(error, room, "%s: %s: make it with mkdir -m 700", path, strerror(errno));
        return -1;
    }
    bool ours = fstat(fd, &facts) == 0 && facts.st_uid == geteuid();
    bool private = ours && (facts.st_mode & (S_IRWXG | S_IRWXO)) == 0;
    if (private && faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) == 0)
        return fd;
    snprintf(error, room, "%s: recordings need a directory that is %s", path,
             !ours      ? "the edge's own: chown it"
             : !private ? "private: chmod 700"
                        : "writable");
    close(fd);
    return -1;
}

bool file_open_all(struct io *io)
{
    return io->config.files_max == 0 ||
           slab_open(&io->files, io->config.files_max, sizeof(struct file));
}

size_t file_footprint_bytes(unsigned files_max)
{
    return files_max * sizeof(struct file);
}

struct file *file_create(struct io *io, int directory, const char *name, uint64_t owner)
{
    uint64_t ref;
    assert(directory >= 0 && strlen(name) <= FILE_NAME_BYTES_MAX);
    struct file *file = io->files.count ? slab_take(&io->files, &ref) : NULL;
    if (!file)
        return NULL;
    file->socket = (struct ring_socket){.fd = -1, .ref = ref};
    file->owner = owner;
    file->directory = directory;
    snprintf(file->name, sizeof file->name, "%s", name);
    snprintf(file->new_name, sizeof file->new_name, "%s" FILE_NEW, name);
    ring_file_open(io->ring, &file->socket, directory, file->new_name);
    return file;
}

void file_write(struct io *io, struct file *file, struct span bytes)
{
    assert(file->named && !file->closing && file->rest.bytes == 0 && bytes.bytes > 0);
    file->rest = bytes;
    file->tries = 0;
    ring_file_write(io->ring, &file->socket, bytes, file->bytes);
}

/* A file that was never made has nothing to close; a no-op answers in its place, so that its owner
 * sees one end in any case. */
void file_close(struct io *io, struct file *file)
{
    assert(!file->closing && file->socket.in_flight == 0);
    file->closing = true;
    ring_file_close(io->ring, &file->socket);
}

uint64_t file_bytes(const struct file *file)
{
    return file->bytes;
}

/* What a step came to: 0, -errno, or GOES_ON. */
#define GOES_ON 1

static int opened(struct io *io, struct file *file, int result)
{
    if (result < 0)
        return result;
    file->socket.fd = result;
    int problem = ring_kernel_lock(result);
    if (problem < 0)
        return problem;
    ring_file_rename(io->ring, &file->socket, file->directory, file->new_name, file->name);
    return GOES_ON;
}

static int renamed(struct file *file, int result)
{
    file->named = result == 0;
    return result;
}

static int wrote(struct io *io, struct file *file, int result)
{
    bool again = (result == -EINTR || result == -EAGAIN) && ++file->tries < TRIES_MAX;
    assert(result <= (int)file->rest.bytes);
    if (result > 0) {
        file->bytes += (size_t)result;
        file->rest = span_from(file->rest.data + result, file->rest.bytes - (size_t)result);
    }
    if (file->rest.bytes == 0)
        return 0;
    if (result > 0 || again) {
        ring_file_write(io->ring, &file->socket, file->rest, file->bytes);
        return GOES_ON;
    }
    file->rest.bytes = 0;
    return result ? result : -EIO;
}

bool file_settle(struct io *io, const struct ring_answer *answer, struct io_done *done)
{
    struct file *file = slab_find(&io->files, answer->ref);
    assert(file); /* nobody is freed before all ops are home */
    ring_landed(&file->socket, answer);
    done->owner = file->owner;
    switch (answer->op) {
    case OP_FILE_OPEN:
        done->result = opened(io, file, answer->result);
        break;
    case OP_FILE_RENAME:
        done->op = OP_FILE_OPEN; /* it is one step for who asked */
        done->result = renamed(file, answer->result);
        break;
    case OP_FILE_WRITE:
        done->result = wrote(io, file, answer->result);
        break;
    default:
        slab_give(&io->files, answer->ref);
        return true;
    }
    if (done->result == GOES_ON)
        return false;
    if (io->closing)
        file_close(io, file);
    return !io->closing;
}

void file_close_all(struct io *io)
{
    uint32_t at = 0;
    for (struct file *file; io->files.count && (file = slab_walk(&io->files, &at));)
        if (file->socket.in_flight == 0)
            file_close(io, file);
}
