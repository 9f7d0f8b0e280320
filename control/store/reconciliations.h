/* reconciliations: reports of our record beside the carrier's lists (sql/0012). Thread: the owner
 * of db. Owner of rows: the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_RECONCILIATIONS_H
#define RINGBRIDGE_CONTROL_STORE_RECONCILIATIONS_H

#include "control/db/db_array.h"

/* A row: the organisation's own account at the carrier or NULL, and the numbers as one text with
 * blanks between them. */
enum db_result reconciliations_place(struct db *db, const char *organization,
                                     struct db_rows **rows);

/* Is this CallSid a call of the organisation's? */
enum db_result reconciliations_owns(struct db *db, const char *organization, const char *call_sid,
                                    bool *owns);

struct reconciliations_report {
    int64_t since_s, until_s; /* unix time */
    int64_t calls_seen, calls_opened, calls_ended, calls_priced;
    int64_t recordings_seen, recordings_found;
    struct db_array listed, differing; /* CallSids */
};

/* Writes the report down, with the calls of the period that are not among the listed ones; uses up
 * its arrays. The id of the row is written to id[37]. */
enum db_result reconciliations_write(struct db *db, const char *organization, const char *account,
                                     struct reconciliations_report *report, char id[37]);

/* For people, newest first; one of them (id) or all (NULL) of an organisation or (NULL) of all. */
enum db_result reconciliations_list(struct db *db, const char *organization, const char *id,
                                    unsigned limit, struct db_rows **rows);

/* Makes the hour's jobs for all organisations. */
enum db_result reconciliations_plan(struct db *db);

#endif
