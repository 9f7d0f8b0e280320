#include "control/carrier/reconcile.h"
#include "control/commands/command.h"

static int print_reports(const struct options *options, const char *organization, const char *id)
{
    static const char *const headings[] = {"at",       "organization", "account", "calls",
                                           "opened",   "ended",        "priced",  "differing",
                                           "unlisted", "recordings",   "found"};
    struct db_rows *rows;
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    enum db_result result = reconciliations_list(db, organization, id, options->limit, &rows);
    int status = COMMAND_DONE;
    if (result != DB_OK)
        status = command_database_failed(db, result);
    else
        command_print(options, rows, headings, 11);
    db_rows_free(rows);
    db_close(db);
    return status;
}

/* With serving's rights: it writes what webhooks would have written. */
static int run(const struct options *options, const char *organization)
{
    struct db_config config = db_config_serving(options->database_serving_url, NULL);
    struct db *db = db_open(&config);
    struct reconcile reconcile = {
        .options = options, .organization = organization, .hours = options->hours_back};
    int status = COMMAND_FAILED;
    if (!db)
        return status;
    enum reconcile_end end = reconcile_run(&reconcile, db);
    if (end == RECONCILE_DATABASE)
        status = command_database_failed(db, DB_BROKEN);
    else if (end != RECONCILE_DONE)
        status = command_fail("%s", reconcile.error);
    http_client_free(&reconcile.response);
    db_close(db);
    return end == RECONCILE_DONE ? print_reports(options, organization, reconcile.report) : status;
}

int command_reconcile(const struct options *options)
{
    char organization[COMMAND_ID_TEXT];
    bool list = command_is(options, "list", 0, 0);
    if (!list && options->words_count != 1)
        return command_misuse(
            "reconcile --org NAME [--hours-back N] | reconcile list [--org NAME]");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    bool found = list ? command_maybe_organization(options, db, organization)
                      : command_organization(options, db, organization);
    db_close(db);
    if (!found)
        return COMMAND_FAILED;
    return list ? print_reports(options, organization[0] ? organization : NULL, NULL)
                : run(options, organization);
}
