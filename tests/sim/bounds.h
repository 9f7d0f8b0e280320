/* bounds: what must be true of a core between any two turns: every queue within limits.h, every
 * byte of the pool, slot and connection with one owner, every state with the timer that ends it.
 * It walks the whole of a core, so it looks where only tests look. Thread: the core's. */
#ifndef RINGBRIDGE_TESTS_SIM_BOUNDS_H
#define RINGBRIDGE_TESTS_SIM_BOUNDS_H

#include "edge/core.h"

/* The carrier's clock of this live or ending call, in samples; 0: there is none. */
uint64_t bounds_clock(const char *call);

/* A core without calls: nothing is left of any but what a disk holds up. */
void bounds_rest(struct core *core);

void bounds_check(struct core *core, const struct metrics *metrics);

#endif
