/* jobs: slow outside work as rows (sql/0005), for the workers of job.h and for the command line.
 *
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_JOBS_H
#define RINGBRIDGE_CONTROL_STORE_JOBS_H

#include "control/base/uuid.h"
#include "control/db/db.h"

#define JOBS_KINDS_MAX     32
#define JOBS_KEEP_DAYS     30 /* how long a job that was done is remembered */
#define JOBS_PAYLOAD_BYTES 65536

/* What a kind may. 0 is no limit. */
struct jobs_kind {
    const char *name;
    unsigned concurrency; /* at once, over all controls */
    unsigned per_minute;  /* begun, over all controls */
    unsigned lease_ms;    /* as long as its control says nothing */
};

struct jobs_claimed {
    char id[UUID_TEXT_BYTES + 1], organization[UUID_TEXT_BYTES + 1];
    int kind; /* its place in kinds */
    int64_t tries, max_tries;
    const char *key, *payload_json; /* until rows are freed */
    struct db_rows *rows;
};

/* Makes a job; to be called in the transaction of the fact that causes it (then organization must
 * be the one named there). False in made: it was there. */
enum db_result jobs_enqueue(struct db *db, const char *organization, const char *kind,
                            const char *key, const char *payload_json, bool *made);

/* Takes one job of these kinds, looking at kinds[first] first and then around. claimed->rows is
 * NULL when there is none; else the caller frees it. */
enum db_result jobs_claim(struct db *db, const struct jobs_kind *kinds, int count, int first,
                          const char *worker, struct jobs_claimed *claimed);

/* Prolongs all leases of worker. Rows: the ids that are still its own. */
enum db_result jobs_renew(struct db *db, const struct jobs_kind *kinds, int count,
                          const char *worker, struct db_rows **rows);

/* How a lease ends, within a transaction of the job's organisation. held: false when it was not
 * ours any more, and nothing was changed. */
enum db_result jobs_done(struct db *db, const struct jobs_claimed *job, const char *worker,
                         bool *held);
enum db_result jobs_again(struct db *db, const struct jobs_claimed *job, const char *worker,
                          const char *error, int64_t pause_ms, bool *held);
enum db_result jobs_dead(struct db *db, const struct jobs_claimed *job, const char *worker,
                         const char *error, bool *held);
enum db_result jobs_return(struct db *db, const struct jobs_claimed *job, const char *worker,
                           bool *held); /* as if it had not been claimed */

/* kind, queued, leased, dead, oldest_ms: a row for each kind. */
enum db_result jobs_figures(struct db *db, const struct jobs_kind *kinds, int count,
                            struct db_rows **rows);

enum db_result jobs_prune(struct db *db);

/* For people: id, organization, kind, state, tries, due, error. state NULL: all that is not done.
 */
enum db_result jobs_list(struct db *db, const char *organization, const char *state, unsigned limit,
                         struct db_rows **rows);
enum db_result jobs_show(struct db *db, const char *id,
                         struct db_rows **rows); /* JSON, or no row */
/* Due at once, with all its tries again. changed: false when there is none that waits or is dead.
 */
enum db_result jobs_retry(struct db *db, const char *id, bool *changed);
/* Away with it. changed: false when there is none, somebody is at it, or it is done: then it is the
 * memory by which nobody does it twice. */
enum db_result jobs_drop(struct db *db, const char *id, bool *changed);

#endif
