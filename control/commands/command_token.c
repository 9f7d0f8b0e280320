#include "control/commands/command.h"
#include "control/store/api_tokens.h"

static int add(const struct options *options, struct db *db)
{
    char organization[COMMAND_ID_TEXT], token[SEAL_TOKEN_TEXT];
    if (!command_organization(options, db, organization))
        return options->org ? COMMAND_FAILED : COMMAND_USAGE;
    enum db_result result = api_tokens_add(db, organization, options->role, options->label, token);
    if (result == DB_REFUSED)
        return command_fail("--role is viewer (reads), operator (acts) or admin (configures)");
    if (result != DB_OK)
        return command_database_failed(db, result);
    printf("%s\n", token);
    explicit_bzero(token, sizeof token);
    fputs("Keep it: it is shown this once and only its hash is stored.\n", stderr);
    return COMMAND_DONE;
}

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"id",    "organization", "role",
                                           "label", "created",      "revoked"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result = api_tokens_list(db, organization[0] ? organization : NULL, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 6);
    db_rows_free(rows);
    return COMMAND_DONE;
}

static int take_back(const struct options *options, struct db *db)
{
    bool revoked;
    enum db_result result = api_tokens_revoke(db, options->words[2], &revoked);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (!revoked)
        return command_fail("there is no valid token of this id; `ringbridge-control token list` "
                            "shows them");
    printf("revoked %s\n", options->words[2]);
    return COMMAND_DONE;
}

int command_token(const struct options *options)
{
    bool adds = command_is(options, "add", 0, 0), lists = command_is(options, "list", 0, 0);
    if (!adds && !lists && !command_is(options, "revoke", 1, 1))
        return command_misuse("token add --org NAME --role viewer|operator|admin [--label TEXT] | "
                              "token list | token revoke ID");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = adds ? add(options, db) : lists ? list(options, db) : take_back(options, db);
    db_close(db);
    return status;
}
