/* batches: lists of numbers to be called one after the other (sql/0015).
 *
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_BATCHES_H
#define RINGBRIDGE_CONTROL_STORE_BATCHES_H

#include "control/base/uuid.h"
#include "control/db/db.h"

#include <jansson.h>

#define BATCHES_CHUNK 1000 /* numbers in one statement */

struct batches_new {
    const char *name, *from;
    const char *account; /* the installation's, where the organisation has none; or NULL */
    const char *plan_json;
    int64_t calls_per_minute;
    const char *days, *opens, *closes; /* hours.h */
    const char *time_zone;             /* or NULL: the organisation's */
    int64_t retries, retry_after_s;
    bool paused; /* nothing is called before it is resumed */
    const char *by;
};

enum batches_verdict {
    BATCHES_MADE,
    BATCHES_NAME_TAKEN,
    BATCHES_NOT_OURS, /* from is no active number of the organisation */
    BATCHES_NO_ACCOUNT
};

/* A batch and its numbers (batch_file.h), all or none, within a transaction of the
 * organisation. added: how
 * many; fewer than there are rows where numbers came twice. DB_REFUSED: db_constraint says what. */
enum db_result batches_put(struct db *db, const char *organization, const struct batches_new *batch,
                           const json_t *rows, enum batches_verdict *verdict,
                           char id[UUID_TEXT_BYTES + 1], int64_t *added);

/* name: its name or id, within the organisation (NULL: of all). changed: it was in a state from
 * which that is possible. Stopping ends what waits; calls that are under way go on. */
enum db_result batches_pause(struct db *db, const char *organization, const char *name,
                             bool *changed);
enum db_result batches_resume(struct db *db, const char *organization, const char *name,
                              bool *changed);
enum db_result batches_stop(struct db *db, const char *organization, const char *name,
                            bool *changed);

/* "running", "paused", "stopped", "done"; "" when there is no such batch. */
#define BATCHES_STATE_TEXT 16
enum db_result batches_state(struct db *db, const char *id, char state[BATCHES_STATE_TEXT]);

/* id, name, state, numbers, waiting, calling, reached, created, organisation, reason. */
enum db_result batches_list(struct db *db, const char *organization, unsigned limit,
                            struct db_rows **rows);
/* One, with what came of its numbers, as a JSON object; no row when there is none. */
enum db_result batches_show(struct db *db, const char *organization, const char *name,
                            struct db_rows **rows);
/* line, to, state, outcome, attempts, due, answered by, lead, error: its numbers, in order. */
enum db_result batches_numbers(struct db *db, const char *batch, unsigned limit,
                               struct db_rows **rows);

#endif
