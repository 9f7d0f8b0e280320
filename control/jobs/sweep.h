/* sweep: finds recordings that nobody reported, because their edge died, and has them encoded.
 *
 * What it is: a thread that looks through the spool directory every SWEEP_EVERY_MS. A file that an
 * edge still writes is locked by it and left alone; what is on record already is removed, and what
 * never got its name. What it is not: the encoder (jobs/recording_encode). Thread: boot opens and
 * closes it. */
#ifndef RINGBRIDGE_CONTROL_JOBS_SWEEP_H
#define RINGBRIDGE_CONTROL_JOBS_SWEEP_H

#include "control/db/db.h"
#include "control/jobs/job.h"

#define SWEEP_EVERY_MS 15000
#define SWEEP_NEW_S    60 /* a file without its name that is older was left by a dead edge */

struct sweep;

/* pool is woken when something was found. NULL with a sentence in error. */
struct sweep *sweep_open(const char *spool_dir, const struct db_config *db, struct job_pool *pool,
                         char *error, size_t room);
void sweep_close(struct sweep *sweep); /* NULL is fine */

#endif
