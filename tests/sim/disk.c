#include "tests/sim/disk.h"

#include "common/panic.h"
#include "edge/io/file.h"
#include "edge/io/poison.h"
#include "tests/sim/kernel_inner.h"
#include "tests/sim/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_ROOM   96
#define WRITE_BYTES 65536

struct disk_file {
    bool open, locked, named, failed;
    int fd;
    char name[NAME_ROOM], to[NAME_ROOM]; /* to: of the op under way, as it was asked for */
    uint8_t *bytes;
    size_t count, room; /* memory stays for the next history */
    struct submission op;
    uint8_t *asked; /* what a write was to write */
    uint64_t closed_ns;
};

static struct {
    struct disk_weather weather;
    struct dice dice;
    uint64_t began_ns, ops;
    struct disk_file files[DISK_FILES_MAX];
    unsigned count;
} disk;

/* ---- how it is ---- */

static uint64_t since_ns(void)
{
    return kernel_now_ns() - disk.began_ns;
}

/* When an op that is asked for now is done. */
static uint64_t ready_ns(void)
{
    const struct disk_weather *weather = &disk.weather;
    uint64_t ready = since_ns() + dice_between(&disk.dice, weather->ns_least, weather->ns_most);
    if (ready >= weather->sleeps_ns && ready < weather->wakes_ns)
        ready = weather->wakes_ns;
    return disk.began_ns + ready;
}

static int draw_problem(bool writes)
{
    static const int problems[] = {EIO,   ENOSPC, EDQUOT, EMFILE, EACCES,
                                   EROFS, ENOENT, ENOMEM, EFBIG};
    bool fails =
        disk.ops == disk.weather.fails_at || dice_chance(&disk.dice, disk.weather.fails_permille);
    if (fails)
        return -problems[dice_below(&disk.dice, sizeof problems / sizeof problems[0])];
    if (writes && since_ns() >= disk.weather.full_ns)
        return -ENOSPC;
    if (writes && dice_chance(&disk.dice, disk.weather.fails_permille))
        return dice_chance(&disk.dice, 500) ? -EINTR : -EAGAIN;
    return 0;
}

/* ---- which file ---- */

static struct disk_file *find(const char *name)
{
    for (unsigned i = 0; i < disk.count; i++)
        if (disk.files[i].fd >= 0 && strcmp(disk.files[i].name, name) == 0)
            return &disk.files[i];
    return NULL;
}

/* An open is about a file that is not there yet, a rename about one by name. */
struct submission *disk_op(const struct io_uring_sqe *sqe)
{
    struct disk_file *file;
    if (sqe->opcode == IORING_OP_OPENAT) {
        expect(disk.count < DISK_FILES_MAX, "files pile up");
        file = &disk.files[disk.count++];
        *file = (struct disk_file){
            .fd = -1, .bytes = file->bytes, .room = file->room, .asked = file->asked};
    } else if (sqe->opcode == IORING_OP_RENAMEAT) {
        file = find((const char *)(uintptr_t)sqe->addr);
    } else {
        file = kernel_descriptor(sqe->fd)->file;
    }
    expect(file, "a file, for op %u", sqe->opcode);
    return &file->op;
}

static struct disk_file *file_of(struct submission *op)
{
    return (struct disk_file *)(void *)((char *)op - offsetof(struct disk_file, op));
}

/* ---- what is asked for ---- */

static void begin_open(struct disk_file *file, const struct io_uring_sqe *sqe)
{
    size_t bytes = strlen((const char *)(uintptr_t)sqe->addr), new_bytes = strlen(FILE_NEW);
    int wanted = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    expect(sqe->fd == DISK_DIRECTORY && bytes > new_bytes && bytes < NAME_ROOM, "fd %d", sqe->fd);
    expect((int)sqe->open_flags == wanted && sqe->len == 0600, "a new file of our own");
    snprintf(file->name, sizeof file->name, "%s", (const char *)(uintptr_t)sqe->addr);
    expect(strcmp(file->name + bytes - new_bytes, FILE_NEW) == 0, "%s", file->name);
}

static void begin_rename(struct disk_file *file, const struct io_uring_sqe *sqe)
{
    const char *to = (const char *)(uintptr_t)sqe->addr2;
    size_t bytes = strlen(to);
    expect(sqe->fd == DISK_DIRECTORY && sqe->len == DISK_DIRECTORY, "a rename within it");
    expect(sqe->rename_flags == RENAME_NOREPLACE, "nothing is written over");
    expect(file->open && file->locked && !file->named, "a rename of %s", file->name);
    expect(strncmp(file->name, to, bytes) == 0 && strcmp(file->name + bytes, FILE_NEW) == 0,
           "%s becomes %s", file->name, to);
    snprintf(file->to, sizeof file->to, "%s", to);
}

static void begin_write(struct disk_file *file, const struct io_uring_sqe *sqe)
{
    const void *data = (const void *)(uintptr_t)sqe->addr;
    expect(file->open && file->named, "a write into %s", file->name);
    expect(sqe->off == file->count, "a write at %llu of %zu", (unsigned long long)sqe->off,
           file->count);
    expect(sqe->len > 0 && sqe->len <= WRITE_BYTES, "%u bytes", sqe->len);
    expect(addressable(data, sqe->len), "a write of bytes that are nobody's");
    if (!file->asked)
        file->asked = malloc(WRITE_BYTES);
    assert(file->asked);
    memcpy(file->asked, data, sqe->len);
}

void disk_begin(struct submission *op)
{
    struct disk_file *file = file_of(op);
    disk.ops++;
    op->act_ns = ready_ns();
    if (op->sqe.opcode == IORING_OP_OPENAT)
        begin_open(file, &op->sqe);
    else if (op->sqe.opcode == IORING_OP_RENAMEAT)
        begin_rename(file, &op->sqe);
    else
        begin_write(file, &op->sqe);
}

/* ---- what comes of it ---- */

static int open_file(struct disk_file *file)
{
    int problem = draw_problem(false);
    if (problem == 0 && find(file->name))
        problem = -EEXIST;
    expect(strcmp(file->name, (const char *)(uintptr_t)file->op.sqe.addr) == 0, "the same name");
    int fd = problem ? problem : kernel_open_descriptor(NULL, NULL);
    file->closed_ns = fd < 0 ? kernel_now_ns() : 0;
    if (fd < 0)
        return fd;
    kernel_descriptor(fd)->file = file;
    file->fd = fd;
    file->open = true;
    return fd;
}

static int rename_file(struct disk_file *file)
{
    int problem = draw_problem(false);
    if (problem == 0 && find(file->to))
        problem = -EEXIST;
    expect(strcmp(file->to, (const char *)(uintptr_t)file->op.sqe.addr2) == 0, "the same name");
    if (problem)
        return problem;
    file->named = true;
    memcpy(file->name, file->to, sizeof file->name);
    return 0;
}

static void append(struct disk_file *file, size_t bytes)
{
    if (file->count + bytes > file->room) {
        file->room = 2 * (file->count + bytes);
        file->bytes = realloc(file->bytes, file->room);
        assert(file->bytes);
    }
    memcpy(file->bytes + file->count, file->asked, bytes);
    file->count += bytes;
}

static int write_file(struct disk_file *file)
{
    const struct io_uring_sqe *sqe = &file->op.sqe;
    const void *data = (const void *)(uintptr_t)sqe->addr;
    size_t bytes = sqe->len;
    expect(addressable(data, bytes), "bytes go while they are written");
    expect(memcmp(data, file->asked, bytes) == 0, "bytes change while they are written");
    int problem = draw_problem(true);
    file->failed = problem < 0;
    if (problem)
        return problem;
    if (bytes > 1 && dice_chance(&disk.dice, disk.weather.short_permille))
        bytes = 1 + dice_below(&disk.dice, bytes);
    append(file, bytes);
    return (int)bytes;
}

static void act(struct disk_file *file)
{
    struct submission *op = &file->op;
    int result = op->sqe.opcode == IORING_OP_OPENAT     ? open_file(file)
                 : op->sqe.opcode == IORING_OP_RENAMEAT ? rename_file(file)
                                                        : write_file(file);
    trace("disk: file, op, result", file - disk.files, op->sqe.opcode, result);
    kernel_complete(op, result, kernel_now_ns());
}

uint64_t disk_step(void)
{
    uint64_t next_ns = NEVER;
    for (unsigned i = 0; i < disk.count; i++) {
        struct disk_file *file = &disk.files[i];
        if (file->op.active && file->op.act_ns <= kernel_now_ns())
            act(file);
        else if (file->op.active)
            next_ns = sooner(next_ns, file->op.act_ns);
    }
    return next_ns;
}

/* Returns when that is done. */
uint64_t disk_drop(struct disk_file *file)
{
    expect(file->open && !file->op.active, "%s is closed with an op in flight", file->name);
    file->open = false;
    disk.ops++;
    file->closed_ns = ready_ns();
    return file->closed_ns;
}

int ring_kernel_lock(int fd)
{
    struct disk_file *file = kernel_descriptor(fd)->file;
    expect(file && file->open && !file->locked, "a lock of fd %d", fd);
    if (dice_chance(&disk.dice, disk.weather.fails_permille))
        return -EWOULDBLOCK;
    file->locked = true;
    return 0;
}

/* ---- life ---- */

uint64_t disk_ops(void)
{
    return disk.ops;
}

unsigned disk_busy(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < disk.count; i++)
        count += disk.files[i].op.active || disk.files[i].closed_ns > kernel_now_ns();
    return count;
}

unsigned disk_count(void)
{
    return disk.count;
}

struct disk_facts disk_facts(unsigned number)
{
    const struct disk_file *file = &disk.files[number];
    assert(number < disk.count);
    return (struct disk_facts){.name = file->name,
                               .bytes = {file->bytes, file->count},
                               .named = file->named,
                               .failed = file->failed,
                               .closed_ns = file->closed_ns};
}

void disk_open(const struct disk_weather *weather, uint64_t seed)
{
    disk.weather = *weather;
    disk.dice = dice_open(seed, 8);
    disk.began_ns = kernel_now_ns();
    disk.ops = 0;
    disk.count = 0;
}

void disk_close(void)
{
    for (unsigned i = 0; i < disk.count; i++) {
        const struct disk_file *file = &disk.files[i];
        expect(!file->open && !file->op.active, "%s is open", file->name);
        expect(file->closed_ns, "%s was not closed", file->name);
    }
}

void disk_free(void)
{
    for (unsigned i = 0; i < DISK_FILES_MAX; i++) {
        free(disk.files[i].bytes);
        free(disk.files[i].asked);
        disk.files[i] = (struct disk_file){0};
    }
}
