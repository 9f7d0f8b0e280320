#include "control/store/number_searches.h"

enum db_result number_searches_want(struct db *db, const char *organization,
                                    const struct number_searches_wish *wish, const char *by,
                                    char id[UUID_TEXT_BYTES + 1])
{
    static const struct db_statement query = {
        "SELECT search_numbers($1::uuid, jsonb_strip_nulls(jsonb_build_object('country', $2::text, "
        "'kind', $3::text, 'area_code', $4::text, 'contains', $5::text, 'limit', $6::integer)), "
        "$7)",
        7};
    struct db_rows *rows;
    enum db_result result =
        db_run(db, &query,
               db_values(db_text(organization), db_text(wish->country), db_text(wish->kind),
                         db_text(wish->area_code), db_text(wish->contains), db_number(wish->limit),
                         db_text(by)),
               &rows);
    const char *made = result == DB_OK ? db_cell(rows, 0, 0) : NULL;
    snprintf(id, UUID_TEXT_BYTES + 1, "%s", made ? made : "");
    db_rows_free(rows);
    return result;
}

struct question {
    const char *organization, *search;
    struct db_rows *rows;
};

static enum db_result read(struct db *db, void *context)
{
    static const struct db_statement query = {
        "SELECT country, kind, area_code, contains, numbers_max, "
        "(SELECT account FROM credentials WHERE organization_id = $1::uuid AND kind = 'twilio' "
        "ORDER BY created_at LIMIT 1) "
        "FROM number_searches WHERE organization_id = $1::uuid AND id::text = $2 "
        "AND state = 'queued' AND deadline_at > now()",
        2};
    struct question *question = context;
    db_rows_free(question->rows);
    question->rows = NULL;
    return db_run(db, &query, db_values(db_text(question->organization), db_text(question->search)),
                  &question->rows);
}

enum db_result number_searches_read(struct db *db, const char *organization, const char *search,
                                    struct db_rows **rows)
{
    struct question question = {.organization = organization, .search = search};
    enum db_result result = db_transact(db, organization, read, &question);
    *rows = question.rows;
    return result;
}

enum db_result number_searches_done(struct db *db, const char *search, const char *numbers_json)
{
    static const struct db_statement query = {
        "UPDATE number_searches SET state = 'done', numbers = $2::jsonb, finished_at = now() "
        "WHERE id::text = $1 AND state = 'queued' AND deadline_at > now()",
        2};
    return db_run(db, &query, db_values(db_text(search), db_text(numbers_json)), NULL);
}

enum db_result number_searches_fail(struct db *db, const char *search, const char *error)
{
    static const struct db_statement query = {
        "UPDATE number_searches SET state = 'failed', error = left($2, 1000), finished_at = now() "
        "WHERE id::text = $1 AND state = 'queued' AND deadline_at > now()",
        2};
    return db_run(db, &query, db_values(db_text(search), db_text(error)), NULL);
}

enum db_result number_searches_clean(struct db *db)
{
    static const struct db_statement query = {"SELECT clean_number_searches()", 0};
    return db_run(db, &query, NULL, 0, NULL);
}
