#include "control/store/endpoints.h"

#include "common/panic.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

void endpoints_context(const char *organization, const char *id,
                       char context[ENDPOINTS_CONTEXT_MAX])
{
    int bytes = snprintf(context, ENDPOINTS_CONTEXT_MAX, "endpoints/%s/%s", organization, id);
    assert(bytes > 0 && bytes < ENDPOINTS_CONTEXT_MAX);
}

enum db_result endpoints_add(struct db *db, const struct seal *seal, const char *organization,
                             const char *url, const char *label, const char *secret,
                             char id[UUID_TEXT_BYTES + 1])
{
    static const struct db_statement query = {
        "INSERT INTO endpoints (id, organization_id, kind, url, label, sealed) "
        "VALUES ($1::uuid, $2::uuid, $3, $4, $5, $6::bytea)",
        6};
    uint8_t sealed[ENDPOINTS_SECRET_MAX + SEAL_OVERHEAD_BYTES];
    char context[ENDPOINTS_CONTEXT_MAX];
    size_t bytes = strlen(secret);
    assert(bytes > 0 && bytes < ENDPOINTS_SECRET_MAX);
    uuid_make(id);
    endpoints_context(organization, id, context);
    bool closed = seal_close(seal, context, span_of(secret), sealed);
    assert(closed); /* the caller has made sure of a key */
    return db_run(db, &query,
                  db_values(db_text(id), db_text(organization), db_text(url ? "webhook" : "slack"),
                            db_text(url), db_text(label),
                            db_bytes(span_from(sealed, bytes + SEAL_OVERHEAD_BYTES))),
                  NULL);
}

enum db_result endpoints_remove(struct db *db, const char *organization, const char *id,
                                bool *removed)
{
    static const struct db_statement query = {
        "DELETE FROM endpoints WHERE id::text = lower($2) "
        "AND ($1::uuid IS NULL OR organization_id = $1::uuid) RETURNING id",
        2};
    struct db_rows *rows;
    enum db_result result =
        db_run(db, &query, db_values(db_text(organization), db_text(id)), &rows);
    *removed = result == DB_OK && db_rows_count(rows) == 1;
    db_rows_free(rows);
    return result;
}

enum db_result endpoints_list(struct db *db, const char *organization, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT e.id, e.kind, coalesce(e.url, 'slack'), e.label, "
        "CASE WHEN e.disabled_at IS NULL THEN 'in use' ELSE 'disabled: ' || "
        "coalesce(e.disabled_reason, '') END, "
        "to_char(e.created_at, 'YYYY-MM-DD HH24:MI:SS') || 'Z', o.name "
        "FROM endpoints AS e JOIN organizations AS o ON o.id = e.organization_id "
        "WHERE $1::uuid IS NULL OR e.organization_id = $1::uuid ORDER BY o.name, e.created_at",
        1};
    return db_run(db, &query, db_values(db_text(organization)), rows);
}

enum db_result endpoints_open(struct db *db, const struct seal *seal, const char *organization,
                              const char *id, struct endpoints_target *target)
{
    static const struct db_statement query = {
        "SELECT url, sealed FROM endpoints WHERE organization_id = $1::uuid AND id = $2::uuid "
        "AND disabled_at IS NULL",
        2};
    struct db_rows *rows;
    char context[ENDPOINTS_CONTEXT_MAX];
    size_t bytes;
    *target = (struct endpoints_target){.found = false};
    enum db_result result =
        db_run(db, &query, db_values(db_text(organization), db_text(id)), &rows);
    if (result == DB_OK && db_rows_count(rows) == 1) {
        uint8_t *sealed = db_cell_bytes(rows, 0, 1, &bytes);
        const char *url = db_cell(rows, 0, 0);
        target->found = true;
        endpoints_context(organization, id, context);
        target->opened = sealed && seal_read(seal, context, span_from(sealed, bytes),
                                             target->secret, sizeof target->secret);
        if (target->opened)
            snprintf(target->url, sizeof target->url, "%s", url ? url : target->secret);
        free(sealed);
    }
    db_rows_free(rows);
    return result;
}

enum db_result endpoints_disable(struct db *db, const char *organization, const char *id,
                                 const char *reason)
{
    static const struct db_statement query = {
        "UPDATE endpoints SET disabled_at = now(), disabled_reason = left($3, 2000) "
        "WHERE organization_id = $1::uuid AND id = $2::uuid AND disabled_at IS NULL",
        3};
    return db_run(db, &query, db_values(db_text(organization), db_text(id), db_text(reason)), NULL);
}
