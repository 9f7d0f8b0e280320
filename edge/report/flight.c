#include "edge/report/flight.h"

#include "common/clock.h"
#include "common/panic.h"
#include "edge/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Static_assert((FLIGHT_RECORDS & (FLIGHT_RECORDS - 1)) == 0, "positions are taken by masking");

static const struct flight *board[CORES_MAX];
static unsigned board_count;
static _Thread_local const struct flight *mine;

static void report(void *context)
{
    (void)context;
    if (mine)
        flight_dump(STDERR_FILENO, mine, FLIGHT_RECORDS);
    for (unsigned i = 0; i < board_count; i++)
        if (board[i] != mine)
            flight_dump(STDERR_FILENO, board[i], FLIGHT_OTHERS);
}

void flight_open(struct flight *flight, unsigned core)
{
    assert(board_count < CORES_MAX);
    memset(flight, 0, sizeof *flight);
    flight->core = core;
    if (board_count == 0)
        panic_reporter(report, NULL);
    board[board_count++] = flight;
}

void flight_adopt(const struct flight *flight)
{
    mine = flight;
}

void flight_note(struct flight *flight, const char *what, uint64_t first, uint64_t second)
{
    struct flight_record *record = &flight->records[flight->written & (FLIGHT_RECORDS - 1)];
    __atomic_store_n(&record->at_ns, clock_monotonic_ns(), __ATOMIC_RELAXED);
    __atomic_store_n(&record->what, what, __ATOMIC_RELAXED);
    __atomic_store_n(&record->first, first, __ATOMIC_RELAXED);
    __atomic_store_n(&record->second, second, __ATOMIC_RELAXED);
    __atomic_store_n(&flight->written, flight->written + 1, __ATOMIC_RELEASE);
}

static void print(int descriptor, unsigned core, const struct flight_record *record,
                  uint64_t now_ns)
{
    char line[256];
    const char *what = __atomic_load_n(&record->what, __ATOMIC_RELAXED);
    uint64_t at_ns = __atomic_load_n(&record->at_ns, __ATOMIC_RELAXED);
    uint64_t ago_us = now_ns > at_ns ? (now_ns - at_ns) / 1000 : 0;
    int bytes = snprintf(
        line, sizeof line,
        "flight core %u: -%" PRIu64 ".%03" PRIu64 " ms %s %" PRIu64 " %" PRIu64 "\n", core,
        ago_us / 1000, ago_us % 1000, what, __atomic_load_n(&record->first, __ATOMIC_RELAXED),
        __atomic_load_n(&record->second, __ATOMIC_RELAXED));
    if (bytes <= 0)
        return;
    size_t length = (size_t)bytes < sizeof line ? (size_t)bytes : sizeof line - 1;
    line[length - 1] = '\n';
    ssize_t ignored = write(descriptor, line, length);
    (void)ignored; /* the process is dying and stderr is gone: nobody left to tell */
}

void flight_dump(int descriptor, const struct flight *flight, uint64_t count)
{
    uint64_t written = __atomic_load_n(&flight->written, __ATOMIC_ACQUIRE);
    uint64_t now_ns = clock_monotonic_ns();
    if (count > FLIGHT_RECORDS)
        count = FLIGHT_RECORDS;
    if (count > written)
        count = written;
    for (uint64_t i = written - count; i < written; i++)
        print(descriptor, flight->core, &flight->records[i & (FLIGHT_RECORDS - 1)], now_ns);
}
