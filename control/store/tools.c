#include "control/store/tools.h"

#include "common/panic.h"
#include "control/db/db_array.h"
#include "control/store/clean.h"

#include <stdlib.h>

void tools_context(const char *organization, const char *name, char context[TOOLS_CONTEXT_MAX])
{
    int bytes = snprintf(context, TOOLS_CONTEXT_MAX, "tools/%s/%.80s", organization, name);
    assert(bytes > 0 && bytes < TOOLS_CONTEXT_MAX);
}

static const char *cell(const struct db_rows *rows, int column)
{
    const char *text = db_cell(rows, 0, column);
    return text ? text : "";
}

static void copy_id(const struct db_rows *rows, int column, char id[UUID_TEXT_BYTES + 1])
{
    bool fits = span_copy_text(span_of(cell(rows, column)), id, UUID_TEXT_BYTES + 1);
    assert(fits); /* the database printed it */
}

/* ---- carrying out ---- */

enum db_result tools_claim(struct db *db, const char *worker, unsigned lease_ms,
                           struct tools_claimed *claimed)
{
    static const struct db_statement query = {
        "SELECT id, organization_id, conversation_id, name, arguments, tries, left_ms "
        "FROM claim_tool_call($1::uuid, $2::integer)",
        2};
    *claimed = (struct tools_claimed){.rows = NULL};
    enum db_result result =
        db_run(db, &query, db_values(db_text(worker), db_number(lease_ms)), &claimed->rows);
    if (result != DB_OK || db_rows_count(claimed->rows) == 0) {
        db_rows_free(claimed->rows);
        claimed->rows = NULL;
        return result;
    }
    copy_id(claimed->rows, 0, claimed->id);
    copy_id(claimed->rows, 1, claimed->organization);
    copy_id(claimed->rows, 2, claimed->conversation);
    claimed->name = cell(claimed->rows, 3);
    claimed->arguments = cell(claimed->rows, 4);
    claimed->tries = db_cell_number(claimed->rows, 0, 5);
    claimed->left_ms = db_cell_number(claimed->rows, 0, 6);
    return DB_OK;
}

enum db_result tools_renew(struct db *db, const char *worker, unsigned lease_ms)
{
    static const struct db_statement query = {"SELECT renew_tool_calls($1::uuid, $2::integer)", 2};
    return db_run(db, &query, db_values(db_text(worker), db_number(lease_ms)), NULL);
}

static void read_described(struct tools_described *described)
{
    const struct db_rows *rows = described->rows;
    if (db_rows_count(rows) == 0)
        return;
    described->found = db_cell(rows, 0, 0) != NULL;
    described->action = cell(rows, 0);
    described->settings_json = cell(rows, 1);
    described->parameters_json = cell(rows, 2);
    described->tries_max = db_cell_number(rows, 0, 3);
    described->timeout_ms = db_cell_number(rows, 0, 4);
    described->headers_sealed = db_cell_bytes(rows, 0, 5, &described->headers_bytes);
    described->channel = cell(rows, 6);
    described->from_number = cell(rows, 7);
    described->to_number = cell(rows, 8);
    described->account_sid = cell(rows, 9);
}

enum db_result tools_describe(struct db *db, const char *call, struct tools_described *described)
{
    static const struct db_statement query = {
        "SELECT t.action, t.settings, t.parameters, t.tries_max, t.timeout_ms, t.headers_sealed, "
        "c.channel, CASE c.direction WHEN 'outbound' THEN c.to_number ELSE c.from_number END, "
        "CASE c.direction WHEN 'outbound' THEN c.from_number ELSE c.to_number END, c.account_sid "
        "FROM tool_calls AS k "
        "JOIN conversations AS c ON c.id = k.conversation_id "
        "AND c.organization_id = k.organization_id "
        "LEFT JOIN tools AS t ON t.id = k.tool_id AND t.organization_id = k.organization_id "
        "AND t.is_active WHERE k.id = $1::uuid",
        1};
    *described = (struct tools_described){.rows = NULL};
    enum db_result result = db_run(db, &query, db_values(db_text(call)), &described->rows);
    if (result == DB_OK)
        read_described(described);
    return result;
}

void tools_described_free(struct tools_described *described)
{
    free(described->headers_sealed);
    db_rows_free(described->rows);
    *described = (struct tools_described){.rows = NULL};
}

enum db_result tools_finish(struct db *db, const struct tools_claimed *claimed, const char *worker,
                            bool ok, const char *output_json, const char *ends, bool *held)
{
    static const struct db_statement query = {
        "UPDATE tool_calls SET state = CASE WHEN $4::boolean THEN 'done' ELSE 'failed' END, "
        "output = $5::jsonb, ends = $6, finished_at = clock_timestamp(), leased_by = NULL, "
        "leased_until = NULL WHERE id = $1::uuid AND state = 'running' AND leased_by = $2::uuid "
        "AND tries = $3::integer RETURNING id",
        6};
    struct db_rows *rows;
    char *output = clean_json(output_json);
    enum db_result result =
        db_run(db, &query,
               db_values(db_text(claimed->id), db_text(worker), db_number(claimed->tries),
                         db_bool(ok), db_text(output), db_text(ends)),
               &rows);
    *held = result == DB_OK && db_rows_count(rows) == 1;
    db_rows_free(rows);
    free(output);
    return result;
}

enum db_result tools_set_next_step(struct db *db, const char *conversation, const char *step_json)
{
    static const struct db_statement query = {
        "UPDATE conversations SET next_step = $2::jsonb WHERE id = $1::uuid", 2};
    return db_run(db, &query, db_values(db_text(conversation), db_text(step_json)), NULL);
}

/* ---- where no edge is ---- */

enum db_result tools_ask(struct db *db, const char *organization, const char *conversation,
                         const char *call_id, const char *name, const char *arguments,
                         char id[UUID_TEXT_BYTES + 1])
{
    static const struct db_statement query = {
        "INSERT INTO tool_calls (organization_id, conversation_id, tool_id, name, call_id, "
        "arguments, deadline_at) SELECT $1::uuid, $2::uuid, t.id, $4, $3, $5, "
        "now() + coalesce(t.deadline_ms, 20000) * interval '1 millisecond' "
        "FROM (VALUES (1)) AS once LEFT JOIN tools AS t ON t.organization_id = $1::uuid "
        "AND t.name = $4 AND t.is_active RETURNING id",
        5};
    struct db_rows *rows;
    char *given = clean_text(arguments, 65536);
    enum db_result result =
        db_run(db, &query,
               db_values(db_text(organization), db_text(conversation), db_text(call_id),
                         db_text(name), db_text(given ? given : "")),
               &rows);
    if (result == DB_OK)
        copy_id(rows, 0, id);
    db_rows_free(rows);
    free(given);
    return result;
}

enum db_result tools_result(struct db *db, const char *id, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT state, output FROM tool_calls WHERE id = $1::uuid", 1};
    return db_run(db, &query, db_values(db_text(id)), rows);
}

/* ---- the way back to an edge ---- */

enum db_result tools_take_results(struct db *db, const char *const *runs, int count,
                                  struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT id, edge_run, conversation_id, body FROM take_tool_results($1::uuid[])", 1};
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

enum db_result tools_settle(struct db *db, const char *id)
{
    static const struct db_statement query = {"SELECT settle_tool_result($1::uuid)", 1};
    return db_run(db, &query, db_values(db_text(id)), NULL);
}

/* ---- for people ---- */

enum db_result tools_put(struct db *db, const char *organization, const struct tools_new *tool)
{
    static const struct db_statement query = {
        "INSERT INTO tools (organization_id, name, description, action, parameters, settings, "
        "headers_sealed, channels, tries_max, timeout_ms, deadline_ms, interim_ms, position) "
        "VALUES ($1::uuid, $2, $3, $4, $5::jsonb, $6::jsonb, $7::bytea, $8::text[], $9::integer, "
        "$10::integer, $11::integer, $12::integer, $13::integer) "
        "ON CONFLICT (organization_id, name) DO UPDATE SET description = excluded.description, "
        "action = excluded.action, parameters = excluded.parameters, "
        "settings = excluded.settings, headers_sealed = excluded.headers_sealed, "
        "channels = excluded.channels, tries_max = excluded.tries_max, "
        "timeout_ms = excluded.timeout_ms, deadline_ms = excluded.deadline_ms, "
        "interim_ms = excluded.interim_ms, position = excluded.position, is_active = true",
        13};
    return db_run(
        db, &query,
        db_values(
            db_text(organization), db_text(tool->name), db_text(tool->description),
            db_text(tool->action), db_text(tool->parameters_json), db_text(tool->settings_json),
            tool->headers_sealed.bytes ? db_bytes(tool->headers_sealed) : db_text(NULL),
            db_text(tool->channels), db_number(tool->tries_max), db_number(tool->timeout_ms),
            db_number(tool->deadline_ms), db_number(tool->interim_ms), db_number(tool->position)),
        NULL);
}

enum db_result tools_remove(struct db *db, const char *organization, const char *name, int *removed)
{
    static const struct db_statement query = {
        "DELETE FROM tools WHERE organization_id = $1::uuid AND name = $2 RETURNING id", 2};
    struct db_rows *rows;
    enum db_result result =
        db_run(db, &query, db_values(db_text(organization), db_text(name)), &rows);
    *removed = result == DB_OK ? db_rows_count(rows) : 0;
    db_rows_free(rows);
    return result;
}

enum db_result tools_list(struct db *db, const char *organization, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT t.name, t.action, t.description, t.settings, "
        "CASE WHEN t.headers_sealed IS NULL THEN 'no' ELSE 'yes' END, t.deadline_ms, "
        "array_to_string(t.channels, ','), o.name, t.parameters "
        "FROM tools AS t JOIN organizations AS o ON o.id = t.organization_id "
        "WHERE $1::uuid IS NULL OR t.organization_id = $1::uuid "
        "ORDER BY o.name, t.position, t.name",
        1};
    return db_run(db, &query, db_values(db_text(organization)), rows);
}

enum db_result tools_find(struct db *db, const char *organization, const char *name,
                          struct tools_described *described)
{
    static const struct db_statement query = {
        "SELECT action, settings, parameters, tries_max, timeout_ms, headers_sealed, 'test', '', "
        "'', '' FROM tools WHERE organization_id = $1::uuid AND name = $2 AND is_active",
        2};
    *described = (struct tools_described){.rows = NULL};
    enum db_result result =
        db_run(db, &query, db_values(db_text(organization), db_text(name)), &described->rows);
    if (result == DB_OK)
        read_described(described);
    return result;
}

enum db_result tools_calls(struct db *db, const char *organization, const char *conversation,
                           unsigned limit, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT k.id, to_char(k.asked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || 'Z', "
        "k.name, k.arguments, k.state, k.output, "
        "(extract(epoch FROM k.finished_at - k.asked_at) * 1000)::bigint, "
        "CASE WHEN k.told_at IS NULL THEN 'no' ELSE 'yes' END, k.conversation_id, o.name "
        "FROM tool_calls AS k JOIN organizations AS o ON o.id = k.organization_id "
        "WHERE ($1::uuid IS NULL OR k.organization_id = $1::uuid) "
        "AND ($2::uuid IS NULL OR k.conversation_id = $2::uuid) "
        "ORDER BY k.asked_at DESC, k.id LIMIT $3::integer",
        3};
    return db_run(db, &query,
                  db_values(db_text(organization), db_text(conversation), db_number(limit)), rows);
}
