/* Files over a kernel that answers when and how a byte string says: writes are taken in parts,
 * late, or not at all, and every step may fail. Thousands of histories from seeds: each step is
 * answered once, what stands is a beginning of what was written, and everything comes home. */
#include "common/panic.h"
#include "edge/io/conn.h"
#include "edge/io/file.h"
#include "edge/limits.h"
#include "tests/io/fake_kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HISTORIES  2000
#define WRITERS    3
#define WRITES_MAX 6
#define BYTES_MAX  3000

enum step { NOTHING, OPENING, IDLE, WRITING, CLOSING };

struct writer {
    enum step step;
    struct file *file;
    char name[16];
    uint8_t data[WRITES_MAX * BYTES_MAX];
    size_t bytes, offered;
    unsigned writes, answers, failed;
    bool named;
};

static struct {
    struct io *io;
    struct metrics metrics;
    struct writer writers[WRITERS];
    unsigned failures, parts;
} world;

static void go_on(struct writer *writer)
{
    if (writer->failed || writer->writes == WRITES_MAX || fake_kernel_dice(8) == 7) {
        writer->step = CLOSING;
        file_close(world.io, writer->file);
        return;
    }
    size_t bytes = 1 + fake_kernel_dice(256) * fake_kernel_dice(12);
    for (size_t i = 0; i < bytes; i++)
        writer->data[writer->bytes + i] = (uint8_t)(writer->bytes + i + writer->writes);
    writer->offered = bytes;
    writer->step = WRITING;
    writer->writes++;
    file_write(world.io, writer->file, span_from(writer->data + writer->bytes, bytes));
}

static void take(const struct io_done *done)
{
    struct writer *writer = &world.writers[done->owner - 1];
    assert_true(done->result <= 0);
    writer->failed |= done->result < 0;
    world.failures += done->result < 0;
    if (done->op == OP_FILE_OPEN) {
        assert_int_equal(writer->step, OPENING);
        writer->named = done->result == 0;
        writer->step = IDLE;
    } else if (done->op == OP_FILE_WRITE) {
        assert_int_equal(writer->step, WRITING);
        uint64_t with_kernel = file_bytes(writer->file);
        assert_in_range(with_kernel, writer->bytes, writer->bytes + writer->offered);
        assert_true(done->result < 0 || with_kernel == writer->bytes + writer->offered);
        writer->bytes = with_kernel;
        writer->step = IDLE;
    } else {
        assert_int_equal(done->op, OP_FILE_CLOSE);
        assert_int_equal(writer->step, CLOSING);
        writer->step = NOTHING;
    }
}

static void turn(void)
{
    struct io_done done;
    io_wait(world.io, 100);
    while (io_next(world.io, &done))
        take(&done);
    for (size_t i = 0; i < WRITERS; i++) {
        struct writer *writer = &world.writers[i];
        if (writer->step == IDLE && fake_kernel_dice(3))
            go_on(writer);
        if (writer->step == NOTHING && !writer->file) {
            writer->file = file_create(world.io, 3, writer->name, i + 1);
            writer->step = OPENING;
        }
    }
    io_flush(world.io);
}

static void open_io(struct span history)
{
    char error[256];
    struct io_config config = {.conns_max = 4,
                               .ring_entries = 8,
                               .receive_buffers = 4,
                               .files_max = WRITERS,
                               .metrics = &world.metrics,
                               .doorbell = -1};
    fake_kernel_begin(history);
    world.io = io_open(&config, error, sizeof error);
    assert_non_null(world.io);
}

static void live(struct span history)
{
    open_io(history);
    memset(world.writers, 0, sizeof world.writers);
    for (size_t i = 0; i < WRITERS; i++)
        snprintf(world.writers[i].name, sizeof world.writers[i].name, "%zu.spool", i);
    while (!fake_kernel_over())
        turn();
    assert_true(io_close(world.io));
    assert_int_equal(fake_kernel_open_count(), 0);
    for (size_t i = 0; i < WRITERS; i++) {
        const struct writer *writer = &world.writers[i];
        struct span kept = fake_kernel_file(writer->name);
        if (!writer->named)
            continue;
        assert_in_range(kept.bytes, writer->bytes, sizeof writer->data);
        assert_memory_equal(kept.data, writer->data, kept.bytes);
    }
}

static void each_step_is_answered_once_and_comes_home(void **state)
{
    (void)state;
    uint64_t dice = 20261121;
    uint8_t history[600];
    for (unsigned i = 0; i < HISTORIES; i++) {
        for (size_t at = 0; at < sizeof history; at++) {
            dice = dice * 6364136223846793005u + 1442695040888963407u;
            history[at] = (uint8_t)(dice >> 40);
        }
        live(span_from(history, 20 + i % (sizeof history - 20)));
    }
    assert_true(world.failures > HISTORIES / 10); /* else nothing was tried */
}

static void await(enum op op)
{
    struct io_done done;
    io_flush(world.io);
    do
        io_wait(world.io, 10);
    while (!io_next(world.io, &done));
    assert_int_equal(done.op, op);
    assert_int_equal(done.result, 0);
    assert_false(io_next(world.io, &done));
}

/* The sanitizer sees it when the io frees what the disk still has to read. */
static void a_disk_that_hangs_is_left_in_time(void **state)
{
    (void)state;
    uint8_t *block = malloc(BYTES_MAX);
    assert_non_null(block);
    memset(block, 'b', BYTES_MAX);
    open_io((struct span){NULL, 0});
    struct file *file = file_create(world.io, 3, "hangs.spool", 1);
    await(OP_FILE_OPEN);
    fake_kernel_hang_disk(true);
    file_write(world.io, file, span_from(block, BYTES_MAX));
    uint64_t before_ms = io_now_ms(world.io);
    assert_false(io_close(world.io));
    assert_in_range(io_now_ms(world.io) - before_ms, DISK_ANSWER_MS, DISK_ANSWER_MS + 1000);
    assert_false(io_close(world.io));
    fake_kernel_hang_disk(false);
    assert_true(io_close(world.io));
    struct span kept = fake_kernel_file("hangs.spool");
    assert_int_equal(kept.bytes, BYTES_MAX);
    assert_memory_equal(kept.data, block, BYTES_MAX);
    assert_int_equal(fake_kernel_open_count(), 0);
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_is_answered_once_and_comes_home),
        cmocka_unit_test(a_disk_that_hangs_is_left_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
