#include "control/commands/command.h"
#include "control/net/webhook_sign.h"
#include "control/store/deliveries.h"
#include "control/store/endpoints.h"

#include <strings.h>

static int add(const struct options *options, struct db *db, const char *organization)
{
    char secret[ENDPOINTS_SECRET_MAX], id[UUID_TEXT_BYTES + 1];
    const char *url = options->words[2];
    bool slack = strcmp(url, "slack") == 0;
    if (!options->seal.has_key)
        return command_fail("secrets are sealed with RINGBRIDGE_SECRET_KEY, which is not set");
    if (slack && !command_read_secret("the URL of Slack's incoming webhook", secret, sizeof secret))
        return COMMAND_USAGE;
    if (strncasecmp(slack ? secret : url, "http", 4) != 0)
        return command_misuse("a URL begins with https://");
    if (!slack)
        webhook_sign_secret(secret);
    enum db_result result = endpoints_add(db, &options->seal, organization, slack ? NULL : url,
                                          options->label, secret, id);
    if (result == DB_REFUSED)
        return command_fail("this is not a URL of http or https: %s", db_constraint(db));
    if (result != DB_OK)
        return command_database_failed(db, result);
    printf("%s\n", id);
    if (!slack)
        printf("secret %s   (shown this once; what it signs: standardwebhooks.com)\n", secret);
    explicit_bzero(secret, sizeof secret);
    return COMMAND_DONE;
}

static int list(const struct options *options, struct db *db, const char *organization)
{
    static const char *const headings[] = {"id",    "kind",    "url",         "label",
                                           "state", "created", "organization"};
    struct db_rows *rows;
    enum db_result result = endpoints_list(db, organization, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 7);
    db_rows_free(rows);
    return COMMAND_DONE;
}

static int take_away(const struct options *options, struct db *db, const char *organization)
{
    bool removed;
    enum db_result result = endpoints_remove(db, organization, options->words[2], &removed);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (!removed)
        return command_fail("there is no such endpoint; `ringbridge-control endpoint list` shows "
                            "them");
    printf("removed %s\n", options->words[2]);
    return COMMAND_DONE;
}

static int replay(const struct options *options, struct db *db)
{
    int64_t count;
    enum db_result result = deliveries_replay(db, options->words[2], &count);
    if (result != DB_OK)
        return command_database_failed(db, result);
    printf("%lld to be sent again\n", (long long)count);
    return COMMAND_DONE;
}

static int act(const struct options *options, struct db *db)
{
    char organization[COMMAND_ID_TEXT];
    if (command_is(options, "add", 1, 1))
        return command_organization(options, db, organization) ? add(options, db, organization)
               : options->org                                  ? COMMAND_FAILED
                                                               : COMMAND_USAGE;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    const char *owner = organization[0] ? organization : NULL;
    if (command_is(options, "replay", 1, 1))
        return replay(options, db);
    return command_is(options, "remove", 1, 1) ? take_away(options, db, owner)
                                               : list(options, db, owner);
}

int command_endpoint(const struct options *options)
{
    if (!command_is(options, "add", 1, 1) && !command_is(options, "remove", 1, 1) &&
        !command_is(options, "replay", 1, 1) && !command_is(options, "list", 0, 0))
        return command_misuse("endpoint add URL --org NAME [--label TEXT] | endpoint add slack "
                              "--org NAME < URL | endpoint list | endpoint remove ID | endpoint "
                              "replay ID");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = act(options, db);
    db_close(db);
    return status;
}
