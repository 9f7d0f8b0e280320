#include "control/api/api_change.h"

#include "common/log.h"
#include "common/panic.h"
#include "control/api/api_show.h"
#include "control/store/api_answers.h"

#include <stdio.h>
#include <stdlib.h>

#define OPERATION_BYTES 1280
#define TARGET_BYTES    1024

/* ---- the record ---- */

static const char *own_key(const struct api *api)
{
    return api->key[0] && api->key[0] != '.' ? api->key : NULL;
}

static enum db_result audit(struct api *api, int status)
{
    char target[TARGET_BYTES];
    const char *peer = json_string_value(json_object_get(api->request->object, "peer"));
    struct span path = api->request->path;
    if (!span_copy_text(path, target, sizeof target))
        snprintf(target, sizeof target, "%s", api->row->path);
    const struct api_audit entry = {.id = api->id,
                                    .organization = api->caller.organization,
                                    .token = api->caller.id,
                                    .token_label = api->caller.label,
                                    .operation = api->row->name,
                                    .target = target,
                                    .key = own_key(api),
                                    .peer = peer ? peer : "",
                                    .status = status};
    return api_answers_audit(api->db, &entry);
}

static enum db_result audit_refusal(struct db *db, void *context)
{
    struct api *api = context;
    (void)db;
    return audit(api, api->problem.status);
}

void api_change_refused(struct api *api)
{
    enum problem problem = api->problem.problem;
    bool counts = problem != PROBLEM_too_fast && problem != PROBLEM_unavailable;
    if (!counts)
        return; /* nothing was looked at, and there may be many */
    if (db_transact(api->db, api->caller.organization, audit_refusal, api) != DB_OK)
        log_error("a refusal is not in the audit log", log_text("request", api->id),
                  log_text("error", db_error(api->db)));
}

/* ---- the change ---- */

static void write_location(struct api *api)
{
    if (api->row->where && api->made[0])
        snprintf(api->location, sizeof api->location, "%s%s", api->row->where, api->made);
}

static enum db_result make(struct api *api, const struct api_answers_key *key)
{
    char *kept = NULL;
    enum db_result result = api->row->act(api);
    if (result == DB_OK)
        result = api_show_write(api, &kept);
    if (result == DB_OK) {
        api->status = api->row->status;
        write_location(api);
        result = api_answers_keep(api->db, key, api->status,
                                  api->location[0] ? api->location : NULL, kept);
    }
    free(kept);
    return result == DB_OK ? audit(api, api->status) : result;
}

/* The text that was kept, with what we still know ourselves when it was us who made it. */
static enum db_result replay(struct api *api, const struct db_rows *rows)
{
    const char *text = db_cell(rows, 0, API_ANSWERS_ANSWER);
    const char *location = db_cell(rows, 0, API_ANSWERS_LOCATION);
    if (!db_cell_bool(rows, 0, API_ANSWERS_SAME))
        return api_refuse(api, PROBLEM_key_reused, "Use a new key for a new request.");
    if (db_cell_bool(rows, 0, API_ANSWERS_OURS))
        return DB_OK; /* our own COMMIT, whose answer got lost: all is there still */
    if (!text && api->row->shape != API_NOTHING)
        return api_refuse(api, PROBLEM_conflict,
                          "It was done, and what came of it was shown once. Use a new key.");
    api->replayed = true;
    api->status = (int)db_cell_number(rows, 0, API_ANSWERS_STATUS);
    snprintf(api->location, sizeof api->location, "%s", location ? location : "");
    api_show_take(api, text ? strdup(text) : NULL);
    return DB_OK;
}

static void fill_key(const struct api *api, char operation[OPERATION_BYTES],
                     struct api_answers_key *key)
{
    struct span path = api->request->path;
    int bytes = path.bytes < OPERATION_BYTES / 2 ? (int)path.bytes : OPERATION_BYTES / 2;
    snprintf(operation, OPERATION_BYTES, "%s %.*s", api->row->method, bytes,
             (const char *)path.data);
    *key = (struct api_answers_key){.organization = api->caller.organization,
                                    .token = api->caller.id,
                                    .key = api->key,
                                    .operation = operation,
                                    .request = api->id};
    seal_hash(api->request->body, key->body_hash);
}

static enum db_result change(struct db *db, void *context)
{
    struct api *api = context;
    struct api_answers_key key;
    char operation[OPERATION_BYTES];
    struct db_rows *known;
    fill_key(api, operation, &key);
    api->problem.status = 0;
    api->retry_after_s = 0;
    enum db_result result = api_answers_claim(db, &key, &known);
    if (result == DB_OK && known)
        result = replay(api, known);
    else if (result == DB_OK)
        result = make(api, &key);
    db_rows_free(known);
    return api_failed(api, result);
}

void api_change(struct api *api)
{
    assert(api->row->act);
    enum db_result result = db_transact(api->db, api->caller.organization, change, api);
    if (result != DB_OK)
        api_failed(api, result);
}
