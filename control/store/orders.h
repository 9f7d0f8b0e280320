/* orders: what somebody wants done with a live call, on its way to the edge (sql/0006).
 *
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_ORDERS_H
#define RINGBRIDGE_CONTROL_STORE_ORDERS_H

#include "control/base/uuid.h"
#include "control/db/db.h"

enum orders_given { ORDERS_GIVEN, ORDERS_NOT_LIVE, ORDERS_OVER };

/* Orders body_json (link_proto.h, without "call") about a call, valid for patience_ms; writes the
 * order's id. */
enum db_result orders_give(struct db *db, const char *call, const char *body_json, const char *by,
                           unsigned patience_ms, enum orders_given *given,
                           char id[UUID_TEXT_BYTES + 1]);

/* Notes that somebody is let listen. Rows: organization, base of the edge's URL or
 * NULL, the edge's core. */
enum db_result orders_note_listener(struct db *db, const char *call, const char *by,
                                    enum orders_given *given, struct db_rows **rows);

/* state and error of an order: "waiting", "sent", "done", "refused", "expired". */
enum db_result orders_look(struct db *db, const char *id, struct db_rows **rows);

/* Nobody may take it any more. */
enum db_result orders_expire(struct db *db, const char *id);

/* Takes what waits for these edges: id, edge's run, call, body with the call. */
enum db_result orders_take(struct db *db, const char *const *runs, int count,
                           struct db_rows **rows);

/* What the edge answered. error may be NULL. */
enum db_result orders_settle(struct db *db, const char *id, bool ok, const char *error);

#endif
