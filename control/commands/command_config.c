#include "control/commands/command.h"
#include "control/store/configurations.h"

#include <jansson.h>
#include <stdlib.h>

#define FILE_BYTES_MAX (1 << 18)

/* What was split off or read for the settings, freed together. */
struct request {
    struct configurations_setting settings[OPTIONS_WORDS_MAX];
    char *owned[2 * OPTIONS_WORDS_MAX];
    int count, owned_count;
};

static char *keep(struct request *request, char *text)
{
    request->owned[request->owned_count++] = text;
    return text;
}

/* The value of KEY=@FILE: the file's text without the newline at its end. */
static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = file ? malloc(FILE_BYTES_MAX + 1) : NULL;
    size_t bytes = text ? fread(text, 1, FILE_BYTES_MAX + 1, file) : 0;
    bool whole = text && !ferror(file) && bytes <= FILE_BYTES_MAX && !memchr(text, 0, bytes);
    if (file)
        fclose(file);
    if (!whole) {
        free(text);
        return NULL;
    }
    while (bytes > 0 && text[bytes - 1] == '\n')
        bytes--;
    text[bytes] = '\0';
    return text;
}

/* settings.NAME takes JSON; what is not JSON is taken for a text. */
static char *as_json(const char *value)
{
    json_t *json = json_loads(value, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (!json)
        json = json_string(value);
    char *text = json ? json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

static int read_setting(struct request *request, const char *word, bool unset)
{
    const char *equals = strchr(word, '=');
    if (!unset && (!equals || equals == word))
        return command_misuse("\"%s\" is not KEY=VALUE", word);
    char *key = keep(request, unset ? strdup(word) : strndup(word, (size_t)(equals - word)));
    if (!configurations_has(key))
        return command_misuse("there is no setting \"%s\"; there are: %s", key,
                              configurations_keys());
    const char *value = unset ? NULL : equals + 1;
    if (value && value[0] == '@') {
        char *text = keep(request, read_file(value + 1));
        if (!text)
            return command_fail("cannot read %s: a text file of at most 256 KiB", value + 1);
        value = text;
    }
    if (value && strncmp(key, "settings.", 9) == 0)
        value = keep(request, as_json(value));
    request->settings[request->count++] = (struct configurations_setting){key, value};
    return COMMAND_DONE;
}

static int explain_refusal(struct db *db, const char *key)
{
    if (strcmp(db_constraint(db), "channel_configurations_channel") == 0)
        return command_fail("--channel is voice, sms or whatsapp");
    return command_fail("%s is %s", key, configurations_rule(key));
}

static int change(const struct options *options, struct db *db, const char *organization)
{
    struct request request = {.count = 0};
    bool unset = command_is(options, "unset", 1, OPTIONS_WORDS_MAX);
    int status = COMMAND_DONE;
    for (int i = 2; i < options->words_count && status == COMMAND_DONE; i++)
        status = read_setting(&request, options->words[i], unset);
    if (status == COMMAND_DONE) {
        const char *refused;
        enum db_result result = configurations_set(db, organization, options->channel,
                                                   request.settings, request.count, &refused);
        if (result == DB_REFUSED)
            status = explain_refusal(db, refused);
        else if (result != DB_OK)
            status = command_database_failed(db, result);
    }
    for (int i = 0; i < request.owned_count; i++)
        free(request.owned[i]);
    return status;
}

static int show(const struct options *options, struct db *db, const char *organization)
{
    static const char *const headings[] = {"key", "value", "from"};
    struct db_rows *rows;
    enum db_result result = configurations_show(db, organization, options->channel, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (options->json)
        command_print(options, rows, headings, 3);
    else
        for (int row = 0; row < db_rows_count(rows); row++)
            printf("%s=%s%s\n", db_cell(rows, row, 0),
                   db_cell(rows, row, 1) ? db_cell(rows, row, 1) : "",
                   strcmp(db_cell(rows, row, 2), "own") == 0 ? "" : "   (built-in)");
    db_rows_free(rows);
    return COMMAND_DONE;
}

int command_config(const struct options *options)
{
    bool shows = command_is(options, "show", 0, 0);
    if (!shows && !command_is(options, "set", 1, OPTIONS_WORDS_MAX) &&
        !command_is(options, "unset", 1, OPTIONS_WORDS_MAX))
        return command_misuse(
            "config set --org NAME --channel voice KEY=VALUE... (KEY=@FILE reads a "
            "file) | config unset ... KEY... | config show ...\n  keys: %s",
            configurations_keys());
    if (!options->org || !options->channel)
        return command_misuse("which one? --org NAME --channel voice");
    struct db *db = command_open(options);
    char organization[COMMAND_ID_TEXT];
    if (!db)
        return COMMAND_FAILED;
    int status = COMMAND_FAILED;
    if (command_organization(options, db, organization))
        status = shows ? show(options, db, organization) : change(options, db, organization);
    db_close(db);
    return status;
}
