/* Texts with holes: what strangers said stays text, and our own templates fill in every language.
 */
#include "control/base/template.h"

#include "control/jobs/after_render.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *fill(const char *text, const char *fields_json, enum template_escape escape)
{
    char *out = NULL;
    size_t bytes;
    json_t *fields = json_loads(fields_json, 0, NULL);
    FILE *file = open_memstream(&out, &bytes);
    assert_non_null(fields);
    bool right = template_write(file, text, fields, escape);
    fclose(file);
    json_decref(fields);
    if (right)
        return out;
    free(out);
    return NULL;
}

static void fills(const char *text, const char *fields_json, enum template_escape escape,
                  const char *expected)
{
    char *out = fill(text, fields_json, escape);
    assert_non_null(out);
    assert_string_equal(out, expected);
    free(out);
}

static void what_strangers_said_is_text(void **state)
{
    (void)state;
    static const char hostile[] =
        "{\"a\":\"<b onclick='x'>\\\"&amp;\\u0007\\n{{c}}\",\"c\":\"no\"}";
    fills("{{a}}", hostile, TEMPLATE_HTML, "&lt;b onclick=&#39;x&#39;&gt;&quot;&amp;amp;\n{{c}}");
    fills("{{a}}", hostile, TEMPLATE_SLACK, "&lt;b onclick='x'&gt;\"&amp;amp;\n{{c}}");
    fills("{{a}}", hostile, TEMPLATE_TEXT, "<b onclick='x'>\"&amp;\n{{c}}");
    fills("{{a}}", hostile, TEMPLATE_LINE, "<b onclick='x'>\"&amp; {{c}}");
}

static void sections_repeat_show_and_hide(void **state)
{
    (void)state;
    static const char fields[] =
        "{\"list\":[{\"x\":1},{\"x\":2,\"y\":\"in\"}],\"y\":\"out\","
        "\"o\":{\"m\":\"member\"},\"empty\":\"\",\"no\":false,\"yes\":true}";
    fills("{{#list}}{{x}}{{y}} {{/list}}", fields, TEMPLATE_TEXT, "1out 2in ");
    fills("{{o.m}}{{#empty}}a{{/empty}}{{^empty}}b{{/empty}}{{#no}}c{{/no}}{{#yes}}d{{/yes}}",
          fields, TEMPLATE_TEXT, "memberbd");
    fills("{{^list}}none{{/list}}{{gone}}{{^gone}}!{{/gone}}", fields, TEMPLATE_TEXT, "!");
    fills("a\n  {{#yes}}\nb\n{{/yes}}\nc\n", fields, TEMPLATE_TEXT, "a\nb\nc\n");
    fills("a\n{{#no}}\nb\n{{/no}}\nc\n", fields, TEMPLATE_TEXT, "a\nc\n");
    fills("a {{#yes}}\nb{{/yes}}\n", fields, TEMPLATE_TEXT, "a \nb\n");
    fills("{{ x }} {{", fields, TEMPLATE_TEXT, "{{ x }} {{"); /* not tags */
}

static void wrong_templates_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"{{#y}}", "{{/y}}", "{{#y}}{{/z}}", "{{#y}}{{#z}}{{/y}}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_null(fill(wrong[i], "{\"y\":\"1\",\"z\":\"1\"}", TEMPLATE_TEXT));
    /* lists in lists, deeper than allowed */
    assert_null(
        fill("{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}x{{/a}}{{/a}}{{/a}}{{/a}}"
             "{{/a}}{{/a}}{{/a}}{{/a}}{{/a}}",
             "{\"a\":[{}]}", TEMPLATE_TEXT));
}

static json_t *sample(const char *language)
{
    json_t *all = json_loads(template_find("sample.json"), 0, NULL);
    assert_non_null(all);
    json_t *settings = json_object_get(json_object_get(all, "facts"), "settings");
    json_object_set_new(settings, "language", json_string(language));
    return all;
}

/* Nothing is left unfilled, and no word is missing: {{w.x}} of a word that is not there is nothing,
 * so the languages must have the same words. */
static void our_templates_fill_in_every_language(void **state)
{
    (void)state;
    json_t *words = json_loads(template_find("words.json"), JSON_REJECT_DUPLICATES, NULL);
    const json_t *english = json_object_get(words, "en");
    const char *language, *name;
    json_t *own, *text;
    json_object_foreach(words, language, own)
    {
        assert_int_equal(json_object_size(own), json_object_size(english));
        json_object_foreach(own, name, text)
            assert_true(json_object_get(english, name) && json_string_length(text) > 0);
        json_t *all = sample(language);
        const json_t *facts = json_object_get(all, "facts");
        for (int voicemail = 0; voicemail < 2; voicemail++) {
            const struct after_render_matter matter = {
                .facts = facts,
                .outcome = json_object_get(all, "outcome"),
                .voicemail =
                    voicemail ? json_array_get(json_object_get(facts, "voicemails"), 0) : NULL,
                .recording_url = "https://calls.example.com/r?a=1&b=2"};
            struct after_render_email email;
            assert_true(after_render_email(&matter, &email));
            char *slack = after_render_slack(&matter);
            assert_true(!strstr(email.text, "{{") && !strstr(email.html, "{{"));
            assert_non_null(strstr(email.html, "?a=1&amp;b=2\""));
            assert_null(strchr(email.subject, '\n'));
            assert_non_null(strstr(email.text, "Doe"));
            assert_non_null(strstr(slack, "E7"));
            free(slack);
            after_render_email_free(&email);
        }
        json_decref(all);
    }
    json_decref(words);
}

static void a_long_call_is_cut_and_says_so(void **state)
{
    (void)state;
    json_t *all = sample("en"), *facts = json_object_get(all, "facts");
    json_t *messages = json_object_get(facts, "messages");
    for (int i = 0; i < 3000; i++)
        json_array_append_new(
            messages, json_pack("{s:i,s:s,s:s,s:b}", "at_ms", i * 1000, "role", "user", "text",
                                "Something that somebody says at some length, again and "
                                "again, and then once more.",
                                "interrupted", 0));
    const struct after_render_matter matter = {.facts = facts,
                                               .outcome = json_object_get(all, "outcome")};
    struct after_render_email email;
    assert_true(after_render_email(&matter, &email));
    assert_true(strlen(email.text) < AFTER_RENDER_LINES_BYTES * 2);
    assert_non_null(strstr(email.text, "too long for an e-mail"));
    after_render_email_free(&email);
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_strangers_said_is_text),
        cmocka_unit_test(sections_repeat_show_and_hide),
        cmocka_unit_test(wrong_templates_are_refused),
        cmocka_unit_test(our_templates_fill_in_every_language),
        cmocka_unit_test(a_long_call_is_cut_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
