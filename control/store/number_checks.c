#include "control/store/number_checks.h"

enum db_result number_checks_note(struct db *db, const char *organization, const char *number,
                                  const char *found_json)
{
    static const struct db_statement query = {
        "SELECT note_number_checks($1::uuid, $2::text, $3::jsonb)", 3};
    return db_run(db, &query,
                  db_values(db_text(organization), db_text(number), db_text(found_json)), NULL);
}

enum db_result number_checks_want(struct db *db, const char *organization, const char *number,
                                  bool mend, const char *by, const char *key, char job[37])
{
    static const struct db_statement make = {
        "SELECT enqueue_job($1::uuid, 'number_verify', $2::text, jsonb_strip_nulls("
        "jsonb_build_object('number', $3::text, 'mend', $4::boolean, 'by', $5::text)), 3)",
        5};
    static const struct db_statement find = {
        "SELECT id FROM jobs WHERE organization_id = $1::uuid AND kind = 'number_verify' "
        "AND idempotency_key = $2",
        2};
    struct db_rows *rows = NULL;
    enum db_result result = db_run(
        db, &make,
        db_values(db_text(organization), db_text(key), db_text(number), db_bool(mend), db_text(by)),
        NULL);
    if (result == DB_OK)
        result = db_run(db, &find, db_values(db_text(organization), db_text(key)), &rows);
    if (result == DB_OK)
        snprintf(job, 37, "%s", db_cell(rows, 0, 0));
    db_rows_free(rows);
    return result;
}

enum db_result number_checks_count(struct db *db, struct db_rows **rows)
{
    static const struct db_statement query = {"SELECT state, numbers FROM count_number_checks()",
                                              0};
    return db_run(db, &query, NULL, 0, rows);
}

enum db_result number_checks_plan(struct db *db)
{
    static const struct db_statement query = {"SELECT plan_number_checks()", 0};
    return db_run(db, &query, NULL, 0, NULL);
}

enum db_result number_checks_list(struct db *db, const char *organization, unsigned limit,
                                  struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT n.phone_number, o.name, c.state, (SELECT string_agg(d ->> 'property', ' ') "
        "FROM jsonb_array_elements(c.differences) AS d), "
        "to_char(c.checked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || 'Z', c.error "
        "FROM number_checks AS c JOIN phone_numbers AS n ON n.id = c.phone_number_id "
        "JOIN organizations AS o ON o.id = c.organization_id "
        "WHERE $1::uuid IS NULL OR c.organization_id = $1::uuid "
        "ORDER BY n.phone_number LIMIT $2::integer",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_number(limit)), rows);
}
