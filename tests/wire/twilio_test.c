/* twilio: the messages as Twilio's documentation shows them, each field missing, wrong or spelled
 * otherwise, bounds, and what we write, read back with jansson. */
#include "edge/limits.h"
#include "edge/wire/twilio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#define STREAM  "MZ00000000000000000000000000000001"
#define CALL    "CA00000000000000000000000000000002"
#define ACCOUNT "AC00000000000000000000000000000003"
#define FORMAT  "{\"encoding\":\"audio/x-mulaw\",\"sampleRate\":8000,\"channels\":1}"

static struct twilio_message message;

static enum fault judge(const char *text)
{
    return twilio_read(span_of(text), &message);
}

static void assert_span(struct span span, const char *text)
{
    if (!span_is(span, text))
        fail_msg("wanted '%s', got '%.*s'", text, (int)span.bytes, (const char *)span.data);
}

static void reads_connected(void **state)
{
    (void)state;
    assert_int_equal(judge("{\"event\":\"connected\",\"protocol\":\"Call\",\"version\":\"1.0.0\"}"),
                     FAULT_NONE);
    assert_int_equal(message.event, TWILIO_CONNECTED);
    assert_false(message.has_sequence);
}

/* A start with these members in place of its own. */
static enum fault judge_start(const char *sids, const char *format, const char *rest)
{
    static char text[1000]; /* what was read points into it */
    snprintf(text, sizeof text,
             "{\"event\":\"start\",\"sequenceNumber\":\"1\",\"start\":{%s,"
             "\"tracks\":[\"inbound\"],\"mediaFormat\":%s%s},\"streamSid\":\"" STREAM "\"}",
             sids, format, rest);
    return judge(text);
}

#define SIDS "\"accountSid\":\"" ACCOUNT "\",\"streamSid\":\"" STREAM "\",\"callSid\":\"" CALL "\""

static void reads_start(void **state)
{
    (void)state;
    assert_int_equal(judge("{\"event\":\"start\",\"sequenceNumber\":\"1\",\"start\":{"
                           "\"accountSid\":\"" ACCOUNT "\",\"streamSid\":\"" STREAM "\","
                           "\"callSid\":\"" CALL "\",\"tracks\":[\"inbound\"],"
                           "\"mediaFormat\": " FORMAT ",\"customParameters\":"
                           "{\"org\":\"7\",\"tok\":\"one\\\"time\"}},\"streamSid\":\"" STREAM
                           "\"}"),
                     FAULT_NONE);
    assert_int_equal(message.event, TWILIO_START);
    assert_true(message.has_sequence && message.sequence == 1);
    assert_span(message.stream_sid, STREAM);
    assert_span(message.call_sid, CALL);
    assert_span(message.account_sid, ACCOUNT);
    assert_span(message.media_format, FORMAT);
    assert_span(message.parameters, "{\"org\":\"7\",\"tok\":\"one\\\"time\"}");
    assert_int_equal(judge_start(SIDS, FORMAT, ""), FAULT_NONE);
    assert_span(message.parameters, "{}");
    assert_int_equal(judge_start(SIDS, FORMAT, ",\"customParameters\":{ }"), FAULT_NONE);
    assert_span(message.parameters, "{ }");
}

static void refuses_other_formats(void **state)
{
    static const char *const formats[] = {
        "{}",
        "{\"sampleRate\":8000,\"channels\":1}",
        "{\"encoding\":\"audio/x-mulaw\",\"channels\":1}",
        "{\"encoding\":\"audio/x-mulaw\",\"sampleRate\":8000}",
        "{\"encoding\":\"audio/x-alaw\",\"sampleRate\":8000,\"channels\":1}",
        "{\"encoding\":\"audio/x-mulaw \",\"sampleRate\":8000,\"channels\":1}",
        "{\"encoding\":1,\"sampleRate\":8000,\"channels\":1}",
        "{\"encoding\":\"audio/x-mulaw\",\"sampleRate\":16000,\"channels\":1}",
        "{\"encoding\":\"audio/x-mulaw\",\"sampleRate\":\"8000\",\"channels\":1}",
        "{\"encoding\":\"audio/x-mulaw\",\"sampleRate\":-8000,\"channels\":1}",
        "{\"encoding\":\"audio/x-mulaw\",\"sampleRate\":8000,\"channels\":2}",
        "{\"encoding\":\"audio/x-mulaw\",\"sampleRate\":8000,\"channels\":true}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (judge_start(SIDS, formats[i], "") != FAULT_stream_format)
            fail_msg("%s", formats[i]);
    assert_int_equal(
        judge_start(SIDS, "{\"channels\":1,\"encoding\":\"audio\\/x-mulaw\",\"sampleRate\":8000}",
                    ""),
        FAULT_NONE);
}

static void refuses_broken_starts(void **state)
{
    static const char *const sids[] = {
        "\"streamSid\":\"" STREAM "\",\"callSid\":\"" CALL "\"",
        "\"accountSid\":\"" ACCOUNT "\",\"callSid\":\"" CALL "\"",
        "\"accountSid\":\"" ACCOUNT "\",\"streamSid\":\"" STREAM "\"",
        "\"accountSid\":\"\",\"streamSid\":\"" STREAM "\",\"callSid\":\"" CALL "\"",
        "\"accountSid\":1,\"streamSid\":\"" STREAM "\",\"callSid\":\"" CALL "\"",
        "\"accountSid\":\"" ACCOUNT "\",\"streamSid\":\"MZ2\",\"callSid\":\"" CALL "\"",
        "\"accountSid\":\"" ACCOUNT "\",\"streamSid\":\"" STREAM "\",\"callSid\":\"C A\"",
        "\"accountSid\":\"" ACCOUNT "\",\"streamSid\":\"" STREAM "\",\"callSid\":\"C\\u0041\"",
        "\"accountSid\":\"" ACCOUNT "\",\"streamSid\":\"" STREAM "\",\"callSid\":\"C\xc3\xa9\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof sids / sizeof *sids; i++)
        if (judge_start(sids[i], FORMAT, "") != FAULT_stream_field)
            fail_msg("%s", sids[i]);
    assert_int_equal(judge_start(SIDS, "\"audio/x-mulaw\"", ""), FAULT_stream_field);
    assert_int_equal(judge("{\"event\":\"start\",\"streamSid\":\"M Z\",\"start\":{\"accountSid\":"
                           "\"A\",\"streamSid\":\"M Z\",\"callSid\":\"C\",\"mediaFormat\":" FORMAT
                           "}}"),
                     FAULT_stream_field);
    assert_int_equal(judge_start(SIDS, "null", ""), FAULT_stream_field);
    assert_int_equal(judge_start(SIDS, FORMAT, ",\"customParameters\":[]"), FAULT_stream_field);
    assert_int_equal(judge_start(SIDS, FORMAT, ",\"customParameters\":{\"a\":\"b\",\"c\":1}"),
                     FAULT_stream_field);
    assert_int_equal(judge_start(SIDS, FORMAT, ",\"customParameters\":{\"a\":{}}"),
                     FAULT_stream_field);
    assert_int_equal(judge("{\"event\":\"start\",\"streamSid\":\"" STREAM "\"}"),
                     FAULT_stream_field);
    assert_int_equal(judge("{\"event\":\"start\",\"start\":[],\"streamSid\":\"" STREAM "\"}"),
                     FAULT_stream_field);
}

static void bounds_sids(void **state)
{
    char sid[STREAM_SID_BYTES_MAX + 2], text[300];
    (void)state;
    for (size_t bytes = STREAM_SID_BYTES_MAX - 1; bytes <= STREAM_SID_BYTES_MAX + 1; bytes++) {
        memset(sid, 'z', bytes);
        sid[bytes] = '\0';
        snprintf(text, sizeof text, "{\"event\":\"stop\",\"streamSid\":\"%s\"}", sid);
        assert_int_equal(judge(text),
                         bytes > STREAM_SID_BYTES_MAX ? FAULT_stream_field : FAULT_NONE);
    }
    assert_int_equal(judge("{\"event\":\"stop\",\"streamSid\":\"a-Z_09\"}"), FAULT_NONE);
}

/* media with these members inside. */
static enum fault judge_media(const char *members)
{
    static char text[500];
    snprintf(text, sizeof text,
             "{\"event\":\"media\",\"sequenceNumber\":\"2\",\"media\":{%s},\"streamSid\":\"" STREAM
             "\"}",
             members);
    return judge(text);
}

static void reads_media(void **state)
{
    (void)state;
    assert_int_equal(judge_media("\"track\":\"inbound\",\"chunk\":\"1\",\"timestamp\":\"171\","
                                 "\"payload\":\"/v7+/w==\""),
                     FAULT_NONE);
    assert_int_equal(message.event, TWILIO_MEDIA);
    assert_span(message.stream_sid, STREAM);
    assert_span(message.payload, "/v7+/w==");
    assert_int_equal(message.timestamp_ms, 171);
    assert_int_equal(message.sequence, 2);
    /* any order, blanks, unknown members, another spelling of the same names */
    assert_int_equal(judge(" {\"streamSid\" : \"" STREAM
                           "\", \"x\":[{\"media\":1}], \"m\\u0065dia\""
                           ":{\"payload\":\"\",\"new\":null,\"timestamp\":\"0\",\"track\":\"inb"
                           "\\u006fund\"},\"event\":\"medi\\u0061\"}\n"),
                     FAULT_NONE);
    assert_int_equal(message.event, TWILIO_MEDIA);
    assert_int_equal(message.payload.bytes, 0);
    assert_false(message.has_sequence);
}

static void refuses_broken_media(void **state)
{
    static const char *const members[] = {
        "",
        "\"track\":\"inbound\",\"timestamp\":\"1\"",
        "\"track\":\"inbound\",\"payload\":\"\"",
        "\"timestamp\":\"1\",\"payload\":\"\"",
        "\"track\":\"outbound\",\"timestamp\":\"1\",\"payload\":\"\"",
        "\"track\":\"inbound_track\",\"timestamp\":\"1\",\"payload\":\"\"",
        "\"track\":null,\"timestamp\":\"1\",\"payload\":\"\"",
        "\"track\":\"inbound\",\"timestamp\":1,\"payload\":\"\"",
        "\"track\":\"inbound\",\"timestamp\":\"\",\"payload\":\"\"",
        "\"track\":\"inbound\",\"timestamp\":\"-1\",\"payload\":\"\"",
        "\"track\":\"inbound\",\"timestamp\":\"1.5\",\"payload\":\"\"",
        "\"track\":\"inbound\",\"timestamp\":\"1 \",\"payload\":\"\"",
        "\"track\":\"inbound\",\"timestamp\":\"\\u0031\",\"payload\":\"\"",
        "\"track\":\"inbound\",\"timestamp\":\"18446744073709551616\",\"payload\":\"\"",
        "\"track\":\"inbound\",\"timestamp\":\"1\",\"payload\":null",
        "\"track\":\"inbound\",\"timestamp\":\"1\",\"payload\":[\"\"]",
        "\"track\":\"inbound\",\"timestamp\":\"1\",\"payload\":\"\",\"chunk\":1",
        "\"track\":\"inbound\",\"timestamp\":\"1\",\"payload\":\"\",\"chunk\":\"x\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (judge_media(members[i]) != FAULT_stream_field)
            fail_msg("%s", members[i]);
    assert_int_equal(judge_media("\"track\":\"inbound\",\"timestamp\":\"18446744073709551615\","
                                 "\"payload\":\"\""),
                     FAULT_NONE);
    assert_true(message.timestamp_ms == UINT64_MAX);
    assert_int_equal(judge_media("\"track\":\"inbound\",\"timestamp\":\"1\",\"payload\":\"\","
                                 "\"payload\":\"\""),
                     FAULT_json_malformed);
}

/* A payload that would decode to so many bytes. */
static enum fault judge_payload_of(size_t bytes)
{
    size_t text_bytes = (bytes + 2) / 3 * 4;
    char *text = calloc(1, text_bytes + 200);
    int front = sprintf(text, "{\"event\":\"media\",\"streamSid\":\"" STREAM "\",\"media\":{"
                              "\"track\":\"inbound\",\"timestamp\":\"1\",\"payload\":\"");
    memset(text + front, 'A', text_bytes);
    memcpy(text + (size_t)front + text_bytes, "\"}}", 4);
    enum fault fault = judge(text);
    free(text);
    return fault;
}

static void bounds_payloads(void **state)
{
    (void)state;
    assert_int_equal(judge_payload_of(STREAM_PAYLOAD_BYTES_MAX - 1), FAULT_NONE);
    assert_int_equal(judge_payload_of(STREAM_PAYLOAD_BYTES_MAX), FAULT_NONE);
    assert_int_equal(judge_payload_of(STREAM_PAYLOAD_BYTES_MAX + 2), FAULT_stream_payload_large);
}

static void reads_marks_and_stops(void **state)
{
    (void)state;
    assert_int_equal(judge("{\"event\":\"mark\",\"sequenceNumber\":\"4\",\"streamSid\":\"" STREAM
                           "\",\"mark\":{\"name\":\"my \\\"label\\\"\"}}"),
                     FAULT_NONE);
    assert_int_equal(message.event, TWILIO_MARK);
    assert_span(message.mark_name, "my \\\"label\\\"");
    assert_int_equal(judge("{\"event\":\"mark\",\"streamSid\":\"" STREAM "\",\"mark\":{}}"),
                     FAULT_stream_field);
    assert_int_equal(judge("{\"event\":\"mark\",\"streamSid\":\"" STREAM "\"}"),
                     FAULT_stream_field);
    assert_int_equal(
        judge("{\"event\":\"mark\",\"streamSid\":\"" STREAM "\",\"mark\":{\"name\":1}}"),
        FAULT_stream_field);
    assert_int_equal(judge("{\"event\":\"stop\",\"sequenceNumber\":\"5\",\"streamSid\":\"" STREAM
                           "\",\"stop\":{\"accountSid\":\"" ACCOUNT "\",\"callSid\":\"" CALL
                           "\"}}"),
                     FAULT_NONE);
    assert_int_equal(message.event, TWILIO_STOP);
    assert_int_equal(message.sequence, 5);
}

static void reads_every_digit(void **state)
{
    char text[200];
    (void)state;
    for (int character = ' '; character < 0x7f; character++) {
        if (character == '"' || character == '\\')
            continue;
        snprintf(text, sizeof text,
                 "{\"event\":\"dtmf\",\"streamSid\":\"" STREAM "\",\"sequenceNumber\":\"5\","
                 "\"dtmf\":{\"track\":\"inbound_track\",\"digit\":\"%c\"}}",
                 character);
        bool known = strchr("0123456789*#ABCD", character) != NULL;
        assert_int_equal(judge(text), known ? FAULT_NONE : FAULT_stream_field);
        if (known)
            assert_int_equal(message.digit, character);
    }
    assert_int_equal(judge("{\"event\":\"dtmf\",\"streamSid\":\"" STREAM "\",\"dtmf\":{\"digit\":"
                           "\"12\"}}"),
                     FAULT_stream_field);
    assert_int_equal(judge("{\"event\":\"dtmf\",\"streamSid\":\"" STREAM "\",\"dtmf\":{\"digit\":"
                           "\"\"}}"),
                     FAULT_stream_field);
    assert_int_equal(
        judge("{\"event\":\"dtmf\",\"streamSid\":\"" STREAM "\",\"dtmf\":{\"digit\":1}}"),
        FAULT_stream_field);
}

static void skips_what_it_does_not_know(void **state)
{
    (void)state;
    assert_int_equal(judge("{\"event\":\"close\"}"), FAULT_NONE);
    assert_int_equal(message.event, TWILIO_OTHER);
    assert_int_equal(judge("{\"event\":\"Media\",\"media\":7}"), FAULT_NONE);
    assert_int_equal(message.event, TWILIO_OTHER);
    assert_int_equal(judge("{\"event\":\"\"}"), FAULT_NONE);
}

static void refuses_what_is_no_message(void **state)
{
    (void)state;
    assert_int_equal(judge("{}"), FAULT_stream_field);
    assert_int_equal(judge("{\"event\":1}"), FAULT_stream_field);
    assert_int_equal(judge("{\"event\":null}"), FAULT_stream_field);
    assert_int_equal(judge("[{\"event\":\"stop\"}]"), FAULT_stream_field);
    assert_int_equal(judge("\"event\""), FAULT_stream_field);
    assert_int_equal(judge("{\"event\":\"stop\"}"), FAULT_stream_field);
    assert_int_equal(judge("{\"event\":\"stop\",\"stream_sid\":\"MZ1\"}"), FAULT_stream_field);
    assert_int_equal(judge("{\"event\":\"stop\",\"streamSid\":\"MZ1\",\"sequenceNumber\":5}"),
                     FAULT_stream_field);
    assert_int_equal(judge("{\"event\":\"stop\",\"streamSid\":\"MZ1\",\"sequenceNumber\":"
                           "\"18446744073709551616\"}"),
                     FAULT_stream_field);
    assert_int_equal(judge(""), FAULT_json_malformed);
    assert_int_equal(judge("hello"), FAULT_json_malformed);
    assert_int_equal(judge("{\"event\":\"stop\",\"event\":\"media\"}"), FAULT_json_malformed);
    assert_int_equal(judge("{\"event\":\"stop\"} {}"), FAULT_json_malformed);
    assert_int_equal(
        judge("{\"event\":\"x\",\"y\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]"
              "]]]]]]]]]]]]]}"),
        FAULT_json_too_deep);
}

/* ---- what we write ---- */

static void assert_json(const uint8_t *text, size_t bytes, const char *wanted)
{
    json_t *got = json_loadb((const char *)text, bytes, JSON_REJECT_DUPLICATES, NULL);
    json_t *want = json_loads(wanted, 0, NULL);
    assert_non_null(want);
    if (!json_equal(got, want))
        fail_msg("wanted %s, got %.*s", wanted, (int)bytes, (const char *)text);
    json_decref(got);
    json_decref(want);
}

/* Twilio refuses extra members, so the whole object is compared; lengths are exact. */
static void writes_its_messages(void **state)
{
    struct span sid = span_of(STREAM);
    (void)state;
    size_t bytes = twilio_media_bytes(sid, 8);
    uint8_t *text = malloc(bytes); /* exact, so the sanitizer sees one byte too many */
    memcpy(twilio_media_write(text, sid, 8), "/v7+/w==", 8);
    assert_json(text, bytes,
                "{\"event\":\"media\",\"streamSid\":\"" STREAM
                "\",\"media\":{\"payload\":\"/v7+/w==\"}}");
    free(text);
    bytes = twilio_media_bytes(sid, 0);
    text = malloc(bytes);
    twilio_media_write(text, sid, 0);
    assert_json(text, bytes,
                "{\"event\":\"media\",\"streamSid\":\"" STREAM "\",\"media\":{\"payload\":\"\"}}");
    free(text);
    bytes = twilio_mark_bytes(sid, span_of("m17"));
    text = malloc(bytes);
    twilio_mark_write(text, sid, span_of("m17"));
    assert_json(text, bytes,
                "{\"event\":\"mark\",\"streamSid\":\"" STREAM "\",\"mark\":{\"name\":\"m17\"}}");
    free(text);
    bytes = twilio_clear_bytes(sid);
    text = malloc(bytes);
    twilio_clear_write(text, sid);
    assert_json(text, bytes, "{\"event\":\"clear\",\"streamSid\":\"" STREAM "\"}");
    free(text);
}

/* A blank before it changes nothing but the way it is read. */
static void expect_both_ways_alike(const char *text, size_t bytes)
{
    static char longer[20000];
    struct twilio_message slow;
    longer[0] = ' ';
    memcpy(longer + 1, text, bytes);
    enum fault slow_fault = twilio_read(span_from(longer, bytes + 1), &slow);
    enum fault fault = twilio_read(span_from(text, bytes), &message);
    bool alike = fault == slow_fault && message.event == slow.event;
    if (alike && fault == FAULT_NONE)
        alike = message.has_sequence == slow.has_sequence && message.sequence == slow.sequence &&
                message.timestamp_ms == slow.timestamp_ms &&
                span_equal(message.payload, slow.payload) &&
                span_equal(message.stream_sid, slow.stream_sid);
    if (!alike)
        fail_msg("read otherwise: %.*s", (int)bytes, text);
}

static void the_usual_media_is_read_like_any_other(void **state)
{
    (void)state;
    static const char usual[] =
        "{\"event\":\"media\",\"sequenceNumber\":\"42\",\"media\":{\"track\":\"inbound\",\"chunk\":"
        "\"41\",\"timestamp\":\"831\",\"payload\":\"/v7+/v7+/w==\"},\"streamSid\":\"" STREAM "\"}";
    static const char others[] = {0,   ' ', '"', '\\', '{', '}',    ',',
                                  ':', '=', '0', '9',  'A', '\x80', '\xff'};
    size_t bytes = sizeof usual - 1;
    char text[sizeof usual + 32];
    assert_int_equal(judge(usual), FAULT_NONE);
    assert_span(message.payload, "/v7+/v7+/w==");
    assert_int_equal(message.sequence, 42);
    assert_int_equal(message.timestamp_ms, 831);
    for (size_t at = 0; at < bytes; at++) {
        for (size_t i = 0; i < sizeof others; i++) {
            memcpy(text, usual, bytes); /* one byte is another */
            text[at] = others[i];
            expect_both_ways_alike(text, bytes);
            memcpy(text, usual, at); /* one byte more */
            text[at] = others[i];
            memcpy(text + at + 1, usual + at, bytes - at);
            expect_both_ways_alike(text, bytes + 1);
        }
        memcpy(text, usual, at); /* one byte less */
        memcpy(text + at, usual + at + 1, bytes - at - 1);
        expect_both_ways_alike(text, bytes - 1);
        expect_both_ways_alike(usual, at);                                   /* cut off */
        for (size_t digits = 1; digits < 25 && usual[at] == '4'; digits++) { /* longer numbers */
            memcpy(text, usual, at);
            memset(text + at, '7', digits);
            memcpy(text + at + digits, usual + at, bytes - at);
            expect_both_ways_alike(text, bytes + digits);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_connected),
        cmocka_unit_test(reads_start),
        cmocka_unit_test(refuses_other_formats),
        cmocka_unit_test(refuses_broken_starts),
        cmocka_unit_test(bounds_sids),
        cmocka_unit_test(reads_media),
        cmocka_unit_test(the_usual_media_is_read_like_any_other),
        cmocka_unit_test(refuses_broken_media),
        cmocka_unit_test(bounds_payloads),
        cmocka_unit_test(reads_marks_and_stops),
        cmocka_unit_test(reads_every_digit),
        cmocka_unit_test(skips_what_it_does_not_know),
        cmocka_unit_test(refuses_what_is_no_message),
        cmocka_unit_test(writes_its_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
