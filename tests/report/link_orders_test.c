/* Orders over the link, and a control gone mad: what is taken, what is refused, what ends it. */
#include "common/log.h"
#include "tests/report/check.h"
#include "tests/report/link_scene.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const struct span nothing = {NULL, 0};

static bool order_is_taken(struct link_scene *scene, const char *json)
{
    control_send(&scene->control, LINK_ORDER, 77, json, nothing);
    control_read(&scene->control, LINK_RESULT);
    assert_int_equal(77, scene->control.frame.id);
    struct link_frame *frame = &scene->control.frame;
    json_t *result = json_loadb((const char *)frame->json.data, frame->json.bytes, 0, NULL);
    bool taken = json_is_true(json_object_get(result, "ok"));
    assert_true(taken == !json_is_string(json_object_get(result, "error")));
    json_decref(result);
    return taken;
}

static void refuses_orders_when_too_many_are_kept(void **state)
{
    struct link_scene *scene = *state; /* inboxes hold 4 */
    const char *hangup = "{\"kind\":\"hangup\",\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\","
                         "\"reason\":\"agent_hung_up\"}";
    unsigned taken = 0;
    while (taken < LINK_ORDERS_KEPT_MAX && order_is_taken(scene, hangup))
        taken++;
    /* four fit each inbox, and a third of the places each core's letters */
    assert_int_equal(4 + LINK_ORDERS_KEPT_MAX / LINK_SCENE_CORES, taken);
    assert_true(link_figure(scene->link, "ringbridge_link_orders_total{result=\"refused\"}") == 2);
}

static void carries_out_prepare(void **state)
{
    struct link_scene *scene = *state;
    char *plan = plan_json(1, NULL, NULL), *order;
    assert_true(asprintf(&order, "{\"kind\":\"prepare\",\"plan\":%s}", plan) > 0);
    assert_true(order_is_taken(scene, order));
    struct letter letter = inbox_take(scene->inboxes[1]);
    assert_int_equal(LETTER_PLAN, letter.kind);
    struct plan *got = letter.content;
    assert_string_equal("8f14e45f-ceea-467f-a9d2-0000000000aa", got->call);
    plan_free(got);
    free(plan);
    free(order);
    plan = plan_json(LINK_SCENE_CORES, NULL, NULL); /* no such core */
    assert_true(asprintf(&order, "{\"kind\":\"prepare\",\"plan\":%s}", plan) > 0);
    assert_false(order_is_taken(scene, order));
    free(plan);
    free(order);
}

static void carries_out_hangup_and_drain(void **state)
{
    struct link_scene *scene = *state;
    assert_true(order_is_taken(scene, "{\"kind\":\"hangup\",\"reason\":\"hung_up_by_order\","
                                      "\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\"}"));
    assert_true(order_is_taken(scene, "{\"kind\":\"drain\"}"));
    for (unsigned core = 0; core < LINK_SCENE_CORES; core++) {
        struct letter letter = inbox_take(scene->inboxes[core]);
        assert_int_equal(LETTER_HANGUP, letter.kind);
        struct link_hangup *hangup = letter.content;
        assert_string_equal("8f14e45f-ceea-467f-a9d2-0000000000aa", hangup->call);
        assert_int_equal(END_hung_up_by_order, hangup->reason);
        link_letter_free(letter);
        assert_int_equal(LETTER_DRAIN, inbox_take(scene->inboxes[core]).kind);
    }
}

static char *say(size_t bytes)
{
    char *json;
    assert_true(asprintf(&json,
                         "{\"kind\":\"say\",\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\","
                         "\"text\":\"%0*d\",\"interruptible\":false}",
                         (int)bytes, 0) > 0);
    return json;
}

static void carries_out_say(void **state)
{
    struct link_scene *scene = *state;
    for (size_t bytes = LINK_SAY_BYTES_MAX - 1; bytes <= LINK_SAY_BYTES_MAX + 1; bytes++) {
        char *order = say(bytes);
        assert_true(order_is_taken(scene, order) == (bytes <= LINK_SAY_BYTES_MAX));
        free(order);
        for (unsigned core = 0; core < LINK_SCENE_CORES && bytes <= LINK_SAY_BYTES_MAX; core++) {
            struct letter letter = inbox_take(scene->inboxes[core]);
            assert_int_equal(LETTER_SAY, letter.kind);
            const struct link_say *got = letter.content;
            assert_string_equal("8f14e45f-ceea-467f-a9d2-0000000000aa", got->call);
            assert_int_equal(bytes, strlen(got->text));
            assert_false(got->interruptible);
            link_letter_free(letter);
        }
    }
    assert_true(order_is_taken(scene, "{\"kind\":\"say\",\"text\":\"Hello.\","
                                      "\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\"}"));
    for (unsigned core = 0; core < LINK_SCENE_CORES; core++) {
        struct letter letter = inbox_take(scene->inboxes[core]);
        assert_true(((const struct link_say *)letter.content)->interruptible);
        link_letter_free(letter);
    }
}

static void carries_out_record(void **state)
{
    static const char *const actions[] = {[LINK_RECORD_START] = "start",
                                          [LINK_RECORD_PAUSE] = "pause",
                                          [LINK_RECORD_RESUME] = "resume",
                                          [LINK_RECORD_STOP] = "stop"};
    struct link_scene *scene = *state;
    for (unsigned i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        char *order;
        assert_true(asprintf(&order,
                             "{\"kind\":\"record\",\"action\":\"%s\","
                             "\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\"}",
                             actions[i]) > 0);
        assert_true(order_is_taken(scene, order));
        free(order);
        for (unsigned core = 0; core < LINK_SCENE_CORES; core++) {
            struct letter letter = inbox_take(scene->inboxes[core]);
            assert_int_equal(LETTER_RECORD, letter.kind);
            const struct link_record *got = letter.content;
            assert_string_equal("8f14e45f-ceea-467f-a9d2-0000000000aa", got->call);
            assert_int_equal(i, got->action);
            link_letter_free(letter);
        }
    }
}

static char *tool_result(size_t bytes)
{
    char *json;
    assert_true(asprintf(&json,
                         "{\"kind\":\"tool_result\",\"number\":7,\"output\":\"%0*d\","
                         "\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\"}",
                         (int)bytes, 0) > 0);
    return json;
}

static void carries_out_tool_results(void **state)
{
    struct link_scene *scene = *state;
    for (size_t bytes = TOOL_OUTPUT_BYTES_MAX - 1; bytes <= TOOL_OUTPUT_BYTES_MAX + 1; bytes++) {
        char *order = tool_result(bytes);
        assert_true(order_is_taken(scene, order) == (bytes <= TOOL_OUTPUT_BYTES_MAX));
        free(order);
        for (unsigned core = 0; core < LINK_SCENE_CORES && bytes <= TOOL_OUTPUT_BYTES_MAX; core++) {
            struct letter letter = inbox_take(scene->inboxes[core]);
            assert_int_equal(LETTER_TOOL_RESULT, letter.kind);
            const struct link_tool_result *got = letter.content;
            assert_string_equal("8f14e45f-ceea-467f-a9d2-0000000000aa", got->call);
            assert_int_equal(7, got->number);
            assert_int_equal(END_NONE, got->end);
            assert_int_equal(bytes, strlen(got->output));
            link_letter_free(letter);
        }
    }
    assert_true(order_is_taken(
        scene, "{\"kind\":\"tool_result\",\"number\":8,\"output\":\"{}\",\"end\":\"transferred\","
               "\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\"}"));
    for (unsigned core = 0; core < LINK_SCENE_CORES; core++) {
        struct letter letter = inbox_take(scene->inboxes[core]);
        assert_int_equal(END_transferred, ((const struct link_tool_result *)letter.content)->end);
        link_letter_free(letter);
    }
}

/* To control alone: no core hears of the question. */
static void tells_how_full_it_is(void **state)
{
    struct link_scene *scene = *state;
    control_send(&scene->control, LINK_ORDER, 78, "{\"kind\":\"load\"}", nothing);
    control_read(&scene->control, LINK_RESULT);
    struct span json = scene->control.frame.json;
    static const char expected[] = "{\"ok\":true,\"calls\":0,\"draining\":false}";
    assert_int_equal(78, scene->control.frame.id);
    assert_int_equal(strlen(expected), json.bytes);
    assert_memory_equal(expected, json.data, json.bytes);
    struct letter letter;
    for (unsigned core = 0; core < LINK_SCENE_CORES; core++)
        assert_false(mail_receive(scene->inboxes[core], &letter));
}

static void refuses_bad_orders(void **state)
{
    struct link_scene *scene = *state;
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"kind\":1}",
        "{\"kind\":\"dance\"}",
        "{\"kind\":\"prepare\"}",
        "{\"kind\":\"prepare\",\"plan\":[]}",
        "{\"kind\":\"prepare\",\"plan\":{\"ai\":3}}",
        "{\"kind\":\"hangup\"}",
        "{\"kind\":\"hangup\",\"call\":\"x\",\"reason\":\"drained\"}",
        "{\"kind\":\"hangup\",\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\"}",
        "{\"kind\":\"hangup\",\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\",\"reason\":"
        "\"none\"}",
        "{\"kind\":\"say\",\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\"}",
        "{\"kind\":\"say\",\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\",\"text\":\"\"}",
        "{\"kind\":\"say\",\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\",\"text\":1}",
        "{\"kind\":\"say\",\"call\":\"8f14e45f\",\"text\":\"Hello.\"}",
        "{\"kind\":\"say\",\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\",\"text\":\"Hello.\","
        "\"interruptible\":1}",
        "{\"kind\":\"record\",\"action\":\"pause\"}",
        "{\"kind\":\"record\",\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\"}",
        "{\"kind\":\"record\",\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\",\"action\":\"\"}",
        "{\"kind\":\"record\",\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\",\"action\":1}",
        "{\"kind\":\"record\",\"call\":\"8f14e45f\",\"action\":\"stop\"}",
#define RESULT "{\"kind\":\"tool_result\",\"call\":\"8f14e45f-ceea-467f-a9d2-0000000000aa\","
        RESULT "\"output\":\"{}\"}",
        RESULT "\"number\":0,\"output\":\"{}\"}",
        RESULT "\"number\":1.5,\"output\":\"{}\"}",
        RESULT "\"number\":1,\"output\":{}}",
        RESULT "\"number\":1,\"output\":\"\"}",
        RESULT "\"number\":1,\"output\":\"{}\",\"end\":\"drained\"}",
        RESULT "\"number\":1,\"output\":\"{}\",\"end\":1}",
        "{\"kind\":\"drain\"",
        "{\"kind\":\"drain\"}}",
        "{\"kind\":\"drain\",\"kind\":\"drain\"}",
        "{\"kind\":\"\xc3\x28\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (order_is_taken(scene, bad[i]))
            fail_msg("taken: %s", bad[i]);
    for (unsigned core = 0; core < LINK_SCENE_CORES; core++)
        assert_int_equal(0, mail_waiting(scene->inboxes[core]));
}

static void takes_frames_byte_by_byte(void **state)
{
    struct link_scene *scene = *state;
    static const char json[] = "{\"kind\":\"drain\"}";
    uint8_t frame[LINK_HEADER_BYTES + sizeof json - 1];
    link_encode_header(frame, LINK_ORDER, 5, sizeof json - 1, 0);
    memcpy(frame + LINK_HEADER_BYTES, json, sizeof json - 1);
    for (size_t i = 0; i < sizeof frame; i++)
        control_send_bytes(&scene->control, span_from(frame + i, 1));
    control_read(&scene->control, LINK_RESULT);
    assert_int_equal(5, scene->control.frame.id);
    /* killed in the middle: half an order is no order, and the next life starts clean */
    control_send_bytes(&scene->control, span_from(frame, sizeof frame - 1));
    control_drop(&scene->control);
    control_meet(&scene->control);
    control_sync(&scene->control);
    assert_true(link_figure(scene->link, "ringbridge_link_orders_total{result=\"taken\"}") == 1);
}

static void skips_what_it_does_not_know(void **state)
{
    struct link_scene *scene = *state;
    static const uint8_t types[] = {0,          LINK_TYPE_COUNT, 200, 255, LINK_REQUEST,
                                    LINK_EVENT, LINK_RESULT};
    for (size_t i = 0; i < sizeof types; i++)
        control_send(&scene->control, (enum link_type)types[i], 9, "{\"a\":1}", span_of("raw"));
    control_sync(&scene->control);
    assert_true(link_figure(scene->link, "ringbridge_link_skipped_total{frame=\"type\"}") ==
                sizeof types);
    assert_true(link_figure(scene->link, "ringbridge_link_up") == 1);
}

static void closes_on_broken_frames(void **state)
{
    struct link_scene *scene = *state;
    for (int kind = 0; kind < 4; kind++) {
        uint8_t header[LINK_HEADER_BYTES];
        link_encode_header(header, LINK_ORDER, 1, 10, 0);
        if (kind == 0)
            header[5] = 1; /* reserved */
        else if (kind == 1)
            header[0] = 23; /* shorter than its header */
        else if (kind == 2)
            memset(header + 20, 0xff, 4); /* parts larger than the whole */
        else
            memset(header, 0xff, 4); /* larger than any frame */
        control_send_bytes(&scene->control, span_from(header, sizeof header));
        control_expect_closed(&scene->control);
        control_meet(&scene->control);
        control_sync(&scene->control);
    }
}

static void insists_on_hello(void **state)
{
    struct link_scene *scene = *state;
    control_accept(&scene->control);
    control_send(&scene->control, LINK_ORDER, 1, "{\"kind\":\"drain\"}", nothing);
    control_expect_closed(&scene->control);
    control_accept(&scene->control);
    control_send(&scene->control, LINK_HELLO, LINK_VERSION, "{\"role\":\"edge\"}", nothing);
    control_expect_closed(&scene->control);
    control_meet(&scene->control);
    control_greet(&scene->control); /* twice */
    control_expect_closed(&scene->control);
    control_meet(&scene->control);
    control_sync(&scene->control);
    for (unsigned core = 0; core < LINK_SCENE_CORES; core++)
        assert_int_equal(0, mail_waiting(scene->inboxes[core]));
}

#define with(test) cmocka_unit_test_setup_teardown(test, link_scene_begin, link_scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses_orders_when_too_many_are_kept,
                                        link_scene_begin_tight, link_scene_end),
        with(carries_out_prepare),
        with(carries_out_hangup_and_drain),
        with(carries_out_say),
        with(carries_out_record),
        with(carries_out_tool_results),
        with(tells_how_full_it_is),
        with(refuses_bad_orders),
        with(takes_frames_byte_by_byte),
        with(skips_what_it_does_not_know),
        with(closes_on_broken_frames),
        cmocka_unit_test_setup_teardown(insists_on_hello, link_scene_begin_unmet, link_scene_end),
    };
    log_open("link_orders_test", LOG_TEXT, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
