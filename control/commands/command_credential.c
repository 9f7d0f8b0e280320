#include "control/commands/command.h"
#include "control/store/accounts.h"

static bool is_kind(const char *kind)
{
    return strcmp(kind, "twilio") == 0 || strcmp(kind, "openai") == 0;
}

static const char *account_of(const struct options *options)
{
    bool twilio = strcmp(options->words[2], "twilio") == 0;
    return twilio && options->account ? options->account : "";
}

static int put(const struct options *options, struct db *db, const char *organization)
{
    char secret[ACCOUNTS_SECRET_MAX];
    const char *kind = options->words[2];
    if (!options->seal.has_key)
        return command_fail("set RINGBRIDGE_SECRET_KEY, with which secrets are sealed: make one "
                            "with `openssl rand -hex 32` and keep it");
    if (strcmp(kind, "twilio") == 0 && !options->account)
        return command_misuse("which account? --account AC...");
    if (!command_read_secret(strcmp(kind, "twilio") == 0 ? "auth token" : "API key", secret,
                             sizeof secret))
        return COMMAND_USAGE;
    enum db_result result =
        accounts_put(db, &options->seal, organization, kind, account_of(options), span_of(secret));
    explicit_bzero(secret, sizeof secret);
    if (result == DB_REFUSED && strcmp(db_constraint(db), "credentials_account_owner") == 0)
        return command_fail("this account belongs to another organisation; organisations that "
                            "share one use the installation's (TWILIO_AUTH_TOKEN)");
    if (result == DB_REFUSED)
        return command_fail("--account is an AccountSid: AC and 32 hexadecimal digits");
    if (result != DB_OK)
        return command_database_failed(db, result);
    printf("stored %s %s\n", kind, account_of(options));
    return COMMAND_DONE;
}

static int take_away(const struct options *options, struct db *db, const char *organization)
{
    bool removed;
    enum db_result result =
        accounts_remove(db, organization, options->words[2], account_of(options), &removed);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (!removed)
        return command_fail("there is no such credential; `ringbridge-control credential list` "
                            "shows them");
    printf("removed %s %s\n", options->words[2], account_of(options));
    return COMMAND_DONE;
}

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"organization", "kind", "account", "updated",
                                           "has_previous"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result = accounts_list(db, organization[0] ? organization : NULL, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 5);
    db_rows_free(rows);
    return COMMAND_DONE;
}

int command_credential(const struct options *options)
{
    bool lists = command_is(options, "list", 0, 0), adds = command_is(options, "add", 1, 1);
    char organization[COMMAND_ID_TEXT];
    int status = COMMAND_FAILED;
    if (!lists && ((!adds && !command_is(options, "remove", 1, 1)) || !is_kind(options->words[2])))
        return command_misuse(
            "credential add twilio --org NAME --account AC... < token | credential "
            "add openai --org NAME < key | credential list | credential remove ...");
    if (!lists && !options->org)
        return command_misuse("which organisation? --org NAME (or its id)");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    if (lists)
        status = list(options, db);
    else if (command_organization(options, db, organization))
        status = adds ? put(options, db, organization) : take_away(options, db, organization);
    db_close(db);
    return status;
}
