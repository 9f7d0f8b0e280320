#include "control/store/appointments.h"

enum db_result appointments_book(struct db *db, const char *organization,
                                 const struct appointments_wish *wish, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT outcome, starts, ends FROM book_appointment($1::uuid, $2, $3, $4, $5, $6, "
        "$7::uuid, $8::uuid)",
        8};
    return db_run(db, &query,
                  db_values(db_text(organization), db_text(wish->calendar), db_text(wish->start),
                            db_text(wish->name), db_text(wish->phone), db_text(wish->note),
                            db_text(wish->conversation), db_text(wish->call)),
                  rows);
}

enum db_result appointments_free(struct db *db, const char *organization, const char *calendar,
                                 const char *from, unsigned days, struct db_rows **rows)
{
    static const struct db_statement query = {
        "WITH since AS (SELECT greatest(coalesce(appointment_time($1::uuid, $2, $3), now()), "
        "now()) "
        "AS at) SELECT to_char(s.starts_at AT TIME ZONE s.time_zone, 'YYYY-MM-DD\"T\"HH24:MI'), "
        "to_char(s.ends_at AT TIME ZONE s.time_zone, 'YYYY-MM-DD\"T\"HH24:MI') "
        "FROM since, appointment_slots($1::uuid, $2, since.at, since.at + "
        "least($4::integer, 31) * interval '1 day') AS s WHERE s.is_free "
        "ORDER BY s.starts_at LIMIT 100",
        4};
    return db_run(
        db, &query,
        db_values(db_text(organization), db_text(calendar), db_text(from), db_number(days)), rows);
}

enum db_result appointments_now(struct db *db, const char *organization, const char *calendar,
                                struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT to_char(now() AT TIME ZONE time_zone, 'YYYY-MM-DD\"T\"HH24:MI'), "
        "to_char(now() AT TIME ZONE time_zone, 'FMDay'), time_zone FROM availability "
        "WHERE organization_id = $1::uuid AND calendar = $2 ORDER BY created_at, id LIMIT 1",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_text(calendar)), rows);
}

enum db_result appointments_list(struct db *db, const char *organization, bool past, unsigned limit,
                                 struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT a.id, to_char(a.starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || 'Z', "
        "to_char(a.ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || 'Z', a.calendar, a.name, "
        "a.phone, a.note, a.state, a.conversation_id, o.name "
        "FROM appointments AS a JOIN organizations AS o ON o.id = a.organization_id "
        "WHERE ($1::uuid IS NULL OR a.organization_id = $1::uuid) "
        "AND ($2::boolean OR (a.ends_at > now() AND a.state = 'booked')) "
        "ORDER BY a.starts_at, a.id LIMIT $3::integer",
        3};
    return db_run(db, &query, db_values(db_text(organization), db_bool(past), db_number(limit)),
                  rows);
}

enum db_result appointments_cancel(struct db *db, const char *id, bool *cancelled)
{
    static const struct db_statement query = {
        "UPDATE appointments SET state = 'cancelled' WHERE id::text = $1 AND state = 'booked' "
        "RETURNING id",
        1};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(id)), &rows);
    *cancelled = result == DB_OK && db_rows_count(rows) == 1;
    db_rows_free(rows);
    return result;
}

enum db_result appointments_add_hours(struct db *db, const char *organization,
                                      const struct appointments_hours *hours, char id[37])
{
    static const struct db_statement query = {
        "INSERT INTO availability (organization_id, calendar, days, opens, closes, time_zone, "
        "slot_minutes) VALUES ($1::uuid, $2, $3::smallint[], $4::time, $5::time, $6, $7::integer) "
        "RETURNING id",
        7};
    struct db_rows *rows;
    enum db_result result =
        db_run(db, &query,
               db_values(db_text(organization), db_text(hours->calendar), db_text(hours->days),
                         db_text(hours->opens), db_text(hours->closes), db_text(hours->time_zone),
                         db_number(hours->slot_minutes)),
               &rows);
    if (result == DB_OK)
        snprintf(id, 37, "%s", db_cell(rows, 0, 0));
    db_rows_free(rows);
    return result;
}

enum db_result appointments_remove_hours(struct db *db, const char *id, int *removed)
{
    static const struct db_statement query = {
        "DELETE FROM availability WHERE id::text = $1 RETURNING id", 1};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(id)), &rows);
    *removed = result == DB_OK ? db_rows_count(rows) : 0;
    db_rows_free(rows);
    return result;
}

enum db_result appointments_list_hours(struct db *db, const char *organization,
                                       struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT h.id, h.calendar, "
        "array_to_string(ARRAY(SELECT (ARRAY['mon','tue','wed','thu','fri','sat','sun'])[day] "
        "FROM unnest(h.days) AS day), ',') || ' ' || to_char(h.opens, 'HH24:MI') || '-' || "
        "to_char(h.closes, 'HH24:MI'), h.time_zone, h.slot_minutes, o.name "
        "FROM availability AS h JOIN organizations AS o ON o.id = h.organization_id "
        "WHERE $1::uuid IS NULL OR h.organization_id = $1::uuid "
        "ORDER BY o.name, h.calendar, h.opens, h.id",
        1};
    return db_run(db, &query, db_values(db_text(organization)), rows);
}

/* now() is the transaction's, and created_at's default. */
enum db_result appointments_booked_now(struct db *db, const char *calendar, char id[37])
{
    static const struct db_statement query = {
        "SELECT id FROM appointments WHERE organization_id = current_organization() "
        "AND calendar = $1 AND state = 'booked' AND created_at = now()",
        1};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(calendar)), &rows);
    if (result == DB_OK &&
        (db_rows_count(rows) != 1 || !span_copy_text(span_of(db_cell(rows, 0, 0)), id, 37)))
        result = DB_BROKEN;
    db_rows_free(rows);
    return result;
}
