#include "control/commands/command.h"
#include "control/store/routes.h"

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"id",   "state",        "status",   "created",
                                           "from", "to",           "seconds",  "transcription",
                                           "call", "organization", "recording"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        routes_voicemails(db, organization[0] ? organization : NULL, options->limit, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 11);
    db_rows_free(rows);
    return COMMAND_DONE;
}

static int move(const struct options *options, struct db *db, const char *state)
{
    bool moved;
    enum db_result result = routes_move_voicemail(db, options->words[2], state, &moved);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (!moved)
        return command_fail("there is no such message; `ringbridge-control voicemail list` shows "
                            "them");
    printf("%s %s\n", options->words[2], state);
    return COMMAND_DONE;
}

int command_voicemail(const struct options *options)
{
    static const char *const verbs[][2] = {
        {"listened", "listened"}, {"archive", "archived"}, {"renew", "new"}};
    const char *state = NULL;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (command_is(options, verbs[i][0], 1, 1))
            state = verbs[i][1];
    if (!state && !command_is(options, "list", 0, 0))
        return command_misuse("voicemail list [--org NAME] | voicemail listened|archive|renew ID");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = state ? move(options, db, state) : list(options, db);
    db_close(db);
    return status;
}
