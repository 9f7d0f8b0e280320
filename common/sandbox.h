/* sandbox: which system calls a process may make once it runs.
 *
 * A seccomp filter over all threads, put up when everything is open and started. What both
 * processes use is listed in sandbox.c, what only one of them uses in a list of its own
 * (edge/syscalls.c, control/base/syscalls.c). What nobody uses fails with EPERM and is noted in the
 * kernel's log; what only an intruder would try (executing, forking, tracing, other privileges)
 * ends the process. The only file that knows libseccomp: lists are names, and a name that no kernel
 * has fails at boot. What the filter does not see is what an io_uring does: edge/io/ring_kernel.c
 * tells the kernel which operations those may be. Thread: boot. */
#ifndef RINGBRIDGE_COMMON_SANDBOX_H
#define RINGBRIDGE_COMMON_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/* What one process needs beside what both do. */
struct sandbox_needs {
    const char *const *calls; /* one that this processor's kernel lacks is left out */
    size_t count;
    const char *first; /* looked at first, because it is made most often; or NULL */
    bool threads;      /* it goes on starting threads: clone may, but only those */
};

/* False with a sentence in error: the kernel cannot or will not. */
bool sandbox_close(const struct sandbox_needs *needs, char *error, size_t room);

#endif
