#include "control/store/orders.h"

#include "common/panic.h"
#include "control/db/db_array.h"
#include "control/store/clean.h"

#include <stdlib.h>

static enum orders_given read_given(const char *why)
{
    return !why ? ORDERS_GIVEN : strcmp(why, "over") == 0 ? ORDERS_OVER : ORDERS_NOT_LIVE;
}

enum db_result orders_note_listener(struct db *db, const char *call, const char *by,
                                    enum orders_given *given, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT organization, base, core, why FROM note_listener($1::uuid, $2)", 2};
    enum db_result result = db_run(db, &query, db_values(db_text(call), db_text(by)), rows);
    *given = result == DB_OK ? read_given(db_cell(*rows, 0, 3)) : ORDERS_NOT_LIVE;
    return result;
}

enum db_result orders_give(struct db *db, const char *call, const char *body_json, const char *by,
                           unsigned patience_ms, enum orders_given *given,
                           char id[UUID_TEXT_BYTES + 1])
{
    static const struct db_statement query = {
        "SELECT id, why FROM order_call($1::uuid, $2::jsonb, $3, $4::integer)", 4};
    struct db_rows *rows;
    char *body = clean_json(body_json);
    enum db_result result =
        db_run(db, &query,
               db_values(db_text(call), db_text(body), db_text(by), db_number(patience_ms)), &rows);
    const char *why = result == DB_OK ? db_cell(rows, 0, 1) : NULL;
    *given = read_given(why);
    if (result == DB_OK && !why) {
        bool fits = span_copy_text(span_of(db_cell(rows, 0, 0)), id, UUID_TEXT_BYTES + 1);
        assert(fits);
    }
    db_rows_free(rows);
    free(body);
    return result;
}

enum db_result orders_look(struct db *db, const char *id, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT state, error FROM call_orders WHERE id = $1::uuid", 1};
    return db_run(db, &query, db_values(db_text(id)), rows);
}

enum db_result orders_expire(struct db *db, const char *id)
{
    static const struct db_statement query = {
        "UPDATE call_orders SET state = 'expired' WHERE id = $1::uuid AND state = 'waiting'", 1};
    return db_run(db, &query, db_values(db_text(id)), NULL);
}

enum db_result orders_take(struct db *db, const char *const *runs, int count, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT id, edge_run, conversation_id, body FROM take_orders($1::uuid[])", 1};
    struct db_array array;
    enum db_result result = DB_BUSY;
    *rows = NULL;
    if (db_array_open(&array)) {
        for (int i = 0; i < count; i++)
            db_array_add(&array, runs[i]);
        result = db_run(db, &query, db_values(db_array_value(&array)), rows);
    }
    db_array_free(&array);
    return result;
}

enum db_result orders_settle(struct db *db, const char *id, bool ok, const char *error)
{
    static const struct db_statement query = {"SELECT settle_order($1::uuid, $2::boolean, $3)", 3};
    char *why = clean_text(error, 1024);
    enum db_result result =
        db_run(db, &query, db_values(db_text(id), db_bool(ok), db_text(why)), NULL);
    free(why);
    return result;
}
