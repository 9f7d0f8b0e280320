#include "control/store/numbers.h"

#include <stdio.h>

enum db_result numbers_add(struct db *db, const char *organization, const char *number,
                           const char *channel)
{
    /* The WHERE keeps another organisation's row as it is; then nothing comes back. */
    static const struct db_statement query = {
        "INSERT INTO phone_numbers AS known (organization_id, phone_number, channel) "
        "VALUES ($1::uuid, $2, $3) ON CONFLICT (phone_number, channel) DO UPDATE "
        "SET is_active = true WHERE known.organization_id = excluded.organization_id RETURNING id",
        3};
    struct db_rows *rows;
    enum db_result result = db_run(
        db, &query, db_values(db_text(organization), db_text(number), db_text(channel)), &rows);
    if (result == DB_OK && db_rows_count(rows) == 0)
        result = DB_REFUSED;
    db_rows_free(rows);
    return result;
}

enum db_result numbers_remove(struct db *db, const char *organization, const char *number,
                              const char *channel, int *removed)
{
    static const struct db_statement query = {
        "DELETE FROM phone_numbers WHERE ($1::uuid IS NULL OR organization_id = $1::uuid) "
        "AND phone_number = $2 AND ($3::text IS NULL OR channel = $3) RETURNING id",
        3};
    struct db_rows *rows;
    enum db_result result = db_run(
        db, &query, db_values(db_text(organization), db_text(number), db_text(channel)), &rows);
    *removed = result == DB_OK ? db_rows_count(rows) : 0;
    db_rows_free(rows);
    return result;
}

enum db_result numbers_list(struct db *db, const char *organization, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT n.phone_number, n.channel, n.is_active::text, o.name, o.id, "
        "to_char(n.created_at, 'YYYY-MM-DD HH24:MI:SS') || 'Z' "
        "FROM phone_numbers AS n JOIN organizations AS o ON o.id = n.organization_id "
        "WHERE $1::uuid IS NULL OR n.organization_id = $1::uuid ORDER BY 1, 2",
        1};
    return db_run(db, &query, db_values(db_text(organization)), rows);
}

enum db_result numbers_id(struct db *db, const char *number, const char *channel, char id[37],
                          bool *found)
{
    static const struct db_statement query = {
        "SELECT id FROM phone_numbers WHERE phone_number = $1 AND channel = $2 "
        "AND organization_id = current_organization()",
        2};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(number), db_text(channel)), &rows);
    *found = result == DB_OK && db_rows_count(rows) == 1 &&
             span_copy_text(span_of(db_cell(rows, 0, 0)), id, 37);
    db_rows_free(rows);
    return result;
}

enum db_result numbers_text(struct db *db, const char *id, char number[17], bool *found)
{
    static const struct db_statement query = {
        "SELECT phone_number FROM phone_numbers WHERE id::text = $1 "
        "AND organization_id = current_organization()",
        1};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(id)), &rows);
    *found = result == DB_OK && db_rows_count(rows) == 1;
    snprintf(number, 17, "%s", *found ? db_cell(rows, 0, 0) : "");
    db_rows_free(rows);
    return result;
}

static enum db_result change_one(struct db *db, const struct db_statement *query,
                                 const struct db_value *values, int count, bool *found)
{
    struct db_rows *rows;
    enum db_result result = db_run(db, query, values, count, &rows);
    *found = result == DB_OK && db_rows_count(rows) == 1;
    db_rows_free(rows);
    return result;
}

enum db_result numbers_switch(struct db *db, const char *id, bool is_active, bool *found)
{
    static const struct db_statement query = {
        "UPDATE phone_numbers SET is_active = $2::boolean WHERE id::text = $1 "
        "AND organization_id = current_organization() RETURNING id",
        2};
    return change_one(db, &query, db_values(db_text(id), db_bool(is_active)), found);
}

enum db_result numbers_drop(struct db *db, const char *id, bool *found)
{
    static const struct db_statement query = {
        "DELETE FROM phone_numbers WHERE id::text = $1 "
        "AND organization_id = current_organization() RETURNING id",
        1};
    return change_one(db, &query, db_values(db_text(id)), found);
}
