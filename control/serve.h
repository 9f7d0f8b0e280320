/* serve: the process that answers edges, from boot to drain.
 *
 * Boots in order: keys, database pool, link, then waits for SIGTERM or SIGINT. Draining: no new
 * edge, no more reading, what was read is answered and stored, exit 0. */
#ifndef RINGBRIDGE_CONTROL_SERVE_H
#define RINGBRIDGE_CONTROL_SERVE_H

#include "control/base/options.h"

#define SERVE_DRAIN_MS 5000

/* The exit status: 0 after a drain, 1 when it could not start (one sentence on stderr says why). */
int serve_run(const struct options *options);

#endif
