/* organizations: the customers, for the command line (role ringbridge_admin).
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_ORGANIZATIONS_H
#define RINGBRIDGE_CONTROL_STORE_ORGANIZATIONS_H

#include "control/db/db.h"

#define ORGANIZATIONS_ID_TEXT 37

/* Writes the new id. DB_REFUSED: the name is taken or not a name; db_constraint says which. */
enum db_result organizations_add(struct db *db, const char *name, char id[ORGANIZATIONS_ID_TEXT]);

/* By name or id. *found is false when there is none. */
enum db_result organizations_find(struct db *db, const char *name_or_id,
                                  char id[ORGANIZATIONS_ID_TEXT], bool *found);

/* id, name, numbers, calls, created */
enum db_result organizations_list(struct db *db, struct db_rows **rows);

#endif
