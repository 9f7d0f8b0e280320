/* log: every line is one line, and in JSON one object that jansson reads, whatever a stranger put
 * into a value. */
#include "common/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

static char written[LOG_LINE_BYTES_MAX + 1];

/* Runs write_line with standard error in a pipe, which holds any one line. */
static size_t capture(void (*write_line)(const void *context), const void *context)
{
    int ends[2], kept = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    dup2(ends[1], STDERR_FILENO);
    write_line(context);
    dup2(kept, STDERR_FILENO);
    ssize_t bytes = read(ends[0], written, sizeof written);
    close(kept);
    close(ends[0]);
    close(ends[1]);
    bytes = bytes < 0 ? 0 : bytes;
    assert_true((size_t)bytes < sizeof written);
    written[bytes] = '\0';
    return (size_t)bytes;
}

static void expect_one_line(size_t bytes)
{
    assert_in_range(bytes, 1, LOG_LINE_BYTES_MAX);
    assert_ptr_equal(memchr(written, '\n', bytes), written + bytes - 1);
    for (size_t i = 0; i + 1 < bytes; i++)
        assert_true((unsigned char)written[i] >= 0x20 && written[i] != 0x7f);
}

static json_t *expect_json(size_t bytes)
{
    json_error_t error;
    expect_one_line(bytes);
    json_t *line = json_loadb(written, bytes, JSON_REJECT_DUPLICATES, &error);
    if (!line)
        print_message("%s in: %s\n", error.text, written);
    assert_non_null(line);
    return line;
}

static const char *text_of(json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

static void write_example(const void *context)
{
    (void)context;
    log_info("call ended", log_text("reason", "caller_hung_up"), log_number("duration_ms", -5),
             log_text("absent", NULL));
}

static void test_json(void **state)
{
    (void)state;
    log_open("test", LOG_JSON, LOG_INFO);
    json_t *line = expect_json(capture(write_example, NULL));
    assert_string_equal(text_of(line, "program"), "test");
    assert_string_equal(text_of(line, "message"), "call ended");
    assert_string_equal(text_of(line, "level"), "info");
    assert_string_equal(text_of(line, "reason"), "caller_hung_up");
    assert_int_equal(json_integer_value(json_object_get(line, "duration_ms")), -5);
    assert_null(json_object_get(line, "absent"));
    assert_int_equal(strlen(text_of(line, "time")), strlen("2026-01-01T00:00:00.000Z"));
    json_decref(line);
}

static void test_text(void **state)
{
    (void)state;
    log_open("test", LOG_TEXT, LOG_INFO);
    expect_one_line(capture(write_example, NULL));
    assert_non_null(
        strstr(written, " info  test: call ended reason=\"caller_hung_up\" duration_ms=-5\n"));
}

static void test_level(void **state)
{
    (void)state;
    log_open("test", LOG_JSON, LOG_WARN);
    assert_int_equal(capture(write_example, NULL), 0);
}

static void write_value(const void *context)
{
    log_warn("said", log_text("value", context), log_number("after", 1));
}

/* What goes in comes out, but for what is not UTF-8 or could drive a terminal. */
static void test_hostile_values(void **state)
{
    (void)state;
    static const char *const kept[] = {"",
                                       "\"",
                                       "\\",
                                       "\\\"}\n{\"level\":\"error\"}",
                                       "\x01\x1f\x7f\t",
                                       "\x1b[31mred",
                                       "gr\xc3\xbc\xc3\x9f",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x93\x9e",
                                       "\xc2\x85\xc2\x9b",
                                       "\xe2\x80\xa8"};
    static const char *const mended[][2] = {
        {"\xff", "\xef\xbf\xbd"},
        {"a\xc3", "a\xef\xbf\xbd"},
        {"\xc0\xafz", "\xef\xbf\xbd\xef\xbf\xbdz"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe2\x82\"", "\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd"
                             "\xef\xbf\xbd\xef\xbf\xbd"}};
    log_open("test", LOG_JSON, LOG_INFO);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        json_t *line = expect_json(capture(write_value, kept[i]));
        assert_string_equal(text_of(line, "value"), kept[i]);
        json_decref(line);
    }
    for (size_t i = 0; i < sizeof mended / sizeof mended[0]; i++) {
        json_t *line = expect_json(capture(write_value, mended[i][0]));
        assert_string_equal(text_of(line, "value"), mended[i][1]);
        json_decref(line);
    }
    log_open("test", LOG_TEXT, LOG_INFO);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        expect_one_line(capture(write_value, kept[i]));
}

static void expect_beginning(const char *value)
{
    json_t *line = expect_json(capture(write_value, value));
    const char *said = text_of(line, "value");
    assert_non_null(said);
    assert_memory_equal(said, value, strlen(said));
    if (strlen(said) < strlen(value))
        assert_null(json_object_get(line, "after"));
    json_decref(line);
}

/* Near the bound, with one, two, three and six bytes to a character: never longer, never broken,
 * and what stands there is the beginning of what was said. */
static void test_cut(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t coded_bytes;
    } letters[] = {{"x", 1}, {"\"", 2}, {"\xc3\xbc", 2}, {"\xe2\x82\xac", 3}, {"\x01", 6}};
    static char value[LOG_LINE_BYTES_MAX * 2];
    log_open("test", LOG_JSON, LOG_INFO);
    for (size_t l = 0; l < sizeof letters / sizeof letters[0]; l++) {
        size_t step = strlen(letters[l].text), coded = 0;
        for (size_t length = 0; coded < LOG_LINE_BYTES_MAX + 20; length += step) {
            memcpy(value + length, letters[l].text, step + 1);
            coded += letters[l].coded_bytes;
            if (coded < LOG_LINE_BYTES_MAX - 180)
                continue;
            expect_beginning(value);
        }
    }
}

static void write_message(const void *context)
{
    log_warn(context, log_text("value", "v"), log_number("after", 1));
}

static void test_long_message(void **state)
{
    (void)state;
    static char message[LOG_LINE_BYTES_MAX + 100];
    memset(message, 'm', sizeof message - 1);
    log_open("test", LOG_JSON, LOG_INFO);
    json_decref(expect_json(capture(write_message, message)));
    log_open("test", LOG_TEXT, LOG_INFO);
    expect_one_line(capture(write_message, message));
    expect_one_line(capture(write_message, "two\nlines"));
}

static uint32_t dice = 1;

static uint8_t roll(void)
{
    dice = dice * 1664525u + 1013904223u;
    return (uint8_t)(dice >> 24);
}

static void test_noise(void **state)
{
    (void)state;
    char value[200];
    log_open("test", LOG_JSON, LOG_INFO);
    for (int round = 0; round < 3000; round++) {
        size_t length = roll() % (sizeof value - 1);
        for (size_t i = 0; i < length; i++)
            value[i] = (char)(1 + roll() % 255);
        value[length] = '\0';
        json_decref(expect_json(capture(write_value, value)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),  cmocka_unit_test(test_text),
        cmocka_unit_test(test_level), cmocka_unit_test(test_hostile_values),
        cmocka_unit_test(test_cut),   cmocka_unit_test(test_long_message),
        cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
