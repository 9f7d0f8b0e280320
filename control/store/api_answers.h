/* api_answers: what the API answered to a change, for whoever asks again, and who wanted what
 * (sql/0014).
 *
 * Within a transaction of the organisation. Thread: the owner of db. */
#ifndef RINGBRIDGE_CONTROL_STORE_API_ANSWERS_H
#define RINGBRIDGE_CONTROL_STORE_API_ANSWERS_H

#include "control/base/seal.h"
#include "control/db/db.h"

struct api_answers_key {
    const char *organization, *token, *key, *operation, *request;
    uint8_t body_hash[SEAL_HASH_BYTES];
};

enum api_answers_column {
    API_ANSWERS_STATUS,
    API_ANSWERS_LOCATION,
    API_ANSWERS_ANSWER,
    API_ANSWERS_SAME, /* the same operation and body */
    API_ANSWERS_OURS  /* even the same request */
};

/* Claims the key: *rows is NULL and the change is to be made; or it was claimed before, and *rows
 * has what was answered then. Waits for another transaction that has just claimed it. Also forgets
 * the organisation's answers that are older than a day. */
enum db_result api_answers_claim(struct db *db, const struct api_answers_key *key,
                                 struct db_rows **rows);

/* .. and writes what it is answered with. */
enum db_result api_answers_keep(struct db *db, const struct api_answers_key *key, int status,
                                const char *location, const char *answer);

struct api_audit {
    const char *id, *organization, *token, *token_label;
    const char *operation, *target, *key, *peer; /* key may be NULL */
    int status;
};

/* Once per id. */
enum db_result api_answers_audit(struct db *db, const struct api_audit *audit);

/* For the command line: at, operation, target, status, token, label, peer, organisation, request.
 * Newest first. organization NULL: all. */
enum db_result api_answers_audited(struct db *db, const char *organization, unsigned limit,
                                   struct db_rows **rows);

#endif
