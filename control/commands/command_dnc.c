#include "control/commands/command.h"
#include "control/outbound/outbound_plan.h"
#include "control/store/outbound.h"

static int change(const struct options *options, struct db *db, bool adds)
{
    char organization[COMMAND_ID_TEXT], number[17], id[UUID_TEXT_BYTES + 1];
    bool removed = true;
    const char *word = options->words[2];
    if (!outbound_plan_number(word, number))
        return command_misuse("\"%s\" is not a number with its country, like +15550100", word);
    if (!command_organization(options, db, organization))
        return options->org ? COMMAND_FAILED : COMMAND_USAGE;
    enum db_result result =
        adds ? outbound_dnc_put(db, organization, number, options->label, command_who(), id)
             : outbound_dnc_remove(db, organization, number, &removed);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (!removed)
        return command_fail("%s is not on the list", number);
    printf("%s %s\n", adds ? "not called:" : "may be called:", number);
    return COMMAND_DONE;
}

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"number", "reason", "by", "since", "organization"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        outbound_dnc_list(db, organization[0] ? organization : NULL, options->limit, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 5);
    db_rows_free(rows);
    return COMMAND_DONE;
}

int command_dnc(const struct options *options)
{
    bool adds = command_is(options, "add", 1, 1), removes = command_is(options, "remove", 1, 1);
    if (!adds && !removes && !command_is(options, "list", 0, 0))
        return command_misuse("dnc add +15550100 --org NAME [--label WHY] | dnc remove +15550100 "
                              "--org NAME | dnc list [--org NAME]");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = adds || removes ? change(options, db, adds) : list(options, db);
    db_close(db);
    return status;
}
