#include "control/commands/command.h"

#include "control/store/organizations.h"
#include "control/store/records.h"

#include <jansson.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

static void say(const char *format, va_list arguments)
{
    fflush(stdout);
    fputs("ringbridge-control: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int command_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    return COMMAND_FAILED;
}

int command_misuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    return COMMAND_USAGE;
}

const char *command_verb(const struct options *options)
{
    return options->words_count > 1 ? options->words[1] : "";
}

bool command_is(const struct options *options, const char *verb, int least, int most)
{
    int behind = options->words_count - 2;
    return strcmp(command_verb(options), verb) == 0 && behind >= least && behind <= most;
}

struct db *command_open(const struct options *options)
{
    if (!options->database_url) {
        command_fail("no database: set DATABASE_URL, e.g. "
                     "postgresql:///ringbridge?host=/run/postgresql");
        return NULL;
    }
    struct db_config config = db_config_admin(options->database_url);
    struct db *db = db_open(&config);
    if (!db)
        command_fail("out of memory");
    return db;
}

int command_database_failed(struct db *db, enum db_result result)
{
    const char *mend = "";
    if (result == DB_AWAY)
        mend = "\n  Check DATABASE_URL and that PostgreSQL runs.";
    else if (strcmp(db_sqlstate(db), "42P01") == 0 || strcmp(db_sqlstate(db), "42883") == 0 ||
             strcmp(db_sqlstate(db), "22023") == 0)
        mend = "\n  The schema is missing or old: run `ringbridge-control migrate`.";
    else if (strcmp(db_sqlstate(db), "42501") == 0)
        mend = "\n  The user of DATABASE_URL must be a member of ringbridge_admin: "
               "GRANT ringbridge_admin TO ...;";
    return command_fail("the database says: %s%s", db_error(db), mend);
}

bool command_maybe_organization(const struct options *options, struct db *db,
                                char id[COMMAND_ID_TEXT])
{
    bool found;
    id[0] = '\0';
    if (!options->org)
        return true;
    enum db_result result = organizations_find(db, options->org, id, &found);
    if (result != DB_OK)
        command_database_failed(db, result);
    else if (!found)
        command_fail("there is no organisation \"%s\"; `ringbridge-control org list` shows them",
                     options->org);
    return result == DB_OK && found;
}

bool command_organization(const struct options *options, struct db *db, char id[COMMAND_ID_TEXT])
{
    if (!options->org) {
        command_misuse("which organisation? --org NAME (or its id)");
        return false;
    }
    return command_maybe_organization(options, db, id);
}

const char *command_who(void)
{
    static char name[64];
    const struct passwd *user = getpwuid(getuid());
    snprintf(name, sizeof name, "%s", user ? user->pw_name : "unknown");
    return name;
}

bool command_find_call(const struct options *options, struct db *db, const char *name,
                       char id[COMMAND_ID_TEXT], int *status)
{
    char organization[COMMAND_ID_TEXT];
    int matches;
    *status = COMMAND_FAILED;
    if (!command_maybe_organization(options, db, organization))
        return false;
    enum db_result result =
        records_find(db, organization[0] ? organization : NULL, name, id, &matches);
    if (result != DB_OK)
        *status = command_database_failed(db, result);
    else if (matches != 1)
        *status = command_fail(
            "there is no call \"%s\"; `ringbridge-control calls list` shows them", name);
    return result == DB_OK && matches == 1;
}

/* -- printing ------------------------------------------------------------------------------------
 */

/* Characters, not bytes, so that names with accents line up. */
static int width_of(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* What strangers wrote does not get to move the cursor. */
static void print_safely(const char *text)
{
    for (; *text; text++)
        putchar((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text);
}

static const char *shown(const struct db_rows *rows, int row, int column)
{
    const char *cell = db_cell(rows, row, column);
    return cell ? cell : "-";
}

static void print_table(const struct db_rows *rows, const char *const *headings, int count)
{
    int widths[16];
    for (int column = 0; column < count; column++) {
        widths[column] = width_of(headings[column]);
        for (int row = 0; row < db_rows_count(rows); row++) {
            int width = width_of(shown(rows, row, column));
            if (width > widths[column])
                widths[column] = width;
        }
    }
    for (int row = -1; row < db_rows_count(rows); row++) {
        for (int column = 0; column < count; column++) {
            const char *text = row < 0 ? headings[column] : shown(rows, row, column);
            print_safely(text);
            if (column < count - 1)
                printf("%*s", widths[column] - width_of(text) + 2, "");
        }
        putchar('\n');
    }
}

static void print_json(const struct db_rows *rows, const char *const *headings, int count)
{
    json_t *list = json_array();
    for (int row = 0; row < db_rows_count(rows); row++) {
        json_t *object = json_object();
        for (int column = 0; column < count; column++) {
            const char *cell = db_cell(rows, row, column);
            json_object_set_new(object, headings[column], cell ? json_string(cell) : json_null());
        }
        json_array_append_new(list, object);
    }
    json_dumpf(list, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(list);
}

void command_print(const struct options *options, const struct db_rows *rows,
                   const char *const *headings, int count)
{
    if (options->json)
        print_json(rows, headings, count);
    else
        print_table(rows, headings, count);
}

bool command_read_secret(const char *what, char *secret, size_t room)
{
    if (isatty(STDIN_FILENO))
        fprintf(stderr, "%s: ", what);
    if (!fgets(secret, (int)room, stdin)) {
        command_misuse("%s is read from standard input, and nothing came", what);
        return false;
    }
    size_t bytes = strcspn(secret, "\r\n");
    bool whole = secret[bytes] || feof(stdin);
    secret[bytes] = '\0';
    if (!whole || bytes == 0) {
        command_misuse("%s is %s", what, bytes ? "too long" : "empty");
        return false;
    }
    return true;
}
