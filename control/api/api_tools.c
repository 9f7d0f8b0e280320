#include "control/api/api_groups.h"
#include "control/tools/tool_draft.h"

#include <stdlib.h>

#define GROUP "tools"

/* What stands under "settings" in our body stands beside the rest where people type it. */
static json_t *make_spec(const struct api *api)
{
    json_t *spec = json_copy(api->body);
    json_t *settings = json_incref(json_object_get(spec, "settings"));
    json_object_del(spec, "settings");
    json_object_del(spec, "headers");
    if (settings)
        json_object_update_missing(spec, settings);
    json_decref(settings);
    return spec;
}

static enum db_result seal_headers(struct api *api, struct tool_draft *draft)
{
    const json_t *headers = api_member(api, "headers");
    if (!headers)
        return DB_OK;
    char *text = json_dumps(headers, JSON_COMPACT);
    bool sealed = text && tool_draft_seal(draft, &api->service->options->seal,
                                          api->caller.organization, text);
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
    return sealed ? DB_OK : api_refuse(api, PROBLEM_invalid, "headers: %s.", draft->error);
}

static enum db_result store(struct api *api, struct tool_draft *draft)
{
    enum db_result result = seal_headers(api, draft);
    if (result == DB_OK) {
        result = tools_put(api->db, api->caller.organization, &draft->tool);
        const char *rule = result == DB_REFUSED ? tool_draft_rule(db_constraint(api->db)) : NULL;
        if (rule)
            result = api_refuse(api, PROBLEM_invalid, "%s.", rule);
    }
    return result;
}

static enum db_result put(struct api *api)
{
    struct tool_draft draft;
    json_t *spec = make_spec(api);
    enum db_result result = tool_draft_read(&draft, api->arguments[0], spec)
                                ? store(api, &draft)
                                : api_refuse(api, PROBLEM_invalid, "%s.", draft.error);
    tool_draft_free(&draft);
    json_decref(spec);
    return result;
}

static enum db_result drop(struct api *api)
{
    int removed;
    enum db_result result =
        tools_remove(api->db, api->caller.organization, api->arguments[0], &removed);
    return result == DB_OK && removed == 0 ? api_missing(api) : result;
}

#define WHOLE(from, to) "{\"type\":\"integer\",\"minimum\":" #from ",\"maximum\":" #to "}"
static const struct api_member body[] = {
    {"action",
     "{\"type\":\"string\",\"enum\":[\"http\",\"end_call\",\"transfer\",\"send_sms\","
     "\"leave_message\",\"collect_digits\",\"book_appointment\",\"find_times\"]}",
     "What it does; that which its name says, else http.", false},
    {"description", "{\"type\":\"string\",\"maxLength\":2000}", "What the AI is told about it.",
     false},
    {"parameters", SHOWN_ANY, "JSON Schema of its arguments.", false},
    {"settings", SHOWN_ANY, "What its action needs: method and url, to, from, calendar.", false},
    {"headers", "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}",
     "Secret headers of an http tool, kept sealed; without them it has none.", false},
    {"channels",
     "{\"type\":\"array\",\"minItems\":1,\"maxItems\":3,\"items\":{\"type\":\"string\","
     "\"enum\":[\"voice\",\"sms\",\"whatsapp\"]}}",
     "Where it may be called; everywhere.", false},
    {"tries", WHOLE(1, 5), "How often it is tried; 1.", false},
    {"timeout_ms", WHOLE(100, 60000), "What one try may take; 8000.", false},
    {"deadline_ms", WHOLE(1000, 120000), "When the AI gets an answer in any case; 20000.", false},
    {"interim_ms", WHOLE(0, 60000), "When the AI may say that it takes longer; 4000.", false},
    {"position", WHOLE(0, 1000000), "Those with a smaller one are told first; 100.", false},
    API_END};

static const struct api_row rows[] = {
    {API_LISTS(API_PREFIX "tools", "list_tools", "Functions that the AI may call.", GROUP,
               shown_tools)},
    {API_SHOWS(API_PREFIX "tools/{name}", "show_tool", "One function.", GROUP, shown_tools)},
    {.method = "PUT",
     .path = API_PREFIX "tools/{name}",
     .name = "put_tool",
     .says = "Makes this function, or makes it anew.",
     .group = GROUP,
     .role = API_ADMIN,
     .shape = API_ONE,
     .status = 200,
     .shown = &shown_tools,
     .body = body,
     .act = put},
    {.method = "DELETE",
     .path = API_PREFIX "tools/{name}",
     .name = "remove_tool",
     .says = "The AI may not call it any more.",
     .group = GROUP,
     .role = API_ADMIN,
     .status = 204,
     .act = drop},
    {API_LISTS(API_PREFIX "tool-calls", "list_tool_calls",
               "Functions that the AI called, newest first.", GROUP, shown_tool_calls)},
    {API_SHOWS(API_PREFIX "tool-calls/{id}", "show_tool_call", "One of these calls.", GROUP,
               shown_tool_calls)},
};
const struct api_group api_tools = {GROUP, "What the AI may do, and what it did.", rows,
                                    API_COUNT(rows)};
