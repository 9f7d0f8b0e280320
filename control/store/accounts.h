/* accounts: sealed credentials of organisations, found by the carrier's account.
 *
 * A sub-account signs its webhooks with its own token, so the token is chosen by AccountSid; that
 * the account may speak for the organisation of the call is checked again by the SQL functions of
 * calls.h. Thread: the owner of db. */
#ifndef RINGBRIDGE_CONTROL_STORE_ACCOUNTS_H
#define RINGBRIDGE_CONTROL_STORE_ACCOUNTS_H

#include "control/base/seal.h"
#include "control/db/db.h"

#define ACCOUNTS_TOKENS_MAX  4
#define ACCOUNTS_SECRET_MAX  512 /* longest secret taken, with NUL */
#define ACCOUNTS_CONTEXT_MAX 128

/* Secrets in the clear: wipe with accounts_wipe. */
struct accounts_tokens {
    int count; /* 0: the account is unknown here; try the installation's own */
    char token[ACCOUNTS_TOKENS_MAX]
              [ACCOUNTS_SECRET_MAX]; /* the current one first, then the previous one */
};

/* The auth tokens of an account, opened. A token that does not open (wrong secret key) is left out
 * and unopened counts it. */
enum db_result accounts_tokens(struct db *db, const struct seal *seal, const char *account_sid,
                               struct accounts_tokens *tokens, int *unopened);
void accounts_wipe(struct accounts_tokens *tokens);

/* What a secret is sealed to: it opens nowhere else. */
void accounts_context(const char *organization, const char *kind, const char *account,
                      char context[ACCOUNTS_CONTEXT_MAX]);

/* For the command line. kind: "twilio" (account: AccountSid, secret: auth token) or "openai"
 * (account: "", secret: API key). Adding again makes the old secret the previous one. */
enum db_result accounts_put(struct db *db, const struct seal *seal, const char *organization,
                            const char *kind, const char *account, struct span secret);
enum db_result accounts_remove(struct db *db, const char *organization, const char *kind,
                               const char *account, bool *removed);
/* The account that was made for an organisation, sealed: within a transaction that has named it.
 * by: who wanted it. kept: false when it has one already. The caller has made sure of a key. */
enum db_result accounts_keep(struct db *db, const struct seal *seal, const char *organization,
                             const char *account, struct span token, const char *by, bool *kept);

/* Columns: organisation name, kind, account, updated (text), has previous. No secrets. kind NULL:
 * every kind. */
enum db_result accounts_list(struct db *db, const char *organization, struct db_rows **rows);
enum db_result accounts_list_of(struct db *db, const char *organization, const char *kind,
                                struct db_rows **rows);

#endif
