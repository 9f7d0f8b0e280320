/* What an organisation may write as a step, the TwiML it becomes, and what follows. */
#include "control/base/hours.h"
#include "control/carrier/steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct steps_call call = {.public_url = "https://calls.example.com",
                                       .organization = "00000000-0000-0000-0000-00000000000a",
                                       .from = "+15550177",
                                       .to = "+15550100"};

static json_t *read(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    if (!json)
        fail_msg("the test's own JSON is wrong: %s", text);
    return json;
}

static void expect_wrong(const char *text, const char *word)
{
    char error[256] = "";
    json_t *step = read(text);
    assert_false(steps_check(step, error, sizeof error));
    if (!strstr(error, word))
        fail_msg("%s: \"%s\" does not speak of %s", text, error, word);
    json_decref(step);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    expect_wrong("{}", "one of agent");
    expect_wrong("[]", "JSON object");
    expect_wrong("{\"step\":\"fly\"}", "one of agent");
    expect_wrong("{\"step\":\"dial\"}", "needs \"to\"");
    expect_wrong("{\"step\":\"dial\",\"to\":\"15550101\"}", "E.164");
    expect_wrong("{\"step\":\"dial\",\"to\":[]}", "at most 10");
    expect_wrong("{\"step\":\"dial\",\"to\":\"+15550101\",\"ring_s\":4}", "5 to 120");
    expect_wrong("{\"step\":\"dial\",\"to\":\"+15550101\",\"ring_s\":121}", "5 to 120");
    expect_wrong("{\"step\":\"dial\",\"to\":\"+15550101\",\"caller_id\":\"me\"}", "caller_id");
    expect_wrong("{\"step\":\"dial\",\"to\":\"+15550101\",\"colour\":1}", "no \"colour\"");
    expect_wrong("{\"step\":\"menu\",\"say\":\"x\",\"keys\":{}}", "keys");
    expect_wrong("{\"step\":\"menu\",\"say\":\"x\",\"keys\":{\"12\":{\"step\":\"agent\"}}}", "12");
    expect_wrong("{\"step\":\"menu\",\"say\":\"x\",\"keys\":{\"1\":{\"step\":\"reject\"}}}",
                 "beginning");
    expect_wrong("{\"step\":\"queue\",\"queue\":\"Sales!\"}", "a-z");
    expect_wrong("{\"step\":\"queue\",\"queue\":\"sales\",\"music\":\"http://x.example/a\"}",
                 "https");
    expect_wrong("{\"step\":\"voicemail\",\"max_s\":3601}", "3600");
    expect_wrong("{\"step\":\"dial\",\"to\":\"+15550101\",\"briefing\":\"x\"}", "\"warm\": true");
    expect_wrong("{\"step\":\"dial\",\"to\":[\"+15550101\"],\"warm\":true}", "one number");
    expect_wrong("{\"step\":\"dial\",\"to\":\"+15550101\",\"warm\":true,\"record\":true}",
                 "no \"record\"");
    expect_wrong("{\"step\":\"dial\",\"to\":\"+15550101\",\"warm\":true,\"accept_s\":61}",
                 "3 to 60");
}

static void the_nesting_is_bounded(void **state)
{
    (void)state;
    char text[2048] = "", error[256];
    for (unsigned depth = 1; depth <= STEPS_DEPTH_MAX + 1; depth++) {
        text[0] = '\0';
        for (unsigned i = 1; i < depth; i++)
            strcat(text, "{\"step\":\"dial\",\"to\":\"+15550101\",\"else\":");
        strcat(text, "{\"step\":\"agent\"}");
        for (unsigned i = 1; i < depth; i++)
            strcat(text, "}");
        json_t *step = read(text);
        assert_int_equal(steps_check(step, error, sizeof error), depth <= STEPS_DEPTH_MAX);
        json_decref(step);
    }
}

static void write(const char *steps_text, const char *place, const struct steps_call *with,
                  char *text, size_t room)
{
    struct twiml twiml;
    json_t *steps = read(steps_text);
    twiml_open(&twiml, text, room);
    steps_write(&twiml, steps, place, with);
    assert_true(twiml_close(&twiml) > 0);
    json_decref(steps);
}

static void expect_in(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("%s\nlacks %s", text, part);
}

static void a_dial_says_all_it_means(void **state)
{
    (void)state;
    char text[8192];
    write("{\"route\":{\"step\":\"dial\",\"to\":[\"+15550101\",\"+15550102\"],\"ring_s\":15,"
          "\"say\":\"One & two\",\"record\":true}}",
          "route", &call, text, sizeof text);
    expect_in(text, "<Say>One &amp; two</Say><Dial ");
    expect_in(text, "action=\"https://calls.example.com/api/twilio/call-step?at=route#rc=5");
    expect_in(text, "answerOnBridge=\"true\" callerId=\"+15550177\" timeout=\"15\"");
    expect_in(text, "record=\"record-from-answer-dual\"");
    expect_in(text, ">+15550101</Number>");
    expect_in(text, ">+15550102</Number>");
}

#define WARM                                                                                       \
    "{\"next\":{\"step\":\"dial\",\"to\":\"+15550101\",\"warm\":true,\"say\":\"A moment.\","       \
    "\"limit_s\":600}}"
#define TRANSFER "11111111-1111-4111-8111-111111111111"

static void a_warm_dial_leads_into_a_conference(void **state)
{
    (void)state;
    char text[8192];
    struct steps_call warm = call;
    warm.transfer = TRANSFER;
    write(WARM, "next", &warm, text, sizeof text);
    expect_in(text, "<Say>A moment.</Say><Dial action=\"https://calls.example.com/api/twilio/"
                    "call-step?at=next&amp;transfer=" TRANSFER "#rc=5");
    expect_in(text, "timeLimit=\"600\"><Conference startConferenceOnEnter=\"false\" "
                    "endConferenceOnExit=\"true\"");
    expect_in(text,
              "waitUrl=\"https://calls.example.com/api/twilio/transfer-wait?transfer=" TRANSFER);
    expect_in(text, ">transfer-" TRANSFER "</Conference></Dial>");
    write(WARM, "next", &call, text, sizeof text); /* it could not be begun */
    expect_in(text, ">+15550101</Number>");
}

static void callers_without_a_number_are_shown_as_the_called_one(void **state)
{
    (void)state;
    char text[4096];
    struct steps_call anonymous = call;
    anonymous.from = "anonymous";
    write("{\"next\":{\"step\":\"dial\",\"to\":\"+15550101\"}}", "next", &anonymous, text,
          sizeof text);
    expect_in(text, "callerId=\"+15550100\"");
}

static void a_dial_to_the_called_number_is_passed_over(void **state)
{
    (void)state;
    char text[4096];
    write("{\"route\":{\"step\":\"dial\",\"to\":\"+15550100\",\"else\":{\"step\":\"voicemail\"}}}",
          "route", &call, text, sizeof text);
    assert_null(strstr(text, "<Dial"));
    expect_in(text, "<Record ");
    expect_in(text, "call-step?at=route.else#");
    write("{\"route\":{\"step\":\"dial\",\"to\":\"+15550100\"}}", "route", &call, text,
          sizeof text);
    expect_in(text, "<Hangup");
}

static void keys_are_escaped_in_places(void **state)
{
    (void)state;
    char text[4096];
    write("{\"route\":{\"step\":\"menu\",\"say\":\"x\",\"keys\":{\"#\":{\"step\":\"menu\",\"say\":"
          "\"y\",\"keys\":{\"*\":{\"step\":\"agent\"}}}}}}",
          "route.keys.#", &call, text, sizeof text);
    expect_in(text, "call-step?at=route.keys.%23#rc");
    write("{\"route\":{\"step\":\"menu\",\"say\":\"x\",\"keys\":{\"#\":{\"step\":\"agent\"}}}}",
          "route.keys.#", &call, text, sizeof text);
    expect_in(text, "incoming-call?at=agent");
}

static void places_that_lead_nowhere_end_the_call(void **state)
{
    (void)state;
    static const char *const places[] = {
        "",           "route.",          "route.keys",
        "route.else", "route.keys.9",    "route..keys",
        "next",       "route.keys.1.to", "route.averyveryverylongname"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char text[4096];
        write("{\"route\":{\"step\":\"menu\",\"say\":\"x\",\"keys\":{\"1\":{\"step\":\"dial\","
              "\"to\":\"+15550101\"}}}}",
              places[i], &call, text, sizeof text);
        expect_in(text, "<Response><Hangup/></Response>");
    }
}

static enum steps_next follow(const char *text, const char *place, struct steps_result result,
                              char next[STEPS_PLACE_BYTES_MAX])
{
    const char **members[] = {&result.dial_status, &result.bridged, &result.digits,
                              &result.recording,   &result.queue,   &result.transfer};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (!*members[i])
            *members[i] = "";
    json_t *steps = read(text);
    enum steps_next follows = steps_follow(steps, place, &result, next);
    json_decref(steps);
    return follows;
}

#define DIAL                                                                                       \
    "{\"route\":{\"step\":\"dial\",\"to\":\"+15550101\",\"else\":{\"step\":\"voicemail\"}}}"
#define MENU                                                                                       \
    "{\"route\":{\"step\":\"menu\",\"say\":\"x\",\"tries\":3,\"keys\":{\"1\":{\"step\":"           \
    "\"agent\"}},\"else\":{\"step\":\"hangup\"}}}"

static void what_follows_a_dial(void **state)
{
    (void)state;
    char next[STEPS_PLACE_BYTES_MAX];
    static const char *const failures[] = {"busy", "no-answer", "failed", "canceled", ""};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(
            follow(DIAL, "route", (struct steps_result){.dial_status = failures[i]}, next),
            STEPS_GO);
        assert_string_equal(next, "route.else");
    }
    assert_int_equal(follow(DIAL, "route", (struct steps_result){.dial_status = "completed"}, next),
                     STEPS_END);
    assert_int_equal(follow(DIAL, "route",
                            (struct steps_result){.dial_status = "completed", .bridged = "false"},
                            next),
                     STEPS_GO); /* the child answered and never met the caller */
    assert_int_equal(follow(DIAL, "route.else", (struct steps_result){.digits = "#"}, next),
                     STEPS_END);
    assert_int_equal(follow("{\"next\":{\"step\":\"dial\",\"to\":\"+15550101\"}}", "next",
                            (struct steps_result){.dial_status = "busy"}, next),
                     STEPS_NONE);
}

static void what_follows_a_menu(void **state)
{
    (void)state;
    char next[STEPS_PLACE_BYTES_MAX];
    assert_int_equal(follow(MENU, "route", (struct steps_result){.digits = "1"}, next), STEPS_GO);
    assert_string_equal(next, "route.keys.1");
    for (unsigned tries = 0; tries < 3; tries++)
        assert_int_equal(
            follow(MENU, "route", (struct steps_result){.digits = "7", .tries = tries}, next),
            tries < 2 ? STEPS_AGAIN : STEPS_GO);
    assert_string_equal(next, "route.else");
    assert_int_equal(
        follow(MENU, "route", (struct steps_result){.digits = "", .tries = UINT32_MAX - 1}, next),
        STEPS_GO);
}

static void what_follows_a_queue(void **state)
{
    (void)state;
    char next[STEPS_PLACE_BYTES_MAX];
    static const char text[] = "{\"route\":{\"step\":\"queue\",\"queue\":\"sales\",\"else\":"
                               "{\"step\":\"voicemail\"}}}";
    assert_int_equal(follow(text, "route", (struct steps_result){.queue = "bridged"}, next),
                     STEPS_END);
    assert_int_equal(follow(text, "route", (struct steps_result){.queue = "queue-full"}, next),
                     STEPS_GO);
    assert_int_equal(follow(text, "route", (struct steps_result){.queue = "leave"}, next),
                     STEPS_GO);
}

static void hours_as_people_write_them(void **state)
{
    (void)state;
    struct hours hours;
    assert_true(hours_read("mon-fri 09:00-17:30", &hours));
    assert_string_equal(hours.days, "{1,2,3,4,5}");
    assert_string_equal(hours.opens, "09:00");
    assert_string_equal(hours.closes, "17:30");
    assert_true(hours_read("fri-mon,Wed", &hours));
    assert_string_equal(hours.days, "{1,3,5,6,7}");
    assert_string_equal(hours.closes, "24:00");
    assert_true(hours_read("daily 22:00-06:00", &hours));
    assert_string_equal(hours.days, "{1,2,3,4,5,6,7}");
    static const char *const wrong[] = {"",
                                        "monday",
                                        "mon-",
                                        "mon,",
                                        "mon 9:00-17:00",
                                        "mon 09:00",
                                        "mon 09:60-10:00",
                                        "mon 09:00-24:01",
                                        "mon 24:00-09:00",
                                        "mon 09:00-17:00 ",
                                        "mon  09:00-10:00"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (hours_read(wrong[i], &hours))
            fail_msg("\"%s\" was taken for hours", wrong[i]);
}

static void after_a_warm_dial_its_transfer_decides(void **state)
{
    (void)state;
    char next[STEPS_PLACE_BYTES_MAX];
    const struct steps_result back = {.dial_status = "answered", .transfer = "returned"},
                              over = {.dial_status = "answered", .transfer = "done"};
    assert_int_equal(follow(WARM, "next", over, next), STEPS_END);
    assert_int_equal(follow(WARM, "next", back, next), STEPS_GO);
    assert_string_equal(next, STEPS_AGENT);
    assert_int_equal(follow("{\"next\":{\"step\":\"dial\",\"to\":\"+15550101\",\"warm\":true,"
                            "\"else\":{\"step\":\"voicemail\"}}}",
                            "next", back, next),
                     STEPS_GO);
    assert_string_equal(next, "next.else");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(the_nesting_is_bounded),
        cmocka_unit_test(a_dial_says_all_it_means),
        cmocka_unit_test(a_warm_dial_leads_into_a_conference),
        cmocka_unit_test(after_a_warm_dial_its_transfer_decides),
        cmocka_unit_test(callers_without_a_number_are_shown_as_the_called_one),
        cmocka_unit_test(a_dial_to_the_called_number_is_passed_over),
        cmocka_unit_test(keys_are_escaped_in_places),
        cmocka_unit_test(places_that_lead_nowhere_end_the_call),
        cmocka_unit_test(what_follows_a_dial),
        cmocka_unit_test(what_follows_a_menu),
        cmocka_unit_test(what_follows_a_queue),
        cmocka_unit_test(hours_as_people_write_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
