/* What a function may look like and what it may be called with: schemas, arguments, URLs, headers.
 */
#include "control/tools/tool_http.h"
#include "control/tools/tool_kind.h"
#include "control/tools/tool_run.h"
#include "control/tools/tool_schema.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void schemas_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *why; /* NULL: it is one */
    } cases[] = {
        {"{\"type\":\"object\"}", NULL},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":[\"string\",\"null\"]}},"
         "\"required\":"
         "[\"a\"],\"additionalProperties\":false}",
         NULL},
        {"[]", "must be a schema"},
        {"{\"type\":\"string\"}", "must be a schema"},
        {"{\"type\":\"object\",\"properties\":[]}", "properties that are no object"},
        {"{\"type\":\"object\",\"properties\":{\"a\":1}}", "a is no schema"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"text\"}}}", "a has a type that"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"pattern\":\"x\"}}}", "a uses pattern"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"items\":{\"$ref\":\"#\"}}}}", "uses $ref"},
        {"{\"type\":\"object\",\"required\":\"a\"}", "required that is no list"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"minLength\":-1}}}", "no count"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"minimum\":\"1\"}}}", "no number"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[]}}}", "enum that is no list"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"anyOf\":[1]}}}", "is no schema"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[TOOL_SCHEMA_WORDS] = "";
        json_t *schema = json_loads(cases[i].schema, 0, NULL);
        bool good = tool_schema_check(schema, error, sizeof error);
        if (good != !cases[i].why || (cases[i].why && !strstr(error, cases[i].why)))
            fail_msg("%s: %s", cases[i].schema, error);
        json_decref(schema);
    }
}

/* n levels of arrays around a string. */
static json_t *nested(unsigned depth)
{
    json_t *schema = json_pack("{s:s}", "type", "string");
    for (unsigned i = 0; i < depth; i++)
        schema = json_pack("{s:s, s:o}", "type", "array", "items", schema);
    return json_pack("{s:s, s:{s:o}}", "type", "object", "properties", "a", schema);
}

static void schemas_have_bounds(void **state)
{
    (void)state;
    char error[TOOL_SCHEMA_WORDS], *long_name = calloc(1, TOOL_SCHEMA_BYTES_MAX + 1);
    for (unsigned by = 0; by <= 1; by++) {
        json_t *schema = nested(TOOL_SCHEMA_DEPTH_MAX - 1 + by);
        assert_int_equal(tool_schema_check(schema, error, sizeof error), by == 0);
        json_decref(schema);
        schema = json_pack("{s:s, s:s}", "type", "object", "title", "");
        char *written = json_dumps(schema, JSON_COMPACT);
        memset(long_name, 'x', TOOL_SCHEMA_BYTES_MAX - strlen(written) + by);
        long_name[TOOL_SCHEMA_BYTES_MAX - strlen(written) + by] = '\0';
        json_object_set_new(schema, "title", json_string(long_name));
        assert_int_equal(tool_schema_check(schema, error, sizeof error), by == 0);
        free(written);
        json_decref(schema);
    }
    free(long_name);
    json_t *numbers = json_array(), *schema = nested(0), *arguments = json_object();
    for (unsigned i = 0; i < TOOL_SCHEMA_STEPS_MAX; i++)
        json_array_append_new(numbers, json_integer(1));
    json_object_set_new(arguments, "a", numbers);
    json_decref(schema);
    schema = json_loads("{\"type\":\"object\",\"properties\":{\"a\":{\"items\":{}}}}", 0, NULL);
    assert_false(tool_schema_judge(schema, arguments, error, sizeof error));
    assert_non_null(strstr(error, "too many values"));
    json_decref(schema);
    json_decref(arguments);
}

#define SCHEMA(members)                                                                            \
    "{\"type\":\"object\",\"properties\":{\"a\":{" members "}},\"required\":[\"a\"]}"

static void arguments_are_judged_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *arguments, *why; /* NULL: they fit */
    } cases[] = {
        {SCHEMA("\"type\":\"string\""), "{\"a\":\"x\"}", NULL},
        {SCHEMA("\"type\":\"string\""), "{\"a\":1}", "a must be of type string"},
        {SCHEMA("\"type\":\"string\""), "{}", "a is needed"},
        {SCHEMA("\"type\":\"string\""), "", "a is needed"},
        {SCHEMA("\"type\":\"string\""), "[1]", "not a JSON object"},
        {SCHEMA("\"type\":\"string\""), "{\"a\":\"x\"", "not a JSON object"},
        {SCHEMA("\"type\":\"string\""), "{\"a\":\"x\",\"a\":\"y\"}", "not a JSON object"},
        {SCHEMA("\"type\":[\"string\",\"null\"]"), "{\"a\":null}", NULL},
        {SCHEMA("\"type\":[\"string\",\"null\"]"), "{\"a\":1}", "a must be of type string or null"},
        {SCHEMA("\"type\":\"integer\",\"minimum\":1,\"maximum\":3"), "{\"a\":3}", NULL},
        {SCHEMA("\"type\":\"integer\""), "{\"a\":3.0}", NULL},
        {SCHEMA("\"type\":\"integer\""), "{\"a\":3.5}", "must be of type integer"},
        {SCHEMA("\"minimum\":1,\"maximum\":3"), "{\"a\":0}", "a must be at least 1"},
        {SCHEMA("\"minimum\":1,\"maximum\":3"), "{\"a\":4}", "a must be at most 3"},
        {SCHEMA("\"exclusiveMinimum\":1"), "{\"a\":1}", "a must be more than 1"},
        {SCHEMA("\"exclusiveMaximum\":1"), "{\"a\":1}", "a must be less than 1"},
        {SCHEMA("\"maxLength\":2"), "{\"a\":\"\\u00fc\\u00fc\"}", NULL},
        {SCHEMA("\"maxLength\":2"), "{\"a\":\"xxx\"}", "a must have at most 2 characters"},
        {SCHEMA("\"minLength\":1"), "{\"a\":\"\"}", "a must have at least 1 characters"},
        {SCHEMA("\"enum\":[\"mon\",\"tue\"]"), "{\"a\":\"tue\"}", NULL},
        {SCHEMA("\"enum\":[\"mon\",\"tue\"]"), "{\"a\":\"x\"}",
         "a must be one of [\"mon\",\"tue\"]"},
        {SCHEMA("\"const\":1"), "{\"a\":2}", "fixed value"},
        {SCHEMA("\"format\":\"date\""), "{\"a\":\"2026-11-23\"}", NULL},
        {SCHEMA("\"format\":\"date\""), "{\"a\":\"tomorrow\"}",
         "a must be written like 2026-11-23"},
        {SCHEMA("\"items\":{\"type\":\"string\"},\"maxItems\":2"), "{\"a\":[\"x\",1]}",
         "a[1] must be of type string"},
        {SCHEMA("\"maxItems\":2"), "{\"a\":[1,2,3]}", "a must have at most 2 items"},
        {SCHEMA("\"properties\":{\"b\":{\"type\":\"string\"}}"), "{\"a\":{\"b\":1}}",
         "a.b must be of type string"},
        {SCHEMA("\"additionalProperties\":false"), "{\"a\":{\"c\":1}}", "a.c is not known here"},
        {SCHEMA("\"anyOf\":[{\"type\":\"string\"},{\"minimum\":3}]"), "{\"a\":4}", NULL},
        {SCHEMA("\"anyOf\":[{\"type\":\"string\"},{\"minimum\":3}]"), "{\"a\":2}", "is none of"},
        {SCHEMA("\"remark\":\"x\""), "{\"a\":{\"b\":[]},\"z\":1}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[TOOL_SCHEMA_WORDS] = "";
        json_t *arguments =
            tool_run_arguments(cases[i].arguments, cases[i].schema, error, sizeof error);
        if (!arguments != (cases[i].why != NULL) || (cases[i].why && !strstr(error, cases[i].why)))
            fail_msg("%s %s: %s", cases[i].schema, cases[i].arguments, error);
        json_decref(arguments);
    }
}

static void urls_are_filled_in_behind_the_host(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *arguments, *url; /* NULL: refused */
    } cases[] = {
        {"https://a/x", "{}", "https://a/x"},
        {"https://a/{b}/c", "{\"b\":\"1/2 \\u00fc\"}", "https://a/1%2F2%20%C3%BC/c"},
        {"https://a/{b}", "{\"b\":7,\"c\":true,\"d\":null,\"e\":1.5}", "https://a/7?c=true&e=1.5"},
        {"https://a/?k=1", "{\"b\":\"x&y\"}", "https://a/?k=1&b=x%26y"},
        {"https://a/{b}", "{}", NULL},
        {"https://a/{b}", "{\"b\":\"\"}", NULL},
        {"https://a/{b}", "{\"b\":\"..\"}", NULL},
        {"https://a/{b}", "{\"b\":{}}", NULL},
        {"https://a/{b", "{\"b\":1}", NULL},
        {"https://a/", "{\"b\":[1]}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char url[128], error[256] = "";
        json_t *arguments = json_loads(cases[i].arguments, 0, NULL);
        bool good =
            tool_http_url(cases[i].pattern, arguments, true, url, sizeof url, error, sizeof error);
        if (good != !!cases[i].url || (good && strcmp(url, cases[i].url) != 0))
            fail_msg("%s %s: %s %s", cases[i].pattern, cases[i].arguments, url, error);
        json_decref(arguments);
    }
    static const char *const settings[] = {
        "{\"method\":\"GET\",\"url\":\"https://{host}/\"}",
        "{\"method\":\"GET\",\"url\":\"ftp://a\"}", "{\"method\":\"get\",\"url\":\"https://a\"}",
        "{\"method\":\"GET\"}", "{\"method\":\"GET\",\"url\":\"https://a{b}\"}"};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        char error[256];
        json_t *object = json_loads(settings[i], 0, NULL);
        assert_false(tool_kind_check(TOOL_HTTP, object, error, sizeof error));
        json_decref(object);
    }
}

static void headers_are_what_may_be_sent(void **state)
{
    (void)state;
    static const char *const bad[] = {"[]",
                                      "{\"A\":1}",
                                      "{\"A b\":\"c\"}",
                                      "{\"A\":\"b\\nC: d\"}",
                                      "{\"\":\"x\"}",
                                      "{\"Host\":\"x\"}",
                                      "{\"idempotency-key\":\"x\"}"};
    char error[256];
    json_t *good = json_loads("{\"Authorization\":\"Bearer a b\"}", 0, NULL);
    assert_true(tool_http_check_headers(good, error, sizeof error));
    json_decref(good);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *headers = json_loads(bad[i], 0, NULL);
        if (tool_http_check_headers(headers, error, sizeof error))
            fail_msg("%s", bad[i]);
        json_decref(headers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemas_are_checked),
        cmocka_unit_test(schemas_have_bounds),
        cmocka_unit_test(arguments_are_judged_in_words),
        cmocka_unit_test(urls_are_filled_in_behind_the_host),
        cmocka_unit_test(headers_are_what_may_be_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
