#include "control/store/organizations.h"

static void take_id(const struct db_rows *rows, char id[ORGANIZATIONS_ID_TEXT])
{
    if (!span_copy_text(span_of(db_cell(rows, 0, 0)), id, ORGANIZATIONS_ID_TEXT))
        id[0] = '\0';
}

enum db_result organizations_add(struct db *db, const char *name, char id[ORGANIZATIONS_ID_TEXT])
{
    static const struct db_statement query = {
        "INSERT INTO organizations (name) VALUES ($1) RETURNING id", 1};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(name)), &rows);
    if (result == DB_OK)
        take_id(rows, id);
    db_rows_free(rows);
    return result;
}

enum db_result organizations_find(struct db *db, const char *name_or_id,
                                  char id[ORGANIZATIONS_ID_TEXT], bool *found)
{
    static const struct db_statement query = {
        "SELECT id FROM organizations WHERE name = $1 OR id::text = lower($1) "
        "ORDER BY name = $1 DESC LIMIT 1",
        1};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(name_or_id)), &rows);
    *found = result == DB_OK && db_rows_count(rows) == 1;
    if (*found)
        take_id(rows, id);
    db_rows_free(rows);
    return result;
}

enum db_result organizations_list(struct db *db, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT o.id, o.name, "
        "(SELECT count(*) FROM phone_numbers AS n WHERE n.organization_id = o.id), "
        "(SELECT count(*) FROM conversations AS c WHERE c.organization_id = o.id), "
        "to_char(o.created_at, 'YYYY-MM-DD HH24:MI:SS') || 'Z' FROM organizations AS o ORDER BY 2",
        0};
    return db_run(db, &query, NULL, 0, rows);
}
