#include "control/api/api_document.h"

#include "common/panic.h"
#include "control/api/api_caller.h"
#include "control/api/api_rows.h"

#include <jansson.h>
#include <stdio.h>

#define REF_BYTES 128

static json_t *reference(const char *format, const char *name)
{
    char text[REF_BYTES];
    int bytes = snprintf(text, sizeof text, format, name);
    assert(bytes > 0 && bytes < REF_BYTES);
    return json_pack("{s:s}", "$ref", text);
}

static json_t *schema_of(const char *name)
{
    return reference("#/components/schemas/%s", name);
}

static json_t *described(const char *schema, const char *says)
{
    json_t *made = api_rows_described(schema, says);
    assert(made); /* a literal of ours; a test makes the document */
    return made;
}

/* ---- answers ---- */

static void add_fields(json_t *properties, json_t *required, const struct shown *shown)
{
    for (int i = 0; i < shown->fields_count; i++) {
        const struct shown_field *field = &shown->fields[i];
        json_object_set_new(properties, field->name, described(field->schema, field->says));
        json_array_append_new(required, json_string(field->name));
    }
}

/* The object of a noun, and what an operation says beyond it. */
static json_t *object_schema(const struct shown *shown, const struct api_member *more)
{
    json_t *properties = json_object(), *required = json_array();
    if (shown)
        add_fields(properties, required, shown);
    for (; more && more->name; more++) {
        json_object_set_new(properties, more->name, described(more->schema, more->says));
        if (more->required)
            json_array_append_new(required, json_string(more->name));
    }
    return json_pack("{s:s, s:s, s:b, s:o, s:o}", "type", "object", "description",
                     shown ? shown->says : "What came of it.", "additionalProperties", 0,
                     "properties", properties, "required", required);
}

static json_t *page_schema(const struct shown *shown)
{
    return json_pack("{s:s, s:b, s:[s,s], s:{s:{s:s, s:o}, s:{s:[s,s], s:s}}}", "type", "object",
                     "additionalProperties", 0, "required", "items", "next", "properties", "items",
                     "type", "array", "items", schema_of(shown->name), "next", "type", "string",
                     "null", "description", "The cursor of the next page; null: this is the last.");
}

static json_t *answer_schema(const struct api_row *row)
{
    if (row->shape == API_PAGE)
        return page_schema(row->shown);
    return row->more || !row->shown ? object_schema(row->shown, row->more)
                                    : schema_of(row->shown->name);
}

static json_t *answer_headers(const struct api_row *row)
{
    json_t *headers = json_pack("{s:{s:s, s:{s:s, s:s}}}", "Request-Id", "description",
                                "The id under which the audit log has it.", "schema", "type",
                                "string", "format", "uuid");
    if (row->where)
        json_object_set_new(headers, "Location",
                            json_pack("{s:s, s:{s:s}}", "description", "Where it is found.",
                                      "schema", "type", "string"));
    return headers;
}

static void add_success(json_t *responses, const struct api_row *row)
{
    char status[8];
    snprintf(status, sizeof status, "%d", row->status);
    json_t *response =
        json_pack("{s:s, s:o}", "description", row->says, "headers", answer_headers(row));
    if (row->shape != API_NOTHING)
        json_object_set_new(
            response, "content",
            json_pack("{s:{s:o}}", "application/json", "schema", answer_schema(row)));
    json_object_set_new(responses, status, response);
}

/* Which statuses a row can be refused with follows from what it has. */
static bool can_be(const struct api_row *row, int status)
{
    bool changes = strcmp(row->method, "GET") != 0, finds = strchr(row->path, '{') != NULL;
    switch (status) {
    case 404:
        return finds || changes;
    case 409:
        return changes;
    case 415:
        return row->body != NULL;
    case 422:
        return true;
    case 405:
        return false; /* another method's */
    default:
        return true;
    }
}

static json_t *make_responses(const struct api_row *row)
{
    static const int refusals[] = {400, 401, 403, 404, 409, 415, 422, 429, 500, 503};
    json_t *responses = json_object();
    add_success(responses, row);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        char status[8];
        snprintf(status, sizeof status, "%d", refusals[i]);
        if (can_be(row, refusals[i]))
            json_object_set_new(responses, status,
                                reference(refusals[i] == 429 || refusals[i] == 503
                                              ? "#/components/responses/%sLater"
                                              : "#/components/responses/%s",
                                          "Problem"));
    }
    return responses;
}

/* ---- requests ---- */

static void add_parameter(json_t *parameters, const char *in, const char *name, bool required,
                          const char *schema, const char *says)
{
    json_t *read = json_loads(schema, 0, NULL);
    assert(read);
    json_array_append_new(parameters,
                          json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", name, "in", in, "required",
                                    required ? 1 : 0, "description", says, "schema", read));
}

/* What stands in braces, in order. */
static void add_arguments(json_t *parameters, const char *path)
{
    char name[64];
    for (const char *at = strchr(path, '{'); at; at = strchr(at + 1, '{')) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at + 1, "}"), at + 1);
        bool is_id = strcmp(name, "id") == 0;
        add_parameter(parameters, "path", name, true, is_id ? SHOWN_ID : SHOWN_TEXT,
                      is_id ? "Its id." : "Its name.");
    }
}

static json_t *make_parameters(const struct api_row *row)
{
    json_t *parameters = json_array();
    add_arguments(parameters, row->path);
    if (row->shape == API_PAGE) {
        char limit[80];
        snprintf(limit, sizeof limit,
                 "{\"type\":\"integer\",\"minimum\":1,\"maximum\":%d,\"default\":%d}",
                 API_LIMIT_MAX, API_LIMIT);
        add_parameter(parameters, "query", "limit", false, limit, "How many at most.");
        add_parameter(parameters, "query", "cursor", false, SHOWN_TEXT,
                      "The page before's next: from where to go on.");
        for (int i = 0; i < SHOWN_FILTERS_MAX; i++) {
            const struct shown_filter *filter = &row->shown->filters[i];
            if (filter->name && !(row->parent && strcmp(row->parent, filter->name) == 0))
                add_parameter(parameters, "query", filter->name, false, filter->schema,
                              filter->says);
        }
    }
    if (strcmp(row->method, "GET") != 0)
        add_parameter(parameters, "header", "Idempotency-Key", false,
                      "{\"type\":\"string\",\"minLength\":1,\"maxLength\":200}",
                      "Whoever repeats a request with its key gets its answer, and nothing is done "
                      "twice; for a day.");
    return parameters;
}

static json_t *make_operation(const struct api_row *row)
{
    char scope[160];
    snprintf(scope, sizeof scope, "Role %s, scope %s.", api_caller_role_name(row->role),
             row->group);
    json_t *operation =
        json_pack("{s:s, s:s, s:s, s:[s], s:o, s:o}", "operationId", row->name, "summary",
                  row->says, "description", scope, "tags", row->group, "parameters",
                  make_parameters(row), "responses", make_responses(row));
    if (row->body)
        json_object_set_new(operation, "requestBody",
                            json_pack("{s:b, s:{s:{s:O}}}", "required", 1, "content",
                                      "application/json", "schema", api_rows_body(row)));
    return operation;
}

/* ---- the whole ---- */

static void put_operation(json_t *paths, const char *path, const struct api_row *row,
                          const char *name)
{
    char method[8];
    json_t *item = json_object_get(paths, path);
    if (!item) {
        item = json_object();
        json_object_set_new(paths, path, item);
    }
    size_t i = 0;
    for (; row->method[i] && i < sizeof method - 1; i++)
        method[i] = (char)(row->method[i] | 0x20);
    method[i] = '\0';
    json_t *operation = make_operation(row);
    json_object_set_new(operation, "operationId", json_string(name));
    json_object_set_new(item, method, operation);
}

static json_t *make_paths(void)
{
    json_t *paths = json_object();
    char alias[96];
    for (int i = 0; i < api_rows_count(); i++) {
        const struct api_row *row = api_rows_at(i);
        put_operation(paths, row->path, row, row->name);
        snprintf(alias, sizeof alias, "%s_alias", row->name);
        if (row->alias)
            put_operation(paths, row->alias, row, alias);
    }
    return paths;
}

static json_t *make_schemas(void)
{
    json_t *schemas = json_pack(
        "{s:{s:s, s:s, s:[s,s,s], s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}}}", "Problem",
        "type", "object", "description", "Why it was not done (RFC 9457).", "required", "type",
        "title", "status", "properties", "type", "type", "string", "title", "type", "string",
        "status", "type", "integer", "detail", "type", "string", "instance", "type", "string");
    for (int i = 0; i < api_rows_count(); i++) {
        const struct shown *shown = api_rows_at(i)->shown;
        if (shown && !json_object_get(schemas, shown->name))
            json_object_set_new(schemas, shown->name, object_schema(shown, NULL));
    }
    return schemas;
}

static json_t *problem_response(bool later)
{
    json_t *response = json_pack("{s:s, s:{s:{s:o}}}", "description",
                                 later ? "Not now; Retry-After says when." : "Refused.", "content",
                                 "application/problem+json", "schema", schema_of("Problem"));
    if (later)
        json_object_set_new(response, "headers",
                            json_pack("{s:{s:s, s:{s:s}}}", "Retry-After", "description",
                                      "In how many seconds.", "schema", "type", "integer"));
    return response;
}

static json_t *make_tags(void)
{
    json_t *tags = json_array();
    for (int i = 0; i < api_groups_count; i++)
        json_array_append_new(tags, json_pack("{s:s, s:s}", "name", api_groups[i]->name,
                                              "description", api_groups[i]->says));
    return tags;
}

char *api_document_make(const char *base)
{
    json_t *components =
        json_pack("{s:o, s:{s:o, s:o}, s:{s:{s:s, s:s, s:s}}}", "schemas", make_schemas(),
                  "responses", "Problem", problem_response(false), "ProblemLater",
                  problem_response(true), "securitySchemes", "token", "type", "http", "scheme",
                  "bearer", "description", "From: ringbridge-control token add");
    json_t *document = json_pack(
        "{s:s, s:{s:s, s:s, s:s}, s:[{s:s}], s:[{s:[]}], s:o, s:o, s:o}", "openapi", "3.1.0",
        "info", "title", "ringbridge", "version", "1", "description",
        "Phone calls answered by AI. Everything belongs to the organisation that the token speaks "
        "for; what is another's does not exist.",
        "servers", "url", base, "security", "token", "tags", make_tags(), "paths", make_paths(),
        "components", components);
    char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;
    json_decref(document);
    return text;
}
