#include "control/commands/command.h"
#include "control/json_read.h"
#include "control/store/tools.h"
#include "control/tools/tool_http.h"
#include "control/tools/tool_kind.h"
#include "control/tools/tool_output.h"
#include "control/tools/tool_run.h"
#include "control/tools/tool_schema.h"

#include <stdlib.h>

#define WORDS        TOOL_SCHEMA_WORDS
#define TEST_LEFT_MS 60000
#define TEST_ID      "00000000-0000-4000-8000-000000000000"

/* What is known of a tool before it is stored; json_t are owned. */
struct draft {
    enum tool_action action;
    json_t *spec, *settings, *parameters, *channels;
    char headers[SEAL_SECRET_MAX];
    uint8_t sealed[SEAL_SECRET_MAX + SEAL_OVERHEAD_BYTES];
    size_t sealed_bytes;
    char error[WORDS];
};

static void forget(struct draft *draft)
{
    explicit_bzero(draft->headers, sizeof draft->headers);
    json_decref(draft->spec);
    json_decref(draft->settings);
    json_decref(draft->parameters);
}

/* The word itself, or a file's text for @FILE. */
static json_t *read_json(const char *word)
{
    json_error_t where;
    json_t *json = word[0] == '@' ? json_load_file(word + 1, JSON_REJECT_DUPLICATES, &where)
                                  : json_loads(word, JSON_REJECT_DUPLICATES, &where);
    if (json_is_object(json))
        return json;
    command_fail("this is not a JSON object: %s", json ? word : where.text);
    json_decref(json);
    return NULL;
}

static const char *text(const struct draft *draft, const char *name, const char *otherwise)
{
    const char *value = json_string_value(json_object_get(draft->spec, name));
    return value ? value : otherwise;
}

static unsigned number(const struct draft *draft, const char *name, unsigned otherwise)
{
    int64_t value;
    return json_read_integer(draft->spec, name, 0, 1000000, &value) ? (unsigned)value : otherwise;
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

static json_t *collect_settings(const struct draft *draft)
{
    json_t *settings = json_object(), *value;
    const char *name;
    json_object_foreach(draft->spec, name, value) if (!is_member(name))
        json_object_set(settings, name, value);
    return settings;
}

/* A built-in tool's name says what it does, unless "action" does. */
static bool understand(struct draft *draft, const char *name)
{
    enum tool_action own = tool_kind_action(name);
    const char *action = text(draft, "action", own == TOOL_UNKNOWN ? "http" : name);
    draft->action = tool_kind_action(action);
    draft->settings = collect_settings(draft);
    if (!tool_kind_check(draft->action, draft->settings, draft->error, sizeof draft->error))
        return false;
    draft->parameters = json_incref(json_object_get(draft->spec, "parameters"));
    if (!draft->parameters)
        draft->parameters = tool_kind_parameters(draft->action, draft->settings);
    if (!draft->parameters)
        draft->parameters = json_pack("{s:s, s:{}}", "type", "object", "properties");
    return tool_schema_check(draft->parameters, draft->error, sizeof draft->error);
}

/* "headers": true reads them from standard input: they are secret. */
static int read_headers(struct draft *draft, const struct options *options,
                        const char *organization, const char *name)
{
    char context[TOOLS_CONTEXT_MAX];
    json_t *headers;
    if (!json_is_true(json_object_get(draft->spec, "headers")))
        return json_object_get(draft->spec, "headers")
                   ? command_misuse("\"headers\" is true, and they come on standard input as one "
                                    "line: {\"Authorization\":\"Bearer ..\"}")
                   : COMMAND_DONE;
    if (!options->seal.has_key)
        return command_fail("set RINGBRIDGE_SECRET_KEY, with which secrets are sealed");
    if (!command_read_secret("JSON object of headers", draft->headers, sizeof draft->headers))
        return COMMAND_USAGE;
    headers = json_loads(draft->headers, JSON_REJECT_DUPLICATES, NULL);
    bool good = tool_http_check_headers(headers, draft->error, sizeof draft->error);
    json_decref(headers);
    if (!good)
        return command_fail("%s", draft->error);
    tools_context(organization, name, context);
    draft->sealed_bytes = strlen(draft->headers) + SEAL_OVERHEAD_BYTES;
    return seal_close(&options->seal, context, span_of(draft->headers), draft->sealed)
               ? COMMAND_DONE
               : command_fail("the headers cannot be sealed");
}

static void write_channels(const struct draft *draft, char *out, size_t room)
{
    const json_t *channels = json_object_get(draft->spec, "channels");
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

static int explain_refusal(struct db *db)
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
        if (strcmp(db_constraint(db), rules[i].constraint) == 0)
            return command_fail("%s", rules[i].rule);
    return command_fail("the database refuses the tool: %s", db_error(db));
}

static int store(const struct draft *draft, struct db *db, const char *organization,
                 const char *name)
{
    char channels[128];
    char *parameters = json_dumps(draft->parameters, JSON_COMPACT);
    char *settings = json_dumps(draft->settings, JSON_COMPACT);
    const char *built_in = tool_kind_description(draft->action);
    write_channels(draft, channels, sizeof channels);
    const struct tools_new tool = {.name = name,
                                   .description =
                                       text(draft, "description", built_in ? built_in : ""),
                                   .action = tool_kind_name(draft->action),
                                   .parameters_json = parameters,
                                   .settings_json = settings,
                                   .headers_sealed = span_from(draft->sealed, draft->sealed_bytes),
                                   .channels = channels,
                                   .tries_max = number(draft, "tries", 1),
                                   .timeout_ms = number(draft, "timeout_ms", 8000),
                                   .deadline_ms = number(draft, "deadline_ms", 20000),
                                   .interim_ms = number(draft, "interim_ms", 4000),
                                   .position = number(draft, "position", 100)};
    enum db_result result = tools_put(db, organization, &tool);
    free(parameters);
    free(settings);
    if (result == DB_REFUSED)
        return explain_refusal(db);
    if (result != DB_OK)
        return command_database_failed(db, result);
    printf("stored %s (%s)\n", name, tool.action);
    return COMMAND_DONE;
}

static int add(const struct options *options, struct db *db, const char *organization)
{
    const char *name = options->words[2];
    struct draft draft = {.spec = options->words_count > 3 ? read_json(options->words[3])
                                                           : json_object()};
    int status = COMMAND_FAILED;
    if (draft.spec && !understand(&draft, name))
        status = command_fail("%s", draft.error);
    else if (draft.spec)
        status = read_headers(&draft, options, organization, name);
    if (draft.spec && status == COMMAND_DONE)
        status = store(&draft, db, organization, name);
    forget(&draft);
    return status;
}

static int take_away(const struct options *options, struct db *db, const char *organization)
{
    int removed;
    enum db_result result = tools_remove(db, organization, options->words[2], &removed);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (removed == 0)
        return command_fail("there is no such tool; `ringbridge-control tool list` shows them");
    printf("removed %s\n", options->words[2]);
    return COMMAND_DONE;
}

static int print_output(json_t *output)
{
    bool ok = tool_output_ok(output);
    char *written = json_dumps(output, JSON_INDENT(2));
    printf("%s\n", written ? written : "");
    free(written);
    json_decref(output);
    return ok ? COMMAND_DONE : COMMAND_FAILED;
}

/* As a call would carry it out, but for its record. */
static int try_it(const struct options *options, const char *organization,
                  const struct tools_described *described)
{
    char error[WORDS];
    const struct tool_runner runner = {.options = options};
    const char *name = options->words[2];
    const char *given = options->words_count > 3 ? options->words[3] : "{}";
    json_t *arguments = tool_run_arguments(given, described->parameters_json, error, sizeof error);
    if (!arguments)
        return print_output(tool_output_error("%s.", error));
    json_t *output = NULL;
    if (strcmp(described->action, "http") == 0)
        output = tool_run_http(&runner, organization, name, described, arguments, TEST_ID, TEST_ID,
                               TEST_LEFT_MS);
    json_decref(arguments);
    if (output)
        return print_output(output);
    printf("The arguments fit. A built-in tool is carried out in a conversation only.\n");
    return COMMAND_DONE;
}

static int test(const struct options *options, struct db *db, const char *organization)
{
    struct tools_described described;
    enum db_result result = tools_find(db, organization, options->words[2], &described);
    int status = COMMAND_FAILED;
    if (result != DB_OK)
        status = command_database_failed(db, result);
    else if (!described.found)
        status = command_fail("there is no such tool; `ringbridge-control tool list` shows them");
    else
        status = try_it(options, organization, &described);
    tools_described_free(&described);
    return status;
}

static int list(const struct options *options, struct db *db, const char *organization)
{
    static const char *const headings[] = {"name",     "action",       "description",
                                           "settings", "headers",      "deadline_ms",
                                           "channels", "organization", "parameters"};
    struct db_rows *rows;
    enum db_result result = tools_list(db, organization[0] ? organization : NULL, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, options->json ? 9 : 8);
    db_rows_free(rows);
    return COMMAND_DONE;
}

static int calls(const struct options *options, struct db *db, const char *organization)
{
    static const char *const headings[] = {"id",           "asked",       "name",    "arguments",
                                           "state",        "output",      "took_ms", "told",
                                           "conversation", "organization"};
    char call[COMMAND_ID_TEXT] = "";
    int status;
    struct db_rows *rows;
    if (options->words_count > 2 && !command_call(options, db, options->words[2], call, &status))
        return status;
    enum db_result result = tools_calls(db, organization[0] ? organization : NULL,
                                        call[0] ? call : NULL, options->limit, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 10);
    db_rows_free(rows);
    return COMMAND_DONE;
}

static const struct verb {
    const char *name;
    int least, most;
    bool needs_organization;
    int (*act)(const struct options *options, struct db *db, const char *organization);
} verbs[] = {{"add", 1, 2, true, add},
             {"remove", 1, 1, true, take_away},
             {"test", 1, 2, true, test},
             {"list", 0, 0, false, list},
             {"calls", 0, 1, false, calls}};

int command_tool(const struct options *options)
{
    const struct verb *verb = NULL;
    char organization[COMMAND_ID_TEXT];
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (command_is(options, verbs[i].name, verbs[i].least, verbs[i].most))
            verb = &verbs[i];
    if (!verb)
        return command_misuse(
            "tool add NAME [JSON|@FILE] --org NAME [< headers] | tool list [--org NAME] | "
            "tool remove NAME --org NAME | tool test NAME [ARGUMENTS] --org NAME | "
            "tool calls [CALL] [--org NAME]");
    if (verb->needs_organization && !options->org)
        return command_misuse("which organisation? --org NAME (or its id)");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = COMMAND_FAILED;
    if (command_maybe_organization(options, db, organization))
        status = verb->act(options, db, organization);
    db_close(db);
    return status;
}
