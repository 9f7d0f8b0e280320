/* media_checks: stores of sound beside our rows, and what was found there (sql/0021).
 *
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_MEDIA_CHECKS_H
#define RINGBRIDGE_CONTROL_STORE_MEDIA_CHECKS_H

#include "control/db/db.h"

#define MEDIA_CHECKS_NAMED_MAX 20 /* recordings that a row of findings tells of */

/* What a part of a comparison has found. */
struct media_checks_part {
    const char *store;
    bool begins, complete; /* the first part, the last one */
    int64_t objects, others, removed, removed_bytes, missing, lingering;
    struct db_value recordings; /* uuid[], MEDIA_CHECKS_NAMED_MAX at most */
};

/* Within a transaction of the organisation: all names that a store lists behind `behind`, up to
 * `up_to` (NULL: to its end), beside the rows. rows: found ("nameless", "missing", "lingering"),
 * path, recording (NULL for nameless). */
enum db_result media_checks_compare(struct db *db, const char *store, const char *behind,
                                    const char *up_to, struct db_value listed,
                                    struct db_rows **rows);

/* Within the transaction in which a file is removed: is it named after all? If not, nobody can
 * name it before that transaction ends. */
enum db_result media_checks_named(struct db *db, const char *store, const char *path, bool *named);

/* Within a transaction of the organisation: one more part of its comparison is on record. */
enum db_result media_checks_note(struct db *db, const char *organization,
                                 const struct media_checks_part *part);

/* Makes the day's comparisons. */
enum db_result media_checks_plan(struct db *db);

/* missing, lingering: over all organisations. */
enum db_result media_checks_count(struct db *db, struct db_rows **rows);

/* organisation, store, missing, lingering, some of the recordings: of those where anything is. For
 * people, past organisations: admin. */
enum db_result media_checks_list(struct db *db, struct db_rows **rows);

#endif
