/* syscalls: what the edge asks of the kernel once it runs, for the sandbox. Thread: any; constant.
 */
#ifndef RINGBRIDGE_EDGE_SYSCALLS_H
#define RINGBRIDGE_EDGE_SYSCALLS_H

#include "common/sandbox.h"

extern const struct sandbox_needs syscalls_edge;

#endif
