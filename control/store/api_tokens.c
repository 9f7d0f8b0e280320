#include "control/store/api_tokens.h"

#define RATE_USUAL 600

enum db_result api_tokens_add(struct db *db, const char *organization,
                              const struct api_tokens_new *made, char token[SEAL_TOKEN_TEXT],
                              char id[37])
{
    static const struct db_statement query = {
        "INSERT INTO api_tokens (organization_id, role, label, hash, scopes, rate_per_minute, "
        "expires_at) VALUES ($1::uuid, $2, $3, $4::bytea, string_to_array($5, ','), $6::integer, "
        "CASE WHEN $7 ~ '^[0-9]{1,5} (minute|hour|day)s?$' THEN now() + $7::interval "
        "ELSE $7::timestamptz END) RETURNING id",
        7};
    uint8_t hash[SEAL_HASH_BYTES];
    struct db_rows *rows;
    seal_token(token);
    seal_hash(span_of(token), hash);
    enum db_result result =
        db_run(db, &query,
               db_values(db_text(organization), db_text(made->role), db_text(made->label),
                         db_bytes(span_from(hash, sizeof hash)), db_text(made->scopes),
                         db_number(made->rate_per_minute ? made->rate_per_minute : RATE_USUAL),
                         db_text(made->expires_at)),
               &rows);
    if (result == DB_OK && !span_copy_text(span_of(db_cell(rows, 0, 0)), id, 37))
        result = DB_BROKEN;
    db_rows_free(rows);
    return result;
}

enum db_result api_tokens_find(struct db *db, struct span token, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT id, organization, role, array_to_string(scopes, ','), label, rate_per_minute "
        "FROM api_token($1::bytea)",
        1};
    uint8_t hash[SEAL_HASH_BYTES];
    seal_hash(token, hash);
    return db_run(db, &query, db_values(db_bytes(span_from(hash, sizeof hash))), rows);
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
        "coalesce(to_char(t.revoked_at, 'YYYY-MM-DD HH24:MI:SS') || 'Z', ''), "
        "coalesce(to_char(t.expires_at, 'YYYY-MM-DD HH24:MI:SS') || 'Z', ''), "
        "coalesce(array_to_string(t.scopes, ','), 'all'), t.rate_per_minute "
        "FROM api_tokens AS t JOIN organizations AS o ON o.id = t.organization_id "
        "WHERE $1::uuid IS NULL OR t.organization_id = $1::uuid ORDER BY 2, 5",
        1};
    return db_run(db, &query, db_values(db_text(organization)), rows);
}
