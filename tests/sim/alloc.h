/* alloc: the core's allocations, counted, and one of them refused. malloc and its kin are wrapped
 * at link time; what the simulator itself takes (between alloc_enter and alloc_leave) is not
 * counted and never refused. Where the sanitizer can tell, what is alive is counted too. */
#ifndef RINGBRIDGE_TESTS_SIM_ALLOC_H
#define RINGBRIDGE_TESTS_SIM_ALLOC_H

#include <stdint.h>

/* Once per process. */
void alloc_open(void);

/* Counts from 0 again; the refused-th allocation fails, 0: none. Outside until alloc_leave. */
void alloc_begin(uint64_t refused);
void alloc_enter(void);
void alloc_leave(void);

/* Allocations so far. */
uint64_t alloc_count(void);

/* Blocks of the whole process that are alive; 0 where nobody can tell. */
int64_t alloc_alive(void);

#endif
