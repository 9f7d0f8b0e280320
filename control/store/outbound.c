#include "control/store/outbound.h"

#include "common/panic.h"
#include "control/store/clean.h"

#include <stdlib.h>

static enum outbound_verdict read_verdict(const char *name)
{
    static const char *const names[] = {"made",     "repeated",    "other_request",
                                        "not_ours", "do_not_call", "no_account"};
    size_t i = 0;
    while (i < sizeof names / sizeof names[0] && strcmp(name, names[i]) != 0)
        i++;
    assert(i < sizeof names / sizeof names[0]);
    return (enum outbound_verdict)i;
}

enum db_result outbound_add(struct db *db, const char *organization,
                            const struct outbound_new *call, enum outbound_verdict *verdict,
                            char id[UUID_TEXT_BYTES + 1])
{
    static const struct db_statement query = {
        "SELECT m.id, m.verdict FROM jsonb_populate_record(NULL::outbound_calls, "
        "jsonb_build_object('to_number', $2::text, 'from_number', $3::text, 'account_sid', "
        "$4::text, 'plan', $5::jsonb, 'variables', $6::jsonb, 'lead', $7::text, "
        "'idempotency_key', $8::text, 'request_hash', $9::bytea, 'requested_by', $10::text)) AS w, "
        "make_outbound_call($1::uuid, w) AS m",
        10};
    struct db_rows *rows;
    enum db_result result =
        db_run(db, &query,
               db_values(db_text(organization), db_text(call->to), db_text(call->from),
                         db_text(call->account), db_text(call->plan_json),
                         db_text(call->variables_json), db_text(call->lead), db_text(call->key),
                         db_bytes(span_from(call->hash, sizeof call->hash)), db_text(call->by)),
               &rows);
    id[0] = '\0';
    if (result == DB_OK) {
        const char *made = db_cell(rows, 0, 0);
        *verdict = read_verdict(db_cell(rows, 0, 1));
        if (made)
            snprintf(id, UUID_TEXT_BYTES + 1, "%s", made);
    }
    db_rows_free(rows);
    return result;
}

enum db_result outbound_show(struct db *db, const char *organization, const char *id,
                             struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT jsonb_build_object('id', o.id, 'to', o.to_number, 'from', o.from_number, 'state', "
        "o.state, 'outcome', o.outcome, 'error', o.error, 'due', iso_time(o.due_at), 'lead', "
        "o.lead, 'variables', o.variables, 'batch', o.batch_id, 'plan', coalesce(o.plan, b.plan), "
        "'requested_by', o.requested_by, 'created', iso_time(o.created_at), 'attempts', "
        "coalesce((SELECT jsonb_agg(jsonb_build_object('id', a.id, 'state', a.state, 'call_sid', "
        "a.call_sid, 'found_by', a.found_by, 'status', a.call_status, 'answered_by', "
        "a.answered_by, 'asks', a.asks, 'doubles', a.doubles, 'error', a.error, 'conversation', "
        "(SELECT c.id FROM conversations AS c WHERE c.account_sid = a.account_sid AND c.call_sid = "
        "a.call_sid AND c.organization_id = a.organization_id), 'created', "
        "iso_time(a.created_at)) ORDER BY a.number) FROM call_attempts AS a "
        "WHERE a.outbound_call_id = o.id), '[]')) "
        "FROM outbound_calls AS o LEFT JOIN call_batches AS b ON b.id = o.batch_id "
        "WHERE o.id::text = $2 AND ($1::uuid IS NULL OR o.organization_id = $1::uuid)",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_text(id)), rows);
}

enum db_result outbound_list(struct db *db, const char *organization, unsigned limit,
                             struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT o.id, o.to_number, o.state, coalesce(o.outcome, ''), o.attempts, "
        "coalesce(iso_time(o.due_at), ''), coalesce((SELECT a.answered_by FROM call_attempts AS a "
        "WHERE a.outbound_call_id = o.id ORDER BY a.number DESC LIMIT 1), ''), o.lead, "
        "coalesce(b.name, ''), coalesce(o.error, '') "
        "FROM outbound_calls AS o LEFT JOIN call_batches AS b ON b.id = o.batch_id "
        "WHERE $1::uuid IS NULL OR o.organization_id = $1::uuid "
        "ORDER BY o.created_at DESC, o.id LIMIT $2::integer",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_number(limit)), rows);
}

enum db_result outbound_release(struct db *db, int64_t *released)
{
    static const struct db_statement query = {"SELECT release_calls()", 0};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, NULL, 0, &rows);
    *released = result == DB_OK ? db_cell_number(rows, 0, 0) : 0;
    db_rows_free(rows);
    return result;
}

/* ---- limits ---- */

enum db_result outbound_limits_make(struct db *db, const char *organization)
{
    static const struct db_statement query = {
        "INSERT INTO outbound_limits SELECT (outbound_limits_in_force($1::uuid)).* "
        "ON CONFLICT DO NOTHING",
        1};
    return db_run(db, &query, db_values(db_text(organization)), NULL);
}

enum db_result outbound_limits(struct db *db, const char *organization, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT calls_at_once, calls_per_minute, calls_per_day, time_zone, settle_s, "
        "(SELECT count(*) FROM call_attempts AS a WHERE a.organization_id = l.organization_id "
        "AND a.state <> 'dropped' AND a.created_at >= date_trunc('day', now(), l.time_zone)) "
        "FROM outbound_limits AS l WHERE organization_id = $1::uuid",
        1};
    enum db_result result = outbound_limits_make(db, organization);
    *rows = NULL;
    return result == DB_OK ? db_run(db, &query, db_values(db_text(organization)), rows) : result;
}

enum db_result outbound_limit(struct db *db, const char *organization, const char *key,
                              const char *value, bool *known)
{
#define SET(column, type)                                                                          \
    {                                                                                              \
#column,                                                                                   \
        {                                                                                          \
            "UPDATE outbound_limits SET " #column " = $2::" type                                   \
            " WHERE organization_id = $1::uuid",                                                   \
                2                                                                                  \
        }                                                                                          \
    }
    static const struct {
        const char *key;
        struct db_statement set;
    } columns[] = {SET(calls_at_once, "integer"), SET(calls_per_minute, "integer"),
                   SET(calls_per_day, "integer"), SET(time_zone, "text"), SET(settle_s, "integer")};
#undef SET
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        *known = strcmp(columns[i].key, key) == 0;
        if (!*known)
            continue;
        enum db_result result = outbound_limits_make(db, organization);
        return result != DB_OK ? result
                               : db_run(db, &columns[i].set,
                                        db_values(db_text(organization), db_text(value)), NULL);
    }
    return DB_OK;
}

/* ---- an attempt ---- */

enum db_result outbound_begin(struct db *db, const char *attempt, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT verdict, account, from_number, to_number, plan, asks FROM begin_attempt($1::uuid)",
        1};
    return db_run(db, &query, db_values(db_text(attempt)), rows);
}

/* A statement that answers true or false. */
static enum db_result ask(struct db *db, const struct db_statement *query,
                          const struct db_value *values, int count, bool *answer)
{
    struct db_rows *rows;
    enum db_result result = db_run(db, query, values, count, &rows);
    *answer = result == DB_OK && db_cell_bool(rows, 0, 0);
    db_rows_free(rows);
    return result;
}

enum db_result outbound_made(struct db *db, const char *attempt, const char *sid, const char *by,
                             bool *mine)
{
    static const struct db_statement query = {"SELECT attempt_made($1::uuid, $2, $3)", 3};
    return ask(db, &query, db_values(db_text(attempt), db_text(sid), db_text(by)), mine);
}

enum db_result outbound_unasked(struct db *db, const char *attempt)
{
    static const struct db_statement query = {
        "UPDATE call_attempts SET state = 'ready', asks = asks - 1 "
        "WHERE id = $1::uuid AND state = 'asking'",
        1};
    return db_run(db, &query, db_values(db_text(attempt)), NULL);
}

enum db_result outbound_unsure(struct db *db, const char *attempt)
{
    static const struct db_statement query = {
        "UPDATE call_attempts SET state = 'unsure', unsure_since = now() "
        "WHERE id = $1::uuid AND state = 'asking'",
        1};
    return db_run(db, &query, db_values(db_text(attempt)), NULL);
}

enum db_result outbound_listed(struct db *db, const char *attempt, const char *sid,
                               const char *created, bool *mine)
{
    static const struct db_statement query = {"SELECT attempt_listed($1::uuid, $2, $3)", 3};
    return ask(db, &query, db_values(db_text(attempt), db_text(sid), db_text(created)), mine);
}

enum db_result outbound_unlisted(struct db *db, const char *attempt, bool *settled)
{
    static const struct db_statement query = {"SELECT attempt_unlisted($1::uuid)", 1};
    return ask(db, &query, db_values(db_text(attempt)), settled);
}

enum db_result outbound_drop(struct db *db, const char *attempt, const char *outcome,
                             const char *why)
{
    static const struct db_statement query = {"SELECT drop_attempt($1::uuid, $2, $3)", 3};
    char *clean = clean_text(why, 1000);
    enum db_result result =
        db_run(db, &query, db_values(db_text(attempt), db_text(outcome), db_text(clean)), NULL);
    free(clean);
    return result;
}

enum db_result outbound_pause_for(struct db *db, const char *attempt, const char *why, bool *paused)
{
    static const struct db_statement query = {"SELECT pause_for($1::uuid, $2)", 2};
    char *clean = clean_text(why, 1000);
    enum db_result result = ask(db, &query, db_values(db_text(attempt), db_text(clean)), paused);
    free(clean);
    return result;
}

/* ---- whom not to call ---- */

enum db_result outbound_dnc_put(struct db *db, const char *organization, const char *number,
                                const char *reason, const char *by, char id[UUID_TEXT_BYTES + 1])
{
    static const struct db_statement put = {
        "INSERT INTO do_not_call (organization_id, phone_number, reason, added_by) "
        "VALUES ($1::uuid, $2, $3, $4) ON CONFLICT (organization_id, phone_number) DO NOTHING",
        4};
    static const struct db_statement find = {
        "SELECT id FROM do_not_call WHERE organization_id = $1::uuid AND phone_number = $2", 2};
    struct db_rows *rows = NULL;
    enum db_result result = db_run(
        db, &put, db_values(db_text(organization), db_text(number), db_text(reason), db_text(by)),
        NULL);
    if (result == DB_OK)
        result = db_run(db, &find, db_values(db_text(organization), db_text(number)), &rows);
    bool found = result == DB_OK && db_rows_count(rows) == 1;
    snprintf(id, UUID_TEXT_BYTES + 1, "%s", found ? db_cell(rows, 0, 0) : "");
    db_rows_free(rows);
    return result;
}

enum db_result outbound_dnc_drop(struct db *db, const char *id, bool *removed)
{
    static const struct db_statement query = {
        "DELETE FROM do_not_call WHERE id = $1::uuid RETURNING id", 1};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(id)), &rows);
    *removed = result == DB_OK && db_rows_count(rows) == 1;
    db_rows_free(rows);
    return result;
}

enum db_result outbound_dnc_remove(struct db *db, const char *organization, const char *number,
                                   bool *removed)
{
    static const struct db_statement query = {
        "DELETE FROM do_not_call WHERE organization_id = $1::uuid AND phone_number = $2 "
        "RETURNING phone_number",
        2};
    struct db_rows *rows;
    enum db_result result =
        db_run(db, &query, db_values(db_text(organization), db_text(number)), &rows);
    *removed = result == DB_OK && db_rows_count(rows) == 1;
    db_rows_free(rows);
    return result;
}

enum db_result outbound_dnc_list(struct db *db, const char *organization, unsigned limit,
                                 struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT d.phone_number, d.reason, d.added_by, iso_time(d.created_at), o.name "
        "FROM do_not_call AS d JOIN organizations AS o ON o.id = d.organization_id "
        "WHERE $1::uuid IS NULL OR d.organization_id = $1::uuid "
        "ORDER BY d.created_at DESC, d.phone_number LIMIT $2::integer",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_number(limit)), rows);
}
