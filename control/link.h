/* link: the Unix socket on which edges find control.
 *
 * What it is: the listener (mode 0600, peers checked by SO_PEERCRED), one thread that accepts, and
 * one thread per connected edge. What it is not: what is said on a link (edge.h).
 * A socket file left by a control that died is removed only when nobody answers on it.
 * Bound: LINK_EDGES_MAX at once; more are refused. Thread: boot. */
#ifndef RINGBRIDGE_CONTROL_LINK_H
#define RINGBRIDGE_CONTROL_LINK_H

#include "control/link/edge.h"

#define LINK_EDGES_MAX 32

struct link;

/* Listens at path. config is borrowed. NULL with a sentence in error that names the mend. */
struct link *link_open(const char *path, const struct edge_config *config, char *error,
                       size_t room);

/* Stops accepting and reading, waits until what was read of events is stored or given up, and
 * removes the socket file. Requests that were read are still answered by the pool, which is
 * closed after this. */
void link_stop(struct link *link);

/* Lets go of the edges and frees. After pool_close. */
void link_close(struct link *link);

#endif
