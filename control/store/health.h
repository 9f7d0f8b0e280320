/* health: what a database can have wrong with it, for doctor. Thread: the owner of db. */
#ifndef RINGBRIDGE_CONTROL_STORE_HEALTH_H
#define RINGBRIDGE_CONTROL_STORE_HEALTH_H

#include "control/db/db.h"

/* One row per finding: what is wrong, how to mend it. No rows: all is well. As the admin: server
 * version, row security of every table, what roles own and may, SECURITY DEFINER functions. */
enum db_result health_schema(struct db *db, struct db_rows **rows);

/* One row: organisations, active numbers, organisations with Twilio credentials, with AI keys. */
enum db_result health_content(struct db *db, struct db_rows **rows);

/* One row about the login that serves: name, is superuser or bypasses row security, owns tables or
 * may act as the admin, may act as ringbridge_serving. */
enum db_result health_login(struct db *db, struct db_rows **rows);

/* Sealed secrets: organisation id, kind, account, sealed. */
enum db_result health_sealed(struct db *db, struct db_rows **rows);

/* One row: organisations that want e-mail, those of them without a sender of their own, jobs after
 * calls that were given up, endpoints out of use. */
enum db_result health_after(struct db *db, struct db_rows **rows);

#endif
