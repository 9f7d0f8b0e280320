#include "edge/syscalls.h"

/* The cores: one call per turn, each on its own processor. All threads run by then. */
static const char *const calls[] = {"io_uring_enter", "io_uring_register", "sched_setattr",
                                    "sched_setaffinity"};

const struct sandbox_needs syscalls_edge = {
    .calls = calls, .count = sizeof calls / sizeof calls[0], .first = "io_uring_enter"};
