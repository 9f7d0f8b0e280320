/* Accounts and their secrets against a real PostgreSQL: each speaks for its own organisation,
 * sealed. */
#include "tests/control/store_world.h"

#include "control/store/accounts.h"
#include "tests/control/database.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void an_account_speaks_for_its_own_organization_only(void **state)
{
    (void)state;
    char account[35], sid[35];
    struct db *admin = database_admin();
    struct calls_incoming incoming;
    struct calls_taken taken;
    database_sid(account, "AC", 77);
    assert_int_equal(
        accounts_put(admin, &database_seal, world.acme, "twilio", account, span_of("token one")),
        DB_OK);
    assert_int_equal(
        accounts_put(admin, &database_seal, world.beta, "twilio", account, span_of("stolen")),
        DB_REFUSED);
    assert_string_equal(db_constraint(admin), "credentials_account_owner");

    struct calls_webhook webhook = world_webhook(sid, "+15550101");
    webhook.account_sid = account;
    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
    assert_int_equal(incoming.found, CALLS_WRONG_ACCOUNT);
    calls_incoming_free(&incoming);
    assert_int_equal(calls_status(world.db, &webhook, &taken), DB_OK);
    assert_int_equal(taken.found, CALLS_WRONG_ACCOUNT);
    webhook.to = "+15550100";
    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
    assert_int_equal(incoming.found, CALLS_FOUND);
    calls_incoming_free(&incoming);
    /* the same CallSid said by another account is not believed */
    webhook.account_sid = world.own;
    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
    assert_int_equal(incoming.found, CALLS_WRONG_ACCOUNT);
    calls_incoming_free(&incoming);
    db_close(admin);
}

static void tokens_are_sealed_rotated_and_open_only_with_the_key(void **state)
{
    (void)state;
    char account[35];
    int unopened;
    struct db *admin = database_admin();
    struct accounts_tokens tokens;
    struct seal other = {.key = {9}, .has_key = true};
    database_sid(account, "AC", 88);
    assert_int_equal(
        accounts_put(admin, &database_seal, world.beta, "twilio", account, span_of("first")),
        DB_OK);
    assert_int_equal(
        accounts_put(admin, &database_seal, world.beta, "twilio", account, span_of("second")),
        DB_OK);
    assert_int_equal(accounts_tokens(world.db, &database_seal, account, &tokens, &unopened), DB_OK);
    assert_int_equal(tokens.count, 2);
    assert_string_equal(tokens.token[0], "second");
    assert_string_equal(tokens.token[1], "first");
    assert_int_equal(accounts_tokens(world.db, &other, account, &tokens, &unopened), DB_OK);
    assert_int_equal(tokens.count, 0);
    assert_int_equal(unopened, 2);
    assert_int_equal(
        accounts_tokens(world.db, &database_seal, "AC' OR true --", &tokens, &unopened), DB_OK);
    assert_int_equal(tokens.count, 0);
    assert_string_equal(database_ask("SELECT count(*) FROM credentials WHERE position('second' IN "
                                     "encode(sealed, 'escape')) > 0"),
                        "0");
    db_close(admin);
}

static void an_organizations_ai_key_comes_with_the_call(void **state)
{
    (void)state;
    char sid[35];
    struct db *admin = database_admin();
    struct calls_incoming incoming;
    struct seal other = {.key = {9}, .has_key = true};
    struct calls_webhook webhook = world_webhook(sid, "+15550101");
    assert_int_equal(
        accounts_put(admin, &database_seal, world.beta, "openai", "", span_of("sk-beta")), DB_OK);
    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
    assert_string_equal(incoming.ai_key, "sk-beta");
    calls_incoming_free(&incoming);
    assert_int_equal(calls_incoming(world.db, &other, &webhook, &incoming), DB_OK);
    assert_null(incoming.ai_key);
    assert_true(incoming.ai_key_lost);
    calls_incoming_free(&incoming);
    db_close(admin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_account_speaks_for_its_own_organization_only),
        cmocka_unit_test(tokens_are_sealed_rotated_and_open_only_with_the_key),
        cmocka_unit_test(an_organizations_ai_key_comes_with_the_call),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
