#include "control/store/jobs.h"

#include "common/panic.h"
#include "control/db/db_array.h"
#include "control/store/clean.h"

#include <stdlib.h>

#define ERROR_BYTES_MAX 2000

enum db_result jobs_enqueue(struct db *db, const char *organization, const char *kind,
                            const char *key, const char *payload_json, bool *made)
{
    static const struct db_statement query = {"SELECT enqueue_job($1::uuid, $2, $3, $4::jsonb)", 4};
    struct db_rows *rows;
    enum db_result result =
        db_run(db, &query,
               db_values(db_text(organization), db_text(kind), db_text(key), db_text(payload_json)),
               &rows);
    if (made)
        *made = result == DB_OK && db_cell_bool(rows, 0, 0);
    db_rows_free(rows);
    return result;
}

/* ---- working ---- */

/* The kinds as arrays, in the order in which they are looked at. */
struct columns {
    struct db_array names, concurrency, per_minute, lease_ms;
};

static bool open_columns(struct columns *columns, const struct jobs_kind *kinds, int count,
                         int first)
{
    bool room = db_array_open(&columns->names);
    room &= db_array_open(&columns->concurrency);
    room &= db_array_open(&columns->per_minute);
    room &= db_array_open(&columns->lease_ms);
    for (int i = 0; i < count && room; i++) {
        const struct jobs_kind *kind = &kinds[(first + i) % count];
        db_array_add(&columns->names, kind->name);
        db_array_add_number(&columns->concurrency, kind->concurrency);
        db_array_add_number(&columns->per_minute, kind->per_minute);
        db_array_add_number(&columns->lease_ms, kind->lease_ms);
    }
    return room;
}

static void free_columns(struct columns *columns)
{
    db_array_free(&columns->names);
    db_array_free(&columns->concurrency);
    db_array_free(&columns->per_minute);
    db_array_free(&columns->lease_ms);
}

static int find_kind(const struct jobs_kind *kinds, int count, const char *name)
{
    int kind = 0;
    while (kind < count && strcmp(kinds[kind].name, name) != 0)
        kind++;
    assert(kind < count); /* we asked for these only */
    return kind;
}

static void read_claimed(const struct jobs_kind *kinds, int count, struct jobs_claimed *claimed)
{
    const struct db_rows *rows = claimed->rows;
    bool ids = span_copy_text(span_of(db_cell(rows, 0, 0)), claimed->id, sizeof claimed->id) &&
               span_copy_text(span_of(db_cell(rows, 0, 1)), claimed->organization,
                              sizeof claimed->organization);
    assert(ids);
    claimed->kind = find_kind(kinds, count, db_cell(rows, 0, 2));
    claimed->key = db_cell(rows, 0, 3);
    claimed->payload_json = db_cell(rows, 0, 4);
    claimed->tries = db_cell_number(rows, 0, 5);
    claimed->max_tries = db_cell_number(rows, 0, 6);
}

enum db_result jobs_claim(struct db *db, const struct jobs_kind *kinds, int count, int first,
                          const char *worker, struct jobs_claimed *claimed)
{
    static const struct db_statement query = {
        "SELECT id, organization_id, kind, idempotency_key, payload, tries, max_tries "
        "FROM claim_job($1::text[], $2::integer[], $3::integer[], $4::integer[], $5::uuid)",
        5};
    struct columns columns = {.names = {.count = 0}};
    enum db_result result = DB_BUSY;
    *claimed = (struct jobs_claimed){.rows = NULL};
    assert(count > 0 && count <= JOBS_KINDS_MAX);
    if (open_columns(&columns, kinds, count, first))
        result =
            db_run(db, &query,
                   db_values(db_array_value(&columns.names), db_array_value(&columns.concurrency),
                             db_array_value(&columns.per_minute), db_array_value(&columns.lease_ms),
                             db_text(worker)),
                   &claimed->rows);
    free_columns(&columns);
    if (claimed->rows && db_rows_count(claimed->rows) > 0) {
        read_claimed(kinds, count, claimed);
    } else {
        db_rows_free(claimed->rows);
        claimed->rows = NULL;
    }
    return result;
}

enum db_result jobs_renew(struct db *db, const struct jobs_kind *kinds, int count,
                          const char *worker, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT renew_jobs($1::uuid, $2::text[], $3::integer[])", 3};
    struct columns columns = {.names = {.count = 0}};
    enum db_result result = DB_BUSY;
    *rows = NULL;
    if (open_columns(&columns, kinds, count, 0))
        result = db_run(db, &query,
                        db_values(db_text(worker), db_array_value(&columns.names),
                                  db_array_value(&columns.lease_ms)),
                        rows);
    free_columns(&columns);
    return result;
}

/* The number of tries with the worker's name is the token of a lease: whoever claims it later has
 * another. */
#define HELD                                                                                       \
    " WHERE id = $1::uuid AND organization_id = $2::uuid AND state = 'leased' "                    \
    "AND leased_by = $3::uuid AND tries = $4::integer RETURNING id"

static enum db_result settle(struct db *db, const struct db_statement *query,
                             const struct jobs_claimed *job, const char *worker, const char *error,
                             int64_t pause_ms, bool *held)
{
    char *why = clean_text(error, ERROR_BYTES_MAX);
    const struct db_value values[] = {db_text(job->id), db_text(job->organization),
                                      db_text(worker),  db_number(job->tries),
                                      db_text(why),     db_number(pause_ms)};
    struct db_rows *rows;
    enum db_result result = db_run(db, query, values, query->parameters, &rows);
    *held = result == DB_OK && db_rows_count(rows) == 1;
    db_rows_free(rows);
    free(why);
    return result;
}

enum db_result jobs_done(struct db *db, const struct jobs_claimed *job, const char *worker,
                         bool *held)
{
    static const struct db_statement query = {
        "UPDATE jobs SET state = 'done', due_at = NULL, leased_by = NULL, finished_at = now(), "
        "last_error = NULL" HELD,
        4};
    return settle(db, &query, job, worker, NULL, 0, held);
}

enum db_result jobs_again(struct db *db, const struct jobs_claimed *job, const char *worker,
                          const char *error, int64_t pause_ms, bool *held)
{
    static const struct db_statement query = {
        "UPDATE jobs SET state = 'queued', leased_by = NULL, last_error = $5, "
        "due_at = now() + $6::bigint * interval '1 millisecond'" HELD,
        6};
    return settle(db, &query, job, worker, error, pause_ms, held);
}

enum db_result jobs_dead(struct db *db, const struct jobs_claimed *job, const char *worker,
                         const char *error, bool *held)
{
    static const struct db_statement query = {
        "UPDATE jobs SET state = 'dead', due_at = NULL, leased_by = NULL, finished_at = now(), "
        "last_error = $5" HELD,
        5};
    return settle(db, &query, job, worker, error, 0, held);
}

enum db_result jobs_return(struct db *db, const struct jobs_claimed *job, const char *worker,
                           bool *held)
{
    static const struct db_statement query = {"UPDATE jobs SET state = 'queued', leased_by = NULL, "
                                              "tries = tries - 1, due_at = now()" HELD,
                                              4};
    return settle(db, &query, job, worker, NULL, 0, held);
}

enum db_result jobs_figures(struct db *db, const struct jobs_kind *kinds, int count,
                            struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT kind, queued, leased, dead, oldest_ms FROM job_figures($1::text[])", 1};
    struct columns columns = {.names = {.count = 0}};
    enum db_result result = DB_BUSY;
    *rows = NULL;
    if (open_columns(&columns, kinds, count, 0))
        result = db_run(db, &query, db_values(db_array_value(&columns.names)), rows);
    free_columns(&columns);
    return result;
}

enum db_result jobs_prune(struct db *db)
{
    static const struct db_statement query = {"SELECT prune_jobs($1::integer)", 1};
    return db_run(db, &query, db_values(db_number(JOBS_KEEP_DAYS)), NULL);
}

/* ---- for people ---- */

enum db_result jobs_list(struct db *db, const char *organization, const char *state, unsigned limit,
                         struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT j.id, o.name, j.kind, j.state, j.tries || '/' || j.max_tries, "
        "to_char(coalesce(j.due_at, j.finished_at), 'YYYY-MM-DD HH24:MI:SS') || 'Z', j.last_error "
        "FROM jobs AS j JOIN organizations AS o ON o.id = j.organization_id "
        "WHERE ($1::uuid IS NULL OR j.organization_id = $1::uuid) "
        "AND CASE WHEN $2::text IS NULL THEN j.state <> 'done' ELSE j.state = $2 END "
        "ORDER BY j.created_at DESC, j.id LIMIT $3::integer",
        3};
    return db_run(db, &query, db_values(db_text(organization), db_text(state), db_number(limit)),
                  rows);
}

enum db_result jobs_show(struct db *db, const char *id, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT jsonb_pretty(to_jsonb(j)) FROM jobs AS j WHERE id::text = lower($1)", 1};
    return db_run(db, &query, db_values(db_text(id)), rows);
}

static enum db_result change(struct db *db, const struct db_statement *query, const char *id,
                             bool *changed)
{
    struct db_rows *rows;
    enum db_result result = db_run(db, query, db_values(db_text(id)), &rows);
    *changed = result == DB_OK && db_rows_count(rows) == 1;
    db_rows_free(rows);
    return result;
}

enum db_result jobs_retry(struct db *db, const char *id, bool *changed)
{
    static const struct db_statement query = {
        "UPDATE jobs SET state = 'queued', tries = 0, due_at = now(), finished_at = NULL "
        "WHERE id::text = lower($1) AND state IN ('queued', 'dead') RETURNING id",
        1};
    return change(db, &query, id, changed);
}

enum db_result jobs_drop(struct db *db, const char *id, bool *changed)
{
    static const struct db_statement query = {
        "DELETE FROM jobs WHERE id::text = lower($1) AND (state IN ('queued', 'dead') "
        "OR state = 'leased' AND due_at < now()) RETURNING id",
        1};
    return change(db, &query, id, changed);
}
