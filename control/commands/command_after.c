#include "control/commands/command.h"
#include "control/store/after_calls.h"

static int show(const struct options *options, struct db *db, const char *organization)
{
    static const char *const headings[] = {"key", "value", "from"};
    struct db_rows *rows;
    enum db_result result = after_calls_settings(db, organization, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (options->json)
        command_print(options, rows, headings, 3);
    else
        for (int row = 0; row < db_rows_count(rows); row++)
            printf("%s=%s%s\n", db_cell(rows, row, 0),
                   db_cell(rows, row, 1) ? db_cell(rows, row, 1) : "",
                   strcmp(db_cell(rows, row, 2), "own") == 0 ? "" : "   (default)");
    db_rows_free(rows);
    return COMMAND_DONE;
}

/* KEY=VALUE, or KEY alone to be unset. The key is copied, the value borrowed. */
static int read_setting(const char *word, bool unset, char key[64],
                        struct after_calls_setting *setting)
{
    const char *equals = strchr(word, '=');
    if (!unset && !equals)
        return command_misuse("\"%s\" is not KEY=VALUE", word);
    snprintf(key, 64, "%.*s", unset ? (int)strlen(word) : (int)(equals - word), word);
    if (!after_calls_setting_is(key))
        return command_misuse("there is no setting \"%s\"; there are: %s", key,
                              after_calls_setting_keys());
    *setting = (struct after_calls_setting){key, unset ? NULL : equals + 1};
    return COMMAND_DONE;
}

static int change(const struct options *options, struct db *db, const char *organization)
{
    struct after_calls_setting settings[OPTIONS_WORDS_MAX];
    char keys[OPTIONS_WORDS_MAX][64];
    const char *refused;
    bool unset = strcmp(command_verb(options), "unset") == 0;
    int count = options->words_count - 2;
    for (int i = 0; i < count; i++) {
        int status = read_setting(options->words[i + 2], unset, keys[i], &settings[i]);
        if (status != COMMAND_DONE)
            return status;
    }
    enum db_result result = after_calls_set(db, organization, settings, count, &refused);
    if (result == DB_REFUSED && refused)
        return command_fail("%s must be %s", refused, after_calls_setting_rule(refused));
    if (result != DB_OK)
        return command_database_failed(db, result);
    return show(options, db, organization);
}

int command_after(const struct options *options)
{
    bool shows = command_is(options, "show", 0, 0);
    char organization[COMMAND_ID_TEXT];
    int status = COMMAND_FAILED;
    if (!shows && !command_is(options, "set", 1, OPTIONS_WORDS_MAX) &&
        !command_is(options, "unset", 1, OPTIONS_WORDS_MAX))
        return command_misuse("after show --org NAME | after set --org NAME KEY=VALUE... | after "
                              "unset --org NAME KEY...\n  keys: %s",
                              after_calls_setting_keys());
    if (!options->org)
        return command_misuse("which organisation? --org NAME (or its id)");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    if (command_organization(options, db, organization))
        status = shows ? show(options, db, organization) : change(options, db, organization);
    db_close(db);
    return status;
}
