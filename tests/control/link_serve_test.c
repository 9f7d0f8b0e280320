/* The link against a real control: events stored once and in order over kills and restarts, tickets
 * admitted once, organisations apart, links that misbehave, the end of the process. */
#include "tests/control/webhook_world.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NUMBER_A "+15550300"
#define NUMBER_B "+15550400"

static struct world_control control;
static char organization_a[37], organization_b[37];

static int set_up(void **state)
{
    (void)state;
    world_start(&control);
    world_organization("Link A", NUMBER_A, organization_a);
    world_organization("Link B", NUMBER_B, organization_b);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return world_end(&control);
}

/* A call that was answered, with what is needed to go on with it. */
struct call {
    char call_sid[35], id[37];
    const char *organization;
    struct world_twiml twiml;
};

static struct call take_call(struct world_edge *edge, const char *number, const char *organization)
{
    static unsigned count;
    struct call call = {.organization = organization};
    snprintf(call.call_sid, sizeof call.call_sid, "CA%032x", 0x200000 + ++count);
    struct world_answer answer =
        world_post(edge, WORLD_TOKEN, "/api/twilio/incoming-call",
                   world_form({"AccountSid", WORLD_ACCOUNT}, {"CallSid", call.call_sid},
                              {"CallStatus", "ringing"}, {"From", "+15550177"}, {"To", number},
                              {"Direction", "inbound"}));
    world_read_twiml(&answer, &call.twiml);
    world_answer_free(&answer);
    snprintf(call.id, sizeof call.id, "%s",
             world_query("SELECT id FROM conversations WHERE call_sid = '%s'", call.call_sid));
    return call;
}

#define EVENT "{\"call\":\"%s\",\"organization\":\"%s\",\"seq\":%u,\"at_ms\":1800000000000,"

static void say(struct world_edge *edge, uint64_t number, const struct call *call, unsigned seq,
                const char *text)
{
    world_event(edge, number,
                EVENT "\"kind\":\"message\",\"role\":\"%s\",\"item_id\":\"item_%u\","
                      "\"text\":\"%s\",\"interrupted\":false}",
                call->id, call->organization, seq, seq % 2 ? "user" : "assistant", seq, text);
}

static void start_stream(struct world_edge *edge, uint64_t number, const struct call *call)
{
    world_event(edge, number,
                EVENT "\"kind\":\"started\",\"call_sid\":\"%s\",\"stream_sid\":\"MZ1\","
                      "\"account_sid\":\"" WORLD_ACCOUNT "\",\"media_format\":{},"
                      "\"parameters\":{},\"ticket\":\"%s\"}",
                call->id, call->organization, 1, call->call_sid, world_ticket(&call->twiml));
}

static void end_stream(struct world_edge *edge, uint64_t number, const struct call *call,
                       unsigned seq, const char *reason)
{
    world_event(edge, number,
                EVENT "\"kind\":\"ended\",\"reason\":\"%s\",\"duration_ms\":4321,"
                      "\"figures\":{\"frames_up\":216}}",
                call->id, call->organization, seq, reason);
}

static const char *transcript(const struct call *call)
{
    return world_query("SELECT string_agg(role || ':' || content, ' ' ORDER BY seq) "
                       "FROM conversation_messages WHERE conversation_id = '%s'",
                       call->id);
}

/* ---- events ---- */

static void a_call_is_recorded(void **state)
{
    (void)state;
    struct world_edge edge;
    world_connect(&edge, &control, "edge-1", 2);
    struct call call = take_call(&edge, NUMBER_A, organization_a);
    start_stream(&edge, 1, &call);
    say(&edge, 2, &call, 2, "Good day.");
    say(&edge, 3, &call, 3, "Hello, caf\xc3\xa9?");
    end_stream(&edge, 4, &call, 4, "caller_hung_up");
    world_await_acks(&edge, 4);
    assert_int_equal(edge.acked_last, 4);
    assert_string_equal(transcript(&call), "assistant:Good day. user:Hello, caf\xc3\xa9?");
    assert_string_equal(world_query("SELECT ended_reason, stream_duration_ms, call_status, "
                                    "metadata ->> 'stream_sid' FROM conversations WHERE id = '%s'",
                                    call.id),
                        "caller_hung_up|4321|completed|MZ1");
    assert_string_equal(
        world_query("SELECT count(*) FROM call_events WHERE body::text LIKE '%%%s%%'",
                    world_ticket(&call.twiml)),
        "0");
    world_hang_up(&edge);
}

static void doubles_and_strays_are_acknowledged_and_change_nothing(void **state)
{
    (void)state;
    struct world_edge edge;
    world_connect(&edge, &control, "edge-1", 2);
    struct call call = take_call(&edge, NUMBER_A, organization_a);
    say(&edge, 1, &call, 1, "once");
    say(&edge, 2, &call, 1, "twice");
    world_event(&edge, 3, "{\"nonsense\":true}");
    world_event(&edge, 4, "not even JSON");
    world_event(&edge, 5, EVENT "\"kind\":\"ended\",\"reason\":\"bored\",\"duration_ms\":1}",
                call.id, organization_a, 2);
    struct call stolen = call;
    stolen.organization = organization_b; /* another's call under one's own organisation */
    say(&edge, 6, &stolen, 7, "stolen");
    say(&edge, 7, &call, 8, "after all that");
    world_await_acks(&edge, 7);
    assert_string_equal(transcript(&call), "user:once assistant:after all that");
    world_hang_up(&edge);
}

/* Many at once, of several calls mixed: each stored once, acknowledged in order. */
static void a_flood_is_stored_in_order(void **state)
{
    (void)state;
    enum { CALLS = 4, EVENTS = 400 };
    struct world_edge edge;
    struct call calls[CALLS];
    world_connect(&edge, &control, "edge-1", 2);
    for (unsigned i = 0; i < CALLS; i++)
        calls[i] = take_call(&edge, NUMBER_A, organization_a);
    for (unsigned i = 0; i < CALLS * EVENTS; i++)
        say(&edge, i + 1, &calls[i % CALLS], i / CALLS + 1, "x");
    world_await_acks(&edge, CALLS * EVENTS);
    assert_int_equal(edge.acked_last, CALLS * EVENTS);
    for (unsigned i = 0; i < CALLS; i++)
        assert_string_equal(world_query("SELECT count(*), min(seq), max(seq) FROM "
                                        "conversation_messages WHERE conversation_id = '%s'",
                                        calls[i].id),
                            "400|1|400");
    world_hang_up(&edge);
}

/* ---- kill -9 ---- */

static void killed_in_the_middle_nothing_is_lost_or_doubled(void **state)
{
    (void)state;
    enum { EVENTS = 600 };
    struct world_edge edge;
    world_connect(&edge, &control, "edge-1", 2);
    struct call call = take_call(&edge, NUMBER_A, organization_a);
    uint64_t acked = 0;
    for (unsigned life = 0; life < 3; life++) {
        for (unsigned seq = (unsigned)acked + 1; seq <= EVENTS; seq++)
            say(&edge, seq, &call, seq, "kept");
        uint64_t before = life < 2 ? EVENTS / 3 * (life + 1) : EVENTS;
        edge.acked = acked;
        world_await_acks(&edge, before);
        acked = edge.acked_last;
        if (life == 2)
            break;
        int status = world_stop(&control, SIGKILL);
        assert_true(WIFSIGNALED(status));
        world_hang_up(&edge);
        world_start(&control); /* over the socket file that the dead one left */
        world_connect(&edge, &control, "edge-1", 2);
    }
    assert_int_equal(acked, EVENTS);
    assert_string_equal(world_query("SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM "
                                    "conversation_messages WHERE conversation_id = '%s'",
                                    call.id),
                        "600|600|1|600");
    world_hang_up(&edge);
}

/* ---- two organisations, two edges ---- */

static void two_organisations_leave_no_trace_of_each_other(void **state)
{
    (void)state;
    struct world_edge one, other;
    world_connect(&one, &control, "edge-1", 2);
    world_connect(&other, &control, "edge-2", 8);
    struct call a = take_call(&one, NUMBER_A, organization_a);
    struct call b = take_call(&other, NUMBER_B, organization_b);
    assert_int_equal(one.orders_count, 1);
    assert_int_equal(other.orders_count, 1);
    for (unsigned seq = 1; seq <= 20; seq++) {
        say(&one, seq, &a, seq, "of A");
        say(&other, seq, &b, seq, "of B");
    }
    world_await_acks(&one, 20);
    world_await_acks(&other, 20);
    assert_string_equal(world_query("SELECT count(*), count(DISTINCT content), min(content), "
                                    "min(organization_id::text) = '%s' FROM conversation_messages "
                                    "WHERE conversation_id = '%s'",
                                    organization_a, a.id),
                        "20|1|of A|t");
    assert_string_equal(world_query("SELECT count(*), count(DISTINCT content), min(content), "
                                    "min(organization_id::text) = '%s' FROM conversation_messages "
                                    "WHERE conversation_id = '%s'",
                                    organization_b, b.id),
                        "20|1|of B|t");
    world_hang_up(&one);
    world_hang_up(&other);
}

/* ---- after the stream ---- */

static void ask_after(struct world_edge *edge, const struct call *call, struct world_twiml *twiml)
{
    struct world_answer answer = world_post(
        edge, WORLD_TOKEN, "/api/twilio/after-stream",
        world_form({"AccountSid", WORLD_ACCOUNT}, {"CallSid", call->call_sid},
                   {"CallStatus", "in-progress"}, {"From", "+15550177"}, {"To", NUMBER_A}));
    world_read_twiml(&answer, twiml);
    world_answer_free(&answer);
}

/* The ending is reported on the same link just before the question, and must count. */
static void after_the_stream_the_ending_decides(void **state)
{
    (void)state;
    static const struct {
        const char *reason, *verbs;
    } rows[] = {{"caller_hung_up", "Hangup "}, {"agent_hung_up", "Hangup "},
                {"ai_lost", "Say Hangup "},    {"internal", "Redirect "},
                {"carrier_silent", "Hangup "}, {"ai_unreachable", "Say Hangup "},
                {"duration_limit", "Hangup "}};
    struct world_edge edge;
    world_connect(&edge, &control, "edge-1", 2);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct call call = take_call(&edge, NUMBER_A, organization_a);
        struct world_twiml twiml;
        start_stream(&edge, 2 * i + 1, &call);
        end_stream(&edge, 2 * i + 2, &call, 2, rows[i].reason);
        ask_after(&edge, &call, &twiml);
        assert_string_equal(twiml.verbs, rows[i].verbs);
    }
    world_hang_up(&edge);
}

static void after_a_stream_nobody_knows_comes_a_hangup(void **state)
{
    (void)state;
    struct world_edge edge;
    struct world_twiml twiml;
    struct call call = {.call_sid = "CA000000000000000000000000000fffff"};
    world_connect(&edge, &control, "edge-1", 2);
    struct world_answer answer =
        world_post(&edge, WORLD_TOKEN, "/api/twilio/after-stream",
                   world_form({"AccountSid", WORLD_ACCOUNT}, {"CallSid", call.call_sid}));
    world_read_twiml(&answer, &twiml);
    assert_string_equal(twiml.verbs, "Hangup ");
    world_answer_free(&answer);
    world_hang_up(&edge);
}

/* ---- tickets that an edge was not told about ---- */

static int admit(struct world_edge *edge, const char *ticket, const char *signature,
                 const char *error, json_t **plan)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"kind\":\"admit\",\"ticket\":\"%s\",\"signature\":\"%s\",\"deadline_ms\":15000}",
             ticket, signature);
    struct world_answer answer = world_ask(edge, json, NULL, 0);
    int status = answer.status;
    if (error)
        assert_string_equal(json_string_value(json_object_get(answer.object, "error")), error);
    if (plan)
        *plan = json_deep_copy(json_object_get(answer.object, "plan"));
    world_answer_free(&answer);
    return status;
}

static void a_ticket_is_admitted_once(void **state)
{
    (void)state;
    struct world_edge one, other;
    char signature[29], slash[600], slashed[29];
    json_t *plan;
    world_connect(&one, &control, "edge-1", 64);
    world_connect(&other, &control, "edge-2", 1); /* fewer cores than the ticket may name */
    struct call call = take_call(&one, NUMBER_A, organization_a);
    const char *ticket = world_ticket(&call.twiml);
    world_sign(WORLD_TOKEN, call.twiml.stream_url, NULL, 0, signature);
    snprintf(slash, sizeof slash, "%s/", call.twiml.stream_url);
    world_sign(WORLD_TOKEN, slash, NULL, 0, slashed);
    assert_int_equal(admit(&other, ticket, "", "signature_invalid", NULL), 403);
    assert_int_equal(
        admit(&other, ticket, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "signature_invalid", NULL), 403);
    assert_int_equal(admit(&other, ticket, slashed, NULL, &plan), 200);
    assert_string_equal(json_string_value(json_object_get(plan, "call")), call.id);
    assert_string_equal(json_string_value(json_object_get(plan, "call_sid")), call.call_sid);
    assert_string_equal(json_string_value(json_object_get(plan, "organization")), organization_a);
    assert_int_equal(json_integer_value(json_object_get(plan, "home_core")), 0);
    assert_int_equal(strlen(json_string_value(json_object_get(plan, "ticket"))), 123);
    json_decref(plan);
    assert_int_equal(admit(&other, ticket, signature, "ticket_used", NULL), 403);
    assert_int_equal(admit(&one, ticket, signature, "ticket_used", NULL), 403);
    world_hang_up(&one);
    world_hang_up(&other);
}

static void a_started_stream_uses_its_ticket_up(void **state)
{
    (void)state;
    struct world_edge edge;
    char signature[29];
    world_connect(&edge, &control, "edge-1", 2);
    struct call call = take_call(&edge, NUMBER_A, organization_a);
    start_stream(&edge, 1, &call);
    world_await_acks(&edge, 1);
    world_sign(WORLD_TOKEN, call.twiml.stream_url, NULL, 0, signature);
    assert_int_equal(admit(&edge, world_ticket(&call.twiml), signature, "ticket_used", NULL), 403);
    world_hang_up(&edge);
}

static void forged_and_outlived_tickets_are_refused(void **state)
{
    (void)state;
    struct world_edge edge;
    char signature[29], forged[128];
    world_connect(&edge, &control, "edge-1", 2);
    struct call call = take_call(&edge, NUMBER_A, organization_a);
    world_sign(WORLD_TOKEN, call.twiml.stream_url, NULL, 0, signature);
    snprintf(forged, sizeof forged, "%s", world_ticket(&call.twiml));
    forged[60] = forged[60] == 'A' ? 'B' : 'A';
    assert_int_equal(admit(&edge, forged, signature, "ticket_invalid", NULL), 403);
    assert_int_equal(admit(&edge, "", signature, "ticket_invalid", NULL), 403);
    struct world_answer answer =
        world_post(&edge, WORLD_TOKEN, "/api/twilio/status-callback",
                   world_form({"AccountSid", WORLD_ACCOUNT}, {"CallSid", call.call_sid},
                              {"CallStatus", "completed"}));
    assert_int_equal(answer.status, 204);
    world_answer_free(&answer);
    assert_int_equal(admit(&edge, world_ticket(&call.twiml), signature, "unknown_call", NULL), 403);
    world_hang_up(&edge);
}

/* ---- orders ---- */

static const char *order(const struct call *call, const char *body)
{
    return world_query(
        "SELECT coalesce(id::text, why) FROM order_call('%s', '%s', 'tester', 60000)", call->id,
        body);
}

static void await_order_state(const char *id, const char *expected)
{
    for (unsigned waited_ms = 0; waited_ms < WORLD_WAIT_MS; waited_ms += 20) {
        if (strcmp(world_query("SELECT concat_ws(' ', state, error) FROM call_orders WHERE id = "
                               "'%s'",
                               id),
                   expected) == 0)
            return;
        poll(NULL, 0, 20);
    }
    fail_msg("the order never became %s", expected);
}

static void an_order_reaches_the_edge_that_carries_the_call(void **state)
{
    (void)state;
    struct world_edge edge;
    char id[64];
    world_connect(&edge, &control, "edge-1", 2);
    struct call call = take_call(&edge, NUMBER_A, organization_a);
    static const char say[] = "{\"kind\":\"say\",\"text\":\"Goodbye.\",\"interruptible\":true}";
    static const char pause[] = "{\"kind\":\"record\",\"action\":\"pause\"}";
    assert_string_equal(order(&call, say), "not_live"); /* no stream yet */
    start_stream(&edge, 1, &call);
    world_await_acks(&edge, 1);
    size_t orders = edge.orders_count;

    snprintf(id, sizeof id, "%s", order(&call, say));
    world_await_orders(&edge, orders + 1);
    const json_t *came = edge.orders[orders];
    assert_string_equal(json_string_value(json_object_get(came, "kind")), "say");
    assert_string_equal(json_string_value(json_object_get(came, "text")), "Goodbye.");
    assert_string_equal(json_string_value(json_object_get(came, "call")), call.id);
    await_order_state(id, "done");

    edge.refuse_orders = true;
    snprintf(id, sizeof id, "%s", order(&call, pause));
    world_await_orders(&edge, orders + 2);
    await_order_state(id, "refused no room");
    assert_string_equal(
        world_query("SELECT string_agg(body ->> 'kind' || ' by ' || (body ->> 'by'), "
                    "', ' ORDER BY id) FROM call_events WHERE conversation_id = "
                    "'%s' AND source = 'operator'",
                    call.id),
        "say by tester, record by tester");

    /* an order for an edge that is elsewhere stays where it is */
    world_query("UPDATE conversations SET metadata = metadata || '{\"edge_run\":"
                "\"99999999-2222-4333-8444-555555555555\"}' WHERE id = '%s'",
                call.id);
    snprintf(id, sizeof id, "%s", order(&call, pause));
    end_stream(&edge, 2, &call, 2, "caller_hung_up");
    world_await_acks(&edge, 2);
    assert_int_equal(edge.orders_count, orders + 2);
    await_order_state(id, "waiting");
    assert_string_equal(order(&call, say), "over");
    world_hang_up(&edge);
}

/* The job is made in the transaction that puts the event on record, once. */
static void a_finished_recording_becomes_a_job(void **state)
{
    (void)state;
    struct world_edge edge;
    world_connect(&edge, &control, "edge-1", 2);
    struct call call = take_call(&edge, NUMBER_A, organization_a);
    start_stream(&edge, 1, &call);
    for (uint64_t number = 2; number < 4; number++)
        world_event(&edge, number,
                    EVENT "\"kind\":\"recording\",\"file\":\"%s.1800000000000.spool\","
                          "\"samples\":16000,\"lost_samples\":0}",
                    call.id, call.organization, 2, call.id);
    world_event(&edge, 4, EVENT "\"kind\":\"recording\",\"file\":7}", call.id, call.organization,
                3);
    world_await_acks(&edge, 4);
    assert_string_equal(
        world_query("SELECT concat_ws(' ', count(*), min(state), min(payload ->> 'edge'), "
                    "min(payload ->> 'file') = '%s.1800000000000.spool') FROM jobs WHERE "
                    "organization_id = '%s' AND kind = 'recording_encode'",
                    call.id, call.organization),
        "1 queued edge-1 t");
    world_hang_up(&edge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finished_recording_becomes_a_job),
        cmocka_unit_test(an_order_reaches_the_edge_that_carries_the_call),
        cmocka_unit_test(a_call_is_recorded),
        cmocka_unit_test(doubles_and_strays_are_acknowledged_and_change_nothing),
        cmocka_unit_test(a_flood_is_stored_in_order),
        cmocka_unit_test(killed_in_the_middle_nothing_is_lost_or_doubled),
        cmocka_unit_test(two_organisations_leave_no_trace_of_each_other),
        cmocka_unit_test(after_the_stream_the_ending_decides),
        cmocka_unit_test(after_a_stream_nobody_knows_comes_a_hangup),
        cmocka_unit_test(a_ticket_is_admitted_once),
        cmocka_unit_test(a_started_stream_uses_its_ticket_up),
        cmocka_unit_test(forged_and_outlived_tickets_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
