#include "tests/sim/trace.h"

#include "tests/sim/kernel.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SHOWN_BYTES 600

struct entry {
    uint64_t at_ns;
    const char *what;
    int64_t numbers[3];
};

static struct {
    uint64_t seed, hash, written;
    bool loud, open;
    const char *flag, *name; /* of a history that is special */
    uint64_t number;
    struct entry kept[TRACE_KEPT];
} tape;

static void mix(uint64_t word)
{
    tape.hash = (tape.hash ^ word) * 0x9e3779b97f4a7c15u;
    tape.hash ^= tape.hash >> 32;
}

static uint64_t hash_bytes(struct span bytes)
{
    uint64_t hash = bytes.bytes, word;
    const uint8_t *at = bytes.data;
    size_t left = bytes.bytes;
    for (; left >= 8; at += 8, left -= 8) {
        memcpy(&word, at, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    for (; left; at++, left--)
        hash = (hash ^ *at) * 0x9e3779b97f4a7c15u;
    return hash;
}

static void print(const struct entry *entry)
{
    dprintf(STDERR_FILENO, "%11.6f %-26s %8" PRId64 " %8" PRId64 " %8" PRId64 "\n",
            (double)entry->at_ns / 1e9, entry->what, entry->numbers[0], entry->numbers[1],
            entry->numbers[2]);
}

void trace_open(uint64_t seed, bool loud)
{
    tape.seed = seed;
    tape.hash = 14695981039346656037u;
    tape.written = 0;
    tape.flag = NULL;
    tape.loud = loud;
    tape.open = true;
}

void trace_note(const char *flag, const char *name, uint64_t number)
{
    tape.flag = flag;
    tape.name = name;
    tape.number = number;
}

void trace(const char *what, int64_t first, int64_t second, int64_t third)
{
    struct entry *entry = &tape.kept[tape.written++ % TRACE_KEPT];
    *entry = (struct entry){kernel_now_ns(), what, {first, second, third}};
    mix(entry->at_ns ^ (uint64_t)what[0] << 56);
    mix((uint64_t)first ^ (uint64_t)second << 20 ^ (uint64_t)third << 40);
    if (tape.loud)
        print(entry);
}

void trace_bytes(const char *what, int64_t first, struct span bytes)
{
    trace(what, first, (int64_t)bytes.bytes, (int64_t)(hash_bytes(bytes) & 0xffffff));
    if (!tape.loud || bytes.bytes == 0)
        return;
    size_t shown = bytes.bytes < SHOWN_BYTES ? bytes.bytes : SHOWN_BYTES;
    dprintf(STDERR_FILENO, "            | %.*s\n", (int)shown, (const char *)bytes.data);
}

uint64_t trace_hash(void)
{
    return tape.hash;
}

void trace_dump(void)
{
    if (!tape.open)
        return;
    tape.open = false;
    uint64_t first = tape.written > 100 ? tape.written - 100 : 0;
    dprintf(STDERR_FILENO, "the last of seed %" PRIu64 ":\n", tape.seed);
    for (uint64_t i = first; i < tape.written; i++)
        print(&tape.kept[i % TRACE_KEPT]);
    dprintf(STDERR_FILENO, "repeat: sim --seed %" PRIu64, tape.seed);
    if (tape.flag)
        dprintf(STDERR_FILENO, " %s %s %" PRIu64, tape.flag, tape.name, tape.number);
    dprintf(STDERR_FILENO, " --trace\n");
}

void sim_fail_at(const char *condition, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    dprintf(STDERR_FILENO, "sim, seed %" PRIu64 ", at %.6f s: %s: ", tape.seed,
            (double)kernel_now_ns() / 1e9, condition);
    vdprintf(STDERR_FILENO, format, arguments);
    dprintf(STDERR_FILENO, "\n");
    va_end(arguments);
    trace_dump();
    abort();
}
