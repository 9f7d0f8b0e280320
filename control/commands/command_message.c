#include "control/commands/command.h"
#include "control/store/messages.h"

static int list(const struct options *options, struct db *db, bool texts)
{
    static const char *const left[] = {"id",    "left", "state",        "urgent",      "name",
                                       "phone", "body", "conversation", "organization"};
    static const char *const received[] = {"id",   "received", "from",        "to",
                                           "body", "media",    "organization"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    const char *meant = organization[0] ? organization : NULL;
    enum db_result result = texts ? messages_texts(db, meant, options->limit, &rows)
                                  : messages_list(db, meant, options->limit, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, texts ? received : left, texts ? 7 : 9);
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
    bool texts = command_is(options, "texts", 0, 0);
    bool lists = texts || command_is(options, "list", 0, 0);
    if (!lists && !command_is(options, "read", 1, 1) && !command_is(options, "archive", 1, 1))
        return command_misuse(
            "message list|texts [--org NAME] | message read ID | message archive ID");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = lists ? list(options, db, texts) : move(options, db);
    db_close(db);
    return status;
}
