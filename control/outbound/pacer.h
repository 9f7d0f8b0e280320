/* pacer: calls that are to be made are released at their pace (sql/0015, release_calls).
 *
 * What it is: a thread that asks the database PACER_PER_S times a second, and wakes the workers of
 * jobs when something was released. Each control has one; the database lets one at a time do it, so
 * a control that dies is replaced by the next tick of another. What it is not: the calls (jobs/
 * call_make), nor their order or limits. Thread: boot opens and closes it. */
#ifndef RINGBRIDGE_CONTROL_OUTBOUND_PACER_H
#define RINGBRIDGE_CONTROL_OUTBOUND_PACER_H

#include "control/jobs/job.h"

#define PACER_PER_S 5

struct pacer;

/* NULL with a sentence in error. */
struct pacer *pacer_open(const struct db_config *db, struct job_pool *pool, char *error,
                         size_t room);
void pacer_close(struct pacer *pacer); /* NULL is fine */

#endif
