#include "control/commands/command.h"
#include "control/store/jobs.h"

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"id",    "organization", "kind", "state",
                                           "tries", "due",          "error"};
    static const char *const states[] = {"queued", "leased", "done", "dead"};
    const char *state = options->words_count > 2 ? options->words[2] : NULL;
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    bool known = !state;
    for (size_t i = 0; i < sizeof states / sizeof states[0] && !known; i++)
        known = strcmp(state, states[i]) == 0;
    if (!known)
        return command_misuse("a job is queued, leased, done or dead, not \"%s\"", state);
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        jobs_list(db, organization[0] ? organization : NULL, state, options->limit, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 7);
    db_rows_free(rows);
    return COMMAND_DONE;
}

static int show(const struct options *options, struct db *db)
{
    struct db_rows *rows;
    enum db_result result = jobs_show(db, options->words[2], &rows);
    int status = COMMAND_DONE;
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (db_rows_count(rows) == 1)
        puts(db_cell(rows, 0, 0));
    else
        status = command_fail("there is no job \"%s\"; `ringbridge-control jobs list` shows them",
                              options->words[2]);
    db_rows_free(rows);
    return status;
}

static int change(const struct options *options, struct db *db, bool retries)
{
    bool changed;
    enum db_result result = retries ? jobs_retry(db, options->words[2], &changed)
                                    : jobs_drop(db, options->words[2], &changed);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (!changed)
        return command_fail(retries ? "no job \"%s\" waits or is dead"
                                    : "there is no job \"%s\", or it is done, or somebody is at it",
                            options->words[2]);
    puts(retries ? "due now" : "dropped");
    return COMMAND_DONE;
}

int command_jobs(const struct options *options)
{
    bool lists = command_is(options, "list", 0, 1), shows = command_is(options, "show", 1, 1);
    bool retries = command_is(options, "retry", 1, 1);
    if (!lists && !shows && !retries && !command_is(options, "drop", 1, 1))
        return command_misuse("jobs list [queued|leased|done|dead] [--org NAME] [--limit N] | jobs "
                              "show ID | jobs retry ID | jobs drop ID");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = lists   ? list(options, db)
                 : shows ? show(options, db)
                         : change(options, db, retries);
    db_close(db);
    return status;
}
