#include "control/commands/command.h"
#include "control/outbound/batch_file.h"
#include "control/outbound/batches_make.h"

#include <stdlib.h>

/* What `batch add` was told. */
struct adding {
    const struct options *options;
    struct batches_wanted wanted;
    struct batches_made made;
};

/* All of standard input, with a NUL behind it; NULL after saying why. */
static char *read_input(size_t *bytes)
{
    size_t room = 1 << 16;
    char *text = malloc(room);
    *bytes = 0;
    while (text && !feof(stdin) && !ferror(stdin) && *bytes <= BATCH_FILE_BYTES_MAX) {
        if (*bytes + 1 == room) {
            char *more = realloc(text, room *= 2);
            if (!more)
                free(text);
            text = more;
        }
        if (text)
            *bytes += fread(text + *bytes, 1, room - *bytes - 1, stdin);
    }
    if (text && !ferror(stdin)) {
        text[*bytes] = '\0';
        return text;
    }
    free(text);
    command_fail("the numbers cannot be read from standard input");
    return NULL;
}

static json_t *read_asked(const char *word)
{
    json_error_t where;
    json_t *asked = word[0] == '@' ? json_load_file(word + 1, JSON_REJECT_DUPLICATES, &where)
                                   : json_loads(word, JSON_REJECT_DUPLICATES, &where);
    if (!asked)
        command_fail("what is wanted is not JSON: %s (line %d, column %d)", where.text, where.line,
                     where.column);
    return asked;
}

static enum db_result put(struct db *db, void *context)
{
    struct adding *adding = context;
    return batches_make(db, adding->options, &adding->wanted, &adding->made);
}

static int store(struct db *db, struct adding *adding)
{
    const struct batches_made *made = &adding->made;
    enum db_result result = db_transact(db, adding->wanted.organization, put, adding);
    if (made->error[0])
        return command_fail("%s", made->error);
    if (result != DB_OK)
        return command_database_failed(db, result);
    printf("%s\n", made->id);
    fprintf(stderr, "%lld numbers, %lld that came twice left out\n", (long long)made->added,
            (long long)made->twice);
    return COMMAND_DONE;
}

static int add(const struct options *options, struct db *db)
{
    char organization[COMMAND_ID_TEXT], by[128];
    if (!command_organization(options, db, organization))
        return options->org ? COMMAND_FAILED : COMMAND_USAGE;
    json_t *asked = read_asked(options->words[3]);
    if (!asked)
        return COMMAND_FAILED;
    struct adding adding = {.options = options};
    snprintf(by, sizeof by, "user %s", command_who());
    char *numbers = read_input(&adding.wanted.numbers_bytes);
    adding.wanted.organization = organization;
    adding.wanted.name = options->words[2];
    adding.wanted.by = by;
    adding.wanted.asked = asked;
    adding.wanted.numbers = numbers;
    int status = numbers ? store(db, &adding) : COMMAND_FAILED;
    free(numbers);
    json_decref(asked);
    return status;
}

static int change(const struct options *options, struct db *db)
{
    static const struct {
        const char *verb, *done, *why_not;
        enum db_result (*change)(struct db *, const char *, const char *, bool *);
    } verbs[] = {{"pause", "paused", "runs", batches_pause},
                 {"resume", "running", "is paused", batches_resume},
                 {"stop", "stopped", "runs or is paused", batches_stop}};
    char organization[COMMAND_ID_TEXT];
    bool changed;
    size_t i = 0;
    while (strcmp(verbs[i].verb, command_verb(options)) != 0)
        i++;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        verbs[i].change(db, organization[0] ? organization : NULL, options->words[2], &changed);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (!changed)
        return command_fail("there is no batch \"%s\" that %s; `ringbridge-control batch list` "
                            "shows them",
                            options->words[2], verbs[i].why_not);
    printf("%s %s\n", verbs[i].done, options->words[2]);
    return COMMAND_DONE;
}

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"id",           "name",    "state",   "numbers",
                                           "waiting",      "calling", "reached", "created",
                                           "organization", "reason"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        batches_list(db, organization[0] ? organization : NULL, options->limit, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 10);
    db_rows_free(rows);
    return COMMAND_DONE;
}

/* The batch as JSON; with --json nothing else, without its first numbers as a table. */
static int show(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"line", "to",          "state", "outcome", "attempts",
                                           "due",  "answered_by", "lead",  "error"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows, *numbers = NULL;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        batches_show(db, organization[0] ? organization : NULL, options->words[2], &rows);
    bool found = result == DB_OK && db_rows_count(rows) > 0;
    json_t *batch = found ? json_loads(db_cell(rows, 0, 0), 0, NULL) : NULL;
    if (batch) {
        json_dumpf(batch, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
        printf("\n");
    }
    if (found && !options->json)
        result = batches_numbers(db, db_cell(rows, 0, 1), options->limit, &numbers);
    if (numbers)
        command_print(options, numbers, headings, 9);
    json_decref(batch);
    db_rows_free(numbers);
    db_rows_free(rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    return found ? COMMAND_DONE
                 : command_fail("there is no such batch; `ringbridge-control batch list` shows "
                                "them");
}

int command_batch(const struct options *options)
{
    bool changes = command_is(options, "pause", 1, 1) || command_is(options, "resume", 1, 1) ||
                   command_is(options, "stop", 1, 1);
    int (*act)(const struct options *, struct db *) = command_is(options, "add", 2, 2)    ? add
                                                      : command_is(options, "show", 1, 1) ? show
                                                      : command_is(options, "list", 0, 0) ? list
                                                      : changes                           ? change
                                                                                          : NULL;
    if (!act)
        return command_misuse(
            "batch add NAME '{\"from\":\"+15550100\",\"calls_per_minute\":60,\"hours\":\"mon-fri "
            "09:00-17:00\"}' --org NAME < numbers.csv | batch list | batch show NAME | batch "
            "pause|resume|stop NAME [--org NAME]");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = act(options, db);
    db_close(db);
    return status;
}
