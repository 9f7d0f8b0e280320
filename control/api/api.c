#include "control/api/api.h"

#include "common/log.h"
#include "common/panic.h"

#include <stdarg.h>
#include <stdio.h>

#define UNIQUE_VIOLATION    "23505"
#define EXCLUSION_VIOLATION "23P01"

enum db_result api_refuse(struct api *api, enum problem problem, const char *format, ...)
{
    va_list arguments;
    api->problem = (struct api_problem){.status = api_problem_status(problem), .problem = problem};
    va_start(arguments, format);
    vsnprintf(api->problem.detail, sizeof api->problem.detail, format, arguments);
    va_end(arguments);
    return DB_REFUSED;
}

enum db_result api_missing(struct api *api)
{
    return api_refuse(api, PROBLEM_not_found, "There is none with this name or id.");
}

/* The message has the value's rule in it at most, never another row's values. */
static enum db_result refuse_value(struct api *api)
{
    const char *state = db_sqlstate(api->db), *rule = db_constraint(api->db);
    bool clashes = strcmp(state, UNIQUE_VIOLATION) == 0 || strcmp(state, EXCLUSION_VIOLATION) == 0;
    if (rule[0])
        return api_refuse(api, clashes ? PROBLEM_conflict : PROBLEM_invalid,
                          "The rule %s does not allow it.", rule);
    return api_refuse(api, PROBLEM_invalid, "A value cannot be read as what it is to be.");
}

enum db_result api_failed(struct api *api, enum db_result result)
{
    if (api->problem.status || result == DB_OK)
        return result;
    if (result == DB_REFUSED)
        return refuse_value(api);
    log_error("the API's question to the database failed",
              log_text("operation", api->row ? api->row->name : NULL),
              log_text("result", db_result_name(result)), log_text("error", db_error(api->db)));
    if (result == DB_BROKEN)
        api_refuse(api, PROBLEM_internal, "The request's id is in our log.");
    else {
        api->retry_after_s = 1;
        api_refuse(api, PROBLEM_unavailable, "The database is not to be had; try again.");
    }
    return result;
}

const json_t *api_member(const struct api *api, const char *name)
{
    const json_t *member = json_object_get(api->body, name);
    return json_is_null(member) ? NULL : member;
}

const char *api_text(const struct api *api, const char *name, const char *otherwise)
{
    const json_t *member = api_member(api, name);
    return json_is_string(member) ? json_string_value(member) : otherwise;
}

int64_t api_number(const struct api *api, const char *name, int64_t otherwise)
{
    const json_t *member = api_member(api, name);
    return json_is_integer(member) ? json_integer_value(member) : otherwise;
}

enum db_result api_more(struct api *api, json_t *object)
{
    json_decref(api->more);
    api->more = object;
    return object ? DB_OK : DB_BROKEN;
}

const char *api_who(const struct api *api, char text[64])
{
    snprintf(text, 64, "api token %s", api->caller.id);
    return text;
}
