/* fake_kernel: ring_kernel.c's functions over plain memory, and a kernel with peers behind them
 * that does what a byte string says: one string, one history.
 *
 * Each ring_kernel_wait first takes what was submitted, then lets some things happen: connections
 * come, bytes arrive in slices, sends are taken in part, peers end or break, buffers run out, time
 * passes. When the string is used up, the rest comes home at once. The kernel checks what only a
 * kernel sees: nobody closes a descriptor with ops in flight, no two ops of a kind, no op on what
 * is closed. The clock is the fake one too. */
#ifndef RINGBRIDGE_TESTS_IO_FAKE_KERNEL_H
#define RINGBRIDGE_TESTS_IO_FAKE_KERNEL_H

#include "common/span.h"

/* Starts anew with this history. */
void fake_kernel_begin(struct span script);

/* Is the string used up? */
bool fake_kernel_over(void);

/* A number that the string decides, below sides (1 to 256); 0 when it is used up. */
unsigned fake_kernel_dice(unsigned sides);

/* Descriptors that are open now: none, when all is closed. */
unsigned fake_kernel_open_count(void);

/* From now on no file is answered, or each again. */
void fake_kernel_hang_disk(bool hangs);

/* What is in the file of this name; nothing when there is none. */
struct span fake_kernel_file(const char *name);

#endif
