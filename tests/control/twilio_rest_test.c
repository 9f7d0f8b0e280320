/* What we ask of Twilio, judged by its published description: served by Prism when TWILIO_API_BASE
 * is set (twilio_api.mjs); pages and mishaps by a server of our own (http_server.py). */
#include "tests/control/database.h"

#include "control/carrier/carrier_search.h"
#include "control/carrier/reconcile.h"
#include "control/carrier/twilio_rest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ACCOUNT  "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ACCOUNT2 "ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define CALL     "CAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NUMBER   "PNaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define RECORD   "REaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY      "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"

static struct options options;
static struct twilio_rest rest;
static struct http_client_response answer;
static struct db *db;
static char ours[64], directory[64];
static pid_t server;
static int to_server;

static void start_server(void)
{
    int in[2], out[2], port = 0;
    strcpy(directory, "/tmp/ringbridge-twilio.XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_int_equal(pipe(in) | pipe(out), 0);
    server = fork();
    if (server == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        execl("tests/control/http_server.py", "http_server.py", directory, NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    to_server = in[1];
    FILE *told = fdopen(out[0], "r");
    assert_int_equal(fscanf(told, "%d", &port), 1);
    fclose(told);
    snprintf(ours, sizeof ours, "http://127.0.0.1:%d", port);
}

static int begin(void **state)
{
    char error[256];
    (void)state;
    database_migrate();
    db = database_serving(NULL);
    assert_true(seal_open(&options.seal, KEY, NULL, error, sizeof error));
    options.twilio_api_base = getenv("TWILIO_API_BASE");
    assert_non_null(options.twilio_api_base);
    options.account_sid = ACCOUNT;
    options.auth_token = "the installation's token";
    start_server();
    return 0;
}

static int end(void **state)
{
    char command[128];
    (void)state;
    db_close(db);
    close(to_server);
    waitpid(server, NULL, 0);
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

static int begin_rest(void **state)
{
    char error[256] = "";
    (void)state;
    if (twilio_rest_open(&rest, db, &options, ACCOUNT, error, sizeof error) != TWILIO_REST_OPENED)
        fail_msg("%s", error);
    return 0;
}

static int end_rest(void **state)
{
    (void)state;
    http_client_free(&answer);
    twilio_rest_close(&rest);
    options.twilio_api_base = getenv("TWILIO_API_BASE");
    return 0;
}

static void must(bool asked)
{
    if (!asked)
        fail_msg("%s: %.500s", answer.error, answer.body ? answer.body : "");
    http_client_free(&answer);
}

/* ---- judged by the description ---- */

static void every_request_we_make_is_one_that_twilio_describes(void **state)
{
    static const struct twilio_rest_pair completed[] = {{"Status", "completed"}},
                                         twiml[] = {{"Twiml", "<Response><Hangup/></Response>"}},
                                         hold[] = {{"Muted", "true"},
                                                   {"EndConferenceOnExit", "true"}};
    json_t *json;
    (void)state;
    must(twilio_rest_ask(&rest, "GET", "Recordings/" RECORD ".json", NULL, 0, &json, &answer));
    assert_string_equal(json_string_value(json_object_get(json, "sid")), RECORD);
    json_decref(json);
    must(twilio_rest_ask(&rest, "DELETE", "Recordings/" RECORD ".json", NULL, 0, &json, &answer));
    assert_null(json);
    assert_int_equal(answer.status, 204);
    must(twilio_rest_ask(&rest, "POST", "Calls/" CALL ".json", completed, 1, &json, &answer));
    json_decref(json);
    must(twilio_rest_ask(&rest, "POST", "Calls/" CALL ".json", twiml, 1, &json, &answer));
    json_decref(json);
    must(twilio_rest_ask(
        &rest, "POST", "Conferences/CFaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/Participants/" CALL ".json",
        hold, 2, &json, &answer));
    json_decref(json);
}

static bool count_any(const json_t *item, void *context)
{
    (void)item;
    ++*(int *)context;
    return true;
}

static bool count_found(const struct carrier_search_found *found, void *context)
{
    (void)found;
    ++*(int *)context;
    return true;
}

static void search_numbers(const char *kind)
{
    const struct carrier_search wanted = {
        .country = "US", .kind = kind, .area_code = "555", .contains = "555*"};
    int count = 0;
    must(carrier_search_run(&rest, &wanted, count_found, &count, &answer));
}

static void numbers_are_searched_bought_set_up_and_released_as_described(void **state)
{
    static const struct twilio_rest_pair named[] = {{"FriendlyName", "ringbridge x"}},
                                         numbered[] = {{"PhoneNumber", "+15550100"}};
    struct twilio_rest_pair pairs[TWILIO_REST_PAIRS_MAX];
    struct carrier_number_want want;
    json_t *json;
    int count = 0;
    (void)state;
    search_numbers("local");
    search_numbers("toll_free");
    search_numbers("mobile");
    assert_true(carrier_number_wish(&want, "https://calls.example.com"));
    size_t fields = carrier_number_fields(&want, pairs);
    must(twilio_rest_ask(&rest, "POST", "IncomingPhoneNumbers/" NUMBER ".json", pairs, fields,
                         &json, &answer));
    json_decref(json);
    pairs[fields++] = numbered[0];
    pairs[fields++] = named[0];
    pairs[fields++] = (struct twilio_rest_pair){"AddressSid", "ADaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    pairs[fields++] = (struct twilio_rest_pair){"BundleSid", "BUaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    must(
        twilio_rest_ask(&rest, "POST", "IncomingPhoneNumbers.json", pairs, fields, &json, &answer));
    assert_true(twilio_rest_is_sid(json_string_value(json_object_get(json, "sid")), "PN"));
    json_decref(json);
    must(twilio_rest_list(&rest, "IncomingPhoneNumbers.json", "incoming_phone_numbers", named, 1,
                          count_any, &count, &answer));
    must(twilio_rest_list(&rest, "IncomingPhoneNumbers.json", "incoming_phone_numbers", numbered, 1,
                          count_any, &count, &answer));
    must(twilio_rest_ask(&rest, "DELETE", "IncomingPhoneNumbers/" NUMBER ".json", NULL, 0, NULL,
                         &answer));
    assert_int_equal(answer.status, 204);
}

static void accounts_are_made_and_found_as_described(void **state)
{
    static const struct twilio_rest_pair named[] = {{"FriendlyName", "ringbridge x"}};
    struct twilio_rest parent;
    char error[256];
    json_t *json;
    int count = 0;
    (void)state;
    assert_true(twilio_rest_open_main(&parent, &options, error, sizeof error));
    must(twilio_rest_list(&parent, TWILIO_REST_ACCOUNTS, "accounts", named, 1, count_any, &count,
                          &answer));
    must(twilio_rest_ask(&parent, "POST", TWILIO_REST_ACCOUNTS, named, 1, &json, &answer));
    assert_true(twilio_rest_is_sid(json_string_value(json_object_get(json, "sid")), "AC"));
    assert_non_null(json_string_value(json_object_get(json, "auth_token")));
    json_decref(json);
    twilio_rest_close(&parent);
    options.auth_token = NULL;
    assert_false(twilio_rest_open_main(&parent, &options, error, sizeof error));
    options.auth_token = "the installation's token";
}

/* What comes back is made up; that it is asked for as described, and taken without complaint. */
static void comparing_with_the_carriers_lists_asks_as_described(void **state)
{
    char organization[37];
    (void)state;
    database_organization("Lists", "+15550188", organization);
    struct reconcile reconcile = {.options = &options, .organization = organization, .hours = 48};
    enum reconcile_end end = reconcile_run(&reconcile, db);
    if (end != RECONCILE_DONE)
        fail_msg("%d %s: %s", end, reconcile.error, db_error(db));
    assert_int_equal(strlen(reconcile.report), 36);
    http_client_free(&reconcile.response);
}

static bool count_item(const json_t *item, void *context)
{
    assert_true(json_is_string(json_object_get(item, "sid")));
    ++*(int *)context;
    return true;
}

/* With everything that call_make may say. */
static void a_call_is_created_as_described(void **state)
{
    static const struct twilio_rest_pair create[] = {
        {"To", "+15550123"},
        {"From", "+15550100"},
        {"Url", "https://calls.example.com/api/twilio/outbound-call?attempt=1#rc=5&rp=all"},
        {"Method", "POST"},
        {"StatusCallback", "https://calls.example.com/api/twilio/outbound-status?attempt=1"},
        {"StatusCallbackMethod", "POST"},
        {"StatusCallbackEvent", "initiated"},
        {"StatusCallbackEvent", "ringing"},
        {"StatusCallbackEvent", "answered"},
        {"StatusCallbackEvent", "completed"},
        {"Timeout", "60"},
        {"TimeLimit", "14400"},
        {"MachineDetection", "DetectMessageEnd"},
        {"AsyncAmd", "true"},
        {"AsyncAmdStatusCallback", "https://calls.example.com/api/twilio/outbound-amd?attempt=1"},
        {"AsyncAmdStatusCallbackMethod", "POST"}};
    static const struct twilio_rest_pair between[] = {{"To", "+15550123"}, {"From", "+15550100"}};
    json_t *json;
    int count = 0;
    (void)state;
    must(twilio_rest_ask(&rest, "POST", "Calls.json", create, sizeof create / sizeof create[0],
                         &json, &answer));
    assert_true(twilio_rest_is_sid(json_string_value(json_object_get(json, "sid")), "CA"));
    json_decref(json);
    must(twilio_rest_list(&rest, "Calls.json", "calls", between, 2, count_item, &count, &answer));
    assert_false(twilio_rest_ask(&rest, "POST", "Calls.json", create + 1, 3, &json, &answer));
    assert_int_equal(answer.status / 100, 4); /* To is needed */
}

static void lists_are_filtered_as_described(void **state)
{
    static const struct twilio_rest_pair since[] = {{"StartTime>", "2026-11-01T00:00:00Z"},
                                                    {"Status", "completed"}};
    int count = 0;
    (void)state;
    must(twilio_rest_list(&rest, "Calls.json", "calls", since, 2, count_item, &count, &answer));
    must(twilio_rest_list(&rest, "Calls/" CALL "/Recordings.json", "recordings", NULL, 0,
                          count_item, &count, &answer));
    assert_int_equal(count, 0); /* the example that Prism gives is an empty list */
}

static void what_is_not_described_is_refused_in_words(void **state)
{
    static const struct twilio_rest_pair unheard[] = {{"Status", "asleep"}};
    json_t *json;
    (void)state;
    assert_false(twilio_rest_ask(&rest, "POST", "Calls/" CALL ".json", unheard, 1, &json, &answer));
    assert_int_equal(answer.status / 100, 4);
    assert_false(answer.try_again);
    http_client_free(&answer);
    assert_false(twilio_rest_ask(&rest, "GET", "Calls/CA1.json", NULL, 0, &json, &answer));
    assert_int_equal(answer.status / 100, 4);
    assert_null(json);
}

/* ---- a server of our own ---- */

static bool until_five(const json_t *item, void *context)
{
    (void)item;
    return ++*(int *)context < 5;
}

static void a_list_is_read_to_its_end(void **state)
{
    int count = 0;
    (void)state;
    options.twilio_api_base = ours;
    must(twilio_rest_list(&rest, "Pages/3.json", "calls", NULL, 0, count_item, &count, &answer));
    assert_int_equal(count, 9); /* three a page */
    count = 0;
    must(twilio_rest_list(&rest, "Pages/3.json", "calls", NULL, 0, until_five, &count, &answer));
    assert_int_equal(count, 5);
}

static void a_list_that_leads_astray_is_broken(void **state)
{
    static const char *const lists[] = {"Pages/elsewhere.json", "Pages/stranger.json",
                                        "Pages/up.json", "Pages/none.json", "Pages/text.json"};
    (void)state;
    options.twilio_api_base = ours;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        int count = 0;
        assert_false(
            twilio_rest_list(&rest, lists[i], "calls", NULL, 0, count_item, &count, &answer));
        assert_int_equal(answer.end, HTTP_CLIENT_broken);
        assert_true(answer.try_again);
        http_client_free(&answer);
    }
}

static void twilios_own_words_are_told(void **state)
{
    json_t *json;
    (void)state;
    options.twilio_api_base = ours;
    assert_false(twilio_rest_ask(&rest, "GET", "Busy.json", NULL, 0, &json, &answer));
    assert_string_equal(answer.error, "Twilio answered 429: Too Many Requests (20429)");
    assert_int_equal(twilio_rest_code(&answer), 20429);
    assert_true(answer.try_again);
    assert_int_equal(answer.retry_after_s, 3);
    http_client_free(&answer);
    options.twilio_api_base = "http://127.0.0.1:1";
    assert_false(twilio_rest_ask(&rest, "GET", "Busy.json", NULL, 0, &json, &answer));
    assert_int_equal(answer.end, HTTP_CLIENT_unreachable);
}

/* libcurl would send it again by itself on a connection that it had kept. */
static void what_may_have_been_done_is_not_asked_a_second_time(void **state)
{
    static const struct twilio_rest_pair pairs[] = {{"To", "+15550100"}};
    json_t *json;
    (void)state;
    options.twilio_api_base = ours;
    must(twilio_rest_ask(&rest, "GET", "Once.json", NULL, 0, NULL, &answer)); /* and is kept */
    assert_false(twilio_rest_ask(&rest, "POST", "Once.json", pairs, 1, &json, &answer));
    assert_int_equal(answer.end, HTTP_CLIENT_broken); /* and not unreachable: it was done */
    http_client_free(&answer);
    must(twilio_rest_ask(&rest, "GET", "Once.json", NULL, 0, &json, &answer));
    assert_int_equal(json_integer_value(json_object_get(json, "done")), 1);
    json_decref(json);
}

static void credentials_are_the_organisations_own_first(void **state)
{
    char error[256], organization[37];
    (void)state;
    assert_int_equal(twilio_rest_open(&rest, db, &options, ACCOUNT2, error, sizeof error),
                     TWILIO_REST_OPENED);
    assert_string_equal(rest.account, ACCOUNT2); /* perhaps a sub-account of ours */
    assert_string_equal(rest.user, ACCOUNT);
    database_organization("Acme", "+15550100", organization);
    struct db *admin = database_admin();
    assert_int_equal(accounts_put(admin, &options.seal, organization, "twilio", ACCOUNT2,
                                  span_of("their token")),
                     DB_OK);
    db_close(admin);
    assert_int_equal(twilio_rest_open(&rest, db, &options, ACCOUNT2, error, sizeof error),
                     TWILIO_REST_OPENED);
    assert_string_equal(rest.user, ACCOUNT2);
    assert_string_equal(rest.secret, "their token");
    options.twilio_api_key = "SKaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    options.twilio_api_secret = "of the key";
    assert_int_equal(twilio_rest_open(&rest, db, &options, ACCOUNT, error, sizeof error),
                     TWILIO_REST_OPENED);
    assert_string_equal(rest.user, options.twilio_api_key);
    assert_string_equal(rest.secret, "of the key");
    options.twilio_api_key = options.twilio_api_secret = options.auth_token = NULL;
    assert_int_equal(twilio_rest_open(&rest, db, &options, ACCOUNT, error, sizeof error),
                     TWILIO_REST_UNKNOWN);
    assert_non_null(strstr(error, "no credentials"));
    options.auth_token = "the installation's token";
    assert_int_equal(twilio_rest_open(&rest, db, &options, "../x", error, sizeof error),
                     TWILIO_REST_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_request_we_make_is_one_that_twilio_describes,
                                        begin_rest, end_rest),
        cmocka_unit_test_setup_teardown(
            numbers_are_searched_bought_set_up_and_released_as_described, begin_rest, end_rest),
        cmocka_unit_test_setup_teardown(accounts_are_made_and_found_as_described, begin_rest,
                                        end_rest),
        cmocka_unit_test(comparing_with_the_carriers_lists_asks_as_described),
        cmocka_unit_test_setup_teardown(a_call_is_created_as_described, begin_rest, end_rest),
        cmocka_unit_test_setup_teardown(lists_are_filtered_as_described, begin_rest, end_rest),
        cmocka_unit_test_setup_teardown(what_is_not_described_is_refused_in_words, begin_rest,
                                        end_rest),
        cmocka_unit_test_setup_teardown(a_list_is_read_to_its_end, begin_rest, end_rest),
        cmocka_unit_test_setup_teardown(a_list_that_leads_astray_is_broken, begin_rest, end_rest),
        cmocka_unit_test_setup_teardown(twilios_own_words_are_told, begin_rest, end_rest),
        cmocka_unit_test_setup_teardown(what_may_have_been_done_is_not_asked_a_second_time,
                                        begin_rest, end_rest),
        cmocka_unit_test_teardown(credentials_are_the_organisations_own_first, end_rest),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
