/* Orders of numbers in the database: who may, how much, and each step from the one before it only.
 */
#include "tests/control/database.h"

#include "control/store/accounts.h"
#include "control/store/carrier_numbers.h"
#include "control/store/seals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ACCOUNT "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SID     "PNaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct db *serving, *admin;
static char ours[37], theirs[37];
static const struct carrier_numbers_wish any = {.country = "US", .kind = "local"};

static int begin(void **state)
{
    (void)state;
    database_migrate();
    serving = database_serving(NULL);
    admin = database_admin();
    database_organization("Ours", "+15550100", ours);
    database_organization("Theirs", "+15550200", theirs);
    return 0;
}

static int end(void **state)
{
    (void)state;
    db_close(serving);
    db_close(admin);
    return 0;
}

/* Each test has its own money. */
static int pay(void **state)
{
    (void)state;
    database_do("SET row_security = off; DELETE FROM number_orders; DELETE FROM carrier_changes; "
                "DELETE FROM jobs; DELETE FROM phone_numbers WHERE phone_number LIKE '+155503%'");
    assert_int_equal(carrier_numbers_price(admin, "US", "local", "1.15", "USD"), DB_OK);
    assert_int_equal(carrier_numbers_limit(admin, ours, "10", "USD", "test"), DB_OK);
    return 0;
}

static struct carrier_numbers_ordered order_by(struct db *db, const char *organization,
                                               const char *key, const char *role)
{
    struct carrier_numbers_ordered ordered;
    assert_int_equal(carrier_numbers_order(db, organization, &any, key, "somebody", role, &ordered),
                     DB_OK);
    return ordered;
}

static void ask(const char *order, const char *number, bool expected)
{
    bool asked;
    assert_int_equal(carrier_numbers_ask(serving, ours, order, number, ACCOUNT, &asked), DB_OK);
    assert_int_equal(asked, expected);
}

struct settling {
    const char *order, *number;
    bool fresh;
};

static enum db_result settle_work(struct db *db, void *context)
{
    struct settling *settling = context;
    return carrier_numbers_settle(db, settling->order, SID, settling->number, &settling->fresh);
}

static bool settle(const char *organization, const char *order, const char *number)
{
    struct settling settling = {order, number, false};
    enum db_result result = db_transact(serving, organization, settle_work, &settling);
    if (result != DB_OK)
        fail_msg("%s", db_error(serving));
    return settling.fresh;
}

static void only_an_administrator_buys_and_only_within_the_limit(void **state)
{
    (void)state;
    assert_string_equal(order_by(serving, ours, "a", "viewer").why, "role");
    assert_string_equal(order_by(serving, ours, "a", "operator").why, "role");
    assert_string_equal(order_by(serving, theirs, "a", "admin").why, "no_limit");
    for (int i = 0; i < 8; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        struct carrier_numbers_ordered ordered = order_by(serving, ours, key, "admin");
        assert_true(ordered.made && ordered.id[0]);
    }
    assert_string_equal(order_by(serving, ours, "k8", "admin").why, "over_limit");
    assert_string_equal(database_ask("SELECT count(*)::text FROM jobs WHERE kind = 'number_buy'"),
                        "8");
    assert_string_equal(
        database_ask("SELECT count(*)::text FROM carrier_changes WHERE what = 'ordered'"), "8");
}

static void the_same_order_again_is_the_same_order(void **state)
{
    struct carrier_numbers_wish other = any;
    struct carrier_numbers_ordered first = order_by(serving, ours, "a", "admin"), again;
    (void)state;
    other.area_code = "555";
    again = order_by(serving, ours, "a", "admin");
    assert_string_equal(first.id, again.id);
    assert_false(again.made);
    assert_int_equal(carrier_numbers_order(serving, ours, &other, "a", "x", "admin", &again),
                     DB_OK);
    assert_string_equal(again.why, "key_reused");
    other.area_code = "x";
    assert_int_equal(carrier_numbers_order(serving, ours, &other, "b", "x", "admin", &again),
                     DB_REFUSED);
    assert_string_equal(db_constraint(serving), "number_orders_area");
}

/* Nobody orders for another: the transaction names one organisation, the question another. */
static enum db_result order_for_another(struct db *db, void *context)
{
    static const struct db_statement query = {
        "SELECT order_number($1::uuid, 'k', '{\"country\":\"US\",\"kind\":\"local\"}', 'x', "
        "'admin')",
        1};
    (void)context;
    return db_run(db, &query, db_values(db_text(ours)), NULL);
}

static void nobody_orders_for_another(void **state)
{
    (void)state;
    db_transact(serving, theirs, order_for_another, NULL);
    assert_string_equal(database_ask("SELECT count(*)::text FROM number_orders"), "0");
}

static void a_chosen_number_stays_chosen_until_it_is_gone(void **state)
{
    struct carrier_numbers_ordered ordered = order_by(serving, ours, "a", "admin");
    (void)state;
    ask(ordered.id, "+15550301", true);
    ask(ordered.id, "+15550302", false); /* it is not known what became of the first */
    assert_int_equal(carrier_numbers_unask(serving, ours, ordered.id, false), DB_OK);
    ask(ordered.id, "+15550302", false);
    ask(ordered.id, "+15550301", true);
    assert_int_equal(carrier_numbers_unask(serving, ours, ordered.id, true), DB_OK);
    ask(ordered.id, "+15550302", true);
    assert_string_equal(
        database_ask("SELECT state || ' ' || array_to_string(passed_over, ' ') FROM number_orders"),
        "asked +15550301");
}

static void a_bought_number_is_routed_once(void **state)
{
    struct carrier_numbers_ordered ordered = order_by(serving, ours, "a", "admin");
    (void)state;
    assert_false(settle(ours, ordered.id, "+15550301")); /* nobody asked for it */
    ask(ordered.id, "+15550301", true);
    assert_false(settle(theirs, ordered.id, "+15550301"));
    assert_true(settle(ours, ordered.id, "+15550301"));
    assert_false(settle(ours, ordered.id, "+15550301"));
    ask(ordered.id, "+15550301", false);
    assert_int_equal(carrier_numbers_refuse(admin, ordered.id, "too late"), DB_OK);
    assert_string_equal(database_ask("SELECT state FROM number_orders"), "bought");
    assert_string_equal(database_ask("SELECT count(*)::text FROM phone_numbers "
                                     "WHERE phone_number = '+15550301' AND is_active"),
                        "1");
}

static void a_number_on_anothers_list_stays_there(void **state)
{
    struct carrier_numbers_ordered ordered = order_by(serving, ours, "a", "admin");
    (void)state;
    ask(ordered.id, "+15550200", true);
    assert_true(settle(ours, ordered.id, "+15550200"));
    assert_string_equal(database_ask("SELECT state || ': ' || error FROM number_orders"),
                        "bought: bought, but another organisation has it on its list");
    assert_string_equal(
        database_ask("SELECT o.name FROM phone_numbers AS n JOIN organizations AS o "
                     "ON o.id = n.organization_id WHERE phone_number = '+15550200'"),
        "Theirs");
}

static enum db_result released_work(struct db *db, void *context)
{
    (void)context;
    return carrier_numbers_released(db, "+15550301", ACCOUNT, "somebody");
}

static void a_number_is_given_back_by_its_owner_once(void **state)
{
    struct carrier_numbers_ordered ordered = order_by(serving, ours, "a", "admin");
    char why[16];
    (void)state;
    ask(ordered.id, "+15550301", true);
    assert_true(settle(ours, ordered.id, "+15550301"));
    assert_int_equal(carrier_numbers_release(serving, ours, "+15550301", "x", "operator", why),
                     DB_OK);
    assert_string_equal(why, "role");
    assert_int_equal(carrier_numbers_release(serving, theirs, "+15550301", "x", "admin", why),
                     DB_OK);
    assert_string_equal(why, "unknown");
    assert_int_equal(db_transact(serving, ours, released_work, NULL), DB_OK);
    assert_string_equal(database_ask("SELECT state FROM number_orders"),
                        "bought"); /* nobody wanted */
    assert_int_equal(carrier_numbers_release(serving, ours, "+15550301", "x", "admin", why), DB_OK);
    assert_string_equal(why, "");
    assert_int_equal(carrier_numbers_release(admin, ours, "+15550301", "x", "admin", why), DB_OK);
    assert_string_equal(why, "waiting");
    assert_int_equal(db_transact(serving, ours, released_work, NULL), DB_OK);
    assert_string_equal(database_ask("SELECT state FROM number_orders"), "released");
    assert_string_equal(
        database_ask("SELECT count(*)::text FROM phone_numbers WHERE phone_number = '+15550301'"),
        "0");
}

static void every_secret_is_sealed_anew(void **state)
{
    char error[128];
    struct seal anew, lost;
    struct seals_renewed renewed;
    struct accounts_tokens tokens;
    int unopened;
    (void)state;
    assert_int_equal(accounts_put(admin, &database_seal, ours, "twilio", ACCOUNT, span_of("one")),
                     DB_OK);
    assert_int_equal(accounts_put(admin, &database_seal, ours, "twilio", ACCOUNT, span_of("two")),
                     DB_OK);
    assert_int_equal(accounts_put(admin, &database_seal, theirs, "openai", "", span_of("key")),
                     DB_OK);
    assert_true(seal_open(&lost, "6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e",
                          NULL, error, sizeof error));
    assert_int_equal(seals_renew(admin, &lost, "test", &renewed), DB_OK);
    assert_int_equal(renewed.renewed, 0);
    assert_int_equal(renewed.unopened, 3);
    anew = lost;
    memcpy(anew.previous, database_seal.key, sizeof anew.previous);
    anew.has_previous = true;
    assert_int_equal(seals_renew(admin, &anew, "test", &renewed), DB_OK);
    assert_int_equal(renewed.renewed, 3);
    assert_int_equal(renewed.unopened, 0);
    assert_int_equal(accounts_tokens(serving, &lost, ACCOUNT, &tokens, &unopened), DB_OK);
    assert_int_equal(tokens.count, 2);
    assert_string_equal(tokens.token[0], "two");
    assert_string_equal(tokens.token[1], "one");
    assert_int_equal(accounts_tokens(serving, &database_seal, ACCOUNT, &tokens, &unopened), DB_OK);
    assert_int_equal(unopened, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(only_an_administrator_buys_and_only_within_the_limit, pay),
        cmocka_unit_test_setup(the_same_order_again_is_the_same_order, pay),
        cmocka_unit_test_setup(nobody_orders_for_another, pay),
        cmocka_unit_test_setup(a_chosen_number_stays_chosen_until_it_is_gone, pay),
        cmocka_unit_test_setup(a_bought_number_is_routed_once, pay),
        cmocka_unit_test_setup(a_number_on_anothers_list_stays_there, pay),
        cmocka_unit_test_setup(a_number_is_given_back_by_its_owner_once, pay),
        cmocka_unit_test(every_secret_is_sealed_anew),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
