#include "control/api/api_groups.h"
#include "control/base/hours.h"
#include "control/carrier/steps.h"
#include "control/store/routes.h"

#include <stdlib.h>

#define GROUP          "routes"
#define STEP_BYTES_MAX 16384

static enum db_result refuse_route(struct api *api, const char *number)
{
    if (strcmp(db_constraint(api->db), "call_routes_time_zone") == 0)
        return api_refuse(api, PROBLEM_invalid, "time_zone is written as Europe/Berlin.");
    if (!db_constraint(api->db)[0] && number)
        return api_refuse(api, PROBLEM_invalid, "The organisation has no such number.");
    return DB_REFUSED;
}

static enum db_result store(struct api *api, const char *step_json, const struct hours *hours)
{
    const struct routes_new route = {.number = api_text(api, "number", NULL),
                                     .purpose = api_text(api, "purpose", "answer"),
                                     .days = hours->days,
                                     .opens = hours->opens,
                                     .closes = hours->closes,
                                     .time_zone = api_text(api, "time_zone", "UTC"),
                                     .step_json = step_json,
                                     .label = api_text(api, "label", ""),
                                     .position = (unsigned)api_number(api, "position", 100)};
    enum db_result result = routes_add(api->db, api->caller.organization, &route, api->made);
    return result == DB_REFUSED ? refuse_route(api, route.number) : result;
}

static enum db_result add(struct api *api)
{
    char error[256];
    struct hours hours;
    const json_t *step = api_member(api, "step");
    if (!hours_read(api_text(api, "hours", "daily"), &hours))
        return api_refuse(api, PROBLEM_invalid,
                          "hours are written as \"mon-fri 09:00-17:00\" or \"daily\".");
    if (!steps_check(step, error, sizeof error))
        return api_refuse(api, PROBLEM_invalid, "step: %s.", error);
    char *text = json_dumps(step, JSON_COMPACT);
    enum db_result result =
        !text ? DB_BROKEN
        : strlen(text) > STEP_BYTES_MAX
            ? api_refuse(api, PROBLEM_invalid, "The step is longer than %d bytes.", STEP_BYTES_MAX)
            : store(api, text, &hours);
    free(text);
    return result;
}

static enum db_result drop(struct api *api)
{
    int removed;
    enum db_result result =
        routes_remove(api->db, api->caller.organization, api->arguments[0], &removed);
    return result == DB_OK && removed == 0 ? api_missing(api) : result;
}

static const struct api_member body[] = {
    {"step",
     "{\"type\":\"object\",\"required\":[\"step\"],"
     "\"properties\":{\"step\":{\"type\":\"string\"}}}",
     "What is done: agent, dial, voicemail, menu, queue, pick_up, hangup or reject, with what each "
     "needs.",
     true},
    {"number", "{\"type\":[\"string\",\"null\"],\"maxLength\":16}",
     "For calls to this number of the organisation's; null: to any.", false},
    {"purpose", "{\"type\":\"string\",\"enum\":[\"answer\",\"fallback\"]}",
     "fallback: when the agent could not go on.", false},
    {"hours", "{\"type\":\"string\",\"maxLength\":100}",
     "When: \"mon-fri 09:00-17:00\", \"daily\".", false},
    {"time_zone", "{\"type\":\"string\",\"maxLength\":64}", "Whose hours: Europe/Berlin.", false},
    {"position", "{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000000}",
     "Those with a smaller one are asked first.", false},
    {"label", "{\"type\":\"string\",\"maxLength\":200}", "What people call it.", false},
    API_END};

static const struct api_row rows[] = {
    {API_LISTS(API_PREFIX "routes", "list_routes", "What is done with calls.", GROUP,
               shown_routes)},
    {API_SHOWS(API_PREFIX "routes/{id}", "show_route", "One route.", GROUP, shown_routes)},
    {.method = "POST",
     .path = API_PREFIX "routes",
     .name = "add_route",
     .says = "Adds a route.",
     .group = GROUP,
     .role = API_ADMIN,
     .shape = API_ONE,
     .status = 201,
     .shown = &shown_routes,
     .where = API_PREFIX "routes/",
     .body = body,
     .act = add},
    {.method = "DELETE",
     .path = API_PREFIX "routes/{id}",
     .name = "remove_route",
     .says = "Takes a route away.",
     .group = GROUP,
     .role = API_ADMIN,
     .status = 204,
     .act = drop},
};
const struct api_group api_routes = {GROUP, "What is done with calls, by number and hours.", rows,
                                     API_COUNT(rows)};
