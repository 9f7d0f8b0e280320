/* What ringbridge-control is told: flags, environment, defaults, refusals. */
#include "control/base/options.h"
#include "control/base/options_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct options options;
static char error[512];

static int clear(void **state)
{
    (void)state;
    for (int i = 0; i < options_table_count; i++)
        if (options_table[i].variable)
            unsetenv(options_table[i].variable);
    error[0] = '\0';
    return 0;
}

static int wipe(void **state)
{
    (void)state;
    options_close(&options);
    return 0;
}

static bool read_flags(int count, const char **words)
{
    options_close(&options);
    return options_read(&options, count, (char **)words, error, sizeof error);
}
#define given(...)                                                                                 \
    read_flags((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                      \
               (const char *[]){__VA_ARGS__})

static void a_flag_wins_over_the_environment_and_both_over_the_default(void **state)
{
    (void)state;
    assert_true(given("serve"));
    assert_int_equal(options.workers, 16);
    assert_string_equal(options.socket_path, "/run/ringbridge/control.sock");
    setenv("RINGBRIDGE_WORKERS", "3", 1);
    assert_true(given("serve"));
    assert_int_equal(options.workers, 3);
    assert_true(given("serve", "--workers", "5"));
    assert_int_equal(options.workers, 5);
    assert_true(given("serve", "--workers=6"));
    assert_int_equal(options.workers, 6);
    setenv("RINGBRIDGE_WORKERS", "", 1);
    assert_true(given("serve"));
    assert_int_equal(options.workers, 16);
}

static void every_flag_has_a_variable_and_secrets_have_no_flag(void **state)
{
    (void)state;
    for (int i = 0; i < options_table_count; i++) {
        const struct options_row *row = &options_table[i];
        const char *name = row->variable ? row->variable : "";
        assert_true(row->flag || row->variable);
        assert_true(row->variable || strcmp(row->flag, "help") == 0 ||
                    strcmp(row->flag, "version") == 0 || strcmp(row->flag, "check") == 0 ||
                    strcmp(row->flag, "mend") == 0);
        if (strstr(name, "TOKEN") || strstr(name, "SECRET") || strstr(name, "API_KEY"))
            assert_null(row->flag);
        assert_true(strlen(row->help) > 5);
    }
}

static void help_shows_every_flag_and_variable(void **state)
{
    (void)state;
    char *text, flag[64];
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    options_print(out, NULL);
    fclose(out);
    for (int i = 0; i < options_table_count; i++) {
        snprintf(flag, sizeof flag, "--%s", options_table[i].flag ? options_table[i].flag : "");
        assert_non_null(strstr(text, flag));
        if (options_table[i].variable)
            assert_non_null(strstr(text, options_table[i].variable));
    }
    free(text);
}

static void numbers_and_choices_are_checked_at_their_bounds(void **state)
{
    (void)state;
    static const char *const workers[] = {"0", "257", "-1", "8x", "", " 8", "99999999999999999999"};
    assert_true(given("--workers", "1"));
    assert_true(given("--workers", "256"));
    for (size_t i = 0; i < sizeof workers / sizeof workers[0]; i++) {
        assert_false(given("--workers", workers[i]));
        assert_non_null(strstr(error, "from 1 to 256"));
    }
    assert_true(given("--log", "json"));
    assert_int_equal(options.log_format, LOG_JSON);
    assert_false(given("--log", "xml"));
    assert_non_null(strstr(error, "text, json"));
    setenv("RINGBRIDGE_LOG_LEVEL", "loud", 1);
    assert_false(given("serve"));
    assert_non_null(strstr(error, "RINGBRIDGE_LOG_LEVEL"));
}

static void wrong_flags_are_named(void **state)
{
    (void)state;
    assert_false(given("--wurkers", "1"));
    assert_non_null(strstr(error, "--wurkers"));
    assert_false(given("-x"));
    assert_false(given("--org"));
    assert_non_null(strstr(error, "--org NAME"));
    assert_false(given("--json=1"));
    assert_true(given("number", "add", "+15550100", "--", "--org"));
    assert_int_equal(options.words_count, 4);
    assert_string_equal(options.words[3], "--org");
}

static void a_password_in_argv_is_refused_and_not_repeated(void **state)
{
    (void)state;
    assert_false(given("--database", "postgresql://me:hunter2@db/x"));
    assert_non_null(strstr(error, "DATABASE_URL"));
    assert_null(strstr(error, "hunter2"));
    assert_false(given("--database=host=db password=hunter2"));
    assert_false(given("--database", "postgresql:///x?password=hunter2"));
    assert_true(given("--database", "postgresql://me@db:5432/x"));
    setenv("DATABASE_URL", "postgresql://me:hunter2@db/x", 1);
    assert_true(given("serve"));
    assert_string_equal(options.database_serving_url, "postgresql://me:hunter2@db/x");
}

static void the_stream_url_is_made_from_the_public_one(void **state)
{
    (void)state;
    setenv("PUBLIC_URL", "https://voice.example.com/base//", 1);
    assert_true(given("serve"));
    assert_string_equal(options.public_url, "https://voice.example.com/base");
    assert_string_equal(options.websocket_url, "wss://voice.example.com/base");
    setenv("TWILIO_WEBSOCKET_URL", "wss://edge.example.com/", 1);
    assert_true(given("serve"));
    assert_string_equal(options.websocket_url, "wss://edge.example.com");
    setenv("PUBLIC_URL", "http://127.0.0.1:8080", 1);
    unsetenv("TWILIO_WEBSOCKET_URL");
    assert_true(given("serve"));
    assert_string_equal(options.websocket_url, "ws://127.0.0.1:8080");
}

static bool serves(void)
{
    return given("serve") && options_check_serving(&options, error, sizeof error);
}

/* Each missing or wrong thing is said by its name. */
static void serving_says_what_is_missing(void **state)
{
    (void)state;
    assert_false(serves());
    assert_non_null(strstr(error, "DATABASE_URL"));
    setenv("DATABASE_URL", "postgresql:///x", 1);
    assert_false(serves());
    assert_non_null(strstr(error, "PUBLIC_URL"));
    setenv("PUBLIC_URL", "https://voice.example.com", 1);
    assert_false(serves());
    assert_non_null(strstr(error, "RINGBRIDGE_SECRET_KEY"));
    setenv("RINGBRIDGE_SECRET_KEY", KEY, 1);
    assert_true(serves());
    setenv("TWILIO_API_KEY", "SK", 1);
    assert_false(serves());
    assert_non_null(strstr(error, "TWILIO_AUTH_TOKEN"));
}

static void plain_urls_are_for_loopback_only(void **state)
{
    (void)state;
    static const struct {
        const char *variable, *value;
        bool fine;
    } tries[] = {
        {"PUBLIC_URL", "http://127.0.0.1:8080", true},
        {"PUBLIC_URL", "http://localhost", true},
        {"PUBLIC_URL", "http://localhost.example.com", false},
        {"PUBLIC_URL", "http://127.0.0.1@example.com", false},
        {"PUBLIC_URL", "http://voice.example.com", false},
        {"PUBLIC_URL", "ftp://voice.example.com", false},
        {"PUBLIC_URL", "https://", false},
        {"PUBLIC_URL", "https://voice.example.com?x=1", false},
        {"PUBLIC_URL", "voice.example.com", false},
        {"PUBLIC_URL", "https://voice.example.com", true},
        {"OPENAI_REALTIME_URL", "ws://[::1]:9000/v1/realtime", true},
        {"OPENAI_REALTIME_URL", "ws://ai.example.com/v1/realtime", false},
        {"OPENAI_REALTIME_URL", "wss://ai.example.com/v1/realtime", true},
    };
    setenv("DATABASE_URL", "postgresql:///x", 1);
    setenv("RINGBRIDGE_SECRET_KEY", KEY, 1);
    setenv("PUBLIC_URL", "https://voice.example.com", 1);
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        setenv(tries[i].variable, tries[i].value, 1);
        if (serves() != tries[i].fine)
            fail_msg("%s=%s: %s", tries[i].variable, tries[i].value, error);
    }
}

#define one(test) cmocka_unit_test_setup_teardown(test, clear, wipe)

int main(void)
{
    const struct CMUnitTest tests[] = {
        one(a_flag_wins_over_the_environment_and_both_over_the_default),
        one(every_flag_has_a_variable_and_secrets_have_no_flag),
        one(help_shows_every_flag_and_variable),
        one(numbers_and_choices_are_checked_at_their_bounds),
        one(wrong_flags_are_named),
        one(a_password_in_argv_is_refused_and_not_repeated),
        one(the_stream_url_is_made_from_the_public_one),
        one(serving_says_what_is_missing),
        one(plain_urls_are_for_loopback_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
