/* Requests over the link: each is answered once, whatever control does. */
#include "common/log.h"
#include "tests/report/check.h"
#include "tests/report/link_scene.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define LONG_MS 600000 /* longer than any test may take: such a deadline is never why it passes */

static const struct span nothing = {NULL, 0};

static bool ask(struct link_scene *scene, unsigned core, uint64_t id, const char *body,
                unsigned deadline_ms)
{
    char *json = strdup("{\"kind\":\"http\",\"target\":\"/a\"}");
    return link_request(scene->link, core, id, json, strlen(json), span_of(body), deadline_ms);
}

static struct link_answer *expect_answer(struct link_scene *scene, unsigned core, uint64_t id)
{
    struct letter letter = inbox_take(scene->inboxes[core]);
    assert_int_equal(LETTER_ANSWER, letter.kind);
    assert_int_equal(id, letter.id);
    return letter.content;
}

static void expect_nothing(struct link_scene *scene, unsigned core, uint64_t id)
{
    struct link_answer *answer = expect_answer(scene, core, id);
    assert_int_equal(0, answer->status);
    link_answer_free(answer);
}

static void answer_with(struct link_scene *scene, uint64_t number, const char *json,
                        const char *body)
{
    control_send(&scene->control, LINK_RESPONSE, number, json, span_of(body));
}

static void says_hello_first(void **state)
{
    struct link_scene *scene = *state;
    assert_false(link_ready(scene->link));
    assert_non_null(link_unready(scene->link));
    control_accept(&scene->control);
    assert_int_equal(LINK_VERSION, scene->control.frame.id);
    json_t *hello = json_loadb((const char *)scene->control.frame.json.data,
                               scene->control.frame.json.bytes, 0, NULL);
    assert_string_equal("edge", json_string_value(json_object_get(hello, "role")));
    assert_int_equal(LINK_SCENE_CORES, json_integer_value(json_object_get(hello, "cores")));
    assert_int_equal(36, json_string_length(json_object_get(hello, "run")));
    assert_true(json_string_length(json_object_get(hello, "name")) > 0);
    json_decref(hello);
    control_greet(&scene->control);
    control_sync(&scene->control);
    assert_true(link_ready(scene->link));
    assert_null(link_unready(scene->link));
    assert_true(link_figure(scene->link, "ringbridge_link_up") == 1);
}

static void carries_requests_and_answers(void **state)
{
    struct link_scene *scene = *state;
    enum { COUNT = 300 };
    uint64_t numbers[COUNT];
    char body[32];
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(body, sizeof body, "body %u", i);
        assert_true(ask(scene, i % LINK_SCENE_CORES, 1000 + i, body, LONG_MS));
    }
    for (unsigned i = 0; i < COUNT; i++) {
        control_read(&scene->control, LINK_REQUEST);
        struct link_frame *frame = &scene->control.frame;
        json_t *json = json_loadb((const char *)frame->json.data, frame->json.bytes, 0, NULL);
        assert_string_equal("/a", json_string_value(json_object_get(json, "target")));
        json_int_t left_ms = json_integer_value(json_object_get(json, "deadline_ms"));
        assert_true(left_ms > 0 && left_ms <= LONG_MS);
        json_decref(json);
        snprintf(body, sizeof body, "body %u", i);
        assert_true(span_is(frame->raw, body));
        numbers[i] = frame->id;
    }
    for (unsigned i = COUNT; i-- > 0;) { /* the last asked is answered first */
        snprintf(body, sizeof body, "answer %u", i);
        answer_with(scene, numbers[i], "{\"status\":200}", body);
    }
    for (unsigned core = 0; core < LINK_SCENE_CORES; core++)
        for (unsigned i = COUNT; i-- > 0;)
            if (i % LINK_SCENE_CORES == core) {
                struct link_answer *answer = expect_answer(scene, core, 1000 + i);
                snprintf(body, sizeof body, "answer %u", i);
                assert_int_equal(200, answer->status);
                assert_true(span_is(span_from(answer->body, answer->body_bytes), body));
                link_answer_free(answer);
            }
    assert_true(link_figure(scene->link, "ringbridge_link_requests_waiting") == 0);
    assert_true(link_figure(scene->link, "ringbridge_link_requests_waiting_bytes") == 0);
    assert_true(link_figure(scene->link, "ringbridge_link_requests_total{result=\"answered\"}") ==
                COUNT);
}

static struct link_answer *exchange(struct link_scene *scene, const char *json, const char *body)
{
    static uint64_t id;
    assert_true(ask(scene, 1, ++id, "", LONG_MS));
    control_read(&scene->control, LINK_REQUEST);
    answer_with(scene, scene->control.frame.id, json, body);
    return expect_answer(scene, 1, id);
}

static void reads_heads(void **state)
{
    struct link_scene *scene = *state;
    struct link_answer *answer = exchange(
        scene,
        "{\"status\":302,\"headers\":{\"content-type\":\"text/xml\",\"location\":\"/there\","
        "\"retry-after\":\"5\",\"set-cookie\":\"a=b; HttpOnly\",\"x-one\":\"1\","
        "\"content-length\":\"99\",\"Transfer-Encoding\":\"chunked\",\"connection\":\"close\"}}",
        "<x/>");
    assert_int_equal(302, answer->status);
    assert_string_equal("text/xml", answer->content_type);
    assert_string_equal("/there", answer->location);
    assert_string_equal("5", answer->retry_after);
    assert_string_equal("set-cookie: a=b; HttpOnly\r\nx-one: 1\r\n", answer->extra);
    assert_int_equal(4, answer->body_bytes);
    assert_null(answer->plan);
    link_answer_free(answer);
}

/* What could split a head, overflow a field, or is no answer at all, becomes "no answer". */
static void refuses_bad_answers(void **state)
{
    struct link_scene *scene = *state;
    static char long_type[400], long_extra[1400];
    snprintf(long_type, sizeof long_type,
             "{\"status\":200,\"headers\":{\"content-type\":\"%0200d\"}}", 0);
    snprintf(long_extra, sizeof long_extra, "{\"status\":200,\"headers\":{\"x-a\":\"%01100d\"}}",
             0);
    const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"status\":\"200\"}",
        "{\"status\":100}",
        "{\"status\":600}",
        "{\"status\":200.0}",
        "{\"status\":200,\"status\":201}",
        "{\"status\":200,\"headers\":[]}",
        "{\"status\":200,\"headers\":{\"location\":\"/a\\r\\nset-cookie: b\"}}",
        "{\"status\":200,\"headers\":{\"x-a\":\"b\\nc\"}}",
        "{\"status\":200,\"headers\":{\"x-a\\r\\nb\":\"c\"}}",
        "{\"status\":200,\"headers\":{\"x a\":\"c\"}}",
        "{\"status\":200,\"headers\":{\"\":\"c\"}}",
        "{\"status\":200,\"headers\":{\"x-a\":\"\\u007f\"}}",
        "{\"status\":200,\"headers\":{\"x-a\":\"\\u0000\"}}",
        "{\"status\":200,\"headers\":{\"x-a\":1}}",
        "{\"status\":200,\"plan\":{}}",
        "{\"status\":403,\"plan\":{}}",
        "{\"status\":200,\"headers\":{\"x-a\":\"\xff\"}}",
        long_type,
        long_extra,
    };
    size_t count = sizeof bad / sizeof bad[0];
    for (size_t i = 0; i < count; i++) {
        struct link_answer *answer = exchange(scene, bad[i], "body");
        if (answer->status != 0 || answer->body_bytes != 0 || answer->extra[0] || answer->plan)
            fail_msg("taken: %s", bad[i]);
        link_answer_free(answer);
    }
    assert_true(link_figure(scene->link, "ringbridge_link_requests_total{result=\"malformed\"}") ==
                (double)count);
}

/* The beginning of a long answer, exactly as it is promised, or no answer. */
static void judges_beginnings_of_long_answers(void **state)
{
    struct link_scene *scene = *state;
    static char longest[400], too_long[400];
    snprintf(longest, sizeof longest, "{\"status\":200,\"more\":{\"ask\":\"%0*d\",\"bytes\":5}}",
             DOWNLOAD_ASK_BYTES_MAX, 7);
    snprintf(too_long, sizeof too_long, "{\"status\":200,\"more\":{\"ask\":\"%0*d\",\"bytes\":5}}",
             DOWNLOAD_ASK_BYTES_MAX + 1, 7);
    const struct {
        const char *json, *body;
        uint64_t whole_bytes;
    } cases[] = {
        {"{\"status\":200,\"more\":{\"ask\":\"a\",\"bytes\":5}}", "body", 5},
        {longest, "body", 5},
        {"{\"status\":200,\"more\":{\"ask\":\"a\",\"bytes\":9007199254740993}}", "body",
         9007199254740993},
        {too_long, "body", 0},
        {"{\"status\":200,\"more\":{\"ask\":\"\",\"bytes\":5}}", "body", 0},
        {"{\"status\":200,\"more\":{\"ask\":7,\"bytes\":5}}", "body", 0},
        {"{\"status\":200,\"more\":{\"bytes\":5}}", "body", 0},
        {"{\"status\":200,\"more\":{\"ask\":\"a\"}}", "body", 0},
        {"{\"status\":200,\"more\":{\"ask\":\"a\",\"bytes\":\"5\"}}", "body", 0},
        {"{\"status\":200,\"more\":{\"ask\":\"a\",\"bytes\":5.0}}", "body", 0},
        {"{\"status\":200,\"more\":{\"ask\":\"a\",\"bytes\":-5}}", "body", 0},
        {"{\"status\":200,\"more\":{\"ask\":\"a\",\"bytes\":99999999999999999999}}", "body", 0},
        {"{\"status\":200,\"more\":{\"ask\":\"a\",\"bytes\":4}}", "body", 0}, /* nothing is left */
        {"{\"status\":200,\"more\":{\"ask\":\"a\",\"bytes\":3}}", "body", 0},
        {"{\"status\":200,\"more\":{\"ask\":\"a\",\"bytes\":5}}", "", 0}, /* nothing is here */
        {"{\"status\":206,\"more\":{\"ask\":\"a\",\"bytes\":5}}", "body", 0},
        {"{\"status\":404,\"more\":{\"ask\":\"a\",\"bytes\":5}}", "body", 0},
        {"{\"status\":200,\"more\":[]}", "body", 0},
        {"{\"status\":200,\"more\":\"a\"}", "body", 0},
        {"{\"status\":200,\"more\":null}", "body", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct link_answer *answer = exchange(scene, cases[i].json, cases[i].body);
        bool good = cases[i].whole_bytes != 0;
        if (answer->status != (good ? 200 : 0) || answer->whole_bytes != cases[i].whole_bytes ||
            answer->body_bytes != (good ? strlen(cases[i].body) : 0) ||
            (answer->more_ask[0] != '\0') != good)
            fail_msg("%s: %d, %llu bytes, \"%s\"", cases[i].json, answer->status,
                     (unsigned long long)answer->whole_bytes, answer->more_ask);
        link_answer_free(answer);
    }
}

static void bounds_bodies(void **state)
{
    struct link_scene *scene = *state;
    char *body = calloc(1, HTTP_RESPONSE_BYTES_MAX + 2);
    memset(body, 'b', HTTP_RESPONSE_BYTES_MAX);
    struct link_answer *answer = exchange(scene, "{\"status\":200}", body);
    assert_int_equal(200, answer->status);
    assert_int_equal(HTTP_RESPONSE_BYTES_MAX, answer->body_bytes);
    assert_memory_equal(body, answer->body, answer->body_bytes);
    link_answer_free(answer);
    body[HTTP_RESPONSE_BYTES_MAX] = 'b';
    answer = exchange(scene, "{\"status\":200}", body);
    assert_int_equal(0, answer->status);
    link_answer_free(answer);
    free(body);
}

static void admits_with_a_plan(void **state)
{
    struct link_scene *scene = *state;
    char *plan = plan_json(2, NULL, NULL), *json;
    assert_true(asprintf(&json, "{\"status\":200,\"plan\":%s}", plan) > 0);
    struct link_answer *answer = exchange(scene, json, "");
    assert_int_equal(200, answer->status);
    assert_non_null(answer->plan);
    assert_int_equal(2, answer->plan->home_core);
    assert_string_equal("sk-test-1", answer->plan->ai.key);
    link_answer_free(answer);
    answer = exchange(scene, "{\"status\":403,\"error\":\"no such ticket\"}", "");
    assert_int_equal(403, answer->status);
    assert_null(answer->plan);
    link_answer_free(answer);
    free(plan);
    free(json);
}

static void answers_late_ones_itself(void **state)
{
    struct link_scene *scene = *state;
    assert_true(ask(scene, 0, 1, "", LONG_MS)); /* its neighbour is not touched */
    control_read(&scene->control, LINK_REQUEST);
    uint64_t patient = scene->control.frame.id;
    assert_true(ask(scene, 0, 2, "", 1000));
    control_read(&scene->control, LINK_REQUEST);
    uint64_t late = scene->control.frame.id;
    expect_nothing(scene, 0, 2);
    answer_with(scene, late, "{\"status\":200}", "too late");
    answer_with(scene, patient, "{\"status\":201}", "in time");
    answer_with(scene, patient, "{\"status\":202}", "doubled");
    struct link_answer *answer = expect_answer(scene, 0, 1);
    assert_int_equal(201, answer->status);
    link_answer_free(answer);
    control_sync(&scene->control);
    assert_int_equal(0, mail_waiting(scene->inboxes[0]));
    assert_true(link_figure(scene->link, "ringbridge_link_skipped_total{frame=\"response\"}") == 2);
    assert_true(link_figure(scene->link, "ringbridge_link_requests_total{result=\"late\"}") == 1);
}

/* A number is used once: the answer to one that was given up never meets its successor. */
static void never_mixes_numbers(void **state)
{
    struct link_scene *scene = *state;
    uint64_t previous = 0;
    for (uint64_t id = 1; id <= 50; id++) {
        assert_true(ask(scene, 0, id, "", LONG_MS));
        control_read(&scene->control, LINK_REQUEST);
        uint64_t number = scene->control.frame.id;
        assert_true(number != previous);
        if (previous)
            answer_with(scene, previous, "{\"status\":500}", "");
        answer_with(scene, number, "{\"status\":200}", "");
        struct link_answer *answer = expect_answer(scene, 0, id);
        assert_int_equal(200, answer->status);
        link_answer_free(answer);
        previous = number;
    }
}

static void gives_up_what_was_sent_when_control_dies(void **state)
{
    struct link_scene *scene = *state;
    assert_true(ask(scene, 0, 1, "", LONG_MS));
    control_read(&scene->control, LINK_REQUEST);
    control_drop(&scene->control);
    control_meet(&scene->control); /* it is back at once, but knows nothing of the request */
    expect_nothing(scene, 0, 1);
    assert_true(ask(scene, 0, 2, "", LONG_MS));
    control_read(&scene->control, LINK_REQUEST);
    answer_with(scene, scene->control.frame.id, "{\"status\":200}", "");
    struct link_answer *answer = expect_answer(scene, 0, 2);
    assert_int_equal(200, answer->status);
    link_answer_free(answer);
}

/* A control that restarts quickly is not noticed by who asks meanwhile. */
static void waits_for_a_control_that_restarts(void **state)
{
    struct link_scene *scene = *state;
    control_drop(&scene->control);
    assert_true(ask(scene, 0, 7, "kept", LONG_MS));
    control_meet(&scene->control);
    control_read(&scene->control, LINK_REQUEST);
    assert_true(span_is(scene->control.frame.raw, "kept"));
    answer_with(scene, scene->control.frame.id, "{\"status\":200}", "");
    struct link_answer *answer = expect_answer(scene, 0, 7);
    assert_int_equal(200, answer->status);
    link_answer_free(answer);
    assert_true(link_figure(scene->link, "ringbridge_link_reconnects_total") == 1);
}

static void gives_up_when_control_stays_away(void **state)
{
    struct link_scene *scene = *state;
    control_unlisten(&scene->control);
    control_drop(&scene->control);
    for (uint64_t id = 1; id <= 3; id++)
        assert_true(ask(scene, 2, id, "", LONG_MS));
    for (uint64_t id = 1; id <= 3; id++)
        expect_nothing(scene, 2, id);
    assert_true(ask(scene, 2, 4, "", LONG_MS));
    expect_nothing(scene, 2, 4);
    assert_string_equal("control is away", link_unready(scene->link));
    assert_true(link_ready(scene->link)); /* calls that were prepared may still come */
    control_listen(&scene->control);
    control_meet(&scene->control);
    control_sync(&scene->control);
    assert_null(link_unready(scene->link));
}

static void refuses_one_too_many(void **state)
{
    struct link_scene *scene = *state;
    for (uint64_t id = 0; id < LINK_REQUESTS_MAX; id++)
        assert_true(ask(scene, 0, id, "", LONG_MS));
    assert_false(ask(scene, 0, 99999, "", LONG_MS));
    control_drop(&scene->control); /* some were sent, some not: all are answered in the end */
    control_unlisten(&scene->control);
    bool seen[LINK_REQUESTS_MAX] = {false};
    for (unsigned i = 0; i < LINK_REQUESTS_MAX; i++) {
        struct letter letter = inbox_take(scene->inboxes[0]);
        assert_true(letter.id < LINK_REQUESTS_MAX && !seen[letter.id]);
        seen[letter.id] = true;
        link_letter_free(letter);
    }
    assert_true(ask(scene, 0, 1, "", LONG_MS));
    expect_nothing(scene, 0, 1);
    assert_true(link_figure(scene->link, "ringbridge_link_requests_total{result=\"refused\"}") ==
                1);
    assert_true(link_figure(scene->link, "ringbridge_link_requests_waiting") == 0);
    assert_true(link_figure(scene->link, "ringbridge_link_requests_waiting_bytes") == 0);
}

/* Bodies of a megabyte: bounded by bytes long before the number, and by the frame each. */
static void bounds_the_bytes_of_requests(void **state)
{
    struct link_scene *scene = *state;
    char *body = malloc(LINK_FRAME_BYTES_MAX + 1);
    unsigned taken = 0;
    memset(body, 'x', LINK_FRAME_BYTES_MAX);
    body[LINK_FRAME_BYTES_MAX] = '\0';
    assert_false(ask(scene, 0, 1, body, LONG_MS));
    body[1000000] = '\0';
    while (taken < LINK_REQUESTS_MAX && ask(scene, 0, taken, body, LONG_MS))
        taken++;
    assert_true(taken >= 60 && taken < 80); /* 64 MiB and what the socket took */
    control_read(&scene->control, LINK_REQUEST);
    assert_int_equal(1000000, scene->control.frame.raw.bytes);
    free(body);
}

static void keeps_letters_for_a_full_inbox(void **state)
{
    struct link_scene *scene = *state; /* inboxes hold 4 */
    enum { COUNT = 200 };
    uint64_t numbers[COUNT];
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_true(ask(scene, 0, i, "", LONG_MS));
        control_read(&scene->control, LINK_REQUEST);
        numbers[i] = scene->control.frame.id;
    }
    for (unsigned i = 0; i < COUNT; i++)
        answer_with(scene, numbers[i], "{\"status\":200}", "");
    control_send(&scene->control, LINK_ORDER, 1, "{\"kind\":\"drain\"}", nothing);
    control_read(&scene->control, LINK_RESULT);
    assert_true(span_is(scene->control.frame.json, "{\"ok\":true}"));
    assert_true(link_figure(scene->link, "ringbridge_link_letters_kept") == COUNT - 4 + 1);
    assert_int_equal(LETTER_DRAIN, inbox_take(scene->inboxes[1]).kind); /* others do not wait */
    for (uint64_t i = 0; i < COUNT; i++)
        link_answer_free(expect_answer(scene, 0, i));
    assert_int_equal(LETTER_DRAIN, inbox_take(scene->inboxes[0]).kind);
    control_sync(&scene->control);
    assert_true(link_figure(scene->link, "ringbridge_link_letters_kept") == 0);
}

static char *scrape_for(struct link_scene *scene, unsigned wait_ms)
{
    size_t bytes;
    char *text = link_control_metrics(scene->link, wait_ms, &bytes), *copy = NULL;
    if (text)
        copy = strndup(text, bytes);
    free(text);
    return copy;
}

static void *scrape(void *context)
{
    return scrape_for(context, CONTROL_WAIT_MS);
}

static void *scrape_impatiently(void *context)
{
    return scrape_for(context, 1000);
}

static void fetches_controls_figures(void **state)
{
    struct link_scene *scene = *state;
    pthread_t thread;
    void *text;
    assert_int_equal(0, pthread_create(&thread, NULL, scrape_impatiently, scene));
    control_read(&scene->control, LINK_REQUEST);
    uint64_t late = scene->control.frame.id;
    pthread_join(thread, &text);
    assert_null(text);
    answer_with(scene, late, "{\"status\":200}", "late 1\n");
    assert_int_equal(0, pthread_create(&thread, NULL, scrape, scene));
    control_read(&scene->control, LINK_REQUEST);
    assert_true(span_starts(scene->control.frame.json, "{\"kind\":\"metrics\""));
    answer_with(scene, scene->control.frame.id, "{\"status\":200}", "figure 1\n");
    pthread_join(thread, &text);
    assert_string_equal("figure 1\n", text);
    free(text);
    assert_int_equal(0, pthread_create(&thread, NULL, scrape, scene));
    control_read(&scene->control, LINK_REQUEST);
    control_drop(&scene->control); /* dies while asked: no waiting until the end */
    pthread_join(thread, &text);
    assert_null(text);
    control_meet(&scene->control);
    control_sync(&scene->control);
    assert_true(link_figure(scene->link, "ringbridge_link_requests_waiting") == 0);
}

#define with(test) cmocka_unit_test_setup_teardown(test, link_scene_begin, link_scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_hello_first, link_scene_begin_unmet, link_scene_end),
        with(carries_requests_and_answers),
        with(reads_heads),
        with(refuses_bad_answers),
        with(judges_beginnings_of_long_answers),
        with(bounds_bodies),
        with(admits_with_a_plan),
        with(answers_late_ones_itself),
        with(never_mixes_numbers),
        with(gives_up_what_was_sent_when_control_dies),
        with(waits_for_a_control_that_restarts),
        with(gives_up_when_control_stays_away),
        with(refuses_one_too_many),
        with(bounds_the_bytes_of_requests),
        cmocka_unit_test_setup_teardown(keeps_letters_for_a_full_inbox, link_scene_begin_tight,
                                        link_scene_end),
        with(fetches_controls_figures),
    };
    log_open("link_test", LOG_TEXT, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
