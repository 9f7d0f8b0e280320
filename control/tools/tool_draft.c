#include "control/tools/tool_draft.h"

#include "control/base/json_read.h"
#include "control/tools/tool_http.h"
#include "control/tools/tool_kind.h"

#include <stdio.h>
#include <stdlib.h>

static const char *text(const json_t *spec, const char *name, const char *otherwise)
{
    const char *value = json_string_value(json_object_get(spec, name));
    return value ? value : otherwise;
}

static unsigned number(const json_t *spec, const char *name, unsigned otherwise)
{
    int64_t value;
    return json_read_integer(spec, name, 0, 1000000, &value) ? (unsigned)value : otherwise;
}

/* What a tool is made of; everything else is a setting of its action. */
static bool is_member(const char *name)
{
    static const char *const members[] = {"action",   "description", "parameters",  "channels",
                                          "tries",    "timeout_ms",  "deadline_ms", "interim_ms",
                                          "position", "headers"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (strcmp(name, members[i]) == 0)
            return true;
    return false;
}

static json_t *collect_settings(const json_t *spec)
{
    json_t *settings = json_object();
    for (void *at = json_object_iter((json_t *)(uintptr_t)spec); at;
         at = json_object_iter_next((json_t *)(uintptr_t)spec, at))
        if (!is_member(json_object_iter_key(at)))
            json_object_set(settings, json_object_iter_key(at), json_object_iter_value(at));
    return settings;
}

static json_t *find_parameters(const json_t *spec, enum tool_action action, const json_t *settings)
{
    json_t *parameters = json_incref(json_object_get(spec, "parameters"));
    if (!parameters)
        parameters = tool_kind_parameters(action, settings);
    return parameters ? parameters : json_pack("{s:s, s:{}}", "type", "object", "properties");
}

static void write_channels(const json_t *spec, char *out, size_t room)
{
    const json_t *channels = json_object_get(spec, "channels");
    size_t bytes = (size_t)snprintf(out, room, "{");
    for (size_t i = 0; i < json_array_size(channels) && bytes < room; i++) {
        const char *channel = json_string_value(json_array_get(channels, i));
        bytes += (size_t)snprintf(out + bytes, room - bytes, "%s%.20s", i ? "," : "",
                                  channel ? channel : "?");
    }
    if (bytes + 1 < room)
        snprintf(out + bytes, room - bytes, "}");
    if (!json_is_array(channels))
        snprintf(out, room, "{voice,sms,whatsapp}");
}

static void fill(struct tool_draft *draft, const char *name, const json_t *spec,
                 enum tool_action action)
{
    const char *built_in = tool_kind_description(action);
    write_channels(spec, draft->channels, sizeof draft->channels);
    draft->tool =
        (struct tools_new){.name = name,
                           .description = text(spec, "description", built_in ? built_in : ""),
                           .action = tool_kind_name(action),
                           .parameters_json = draft->parameters_json,
                           .settings_json = draft->settings_json,
                           .channels = draft->channels,
                           .tries_max = number(spec, "tries", 1),
                           .timeout_ms = number(spec, "timeout_ms", 8000),
                           .deadline_ms = number(spec, "deadline_ms", 20000),
                           .interim_ms = number(spec, "interim_ms", 4000),
                           .position = number(spec, "position", 100)};
}

/* A built-in tool's name says what it does, unless "action" does. */
bool tool_draft_read(struct tool_draft *draft, const char *name, const json_t *spec)
{
    enum tool_action own = tool_kind_action(name);
    enum tool_action action =
        tool_kind_action(text(spec, "action", own == TOOL_UNKNOWN ? "http" : name));
    *draft = (struct tool_draft){.parameters_json = NULL};
    json_t *settings = collect_settings(spec), *parameters = NULL;
    bool right = tool_kind_check(action, settings, draft->error, sizeof draft->error);
    if (right) {
        parameters = find_parameters(spec, action, settings);
        right = tool_schema_check(parameters, draft->error, sizeof draft->error);
    }
    if (right) {
        draft->parameters_json = json_dumps(parameters, JSON_COMPACT);
        draft->settings_json = json_dumps(settings, JSON_COMPACT);
        fill(draft, name, spec, action);
    }
    json_decref(parameters);
    json_decref(settings);
    return right;
}

bool tool_draft_seal(struct tool_draft *draft, const struct seal *seal, const char *organization,
                     const char *headers)
{
    char context[TOOLS_CONTEXT_MAX];
    json_t *read = strlen(headers) < SEAL_SECRET_MAX
                       ? json_loads(headers, JSON_REJECT_DUPLICATES, NULL)
                       : NULL;
    bool good = tool_http_check_headers(read, draft->error, sizeof draft->error);
    json_decref(read);
    if (!good)
        return false;
    tools_context(organization, draft->tool.name, context);
    draft->tool.headers_sealed = span_from(draft->sealed, strlen(headers) + SEAL_OVERHEAD_BYTES);
    if (seal->has_key && seal_close(seal, context, span_of(headers), draft->sealed))
        return true;
    snprintf(draft->error, sizeof draft->error, "the headers cannot be sealed");
    return false;
}

void tool_draft_free(struct tool_draft *draft)
{
    free(draft->parameters_json);
    free(draft->settings_json);
    draft->parameters_json = draft->settings_json = NULL;
}

const char *tool_draft_rule(const char *constraint)
{
    static const struct {
        const char *constraint, *rule;
    } rules[] = {
        {"tools_name", "a name begins with a letter and has at most 64 letters, digits, _ and -"},
        {"tools_description",
         "\"description\" is needed: what the AI is told, at most 2000 characters"},
        {"tools_channels", "\"channels\" is a list of voice, sms and whatsapp"},
        {"tools_tries", "\"tries\" is from 1 to 5"},
        {"tools_times", "\"timeout_ms\" is from 100 to 60000, \"deadline_ms\" from 1000 to 120000, "
                        "\"interim_ms\" from 0 to 60000"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (strcmp(constraint, rules[i].constraint) == 0)
            return rules[i].rule;
    return NULL;
}
