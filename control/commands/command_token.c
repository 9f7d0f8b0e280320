#include "control/commands/command.h"
#include "control/store/api_tokens.h"

static int explain_refusal(struct db *db)
{
    static const struct {
        const char *constraint, *rule;
    } rules[] = {
        {"api_tokens_role", "--role is viewer (reads), operator (acts) or admin (configures)"},
        {"api_tokens_scopes", "--scopes are groups of the API with commas between: calls,numbers"},
        {"api_tokens_rate", "--rate is from 1 to 60000 requests a minute"},
        {"api_tokens_label", "--label has at most 200 characters"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (strcmp(db_constraint(db), rules[i].constraint) == 0)
            return command_fail("%s", rules[i].rule);
    return command_fail("--expires is a time, or \"90 days\" from now");
}

static int add(const struct options *options, struct db *db)
{
    char organization[COMMAND_ID_TEXT], token[SEAL_TOKEN_TEXT], id[COMMAND_ID_TEXT];
    const struct api_tokens_new made = {.role = options->role,
                                        .label = options->label,
                                        .scopes = options->scopes,
                                        .rate_per_minute = options->rate,
                                        .expires_at = options->expires};
    if (!command_organization(options, db, organization))
        return options->org ? COMMAND_FAILED : COMMAND_USAGE;
    enum db_result result = api_tokens_add(db, organization, &made, token, id);
    if (result == DB_REFUSED)
        return explain_refusal(db);
    if (result != DB_OK)
        return command_database_failed(db, result);
    printf("%s\n", token);
    explicit_bzero(token, sizeof token);
    fputs("Keep it: it is shown this once and only its hash is stored.\n", stderr);
    return COMMAND_DONE;
}

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"id",      "organization", "role",   "label", "created",
                                           "revoked", "expires",      "scopes", "rate"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result = api_tokens_list(db, organization[0] ? organization : NULL, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 9);
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
        return command_misuse("token add --org NAME --role viewer|operator|admin [--label TEXT] "
                              "[--scopes calls,recordings] [--expires \"90 days\"] [--rate N] | "
                              "token list | token revoke ID");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = adds ? add(options, db) : lists ? list(options, db) : take_back(options, db);
    db_close(db);
    return status;
}
