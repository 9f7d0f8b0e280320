#include "control/store/media_checks.h"

enum db_result media_checks_compare(struct db *db, const char *store, const char *behind,
                                    const char *up_to, struct db_value listed,
                                    struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT found, path, recording FROM compare_media($1, $2, $3, $4::text[])", 4};
    return db_run(db, &query, db_values(db_text(store), db_text(behind), db_text(up_to), listed),
                  rows);
}

enum db_result media_checks_named(struct db *db, const char *store, const char *path, bool *named)
{
    static const struct db_statement query = {"SELECT media_named($1, $2)", 2};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(store), db_text(path)), &rows);
    *named = result != DB_OK || db_cell_bool(rows, 0, 0);
    db_rows_free(rows);
    return result;
}

enum db_result media_checks_note(struct db *db, const char *organization,
                                 const struct media_checks_part *part)
{
    static const struct db_statement begin = {
        "DELETE FROM media_checks WHERE organization_id = $1::uuid AND store = $2", 2};
    static const struct db_statement add = {
        "INSERT INTO media_checks AS c (organization_id, store, complete, objects, others, "
        "removed, "
        "removed_bytes, missing, lingering, recordings) "
        "VALUES ($1::uuid, $2, $3::boolean, $4::bigint, $5::bigint, $6::bigint, $7::bigint, "
        "$8::bigint, $9::bigint, $10::uuid[]) "
        "ON CONFLICT (organization_id, store) DO UPDATE SET complete = excluded.complete, "
        "objects = c.objects + excluded.objects, others = c.others + excluded.others, "
        "removed = c.removed + excluded.removed, "
        "removed_bytes = c.removed_bytes + excluded.removed_bytes, "
        "missing = c.missing + excluded.missing, lingering = c.lingering + excluded.lingering, "
        "recordings = (c.recordings || excluded.recordings)[1:20], checked_at = now()",
        10};
    enum db_result result = DB_OK;
    if (part->begins)
        result = db_run(db, &begin, db_values(db_text(organization), db_text(part->store)), NULL);
    if (result != DB_OK)
        return result;
    return db_run(db, &add,
                  db_values(db_text(organization), db_text(part->store), db_bool(part->complete),
                            db_number(part->objects), db_number(part->others),
                            db_number(part->removed), db_number(part->removed_bytes),
                            db_number(part->missing), db_number(part->lingering), part->recordings),
                  NULL);
}

enum db_result media_checks_plan(struct db *db)
{
    static const struct db_statement query = {"SELECT plan_media_checks()", 0};
    return db_run(db, &query, NULL, 0, NULL);
}

enum db_result media_checks_count(struct db *db, struct db_rows **rows)
{
    static const struct db_statement query = {"SELECT missing, lingering FROM count_media_checks()",
                                              0};
    return db_run(db, &query, NULL, 0, rows);
}

enum db_result media_checks_list(struct db *db, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT o.name, c.store, c.missing, c.lingering, "
        "(SELECT string_agg(r::text, ' ') FROM unnest(c.recordings[1:3]) AS r) "
        "FROM media_checks AS c JOIN organizations AS o ON o.id = c.organization_id "
        "WHERE c.missing + c.lingering > 0 ORDER BY o.name, c.store LIMIT 20",
        0};
    return db_run(db, &query, NULL, 0, rows);
}
