#include "control/base/json_read.h"
#include "control/commands/command.h"
#include "control/outbound/calls_make.h"
#include "control/store/outbound.h"

#include <jansson.h>

struct making {
    const struct options *options;
    const char *organization;
    json_t *asked;
    struct calls_made made;
};

static enum db_result put(struct db *db, void *context)
{
    struct making *making = context;
    char by[128];
    snprintf(by, sizeof by, "user %s", command_who());
    return calls_make(db, making->options, making->organization, by, making->asked, &making->made);
}

static int make(const struct options *options, struct db *db)
{
    char organization[COMMAND_ID_TEXT];
    if (!command_organization(options, db, organization))
        return options->org ? COMMAND_FAILED : COMMAND_USAGE;
    struct making making = {.options = options,
                            .organization = organization,
                            .asked = json_read_object(span_of(options->words[2]))};
    if (!making.asked)
        return command_fail("what is asked for is not a JSON object");
    enum db_result result = db_transact(db, organization, put, &making);
    json_decref(making.asked);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (making.made.error[0])
        return command_fail("%s", making.made.error);
    printf("%s\n", making.made.id);
    return COMMAND_DONE;
}

static int show(const struct options *options, struct db *db)
{
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        outbound_show(db, organization[0] ? organization : NULL, options->words[2], &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    json_t *call = db_rows_count(rows) > 0 ? json_loads(db_cell(rows, 0, 0), 0, NULL) : NULL;
    db_rows_free(rows);
    if (!call)
        return command_fail("there is no such call; `ringbridge-control call list` shows those "
                            "that were asked for");
    json_dumpf(call, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
    printf("\n");
    json_decref(call);
    return COMMAND_DONE;
}

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"id",  "to",          "state", "outcome", "attempts",
                                           "due", "answered_by", "lead",  "batch",   "error"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        outbound_list(db, organization[0] ? organization : NULL, options->limit, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 10);
    db_rows_free(rows);
    return COMMAND_DONE;
}

/* One KEY=VALUE. COMMAND_DONE, or after saying what is wrong. */
static int set_limit(struct db *db, const char *organization, const char *setting)
{
    char key[32];
    bool known;
    const char *equals = strchr(setting, '=');
    if (!equals || !span_copy_text(span_from(setting, (size_t)(equals - setting)), key, sizeof key))
        return command_misuse("\"%s\" is not KEY=VALUE", setting);
    enum db_result result = outbound_limit(db, organization, key, equals + 1, &known);
    if (!known)
        return command_misuse("there is no limit \"%s\": calls_at_once, calls_per_minute, "
                              "calls_per_day, time_zone, settle_s",
                              key);
    if (result == DB_REFUSED)
        return command_fail("%s cannot be \"%s\"", key, equals + 1);
    return result == DB_OK ? COMMAND_DONE : command_database_failed(db, result);
}

static int limit(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"calls_at_once", "calls_per_minute", "calls_per_day",
                                           "time_zone",     "settle_s",         "today"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    int status = COMMAND_DONE;
    if (!command_organization(options, db, organization))
        return options->org ? COMMAND_FAILED : COMMAND_USAGE;
    for (int i = 2; i < options->words_count && status == COMMAND_DONE; i++)
        status = set_limit(db, organization, options->words[i]);
    if (status != COMMAND_DONE)
        return status;
    enum db_result result = outbound_limits(db, organization, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 6);
    db_rows_free(rows);
    return COMMAND_DONE;
}

int command_call(const struct options *options)
{
    int (*act)(const struct options *, struct db *) = command_is(options, "make", 1, 1)     ? make
                                                      : command_is(options, "show", 1, 1)   ? show
                                                      : command_is(options, "list", 0, 0)   ? list
                                                      : command_is(options, "limits", 0, 5) ? limit
                                                                                            : NULL;
    if (!act)
        return command_misuse(
            "call make '{\"to\":\"+15550123\",\"from\":\"+15550100\"}' --org NAME | call list "
            "[--org NAME] | call show ID | call limits --org NAME [calls_per_minute=60 ..]");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = act(options, db);
    db_close(db);
    return status;
}
