#include "control/commands/command.h"
#include "control/store/deliveries.h"

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"id",    "created", "kind",        "event",
                                           "to",    "state",   "tries",       "answer",
                                           "error", "call",    "organization"};
    static const char *const states[] = {"waiting", "sent", "dead"};
    const char *state = options->words_count > 2 ? options->words[2] : NULL;
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    bool known = !state;
    for (size_t i = 0; i < sizeof states / sizeof states[0] && !known; i++)
        known = strcmp(state, states[i]) == 0;
    if (!known)
        return command_misuse("a delivery is waiting, sent or dead, not \"%s\"", state);
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        deliveries_list(db, organization[0] ? organization : NULL, state, options->limit, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 11);
    db_rows_free(rows);
    return COMMAND_DONE;
}

static int show(const struct options *options, struct db *db)
{
    struct db_rows *rows;
    enum db_result result = deliveries_show(db, options->words[2], &rows);
    int status = COMMAND_DONE;
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (db_rows_count(rows) == 1)
        puts(db_cell(rows, 0, 0));
    else
        status = command_fail("there is no delivery \"%s\"; `ringbridge-control deliveries list` "
                              "shows them",
                              options->words[2]);
    db_rows_free(rows);
    return status;
}

static int replay(const struct options *options, struct db *db)
{
    int64_t count;
    enum db_result result = deliveries_replay(db, options->words[2], &count);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (count == 0)
        return command_fail("no delivery \"%s\" was sent or given up", options->words[2]);
    puts("to be sent again, under the same id");
    return COMMAND_DONE;
}

int command_deliveries(const struct options *options)
{
    bool lists = command_is(options, "list", 0, 1), shows = command_is(options, "show", 1, 1);
    if (!lists && !shows && !command_is(options, "replay", 1, 1))
        return command_misuse("deliveries list [waiting|sent|dead] [--org NAME] | deliveries show "
                              "ID | deliveries replay ID");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = lists ? list(options, db) : shows ? show(options, db) : replay(options, db);
    db_close(db);
    return status;
}
