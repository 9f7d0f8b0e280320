#include "control/store/deliveries.h"

enum db_result deliveries_add(struct db *db, const struct deliveries_new *delivery)
{
    static const struct db_statement query = {
        "SELECT add_delivery($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5, $6, $7, $8, $9)", 9};
    return db_run(db, &query,
                  db_values(db_text(delivery->id), db_text(delivery->organization),
                            db_text(delivery->conversation), db_text(delivery->endpoint),
                            db_text(delivery->kind), db_text(delivery->event),
                            db_text(delivery->key), db_text(delivery->target),
                            db_text(delivery->body)),
                  NULL);
}

enum db_result deliveries_load(struct db *db, const char *organization, const char *id,
                               struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT body, endpoint_id, sent_at IS NOT NULL, extract(epoch FROM created_at)::bigint "
        "FROM deliveries WHERE organization_id = $1::uuid AND id = $2::uuid",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_text(id)), rows);
}

enum db_result deliveries_begin(struct db *db, const char *organization, const char *id)
{
    static const struct db_statement query = {
        "UPDATE deliveries SET maybe_twice = maybe_twice OR sending_since IS NOT NULL, "
        "sending_since = now() WHERE organization_id = $1::uuid AND id = $2::uuid",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_text(id)), NULL);
}

enum db_result deliveries_failed(struct db *db, const char *organization, const char *id)
{
    static const struct db_statement query = {"UPDATE deliveries SET sending_since = NULL "
                                              "WHERE organization_id = $1::uuid AND id = $2::uuid",
                                              2};
    return db_run(db, &query, db_values(db_text(organization), db_text(id)), NULL);
}

enum db_result deliveries_sent(struct db *db, const char *organization, const char *id, int answer,
                               const char *provider_id)
{
    static const struct db_statement query = {
        "UPDATE deliveries SET sent_at = coalesce(sent_at, now()), sending_since = NULL, "
        "answer = $3::integer, provider_id = left($4, 300) "
        "WHERE organization_id = $1::uuid AND id = $2::uuid",
        4};
    return db_run(
        db, &query,
        db_values(db_text(organization), db_text(id), db_number(answer), db_text(provider_id)),
        NULL);
}

/* The job knows how far it is; a job that was forgotten long ago had an end. */
#define STATE                                                                                      \
    "CASE WHEN j.state IN ('queued', 'leased') THEN 'waiting' WHEN d.sent_at IS NOT NULL "         \
    "THEN 'sent' ELSE 'dead' END"
#define JOB                                                                                        \
    "LEFT JOIN jobs AS j ON j.organization_id = d.organization_id "                                \
    "AND j.kind = d.kind || '_send' AND j.idempotency_key = d.id::text "

enum db_result deliveries_list(struct db *db, const char *organization, const char *state,
                               unsigned limit, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT d.id, to_char(d.created_at, 'YYYY-MM-DD HH24:MI:SS') || 'Z', d.kind, d.event, "
        "d.target, " STATE ", j.tries, d.answer, coalesce(j.last_error, CASE WHEN d.maybe_twice "
        "THEN 'perhaps sent twice' END), d.conversation_id, o.name "
        "FROM deliveries AS d JOIN organizations AS o ON o.id = d.organization_id " JOB
        "WHERE ($1::uuid IS NULL OR d.organization_id = $1::uuid) "
        "AND ($2::text IS NULL OR " STATE " = $2) ORDER BY d.created_at DESC, d.id "
        "LIMIT $3::integer",
        3};
    return db_run(db, &query, db_values(db_text(organization), db_text(state), db_number(limit)),
                  rows);
}

enum db_result deliveries_show(struct db *db, const char *id, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT jsonb_pretty(to_jsonb(d) || jsonb_build_object('state', " STATE ", 'job', j.id, "
        "'tries', j.tries, 'last_error', j.last_error)) FROM deliveries AS d " JOB
        "WHERE d.id::text = lower($1)",
        1};
    return db_run(db, &query, db_values(db_text(id)), rows);
}

enum db_result deliveries_replay(struct db *db, const char *id, int64_t *count)
{
    static const struct db_statement query = {
        "WITH chosen AS (SELECT d.* FROM deliveries AS d " JOB
        " WHERE (d.id::text = lower($1) AND " STATE " <> 'waiting') "
        "OR (d.endpoint_id::text = lower($1) AND " STATE " = 'dead')), "
        "again AS (INSERT INTO jobs AS j (organization_id, kind, idempotency_key, payload, "
        "max_tries) SELECT organization_id, kind || '_send', id::text, "
        "jsonb_build_object('delivery', id, 'again', true), 30 FROM chosen "
        "ON CONFLICT (organization_id, kind, idempotency_key) DO UPDATE SET state = 'queued', "
        "tries = 0, due_at = now(), finished_at = NULL, payload = excluded.payload "
        "WHERE j.state IN ('done', 'dead') RETURNING 1) SELECT count(*) FROM again",
        1};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(id)), &rows);
    *count = result == DB_OK ? db_cell_number(rows, 0, 0) : 0;
    db_rows_free(rows);
    return result;
}
