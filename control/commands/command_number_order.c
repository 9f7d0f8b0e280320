/* Numbers bought and given back: orders that a serving control carries out, and the money. */
#include "control/carrier/carrier_number.h"
#include "control/commands/command.h"
#include "control/store/carrier_numbers.h"
#include "control/store/number_checks.h"

#include <time.h>

#define PATIENCE_MS 60000
#define LOOK_MS     100

static void pause_a_moment(void)
{
    struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    nanosleep(&pause, NULL);
}

static int explain_why(const char *why, const struct options *options)
{
    if (strcmp(why, "no_price") == 0)
        return command_fail("what a number costs is not known: `ringbridge-control number price %s "
                            "%s AMOUNT CURRENCY`, from Twilio's price list",
                            options->country, options->kind);
    if (strcmp(why, "no_limit") == 0)
        return command_fail("the organisation may not spend anything: `ringbridge-control number "
                            "limit AMOUNT CURRENCY --org NAME`");
    if (strcmp(why, "currency") == 0)
        return command_fail("price and limit are in different currencies");
    if (strcmp(why, "over_limit") == 0)
        return command_fail("that would be more than its numbers may cost a month; "
                            "`ringbridge-control number limit` shows what they cost");
    if (strcmp(why, "key_reused") == 0)
        return command_fail("--key %s was given to another order", options->key);
    return command_fail("it was not ordered: %s", why);
}

static int explain_wish(struct db *db)
{
    const char *constraint = db_constraint(db);
    if (strcmp(constraint, "number_orders_area") == 0)
        return command_misuse("--area-code is two to six digits");
    if (strcmp(constraint, "number_orders_contains") == 0)
        return command_misuse("--contains is 2 to 16 of digits, letters and * %% + $");
    if (strcmp(constraint, "number_orders_address") == 0)
        return command_misuse("--address-sid is AD and 32 hexadecimal digits");
    if (strcmp(constraint, "number_orders_bundle") == 0)
        return command_misuse("--bundle-sid is BU and 32 hexadecimal digits");
    return command_misuse("that is not a number that can be ordered: %s", db_error(db));
}

/* The end of an order, when there is one. */
static int judge(const struct db_rows *rows, bool *ended)
{
    const char *state = db_cell(rows, 0, 0), *error = db_cell(rows, 0, 2);
    *ended = true;
    if (strcmp(state, "bought") == 0) {
        puts(db_cell(rows, 0, 1));
        return error ? command_fail("%s: %s", db_cell(rows, 0, 1), error) : COMMAND_DONE;
    }
    if (strcmp(state, "refused") == 0)
        return command_fail("not bought: %s", error ? error : "no reason given");
    *ended = strcmp(state, "ordered") != 0 && strcmp(state, "asked") != 0;
    return *ended ? command_fail("it was bought and is %s", state) : COMMAND_FAILED;
}

static int await_number(struct db *db, const char *order)
{
    bool ended = false;
    int status = COMMAND_FAILED;
    for (int waited_ms = 0; waited_ms < PATIENCE_MS && !ended; waited_ms += LOOK_MS) {
        struct db_rows *rows;
        pause_a_moment();
        enum db_result result = carrier_numbers_look(db, order, &rows);
        if (result != DB_OK)
            return command_database_failed(db, result);
        if (db_rows_count(rows) > 0)
            status = judge(rows, &ended);
        db_rows_free(rows);
    }
    return ended
               ? status
               : command_fail("order %s is not carried out yet: does control serve? It goes on by "
                              "itself; `ringbridge-control number orders` shows what came of it",
                              order);
}

static int buy(const struct options *options, struct db *db, const char *organization)
{
    struct carrier_numbers_wish wish = {.country = options->country,
                                        .kind = options->kind,
                                        .area_code = options->area_code,
                                        .contains = options->contains,
                                        .phone_number =
                                            options->words_count > 2 ? options->words[2] : NULL,
                                        .address_sid = options->address_sid,
                                        .bundle_sid = options->bundle_sid};
    struct carrier_numbers_ordered ordered;
    char key[UUID_TEXT_BYTES + 1];
    if (wish.phone_number && !carrier_number_is_e164(wish.phone_number))
        return command_misuse("\"%s\" is not a number in E.164, e.g. +15550100", wish.phone_number);
    if (!carrier_number_kind(wish.kind))
        return command_misuse("--kind is local, toll_free or mobile");
    uuid_make(key);
    enum db_result result =
        carrier_numbers_order(db, organization, &wish, options->key ? options->key : key,
                              command_who(), "admin", &ordered);
    if (result == DB_REFUSED)
        return explain_wish(db);
    if (result != DB_OK)
        return command_database_failed(db, result);
    return ordered.why[0] ? explain_why(ordered.why, options) : await_number(db, ordered.id);
}

static int release(const struct options *options, struct db *db, const char *organization)
{
    const char *number = options->words[2];
    char why[16];
    bool listed = true;
    enum db_result result =
        carrier_numbers_release(db, organization, number, command_who(), "admin", why);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (strcmp(why, "unknown") == 0)
        return command_fail(
            "the organisation has no such number; `ringbridge-control number list`");
    for (int waited_ms = 0; waited_ms < PATIENCE_MS && listed; waited_ms += LOOK_MS) {
        pause_a_moment();
        result = carrier_numbers_listed(db, organization, number, &listed);
        if (result != DB_OK)
            return command_database_failed(db, result);
    }
    if (listed)
        return command_fail("%s answers no more calls, but the carrier does not have it back yet: "
                            "does control serve? `ringbridge-control jobs list` says more",
                            number);
    printf("released %s\n", number);
    return COMMAND_DONE;
}

/* ---- money ---- */

static int settle(struct db *db, enum db_result result)
{
    if (result == DB_REFUSED)
        return command_misuse("an amount is e.g. 20 or 1.15, a currency e.g. USD, a country e.g. "
                              "US, a kind local, toll_free or mobile");
    if (result != DB_OK)
        return command_database_failed(db, result);
    puts("set");
    return COMMAND_DONE;
}

static int print(const struct options *options, struct db *db, enum db_result result,
                 struct db_rows *rows, const char *const *headings, int count)
{
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, count);
    db_rows_free(rows);
    return COMMAND_DONE;
}

static int show_money(const struct options *options, struct db *db, const char *organization)
{
    static const char *const prices[] = {"country", "kind", "price", "currency"};
    static const char *const limits[] = {"organization", "this_month", "limit", "currency"};
    static const char *const orders[] = {"id",   "organization", "state", "number",  "country",
                                         "kind", "price",        "by",    "ordered", "error"};
    static const char *const checks[] = {"number",      "organization", "state",
                                         "differences", "checked",      "error"};
    const char *meant = organization[0] ? organization : NULL;
    struct db_rows *rows = NULL;
    enum db_result result;
    if (command_is(options, "price", 0, 0)) {
        result = carrier_numbers_prices(db, &rows);
        return print(options, db, result, rows, prices, 4);
    }
    if (command_is(options, "limit", 0, 0)) {
        result = carrier_numbers_limits(db, meant, &rows);
        return print(options, db, result, rows, limits, 4);
    }
    if (command_is(options, "checks", 0, 0)) {
        result = number_checks_list(db, meant, options->limit, &rows);
        return print(options, db, result, rows, checks, 6);
    }
    result = carrier_numbers_orders(db, meant, options->limit, &rows);
    return print(options, db, result, rows, orders, 10);
}

/* ---- which ---- */

static bool changes_organization(const struct options *options)
{
    return command_is(options, "buy", 0, 1) || command_is(options, "release", 1, 1) ||
           command_is(options, "limit", 2, 2);
}

bool command_number_order_is(const struct options *options)
{
    return changes_organization(options) || command_is(options, "orders", 0, 0) ||
           command_is(options, "checks", 0, 0) || command_is(options, "price", 0, 0) ||
           command_is(options, "price", 4, 4) || command_is(options, "limit", 0, 0);
}

int command_number_order(const struct options *options, struct db *db)
{
    const char *const *words = (const char *const *)options->words;
    char organization[COMMAND_ID_TEXT];
    if (command_is(options, "price", 4, 4))
        return settle(db, carrier_numbers_price(db, words[2], words[3], words[4], words[5]));
    if (!changes_organization(options))
        return command_maybe_organization(options, db, organization)
                   ? show_money(options, db, organization)
                   : COMMAND_FAILED;
    if (!command_organization(options, db, organization))
        return options->org ? COMMAND_FAILED : COMMAND_USAGE;
    if (command_is(options, "limit", 2, 2))
        return settle(db,
                      carrier_numbers_limit(db, organization, words[2], words[3], command_who()));
    return command_is(options, "buy", 0, 1) ? buy(options, db, organization)
                                            : release(options, db, organization);
}
