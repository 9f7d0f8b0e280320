#include "control/store/api_answers.h"

static enum db_result forget_old(struct db *db)
{
    static const struct db_statement query = {
        "DELETE FROM api_answers WHERE organization_id = current_organization() "
        "AND created_at < now() - interval '1 day'",
        0};
    return db_run(db, &query, NULL, 0, NULL);
}

static enum db_result look(struct db *db, const struct api_answers_key *key, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT status, location, answer, operation = $4 AND body_hash = $5::bytea, "
        "request_id = $6::uuid FROM api_answers "
        "WHERE organization_id = $1::uuid AND token_id = $2::uuid AND key = $3",
        6};
    return db_run(db, &query,
                  db_values(db_text(key->organization), db_text(key->token), db_text(key->key),
                            db_text(key->operation),
                            db_bytes(span_from(key->body_hash, sizeof key->body_hash)),
                            db_text(key->request)),
                  rows);
}

enum db_result api_answers_claim(struct db *db, const struct api_answers_key *key,
                                 struct db_rows **rows)
{
    static const struct db_statement query = {
        "INSERT INTO api_answers (organization_id, token_id, key, operation, body_hash, "
        "request_id) VALUES ($1::uuid, $2::uuid, $3, $4, $5::bytea, $6::uuid) "
        "ON CONFLICT DO NOTHING RETURNING key",
        6};
    struct db_rows *claimed;
    *rows = NULL;
    enum db_result result = forget_old(db);
    if (result != DB_OK)
        return result;
    result = db_run(db, &query,
                    db_values(db_text(key->organization), db_text(key->token), db_text(key->key),
                              db_text(key->operation),
                              db_bytes(span_from(key->body_hash, sizeof key->body_hash)),
                              db_text(key->request)),
                    &claimed);
    bool ours = result == DB_OK && db_rows_count(claimed) == 1;
    db_rows_free(claimed);
    return result == DB_OK && !ours ? look(db, key, rows) : result;
}

enum db_result api_answers_keep(struct db *db, const struct api_answers_key *key, int status,
                                const char *location, const char *answer)
{
    static const struct db_statement query = {
        "UPDATE api_answers SET status = $4::integer, location = $5, answer = $6 "
        "WHERE organization_id = $1::uuid AND token_id = $2::uuid AND key = $3",
        6};
    return db_run(db, &query,
                  db_values(db_text(key->organization), db_text(key->token), db_text(key->key),
                            db_number(status), db_text(location), db_text(answer)),
                  NULL);
}

enum db_result api_answers_audit(struct db *db, const struct api_audit *audit)
{
    static const struct db_statement query = {
        "INSERT INTO api_audit (id, organization_id, token_id, token_label, operation, target, "
        "status, key, peer) VALUES ($1::uuid, $2::uuid, $3::uuid, $4, $5, left($6, 1024), "
        "$7::integer, $8, left($9, 100)) ON CONFLICT DO NOTHING",
        9};
    return db_run(db, &query,
                  db_values(db_text(audit->id), db_text(audit->organization), db_text(audit->token),
                            db_text(audit->token_label), db_text(audit->operation),
                            db_text(audit->target), db_number(audit->status), db_text(audit->key),
                            db_text(audit->peer)),
                  NULL);
}

enum db_result api_answers_audited(struct db *db, const char *organization, unsigned limit,
                                   struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT to_char(a.at, 'YYYY-MM-DD HH24:MI:SS') || 'Z', a.operation, a.target, a.status, "
        "a.token_id, a.token_label, a.peer, o.name, a.id FROM api_audit AS a "
        "JOIN organizations AS o ON o.id = a.organization_id "
        "WHERE $1::uuid IS NULL OR a.organization_id = $1::uuid ORDER BY a.at DESC, a.id "
        "LIMIT $2::integer",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_number(limit)), rows);
}
