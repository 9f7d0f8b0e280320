/* scarce: a short history in which something runs out. First it runs whole, and what it takes of
 * everything is counted; then again and again, and each time the n-th is refused: allocations,
 * descriptors, receive buffers; and with ever fewer slots, pool bytes and places in an inbox. Legal
 * is success or an ending with its name; nothing may be left over. */
#ifndef RINGBRIDGE_TESTS_SIM_SCARCE_H
#define RINGBRIDGE_TESTS_SIM_SCARCE_H

#include <stdbool.h>
#include <stdint.h>

/* Every n of everything. */
void scarce_run(uint64_t seed);

/* One resource by its name, one n; loud: with its trace. False: no such name. */
bool scarce_run_one(uint64_t seed, const char *name, uint64_t n, bool loud);

#endif
