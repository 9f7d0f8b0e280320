/* Twilio's webhooks against a real control and a real database: who is let in, what is answered,
 * what the edge is ordered, what stands on record. */
#include "control/router.h"
#include "tests/control/webhook_world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NUMBER_A "+15550100"
#define NUMBER_B "+15550200"

static struct world_control control;
static struct world_edge edge;
static char organization_a[37], organization_b[37];

static int set_up(void **state)
{
    (void)state;
    world_start(&control);
    world_connect(&edge, &control, "edge-1", 4);
    world_organization("Webhook A", NUMBER_A, organization_a);
    world_organization("Webhook B", NUMBER_B, organization_b);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_hang_up(&edge);
    return world_end(&control);
}

/* A CallSid of its own for each call of this test. */
static const char *new_call(char call_sid[35])
{
    static unsigned count;
    snprintf(call_sid, 35, "CA%032x", 0x100000 + ++count);
    return call_sid;
}

#define incoming_form(call_sid, to)                                                                \
    world_form({"AccountSid", WORLD_ACCOUNT}, {"ApiVersion", "2010-04-01"}, {"CallSid", call_sid}, \
               {"CallStatus", "ringing"}, {"CallerCity", ""}, {"Direction", "inbound"},            \
               {"From", "+15550177"}, {"To", to}, {"FutureField", "caf\xc3\xa9 & <b> 'x' 100%"})

static struct world_answer call_in(const char *token, const char *path, const char *call_sid,
                                   const char *to)
{
    return world_post(&edge, token, path, incoming_form(call_sid, to));
}

static int rows_of(const char *call_sid)
{
    return atoi(world_query("SELECT count(*) FROM conversations WHERE call_sid = '%s'", call_sid));
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* ---- a call ---- */

static void expect_plan(const json_t *order, const char *call_sid, const struct world_twiml *twiml)
{
    const json_t *plan = json_object_get(order, "plan"), *ai = json_object_get(plan, "ai");
    char right[29];
    bool found = false;
    assert_string_equal(text_of(order, "kind"), "prepare");
    assert_string_equal(text_of(plan, "call_sid"), call_sid);
    assert_string_equal(text_of(plan, "account_sid"), WORLD_ACCOUNT);
    assert_string_equal(text_of(plan, "organization"), organization_a);
    assert_string_equal(
        text_of(plan, "call"),
        world_query("SELECT id FROM conversations WHERE call_sid = '%s'", call_sid));
    assert_string_equal(text_of(plan, "ticket"), world_ticket(twiml));
    assert_in_range(json_integer_value(json_object_get(plan, "home_core")), 0, 3);
    assert_string_equal(text_of(ai, "backend"), "openai_realtime");
    assert_string_equal(text_of(ai, "key"), WORLD_AI_KEY);
    assert_memory_equal(text_of(ai, "url"), "wss://ai.example.com/v1/realtime?model=", 39);
    assert_string_equal(text_of(ai, "url") + 39, text_of(ai, "model"));
    assert_true(json_is_array(json_object_get(ai, "tools")));
    world_sign(WORLD_TOKEN, twiml->stream_url, NULL, 0, right);
    const json_t *signatures = json_object_get(plan, "signatures");
    for (size_t i = 0; i < json_array_size(signatures); i++)
        found |= strcmp(json_string_value(json_array_get(signatures, i)), right) == 0;
    assert_true(found);
}

static void a_call_gets_its_stream_and_the_edge_its_plan(void **state)
{
    (void)state;
    char call_sid[35];
    struct world_twiml twiml;
    size_t orders = edge.orders_count;
    struct world_answer answer =
        call_in(WORLD_TOKEN, "/api/twilio/incoming-call", new_call(call_sid), NUMBER_A);
    world_read_twiml(&answer, &twiml);
    assert_string_equal(twiml.verbs, "Connect Stream Redirect ");
    assert_memory_equal(twiml.stream_url, WORLD_STREAMS "/twilio-media-stream/",
                        strlen(WORLD_STREAMS "/twilio-media-stream/"));
    assert_int_equal(strlen(world_ticket(&twiml)), 123);
    assert_null(strchr(twiml.stream_url, '?'));
    assert_string_equal(twiml.status_callback,
                        WORLD_PUBLIC "/api/twilio/stream-status#rc=5&rp=all");
    assert_string_equal(twiml.redirect, WORLD_PUBLIC "/api/twilio/after-stream#rc=3&rp=all");
    assert_int_equal(answer.orders_before, orders + 1); /* the plan came before the answer */
    expect_plan(edge.orders[orders], call_sid, &twiml);
    assert_string_equal(world_query("SELECT organization_id, session_id, from_number, to_number, "
                                    "direction, call_status FROM conversations WHERE call_sid = "
                                    "'%s'",
                                    call_sid),
                        world_query("SELECT '%s|twilio_%s|+15550177|" NUMBER_A "|inbound|ringing'",
                                    organization_a, call_sid));
    world_answer_free(&answer);
}

static void every_alias_is_the_same_webhook(void **state)
{
    (void)state;
    static const char *const paths[] = {"/api/twilio/incoming-call", "/api/twilio/voice-webhook",
                                        "/api/aloha/webhooks/incoming-call"};
    static const char *const statuses[] = {"/api/twilio/status-callback", "/api/twilio/call-status",
                                           "/api/aloha/webhooks/call-status"};
    for (size_t i = 0; i < 3; i++) {
        char call_sid[35];
        struct world_twiml twiml;
        struct world_answer answer = call_in(WORLD_TOKEN, paths[i], new_call(call_sid), NUMBER_A);
        world_read_twiml(&answer, &twiml);
        assert_string_equal(twiml.verbs, "Connect Stream Redirect ");
        world_answer_free(&answer);
        answer = world_post(&edge, WORLD_TOKEN, statuses[i],
                            world_form({"AccountSid", WORLD_ACCOUNT}, {"CallSid", call_sid},
                                       {"CallStatus", "completed"}, {"CallDuration", "7"},
                                       {"From", "+15550177"}, {"To", NUMBER_A}));
        assert_int_equal(answer.status, 204);
        assert_int_equal(answer.body_bytes, 0);
        world_answer_free(&answer);
        assert_string_equal(world_query("SELECT call_status, duration_ms FROM conversations "
                                        "WHERE call_sid = '%s'",
                                        call_sid),
                            "completed|7000");
    }
    for (size_t i = 0; router_path(i); i++) { /* none without a signature */
        char call_sid[35];
        struct world_answer answer = call_in(NULL, router_path(i), new_call(call_sid), NUMBER_A);
        assert_int_equal(answer.status, 403);
        assert_int_equal(rows_of(call_sid), 0);
        world_answer_free(&answer);
    }
}

static void the_same_webhook_twice_is_one_call(void **state)
{
    (void)state;
    char call_sid[35];
    struct world_twiml first, second;
    size_t orders = edge.orders_count;
    struct world_answer answer =
        call_in(WORLD_TOKEN, "/api/twilio/incoming-call", new_call(call_sid), NUMBER_A);
    world_read_twiml(&answer, &first);
    world_answer_free(&answer);
    answer = call_in(WORLD_TOKEN, "/api/twilio/incoming-call", call_sid, NUMBER_A);
    world_read_twiml(&answer, &second);
    world_answer_free(&answer);
    assert_int_equal(rows_of(call_sid), 1);
    assert_string_not_equal(world_ticket(&first), world_ticket(&second));
    const json_t *one = json_object_get(edge.orders[orders], "plan");
    const json_t *other = json_object_get(edge.orders[orders + 1], "plan");
    assert_string_equal(text_of(one, "call"), text_of(other, "call"));
    assert_int_equal(json_integer_value(json_object_get(one, "home_core")),
                     json_integer_value(json_object_get(other, "home_core")));
    assert_int_equal(json_integer_value(json_object_get(one, "first_seq")), 0);
    assert_true(json_integer_value(json_object_get(other, "first_seq")) > 1000000);
}

static void a_call_that_is_over_is_not_connected_again(void **state)
{
    (void)state;
    char call_sid[35];
    struct world_twiml twiml;
    struct world_answer answer =
        world_post(&edge, WORLD_TOKEN, "/api/twilio/status-callback",
                   world_form({"AccountSid", WORLD_ACCOUNT}, {"CallSid", new_call(call_sid)},
                              {"CallStatus", "canceled"}, {"From", "+15550177"}, {"To", NUMBER_A}));
    assert_int_equal(answer.status, 204);
    world_answer_free(&answer);
    answer = call_in(WORLD_TOKEN, "/api/twilio/incoming-call", call_sid, NUMBER_A);
    world_read_twiml(&answer, &twiml);
    assert_string_equal(twiml.verbs, "Hangup ");
    world_answer_free(&answer);
}

static void an_unknown_number_is_refused_in_words(void **state)
{
    (void)state;
    char call_sid[35];
    struct world_twiml twiml;
    size_t orders = edge.orders_count;
    struct world_answer answer =
        call_in(WORLD_TOKEN, "/api/twilio/incoming-call", new_call(call_sid), "+15550999");
    world_read_twiml(&answer, &twiml);
    assert_string_equal(twiml.verbs, "Say Hangup ");
    assert_true(strlen(twiml.say) > 10);
    assert_int_equal(edge.orders_count, orders);
    assert_int_equal(rows_of(call_sid), 0);
    world_answer_free(&answer);
}

static void the_rows_own_configuration_makes_the_plan(void **state)
{
    (void)state;
    char call_sid[35];
    world_query(
        "INSERT INTO channel_configurations (organization_id, channel, instructions, model, "
        "voice, greeting, audio_format) VALUES ('%s', 'voice', E'Say \"hi\" & <b>\\n\xc3\xa9', "
        "'gpt-realtime-mini', 'cedar', 'Hello!', 'pcm')",
        organization_b);
    size_t orders = edge.orders_count;
    struct world_answer answer =
        call_in(WORLD_TOKEN, "/api/twilio/incoming-call", new_call(call_sid), NUMBER_B);
    assert_int_equal(answer.status, 200);
    world_answer_free(&answer);
    const json_t *plan = json_object_get(edge.orders[orders], "plan");
    const json_t *ai = json_object_get(plan, "ai");
    assert_string_equal(text_of(plan, "organization"), organization_b);
    assert_string_equal(text_of(ai, "instructions"), "Say \"hi\" & <b>\n\xc3\xa9");
    assert_string_equal(text_of(ai, "model"), "gpt-realtime-mini");
    assert_string_equal(text_of(ai, "voice"), "cedar");
    assert_string_equal(text_of(ai, "greeting"), "Hello!");
    assert_string_equal(text_of(ai, "format"), "pcm");
}

/* ---- the door ---- */

static struct world_answer ask_http(const char *method, const char *target, const char *headers,
                                    const char *body)
{
    char json[2048];
    snprintf(json, sizeof json,
             "{\"kind\":\"http\",\"method\":\"%s\",\"target\":\"%s\",\"peer\":\"192.0.2.1\","
             "\"headers\":{%s},\"deadline_ms\":15000}",
             method, target, headers);
    return world_ask(&edge, json, body, strlen(body));
}

#define FORM_HEADER "\"content-type\":\"application/x-www-form-urlencoded\""

static void expect_http(int status, const char *method, const char *target, const char *headers,
                        const char *body)
{
    struct world_answer answer = ask_http(method, target, headers, body);
    if (answer.status != status)
        fail_msg("%s %s: %d instead of %d", method, target, answer.status, status);
    assert_non_null(answer.content_type);
    assert_memory_equal(answer.content_type, "text/plain", 10);
    if (status == 405)
        assert_string_equal(answer.allow, "POST");
    world_answer_free(&answer);
}

static void strangers_are_refused(void **state)
{
    (void)state;
    static const char *const path = "/api/twilio/incoming-call";
    static const char *const signed_form =
        FORM_HEADER ",\"x-twilio-signature\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAA=\"";
    char call_sid[35];
    expect_http(403, "POST", path, FORM_HEADER, "AccountSid=" WORLD_ACCOUNT);
    expect_http(403, "POST", path, signed_form, "AccountSid=" WORLD_ACCOUNT);
    expect_http(403, "POST", path, signed_form, "AccountSid=AC00000000000000000000000000000bad");
    expect_http(403, "POST", path, signed_form, "AccountSid=AC000000000000000000000000000000bb");
    expect_http(403, "POST", path, signed_form, "");
    expect_http(403, "POST", path, "", "");
    expect_http(400, "POST", path, signed_form, "AccountSid=%zz");
    expect_http(403, "POST", path, "\"content-type\":\"application/json\"", "{}");
    expect_http(400, "POST", path,
                "\"content-type\":\"application/json\",\"x-twilio-signature\":\"AAAA\"", "{}");
    expect_http(405, "GET", path, "", "");
    expect_http(405, "PUT", path, "", "");
    expect_http(404, "POST", "/api/twilio/incoming-calls", signed_form, "");
    expect_http(404, "POST", "/api/twilio/incoming-call/", signed_form, "");
    expect_http(404, "GET", "/", "", "");
    struct world_answer answer = call_in("another-token", path, new_call(call_sid), NUMBER_A);
    assert_int_equal(answer.status, 403);
    assert_int_equal(rows_of(call_sid), 0);
    world_answer_free(&answer);
}

/* Counts on both sides: of what this address sends without a signature, or with a wrong one, so
 * much is refused, the rest put off, and none of it asks the database anything. Behind the same
 * address the carrier is answered. */
static void a_flood_is_put_off_and_the_carrier_is_not(void **state)
{
    (void)state;
    enum { SENT = 1000 };
    static const char *const headers[] = {
        FORM_HEADER, FORM_HEADER ",\"x-twilio-signature\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAA=\""};
    char json[512], call_sid[35];
    unsigned refused = 0, put_off = 0;
    for (unsigned i = 0; i < SENT; i++) {
        snprintf(json, sizeof json,
                 "{\"kind\":\"http\",\"method\":\"POST\",\"target\":\"/api/twilio/incoming-call\","
                 "\"headers\":{%s},\"deadline_ms\":20000}",
                 headers[i % 2]);
        struct world_answer answer = world_ask(&edge, json, "AccountSid=" WORLD_ACCOUNT,
                                               strlen("AccountSid=" WORLD_ACCOUNT));
        refused += answer.status == 403;
        put_off += answer.status == 429 && answer.retry_after && answer.retry_after[0] != '0';
        world_answer_free(&answer);
    }
    print_message("%u refused, %u put off\n", refused, put_off);
    assert_int_equal(refused + put_off, SENT);
    assert_true(put_off > 0 && refused > 0);
    struct world_answer answer =
        call_in(WORLD_TOKEN, "/api/twilio/incoming-call", new_call(call_sid), NUMBER_A);
    assert_int_equal(answer.status, 200);
    assert_int_equal(rows_of(call_sid), 1);
    world_answer_free(&answer);
}

static void malformed_calls_are_refused_after_their_signature(void **state)
{
    (void)state;
    struct world_answer answer =
        world_post(&edge, WORLD_TOKEN, "/api/twilio/incoming-call",
                   world_form({"AccountSid", WORLD_ACCOUNT}, {"CallSid", "CAnonsense"},
                              {"From", "+15550177"}, {"To", NUMBER_A}));
    assert_int_equal(answer.status, 400);
    world_answer_free(&answer);
    answer = world_post(&edge, WORLD_TOKEN, "/api/twilio/status-callback",
                        world_form({"AccountSid", WORLD_ACCOUNT}, {"To", NUMBER_A}));
    assert_int_equal(answer.status, 400);
    world_answer_free(&answer);
}

static void the_query_is_signed_and_the_old_token_still_good(void **state)
{
    (void)state;
    char call_sid[35];
    struct world_answer answer = call_in(WORLD_TOKEN_OLD, "/api/twilio/incoming-call?x=%27y&z=1",
                                         new_call(call_sid), NUMBER_A);
    assert_int_equal(answer.status, 200);
    world_answer_free(&answer);
    assert_int_equal(rows_of(call_sid), 1);
}

/* What the carrier sends must never be an SQL error, a crash or a changed meaning. */
static void odd_texts_do_no_harm(void **state)
{
    (void)state;
    static const char *const odd[] = {"anonymous",
                                      "client:o'hara",
                                      "sip:x@y.example;a=\"b\"",
                                      "'; DROP TABLE conversations; --",
                                      "\xff\xfe",
                                      "\\u0000 \\ % _ \x01\x7f",
                                      ""};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        char call_sid[35];
        struct world_answer answer = world_post(
            &edge, WORLD_TOKEN, "/api/twilio/incoming-call",
            world_form({"AccountSid", WORLD_ACCOUNT}, {"CallSid", new_call(call_sid)},
                       {"CallStatus", "ringing"}, {"From", odd[i]}, {"To", NUMBER_A},
                       {"Direction", odd[i]}, {"Timestamp", odd[i]}, {"SequenceNumber", odd[i]},
                       {"CallDuration", "99999999999999999999"}));
        assert_int_equal(answer.status, 200);
        world_answer_free(&answer);
        assert_int_equal(rows_of(call_sid), 1);
    }
}

/* ---- status callbacks ---- */

static void send_status(const char *call_sid, const char *status, const char *sequence,
                        const char *duration)
{
    struct world_answer answer = world_post(
        &edge, WORLD_TOKEN, "/api/twilio/status-callback",
        world_form({"AccountSid", WORLD_ACCOUNT}, {"CallSid", call_sid}, {"CallStatus", status},
                   {"SequenceNumber", sequence}, {"CallDuration", duration}, {"From", "+15550177"},
                   {"To", NUMBER_A}, {"Timestamp", "Fri, 17 Mar 2023 11:28:31 +0000"}));
    assert_int_equal(answer.status, 204);
    world_answer_free(&answer);
}

/* All 24 orders of the four callbacks, each sent twice, with the call's own webhook at the front,
 * at the end and in between. */
static void every_order_gives_one_record(void **state)
{
    (void)state;
    static const struct {
        const char *status, *sequence, *duration;
    } callbacks[] = {{"initiated", "0", ""},
                     {"ringing", "1", ""},
                     {"in-progress", "2", ""},
                     {"completed", "3", "49"}};
    for (unsigned order = 0; order < 24; order++) {
        unsigned left[] = {0, 1, 2, 3}, rest = order;
        char call_sid[35];
        new_call(call_sid);
        for (unsigned count = 4; count > 0; count--) {
            unsigned chosen = left[rest % count];
            left[rest % count] = left[count - 1];
            rest /= count;
            if (order % 4 == count - 1) {
                struct world_answer answer =
                    call_in(WORLD_TOKEN, "/api/twilio/incoming-call", call_sid, NUMBER_A);
                assert_int_equal(answer.status, 200);
                world_answer_free(&answer);
            }
            for (int twice = 0; twice < 2; twice++)
                send_status(call_sid, callbacks[chosen].status, callbacks[chosen].sequence,
                            callbacks[chosen].duration);
        }
        assert_string_equal(world_query("SELECT call_status, duration_ms, disconnection_reason "
                                        "FROM conversations WHERE call_sid = '%s'",
                                        call_sid),
                            "completed|49000|completed");
        world_hang_up(&edge); /* so that its orders are forgotten */
        world_connect(&edge, &control, "edge-1", 4);
    }
}

static void a_messages_callback_is_told_apart(void **state)
{
    (void)state;
    struct world_answer answer = world_post(
        &edge, WORLD_TOKEN, "/api/twilio/status-callback",
        world_form({"AccountSid", WORLD_ACCOUNT},
                   {"MessageSid", "SM00000000000000000000000000000001"},
                   {"MessageStatus", "delivered"}, {"To", "+15550177"}, {"From", NUMBER_A}));
    assert_int_equal(answer.status, 204);
    assert_int_equal(answer.body_bytes, 0);
    world_answer_free(&answer);
}

static struct world_answer text_us(const char *account, const char *sid, const char *to)
{
    return world_post(&edge, WORLD_TOKEN, "/api/twilio/incoming-sms",
                      world_form({"AccountSid", account}, {"MessageSid", sid}, {"From", "72345"},
                                 {"To", to}, {"Body", "Caf\xc3\xa9 at 6\xff?"}, {"NumMedia", "1"}));
}

/* It is answered with no reply, and is on record, however often it comes. */
static void a_text_message_is_on_record_once(void **state)
{
    static const char sid[] = "SM00000000000000000000000000000009";
    struct world_twiml twiml;
    (void)state;
    for (int times = 0; times < 3; times++) {
        struct world_answer answer = text_us(WORLD_ACCOUNT, sid, NUMBER_A);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.content_type, "text/xml; charset=utf-8");
        world_read_twiml(&answer, &twiml);
        assert_string_equal(twiml.verbs, "");
        world_answer_free(&answer);
    }
    assert_string_equal(world_query("SELECT o.name, from_number, to_number, body, media_count, "
                                    "parameters ->> 'NumMedia' FROM received_texts t JOIN "
                                    "organizations o ON o.id = t.organization_id"),
                        "Webhook A|72345|" NUMBER_A "|Caf\xc3\xa9 at 6\xef\xbf\xbd?|1|1");
    struct world_answer answer = text_us(WORLD_ACCOUNT, sid, "+15550199");
    assert_int_equal(answer.status, 200); /* nobody's number: no reply, and nothing to repeat */
    world_answer_free(&answer);
    answer = text_us(WORLD_ACCOUNT, "CA00000000000000000000000000000009", NUMBER_A);
    assert_int_equal(answer.status, 400);
    world_answer_free(&answer);
    assert_string_equal(world_query("SELECT count(*) FROM received_texts"), "1");
}

static void a_stream_reports_too(void **state)
{
    (void)state;
    char call_sid[35];
    struct world_answer answer =
        call_in(WORLD_TOKEN, "/api/twilio/incoming-call", new_call(call_sid), NUMBER_A);
    world_answer_free(&answer);
    for (int twice = 0; twice < 2; twice++) {
        answer = world_post(&edge, WORLD_TOKEN, "/api/twilio/stream-status",
                            world_form({"AccountSid", WORLD_ACCOUNT}, {"CallSid", call_sid},
                                       {"StreamSid", "MZ00000000000000000000000000000001"},
                                       {"StreamEvent", "stream-error"},
                                       {"StreamError", "31920 handshake"},
                                       {"Timestamp", "2024-11-29T00:09:39.602648368Z"}));
        assert_int_equal(answer.status, 204);
        world_answer_free(&answer);
    }
    assert_string_equal(world_query("SELECT count(*) FROM call_events e JOIN conversations c ON "
                                    "c.id = e.conversation_id WHERE call_sid = '%s' AND "
                                    "e.body::text LIKE '%%31920 handshake%%'",
                                    call_sid),
                        "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_gets_its_stream_and_the_edge_its_plan),
        cmocka_unit_test(every_alias_is_the_same_webhook),
        cmocka_unit_test(the_same_webhook_twice_is_one_call),
        cmocka_unit_test(a_call_that_is_over_is_not_connected_again),
        cmocka_unit_test(an_unknown_number_is_refused_in_words),
        cmocka_unit_test(the_rows_own_configuration_makes_the_plan),
        cmocka_unit_test(strangers_are_refused),
        cmocka_unit_test(malformed_calls_are_refused_after_their_signature),
        cmocka_unit_test(the_query_is_signed_and_the_old_token_still_good),
        cmocka_unit_test(odd_texts_do_no_harm),
        cmocka_unit_test(every_order_gives_one_record),
        cmocka_unit_test(a_messages_callback_is_told_apart),
        cmocka_unit_test(a_text_message_is_on_record_once),
        cmocka_unit_test(a_stream_reports_too),
        cmocka_unit_test(
            a_flood_is_put_off_and_the_carrier_is_not), /* last: its address is tired */
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
