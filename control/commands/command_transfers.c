#include "control/commands/command.h"
#include "control/store/transfers.h"

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"id", "began", "organization", "call",
                                           "to", "state", "reason",       "seconds"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        transfers_list(db, organization[0] ? organization : NULL, options->limit, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 8);
    db_rows_free(rows);
    return COMMAND_DONE;
}

static int show(const struct options *options, struct db *db)
{
    struct db_rows *rows;
    enum db_result result = transfers_show(db, options->words[2], &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    for (int row = 0; row < db_rows_count(rows); row++)
        puts(db_cell(rows, row, 0));
    bool found = db_rows_count(rows) > 0;
    db_rows_free(rows);
    return found ? COMMAND_DONE
                 : command_fail("there is no transfer \"%s\"; `ringbridge-control transfers list` "
                                "shows them",
                                options->words[2]);
}

int command_transfers(const struct options *options)
{
    bool lists = command_is(options, "list", 0, 0);
    if (!lists && !command_is(options, "show", 1, 1))
        return command_misuse("transfers list [--org NAME] [--limit N] | transfers show ID (its "
                              "own or the call's)");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = lists ? list(options, db) : show(options, db);
    db_close(db);
    return status;
}
