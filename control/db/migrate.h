/* migrate: brings the database to the schema this program was built with.
 *
 * The files of sql/ are part of the program (embedded at build time), numbered, forward only, each
 * applied once in a transaction of its own and remembered with its SHA-256. An advisory lock lets
 * one process at a time do it; the others wait and find nothing to do. Roles are made first, where
 * the right to do so is there. Thread: one at a time. */
#ifndef RINGBRIDGE_CONTROL_DB_MIGRATE_H
#define RINGBRIDGE_CONTROL_DB_MIGRATE_H

#include "control/db/db.h"

struct migrate_step {
    int number;       /* 1 for 0001_... */
    const char *name; /* file name */
    const char *sql;
};

/* Made by control/embed.cmake. */
extern const struct migrate_step migrate_steps[];
extern const int migrate_steps_count;
extern const char *const migrate_roles; /* sql/roles.sql: run before the steps, every time */

/* Connects as whoever runs migrations: the owner, no role, no deadlines but the lock's. */
struct db_config migrate_config(const char *url);

/* Applies what is missing, in order. applied counts. False with a sentence in error that names the
 * mend: no connection, no right to create roles, a file that was changed after it was applied, a
 * database newer than this program. report (may be NULL) is told of each step. */
bool migrate_run(struct db *db, FILE *report, int *applied, char *error, size_t room);

/* How many steps are missing here: 0 is up to date, negative is newer than this program. For serve
 * at boot, readiness and doctor; works for any role. */
enum db_result migrate_missing(struct db *db, int *missing);

#endif
