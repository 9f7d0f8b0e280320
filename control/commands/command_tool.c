#include "control/commands/command.h"
#include "control/store/tools.h"
#include "control/tools/tool_draft.h"
#include "control/tools/tool_output.h"
#include "control/tools/tool_run.h"
#include "control/tools/tool_schema.h"

#include <stdlib.h>

#define WORDS        TOOL_SCHEMA_WORDS
#define TEST_LEFT_MS 60000
#define TEST_ID      "00000000-0000-4000-8000-000000000000"

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

/* "headers": true reads them from standard input: they are secret. */
static int read_headers(struct tool_draft *draft, const json_t *spec, const struct options *options,
                        const char *organization)
{
    char headers[SEAL_SECRET_MAX];
    if (!json_is_true(json_object_get(spec, "headers")))
        return json_object_get(spec, "headers")
                   ? command_misuse("\"headers\" is true, and they come on standard input as one "
                                    "line: {\"Authorization\":\"Bearer ..\"}")
                   : COMMAND_DONE;
    if (!options->seal.has_key)
        return command_fail("set RINGBRIDGE_SECRET_KEY, with which secrets are sealed");
    if (!command_read_secret("JSON object of headers", headers, sizeof headers))
        return COMMAND_USAGE;
    bool sealed = tool_draft_seal(draft, &options->seal, organization, headers);
    explicit_bzero(headers, sizeof headers);
    return sealed ? COMMAND_DONE : command_fail("%s", draft->error);
}

static int store(const struct tool_draft *draft, struct db *db, const char *organization)
{
    enum db_result result = tools_put(db, organization, &draft->tool);
    const char *rule = result == DB_REFUSED ? tool_draft_rule(db_constraint(db)) : NULL;
    if (rule)
        return command_fail("%s", rule);
    if (result == DB_REFUSED)
        return command_fail("the database refuses the tool: %s", db_error(db));
    if (result != DB_OK)
        return command_database_failed(db, result);
    printf("stored %s (%s)\n", draft->tool.name, draft->tool.action);
    return COMMAND_DONE;
}

static int add(const struct options *options, struct db *db, const char *organization)
{
    struct tool_draft draft;
    json_t *spec = options->words_count > 3 ? read_json(options->words[3]) : json_object();
    int status = COMMAND_FAILED;
    if (!spec)
        return status;
    if (!tool_draft_read(&draft, options->words[2], spec))
        status = command_fail("%s", draft.error);
    else
        status = read_headers(&draft, spec, options, organization);
    if (status == COMMAND_DONE)
        status = store(&draft, db, organization);
    tool_draft_free(&draft);
    json_decref(spec);
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
    if (options->words_count > 2 && !command_find_call(options, db, options->words[2], call, &status))
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
