/* bounds: what must be true of a core between any two turns: every queue within limits.h, every
 * byte of the pool, slot and connection with one owner, every state with the timer that ends it.
 * It walks the whole of a core, so it looks where only tests look. Thread: the core's. */
#ifndef RINGBRIDGE_TESTS_SIM_BOUNDS_H
#define RINGBRIDGE_TESTS_SIM_BOUNDS_H

#include "edge/core.h"

void bounds_check(struct core *core, const struct metrics *metrics);

#endif
