/* Letters into inboxes that are full: kept, in order, within bounds. */
#include "edge/report/link.h"
#include "edge/report/link_post.h"
#include "tests/report/check.h"

#include <stdlib.h>

#define CORES 2

struct scene {
    struct mail *inboxes[CORES];
    struct link_figures figures;
    struct link_post post;
};

static int begin(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    for (unsigned i = 0; i < CORES; i++)
        scene->inboxes[i] = mail_open(2);
    link_post_open(&scene->post, CORES, scene->inboxes, &scene->figures);
    *state = scene;
    return 0;
}

static int end(void **state)
{
    struct scene *scene = *state;
    struct letter letter;
    link_post_close(&scene->post);
    for (unsigned i = 0; i < CORES; i++) {
        while (mail_receive(scene->inboxes[i], &letter))
            link_letter_free(letter);
        mail_close(scene->inboxes[i]);
    }
    free(scene);
    return 0;
}

static void post_answer(struct scene *scene, unsigned core, uint64_t id)
{
    struct letter letter = {
        .kind = LETTER_ANSWER, .id = id, .content = calloc(1, sizeof(struct link_answer))};
    assert_non_null(letter.content);
    FIGURE_ADD(&scene->figures, requests_waiting, 1);
    link_post_answer(&scene->post, core, letter);
}

static void expect(struct scene *scene, unsigned core, uint64_t id)
{
    struct letter letter;
    assert_true(mail_receive(scene->inboxes[core], &letter));
    assert_int_equal(id, letter.id);
    link_letter_free(letter);
}

static void expect_none(struct scene *scene, unsigned core)
{
    assert_int_equal(0, mail_waiting(scene->inboxes[core]));
}

/* Room that comes free belongs to who waits longest, not to who comes next. */
static void keeps_the_order(void **state)
{
    struct scene *scene = *state;
    for (uint64_t id = 1; id <= 4; id++)
        post_answer(scene, 0, id);
    assert_int_equal(2, scene->figures.letters_kept);
    expect(scene, 0, 1);
    post_answer(scene, 0, 5);
    post_answer(scene, 1, 6); /* another core's does not wait */
    expect(scene, 1, 6);
    expect(scene, 0, 2);
    expect_none(scene, 0);
    assert_true(link_post_retry(&scene->post));
    expect(scene, 0, 3);
    expect(scene, 0, 4);
    assert_false(link_post_retry(&scene->post));
    expect(scene, 0, 5);
    assert_int_equal(0, scene->figures.letters_kept);
}

/* A request counts until its answer is delivered: that is what bounds the answers kept. */
static void counts_requests_until_delivered(void **state)
{
    struct scene *scene = *state;
    for (uint64_t id = 1; id <= 5; id++)
        post_answer(scene, 0, id);
    assert_int_equal(3, scene->figures.requests_waiting);
    expect(scene, 0, 1);
    assert_int_equal(3, scene->figures.requests_waiting);
    link_post_retry(&scene->post);
    assert_int_equal(2, scene->figures.requests_waiting);
}

/* Orders up to their bound beside answers up to theirs. */
static void has_a_place_for_all_it_promises(void **state)
{
    struct scene *scene = *state;
    for (uint64_t id = 0; id < LINK_REQUESTS_MAX + 2; id++) /* two are in the inbox */
        post_answer(scene, 0, id);
    for (unsigned i = 0; i < LINK_ORDERS_KEPT_MAX; i++) {
        assert_true(link_post_has_room(&scene->post, 1));
        link_post_order(&scene->post, 0, (struct letter){.kind = LETTER_DRAIN, .id = 7});
    }
    assert_false(link_post_has_room(&scene->post, 1));
    assert_int_equal(LINK_POST_PLACES, scene->figures.letters_kept);
    for (uint64_t id = 0; id < LINK_REQUESTS_MAX + 2; id++) {
        expect(scene, 0, id);
        link_post_retry(&scene->post);
    }
    for (unsigned i = 0; i < LINK_ORDERS_KEPT_MAX; i++) {
        expect(scene, 0, 7);
        link_post_retry(&scene->post);
    }
    expect_none(scene, 0);
    assert_true(link_post_has_room(&scene->post, LINK_ORDERS_KEPT_MAX));
}

#define with(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with(keeps_the_order),
        with(counts_requests_until_delivered),
        with(has_a_place_for_all_it_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
