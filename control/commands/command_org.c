#include "control/commands/command.h"
#include "control/store/organizations.h"

static int add(struct db *db, const char *name)
{
    char id[ORGANIZATIONS_ID_TEXT];
    enum db_result result = organizations_add(db, name, id);
    if (result == DB_REFUSED && strcmp(db_constraint(db), "organizations_name_key") == 0)
        return command_fail("there is an organisation \"%s\" already", name);
    if (result == DB_REFUSED)
        return command_fail("a name has 1 to 200 characters, no control characters, and no blanks "
                            "at its ends");
    if (result != DB_OK)
        return command_database_failed(db, result);
    printf("%s\n", id);
    return COMMAND_DONE;
}

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"id", "name", "numbers", "calls", "created"};
    struct db_rows *rows;
    enum db_result result = organizations_list(db, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 5);
    db_rows_free(rows);
    return COMMAND_DONE;
}

int command_org(const struct options *options)
{
    bool adds = command_is(options, "add", 1, 1);
    if (!adds && !command_is(options, "list", 0, 0))
        return command_misuse("org add NAME | org list");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = adds ? add(db, options->words[2]) : list(options, db);
    db_close(db);
    return status;
}
