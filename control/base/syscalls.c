#include "control/base/syscalls.h"

static const char *const calls[] = {
    /* workers of jobs make themselves small; memory is shared out by processors */
    "setpriority", "sched_getaffinity",
    /* files of sound and the journal */
    "rename", "renameat", "renameat2", "ftruncate", "pwrite64",
    /* libcurl's resolver thread says so when it is done */
    "socketpair", "pipe2",
    /* libpq's and Kerberos' idea of who we are */
    "getuid", "getgid", "getegid"};

/* libcurl starts a thread for each name that it resolves, edges get one when they connect. */
const struct sandbox_needs syscalls_control = {
    .calls = calls, .count = sizeof calls / sizeof calls[0], .first = "futex", .threads = true};
