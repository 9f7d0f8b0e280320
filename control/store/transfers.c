#include "control/store/transfers.h"

#include "control/store/clean.h"

#include <stdlib.h>

enum db_result transfers_begin(struct db *db, const struct transfers_wish *wish,
                               char id[CALLS_UUID_TEXT])
{
    static const struct db_statement query = {
        "SELECT begin_transfer($1, $2, $3, $4::jsonb, $5, $6, $7::integer)", 7};
    struct db_rows *rows;
    id[0] = '\0';
    enum db_result result =
        db_run(db, &query,
               db_values(db_text(wish->account_sid), db_text(wish->call_sid), db_text(wish->place),
                         db_text(wish->step_json), db_text(wish->from), db_text(wish->to),
                         db_number(wish->patience_s)),
               &rows);
    const char *given = result == DB_OK ? db_cell(rows, 0, 0) : NULL;
    if (given && !span_copy_text(span_of(given), id, CALLS_UUID_TEXT))
        id[0] = '\0';
    db_rows_free(rows);
    return result;
}

void transfers_taken_free(struct transfers_taken *taken)
{
    db_rows_free(taken->rows);
    *taken = (struct transfers_taken){.found = CALLS_INVALID};
}

enum db_result transfers_look(struct db *db, const char *id, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT t.state, t.account_sid, c.call_sid, call_status_rank(c.call_status) = 4, "
        "t.left_at IS NOT NULL, t.callee_sid, t.callee_over, t.place, t.step, t.from_number, "
        "t.to_number, t.placed_at IS NOT NULL, t.ended_at IS NULL, "
        "ceil(greatest(extract(epoch FROM t.deadline_at - now()) * 1000, 0))::bigint "
        "FROM transfers AS t JOIN conversations AS c ON c.id = t.conversation_id "
        "AND c.organization_id = t.organization_id WHERE t.id::text = $1",
        1};
    return db_run(db, &query, db_values(db_text(id)), rows);
}

enum db_result transfers_hold(struct db *db, const char *id, char state[16])
{
    static const struct db_statement query = {
        "SELECT state FROM transfers WHERE id::text = $1 FOR UPDATE", 1};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(id)), &rows);
    bool found = result == DB_OK && db_rows_count(rows) == 1;
    snprintf(state, 16, "%s", found ? db_cell(rows, 0, 0) : "");
    db_rows_free(rows);
    return result;
}

enum db_result transfers_place(struct db *db, const char *id, bool *began)
{
    static const struct db_statement query = {
        "WITH marked AS (UPDATE transfers SET placed_at = now() WHERE id::text = $1 "
        "AND placed_at IS NULL AND state = 'calling' AND deadline_at > now() "
        "RETURNING id, deadline_at) SELECT hurry_transfer(id, "
        "least(deadline_at, now() + interval '15 seconds')) FROM marked",
        1};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(id)), &rows);
    *began = result == DB_OK && db_rows_count(rows) == 1;
    db_rows_free(rows);
    return result;
}

enum db_result transfers_unplace(struct db *db, const char *id)
{
    static const struct db_statement query = {
        "UPDATE transfers SET placed_at = NULL WHERE id::text = $1 AND callee_sid IS NULL", 1};
    return db_run(db, &query, db_values(db_text(id)), NULL);
}

/* When nobody waits any more by now, the watch hangs the leg up. */
enum db_result transfers_placed(struct db *db, const char *id, const char *callee_sid)
{
    static const struct db_statement query = {
        "WITH named AS (UPDATE transfers SET callee_sid = coalesce(callee_sid, $2) "
        "WHERE id::text = $1 RETURNING id, ended_at) "
        "SELECT hurry_transfer(id, now()) FROM named WHERE ended_at IS NOT NULL",
        2};
    return db_run(db, &query, db_values(db_text(id), db_text(callee_sid)), NULL);
}

enum db_result transfers_move(struct db *db, const char *id, const char *before, const char *after,
                              const char *reason, bool *moved)
{
    static const struct db_statement lock = {
        "SELECT c.id FROM conversations AS c JOIN transfers AS t ON t.conversation_id = c.id "
        "WHERE t.id::text = $1 FOR NO KEY UPDATE OF c",
        1};
    static const struct db_statement move = {
        "SELECT move_transfer(id, ARRAY[$2::text], $3, $4) FROM transfers WHERE id::text = $1", 4};
    static const struct db_statement note = {
        "SELECT note_transfer(id, $2, '-', '{}') FROM transfers WHERE id::text = $1", 2};
    struct db_rows *rows = NULL;
    *moved = false;
    enum db_result result = db_run(db, &lock, db_values(db_text(id)), NULL);
    if (result == DB_OK)
        result =
            db_run(db, &move,
                   db_values(db_text(id), db_text(before), db_text(after), db_text(reason)), &rows);
    *moved = result == DB_OK && db_rows_count(rows) == 1 && db_cell_bool(rows, 0, 0);
    db_rows_free(rows);
    if (*moved)
        result = db_run(db, &note, db_values(db_text(id), db_text(reason ? reason : after)), NULL);
    return result;
}

enum db_result transfers_list(struct db *db, const char *organization, unsigned limit,
                              struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT t.id, to_char(t.created_at, 'YYYY-MM-DD HH24:MI:SS') || 'Z', o.name, "
        "t.conversation_id, t.to_number, t.state, t.reason, "
        "ceil(extract(epoch FROM t.ended_at - t.created_at))::bigint FROM transfers AS t "
        "JOIN organizations AS o ON o.id = t.organization_id "
        "WHERE ($1::uuid IS NULL OR t.organization_id = $1::uuid) "
        "ORDER BY t.created_at DESC, t.id LIMIT $2::integer",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_number(limit)), rows);
}

enum db_result transfers_show(struct db *db, const char *id, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT jsonb_pretty(to_jsonb(t) || jsonb_build_object('events', "
        "(SELECT coalesce(jsonb_agg(jsonb_build_object('at', e.at) || e.body ORDER BY e.at, e.id), "
        "'[]') FROM call_events AS e WHERE e.conversation_id = t.conversation_id "
        "AND e.organization_id = t.organization_id AND e.kind = 'transfer' "
        "AND e.body ->> 'transfer' = t.id::text))) FROM transfers AS t "
        "WHERE t.id::text = lower($1) OR t.conversation_id::text = lower($1) "
        "ORDER BY t.created_at, t.id",
        1};
    return db_run(db, &query, db_values(db_text(id)), rows);
}
