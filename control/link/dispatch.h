/* dispatch: brings orders and results of functions from the database to the edge that carries the
 * call, and its answer back.
 *
 * What it is: one thread with a database connection, which looks every DISPATCH_POLL_MS for orders
 * that wait for the edges connected here. Why by the database: whoever orders need not know which
 * of several controls has the edge, and what was ordered is on record. What it is not: the prepare
 * order, which is sent by the webhook that causes it. The same thread asks each edge how full it is
 * and writes that into the table of edges, every DISPATCH_LOAD_MS. Bounds: DISPATCH_EDGES_MAX
 * edges, as many answers not yet written as DISPATCH_ANSWERS_MAX; more are dropped, and their
 * orders stay "sent". Thread: any. */
#ifndef RINGBRIDGE_CONTROL_LINK_DISPATCH_H
#define RINGBRIDGE_CONTROL_LINK_DISPATCH_H

#include "control/db/db.h"

#include <stdbool.h>

#define DISPATCH_POLL_MS     200
#define DISPATCH_LOAD_MS     2000
#define DISPATCH_EDGES_MAX   32
#define DISPATCH_ANSWERS_MAX 256

struct dispatch;
struct edge;

/* NULL with a sentence in error. Boot thread. */
struct dispatch *dispatch_open(const struct db_config *db, char *error, size_t room);
void dispatch_close(struct dispatch *dispatch); /* when no edge is left; NULL is fine */

/* An edge is there (a reference is held) and goes. */
void dispatch_join(struct dispatch *dispatch, struct edge *edge);
void dispatch_leave(struct dispatch *dispatch, struct edge *edge);

/* There is something to send: look now. Any thread. */
void dispatch_wake(struct dispatch *dispatch);

/* What an edge answered to an order. error may be NULL. */
void dispatch_settle(struct dispatch *dispatch, const char *order, bool ok, const char *error);

#endif
