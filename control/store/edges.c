#include "control/store/edges.h"

enum db_result edges_report(struct db *db, const struct edges_report *report)
{
    static const struct db_statement query = {
        "SELECT report_edge($1, $2::uuid, $3, $4::integer, $5::integer, $6::integer, $7::boolean)",
        7};
    return db_run(db, &query,
                  db_values(db_text(report->name), db_text(report->run),
                            db_text(report->websocket_url), db_number_or_null(report->cores),
                            db_number_or_null(report->calls), db_number_or_null(report->calls_max),
                            db_bool(report->draining)),
                  NULL);
}

enum db_result edges_pick(struct db *db, const char *not_this_name, char *url, size_t room)
{
    static const struct db_statement query = {"SELECT pick_edge($1, $2::integer)", 2};
    struct db_rows *rows;
    enum db_result result =
        db_run(db, &query, db_values(db_text(not_this_name), db_number(EDGES_FRESH_S)), &rows);
    const char *cell = result == DB_OK ? db_cell(rows, 0, 0) : NULL;
    if (!span_copy_text(span_of(cell ? cell : ""), url, room))
        url[0] = '\0';
    db_rows_free(rows);
    return result;
}
