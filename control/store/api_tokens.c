#include "control/store/api_tokens.h"

enum db_result api_tokens_add(struct db *db, const char *organization, const char *role,
                              const char *label, char token[SEAL_TOKEN_TEXT])
{
    static const struct db_statement query = {
        "INSERT INTO api_tokens (organization_id, role, label, hash) "
        "VALUES ($1::uuid, $2, $3, $4::bytea)",
        4};
    uint8_t hash[SEAL_HASH_BYTES];
    seal_token(token);
    seal_hash(span_of(token), hash);
    return db_run(db, &query,
                  db_values(db_text(organization), db_text(role), db_text(label),
                            db_bytes(span_from(hash, sizeof hash))),
                  NULL);
}

enum db_result api_tokens_revoke(struct db *db, const char *id, bool *revoked)
{
    static const struct db_statement query = {
        "UPDATE api_tokens SET revoked_at = now() WHERE id::text = $1 AND revoked_at IS NULL "
        "RETURNING id",
        1};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(id)), &rows);
    *revoked = result == DB_OK && db_rows_count(rows) == 1;
    db_rows_free(rows);
    return result;
}

enum db_result api_tokens_list(struct db *db, const char *organization, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT t.id, o.name, t.role, t.label, "
        "to_char(t.created_at, 'YYYY-MM-DD HH24:MI:SS') || 'Z', "
        "coalesce(to_char(t.revoked_at, 'YYYY-MM-DD HH24:MI:SS') || 'Z', '') "
        "FROM api_tokens AS t JOIN organizations AS o ON o.id = t.organization_id "
        "WHERE $1::uuid IS NULL OR t.organization_id = $1::uuid ORDER BY 2, 5",
        1};
    return db_run(db, &query, db_values(db_text(organization)), rows);
}
