/* sandbox: which system calls the edge may make once it runs.
 *
 * A seccomp filter over all threads, put up when everything is open and started. What the edge does
 * not use fails with EPERM and is noted in the kernel's log; what only an intruder would try
 * (executing, forking, tracing, other privileges) ends the process. What it does not see is what
 * the ring does: ring_kernel.c tells the kernel which operations those may be. Thread: boot. */
#ifndef RINGBRIDGE_EDGE_SANDBOX_H
#define RINGBRIDGE_EDGE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/* False with a sentence in error: the kernel cannot or will not. */
bool sandbox_close(char *error, size_t room);

#endif
