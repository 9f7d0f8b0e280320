/* Who may use the API: the organisation itself, its tokens, and what was done with them. */
#include "control/store/api_tokens.h"
#include "control/api/api_groups.h"

#include <stdio.h>
#include <string.h>

#define GROUP        "tokens"
#define SCOPES_MAX   40
#define SCOPES_BYTES 2048

/* Nobody gives away what he has not. */
static bool may_give(const struct api *api, const char *name)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, ",%.60s,", name);
    return !api->caller.scopes[0] || strstr(api->caller.scopes, wanted);
}

static bool is_group(const char *name)
{
    for (int i = 0; i < api_groups_count; i++)
        if (name && strcmp(api_groups[i]->name, name) == 0)
            return true;
    return false;
}

/* "a,b", or a refusal. */
static enum db_result join_scopes(struct api *api, const json_t *scopes, char text[SCOPES_BYTES])
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(scopes); i++) {
        const char *name = json_string_value(json_array_get(scopes, i));
        if (!is_group(name))
            return api_refuse(api, PROBLEM_invalid, "scopes are groups of this API.");
        if (!may_give(api, name))
            return api_refuse(api, PROBLEM_forbidden, "This token has not the scope %s.", name);
        used += (size_t)snprintf(text + used, SCOPES_BYTES - used, "%s%s", i ? "," : "", name);
    }
    if (!scopes && api->caller.scopes[0])
        return api_refuse(api, PROBLEM_forbidden, "This token has not all scopes to give.");
    return DB_OK;
}

static enum db_result add(struct api *api)
{
    char token[SEAL_TOKEN_TEXT], scopes[SCOPES_BYTES];
    const json_t *wanted = api_member(api, "scopes");
    enum db_result result = join_scopes(api, wanted, scopes);
    if (result != DB_OK)
        return result;
    const struct api_tokens_new made = {.role = api_text(api, "role", ""),
                                        .label = api_text(api, "label", ""),
                                        .scopes = wanted ? scopes : NULL,
                                        .rate_per_minute =
                                            (unsigned)api_number(api, "rate_per_minute", 0),
                                        .expires_at = api_text(api, "expires_at", NULL)};
    result = api_tokens_add(api->db, api->caller.organization, &made, token, api->made);
    if (result == DB_OK)
        result = api_more(api, json_pack("{s:s}", "token", token));
    explicit_bzero(token, sizeof token);
    return result;
}

static enum db_result revoke(struct api *api)
{
    bool revoked;
    enum db_result result = api_tokens_revoke(api->db, api->arguments[0], &revoked);
    return result == DB_OK && !revoked ? api_missing(api) : result;
}

static const struct api_member body[] = {
    {"role", "{\"type\":\"string\",\"enum\":[\"viewer\",\"operator\",\"admin\"]}",
     "viewer reads, operator acts, admin configures.", true},
    {"label", "{\"type\":\"string\",\"maxLength\":200}", "For whom it is.", false},
    {"scopes",
     "{\"type\":[\"array\",\"null\"],\"minItems\":1,\"maxItems\":40,"
     "\"items\":{\"type\":\"string\",\"maxLength\":40}}",
     "Groups (tags of this document) that it is good for; null: all.", false},
    {"rate_per_minute", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":60000,\"default\":600}",
     "Requests a minute; a sixth of them at once.", false},
    {"expires_at", "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\",\"maxLength\":40}",
     "Not valid from then on; null: until it is revoked.", false},
    API_END};
static const struct api_member more[] = {
    {"token", SHOWN_TEXT, "The token itself: shown this once.", true}, API_END};
_Static_assert(SCOPES_BYTES > SCOPES_MAX * 41, "every list that fits the schema fits");

static const struct api_row rows[] = {
    {API_LISTS(API_PREFIX "tokens", "list_tokens", "Who may use the API.", GROUP, shown_tokens),
     .role = API_ADMIN},
    {API_SHOWS(API_PREFIX "tokens/{id}", "show_token", "One token.", GROUP, shown_tokens),
     .role = API_ADMIN},
    {.method = "POST",
     .path = API_PREFIX "tokens",
     .name = "add_token",
     .says = "Makes a token for the organisation.",
     .group = GROUP,
     .role = API_ADMIN,
     .shape = API_ONE,
     .status = 201,
     .shown = &shown_tokens,
     .where = API_PREFIX "tokens/",
     .body = body,
     .more = more,
     .act = add},
    {.method = "DELETE",
     .path = API_PREFIX "tokens/{id}",
     .name = "revoke_token",
     .says = "Takes a token back, at once.",
     .group = GROUP,
     .role = API_ADMIN,
     .status = 204,
     .act = revoke},
};
const struct api_group api_tokens = {GROUP, "Who may use the API.", rows, API_COUNT(rows)};

#define AUDIT "audit"
static const struct api_row audit_rows[] = {
    {API_LISTS(API_PREFIX "audit", "list_audit", "Who wanted what changed, newest first.", AUDIT,
               shown_audit),
     .role = API_ADMIN},
    {API_SHOWS(API_PREFIX "audit/{id}", "show_audit_entry", "One entry.", AUDIT, shown_audit),
     .role = API_ADMIN},
};
const struct api_group api_audit_log = {AUDIT, "Who wanted what changed; only ever added to.",
                                        audit_rows, API_COUNT(audit_rows)};

#define ORGANIZATION "organization"
static const struct api_row organization_rows[] = {
    {API_SHOWS(API_PREFIX "organization", "show_organization",
               "The organisation that the token speaks for.", ORGANIZATION, shown_organization)},
};
const struct api_group api_organization = {ORGANIZATION, "The organisation itself.",
                                           organization_rows, API_COUNT(organization_rows)};
