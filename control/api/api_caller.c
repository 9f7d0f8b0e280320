#include "control/api/api_caller.h"

#include "common/clock.h"
#include "common/panic.h"
#include "control/base/limit.h"
#include "control/store/api_tokens.h"

#include <stdio.h>
#include <string.h>

static const char *const roles[] = {"viewer", "operator", "admin"};

const char *api_caller_role_name(enum api_role role)
{
    assert(role <= API_ADMIN);
    return roles[role];
}

static enum db_result refuse_pace(struct api *api, unsigned wait_s)
{
    api->retry_after_s = wait_s;
    return api_refuse(api, PROBLEM_too_fast, "Try again in %u s.", wait_s);
}

static enum db_result refuse_token(struct api *api)
{
    return api_refuse(api, PROBLEM_unauthorized, "Send Authorization: Bearer TOKEN.");
}

/* "Bearer" in any case, one blank or several, then the token; data NULL when it is not that. */
static struct span read_token(const struct request *request)
{
    const char *value = request_header(request, "authorization");
    if (!value || strncasecmp(value, "Bearer ", 7) != 0)
        return span_from(NULL, 0);
    value += 7 + strspn(value + 7, " ");
    size_t bytes = strcspn(value, " ");
    bool alone = bytes > 0 && bytes <= 256 && value[bytes] == '\0';
    return alone ? span_from(value, bytes) : span_from(NULL, 0);
}

static void take_row(struct api_caller *caller, const struct db_rows *rows)
{
    const char *role = db_cell(rows, 0, API_TOKENS_ROLE);
    const char *scopes = db_cell(rows, 0, API_TOKENS_SCOPES);
    caller->role = strcmp(role, "admin") == 0      ? API_ADMIN
                   : strcmp(role, "operator") == 0 ? API_OPERATOR
                                                   : API_VIEWER;
    snprintf(caller->id, sizeof caller->id, "%s", db_cell(rows, 0, API_TOKENS_ID));
    snprintf(caller->organization, sizeof caller->organization, "%s",
             db_cell(rows, 0, API_TOKENS_ORGANIZATION));
    snprintf(caller->label, sizeof caller->label, "%s", db_cell(rows, 0, API_TOKENS_LABEL));
    caller->rate_per_minute = (unsigned)db_cell_number(rows, 0, API_TOKENS_RATE);
    if (scopes)
        snprintf(caller->scopes, sizeof caller->scopes, ",%s,", scopes);
}

static enum db_result find_token(struct api *api)
{
    struct db_rows *rows;
    struct span token = read_token(api->request);
    if (!token.data)
        return refuse_token(api);
    enum db_result result = api_tokens_find(api->db, token, &rows);
    if (result != DB_OK)
        return api_failed(api, result);
    bool found = db_rows_count(rows) == 1;
    if (found)
        take_row(&api->caller, rows);
    db_rows_free(rows);
    return found ? DB_OK : refuse_token(api);
}

static bool has_scope(const struct api_caller *caller, const char *group)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, ",%s,", group);
    return !caller->scopes[0] || strstr(caller->scopes, wanted);
}

enum db_result api_caller_find(struct api *api)
{
    unsigned wait_s;
    const struct api_row *row = api->row;
    enum db_result result = find_token(api);
    if (result != DB_OK)
        return result;
    if (!limit_take(api->service->api_limit, api->caller.id, api->caller.rate_per_minute,
                    clock_monotonic_ns(), &wait_s))
        return refuse_pace(api, wait_s);
    if (api->caller.role < row->role)
        return api_refuse(api, PROBLEM_forbidden, "It takes the role %s.", roles[row->role]);
    if (!has_scope(&api->caller, row->group))
        return api_refuse(api, PROBLEM_forbidden, "It takes the scope %s.", row->group);
    return DB_OK;
}
