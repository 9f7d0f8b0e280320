/* transfers: warm transfers (sql/0013), as webhooks and jobs see them.
 *
 * What it is: one round trip per webhook, to functions that find the organisation themselves; and
 * what the two jobs of a transfer read and write. What it is not: the carrier's requests.
 * Texts in may be anything; ids that are none find nothing. Thread: the owner of db. */
#ifndef RINGBRIDGE_CONTROL_STORE_TRANSFERS_H
#define RINGBRIDGE_CONTROL_STORE_TRANSFERS_H

#include "control/store/calls.h"

struct transfers_wish {
    const char *account_sid, *call_sid, *place;
    const char *step_json;
    const char *from, *to; /* what the person sees, and who it is */
    unsigned patience_s;   /* until somebody has accepted */
};

/* Begins one and plans its jobs, or finds the one that was begun by the same question. id is empty
 * when there is no such call, or it is over. */
enum db_result transfers_begin(struct db *db, const struct transfers_wish *wish,
                               char id[CALLS_UUID_TEXT]);

/* What became of a webhook about a transfer. */
struct transfers_taken {
    enum calls_found found;
    bool stored; /* false: it was on record already */
    char conversation[CALLS_UUID_TEXT], organization[CALLS_UUID_TEXT];
    char state[16], reason[16];
    const char *step_json;
    struct db_rows *rows;
};

/* event: status, answered, accept, refuse, silent, wait, left or conference (carrier_transfer of
 * sql/0013). key: what makes it the same event again. Then transfers_taken_free. */
enum db_result transfers_take(struct db *db, const struct calls_webhook *webhook, const char *id,
                              const char *event, const char *key, struct transfers_taken *taken);
void transfers_taken_free(struct transfers_taken *taken);

/* ---- for the jobs, within a transaction of the organisation ---- */

/* What a job needs to know, one row or none. */
enum transfers_column {
    TRANSFERS_STATE,
    TRANSFERS_ACCOUNT,
    TRANSFERS_CALL,      /* the caller's CallSid */
    TRANSFERS_CALL_OVER, /* he has hung up */
    TRANSFERS_LEFT,      /* he is out of the conference */
    TRANSFERS_CALLEE,    /* the person's CallSid, or NULL */
    TRANSFERS_CALLEE_OVER,
    TRANSFERS_PLACE,
    TRANSFERS_STEP,
    TRANSFERS_FROM,
    TRANSFERS_TO,
    TRANSFERS_PLACED, /* the carrier was asked to call */
    TRANSFERS_OPEN,   /* not ended */
    TRANSFERS_REST_MS /* until the deadline; 0: it is over */
};
enum db_result transfers_look(struct db *db, const char *id, struct db_rows **rows);

/* Where it is now, and stays until this transaction ends; "" when there is none. */
enum db_result transfers_hold(struct db *db, const char *id, char state[16]);

/* The carrier is about to be asked; when it has told nothing of a leg soon after, the watch looks.
 * Not began: it was asked before, or nobody waits any more. */
enum db_result transfers_place(struct db *db, const char *id, bool *began);
/* It was surely not asked. */
enum db_result transfers_unplace(struct db *db, const char *id);
/* The carrier's name for the leg. */
enum db_result transfers_placed(struct db *db, const char *id, const char *callee_sid);

/* Moves it as move_transfer of sql/0013 does, from a state to another, and notes it in the ledger.
 * reason: for "returned", else NULL. */
enum db_result transfers_move(struct db *db, const char *id, const char *before, const char *after,
                              const char *reason, bool *moved);

/* ---- for people ---- */

/* The newest first, of one organisation or of all (NULL): id, when it began, organisation, call,
 * who was called, state, reason, and the seconds until it ended. */
enum db_result transfers_list(struct db *db, const char *organization, unsigned limit,
                              struct db_rows **rows);

/* A transfer, by its id, or all of a call, oldest first, each as JSON for reading with what was
 * told about it. */
enum db_result transfers_show(struct db *db, const char *id, struct db_rows **rows);

#endif
