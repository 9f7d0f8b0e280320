/* catch_up: puts on record what was kept in the journal while the database was away.
 *
 * What it is: a thread with a database connection of its own that stores the journal's webhooks in
 * the order in which they came, each once (the store knows repetitions), and waits while the
 * database is away. Events of edges are stored after it (edge.c), because they may be about calls
 * that stand in the journal only. A webhook that the database is there for and cannot store is put
 * aside after CATCH_UP_TRIES, so that it holds up nobody.
 * Owner: serve. Thread: its own. */
#ifndef RINGBRIDGE_CONTROL_CATCH_UP_H
#define RINGBRIDGE_CONTROL_CATCH_UP_H

#include "control/service/service.h"

#define CATCH_UP_TRIES    10
#define CATCH_UP_RETRY_MS 250

struct catch_up;

/* service is borrowed; its journal must be there. NULL with a sentence in error. */
struct catch_up *catch_up_open(const struct service *service, const struct db_config *db,
                               char *error, size_t room);
void catch_up_close(struct catch_up *catch_up); /* NULL is fine */

#endif
