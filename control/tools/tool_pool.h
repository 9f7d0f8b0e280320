/* tool_pool: the workers that carry out functions which AIs have called (tool_run.h).
 *
 * Workers of their own, because a caller waits on the line: neither a slow system of some
 * organisation takes a worker from webhooks, nor do jobs at low priority stand before it. A call is
 * a row (sql/0010): claimed under a lease, so a control that dies leaves it to others after
 * TOOL_POOL_LEASE_MS, and it is carried out once however often its event was sent.
 *
 * Threads: N workers, and a keeper that renews leases and looks for calls that nobody told of; each
 * has a database connection, made when it is first needed. Bounds: TOOL_POOL_WORKERS_MAX at once;
 * what waits longer than its deadline is ended in words (claim_tool_call). */
#ifndef RINGBRIDGE_CONTROL_TOOLS_TOOL_POOL_H
#define RINGBRIDGE_CONTROL_TOOLS_TOOL_POOL_H

#include "control/tools/tool_run.h"

#include <stdatomic.h>

#define TOOL_POOL_WORKERS_MAX 64
#define TOOL_POOL_LEASE_MS    5000
#define TOOL_POOL_KEEP_MS     1000 /* between two renewals */

/* What became of the calls of this control. */
struct tool_figures {
    atomic_uint_fast64_t done, failed, lost, running;
};

struct tool_pool_config {
    unsigned workers; /* 0: none; this control leaves functions to others */
    const struct options *options;
    const char *run; /* uuid of this control's life */
    struct db_config db;
    void (*told)(void *context); /* a result is on record; or NULL */
    void *context;
    struct tool_figures *figures;
};

struct tool_pool;

/* NULL with a sentence in error. Boot thread. */
struct tool_pool *tool_pool_open(const struct tool_pool_config *config, char *error, size_t room);

/* So many functions were called: look now. NULL is fine. Any thread. */
void tool_pool_wake(struct tool_pool *pool, unsigned count);

/* Lets what runs come to its end, told to be quick, and waits for it. NULL is fine. */
void tool_pool_close(struct tool_pool *pool);

void tool_figures_write(FILE *out, const struct tool_figures *figures);

#endif
