/* twiml: what we write is what an XML parser reads. The parser is expat. */
#include "control/carrier/twiml.h"

#include <expat.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* What the parser saw, as one line: <Name a="v">text</Name>. */
struct seen {
    char text[200000];
    size_t bytes;
};

static void see(struct seen *seen, const char *text, size_t bytes)
{
    assert_true(bytes < sizeof seen->text - seen->bytes);
    memcpy(seen->text + seen->bytes, text, bytes);
    seen->bytes += bytes;
    seen->text[seen->bytes] = '\0';
}

static void on_start(void *context, const char *name, const char **attributes)
{
    struct seen *seen = context;
    see(seen, "<", 1);
    see(seen, name, strlen(name));
    for (; *attributes; attributes += 2) {
        see(seen, " ", 1);
        see(seen, attributes[0], strlen(attributes[0]));
        see(seen, "='", 2);
        see(seen, attributes[1], strlen(attributes[1]));
        see(seen, "'", 1);
    }
    see(seen, ">", 1);
}

static void on_end(void *context, const char *name)
{
    see(context, "</", 2);
    see(context, name, strlen(name));
    see(context, ">", 1);
}

static void on_text(void *context, const char *text, int bytes)
{
    see(context, text, (size_t)bytes);
}

static struct seen seen;

static const char *parse(const char *text, size_t bytes)
{
    seen.bytes = 0;
    seen.text[0] = '\0';
    XML_Parser parser = XML_ParserCreate(NULL);
    assert_non_null(parser);
    XML_SetUserData(parser, &seen);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    enum XML_Status status = XML_Parse(parser, text, (int)bytes, 1);
    XML_ParserFree(parser);
    assert_int_equal(status, XML_STATUS_OK);
    return seen.text;
}

static char document[TWIML_BYTES_MAX];

static void the_answer_to_a_call(void **state)
{
    (void)state;
    struct twiml twiml;
    twiml_open(&twiml, document, sizeof document);
    twiml_connect_stream(&twiml, "wss://edge.example.com/twilio-media-stream/abc",
                         "https://edge.example.com/api/twilio/stream-status#rc=5&rp=all");
    twiml_redirect(&twiml, "https://edge.example.com/api/twilio/after-stream?a=1&b=2");
    size_t bytes = twiml_close(&twiml);
    assert_int_equal(bytes, strlen(document));
    assert_memory_equal(document, "<?xml", 5);
    assert_string_equal(
        parse(document, bytes),
        "<Response><Connect><Stream url='wss://edge.example.com/twilio-media-stream/abc' "
        "statusCallback='https://edge.example.com/api/twilio/stream-status#rc=5&rp=all'></Stream>"
        "</Connect><Redirect method='POST'>"
        "https://edge.example.com/api/twilio/after-stream?a=1&b=2</Redirect></Response>");
}

static void the_other_verbs(void **state)
{
    (void)state;
    struct twiml twiml;
    twiml_open(&twiml, document, sizeof document);
    twiml_say(&twiml, "One moment.");
    twiml_pause(&twiml, 2);
    twiml_connect_stream(&twiml, "wss://h/p", NULL);
    twiml_hangup(&twiml);
    size_t bytes = twiml_close(&twiml);
    assert_string_equal(parse(document, bytes),
                        "<Response><Say>One moment.</Say><Pause length='2'></Pause><Connect>"
                        "<Stream url='wss://h/p'></Stream></Connect><Hangup></Hangup></Response>");
}

static void an_empty_document_hangs_up(void **state)
{
    (void)state;
    struct twiml twiml;
    twiml_open(&twiml, document, sizeof document);
    size_t bytes = twiml_close(&twiml);
    assert_string_equal(parse(document, bytes), "<Response></Response>");
}

/* The text read back, written once as text and once as attribute. */
static void expect_round_trip(struct span given, const char *expected)
{
    struct twiml twiml;
    char line[1024], attribute[512];
    snprintf(line, sizeof line, "<Response><Say>%s</Say></Response>", expected);
    twiml_open(&twiml, document, sizeof document);
    twiml_begin(&twiml, "Say");
    twiml_text(&twiml, given);
    twiml_end(&twiml);
    size_t bytes = twiml_close(&twiml);
    assert_string_equal(parse(document, bytes), line);
    if (!span_copy_text(given, attribute, sizeof attribute))
        return;
    snprintf(line, sizeof line, "<Response><Stream name='%s'></Stream></Response>", expected);
    twiml_open(&twiml, document, sizeof document);
    twiml_begin(&twiml, "Stream");
    twiml_attribute(&twiml, "name", attribute);
    twiml_end(&twiml);
    bytes = twiml_close(&twiml);
    assert_string_equal(parse(document, bytes), line);
}

static void text_comes_back_as_it_was(void **state)
{
    (void)state;
    static const char *const same[] = {
        "a & b < c > d \" e ' f",        "&amp; ]]> <![CDATA[ <!-- -->",
        "tab\there, line\nend\r\nand\r", "Caf\xc3\xa9 \xf0\x9f\x91\x8d \xe2\x82\xac",
        "\xef\xbf\xbd \xf4\x8f\xbf\xbd", "  blanks  ",
        "</Say><Dial>+15550100</Dial>",  "\x7f"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        expect_round_trip(span_of(same[i]), same[i]);
}

static void what_xml_forbids_is_dropped(void **state)
{
    (void)state;
    expect_round_trip(span_of("a\x01\x08\x0b\x0c\x1f"
                              "b"),
                      "ab");
    expect_round_trip(span_from("a\0b", 3), "ab");
    expect_round_trip(span_of("a\xef\xbf\xbe\xef\xbf\xbf"
                              "b"),
                      "ab"); /* U+FFFE, U+FFFF */
}

static void broken_utf8_is_replaced(void **state)
{
    (void)state;
#define REPLACED "\xef\xbf\xbd"
    expect_round_trip(span_of("\xff"), REPLACED);
    expect_round_trip(span_of("a\xc3"), "a" REPLACED);
    expect_round_trip(span_of("\xc0\xaf"), REPLACED REPLACED);              /* overlong */
    expect_round_trip(span_of("\xe0\x80\x80"), REPLACED REPLACED REPLACED); /* overlong */
    expect_round_trip(span_of("\xed\xa0\x80"), REPLACED REPLACED REPLACED); /* surrogate */
    expect_round_trip(span_of("\xf4\x90\x80\x80"), REPLACED REPLACED REPLACED REPLACED);
    expect_round_trip(span_of("\xe2\x82x"), REPLACED REPLACED "x");
}

/* With every room from nothing to enough: either the whole document or none, never past the end. */
static void too_little_room_voids_the_document(void **state)
{
    (void)state;
    struct twiml twiml;
    twiml_open(&twiml, document, sizeof document);
    twiml_say(&twiml, "A & B");
    size_t whole = twiml_close(&twiml);
    for (size_t room = 1; room <= whole + 1; room++) {
        char *text = malloc(room); /* the sanitizer watches its end */
        assert_non_null(text);
        twiml_open(&twiml, text, room);
        twiml_say(&twiml, "A & B");
        assert_int_equal(twiml_close(&twiml), room > whole ? whole : 0);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_to_a_call),
        cmocka_unit_test(the_other_verbs),
        cmocka_unit_test(an_empty_document_hangs_up),
        cmocka_unit_test(text_comes_back_as_it_was),
        cmocka_unit_test(what_xml_forbids_is_dropped),
        cmocka_unit_test(broken_utf8_is_replaced),
        cmocka_unit_test(too_little_room_voids_the_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
