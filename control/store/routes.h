/* routes: what is done with an organisation's calls, and the messages that callers left, for the
 * command line. Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_ROUTES_H
#define RINGBRIDGE_CONTROL_STORE_ROUTES_H

#include "control/db/db.h"

struct routes_new {
    const char *number;  /* of the organisation; NULL: all */
    const char *purpose; /* "answer" or "fallback" */
    const char *days;    /* {1,2,3} */
    const char *opens, *closes, *time_zone;
    const char *step_json; /* checked by steps_check */
    const char *label;
    unsigned position;
};

/* id gets the new route's. DB_REFUSED: db_constraint says why (call_routes_time_zone,
 * call_routes_purpose); also, with db_constraint "", when the organisation has no such number. */
enum db_result routes_add(struct db *db, const char *organization, const struct routes_new *route,
                          char id[37]);

/* removed counts. organization NULL: any. */
enum db_result routes_remove(struct db *db, const char *organization, const char *id, int *removed);

/* id, number, purpose, position, hours, time zone, step (JSON), label, organisation. In the order
 * in which they are asked. organization NULL: all. */
enum db_result routes_list(struct db *db, const char *organization, struct db_rows **rows);

/* id, state, status, created, from, to, seconds, transcription, conversation, organisation,
 * recording. organization NULL: all. Newest first, at most limit. */
enum db_result routes_voicemails(struct db *db, const char *organization, unsigned limit,
                                 struct db_rows **rows);

/* Moves a message to "listened" or "archived" (or back to "new"); moved says whether it is there.
 */
enum db_result routes_move_voicemail(struct db *db, const char *id, const char *state, bool *moved);

#endif
