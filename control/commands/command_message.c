#include "control/commands/command.h"
#include "control/store/messages.h"

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"id",    "left", "state",        "urgent",      "name",
                                           "phone", "body", "conversation", "organization"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        messages_list(db, organization[0] ? organization : NULL, options->limit, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 9);
    db_rows_free(rows);
    return COMMAND_DONE;
}

static int move(const struct options *options, struct db *db)
{
    const char *state = strcmp(command_verb(options), "read") == 0 ? "read" : "archived";
    bool moved;
    enum db_result result = messages_move(db, options->words[2], state, &moved);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (!moved)
        return command_fail("there is no such message; `ringbridge-control message list` shows "
                            "them");
    printf("%s %s\n", state, options->words[2]);
    return COMMAND_DONE;
}

int command_message(const struct options *options)
{
    bool lists = command_is(options, "list", 0, 0);
    if (!lists && !command_is(options, "read", 1, 1) && !command_is(options, "archive", 1, 1))
        return command_misuse("message list [--org NAME] | message read ID | message archive ID");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = lists ? list(options, db) : move(options, db);
    db_close(db);
    return status;
}
