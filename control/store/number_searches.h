/* number_searches: what organisations asked the carrier to have, and what it had (sql/0020).
 *
 * A search waits, is done or has failed, and says so within five minutes whatever happens: one that
 * waits still after its deadline counts as failed, and nothing is written into it any more. A day
 * after it was asked for it is gone. Bounds: ten of an organisation wait, a hundred are kept.
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_NUMBER_SEARCHES_H
#define RINGBRIDGE_CONTROL_STORE_NUMBER_SEARCHES_H

#include "control/base/uuid.h"
#include "control/db/db.h"

#define NUMBER_SEARCHES_LIMIT_MAX 50 /* numbers that one may find */

struct number_searches_wish {
    const char *country, *kind;       /* "US"; local, toll_free or mobile */
    const char *area_code, *contains; /* NULL: does not matter */
    int64_t limit;
};

/* Asks for a search and the job that does it, within a transaction of the organisation. id: "" when
 * too many wait. DB_REFUSED: the wish is none (db_constraint: number_searches_area, ..). */
enum db_result number_searches_want(struct db *db, const char *organization,
                                    const struct number_searches_wish *wish, const char *by,
                                    char id[UUID_TEXT_BYTES + 1]);

/* ---- for the job ---- */

/* One row, or none when it waits no more. */
enum number_searches_column {
    SEARCH_COUNTRY,
    SEARCH_KIND,
    SEARCH_AREA,
    SEARCH_CONTAINS,
    SEARCH_LIMIT,
    SEARCH_OWN_ACCOUNT /* the organisation's own, or NULL */
};
enum db_result number_searches_read(struct db *db, const char *organization, const char *search,
                                    struct db_rows **rows);

/* For job_commit's work. Nothing when it waits no more. */
enum db_result number_searches_done(struct db *db, const char *search, const char *numbers_json);
enum db_result number_searches_fail(struct db *db, const char *search, const char *error);

/* Forgets what has expired, of all organisations. */
enum db_result number_searches_clean(struct db *db);

#endif
