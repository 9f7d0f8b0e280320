/* database: what the tests of control's store share: a migrated schema in the private cluster of
 * pg.sh (DATABASE_URL), connections in each role, and questions asked past the store.
 * Thread: each struct db belongs to one. */
#ifndef RINGBRIDGE_TESTS_CONTROL_DATABASE_H
#define RINGBRIDGE_TESTS_CONTROL_DATABASE_H

#include "control/base/seal.h"
#include "control/db/db.h"

/* Of DATABASE_URL; the test program fails with a sentence when it is not set. */
const char *database_url(void);

/* Brings the schema up to date. */
void database_migrate(void);

struct db *database_serving(struct db_figures *figures); /* as serve works */
struct db *database_admin(void);                         /* as commands work */

/* First cell of a query as the admin, or "" for NULL and no row. Valid until the next call. One
 * connection a call: for a handful of questions. */
const char *database_ask(const char *sql);

/* Runs statements as the user of DATABASE_URL; fails the test when they fail. */
void database_do(const char *sql);

/* A new organisation with one number; writes its id. */
void database_organization(const char *name, const char *number, char id[37]);

/* A CallSid (kind "CA") or AccountSid ("AC") made from a number. */
void database_sid(char sid[35], const char *kind, unsigned number);

extern struct seal database_seal; /* a fixed key */

#endif
