/* syscalls: what control asks of the kernel once it serves, for the sandbox. Thread: any; constant.
 */
#ifndef RINGBRIDGE_CONTROL_BASE_SYSCALLS_H
#define RINGBRIDGE_CONTROL_BASE_SYSCALLS_H

#include "common/sandbox.h"

extern const struct sandbox_needs syscalls_control;

#endif
