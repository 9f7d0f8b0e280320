/* alloc: the core's allocations, counted, one of them refused, and whether each was given back.
 * malloc and its kin are wrapped at link time; what the simulator itself takes (between alloc_enter
 * and alloc_leave) is neither counted nor refused. Bound: ALLOC_ALIVE_MAX blocks at once. */
#ifndef RINGBRIDGE_TESTS_SIM_ALLOC_H
#define RINGBRIDGE_TESTS_SIM_ALLOC_H

#include <stdint.h>

#define ALLOC_ALIVE_MAX 32768

/* Once per process. */
void alloc_open(void);

/* Counts from 0 again; the refused-th allocation fails, 0: none. Outside until alloc_leave. */
void alloc_begin(uint64_t refused);
void alloc_enter(void);
void alloc_leave(void);

/* Allocations so far. */
uint64_t alloc_count(void);

/* Blocks of the core's that nobody has freed. */
uint64_t alloc_alive(void);

#endif
