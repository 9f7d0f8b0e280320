#include "control/store/accounts.h"

#include "common/panic.h"

#include <stdio.h>
#include <stdlib.h>

void accounts_context(const char *organization, const char *kind, const char *account,
                      char context[ACCOUNTS_CONTEXT_MAX])
{
    int bytes = snprintf(context, ACCOUNTS_CONTEXT_MAX, "credentials/%s/%s/%s", organization, kind,
                         account);
    assert(bytes > 0 && bytes < ACCOUNTS_CONTEXT_MAX);
}

static void open_token(const struct seal *seal, const struct db_rows *rows, int row, int column,
                       const char *account_sid, struct accounts_tokens *tokens, int *unopened)
{
    size_t bytes;
    char context[ACCOUNTS_CONTEXT_MAX];
    uint8_t *sealed = db_cell_bytes(rows, row, column, &bytes);
    if (!sealed || tokens->count == ACCOUNTS_TOKENS_MAX) {
        free(sealed);
        return;
    }
    accounts_context(db_cell(rows, row, 0), "twilio", account_sid, context);
    if (seal_read(seal, context, span_from(sealed, bytes), tokens->token[tokens->count],
                  ACCOUNTS_SECRET_MAX))
        tokens->count++;
    else
        (*unopened)++;
    free(sealed);
}

/* An AccountSid: anything else is nobody's, and need not trouble the database. */
static bool is_account(const char *account_sid)
{
    return account_sid && strlen(account_sid) == 34 && strncmp(account_sid, "AC", 2) == 0 &&
           strspn(account_sid + 2, "0123456789abcdefABCDEF") == 32;
}

enum db_result accounts_tokens(struct db *db, const struct seal *seal, const char *account_sid,
                               struct accounts_tokens *tokens, int *unopened)
{
    static const struct db_statement query = {
        "SELECT organization_id, sealed, sealed_previous FROM account_secrets($1)", 1};
    struct db_rows *rows;
    tokens->count = 0;
    *unopened = 0;
    if (!is_account(account_sid))
        return DB_OK;
    enum db_result result = db_run(db, &query, db_values(db_text(account_sid)), &rows);
    for (int row = 0; result == DB_OK && row < db_rows_count(rows); row++) {
        open_token(seal, rows, row, 1, account_sid, tokens, unopened);
        open_token(seal, rows, row, 2, account_sid, tokens, unopened);
    }
    db_rows_free(rows);
    return result;
}

void accounts_wipe(struct accounts_tokens *tokens)
{
    explicit_bzero(tokens, sizeof *tokens);
}

enum db_result accounts_put(struct db *db, const struct seal *seal, const char *organization,
                            const char *kind, const char *account, struct span secret)
{
    static const struct db_statement query = {
        "INSERT INTO credentials AS known (organization_id, kind, account, sealed) "
        "VALUES ($1::uuid, $2, $3, $4::bytea) "
        "ON CONFLICT (organization_id, kind, account) DO UPDATE "
        "SET sealed_previous = known.sealed, sealed = excluded.sealed",
        4};
    uint8_t sealed[ACCOUNTS_SECRET_MAX + SEAL_OVERHEAD_BYTES];
    char context[ACCOUNTS_CONTEXT_MAX];
    assert(secret.bytes > 0 && secret.bytes < ACCOUNTS_SECRET_MAX);
    accounts_context(organization, kind, account, context);
    bool closed = seal_close(seal, context, secret, sealed);
    assert(closed); /* the caller has made sure of a key */
    return db_run(db, &query,
                  db_values(db_text(organization), db_text(kind), db_text(account),
                            db_bytes(span_from(sealed, secret.bytes + SEAL_OVERHEAD_BYTES))),
                  NULL);
}

enum db_result accounts_keep(struct db *db, const struct seal *seal, const char *organization,
                             const char *account, struct span token, const char *by, bool *kept)
{
    static const struct db_statement query = {"SELECT keep_account($1, $2::bytea, $3)", 3};
    uint8_t sealed[ACCOUNTS_SECRET_MAX + SEAL_OVERHEAD_BYTES];
    char context[ACCOUNTS_CONTEXT_MAX];
    struct db_rows *rows;
    assert(token.bytes > 0 && token.bytes < ACCOUNTS_SECRET_MAX);
    accounts_context(organization, "twilio", account, context);
    bool closed = seal_close(seal, context, token, sealed);
    assert(closed);
    enum db_result result = db_run(
        db, &query,
        db_values(db_text(account), db_bytes(span_from(sealed, token.bytes + SEAL_OVERHEAD_BYTES)),
                  db_text(by)),
        &rows);
    *kept = result == DB_OK && db_cell_bool(rows, 0, 0);
    db_rows_free(rows);
    return result;
}

enum db_result accounts_remove(struct db *db, const char *organization, const char *kind,
                               const char *account, bool *removed)
{
    static const struct db_statement query = {
        "DELETE FROM credentials WHERE organization_id = $1::uuid AND kind = $2 AND account = $3 "
        "RETURNING id",
        3};
    struct db_rows *rows;
    enum db_result result = db_run(
        db, &query, db_values(db_text(organization), db_text(kind), db_text(account)), &rows);
    *removed = result == DB_OK && db_rows_count(rows) > 0;
    db_rows_free(rows);
    return result;
}

enum db_result accounts_list(struct db *db, const char *organization, struct db_rows **rows)
{
    return accounts_list_of(db, organization, NULL, rows);
}

enum db_result accounts_list_of(struct db *db, const char *organization, const char *kind,
                                struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT o.name, c.kind, c.account, to_char(c.updated_at, 'YYYY-MM-DD HH24:MI:SS') || 'Z', "
        "(c.sealed_previous IS NOT NULL)::text "
        "FROM credentials AS c JOIN organizations AS o ON o.id = c.organization_id "
        "WHERE ($1::uuid IS NULL OR c.organization_id = $1::uuid) "
        "AND ($2::text IS NULL OR c.kind = $2) ORDER BY 1, 2, 3",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_text(kind)), rows);
}
