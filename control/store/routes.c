#include "control/store/routes.h"

#include <stdio.h>

enum db_result routes_add(struct db *db, const char *organization, const struct routes_new *route,
                          char id[37])
{
    static const struct db_statement query = {
        "INSERT INTO call_routes (organization_id, phone_number_id, purpose, days, opens, closes, "
        "time_zone, step, label, position) "
        "SELECT $1::uuid, n.id, $3, $4::smallint[], $5::time, $6::time, $7, $8::jsonb, $9, "
        "$10::integer FROM (VALUES (1)) AS once "
        "LEFT JOIN phone_numbers AS n ON n.organization_id = $1::uuid AND n.phone_number = $2 "
        "AND n.channel = 'twilio' WHERE $2::text IS NULL OR n.id IS NOT NULL RETURNING id",
        10};
    struct db_rows *rows;
    enum db_result result =
        db_run(db, &query,
               db_values(db_text(organization), db_text(route->number), db_text(route->purpose),
                         db_text(route->days), db_text(route->opens), db_text(route->closes),
                         db_text(route->time_zone), db_text(route->step_json),
                         db_text(route->label), db_number(route->position)),
               &rows);
    if (result == DB_OK && db_rows_count(rows) == 0)
        result = DB_REFUSED;
    if (result == DB_OK)
        snprintf(id, 37, "%s", db_cell(rows, 0, 0));
    db_rows_free(rows);
    return result;
}

enum db_result routes_remove(struct db *db, const char *organization, const char *id, int *removed)
{
    static const struct db_statement query = {
        "DELETE FROM call_routes WHERE id::text = $2 "
        "AND ($1::uuid IS NULL OR organization_id = $1::uuid) RETURNING id",
        2};
    struct db_rows *rows;
    enum db_result result =
        db_run(db, &query, db_values(db_text(organization), db_text(id)), &rows);
    *removed = result == DB_OK ? db_rows_count(rows) : 0;
    db_rows_free(rows);
    return result;
}

enum db_result routes_list(struct db *db, const char *organization, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT r.id, coalesce(n.phone_number, 'any'), r.purpose, r.position, "
        "array_to_string(ARRAY(SELECT (ARRAY['mon','tue','wed','thu','fri','sat','sun'])[day] "
        "FROM unnest(r.days) AS day), ',') || ' ' || to_char(r.opens, 'HH24:MI') || '-' || "
        "to_char(r.closes, 'HH24:MI'), r.time_zone, r.step, r.label, o.name "
        "FROM call_routes AS r JOIN organizations AS o ON o.id = r.organization_id "
        "LEFT JOIN phone_numbers AS n ON n.id = r.phone_number_id "
        "WHERE $1::uuid IS NULL OR r.organization_id = $1::uuid "
        "ORDER BY o.name, r.purpose, r.phone_number_id IS NULL, n.phone_number, r.position, "
        "r.created_at, r.id",
        1};
    return db_run(db, &query, db_values(db_text(organization)), rows);
}

enum db_result routes_voicemails(struct db *db, const char *organization, unsigned limit,
                                 struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT v.id, v.state, v.status, to_char(v.created_at, 'YYYY-MM-DD HH24:MI:SS') || 'Z', "
        "v.from_number, v.to_number, v.duration_ms / 1000, v.transcription, v.conversation_id, "
        "o.name, v.recording_id FROM voicemails AS v JOIN organizations AS o ON o.id = "
        "v.organization_id "
        "WHERE $1::uuid IS NULL OR v.organization_id = $1::uuid "
        "ORDER BY v.created_at DESC, v.id LIMIT $2::integer",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_number(limit)), rows);
}

enum db_result routes_move_voicemail(struct db *db, const char *id, const char *state, bool *moved)
{
    static const struct db_statement query = {
        "UPDATE voicemails SET state = $2, "
        "listened_at = CASE WHEN $2 = 'new' THEN NULL ELSE coalesce(listened_at, now()) END, "
        "archived_at = CASE WHEN $2 = 'archived' THEN coalesce(archived_at, now()) END "
        "WHERE id::text = $1 RETURNING id",
        2};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(id), db_text(state)), &rows);
    *moved = result == DB_OK && db_rows_count(rows) == 1;
    db_rows_free(rows);
    return result;
}
