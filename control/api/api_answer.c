#include "control/api/api_answer.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"
#include "control/api/api_caller.h"
#include "control/api/api_change.h"
#include "control/api/api_rows.h"
#include "control/api/api_show.h"
#include "control/base/json_read.h"
#include "control/base/limit.h"
#include "control/tools/tool_schema.h"

#include <stdlib.h>

#define DOCUMENT_PATH API_PREFIX "openapi.json"

/* Under the carrier's prefixes only what has a row: whoever mistypes a webhook there hears what a
 * webhook hears. */
bool api_answer_is_one(const struct request *request)
{
    char arguments[API_ARGUMENTS_MAX][API_ARGUMENT_BYTES], methods[64];
    struct span path = request->path;
    if (!span_starts(path, API_PREFIX "twilio/") &&
        !span_starts(path, API_PREFIX "aloha/webhooks/"))
        return span_starts(path, API_PREFIX);
    return api_rows_find(path, request->method, arguments, methods) || methods[0];
}

/* ---- what came ---- */

static bool is_json(const struct request *request)
{
    static const char type[] = "application/json";
    const char *value = request_header(request, "content-type");
    if (!value || strncasecmp(value, type, strlen(type)) != 0)
        return false;
    char after = value[strlen(type)];
    return after == '\0' || after == ';' || after == ' ';
}

static enum db_result read_body(struct api *api)
{
    char error[TOOL_SCHEMA_WORDS];
    const json_t *schema = api_rows_body(api->row);
    struct span text = api->request->body;
    if (!schema)
        return text.bytes == 0 ? DB_OK
                               : api_refuse(api, PROBLEM_malformed, "This path takes no body.");
    if (!is_json(api->request))
        return api_refuse(api, PROBLEM_media_type, "Send it with Content-Type: application/json.");
    api->body = json_read_object(text);
    if (!api->body)
        return api_refuse(
            api, PROBLEM_malformed,
            "The body is one JSON object, without a name twice, of at most %d levels.",
            JSON_READ_DEPTH_MAX);
    if (!tool_schema_judge(schema, api->body, error, sizeof error))
        return api_refuse(api, PROBLEM_invalid, "%s.", error);
    return DB_OK;
}

static bool is_key(const char *key)
{
    size_t bytes = strspn(key, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "-_.:/+=@");
    return bytes > 0 && bytes <= API_KEY_BYTES_MAX && key[bytes] == '\0' && key[0] != '.';
}

/* Without a key of theirs a change has one of ours, so that it is made once even when the answer to
 * our COMMIT is lost. */
static enum db_result read_key(struct api *api)
{
    const char *key = request_header(api->request, "idempotency-key");
    if (key && !is_key(key))
        return api_refuse(api, PROBLEM_parameter,
                          "Idempotency-Key has 1 to %d letters, digits and -_.:/+=@, and does not "
                          "begin with a dot.",
                          API_KEY_BYTES_MAX);
    if (key)
        snprintf(api->key, sizeof api->key, "%s", key);
    else
        snprintf(api->key, sizeof api->key, ".%s", api->id);
    return DB_OK;
}

static enum db_result read_query(struct api *api)
{
    char error[API_PROBLEM_DETAIL];
    const struct shown *shown = api->row->shape == API_PAGE ? api->row->shown : NULL;
    if (!api_query_read(api->request->query, shown, &api->query, error, sizeof error))
        return api_refuse(api, PROBLEM_parameter, "%s", error);
    return DB_OK;
}

/* ---- the way through ---- */

static enum db_result find_row(struct api *api, char methods[64])
{
    api->row = api_rows_find(api->request->path, api->request->method, api->arguments, methods);
    if (api->row)
        return DB_OK;
    if (!methods[0])
        return api_refuse(api, PROBLEM_not_found, "There is no such path.");
    return api_refuse(api, PROBLEM_method, "It takes %s.", methods);
}

static void go(struct api *api, char methods[64])
{
    if (find_row(api, methods) != DB_OK)
        return;
    bool shows = strcmp(api->row->method, "GET") == 0;
    if (api_caller_find(api) == DB_OK && read_query(api) == DB_OK && read_body(api) == DB_OK &&
        read_key(api) == DB_OK) {
        if (shows)
            api_show(api);
        else
            api_change(api);
    }
    if (!shows && api->problem.status && api->caller.id[0])
        api_change_refused(api);
}

/* ---- the answer ---- */

static json_t *write_headers(const struct api *api, const char *methods)
{
    char seconds[16];
    json_t *headers = json_pack("{s:s, s:s}", "cache-control", "no-store", "request-id", api->id);
    if (headers && api->answer)
        json_object_set_new(
            headers, "content-type",
            json_string(api->problem.status ? "application/problem+json" : "application/json"));
    if (headers && api->problem.problem == PROBLEM_method && api->problem.status)
        json_object_set_new(headers, "allow", json_string(methods));
    if (headers && api->problem.problem == PROBLEM_unauthorized && api->problem.status)
        json_object_set_new(headers, "www-authenticate", json_string("Bearer"));
    if (headers && api->location[0])
        json_object_set_new(headers, "location", json_string(api->location));
    if (headers && api->replayed)
        json_object_set_new(headers, "idempotent-replay", json_string("true"));
    if (headers && api->retry_after_s) {
        snprintf(seconds, sizeof seconds, "%u", api->retry_after_s);
        json_object_set_new(headers, "retry-after", json_string(seconds));
    }
    return headers;
}

static void write_answer(struct api *api, const char *methods, struct api_answer *answer)
{
    if (api->problem.status) {
        free(api->answer);
        api->answer = api_problem_write(&api->problem, api->id);
        api->answer_bytes = api->answer ? strlen(api->answer) : 0;
        api->status = api->problem.status;
        api->location[0] = '\0';
    }
    json_t *headers = write_headers(api, methods);
    json_t *head =
        headers ? json_pack("{s:i, s:o}", "status", api->status, "headers", headers) : NULL;
    *answer = (struct api_answer){.status = api->status,
                                  .head = head ? json_dumps(head, JSON_COMPACT) : NULL,
                                  .body = api->answer,
                                  .body_bytes = api->answer_bytes};
    api->answer = NULL;
    json_decref(head);
}

/* The one path without a token: what there is is no secret. */
static bool is_document(const struct request *request)
{
    return span_is(request->path, DOCUMENT_PATH) && strcmp(request->method, "GET") == 0;
}

static void answer_document(const struct service *service, struct api_answer *answer)
{
    *answer = (struct api_answer){
        .status = 200,
        .head = strdup("{\"status\":200,\"headers\":{\"content-type\":\"application/json\","
                       "\"cache-control\":\"no-cache\",\"access-control-allow-origin\":\"*\"}}"),
        .body = strdup(service->api_document)};
    answer->body_bytes = answer->body ? strlen(answer->body) : 0;
}

void api_answer(const struct service *service, struct db *db, const struct request *request,
                struct api_answer *answer)
{
    struct api api = {.service = service, .db = db, .request = request};
    char methods[64] = "GET";
    if (is_document(request)) {
        answer_document(service, answer);
        return;
    }
    uuid_make(api.id);
    go(&api, methods);
    assert(api.status || api.problem.status);
    write_answer(&api, methods, answer);
    json_decref(api.body);
    json_decref(api.more);
    log_at(answer->status >= 500 ? LOG_WARN : LOG_DEBUG, "api",
           log_text("operation", api.row ? api.row->name : "none"),
           log_number("status", answer->status), log_text("request", api.id));
}

void api_answer_busy(struct api_answer *answer)
{
    struct api api = {.retry_after_s = 1};
    uuid_make(api.id);
    api_refuse(&api, PROBLEM_unavailable, "Too many requests wait already.");
    write_answer(&api, "", answer);
}

void api_answer_free(struct api_answer *answer)
{
    free(answer->head);
    if (answer->body) {
        explicit_bzero(answer->body, answer->body_bytes); /* it may hold a new token */
        free(answer->body);
    }
}
