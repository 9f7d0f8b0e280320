/* Events: none lost, none out of order, whatever becomes of control. */
#include "common/log.h"
#include "tests/report/check.h"
#include "tests/report/link_control.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct scene {
    struct control control;
    struct mail *inbox;
    struct link *link;
};

static int begin_with(void **state, size_t store_bytes_max)
{
    struct scene *scene = calloc(1, sizeof *scene);
    control_open(&scene->control);
    control_listen(&scene->control);
    scene->link = link_to(&scene->control, &scene->inbox, 1, 64, store_bytes_max);
    control_meet(&scene->control);
    control_sync(&scene->control);
    *state = scene;
    return 0;
}

static int begin(void **state)
{
    return begin_with(state, 0);
}

static int begin_small(void **state)
{
    return begin_with(state, 16384);
}

static int end(void **state)
{
    struct scene *scene = *state;
    link_close(scene->link, 0);
    inboxes_close(&scene->inbox, 1);
    control_close(&scene->control);
    free(scene);
    return 0;
}

static bool tell(struct scene *scene, unsigned number, size_t padding)
{
    char *json;
    int bytes = asprintf(&json, "{\"n\":%u,\"p\":\"%0*d\"}", number, (int)padding + 1, 0);
    assert_true(bytes > 0);
    return link_event(scene->link, json, (size_t)bytes);
}

static unsigned number_of(struct span json)
{
    unsigned number = 0;
    char text[64];
    size_t bytes = json.bytes < sizeof text ? json.bytes : sizeof text - 1;
    memcpy(text, json.data, bytes);
    text[bytes] = '\0';
    assert_int_equal(1, sscanf(text, "{\"n\":%u,", &number));
    return number;
}

static void expect_event(struct scene *scene, uint64_t id, unsigned number)
{
    control_read(&scene->control, LINK_EVENT);
    assert_int_equal(id, scene->control.frame.id);
    assert_int_equal(number, number_of(scene->control.frame.json));
}

static double figure(struct scene *scene, const char *series)
{
    return link_figure(scene->link, series);
}

static void numbers_events_from_one(void **state)
{
    struct scene *scene = *state;
    for (unsigned i = 1; i <= 50; i++)
        assert_true(tell(scene, 500 + i, 10));
    for (unsigned i = 1; i <= 50; i++)
        expect_event(scene, i, 500 + i);
    assert_true(figure(scene, "ringbridge_link_events_waiting") == 50);
    assert_true(figure(scene, "ringbridge_link_events_waiting_bytes") > 0);
    for (unsigned i = 1; i <= 50; i++)
        control_acknowledge(&scene->control, i);
    control_sync(&scene->control);
    assert_true(figure(scene, "ringbridge_link_events_waiting") == 0);
    assert_true(figure(scene, "ringbridge_link_events_waiting_bytes") == 0);
    assert_true(figure(scene, "ringbridge_link_events_total{result=\"acknowledged\"}") == 50);
    assert_true(figure(scene, "ringbridge_link_events_total{result=\"resent\"}") == 0);
}

static void sends_again_in_order(void **state)
{
    struct scene *scene = *state;
    enum { COUNT = 1000 };
    for (unsigned i = 1; i <= COUNT; i++)
        assert_true(tell(scene, i, 100));
    for (unsigned i = 1; i <= COUNT; i++)
        expect_event(scene, i, i);
    for (unsigned i = COUNT; i >= 1; i--) /* odd ones, backwards */
        if (i % 2)
            control_acknowledge(&scene->control, i);
    control_sync(&scene->control);
    for (int life = 0; life < 3; life++) {
        control_drop(&scene->control);
        for (unsigned i = 1; i <= 10; i++) /* while it is away */
            assert_true(tell(scene, COUNT + (unsigned)life * 10 + i, 100));
        control_meet(&scene->control);
        for (unsigned i = 2; i <= COUNT; i += 2)
            expect_event(scene, i, i);
        for (unsigned i = 1; i <= 10 + (unsigned)life * 10; i++)
            expect_event(scene, COUNT + i, COUNT + i);
    }
    control_sync(&scene->control);
    assert_true(figure(scene, "ringbridge_link_events_waiting") == COUNT / 2 + 30);
    assert_true(figure(scene, "ringbridge_link_events_total{result=\"resent\"}") ==
                3 * COUNT / 2 + 10 + 20);
}

static void does_not_believe_wrong_acknowledgements(void **state)
{
    struct scene *scene = *state;
    for (unsigned i = 1; i <= 3; i++)
        assert_true(tell(scene, i, 1));
    for (unsigned i = 1; i <= 3; i++)
        expect_event(scene, i, i);
    static const uint64_t wrong[] = {0, 4, 1u << 31, UINT64_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        control_acknowledge(&scene->control, wrong[i]);
    control_acknowledge(&scene->control, 2);
    control_acknowledge(&scene->control, 2);
    control_sync(&scene->control);
    assert_true(figure(scene, "ringbridge_link_skipped_total{frame=\"ack\"}") == 5);
    assert_true(figure(scene, "ringbridge_link_events_waiting") == 2);
}

/* Control dies with half of an event read, again and again, at every place of a frame. */
static void survives_death_in_the_middle_of_a_frame(void **state)
{
    struct scene *scene = *state;
    enum { COUNT = 40 };
    uint64_t expected = 1;
    for (unsigned i = 1; i <= COUNT; i++)
        assert_true(tell(scene, i, 3000));
    for (size_t cut = 1; cut < 60; cut += 7) {
        uint8_t piece[64];
        expect_event(scene, expected, (unsigned)expected);
        control_acknowledge(&scene->control, expected++);
        control_sync(&scene->control);
        control_drop(&scene->control);
        control_meet(&scene->control);
        ssize_t taken = read(scene->control.socket, piece, cut);
        assert_true(taken > 0);
        control_drop(&scene->control);
        control_meet(&scene->control);
    }
    for (; expected <= COUNT; expected++)
        expect_event(scene, expected, (unsigned)expected);
}

static void says_no_when_full(void **state)
{
    struct scene *scene = *state; /* 16 KiB */
    unsigned taken = 0;
    control_drop(&scene->control);
    assert_true(link_ready(scene->link));
    while (tell(scene, taken + 1, 200))
        taken++;
    assert_true(taken > 30 && taken < 82);
    assert_false(link_ready(scene->link));
    assert_string_equal("too many events wait for control", link_unready(scene->link));
    assert_true(figure(scene, "ringbridge_link_events_total{result=\"refused\"}") == 1);
    assert_true(figure(scene, "ringbridge_link_events_waiting") == taken);
    assert_true(figure(scene, "ringbridge_link_events_waiting_bytes") <= 16384);
    control_meet(&scene->control);
    for (unsigned i = 1; i <= taken; i++) {
        expect_event(scene, i, i);
        control_acknowledge(&scene->control, i);
    }
    control_sync(&scene->control);
    assert_true(link_ready(scene->link));
    assert_true(tell(scene, 4711, 200)); /* the one refused took no number */
    expect_event(scene, taken + 1, 4711);
}

/* Not ready before full: what is left is for the calls that run. */
static void stops_new_calls_before_events_are_lost(void **state)
{
    struct scene *scene = *state;
    unsigned after = 0;
    while (link_ready(scene->link))
        assert_true(tell(scene, 1, 100));
    while (tell(scene, 1, 100))
        after++;
    assert_true(after >= 5);
}

static void bounds_one_event(void **state)
{
    struct scene *scene = *state;
    size_t frame = strlen("{\"n\":1,\"p\":\"\"}") + 1;
    assert_true(tell(scene, 1, LINK_EVENT_BYTES_MAX - frame));
    control_read(&scene->control, LINK_EVENT);
    assert_int_equal(LINK_EVENT_BYTES_MAX, scene->control.frame.json.bytes);
    assert_false(tell(scene, 2, LINK_EVENT_BYTES_MAX - frame + 1));
    assert_true(figure(scene, "ringbridge_link_events_total{result=\"refused\"}") == 1);
}

#define TELLERS    4
#define PER_TELLER 25000

struct teller {
    struct scene *scene;
    unsigned base;
    unsigned refused;
};

static void *tell_many(void *context)
{
    struct teller *teller = context;
    for (unsigned i = 0; i < PER_TELLER; i++)
        teller->refused += !tell(teller->scene, teller->base + i, 60);
    return NULL;
}

/* Four cores at once, control reading and acknowledging meanwhile and dying three times. */
static void carries_a_hundred_thousand(void **state)
{
    struct scene *scene = *state;
    struct teller tellers[TELLERS];
    pthread_t threads[TELLERS];
    unsigned next[TELLERS] = {0}, total = TELLERS * PER_TELLER;
    for (unsigned i = 0; i < TELLERS; i++) {
        tellers[i] = (struct teller){.scene = scene, .base = i * PER_TELLER};
        assert_int_equal(0, pthread_create(&threads[i], NULL, tell_many, &tellers[i]));
    }
    for (unsigned id = 1; id <= total; id++) {
        control_read(&scene->control, LINK_EVENT);
        assert_int_equal(id, scene->control.frame.id);
        unsigned number = number_of(scene->control.frame.json);
        assert_int_equal(next[number / PER_TELLER]++, number % PER_TELLER);
        control_acknowledge(&scene->control, id);
        if (id % (total / 4) == 0) {
            control_sync(&scene->control); /* this one's acknowledgement has arrived .. */
            control_drop(&scene->control); /* .. and what came behind it is forgotten */
            control_meet(&scene->control);
        }
    }
    for (unsigned i = 0; i < TELLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(0, tellers[i].refused);
        assert_int_equal(PER_TELLER, next[i]);
    }
    control_sync(&scene->control);
    assert_true(figure(scene, "ringbridge_link_events_waiting") == 0);
    assert_true(figure(scene, "ringbridge_link_events_waiting_bytes") == 0);
    assert_true(figure(scene, "ringbridge_link_events_total{result=\"acknowledged\"}") == total);
}

static void *close_patiently(void *link)
{
    link_close(link, 10 * CONTROL_WAIT_MS); /* its end is the acknowledgement, not the time */
    return NULL;
}

/* The edge ends while control is away: it waits for it to come back and take what there is. */
static void flushes_at_the_end(void **state)
{
    (void)state;
    struct scene *scene = calloc(1, sizeof *scene);
    pthread_t thread;
    control_open(&scene->control);
    scene->link = link_to(&scene->control, &scene->inbox, 1, 64, 0);
    for (unsigned i = 1; i <= 100; i++)
        assert_true(tell(scene, i, 10));
    assert_int_equal(0, pthread_create(&thread, NULL, close_patiently, scene->link));
    control_listen(&scene->control);
    control_meet(&scene->control);
    for (unsigned i = 1; i <= 100; i++)
        expect_event(scene, i, i);
    for (unsigned i = 1; i <= 100; i++)
        control_acknowledge(&scene->control, i);
    control_expect_closed(&scene->control);
    pthread_join(thread, NULL);
    inboxes_close(&scene->inbox, 1);
    control_close(&scene->control);
    free(scene);
}

#define with(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with(numbers_events_from_one),
        with(sends_again_in_order),
        with(does_not_believe_wrong_acknowledgements),
        with(survives_death_in_the_middle_of_a_frame),
        cmocka_unit_test_setup_teardown(says_no_when_full, begin_small, end),
        cmocka_unit_test_setup_teardown(stops_new_calls_before_events_are_lost, begin_small, end),
        with(bounds_one_event),
        with(carries_a_hundred_thousand),
        cmocka_unit_test(flushes_at_the_end),
    };
    log_open("link_events_test", LOG_TEXT, LOG_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
