/* Files that grow: on the real kernel with real disks that are full, limited or not ours; and over
 * the fake one, where writes come back short, late or not at all. */
#include "edge/io/conn.h"
#include "edge/io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME  "a.spool"
#define BLOCK 16384
#define OWNER 77

struct disk {
    struct io *io;
    struct metrics metrics;
    char path[64];
    int directory;
};

static void open_disk_at(struct disk *disk, unsigned files_max)
{
    char error[256];
    struct io_config config = {.conns_max = 4,
                               .ring_entries = 8,
                               .receive_buffers = 4,
                               .files_max = files_max,
                               .metrics = &disk->metrics,
                               .doorbell = -1};
    disk->io = io_open(&config, error, sizeof error);
    if (!disk->io)
        fail_msg("%s", error);
    disk->directory = open(disk->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(disk->directory >= 0);
}

static void open_disk(struct disk *disk, unsigned files_max)
{
    *disk = (struct disk){.path = "/tmp/ringbridge-file.XXXXXX"};
    assert_non_null(mkdtemp(disk->path));
    open_disk_at(disk, files_max);
}

static void close_disk(struct disk *disk)
{
    char command[128];
    io_close(disk->io);
    close(disk->directory);
    snprintf(command, sizeof command, "rm -rf '%s'", disk->path);
    assert_int_equal(system(command), 0);
}

/* Waits for the one answer, which must be this step's; returns what it came to. */
static int await(struct disk *disk, enum op op)
{
    struct io_done done;
    for (;;) {
        io_flush(disk->io);
        io_wait(disk->io, 1000);
        if (!io_next(disk->io, &done))
            continue;
        assert_int_equal(done.op, op);
        assert_int_equal(done.owner, OWNER);
        assert_null(done.conn);
        assert_false(io_next(disk->io, &done));
        return done.result;
    }
}

static const char *in(const struct disk *disk, const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", disk->path, name);
    return path;
}

static struct file *make(struct disk *disk)
{
    struct file *file = file_create(disk->io, disk->directory, NAME, OWNER);
    assert_non_null(file);
    assert_int_equal(await(disk, OP_FILE_OPEN), 0);
    return file;
}

static int put(struct disk *disk, struct file *file, uint8_t value, size_t bytes)
{
    uint8_t *data = malloc(bytes);
    memset(data, value, bytes);
    file_write(disk->io, file, span_from(data, bytes));
    int result = await(disk, OP_FILE_WRITE);
    free(data);
    return result;
}

static void end(struct disk *disk, struct file *file)
{
    file_close(disk->io, file);
    assert_int_equal(await(disk, OP_FILE_CLOSE), 0);
}

/* ---- a disk that is well ---- */

static void is_private_and_locked_while_it_grows(void **state)
{
    (void)state;
    struct disk disk;
    struct stat facts;
    open_disk(&disk, 2);
    umask(0);
    struct file *file = make(&disk);
    assert_int_equal(stat(in(&disk, NAME), &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
    assert_int_not_equal(access(in(&disk, NAME FILE_NEW), F_OK), 0);
    int other = open(in(&disk, NAME), O_RDONLY);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
    assert_int_equal(put(&disk, file, 1, BLOCK), 0);
    assert_int_equal(put(&disk, file, 2, 3 * BLOCK + 5), 0);
    assert_int_equal(file_bytes(file), 4 * BLOCK + 5);
    assert_int_equal(fstat(other, &facts), 0);
    assert_int_equal(facts.st_size, 4 * BLOCK + 5); /* it is there before the end */
    uint8_t byte[2];
    assert_int_equal(pread(other, byte, 2, BLOCK - 1), 2);
    assert_true(byte[0] == 1 && byte[1] == 2);
    end(&disk, file);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    close(other);
    close_disk(&disk);
}

static void harms_nothing_that_is_there(void **state)
{
    (void)state;
    struct disk disk;
    struct stat facts;
    open_disk(&disk, 2);
    struct file *file = make(&disk);
    put(&disk, file, 1, 100);
    end(&disk, file);
    file = file_create(disk.io, disk.directory, NAME, OWNER);
    assert_int_equal(await(&disk, OP_FILE_OPEN), -EEXIST);
    end(&disk, file);
    assert_int_equal(stat(in(&disk, NAME), &facts), 0);
    assert_int_equal(facts.st_size, 100);
    close_disk(&disk);
}

static void is_bounded(void **state)
{
    (void)state;
    struct disk disk;
    open_disk(&disk, 1);
    struct file *file = make(&disk);
    assert_null(file_create(disk.io, disk.directory, "b.spool", OWNER));
    end(&disk, file);
    assert_non_null(file_create(disk.io, disk.directory, "b.spool", OWNER));
    assert_int_equal(await(&disk, OP_FILE_OPEN), 0);
    close_disk(&disk); /* open as it is */
    open_disk(&disk, 0);
    assert_null(file_create(disk.io, disk.directory, NAME, OWNER));
    close_disk(&disk);
}

/* io ends in the middle of every step: the memory of a write is needed to its answer, and no
 * longer.
 */
static void comes_home_at_any_step(void **state)
{
    (void)state;
    for (unsigned step = 0; step < 3; step++) {
        struct disk disk;
        uint8_t *data = calloc(1, 64 * BLOCK);
        open_disk(&disk, 2);
        struct file *file = file_create(disk.io, disk.directory, NAME, OWNER);
        if (step > 0) {
            assert_int_equal(await(&disk, OP_FILE_OPEN), 0);
            file_write(disk.io, file, span_from(data, 64 * BLOCK));
        }
        if (step > 1) {
            assert_int_equal(await(&disk, OP_FILE_WRITE), 0);
            file_close(disk.io, file);
        }
        close_disk(&disk);
        free(data);
    }
}

/* ---- disks that are not well ---- */

static void says_that_the_directory_is_gone(void **state)
{
    (void)state;
    struct disk disk;
    open_disk(&disk, 2);
    assert_int_equal(rmdir(disk.path), 0);
    struct file *file = file_create(disk.io, disk.directory, NAME, OWNER);
    assert_int_equal(await(&disk, OP_FILE_OPEN), -ENOENT);
    end(&disk, file);
    close_disk(&disk);
}

static void says_that_it_may_not(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct disk disk;
    open_disk(&disk, 2);
    assert_int_equal(chmod(disk.path, 0555), 0);
    assert_int_equal(seteuid(65534), 0);
    struct file *file = file_create(disk.io, disk.directory, NAME, OWNER);
    int result = await(&disk, OP_FILE_OPEN);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(result, -EACCES);
    end(&disk, file);
    close_disk(&disk);
}

/* The kernel takes a part, then says why not more: what stands is whole to its last byte. */
static void keeps_what_a_limit_lets_through(void **state)
{
    (void)state;
    struct disk disk;
    struct stat facts;
    struct rlimit before, limit;
    open_disk(&disk, 2);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){.rlim_cur = 40000, .rlim_max = before.rlim_max};
    struct file *file = make(&disk);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int first = put(&disk, file, 1, BLOCK), second = put(&disk, file, 2, BLOCK);
    int third = put(&disk, file, 3, BLOCK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(first | second, 0);
    assert_int_equal(third, -EFBIG);
    assert_int_equal(file_bytes(file), 40000);
    end(&disk, file);
    assert_int_equal(stat(in(&disk, NAME), &facts), 0);
    assert_int_equal(facts.st_size, 40000);
    close_disk(&disk);
}

/* In a child with mounts of its own: a disk of 64 KiB. 0: as it should be; 2: no such mounts here.
 */
static int fill_a_small_disk(void)
{
    struct disk disk = {.path = "/tmp/ringbridge-file.XXXXXX"};
    if (unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)) != 0 || !mkdtemp(disk.path) ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("small", disk.path, "tmpfs", 0, "size=64k") != 0)
        return 2;
    open_disk_at(&disk, 2);
    struct file *file = make(&disk);
    unsigned blocks = 0;
    int result;
    while ((result = put(&disk, file, 1, BLOCK)) == 0)
        blocks++;
    uint64_t bytes = file_bytes(file);
    end(&disk, file);
    io_close(disk.io);
    close(disk.directory);
    umount(disk.path);
    rmdir(disk.path);
    return result == -ENOSPC && blocks >= 3 && bytes >= blocks * BLOCK ? 0 : 1;
}

static void says_that_the_disk_is_full(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(fill_a_small_disk());
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 2)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_private_and_locked_while_it_grows),
        cmocka_unit_test(harms_nothing_that_is_there),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(comes_home_at_any_step),
        cmocka_unit_test(says_that_the_directory_is_gone),
        cmocka_unit_test(says_that_it_may_not),
        cmocka_unit_test(keeps_what_a_limit_lets_through),
        cmocka_unit_test(says_that_the_disk_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
