/* What is done with a call, step by step: webhooks against a real control and a real database. */
#include "tests/control/webhook_world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NUMBER  "+15550100"
#define NUMBER2 "+15550102"
#define STRANGE "+15550300"

static struct world_control control;
static struct world_edge edge;
static char organization[37], other[37];

static int set_up(void **state)
{
    (void)state;
    world_start(&control);
    world_connect(&edge, &control, "edge-1", 2);
    world_organization("Routes", NUMBER, organization);
    world_organization("Others", STRANGE, other);
    world_query("INSERT INTO phone_numbers (organization_id, phone_number) VALUES ('%s', '%s')",
                organization, NUMBER2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_hang_up(&edge);
    return world_end(&control);
}

static int forget_routes(void **state)
{
    (void)state;
    world_query("DELETE FROM call_routes");
    return 0;
}

static const char *new_sid(const char *prefix, char sid[35])
{
    static unsigned count;
    snprintf(sid, 35, "%s%032x", prefix, 0x700000 + ++count);
    return sid;
}

/* more: columns and values beyond organisation and step. */
static void add_route(const char *columns, const char *values, const char *step)
{
    world_query("INSERT INTO call_routes (organization_id, step%s) VALUES ('%s', '%s'%s)", columns,
                organization, step, values);
}

#define call_form(call_sid, to, ...)                                                               \
    world_form({"AccountSid", WORLD_ACCOUNT}, {"CallSid", call_sid},                               \
               {"CallStatus", "in-progress"}, {"Direction", "inbound"}, {"From", "+15550177"},     \
               {"To", to}, __VA_ARGS__)

/* Posts and expects these verbs; what was answered stays readable. */
#define expect_verbs(wanted, target, ...)                                                          \
    do {                                                                                           \
        struct world_answer answer = world_post(&edge, WORLD_TOKEN, target, __VA_ARGS__);          \
        struct world_twiml twiml;                                                                  \
        assert_int_equal(answer.status, 200);                                                      \
        world_read_twiml(&answer, &twiml);                                                         \
        if (strcmp(twiml.verbs, wanted) != 0)                                                      \
            fail_msg("%s: \"%s\" instead of \"%s\"", target, twiml.verbs, wanted);                 \
        world_answer_free(&answer);                                                                \
    } while (0)

static void begin_call(const char *call_sid, const char *to, const char *verbs)
{
    expect_verbs(verbs, "/api/twilio/incoming-call", call_form(call_sid, to, {"X", ""}));
}

static void nobody_there_then_a_message_is_left(void **state)
{
    (void)state;
    char call_sid[35], recording[35];
    add_route("", "", "{\"step\":\"dial\",\"to\":\"+15550101\",\"else\":{\"step\":\"voicemail\"}}");
    begin_call(new_sid("CA", call_sid), NUMBER, "Dial Number ");
    expect_verbs("Say Record Say Hangup ", "/api/twilio/call-step?at=route",
                 call_form(call_sid, NUMBER, {"DialCallStatus", "no-answer"}));
    expect_verbs("Say Record Say Hangup ", "/api/twilio/call-step?at=route", /* once more */
                 call_form(call_sid, NUMBER, {"DialCallStatus", "no-answer"}));
    expect_verbs("Say Hangup ", "/api/twilio/call-step?at=route.else",
                 call_form(call_sid, NUMBER, {"RecordingDuration", "9"}));
    new_sid("RE", recording);
    for (int round = 0; round < 2; round++) {
        struct world_answer answer = world_post(
            &edge, WORLD_TOKEN,
            round ? "/api/aloha/webhooks/voicemail-recorded" : "/api/twilio/voicemail-recording",
            world_form({"AccountSid", WORLD_ACCOUNT}, {"CallSid", call_sid},
                       {"RecordingSid", recording}, {"RecordingStatus", "completed"},
                       {"RecordingDuration", "9"}, {"RecordingUrl", "https://api.example.com/r"}));
        assert_int_equal(answer.status, 204);
        world_answer_free(&answer);
    }
    assert_string_equal(
        world_query("SELECT count(*), min(v.state), min(v.status), min(v.duration_ms), "
                    "min(v.from_number) FROM voicemails AS v JOIN conversations AS c "
                    "ON c.id = v.conversation_id WHERE c.call_sid = '%s'",
                    call_sid),
        "1|new|completed|9000|+15550177");
}

static void a_late_in_progress_does_not_undo_completed(void **state)
{
    (void)state;
    static const char *const statuses[] = {"completed", "in-progress"};
    char call_sid[35], recording[35];
    begin_call(new_sid("CA", call_sid), NUMBER, "Connect Stream Redirect ");
    new_sid("RE", recording);
    for (int i = 0; i < 2; i++) {
        struct world_answer answer =
            world_post(&edge, WORLD_TOKEN, "/api/twilio/recording-status",
                       world_form({"AccountSid", WORLD_ACCOUNT}, {"CallSid", call_sid},
                                  {"RecordingSid", recording}, {"RecordingStatus", statuses[i]},
                                  {"RecordingDuration", i ? "" : "61"}));
        assert_int_equal(answer.status, 204);
        world_answer_free(&answer);
    }
    assert_string_equal(world_query("SELECT recording_sid = '%s', recording_status, "
                                    "recording_duration_ms FROM conversations "
                                    "WHERE call_sid = '%s'",
                                    recording, call_sid),
                        "t|completed|61000");
}

static void a_recording_that_is_none_is_refused(void **state)
{
    (void)state;
    char call_sid[35];
    begin_call(new_sid("CA", call_sid), NUMBER, "Connect Stream Redirect ");
    struct world_answer answer =
        world_post(&edge, WORLD_TOKEN, "/api/twilio/voicemail-recording",
                   world_form({"AccountSid", WORLD_ACCOUNT}, {"CallSid", call_sid},
                              {"RecordingSid", "RE1"}, {"RecordingStatus", "completed"}));
    assert_int_equal(answer.status, 400);
    world_answer_free(&answer);
}

static void keys_lead_through_a_menu(void **state)
{
    (void)state;
    char call_sid[35];
    size_t orders = edge.orders_count;
    add_route("", "",
              "{\"step\":\"menu\",\"say\":\"One or hash\",\"keys\":{\"1\":{\"step\":\"agent\"},"
              "\"#\":{\"step\":\"queue\",\"queue\":\"sales\",\"else\":{\"step\":\"voicemail\"}}}}");
    begin_call(new_sid("CA", call_sid), NUMBER, "Gather Say ");
    expect_verbs("Gather Say ", "/api/twilio/call-step?at=route",
                 call_form(call_sid, NUMBER, {"Digits", "7"}));
    expect_verbs("Say Hangup ", "/api/twilio/call-step?at=route&tries=1",
                 call_form(call_sid, NUMBER, {"Digits", ""}));
    expect_verbs("Enqueue ", "/api/twilio/call-step?at=route",
                 call_form(call_sid, NUMBER, {"Digits", "#"}));
    expect_verbs("Say Say Pause ", "/api/twilio/queue-wait?at=route.keys.%23",
                 call_form(call_sid, NUMBER, {"QueuePosition", "3"}, {"QueueTime", "5"}));
    expect_verbs("Leave ", "/api/twilio/queue-wait?at=route.keys.%23",
                 call_form(call_sid, NUMBER, {"QueuePosition", "3"}, {"QueueTime", "1800"}));
    expect_verbs("Say Record Say Hangup ", "/api/twilio/call-step?at=route.keys.%23",
                 call_form(call_sid, NUMBER, {"QueueResult", "leave"}));
    assert_int_equal(edge.orders_count, orders); /* no AI was dialled for any of this */
    expect_verbs("Redirect ", "/api/twilio/call-step?at=route",
                 call_form(call_sid, NUMBER, {"Digits", "1"}));
    expect_verbs("Connect Stream Redirect ", "/api/twilio/incoming-call?at=agent",
                 call_form(call_sid, NUMBER, {"X", ""}));
    assert_int_equal(edge.orders_count, orders + 1);
}

static void a_call_keeps_the_route_it_began_with(void **state)
{
    (void)state;
    char call_sid[35];
    add_route("", "", "{\"step\":\"voicemail\"}");
    begin_call(new_sid("CA", call_sid), NUMBER, "Say Record Say Hangup ");
    world_query("UPDATE call_routes SET step = '{\"step\":\"reject\"}'");
    begin_call(call_sid, NUMBER, "Say Record Say Hangup ");
    begin_call(new_sid("CA", call_sid), NUMBER, "Reject ");
}

static void the_number_s_own_route_goes_before(void **state)
{
    (void)state;
    char call_sid[35];
    add_route(", position", ", 1", "{\"step\":\"hangup\",\"say\":\"Closed.\"}");
    add_route(", position, phone_number_id",
              ", 500, (SELECT id FROM phone_numbers WHERE phone_number = '" NUMBER2 "')",
              "{\"step\":\"voicemail\"}");
    begin_call(new_sid("CA", call_sid), NUMBER, "Say Hangup ");
    begin_call(new_sid("CA", call_sid), NUMBER2, "Say Record Say Hangup ");
    begin_call(new_sid("CA", call_sid), STRANGE, "Connect Stream Redirect ");
}

/* Of a Friday-to-Saturday night in Berlin, at these moments. */
static void the_week_is_read_by_the_route_s_clock(void **state)
{
    (void)state;
    static const struct {
        const char *moment;
        bool open;
    } rows[] = {{"2026-01-02 20:59+00", false}, {"2026-01-02 21:00+00", true},
                {"2026-01-03 04:59+00", true},  {"2026-01-03 05:00+00", false},
                {"2026-01-02 04:00+00", false}, /* Friday's morning belongs to Thursday */
                {"2026-07-03 20:00+00", true},  /* summer time */
                {"2026-07-04 04:00+00", false}};
    add_route(", days, opens, closes, time_zone", ", '{5}', '22:00', '06:00', 'Europe/Berlin'",
              "{\"step\":\"voicemail\"}");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(world_query("SELECT route_open(r, '%s') FROM call_routes AS r", rows[i].moment),
                   rows[i].open ? "t" : "f") != 0)
            fail_msg("%s", rows[i].moment);
}

static void what_the_database_does_not_take(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {{", days", ", '{}'"},
                                           {", days", ", '{8}'"},
                                           {", time_zone", ", 'Mars/Olympus'"},
                                           {", purpose", ", 'fun'"}};
    for (size_t i = 0; i < 4; i++)
        world_query("DO $$ BEGIN INSERT INTO call_routes (organization_id, step%s) VALUES ('%s', "
                    "'{\"step\":\"agent\"}'%s); RAISE EXCEPTION 'taken'; EXCEPTION WHEN "
                    "check_violation THEN NULL; END $$",
                    wrong[i][0], organization, wrong[i][1]);
    assert_string_equal(world_query("SELECT count(*) FROM call_routes"), "0");
}

/* ---- after a stream ---- */

static uint64_t events;

static void tell(const char *call_sid, const char *kind, unsigned seq, const char *more)
{
    char conversation[37];
    snprintf(conversation, sizeof conversation, "%s",
             world_query("SELECT id FROM conversations WHERE call_sid = '%s'", call_sid));
    world_event(&edge, ++events,
                "{\"kind\":\"%s\",\"call\":\"%s\",\"organization\":\"%s\",\"seq\":%u,"
                "\"at_ms\":1700000000000%s}",
                kind, conversation, organization, seq, more);
    world_await_acks(&edge, events);
}

#define STARTED ",\"stream_sid\":\"MZ0\",\"call_sid\":\"CA0\""

static void stream_ended(const char *call_sid, unsigned seq, const char *reason)
{
    char more[128];
    snprintf(more, sizeof more, ",\"reason\":\"%s\",\"duration_ms\":1000,\"figures\":{}", reason);
    tell(call_sid, "started", seq, STARTED);
    tell(call_sid, "ended", seq + 1, more);
}

#define expect_after(wanted, call_sid)                                                             \
    expect_verbs(wanted, "/api/twilio/after-stream", call_form(call_sid, NUMBER, {"X", ""}))

static void when_the_ai_fails_the_fallback_goes_on(void **state)
{
    (void)state;
    char call_sid[35];
    begin_call(new_sid("CA", call_sid), NUMBER, "Connect Stream Redirect ");
    stream_ended(call_sid, 1, "ai_lost");
    expect_after("Say Hangup ", call_sid); /* there is none: an apology */
    add_route(", purpose", ", 'fallback'", "{\"step\":\"dial\",\"to\":\"+15550101\"}");
    begin_call(new_sid("CA", call_sid), NUMBER, "Connect Stream Redirect ");
    stream_ended(call_sid, 1, "ai_lost");
    expect_after("Dial Number ", call_sid);
    expect_verbs("Say Hangup ", "/api/twilio/call-step?at=fallback",
                 call_form(call_sid, NUMBER, {"DialCallStatus", "busy"}));
    begin_call(new_sid("CA", call_sid), NUMBER, "Connect Stream Redirect ");
    stream_ended(call_sid, 1, "agent_hung_up"); /* as it should be: no fallback */
    expect_after("Hangup ", call_sid);
    begin_call(new_sid("CA", call_sid), NUMBER, "Connect Stream Redirect ");
    expect_after("Dial Number ", call_sid); /* the stream never came about */
}

static void a_call_whose_edge_died_comes_back_to_the_agent(void **state)
{
    (void)state;
    char call_sid[35];
    begin_call(new_sid("CA", call_sid), NUMBER, "Connect Stream Redirect ");
    tell(call_sid, "started", 1, STARTED); /* and never an end */
    expect_after("Redirect ", call_sid);
    begin_call(new_sid("CA", call_sid), NUMBER, "Connect Stream Redirect ");
    for (unsigned stream = 0; stream < 3; stream++) {
        stream_ended(call_sid, 10 * stream + 1, "drained");
        expect_after("Redirect ", call_sid);
    }
    stream_ended(call_sid, 100, "drained");
    expect_after("Hangup ", call_sid); /* enough */
}

static void what_was_noted_as_next_is_done(void **state)
{
    (void)state;
    char call_sid[35];
    begin_call(new_sid("CA", call_sid), NUMBER, "Connect Stream Redirect ");
    world_query("UPDATE conversations SET next_step = '{\"step\":\"dial\",\"to\":\"+15550101\","
                "\"else\":{\"step\":\"agent\"}}' WHERE call_sid = '%s'",
                call_sid);
    stream_ended(call_sid, 1, "transferred");
    expect_after("Dial Number ", call_sid);
    expect_verbs("Redirect ", "/api/twilio/call-step?at=next",
                 call_form(call_sid, NUMBER, {"DialCallStatus", "no-answer"}));
}

/* ---- legs ---- */

static void report_leg(const char *parent, const char *leg, const char *status, const char *number)
{
    struct world_answer answer = world_post(
        &edge, WORLD_TOKEN, "/api/twilio/status-callback",
        world_form({"AccountSid", WORLD_ACCOUNT}, {"CallSid", leg}, {"ParentCallSid", parent},
                   {"CallStatus", status}, {"Direction", "outbound-dial"}, {"From", NUMBER},
                   {"To", "+15550101"}, {"SequenceNumber", number}, {"CallDuration", "12"}));
    assert_int_equal(answer.status, 204);
    world_answer_free(&answer);
}

static void legs_hang_on_their_call(void **state)
{
    (void)state;
    char call_sid[35], leg[35], unknown[35];
    begin_call(new_sid("CA", call_sid), NUMBER, "Connect Stream Redirect ");
    new_sid("CA", leg);
    report_leg(call_sid, leg, "completed", "3");
    report_leg(call_sid, leg, "ringing", "1");
    report_leg(call_sid, leg, "in-progress", "2");
    assert_string_equal(world_query("SELECT l.call_status, l.duration_ms, l.to_number "
                                    "FROM call_legs AS l JOIN conversations AS c "
                                    "ON c.id = l.conversation_id WHERE c.call_sid = '%s'",
                                    call_sid),
                        "completed|12000|+15550101");
    report_leg(call_sid, leg, "ringing", "1"); /* told again */
    assert_string_equal(world_query("SELECT string_agg(e.body ->> 'leg_status', ' ' ORDER BY "
                                    "e.seq), max(e.body ->> 'leg') FROM call_events AS e JOIN "
                                    "conversations AS c ON c.id = e.conversation_id "
                                    "WHERE c.call_sid = '%s' AND e.kind = 'leg'",
                                    call_sid),
                        world_query("SELECT 'ringing in-progress completed', '%s'", leg));
    assert_string_equal(world_query("SELECT call_status, duration_ms IS NULL FROM conversations "
                                    "WHERE call_sid = '%s'",
                                    call_sid),
                        "in-progress|t"); /* the leg's end is not the call's */
    assert_string_equal(
        world_query("SELECT count(*) FROM conversations WHERE call_sid = '%s'", leg), "0");
    report_leg(new_sid("CA", unknown), new_sid("CA", leg), "ringing", "1");
    assert_string_equal(world_query("SELECT count(*) FROM call_legs WHERE call_sid = '%s'", leg),
                        "0");
}

/* ---- questions that mean nothing ---- */

static void odd_places_are_answered(void **state)
{
    (void)state;
    static const char *const queries[] = {"?at=route.else.else", "?at=next", "?at=%20%00",
                                          "?at=", "?at=route&tries=99999999999999999999"};
    char call_sid[35];
    begin_call(new_sid("CA", call_sid), NUMBER, "Connect Stream Redirect ");
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        char target[128];
        snprintf(target, sizeof target, "/api/twilio/call-step%s", queries[i]);
        struct world_answer answer =
            world_post(&edge, WORLD_TOKEN, target, call_form(call_sid, NUMBER, {"X", ""}));
        assert_true(answer.status == 200 || answer.status == 400);
        world_answer_free(&answer);
    }
    expect_verbs("Hangup ", "/api/twilio/call-step?at=route",
                 call_form(new_sid("CA", call_sid), "+15550999", {"X", ""}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nobody_there_then_a_message_is_left, forget_routes),
        cmocka_unit_test_setup(a_late_in_progress_does_not_undo_completed, forget_routes),
        cmocka_unit_test_setup(a_recording_that_is_none_is_refused, forget_routes),
        cmocka_unit_test_setup(keys_lead_through_a_menu, forget_routes),
        cmocka_unit_test_setup(a_call_keeps_the_route_it_began_with, forget_routes),
        cmocka_unit_test_setup(the_number_s_own_route_goes_before, forget_routes),
        cmocka_unit_test_setup(the_week_is_read_by_the_route_s_clock, forget_routes),
        cmocka_unit_test_setup(what_the_database_does_not_take, forget_routes),
        cmocka_unit_test_setup(when_the_ai_fails_the_fallback_goes_on, forget_routes),
        cmocka_unit_test_setup(a_call_whose_edge_died_comes_back_to_the_agent, forget_routes),
        cmocka_unit_test_setup(what_was_noted_as_next_is_done, forget_routes),
        cmocka_unit_test_setup(legs_hang_on_their_call, forget_routes),
        cmocka_unit_test_setup(odd_places_are_answered, forget_routes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
