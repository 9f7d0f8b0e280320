/* Accounts of organisations at the carrier, and the seal of all secrets. */
#include "control/commands/command.h"
#include "control/store/accounts.h"
#include "control/store/carrier_numbers.h"
#include "control/store/seals.h"

#include <time.h>

#define PATIENCE_MS 60000
#define LOOK_MS     100

/* The account, when there is one; or why there will be none. */
static int look(struct db *db, const char *organization, bool *ended)
{
    char account[35];
    struct db_rows *rows;
    int status = COMMAND_FAILED;
    enum db_result result = carrier_numbers_account(db, organization, account);
    *ended = true;
    if (result == DB_OK && account[0]) {
        puts(account);
        return COMMAND_DONE;
    }
    if (result == DB_OK)
        result = carrier_numbers_account_job(db, organization, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (db_rows_count(rows) > 0 && strcmp(db_cell(rows, 0, 0), "dead") == 0)
        status = command_fail("no account was made: %s\n  When that is mended: `ringbridge-control "
                              "jobs retry %s`",
                              db_cell(rows, 0, 1), db_cell(rows, 0, 2));
    else
        *ended = false;
    db_rows_free(rows);
    return status;
}

static int await_account(struct db *db, const char *organization)
{
    bool ended = false;
    int status = COMMAND_FAILED;
    for (int waited_ms = 0; waited_ms < PATIENCE_MS && !ended; waited_ms += LOOK_MS) {
        struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
        nanosleep(&pause, NULL);
        status = look(db, organization, &ended);
    }
    return ended ? status
                 : command_fail("the account is not made yet: does control serve? It goes on by "
                                "itself; `ringbridge-control account list` shows it then");
}

static int add(const struct options *options, struct db *db)
{
    char organization[COMMAND_ID_TEXT], account[35];
    bool made;
    if (!command_organization(options, db, organization))
        return options->org ? COMMAND_FAILED : COMMAND_USAGE;
    enum db_result result = carrier_numbers_account(db, organization, account);
    if (result == DB_OK && account[0])
        return command_fail("the organisation has an account: %s", account);
    if (result == DB_OK)
        result = carrier_numbers_want_account(db, organization, command_who(), &made);
    return result == DB_OK ? await_account(db, organization) : command_database_failed(db, result);
}

static int rotate(const struct options *options, struct db *db)
{
    struct seals_renewed renewed;
    if (!options->seal.has_key)
        return command_fail("set RINGBRIDGE_SECRET_KEY to the new key, and "
                            "RINGBRIDGE_SECRET_KEY_PREVIOUS to the one before it");
    enum db_result result = seals_renew(db, &options->seal, command_who(), &renewed);
    if (result != DB_OK)
        return command_database_failed(db, result);
    printf("%d secrets are sealed with RINGBRIDGE_SECRET_KEY\n", renewed.renewed);
    if (renewed.unopened)
        return command_fail("%d do not open: set RINGBRIDGE_SECRET_KEY_PREVIOUS to the key they "
                            "were sealed with, or add them again",
                            renewed.unopened);
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
    enum db_result result =
        accounts_list_of(db, organization[0] ? organization : NULL, "twilio", &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 5);
    db_rows_free(rows);
    return COMMAND_DONE;
}

int command_account(const struct options *options)
{
    int status;
    if (!command_is(options, "add", 0, 0) && !command_is(options, "rotate", 0, 0) &&
        !command_is(options, "list", 0, 0))
        return command_misuse(
            "account add --org NAME | account list [--org NAME] | account rotate\n"
            "  An account that exists: `ringbridge-control credential add twilio`");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    status = command_is(options, "add", 0, 0)      ? add(options, db)
             : command_is(options, "rotate", 0, 0) ? rotate(options, db)
                                                   : list(options, db);
    db_close(db);
    return status;
}
