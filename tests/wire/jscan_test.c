/* jscan: RFC 8259 case by case, depth at its bound, members in any order and spelling, and
 * jansson's opinion over mutations of real messages. */
#include "edge/limits.h"
#include "edge/wire/jscan.h"
#include "tests/wire/oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static enum fault judge(const char *text)
{
    oracle_judge_json(span_of(text));
    return jscan_read(span_of(text), NULL, NULL, 0);
}

static void takes_what_is_json(void **state)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        " \t\r\n{ } \n",
        "\"\"",
        "0",
        "-0",
        "7",
        "-12",
        "1.5",
        "0.25",
        "-0.0",
        "1e5",
        "1E+5",
        "1e-5",
        "0e0",
        "-1.25e+10",
        "true",
        "false",
        "null",
        "[1]",
        "[1,2]",
        "[ 1 , 2 ]",
        "{\"a\":1}",
        "{ \"a\" : 1 , \"b\" : [ ] }",
        "{\"\":0}",
        "{\"a\":{\"a\":{\"a\":null}}}",
        "{\"a\":1,\"a\":2}", /* nobody asked for a */
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\u0041\\u00e9\\uFFFF\"",
        "\"\\ud83d\\ude00\"",
        "\"\x7f\"",
        "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"",
        "\"0123456789abcdef\"",
        "\"0123456789abcde\\\"0123456789\"",
        "[\"0123456789abcdefghijklmnopqrstuvwxyz\",[]]",
        "[[[[[[[[[]]]]]]]]]",
        "123456789012345678901234567890",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (judge(texts[i]) != FAULT_NONE)
            fail_msg("refused: %s", texts[i]);
}

static void refuses_what_is_not(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "{]",
        "[}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{1:2}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1",
        "{\"a\":1",
        "\"",
        "\"a",
        "\"a\\",
        "\"a\\\"",
        "\"\\x\"",
        "\"\\u\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u123",
        "\"\\U0041\"",
        "\"\t\"",
        "\"a\nb\"",
        "\"\x01\"",
        "\"\x1f\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800x\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\ud800\"",
        "\"\\u0000\"",
        "{\"\\u0000\":1}",
        "\"\xff\"",
        "\"\xc3\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"0123456789abcdef\xff\"",
        "{\"\xff\":1}",
        "01",
        "-",
        "-01",
        "+1",
        ".5",
        "1.",
        "1.e5",
        "1e",
        "1e+",
        "0x10",
        "1_0",
        "NaN",
        "Infinity",
        "-Infinity",
        "tru",
        "truee",
        "True",
        "nul",
        "nulll",
        "fals",
        "null null",
        "{}{}",
        "{} x",
        "[] ]",
        "1 1",
        "\"a\"\"b\"",
        "\xef\xbb\xbf{}",
        "// x\n{}",
        "/**/{}",
        "{\"a\":1}\x0b",
        "[1]\xc2\xa0",
        ";",
        "\\",
        "\x7f",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (judge(texts[i]) != FAULT_json_malformed)
            fail_msg("taken: %s", texts[i]);
    assert_int_equal(jscan_read(span_from("1\0", 2), NULL, NULL, 0), FAULT_json_malformed);
    assert_int_equal(jscan_read(span_from("\"\0\"", 3), NULL, NULL, 0), FAULT_json_malformed);
    assert_int_equal(jscan_read((struct span){0}, NULL, NULL, 0), FAULT_json_malformed);
}

static enum fault judge_depth(size_t depth, bool objects)
{
    char text[JSON_DEPTH_MAX * 8] = "";
    for (size_t i = 0; i < depth; i++)
        strcat(text, objects ? "{\"a\":" : "[");
    strcat(text, "1");
    for (size_t i = 0; i < depth; i++)
        strcat(text, objects ? "}" : "]");
    return jscan_read(span_of(text), NULL, NULL, 0);
}

static void bounds_depth(void **state)
{
    (void)state;
    for (int objects = 0; objects < 2; objects++) {
        assert_int_equal(judge_depth(JSON_DEPTH_MAX - 1, objects), FAULT_NONE);
        assert_int_equal(judge_depth(JSON_DEPTH_MAX, objects), FAULT_NONE);
        assert_int_equal(judge_depth(JSON_DEPTH_MAX + 1, objects), FAULT_json_too_deep);
    }
    /* depth is how deep, not how many */
    assert_int_equal(judge("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
                           "[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]"),
                     FAULT_NONE);
    char *endless = malloc(1 << 20);
    memset(endless, '[', 1 << 20);
    assert_int_equal(jscan_read(span_from(endless, 1 << 20), NULL, NULL, 0), FAULT_json_too_deep);
    free(endless);
}

enum slot { A, A_B, A_C, D, SLOTS };

static const struct jscan_member inner[] = {
    JSCAN_MEMBER("b", A_B, NULL), JSCAN_MEMBER("c", A_C, NULL), {0}};
static const struct jscan_member outer[] = {
    JSCAN_MEMBER("a", A, inner), JSCAN_MEMBER("d", D, NULL), {0}};

static enum fault find(const char *text, struct jscan_value values[SLOTS])
{
    return jscan_read(span_of(text), outer, values, SLOTS);
}

static void assert_text(const struct jscan_value *value, enum jscan_kind kind, const char *text)
{
    assert_int_equal(value->kind, kind);
    assert_int_equal(value->text.bytes, strlen(text));
    assert_memory_equal(value->text.data, text, strlen(text));
}

static void finds_members(void **state)
{
    struct jscan_value values[SLOTS];
    (void)state;
    assert_int_equal(find(" {\"d\" : [1, {\"b\":2}] ,\"x\":{\"b\":3,\"a\":{\"b\":4}},"
                          "\"a\": { \"c\":-1.5e3 , \"y\":[],\"b\" :\"q\\\"\\u00e9\" } } ",
                          values),
                     FAULT_NONE);
    assert_text(&values[D], JSCAN_ARRAY, "[1, {\"b\":2}]");
    assert_text(&values[A], JSCAN_OBJECT, "{ \"c\":-1.5e3 , \"y\":[],\"b\" :\"q\\\"\\u00e9\" }");
    assert_text(&values[A_B], JSCAN_STRING, "q\\\"\\u00e9");
    assert_true(values[A_B].escaped);
    assert_text(&values[A_C], JSCAN_NUMBER, "-1.5e3");

    assert_int_equal(find("{\"a\":null,\"d\":true}", values), FAULT_NONE);
    assert_text(&values[A], JSCAN_NULL, "null");
    assert_text(&values[D], JSCAN_TRUE, "true");
    assert_int_equal(values[A_B].kind, JSCAN_ABSENT);

    assert_int_equal(find("{\"d\":false,\"a\":{\"b\":\"\"}}", values), FAULT_NONE);
    assert_text(&values[D], JSCAN_FALSE, "false");
    assert_text(&values[A_B], JSCAN_STRING, "");
    assert_false(values[A_B].escaped);

    assert_int_equal(find("[{\"a\":1}]", values), FAULT_NONE); /* not the root object */
    assert_int_equal(values[A].kind, JSCAN_ABSENT);
    assert_int_equal(find("{\"ab\":1,\"\":2,\"A\":3}", values), FAULT_NONE);
    assert_int_equal(values[A].kind, JSCAN_ABSENT);
}

/* However it is spelled: else the second spelling would slip past whoever looked at the first. */
static void reads_escaped_names(void **state)
{
    struct jscan_value values[SLOTS];
    (void)state;
    assert_int_equal(find("{\"\\u0061\":{\"\\u0062\":\"x\"},\"\\u00e4\":1,\"\\\"\":2}", values),
                     FAULT_NONE);
    assert_text(&values[A_B], JSCAN_STRING, "x");
    assert_int_equal(find("{\"d\":1,\"\\u0064\":2}", values), FAULT_json_malformed);
}

static void refuses_deciding_members_twice(void **state)
{
    struct jscan_value values[SLOTS];
    (void)state;
    assert_int_equal(find("{\"d\":1,\"d\":1}", values), FAULT_json_malformed);
    assert_int_equal(find("{\"a\":{},\"a\":{}}", values), FAULT_json_malformed);
    assert_int_equal(find("{\"a\":{\"b\":1,\"b\":1}}", values), FAULT_json_malformed);
    assert_int_equal(find("{\"x\":1,\"x\":1,\"d\":{\"b\":1,\"b\":1}}", values), FAULT_NONE);
}

static void knows_objects_of_strings(void **state)
{
    struct jscan_value values[SLOTS];
    (void)state;
    assert_int_equal(find("{\"a\":{},\"d\":{\"x\":\"1\",\"y\":\"2\"}}", values), FAULT_NONE);
    assert_true(values[A].strings && values[D].strings);
    assert_int_equal(find("{\"a\":{\"x\":\"1\",\"y\":2},\"d\":{\"x\":[],\"y\":\"\"}}", values),
                     FAULT_NONE);
    assert_false(values[A].strings || values[D].strings);
}

static bool says(const char *literal, const char *text)
{
    char whole[200];
    struct jscan_value values[SLOTS];
    snprintf(whole, sizeof whole, "{\"d\":%s}", literal);
    assert_int_equal(find(whole, values), FAULT_NONE);
    return jscan_is(&values[D], text);
}

static void compares_strings(void **state)
{
    (void)state;
    assert_true(says("\"media\"", "media"));
    assert_true(says("\"me\\u0064ia\"", "media"));
    assert_true(says("\"audio\\/x-mulaw\"", "audio/x-mulaw"));
    assert_true(says("\"\\\"\\\\\\b\\f\\n\\r\\t\"", "\"\\\b\f\n\r\t"));
    assert_true(says("\"\"", ""));
    assert_false(says("\"media\"", "medi"));
    assert_false(says("\"medi\"", "media"));
    assert_false(says("\"me\\u0064i\"", "media"));
    assert_false(says("\"me\\u0064iaa\"", "media"));
    assert_false(says("\"me\\u0164ia\"", "media"));
    assert_false(says("\"m\xc3\xa9\\u0064ia\"", "media"));
    assert_false(says("\"\\ud83d\\ude00\"", "media"));
    assert_false(says("1", "1"));
    assert_false(says("null", "null"));
}

static void reads_digits(void **state)
{
    uint64_t number = 5;
    (void)state;
    assert_true(jscan_digits(span_of("0"), &number) && number == 0);
    assert_true(jscan_digits(span_of("0017"), &number) && number == 17);
    assert_true(jscan_digits(span_of("18446744073709551615"), &number) && number == UINT64_MAX);
    assert_false(jscan_digits(span_of("18446744073709551616"), &number));
    assert_false(jscan_digits(span_of("99999999999999999999"), &number));
    assert_false(jscan_digits(span_of("100000000000000000000"), &number));
    assert_false(jscan_digits(span_of(""), &number));
    assert_false(jscan_digits(span_of("-1"), &number));
    assert_false(jscan_digits(span_of("+1"), &number));
    assert_false(jscan_digits(span_of("1.0"), &number));
    assert_false(jscan_digits(span_of("1e3"), &number));
    assert_false(jscan_digits(span_of(" 1"), &number));
    assert_false(jscan_digits(span_of("1:"), &number));
}

/* Ends and quotes at every place of the 16-byte steps, in memory that ends with the text. */
static void strings_of_every_length(void **state)
{
    (void)state;
    for (size_t length = 0; length <= 70; length++) {
        uint8_t *text = malloc(length + 2);
        memset(text, 'x', length + 2);
        text[0] = text[length + 1] = '"';
        assert_int_equal(jscan_read(span_from(text, length + 2), NULL, NULL, 0), FAULT_NONE);
        assert_int_equal(jscan_read(span_from(text, length + 1), NULL, NULL, 0),
                         FAULT_json_malformed);
        for (size_t place = 1; place <= length; place++)
            for (unsigned byte = 1; byte < 256; byte++) {
                text[place] = (uint8_t)byte;
                oracle_judge_json(span_from(text, length + 2));
                text[place] = 'x';
            }
        free(text);
    }
}

/* Every single-byte change of a message: jansson agrees each time. */
static void mutations(void **state)
{
    static const char message[] =
        "{\"event\":\"media\",\"n\":[-1.5e+3,0,true,null],\"s\":\"\\u00e9\xc3\xa9\\n\",\"o\":{}}";
    char text[sizeof message];
    (void)state;
    for (size_t place = 0; place < sizeof message - 1; place++) {
        oracle_judge_json(span_from(message, place));
        memcpy(text, message, sizeof message);
        for (unsigned byte = 0; byte < 256; byte++) {
            text[place] = (char)byte;
            oracle_judge_json(span_from(text, sizeof message - 1));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_json),
        cmocka_unit_test(refuses_what_is_not),
        cmocka_unit_test(bounds_depth),
        cmocka_unit_test(finds_members),
        cmocka_unit_test(reads_escaped_names),
        cmocka_unit_test(refuses_deciding_members_twice),
        cmocka_unit_test(knows_objects_of_strings),
        cmocka_unit_test(compares_strings),
        cmocka_unit_test(reads_digits),
        cmocka_unit_test(strings_of_every_length),
        cmocka_unit_test(mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
