/* deliveries: what goes out after a call, and whether it has arrived (sql/0011).
 *
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_DELIVERIES_H
#define RINGBRIDGE_CONTROL_STORE_DELIVERIES_H

#include "control/db/db.h"

struct deliveries_new {
    const char *id; /* made by the caller: it stands in the body */
    const char *organization, *conversation;
    const char *endpoint; /* or NULL */
    const char *kind, *event, *key, *target, *body;
};

/* Puts it into the outbox with the job that sends it, once per key. Within a transaction of the
 * organisation. */
enum db_result deliveries_add(struct db *db, const struct deliveries_new *delivery);

enum deliveries_column {
    DELIVERIES_BODY,
    DELIVERIES_ENDPOINT, /* or NULL */
    DELIVERIES_IS_SENT,
    DELIVERIES_CREATED_S /* unix */
};
/* No row when there is no such delivery. Within a transaction of the organisation. */
enum db_result deliveries_load(struct db *db, const char *organization, const char *id,
                               struct db_rows **rows);

/* For ways without an idempotency key: notes that a hand-over begins; if one began before and
 * nobody knows how it ended, that this is perhaps the second. Within a transaction. */
enum db_result deliveries_begin(struct db *db, const char *organization, const char *id);
/* .. and that it has certainly not worked. */
enum db_result deliveries_failed(struct db *db, const char *organization, const char *id);

/* It has arrived. Within a transaction. */
enum db_result deliveries_sent(struct db *db, const char *organization, const char *id, int answer,
                               const char *provider_id);

/* For people: id, created, kind, event, target, state, tries, answer, error, call, organisation.
 * state NULL: all. */
enum db_result deliveries_list(struct db *db, const char *organization, const char *state,
                               unsigned limit, struct db_rows **rows);
enum db_result deliveries_show(struct db *db, const char *id, struct db_rows **rows); /* JSON */

/* Sends again under the same id: one delivery, or all that were given up for an endpoint. The
 * receiver tells repetitions by the id. count: how many. */
enum db_result deliveries_replay(struct db *db, const char *id, int64_t *count);

#endif
