#include "control/store/reconciliations.h"

#include <stdio.h>

/* One statement under an organisation. */
struct question {
    const struct db_statement *statement;
    const struct db_value *values;
    int count;
    struct db_rows *rows;
};

static enum db_result put(struct db *db, void *context)
{
    struct question *question = context;
    db_rows_free(question->rows);
    question->rows = NULL;
    return db_run(db, question->statement, question->values, question->count, &question->rows);
}

static enum db_result ask(struct db *db, const char *organization,
                          const struct db_statement *statement, const struct db_value *values,
                          int count, struct db_rows **rows)
{
    struct question question = {.statement = statement, .values = values, .count = count};
    enum db_result result = db_transact(db, organization, put, &question);
    *rows = question.rows;
    return result;
}

enum db_result reconciliations_place(struct db *db, const char *organization, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT (SELECT account FROM credentials WHERE organization_id = $1::uuid "
        "AND kind = 'twilio' ORDER BY created_at LIMIT 1), "
        "(SELECT string_agg(phone_number, ' ' ORDER BY phone_number) FROM phone_numbers "
        "WHERE organization_id = $1::uuid AND channel = 'twilio')",
        1};
    return ask(db, organization, &query, db_values(db_text(organization)), rows);
}

enum db_result reconciliations_owns(struct db *db, const char *organization, const char *call_sid,
                                    bool *owns)
{
    static const struct db_statement query = {
        "SELECT FROM conversations WHERE organization_id = $1::uuid AND call_sid = $2", 2};
    struct db_rows *rows;
    enum db_result result =
        ask(db, organization, &query, db_values(db_text(organization), db_text(call_sid)), &rows);
    *owns = result == DB_OK && db_rows_count(rows) > 0;
    db_rows_free(rows);
    return result;
}

enum db_result reconciliations_write(struct db *db, const char *organization, const char *account,
                                     struct reconciliations_report *report, char id[37])
{
    static const struct db_statement query = {
        "INSERT INTO reconciliations (organization_id, account_sid, since, until, calls_seen, "
        "calls_opened, calls_ended, calls_priced, recordings_seen, recordings_found, "
        "calls_differing, calls_unlisted) "
        "SELECT $1::uuid, $2, to_timestamp($3::bigint), to_timestamp($4::bigint), $5::integer, "
        "$6::integer, $7::integer, $8::integer, $9::integer, $10::integer, ($12::text[])[1:100], "
        "ARRAY(SELECT c.call_sid FROM conversations AS c WHERE c.organization_id = $1::uuid "
        "AND c.account_sid = $2 AND c.channel = 'voice' "
        "AND c.start_timestamp >= to_timestamp($3::bigint) + interval '1 minute' "
        "AND c.start_timestamp < to_timestamp($4::bigint) - interval '1 minute' "
        "AND NOT c.call_sid = ANY ($11::text[]) ORDER BY c.start_timestamp LIMIT 100) "
        "RETURNING id",
        12};
    struct db_rows *rows;
    enum db_result result =
        ask(db, organization, &query,
            db_values(db_text(organization), db_text(account), db_number(report->since_s),
                      db_number(report->until_s), db_number(report->calls_seen),
                      db_number(report->calls_opened), db_number(report->calls_ended),
                      db_number(report->calls_priced), db_number(report->recordings_seen),
                      db_number(report->recordings_found), db_array_value(&report->listed),
                      db_array_value(&report->differing)),
            &rows);
    if (result == DB_OK)
        snprintf(id, 37, "%s", db_cell(rows, 0, 0));
    db_rows_free(rows);
    return result;
}

enum db_result reconciliations_list(struct db *db, const char *organization, const char *id,
                                    unsigned limit, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT to_char(r.created_at, 'YYYY-MM-DD HH24:MI'), o.name, r.account_sid, r.calls_seen, "
        "r.calls_opened, r.calls_ended, r.calls_priced, array_to_string(r.calls_differing, ' '), "
        "array_to_string(r.calls_unlisted, ' '), r.recordings_seen, r.recordings_found "
        "FROM reconciliations AS r JOIN organizations AS o ON o.id = r.organization_id "
        "WHERE ($1::uuid IS NULL OR r.organization_id = $1::uuid) "
        "AND ($2::uuid IS NULL OR r.id = $2::uuid) ORDER BY r.created_at DESC, r.id "
        "LIMIT $3::bigint",
        3};
    return db_run(db, &query, db_values(db_text(organization), db_text(id), db_number(limit)),
                  rows);
}

enum db_result reconciliations_plan(struct db *db)
{
    static const struct db_statement query = {"SELECT plan_reconciliations()", 0};
    return db_run(db, &query, NULL, 0, NULL);
}
