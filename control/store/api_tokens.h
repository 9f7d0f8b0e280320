/* api_tokens: who may use the API for an organisation, for the API itself, for it and the
 * command line to change. Only the SHA-256 of a
 * token is ever stored. Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_API_TOKENS_H
#define RINGBRIDGE_CONTROL_STORE_API_TOKENS_H

#include "control/base/seal.h"
#include "control/db/db.h"

struct api_tokens_new {
    const char *role, *label;
    const char *scopes;       /* "calls,recordings", or NULL: all that the role may */
    unsigned rate_per_minute; /* 0: as usual */
    const char *expires_at;   /* a time, or "90 days" from now; NULL: never */
};

/* Makes a token, stores its hash and writes the token itself: the only time it is seen. id gets its
 * id. DB_REFUSED: db_constraint says why (api_tokens_role, _scopes, _rate, _label), or expires_at
 * is no time. */
enum db_result api_tokens_add(struct db *db, const char *organization,
                              const struct api_tokens_new *made, char token[SEAL_TOKEN_TEXT],
                              char id[37]);

enum api_tokens_column {
    API_TOKENS_ID,
    API_TOKENS_ORGANIZATION,
    API_TOKENS_ROLE,
    API_TOKENS_SCOPES, /* "calls,recordings" or NULL */
    API_TOKENS_LABEL,
    API_TOKENS_RATE
};

/* The valid token of this text; no row: nobody's. Before an organisation is known. */
enum db_result api_tokens_find(struct db *db, struct span token, struct db_rows **rows);

/* By the id of api_tokens_list; *revoked is false when there is none (or it was before). */
enum db_result api_tokens_revoke(struct db *db, const char *id, bool *revoked);

/* id, organisation, role, label, created, revoked or empty, expires or empty, scopes, rate.
 * organization NULL: all. */
enum db_result api_tokens_list(struct db *db, const char *organization, struct db_rows **rows);

#endif
