#include "control/commands/command.h"
#include "control/store/api_answers.h"

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"at",    "operation", "target",       "status", "token",
                                           "label", "peer",      "organization", "request"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        api_answers_audited(db, organization[0] ? organization : NULL, options->limit, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 9);
    db_rows_free(rows);
    return COMMAND_DONE;
}

int command_audit(const struct options *options)
{
    if (!command_is(options, "list", 0, 0))
        return command_misuse("audit list [--org NAME] [--limit N]");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = list(options, db);
    db_close(db);
    return status;
}
