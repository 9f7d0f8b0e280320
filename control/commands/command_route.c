#include "control/base/hours.h"
#include "control/carrier/steps.h"
#include "control/commands/command.h"
#include "control/store/routes.h"

#include <stdlib.h>

#define STEP_BYTES_MAX 16384

/* The word itself, a file's text for @FILE, and {"step": WORD} for a bare word. */
static json_t *read_step(const char *word)
{
    json_error_t where;
    json_t *step;
    if (word[0] == '@')
        step = json_load_file(word + 1, JSON_REJECT_DUPLICATES, &where);
    else if (word[0] == '{')
        step = json_loads(word, JSON_REJECT_DUPLICATES, &where);
    else
        return json_pack("{s:s}", "step", word);
    if (!step)
        command_fail("the step is not JSON: %s (line %d, column %d)", where.text, where.line,
                     where.column);
    return step;
}

static int explain_refusal(const struct options *options, struct db *db)
{
    const char *constraint = db_constraint(db);
    if (strcmp(constraint, "call_routes_time_zone") == 0)
        return command_fail("\"%s\" is not a time zone; write it as Europe/Berlin",
                            options->time_zone);
    if (strcmp(constraint, "call_routes_purpose") == 0)
        return command_fail("--purpose is answer or fallback");
    if (!constraint[0])
        return command_fail("the organisation has no number %s; `ringbridge-control number list` "
                            "shows its numbers",
                            options->number);
    return command_fail("the database refuses the route: %s", db_error(db));
}

static int store(const struct options *options, struct db *db, const char *organization,
                 const char *step_json, const struct hours *hours)
{
    char id[COMMAND_ID_TEXT];
    struct routes_new route = {.number = options->number,
                               .purpose = options->purpose,
                               .days = hours->days,
                               .opens = hours->opens,
                               .closes = hours->closes,
                               .time_zone = options->time_zone,
                               .step_json = step_json,
                               .label = options->label,
                               .position = options->position};
    enum db_result result = routes_add(db, organization, &route, id);
    if (result == DB_REFUSED)
        return explain_refusal(options, db);
    if (result != DB_OK)
        return command_database_failed(db, result);
    printf("%s\n", id);
    return COMMAND_DONE;
}

static int add(const struct options *options, struct db *db)
{
    char organization[COMMAND_ID_TEXT], error[256];
    struct hours hours;
    if (!command_organization(options, db, organization))
        return options->org ? COMMAND_FAILED : COMMAND_USAGE;
    if (!hours_read(options->hours, &hours))
        return command_misuse("--hours \"%s\" is not like \"mon-fri 09:00-17:00\" or \"daily\"",
                              options->hours);
    json_t *step = read_step(options->words[2]);
    char *text = step ? json_dumps(step, JSON_COMPACT) : NULL;
    int status = COMMAND_FAILED;
    if (step && !steps_check(step, error, sizeof error))
        status = command_fail("%s", error);
    else if (text && strlen(text) > STEP_BYTES_MAX)
        status = command_fail("the step is longer than %d bytes", STEP_BYTES_MAX);
    else if (text)
        status = store(options, db, organization, text, &hours);
    free(text);
    json_decref(step);
    return status;
}

static int take_away(const struct options *options, struct db *db)
{
    char organization[COMMAND_ID_TEXT];
    int removed;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        routes_remove(db, organization[0] ? organization : NULL, options->words[2], &removed);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (removed == 0)
        return command_fail("there is no such route; `ringbridge-control route list` shows them");
    printf("removed %s\n", options->words[2]);
    return COMMAND_DONE;
}

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"id",        "number", "purpose", "position",    "hours",
                                           "time_zone", "step",   "label",   "organization"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result = routes_list(db, organization[0] ? organization : NULL, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 9);
    db_rows_free(rows);
    return COMMAND_DONE;
}

int command_route(const struct options *options)
{
    int (*act)(const struct options *, struct db *) = command_is(options, "add", 1, 1) ? add
                                                      : command_is(options, "remove", 1, 1)
                                                          ? take_away
                                                      : command_is(options, "list", 0, 0) ? list
                                                                                          : NULL;
    if (!act)
        return command_misuse(
            "route add STEP --org NAME [--number +15550100] [--hours \"mon-fri 09:00-17:00\"] "
            "[--time-zone Europe/Berlin] [--position N] [--purpose fallback] | route list "
            "[--org NAME] | route remove ID");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = act(options, db);
    db_close(db);
    return status;
}
