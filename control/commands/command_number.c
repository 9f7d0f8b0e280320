#include "control/commands/command.h"
#include "control/store/numbers.h"

static int explain_refusal(struct db *db, const char *number)
{
    const char *constraint = db_constraint(db);
    if (strcmp(constraint, "phone_numbers_e164") == 0)
        return command_fail("\"%s\" is not a number in E.164: a plus sign, the country, the rest, "
                            "15 digits at most and nothing else, e.g. +15550100",
                            number);
    if (strcmp(constraint, "phone_numbers_channel") == 0)
        return command_fail("--channel is twilio, retell or whatsapp");
    return command_fail("%s belongs to another organisation; `ringbridge-control number list` "
                        "shows which, `number remove` takes it away",
                        number);
}

static int add(const struct options *options, struct db *db, const char *organization)
{
    const char *number = options->words[2];
    const char *channel = options->channel ? options->channel : "twilio";
    enum db_result result = numbers_add(db, organization, number, channel);
    if (result == DB_REFUSED)
        return explain_refusal(db, number);
    if (result != DB_OK)
        return command_database_failed(db, result);
    printf("%s %s\n", number, channel);
    return COMMAND_DONE;
}

static int take_away(const struct options *options, struct db *db, const char *organization)
{
    int removed;
    enum db_result result = numbers_remove(db, organization[0] ? organization : NULL,
                                           options->words[2], options->channel, &removed);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (removed == 0)
        return command_fail("there is no such number; `ringbridge-control number list` shows them");
    printf("removed %s\n", options->words[2]);
    return COMMAND_DONE;
}

struct use {
    const char *number, *channel;
    bool is_active, found;
};

static enum db_result put_within(struct db *db, void *context)
{
    struct use *use = context;
    char id[COMMAND_ID_TEXT];
    enum db_result result = numbers_id(db, use->number, use->channel, id, &use->found);
    return result == DB_OK && use->found ? numbers_switch(db, id, use->is_active, &use->found)
                                         : result;
}

static int put_in_use(const struct options *options, struct db *db, const char *organization)
{
    struct use use = {.number = options->words[2],
                      .channel = options->channel ? options->channel : "twilio",
                      .is_active = strcmp(command_verb(options), "on") == 0};
    enum db_result result = db_transact(db, organization, put_within, &use);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (!use.found)
        return command_fail("it has no such number; `ringbridge-control number list` shows them");
    printf("%s %s\n", use.number, use.is_active ? "on" : "off");
    return COMMAND_DONE;
}

static int list(const struct options *options, struct db *db, const char *organization)
{
    static const char *const headings[] = {"number",       "channel",         "active",
                                           "organization", "organization_id", "created"};
    struct db_rows *rows;
    enum db_result result = numbers_list(db, organization[0] ? organization : NULL, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 6);
    db_rows_free(rows);
    return COMMAND_DONE;
}

static int act(const struct options *options, struct db *db)
{
    char organization[COMMAND_ID_TEXT];
    if (command_number_carrier_is(options))
        return command_number_carrier(options, db);
    if (command_number_order_is(options))
        return command_number_order(options, db);
    bool adds = command_is(options, "add", 1, 1);
    if (adds || command_is(options, "on", 1, 1) || command_is(options, "off", 1, 1)) {
        if (!command_organization(options, db, organization))
            return options->org ? COMMAND_FAILED : COMMAND_USAGE;
        return adds ? add(options, db, organization) : put_in_use(options, db, organization);
    }
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    return command_is(options, "remove", 1, 1) ? take_away(options, db, organization)
                                               : list(options, db, organization);
}

int command_number(const struct options *options)
{
    if (!command_is(options, "add", 1, 1) && !command_is(options, "remove", 1, 1) &&
        !command_is(options, "on", 1, 1) && !command_is(options, "off", 1, 1) &&
        !command_is(options, "list", 0, 0) && !command_number_carrier_is(options) &&
        !command_number_order_is(options))
        return command_misuse(
            "number add +15550100 --org NAME [--channel twilio] | number list [--org NAME] | "
            "number on | off +15550100 --org NAME [--channel CHANNEL] | "
            "number remove +15550100 [--channel CHANNEL]\n"
            "  at the carrier: number search [--country US] [--kind local] [--area-code N] | "
            "number buy [+15550100] --org NAME | number release +15550100 --org NAME | "
            "number verify | configure [+15550100] [--org NAME] | number orders | "
            "number limit [AMOUNT CURRENCY --org NAME] | "
            "number price [COUNTRY KIND AMOUNT CURRENCY]");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = act(options, db);
    db_close(db);
    return status;
}
