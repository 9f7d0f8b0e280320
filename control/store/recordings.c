#include "control/store/recordings.h"

enum db_result recordings_add(struct db *db, const struct recordings_row *row)
{
    static const struct db_statement query = {
        "INSERT INTO recordings (id, organization_id, conversation_id, source, source_name, edge, "
        "path, media_type, started_at, duration_ms, bytes, sha256, peaks, peak_ms, account_sid, "
        "purpose, store) "
        "VALUES ($1::uuid, $2::uuid, $3::uuid, $4, $5, $6, $7, $8, "
        "timestamptz 'epoch' + $9::bigint * interval '1 millisecond', $10::bigint, $11::bigint, "
        "$12::bytea, $13::bytea, $14::integer, $15, $16, $17) "
        "ON CONFLICT (organization_id, source, source_name) DO NOTHING",
        17};
    return db_run(db, &query,
                  db_values(db_text(row->id), db_text(row->organization),
                            db_text(row->conversation), db_text(row->source),
                            db_text(row->source_name), db_text(row->edge), db_text(row->path),
                            db_text(row->media_type), db_number(row->started_at_ms),
                            db_number(row->duration_ms), db_number(row->bytes),
                            db_bytes(row->sha256), db_bytes(row->peaks), db_number(row->peak_ms),
                            db_text(row->account), db_text(row->purpose), db_text(row->store)),
                  NULL);
}

enum db_result recordings_has(struct db *db, const char *source, const char *source_name, bool *has)
{
    static const struct db_statement query = {
        "SELECT EXISTS (SELECT FROM recordings WHERE source = $1 AND source_name = $2 "
        "AND organization_id = current_organization())",
        2};
    struct db_rows *rows;
    enum db_result result =
        db_run(db, &query, db_values(db_text(source), db_text(source_name)), &rows);
    *has = result == DB_OK && db_cell_bool(rows, 0, 0);
    db_rows_free(rows);
    return result;
}

struct question {
    const char *organization;
    unsigned kbps;
};

static enum db_result ask_kbps(struct db *db, void *context)
{
    static const struct db_statement query = {
        "SELECT record_kbps FROM channel_configuration($1::uuid, 'voice')", 1};
    struct question *question = context;
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(question->organization)), &rows);
    if (result == DB_OK)
        question->kbps = (unsigned)db_cell_number(rows, 0, 0);
    db_rows_free(rows);
    return result;
}

enum db_result recordings_kbps(struct db *db, const char *organization, unsigned *kbps)
{
    struct question question = {organization, 0};
    enum db_result result = db_transact(db, organization, ask_kbps, &question);
    *kbps = question.kbps;
    return result;
}

enum db_result recordings_list(struct db *db, const char *organization, unsigned limit,
                               struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT r.id, to_char(r.started_at, 'YYYY-MM-DD HH24:MI:SS') || 'Z', o.name, "
        "r.conversation_id, r.duration_ms, r.bytes, r.state FROM recordings AS r "
        "JOIN organizations AS o ON o.id = r.organization_id "
        "WHERE ($1::uuid IS NULL OR r.organization_id = $1::uuid) "
        "ORDER BY r.started_at DESC, r.id LIMIT $2::integer",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_number(limit)), rows);
}

enum db_result recordings_show(struct db *db, const char *id, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT jsonb_pretty(to_jsonb(r) || jsonb_build_object('sha256', encode(r.sha256, 'hex'), "
        "'peaks', encode(r.peaks, 'base64'))) FROM recordings AS r "
        "WHERE r.id::text = lower($1) OR r.conversation_id::text = lower($1) "
        "ORDER BY r.started_at",
        1};
    return db_run(db, &query, db_values(db_text(id)), rows);
}

enum db_result recordings_find(struct db *db, const char *id, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT path, sha256, state, store, bytes, media_type, organization_id FROM recordings "
        "WHERE id::text = lower($1)",
        1};
    return db_run(db, &query, db_values(db_text(id)), rows);
}

enum db_result recordings_link_voicemail(struct db *db, const char *account, const char *sid,
                                         const char *recording)
{
    static const struct db_statement query = {
        "UPDATE voicemails SET recording_id = $3::uuid "
        "WHERE account_sid = $1 AND recording_sid = $2 AND recording_id IS NULL "
        "AND organization_id = current_organization()",
        3};
    return db_run(db, &query, db_values(db_text(account), db_text(sid), db_text(recording)), NULL);
}

enum db_result recordings_wants_carrier_copy_deleted(struct db *db, bool *wants)
{
    static const struct db_statement query = {
        "SELECT coalesce((SELECT settings ->> 'carrier_copy' = 'delete' FROM "
        "channel_configurations WHERE organization_id = current_organization() "
        "AND channel = 'voice'), false)",
        0};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, NULL, 0, &rows);
    *wants = result == DB_OK && db_cell_bool(rows, 0, 0);
    db_rows_free(rows);
    return result;
}

enum db_result recordings_look(struct db *db, const char *id, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT path, store, state, source_name, account_sid, carrier_deleted_at IS NOT NULL "
        "FROM recordings WHERE id = $1::uuid AND organization_id = current_organization()",
        1};
    return db_run(db, &query, db_values(db_text(id)), rows);
}

enum db_result recordings_deleted(struct db *db, const char *id, bool at_carrier, const char *by)
{
    static const struct db_statement here = {
        "WITH gone AS (UPDATE recordings SET state = 'deleted', deleted_at = now() "
        "WHERE id = $1::uuid AND organization_id = current_organization() AND state <> 'deleted' "
        "RETURNING organization_id, id) "
        "INSERT INTO recording_accesses (organization_id, recording_id, what, by_whom) "
        "SELECT organization_id, id, 'deleted', $2 FROM gone",
        2};
    static const struct db_statement there = {
        "WITH gone AS (UPDATE recordings SET carrier_deleted_at = now() "
        "WHERE id = $1::uuid AND organization_id = current_organization() "
        "AND carrier_deleted_at IS NULL RETURNING organization_id, id) "
        "INSERT INTO recording_accesses (organization_id, recording_id, what, by_whom) "
        "SELECT organization_id, id, 'carrier_deleted', $2 FROM gone",
        2};
    return db_run(db, at_carrier ? &there : &here, db_values(db_text(id), db_text(by)), NULL);
}

enum db_result recordings_expire(struct db *db)
{
    static const struct db_statement query = {"SELECT expire_recordings()", 0};
    return db_run(db, &query, NULL, 0, NULL);
}

enum db_result recordings_note(struct db *db, const char *access, const char *id, const char *what,
                               const char *by, int64_t expires_at_ms)
{
    static const struct db_statement query = {
        "INSERT INTO recording_accesses (id, organization_id, recording_id, what, by_whom, "
        "expires_at) SELECT coalesce($5::uuid, gen_random_uuid()), organization_id, id, $2, $3, "
        "timestamptz 'epoch' + $4::bigint * interval '1 millisecond' "
        "FROM recordings WHERE id = $1::uuid RETURNING id",
        5};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query,
                                   db_values(db_text(id), db_text(what), db_text(by),
                                             db_number_or_null(expires_at_ms), db_text(access)),
                                   &rows);
    if (result == DB_OK && db_rows_count(rows) == 0)
        result = DB_REFUSED;
    db_rows_free(rows);
    return result;
}

enum db_result recordings_order_deletion(struct db *db, const char *id, const char *by, bool *made)
{
    static const struct db_statement query = {
        "SELECT enqueue_job(organization_id, 'recording_delete', id::text, "
        "jsonb_build_object('recording', id, 'by', $2::text), 30) FROM recordings "
        "WHERE id::text = lower($1) AND state = 'ready'",
        2};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(id), db_text(by)), &rows);
    *made = result == DB_OK && db_rows_count(rows) == 1 && db_cell_bool(rows, 0, 0);
    db_rows_free(rows);
    return result;
}
