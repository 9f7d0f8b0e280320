/* disk: the files of the kernel that is not there: made, renamed, written at their end and closed,
 * each op answered when the disk is ready for it, in parts, or with what is wrong. It falls asleep,
 * it is slower than speech, it is full. What was written stays until the next history, for those
 * who look at it.
 * It checks what only a kernel sees: a file is made under its other name, locked, renamed once,
 * written at its end and nowhere else, closed once with nothing in flight; the bytes of a write are
 * there and the same until its answer. Thread: one. Bound: DISK_FILES_MAX in a history. */
#ifndef RINGBRIDGE_TESTS_SIM_DISK_H
#define RINGBRIDGE_TESTS_SIM_DISK_H

#include "common/span.h"
#include "tests/sim/dice.h"

#define DISK_DIRECTORY 77 /* the only descriptor of one */
#define DISK_FILES_MAX 256

/* How the disk is in this history. */
struct disk_weather {
    uint64_t ns_least, ns_most;   /* of an op */
    uint64_t sleeps_ns, wakes_ns; /* since the beginning: nothing is answered in between */
    uint64_t full_ns;             /* since the beginning: from then on there is no room */
    unsigned short_permille;      /* a write takes less than it could */
    unsigned fails_permille;      /* an op fails */
    uint64_t fails_at;            /* the so-manieth does; 0: none */
};

/* The disk is empty. */
void disk_open(const struct disk_weather *weather, uint64_t seed);
/* Everything closed? Says what is not. */
void disk_close(void);
void disk_free(void);

/* Ops that were begun. */
uint64_t disk_ops(void);

/* Ops that are under way now. */
unsigned disk_busy(void);

/* What is known of a file, also of one that is closed or was never made. */
struct disk_facts {
    const char *name; /* as it is called last */
    struct span bytes;
    bool named;         /* it has the name that it was to have */
    bool failed;        /* the last write did, so that its end may be a part of a block */
    uint64_t closed_ns; /* when that is answered, or it could not be opened */
};

unsigned disk_count(void);
struct disk_facts disk_facts(unsigned file);

#endif
