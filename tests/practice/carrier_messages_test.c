/* Media Streams messages as Twilio documents them: which values are strings, what is counted, and
 * what of a server's messages is a warning. */
#include "tests/practice/carrier_messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct carrier_stream stream;
static char text[CARRIER_MESSAGE_BYTES_MAX];

static int new_stream(void **state)
{
    (void)state;
    memset(&stream, 0, sizeof stream);
    strcpy(stream.account_sid, "AC00000000000000000000000000000001");
    strcpy(stream.call_sid, "CA00000000000000000000000000000002");
    strcpy(stream.stream_sid, "MZ00000000000000000000000000000003");
    return 0;
}

static void expect(size_t bytes, const char *wanted)
{
    assert_int_equal(bytes, strlen(wanted));
    assert_memory_equal(text, wanted, bytes);
}

#define SID "MZ00000000000000000000000000000003"

static void messages_are_twilios_to_the_letter(void **state)
{
    (void)state;
    const struct carrier_parameter parameters[] = {{"org", "7"}, {"tok", "a\"b"}};
    expect(carrier_message_connected(text),
           "{\"event\":\"connected\",\"protocol\":\"Call\",\"version\":\"1.0.0\"}");
    expect(carrier_message_start(&stream, parameters, 2, text),
           "{\"event\":\"start\",\"sequenceNumber\":\"1\",\"start\":{\"accountSid\":"
           "\"AC00000000000000000000000000000001\",\"streamSid\":\"" SID "\",\"callSid\":"
           "\"CA00000000000000000000000000000002\",\"tracks\":[\"inbound\"],\"mediaFormat\":{"
           "\"encoding\":\"audio/x-mulaw\",\"sampleRate\":8000,\"channels\":1},"
           "\"customParameters\":{\"org\":\"7\",\"tok\":\"a\\\"b\"}},\"streamSid\":\"" SID "\"}");
    expect(carrier_message_media(&stream, 171, span_from("\xff\xff\x7f\x00", 4), text),
           "{\"event\":\"media\",\"sequenceNumber\":\"2\",\"media\":{\"track\":\"inbound\","
           "\"chunk\":\"1\",\"timestamp\":\"171\",\"payload\":\"//9/AA==\"},\"streamSid\":\"" SID
           "\"}");
    expect(carrier_message_mark(&stream, "r42.7", text),
           "{\"event\":\"mark\",\"sequenceNumber\":\"3\",\"streamSid\":\"" SID
           "\",\"mark\":{\"name\":\"r42.7\"}}");
    expect(carrier_message_dtmf(&stream, '#', text),
           "{\"event\":\"dtmf\",\"streamSid\":\"" SID "\",\"sequenceNumber\":\"4\","
           "\"dtmf\":{\"track\":\"inbound_track\",\"digit\":\"#\"}}");
    size_t media = carrier_message_media(&stream, 191, span_from("\xff", 1), text);
    text[media] = '\0';
    assert_non_null(strstr(text, "\"sequenceNumber\":\"5\""));
    assert_non_null(strstr(text, "\"chunk\":\"2\""));
    expect(carrier_message_stop(&stream, text),
           "{\"event\":\"stop\",\"sequenceNumber\":\"6\",\"streamSid\":\"" SID
           "\",\"stop\":{\"accountSid\":\"AC00000000000000000000000000000001\",\"callSid\":"
           "\"CA00000000000000000000000000000002\"}}");
}

/* 20 ms: 160 bytes, 216 characters of base64. */
static void a_frame_has_the_size_seen_on_the_wire(void **state)
{
    (void)state;
    uint8_t frame[160] = {0};
    size_t bytes = carrier_message_media(&stream, 40, span_from(frame, sizeof frame), text);
    assert_in_range(bytes, 340, 410);
}

static void what_a_server_may_send_is_taken(void **state)
{
    (void)state;
    struct carrier_incoming message;
    carrier_incoming_read(&stream,
                          span_of("{\"event\":\"media\",\"streamSid\":\"" SID
                                  "\",\"media\":{\"payload\":\"//9/AA==\"}}"),
                          &message);
    assert_int_equal(message.kind, CARRIER_MEDIA);
    assert_int_equal(message.bytes, 4);
    assert_memory_equal(message.codes, "\xff\xff\x7f\x00", 4);
    carrier_incoming_free(&message);
    carrier_incoming_read(&stream,
                          span_of(" { \"mark\" : { \"name\" : \"a\\u0062\" }, \"streamSid\":\"" SID
                                  "\", \"event\":\"mark\"}"),
                          &message);
    assert_int_equal(message.kind, CARRIER_MARK);
    assert_string_equal(message.mark, "ab");
    carrier_incoming_free(&message);
    carrier_incoming_read(&stream, span_of("{\"event\":\"clear\",\"streamSid\":\"" SID "\"}"),
                          &message);
    assert_int_equal(message.kind, CARRIER_CLEAR);
    carrier_incoming_free(&message);
}

static void what_twilio_warns_of_is_invalid(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{\"event\":\"clear\"",
        "{\"event\":\"clear\"}",
        "{\"event\":\"clear\",\"stream_sid\":\"" SID "\"}",
        "{\"event\":\"clear\",\"streamSid\":\"MZ00000000000000000000000000000004\"}",
        "{\"event\":\"clear\",\"streamSid\":\"" SID "\",\"sequenceNumber\":\"1\"}",
        "{\"event\":\"mark\",\"streamSid\":\"" SID "\"}",
        "{\"event\":\"mark\",\"streamSid\":\"" SID "\",\"mark\":{\"name\":7}}",
        "{\"event\":\"media\",\"streamSid\":\"" SID "\",\"media\":{}}",
        "{\"event\":\"media\",\"streamSid\":\"" SID
        "\",\"media\":{\"track\":\"outbound\",\"payload\":\"//8=\"}}",
        "{\"event\":\"media\",\"streamSid\":\"" SID "\",\"media\":{\"payload\":\"//8\"}}",
        "{\"event\":\"media\",\"streamSid\":\"" SID "\",\"media\":{\"payload\":\"//9=\"}}",
        "{\"event\":\"media\",\"streamSid\":\"" SID "\",\"media\":{\"payload\":\"__8=\"}}",
        "{\"event\":\"media\",\"streamSid\":\"" SID "\",\"media\":{\"payload\":\"/=8=\"}}",
        "{\"event\":\"media\",\"streamSid\":\"" SID "\",\"media\":{\"payload\":\"====\"}}",
        "{\"event\":\"dtmf\",\"streamSid\":\"" SID "\",\"dtmf\":{\"digit\":\"1\"}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct carrier_incoming message;
        carrier_incoming_read(&stream, span_of(bad[i]), &message);
        if (message.kind != CARRIER_INVALID || !message.why)
            fail_msg("taken: %s", bad[i]);
        carrier_incoming_free(&message);
    }
}

static void identifiers_have_twilios_shape(void **state)
{
    (void)state;
    char one[CARRIER_SID_BYTES + 1], two[CARRIER_SID_BYTES + 1];
    carrier_sid("MZ", one);
    carrier_sid("MZ", two);
    assert_int_equal(strlen(one), CARRIER_SID_BYTES);
    assert_int_equal(strspn(one + 2, "0123456789abcdef"), 32);
    assert_string_not_equal(one, two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(messages_are_twilios_to_the_letter, new_stream),
        cmocka_unit_test_setup(a_frame_has_the_size_seen_on_the_wire, new_stream),
        cmocka_unit_test_setup(what_a_server_may_send_is_taken, new_stream),
        cmocka_unit_test_setup(what_twilio_warns_of_is_invalid, new_stream),
        cmocka_unit_test(identifiers_have_twilios_shape),
    };
    return cmocka_run_group_tests_name("carrier_messages", tests, NULL, NULL);
}
