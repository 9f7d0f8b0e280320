/* clock: the two clocks, read in one place so that tests can replace them at link time.
 *
 * Deadlines and durations use the monotonic clock; the wall clock is for records and expiry only,
 * because it jumps. Thread: any. */
#ifndef RINGBRIDGE_COMMON_CLOCK_H
#define RINGBRIDGE_COMMON_CLOCK_H

#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t clock_monotonic_ns(void);

/* Milliseconds since 1970, UTC. */
int64_t clock_wall_ms(void);

#endif
