#include "control/store/batches.h"

#include "common/panic.h"

#include <stdlib.h>

#define NAMED                                                                                      \
    "($1::uuid IS NULL OR b.organization_id = $1::uuid) AND (b.name = $2 OR b.id::text = $2)"

struct adding {
    const char *organization;
    const struct batches_new *batch;
    enum batches_verdict verdict;
    char *id;
    int64_t added;
};

static enum batches_verdict read_verdict(const char *name)
{
    static const char *const names[] = {"made", "name_taken", "not_ours", "no_account"};
    size_t i = 0;
    while (i < sizeof names / sizeof names[0] && strcmp(name, names[i]) != 0)
        i++;
    assert(i < sizeof names / sizeof names[0]);
    return (enum batches_verdict)i;
}

static enum db_result add_batch(struct db *db, struct adding *adding)
{
    static const struct db_statement query = {
        "WITH given AS (SELECT outbound_account($1::uuid, $4) AS account, EXISTS (SELECT FROM "
        "phone_numbers WHERE organization_id = $1::uuid AND phone_number = $3 AND channel = "
        "'twilio' AND is_active) AS ours, EXISTS (SELECT FROM call_batches WHERE organization_id = "
        "$1::uuid AND name = $2) AS taken), made AS (INSERT INTO call_batches (organization_id, "
        "name, from_number, account_sid, plan, calls_per_minute, days, opens, closes, time_zone, "
        "retries, retry_after_s, state, requested_by) SELECT $1::uuid, $2, $3, account, $5::jsonb, "
        "$6::integer, $7::smallint[], $8::time, $9::time, $10, $11::integer, $12::integer, "
        "CASE WHEN $13::boolean THEN 'paused' ELSE 'running' END, $14 FROM given "
        "WHERE ours AND NOT taken AND account IS NOT NULL RETURNING id) "
        "SELECT (SELECT id FROM made), CASE WHEN taken THEN 'name_taken' WHEN NOT ours THEN "
        "'not_ours' WHEN account IS NULL THEN 'no_account' ELSE 'made' END FROM given",
        14};
    const struct batches_new *batch = adding->batch;
    struct db_rows *rows;
    enum db_result result = db_run(
        db, &query,
        db_values(db_text(adding->organization), db_text(batch->name), db_text(batch->from),
                  db_text(batch->account), db_text(batch->plan_json),
                  db_number(batch->calls_per_minute), db_text(batch->days), db_text(batch->opens),
                  db_text(batch->closes), db_text(batch->time_zone), db_number(batch->retries),
                  db_number(batch->retry_after_s), db_bool(batch->paused), db_text(batch->by)),
        &rows);
    if (result == DB_OK) {
        adding->verdict = read_verdict(db_cell(rows, 0, 1));
        snprintf(adding->id, UUID_TEXT_BYTES + 1, "%s",
                 db_cell(rows, 0, 0) ? db_cell(rows, 0, 0) : "");
    }
    db_rows_free(rows);
    return result;
}

static enum db_result add_numbers(struct db *db, struct adding *adding, const char *numbers_json)
{
    static const struct db_statement query = {
        "WITH made AS (INSERT INTO outbound_calls (organization_id, batch_id, line, to_number, "
        "from_number, account_sid, variables, lead, time_zone, requested_by) "
        "SELECT b.organization_id, b.id, r.line, r.\"to\", b.from_number, b.account_sid, "
        "r.variables, r.lead, r.time_zone, b.requested_by FROM call_batches AS b, "
        "jsonb_to_recordset($2::jsonb) AS r (line integer, \"to\" text, lead text, time_zone text, "
        "variables jsonb) WHERE b.id = $1::uuid "
        "ON CONFLICT (batch_id, to_number) DO NOTHING RETURNING 1) SELECT count(*) FROM made",
        2};
    struct db_rows *rows;
    enum db_result result =
        db_run(db, &query, db_values(db_text(adding->id), db_text(numbers_json)), &rows);
    if (result == DB_OK)
        adding->added += db_cell_number(rows, 0, 0);
    db_rows_free(rows);
    return result;
}

/* The rows from first on, as many as one statement takes. */
static char *write_chunk(const json_t *rows, size_t first)
{
    json_t *chunk = json_array();
    for (size_t i = first; chunk && i < json_array_size(rows) && i < first + BATCHES_CHUNK; i++)
        json_array_append(chunk, json_array_get(rows, i));
    char *text = chunk ? json_dumps(chunk, JSON_COMPACT) : NULL;
    json_decref(chunk);
    return text;
}

enum db_result batches_put(struct db *db, const char *organization, const struct batches_new *batch,
                           const json_t *rows, enum batches_verdict *verdict,
                           char id[UUID_TEXT_BYTES + 1], int64_t *added)
{
    struct adding adding = {.organization = organization, .batch = batch, .id = id};
    enum db_result result = add_batch(db, &adding);
    for (size_t first = 0;
         result == DB_OK && adding.verdict == BATCHES_MADE && first < json_array_size(rows);
         first += BATCHES_CHUNK) {
        char *chunk = write_chunk(rows, first);
        result = chunk ? add_numbers(db, &adding, chunk) : DB_BROKEN;
        free(chunk);
    }
    *verdict = adding.verdict;
    *added = adding.added;
    return result;
}

static enum db_result change(struct db *db, const struct db_statement *query,
                             const char *organization, const char *name, bool *changed)
{
    struct db_rows *rows;
    enum db_result result =
        db_run(db, query, db_values(db_text(organization), db_text(name)), &rows);
    *changed = result == DB_OK && db_rows_count(rows) > 0;
    db_rows_free(rows);
    return result;
}

enum db_result batches_pause(struct db *db, const char *organization, const char *name,
                             bool *changed)
{
    static const struct db_statement query = {
        "UPDATE call_batches AS b SET state = 'paused', reason = '' "
        "WHERE " NAMED " AND state = 'running' RETURNING id",
        2};
    return change(db, &query, organization, name, changed);
}

enum db_result batches_resume(struct db *db, const char *organization, const char *name,
                              bool *changed)
{
    static const struct db_statement query = {
        "UPDATE call_batches AS b SET state = 'running', reason = '' "
        "WHERE " NAMED " AND state = 'paused' RETURNING id",
        2};
    return change(db, &query, organization, name, changed);
}

enum db_result batches_stop(struct db *db, const char *organization, const char *name,
                            bool *changed)
{
    static const struct db_statement query = {
        "WITH stopped AS (UPDATE call_batches AS b SET state = 'stopped', reason = '' "
        "WHERE " NAMED " AND state IN ('running', 'paused') RETURNING id), "
        "ended AS (UPDATE outbound_calls AS o SET state = 'done', due_at = NULL, outcome = "
        "'stopped' FROM stopped WHERE o.batch_id = stopped.id AND o.state = 'waiting') "
        "SELECT id FROM stopped",
        2};
    return change(db, &query, organization, name, changed);
}

enum db_result batches_state(struct db *db, const char *id, char state[BATCHES_STATE_TEXT])
{
    static const struct db_statement query = {"SELECT state FROM call_batches WHERE id = $1::uuid",
                                              1};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(id)), &rows);
    bool found = result == DB_OK && db_rows_count(rows) == 1;
    snprintf(state, BATCHES_STATE_TEXT, "%s", found ? db_cell(rows, 0, 0) : "");
    db_rows_free(rows);
    return result;
}

enum db_result batches_list(struct db *db, const char *organization, unsigned limit,
                            struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT b.id, b.name, b.state, n.all, n.waiting, n.calling, n.reached, "
        "iso_time(b.created_at), g.name, b.reason "
        "FROM call_batches AS b JOIN organizations AS g ON g.id = b.organization_id "
        "CROSS JOIN LATERAL (SELECT count(*) AS \"all\", count(*) FILTER (WHERE state = "
        "'waiting') AS waiting, count(*) FILTER (WHERE state = 'calling') AS calling, count(*) "
        "FILTER (WHERE outcome = 'completed') AS reached FROM outbound_calls AS o "
        "WHERE o.batch_id = b.id) AS n "
        "WHERE $1::uuid IS NULL OR b.organization_id = $1::uuid "
        "ORDER BY b.created_at DESC, b.id LIMIT $2::integer",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_number(limit)), rows);
}

enum db_result batches_show(struct db *db, const char *organization, const char *name,
                            struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT jsonb_build_object('id', b.id, 'name', b.name, 'state', b.state, 'reason', "
        "b.reason, 'from', b.from_number, 'plan', b.plan, 'calls_per_minute', b.calls_per_minute, "
        "'days', b.days, 'opens', b.opens, 'closes', b.closes, 'time_zone', b.time_zone, "
        "'retries', b.retries, 'retry_after_s', b.retry_after_s, 'requested_by', b.requested_by, "
        "'created', iso_time(b.created_at), 'next', (SELECT iso_time(min(due_at)) FROM "
        "outbound_calls AS o WHERE o.batch_id = b.id AND o.state = 'waiting'), 'numbers', "
        "(SELECT coalesce(jsonb_object_agg(n.what, n.count), '{}') FROM (SELECT coalesce(outcome, "
        "state) AS what, count(*) FROM outbound_calls AS o WHERE o.batch_id = b.id GROUP BY 1) AS "
        "n), 'answered_by', (SELECT coalesce(jsonb_object_agg(n.who, n.count), '{}') FROM (SELECT "
        "a.answered_by AS who, count(*) FROM call_attempts AS a JOIN outbound_calls AS o ON o.id = "
        "a.outbound_call_id WHERE o.batch_id = b.id AND a.answered_by IS NOT NULL GROUP BY 1) AS "
        "n)), b.id FROM call_batches AS b WHERE " NAMED,
        2};
    return db_run(db, &query, db_values(db_text(organization), db_text(name)), rows);
}

enum db_result batches_numbers(struct db *db, const char *batch, unsigned limit,
                               struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT o.line, o.to_number, o.state, coalesce(o.outcome, ''), o.attempts, "
        "coalesce(iso_time(o.due_at), ''), coalesce((SELECT a.answered_by FROM call_attempts AS a "
        "WHERE a.outbound_call_id = o.id ORDER BY a.number DESC LIMIT 1), ''), o.lead, "
        "coalesce(o.error, '') FROM outbound_calls AS o WHERE o.batch_id = $1::uuid "
        "ORDER BY o.line LIMIT $2::integer",
        2};
    return db_run(db, &query, db_values(db_text(batch), db_number(limit)), rows);
}
