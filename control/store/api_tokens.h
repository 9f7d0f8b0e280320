/* api_tokens: who may use the API for an organisation, for the command line. Only the SHA-256 of a
 * token is ever stored. Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_API_TOKENS_H
#define RINGBRIDGE_CONTROL_STORE_API_TOKENS_H

#include "control/db.h"
#include "control/seal.h"

/* Makes a token, stores its hash and writes the token itself: the only time it is seen. */
enum db_result api_tokens_add(struct db *db, const char *organization, const char *role,
                              const char *label, char token[SEAL_TOKEN_TEXT]);

/* By the id of api_tokens_list; *revoked is false when there is none (or it was before). */
enum db_result api_tokens_revoke(struct db *db, const char *id, bool *revoked);

/* id, organisation, role, label, created, revoked or empty. organization NULL: all. */
enum db_result api_tokens_list(struct db *db, const char *organization, struct db_rows **rows);

#endif
