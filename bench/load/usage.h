/* usage: what a process has cost so far, read from /proc.
 *
 * Thread: any. Bound: USAGE_THREADS_MAX threads are looked at. */
#ifndef RINGBRIDGE_BENCH_LOAD_USAGE_H
#define RINGBRIDGE_BENCH_LOAD_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define USAGE_THREADS_MAX 4096

struct usage {
    uint64_t cpu_ns;     /* on a processor, all threads, user and system */
    uint64_t busiest_ns; /* of the busiest thread */
    uint64_t rss_bytes;
};

/* False: there is no such process, or it may not be looked at. cpu_ns is exact to the scheduler's
 * nanoseconds where the kernel has schedstat, otherwise to its ticks of 10 ms. */
bool usage_of(pid_t pid, struct usage *usage);

/* Nanoseconds this thread has been on a processor. */
uint64_t usage_own_ns(void);

#endif
