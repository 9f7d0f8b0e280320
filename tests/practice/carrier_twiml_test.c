/* TwiML: documents as webhooks answer them, and documents that must not be followed. */
#include "tests/practice/carrier_twiml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct carrier_twiml twiml;

static void a_stream_with_parameters_and_a_redirect(void **state)
{
    (void)state;
    const char *text =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>\n <Connect>\n"
        "  <Stream url=\"wss://edge.example.com/s/abc\" "
        "statusCallback='https://c.example/s?a&amp;b'>"
        "<Parameter name=\"org\" value=\"7\"/><Parameter name=\"n\" value=\"&lt;x&gt;\"/>"
        "</Stream>\n </Connect>\n <Redirect method=\"POST\">\n https://c.example/after\n "
        "</Redirect>"
        "</Response>";
    assert_true(carrier_twiml_read(span_of(text), &twiml));
    int connect = carrier_twiml_next(&twiml, 0, -1, NULL);
    assert_string_equal(twiml.elements[connect].name, "Connect");
    int stream = carrier_twiml_next(&twiml, connect, connect, "Stream");
    assert_true(stream > 0);
    assert_string_equal(carrier_twiml_attribute(&twiml, stream, "url", NULL),
                        "wss://edge.example.com/s/abc");
    assert_string_equal(carrier_twiml_attribute(&twiml, stream, "statusCallback", NULL),
                        "https://c.example/s?a&b");
    assert_string_equal(carrier_twiml_attribute(&twiml, stream, "track", "inbound_track"),
                        "inbound_track");
    int first = carrier_twiml_next(&twiml, stream, stream, "Parameter");
    int second = carrier_twiml_next(&twiml, stream, first, "Parameter");
    assert_string_equal(carrier_twiml_attribute(&twiml, first, "value", NULL), "7");
    assert_string_equal(carrier_twiml_attribute(&twiml, second, "value", NULL), "<x>");
    assert_int_equal(carrier_twiml_next(&twiml, stream, second, "Parameter"), -1);
    int redirect = carrier_twiml_next(&twiml, 0, connect, NULL);
    assert_string_equal(twiml.elements[redirect].name, "Redirect");
    assert_string_equal(twiml.elements[redirect].text, "https://c.example/after");
    assert_int_equal(carrier_twiml_next(&twiml, 0, redirect, NULL), -1);
}

static void text_between_children_belongs_to_its_parent(void **state)
{
    (void)state;
    const char *text =
        "<Response><Say>Hello <break time='1s'/>again &#233;</Say><Hangup/></Response>";
    assert_true(carrier_twiml_read(span_of(text), &twiml));
    assert_string_equal(twiml.elements[1].text, "Hello again \u00e9");
    assert_string_equal(twiml.elements[3].name, "Hangup");
    assert_string_equal(twiml.elements[3].text, "");
}

static void an_empty_response_has_no_verbs(void **state)
{
    (void)state;
    assert_true(carrier_twiml_read(span_of("<Response/>"), &twiml));
    assert_int_equal(carrier_twiml_next(&twiml, 0, 0, NULL), -1);
}

static void what_twilio_refuses_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned code;
    } rows[] = {
        {"", 12100},
        {"OK", 12100},
        {"<Response>", 12100},
        {"<Response></Response><Response/>", 12100},
        {"<html></html>", 12200},
        {"<response/>", 12200},
        {"<Response><Say>\xff</Say></Response>", 12100},
        {"<Response>&undefined;</Response>", 12100},
        {"<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><Response>&b;</Response>",
         12100},
        {"<!DOCTYPE r SYSTEM \"file:///etc/passwd\"><Response/>", 12100},
        {"<Response><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></Response>", 12200},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_false(carrier_twiml_read(span_of(rows[i].text), &twiml));
        assert_int_equal(twiml.error_code, rows[i].code);
        assert_non_null(twiml.error);
    }
}

/* A document padded to a length, with so many bytes of blanks. */
static bool taken_with_bytes(size_t bytes)
{
    static const char begin[] = "<Response>", end[] = "</Response>";
    char *text = malloc(bytes);
    assert_non_null(text);
    memset(text, ' ', bytes);
    memcpy(text, begin, sizeof begin - 1);
    memcpy(text + bytes - (sizeof end - 1), end, sizeof end - 1);
    bool taken = carrier_twiml_read(span_from(text, bytes), &twiml);
    free(text);
    return taken;
}

static void sixty_four_kilobytes_are_the_limit(void **state)
{
    (void)state;
    assert_true(taken_with_bytes(CARRIER_TWIML_BYTES_MAX));
    assert_false(taken_with_bytes(CARRIER_TWIML_BYTES_MAX + 1));
    assert_int_equal(twiml.error_code, 11750);
}

static bool taken_with_verbs(size_t verbs)
{
    char text[8192] = "<Response>";
    for (size_t i = 0; i < verbs; i++)
        strcat(text, "<Hangup/>");
    strcat(text, "</Response>");
    return carrier_twiml_read(span_of(text), &twiml);
}

static void too_many_verbs_are_refused(void **state)
{
    (void)state;
    assert_true(taken_with_verbs(CARRIER_TWIML_ELEMENTS_MAX - 1));
    assert_false(taken_with_verbs(CARRIER_TWIML_ELEMENTS_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_with_parameters_and_a_redirect),
        cmocka_unit_test(text_between_children_belongs_to_its_parent),
        cmocka_unit_test(an_empty_response_has_no_verbs),
        cmocka_unit_test(what_twilio_refuses_is_refused),
        cmocka_unit_test(sixty_four_kilobytes_are_the_limit),
        cmocka_unit_test(too_many_verbs_are_refused),
    };
    return cmocka_run_group_tests_name("carrier_twiml", tests, NULL, NULL);
}
