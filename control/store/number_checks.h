/* number_checks: what the comparisons of numbers with the carrier have found (sql/0019).
 *
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_NUMBER_CHECKS_H
#define RINGBRIDGE_CONTROL_STORE_NUMBER_CHECKS_H

#include "control/db/db.h"

/* Within a transaction of the organisation: all its numbers in use, or this one, were compared, and
 * this was found: [{number, kind, property, has, wants, mended, why}]. */
enum db_result number_checks_note(struct db *db, const char *organization, const char *number,
                                  const char *found_json);

/* Wants a comparison: of all numbers, or of this one (NULL: all); mend: and what differs set right.
 * key: what makes it the same wish again. job: its id. Within a transaction of the organisation. */
enum db_result number_checks_want(struct db *db, const char *organization, const char *number,
                                  bool mend, const char *by, const char *key, char job[37]);

/* state, numbers: over all organisations. */
enum db_result number_checks_count(struct db *db, struct db_rows **rows);

/* Makes the day's comparisons. */
enum db_result number_checks_plan(struct db *db);

/* number, organisation, state, differences, checked, error. For people, past organisations: admin.
 */
enum db_result number_checks_list(struct db *db, const char *organization, unsigned limit,
                                  struct db_rows **rows);

#endif
