/* What is done around calls: endpoints, deliveries, jobs, reconciliations. */
#include "control/api/api_groups.h"
#include "control/net/webhook_sign.h"
#include "control/store/deliveries.h"
#include "control/store/endpoints.h"
#include "control/store/jobs.h"

#include <stdio.h>
#include <strings.h>

/* ---- endpoints ---- */

/* A webhook gets a signing secret, which is answered once; Slack's URL is the secret itself. */
static enum db_result add_endpoint(struct api *api)
{
    char secret[ENDPOINTS_SECRET_MAX];
    const char *url = api_text(api, "url", "");
    bool slack = strcmp(api_text(api, "kind", "webhook"), "slack") == 0;
    if (!api->service->options->seal.has_key)
        return api_refuse(api, PROBLEM_unavailable, "There is no key here to seal secrets with.");
    if (strncasecmp(url, "http", 4) != 0)
        return api_refuse(api, PROBLEM_invalid, "url begins with https://.");
    if (slack)
        snprintf(secret, sizeof secret, "%s", url);
    else
        webhook_sign_secret(secret);
    enum db_result result =
        endpoints_add(api->db, &api->service->options->seal, api->caller.organization,
                      slack ? NULL : url, api_text(api, "label", ""), secret, api->made);
    if (result == DB_OK)
        result = api_more(api, slack ? json_pack("{s:n}", "secret")
                                     : json_pack("{s:s}", "secret", secret));
    explicit_bzero(secret, sizeof secret);
    return result;
}

static enum db_result remove_endpoint(struct api *api)
{
    bool removed;
    enum db_result result =
        endpoints_remove(api->db, api->caller.organization, api->arguments[0], &removed);
    return result == DB_OK && !removed ? api_missing(api) : result;
}

/* Is the thing of this row's path there? */
static enum db_result find(struct api *api, const struct shown *shown)
{
    struct db_rows *rows;
    uint8_t uuid[UUID_BYTES];
    if (!uuid_read(api->arguments[0], uuid))
        return api_missing(api);
    enum db_result result = shown_one(api->db, shown, api->arguments[0], &rows);
    bool found = result == DB_OK && db_rows_count(rows) == 1;
    if (result == DB_OK)
        db_rows_free(rows);
    return result == DB_OK && !found ? api_missing(api) : result;
}

static enum db_result replay_endpoint(struct api *api)
{
    int64_t count = 0;
    enum db_result result = find(api, &shown_endpoints);
    if (result == DB_OK)
        result = deliveries_replay(api->db, api->arguments[0], &count);
    return result == DB_OK ? api_more(api, json_pack("{s:I}", "count", (json_int_t)count)) : result;
}

static enum db_result replay_delivery(struct api *api)
{
    int64_t count = 0;
    enum db_result result = find(api, &shown_deliveries);
    if (result == DB_OK)
        result = deliveries_replay(api->db, api->arguments[0], &count);
    if (result == DB_OK && count == 0)
        return api_refuse(api, PROBLEM_conflict, "It is being sent still.");
    return result;
}

/* ---- jobs ---- */

static enum db_result retry_job(struct api *api)
{
    bool changed = false;
    enum db_result result = find(api, &shown_jobs);
    if (result == DB_OK)
        result = jobs_retry(api->db, api->arguments[0], &changed);
    if (result == DB_OK && !changed)
        return api_refuse(api, PROBLEM_conflict, "It is done, or somebody is at it.");
    return result;
}

static enum db_result drop_job(struct api *api)
{
    bool changed = false;
    enum db_result result = find(api, &shown_jobs);
    if (result == DB_OK)
        result = jobs_drop(api->db, api->arguments[0], &changed);
    if (result == DB_OK && !changed)
        return api_refuse(api, PROBLEM_conflict, "It is done, or somebody is at it.");
    return result;
}

/* The request's id makes the job's key, so it is made once. */
static enum db_result reconcile(struct api *api)
{
    bool made;
    char payload[64], key[64];
    snprintf(payload, sizeof payload, "{\"hours\":%d}", (int)api_number(api, "hours", 48));
    snprintf(key, sizeof key, "api/%s", api->id);
    return jobs_enqueue(api->db, api->caller.organization, "reconcile", key, payload, &made);
}

/* ---- the rows ---- */

static const struct api_member endpoint_body[] = {
    {"url", "{\"type\":\"string\",\"minLength\":10,\"maxLength\":2000}", "Where it is.", true},
    {"kind", "{\"type\":\"string\",\"enum\":[\"webhook\",\"slack\"]}",
     "slack: url is Slack's incoming webhook, kept sealed.", false},
    {"label", "{\"type\":\"string\",\"maxLength\":200}", "What people call it.", false},
    API_END};
static const struct api_member endpoint_more[] = {
    {"secret", SHOWN_TEXT_NULL, "What signs what is sent there: shown this once.", true}, API_END};
static const struct api_member replay_more[] = {
    {"count", SHOWN_WHOLE, "How many are sent again.", true}, API_END};
static const struct api_member reconcile_body[] = {
    {"hours", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":720,\"default\":48}",
     "How far back.", false},
    API_END};

#define ENDPOINTS "endpoints"
static const struct api_row endpoint_rows[] = {
    {API_LISTS(API_PREFIX "endpoints", "list_endpoints", "Systems that hear of calls.", ENDPOINTS,
               shown_endpoints)},
    {API_SHOWS(API_PREFIX "endpoints/{id}", "show_endpoint", "One endpoint.", ENDPOINTS,
               shown_endpoints)},
    {.method = "POST",
     .path = API_PREFIX "endpoints",
     .name = "add_endpoint",
     .says = "Tells this system of calls too.",
     .group = ENDPOINTS,
     .role = API_ADMIN,
     .shape = API_ONE,
     .status = 201,
     .shown = &shown_endpoints,
     .where = API_PREFIX "endpoints/",
     .body = endpoint_body,
     .more = endpoint_more,
     .act = add_endpoint},
    {.method = "DELETE",
     .path = API_PREFIX "endpoints/{id}",
     .name = "remove_endpoint",
     .says = "Nothing more is sent there.",
     .group = ENDPOINTS,
     .role = API_ADMIN,
     .status = 204,
     .act = remove_endpoint},
    {.method = "POST",
     .path = API_PREFIX "endpoints/{id}/replay",
     .name = "replay_endpoint",
     .says = "Sends again all that was given up for it, under the same ids.",
     .group = ENDPOINTS,
     .role = API_OPERATOR,
     .shape = API_ONE,
     .status = 202,
     .more = replay_more,
     .act = replay_endpoint},
};
const struct api_group api_endpoints = {ENDPOINTS, "Systems of the organisation's own.",
                                        endpoint_rows, API_COUNT(endpoint_rows)};

#define DELIVERIES "deliveries"
static const struct api_row delivery_rows[] = {
    {API_LISTS(API_PREFIX "deliveries", "list_deliveries", "What was sent about calls.", DELIVERIES,
               shown_deliveries)},
    {API_SHOWS(API_PREFIX "deliveries/{id}", "show_delivery", "One delivery.", DELIVERIES,
               shown_deliveries)},
    {.method = "POST",
     .path = API_PREFIX "deliveries/{id}/replay",
     .name = "replay_delivery",
     .says = "Sends it again, under the same id.",
     .group = DELIVERIES,
     .role = API_OPERATOR,
     .shape = API_ONE,
     .status = 202,
     .shown = &shown_deliveries,
     .act = replay_delivery},
};
const struct api_group api_deliveries = {DELIVERIES, "E-mails, webhooks and Slack messages.",
                                         delivery_rows, API_COUNT(delivery_rows)};

#define JOBS "jobs"
static const struct api_row job_rows[] = {
    {API_LISTS(API_PREFIX "jobs", "list_jobs", "Slow work, newest first.", JOBS, shown_jobs)},
    {API_SHOWS(API_PREFIX "jobs/{id}", "show_job", "One job.", JOBS, shown_jobs)},
    {.method = "POST",
     .path = API_PREFIX "jobs/{id}/retry",
     .name = "retry_job",
     .says = "Due at once, with all its tries again.",
     .group = JOBS,
     .role = API_OPERATOR,
     .shape = API_ONE,
     .status = 202,
     .shown = &shown_jobs,
     .act = retry_job},
    {.method = "DELETE",
     .path = API_PREFIX "jobs/{id}",
     .name = "drop_job",
     .says = "It is never done, and off the list.",
     .group = JOBS,
     .role = API_ADMIN,
     .status = 204,
     .act = drop_job},
};
const struct api_group api_jobs = {JOBS, "Slow work outside of calls.", job_rows,
                                   API_COUNT(job_rows)};

#define RECONCILIATIONS "reconciliations"
static const struct api_row reconciliation_rows[] = {
    {API_LISTS(API_PREFIX "reconciliations", "list_reconciliations",
               "Our record beside the carrier's, newest first.", RECONCILIATIONS,
               shown_reconciliations)},
    {API_SHOWS(API_PREFIX "reconciliations/{id}", "show_reconciliation", "One of these reports.",
               RECONCILIATIONS, shown_reconciliations)},
    {.method = "POST",
     .path = API_PREFIX "reconciliations",
     .name = "reconcile",
     .says = "Has our record compared with the carrier's lists, by a job.",
     .group = RECONCILIATIONS,
     .role = API_OPERATOR,
     .status = 202,
     .body = reconcile_body,
     .act = reconcile},
};
const struct api_group api_reconciliations = {RECONCILIATIONS, "Our record beside the carrier's.",
                                              reconciliation_rows, API_COUNT(reconciliation_rows)};
