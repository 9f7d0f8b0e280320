/* outbound: calls that we make, one by one (sql/0015, whose head says how it is made sure that
 * nobody is called twice): asked for, released at their pace, and each attempt's steps.
 *
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_OUTBOUND_H
#define RINGBRIDGE_CONTROL_STORE_OUTBOUND_H

#include "control/base/seal.h"
#include "control/base/uuid.h"
#include "control/db/db.h"

struct outbound_new {
    const char *to, *from; /* E.164 */
    const char *account;   /* the installation's, where the organisation has none; or NULL */
    const char *plan_json, *variables_json, *lead;
    const char *key; /* or NULL: it is asked for anew */
    uint8_t hash[SEAL_HASH_BYTES];
    const char *by;
};

enum outbound_verdict {
    OUTBOUND_MADE,
    OUTBOUND_REPEATED,      /* under this key, before */
    OUTBOUND_OTHER_REQUEST, /* the key was used for something else */
    OUTBOUND_NOT_OURS,      /* from is no active number of the organisation */
    OUTBOUND_DO_NOT_CALL,
    OUTBOUND_NO_ACCOUNT
};

/* Puts one call into the queue, within a transaction of the organisation. id: unless refused. */
enum db_result outbound_add(struct db *db, const char *organization,
                            const struct outbound_new *call, enum outbound_verdict *verdict,
                            char id[UUID_TEXT_BYTES + 1]);

/* One call, with its attempts, as a JSON object; no row when there is none. */
enum db_result outbound_show(struct db *db, const char *organization, const char *id,
                             struct db_rows **rows);
/* id, to, state, outcome, attempts, due, answered by, lead, batch, error. Newest first. */
enum db_result outbound_list(struct db *db, const char *organization, unsigned limit,
                             struct db_rows **rows);

/* Releases what is due, of all organisations: how many. Begins no transaction of anyone's. */
enum db_result outbound_release(struct db *db, int64_t *released);

/* ---- limits ---- */

/* calls_at_once, calls_per_minute, calls_per_day, time_zone, settle_s, called today. */
enum db_result outbound_limits(struct db *db, const char *organization, struct db_rows **rows);
/* The defaults, where the organisation has set nothing. */
enum db_result outbound_limits_make(struct db *db, const char *organization);
/* key is one of those columns, but the last. DB_REFUSED: the value is out of its range. */
enum db_result outbound_limit(struct db *db, const char *organization, const char *key,
                              const char *value, bool *known);

/* ---- an attempt, for its job; each within a transaction of its organisation ---- */

/* verdict ("ask", "look", "nothing"), account, from, to, plan, asks. */
enum db_result outbound_begin(struct db *db, const char *attempt, struct db_rows **rows);
/* The carrier has told the call. by: "answer", "list". mine: false: the attempt has another. */
enum db_result outbound_made(struct db *db, const char *attempt, const char *sid, const char *by,
                             bool *mine);
/* It was surely not asked: it is ready again. */
enum db_result outbound_unasked(struct db *db, const char *attempt);
/* It was asked, and gave no answer that says what came of it. */
enum db_result outbound_unsure(struct db *db, const char *attempt);
/* A call of the carrier's list. mine: it is the attempt's. */
enum db_result outbound_listed(struct db *db, const char *attempt, const char *sid,
                               const char *created, bool *mine);
/* The list has none. settled: nothing more to look for; the attempt was ended, or is ready. */
enum db_result outbound_unlisted(struct db *db, const char *attempt, bool *settled);
/* There is no call and will be none. outcome: "refused" or "unknown". */
enum db_result outbound_drop(struct db *db, const char *attempt, const char *outcome,
                             const char *why);
/* Nobody can be called: its batch is paused. paused: false where it is in none. */
enum db_result outbound_pause_for(struct db *db, const char *attempt, const char *why,
                                  bool *paused);

/* ---- whom not to call ---- */

/* A number that stands there already stays as it is. id: its row's, found or made. */
enum db_result outbound_dnc_put(struct db *db, const char *organization, const char *number,
                                const char *reason, const char *by, char id[UUID_TEXT_BYTES + 1]);
enum db_result outbound_dnc_drop(struct db *db, const char *id, bool *removed);
enum db_result outbound_dnc_remove(struct db *db, const char *organization, const char *number,
                                   bool *removed);
/* number, reason, by, since, organisation. */
enum db_result outbound_dnc_list(struct db *db, const char *organization, unsigned limit,
                                 struct db_rows **rows);

#endif
