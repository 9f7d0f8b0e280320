/* Tables as people export them, and files of numbers. */
#include "control/base/csv.h"
#include "control/outbound/batch_file.h"
#include "control/outbound/outbound_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char text[4096], error[2048];

/* Rows as "a|b|c" joined by newlines; "!" and the error at the end of a bad table. */
static const char *rows_of(const char *table)
{
    static char seen[4096];
    struct csv csv;
    enum csv_read read;
    size_t used = 0;
    strcpy(text, table);
    csv_open(&csv, text, strlen(table));
    seen[0] = '\0';
    while ((read = csv_next(&csv)) == CSV_ROW)
        for (int i = 0; i < csv.count; i++)
            used += (size_t)snprintf(seen + used, sizeof seen - used, "%s%s", csv.fields[i].text,
                                     i + 1 < csv.count ? "|" : "\n");
    if (read == CSV_BAD)
        snprintf(seen + used, sizeof seen - used, "!%u", csv.line);
    return seen;
}

static void a_table_is_read_as_spreadsheets_write_it(void **state)
{
    (void)state;
    assert_string_equal(rows_of("a,b\n1,2\n"), "a|b\n1|2\n");
    assert_string_equal(rows_of("a,b\r\n1,2"), "a|b\n1|2\n");
    assert_string_equal(rows_of("\xef\xbb\xbf"
                                "a;b,c\n1;2\n"),
                        "a|b,c\n1|2\n");
    assert_string_equal(rows_of("a,b\n\"x, \"\"y\"\"\",\"two\nlines\"\n"),
                        "a|b\nx, \"y\"|two\nlines\n");
    assert_string_equal(rows_of("a,b\n,\n\"\",\n"), "a|b\n|\n|\n");
    assert_string_equal(rows_of("\n\na\n\n\nb\n\n"), "a\nb\n");
    assert_string_equal(rows_of("J\xc3\xbcrgen\n"), "J\xc3\xbcrgen\n");
    assert_string_equal(rows_of(""), "");
}

static void what_is_no_table_is_refused_with_its_line(void **state)
{
    (void)state;
    assert_string_equal(rows_of("a\n\"b"), "a\n!2");
    assert_string_equal(rows_of("a\n\"b\"c\n"), "a\n!2");
    assert_string_equal(rows_of("a\n\"two\nlines\"\n\xff\n"), "a\ntwo\nlines\n!4");
    char wide[200] = "";
    for (int i = 0; i < 33; i++)
        strcat(wide, "x,");
    assert_string_equal(rows_of(wide), "!1");
}

static json_t *read_file(const char *file)
{
    strcpy(text, file);
    return batch_file_read(text, strlen(file), error, sizeof error);
}

static void a_file_of_numbers_becomes_rows(void **state)
{
    (void)state;
    json_t *rows = read_file("Phone,name,lead,time_zone\n+1 (555) 0123,Ada,L-7,\n"
                             "+49-30-5550124,\"Bob, jr.\",,Europe/Berlin\n");
    json_t *wanted = json_loads(
        "[{\"line\":2,\"to\":\"+15550123\",\"lead\":\"L-7\",\"variables\":{\"name\":\"Ada\"}},"
        "{\"line\":3,\"to\":\"+49305550124\",\"lead\":\"\",\"time_zone\":\"Europe/Berlin\","
        "\"variables\":{\"name\":\"Bob, jr.\"}}]",
        0, NULL);
    if (!rows)
        fail_msg("%s", error);
    assert_true(json_equal(rows, wanted));
    json_decref(rows);
    json_decref(wanted);
}

static void a_file_with_mistakes_is_refused_whole_with_their_lines(void **state)
{
    (void)state;
    assert_null(read_file("to,name\n+15550123,a\n5550124,b\n0049305550125,c\n+15550126\n"));
    assert_non_null(strstr(error, "line 3: not a number"));
    assert_non_null(strstr(error, "line 4: not a number"));
    assert_non_null(strstr(error, "line 5: 1 fields where the first line has 2"));
    assert_null(read_file("name\nAda\n"));
    assert_non_null(strstr(error, "no column is called \"to\""));
    assert_null(read_file("to,phone\n+15550123,+15550123\n"));
    assert_non_null(strstr(error, "mean the same"));
    assert_null(read_file("to,{{x}}\n+15550123,1\n"));
    assert_null(read_file("to\n"));
    assert_string_equal(error, "line 1: there are no numbers");
    assert_null(read_file(""));
}

static json_t *plan_of(const char *asked)
{
    static const char *const own[] = {"to", NULL};
    json_t *object = json_loads(asked, JSON_DECODE_ANY, NULL);
    error[0] = '\0';
    json_t *plan = outbound_plan_read(object, own, error, sizeof error);
    json_decref(object);
    return plan;
}

static void a_plan_takes_what_it_knows_and_refuses_the_rest(void **state)
{
    static const char *const wrong[] = {"[]",
                                        "{\"tos\":1}",
                                        "{\"record\":\"yes\"}",
                                        "{\"step\":{\"step\":\"reject\"}}",
                                        "{\"step\":{\"step\":\"dance\"}}",
                                        "{\"step\":{\"step\":\"agent\"},\"twiml\":\"<Response/>\"}",
                                        "{\"twiml\":\"hello\"}",
                                        "{\"ring_s\":4}",
                                        "{\"ring_s\":\"60\"}",
                                        "{\"limit_s\":86401}",
                                        "{\"machine_detection\":\"on\"}",
                                        "{\"on_machine\":true}",
                                        "{\"greeting\":7}"};
    (void)state;
    json_t *plan = plan_of("{\"to\":\"+15550123\",\"record\":true,\"ring_s\":20,"
                           "\"machine_detection\":\"detect\",\"on_machine\":\"hangup\","
                           "\"step\":{\"step\":\"dial\",\"to\":\"+15550101\"}}");
    if (!plan)
        fail_msg("%s", error);
    assert_null(json_object_get(plan, "to"));
    assert_int_equal(json_object_size(plan), 5);
    json_decref(plan);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        plan = plan_of(wrong[i]);
        if (plan)
            fail_msg("%s was taken", wrong[i]);
        assert_true(error[0] != '\0');
    }
}

static void numbers_are_read_as_people_write_them_and_never_guessed(void **state)
{
    static const char *const wrong[] = {"",        "5550123", "+0155501234",       "+1555x0123",
                                        "+155501", "00491",   "+1234567890123456", "tel:+15550123"};
    char number[17];
    (void)state;
    assert_true(outbound_plan_number(" +1 (555) 01-23", number));
    assert_string_equal(number, "+15550123");
    assert_true(outbound_plan_number("+123456789012345", number));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (outbound_plan_number(wrong[i], number))
            fail_msg("%s was taken for %s", wrong[i], number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_read_as_spreadsheets_write_it),
        cmocka_unit_test(what_is_no_table_is_refused_with_its_line),
        cmocka_unit_test(a_file_of_numbers_becomes_rows),
        cmocka_unit_test(a_file_with_mistakes_is_refused_whole_with_their_lines),
        cmocka_unit_test(a_plan_takes_what_it_knows_and_refuses_the_rest),
        cmocka_unit_test(numbers_are_read_as_people_write_them_and_never_guessed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
