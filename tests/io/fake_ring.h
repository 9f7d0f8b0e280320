/* fake_ring: a ring's memory with the kernel's side of it as plain functions, for kernels that are
 * not there (fake_kernel.c, tests/sim). It knows nothing of sockets: submissions come out, answers
 * and received bytes go in. Owner: struct ring names the memory; open and close. Thread: one. */
#ifndef RINGBRIDGE_TESTS_IO_FAKE_RING_H
#define RINGBRIDGE_TESTS_IO_FAKE_RING_H

#include "edge/io/ring_kernel.h"

/* What ring_kernel_open has to set up. False: no memory. */
bool fake_ring_open(struct ring *ring, const struct ring_config *config);
void fake_ring_close(struct ring *ring);

/* The oldest submission that was not taken yet; NULL: none. It is overwritten some time after the
 * next one is taken. */
const struct io_uring_sqe *fake_ring_take(struct ring *ring);

/* Puts an answer into the completion queue, which must have room. */
void fake_ring_answer(struct ring *ring, uint64_t user_data, int result, uint32_t flags);

/* May a receive be answered with bytes: is there a buffer? */
bool fake_ring_has_buffer(const struct ring *ring);

/* Fills the next buffer with at most RECEIVE_BUFFER_BYTES; returns the answer's flags, which name
 * it. */
uint32_t fake_ring_fill(struct ring *ring, const void *data, size_t bytes);

#endif
