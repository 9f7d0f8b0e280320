/* The wheel against a plain list: random timers over all distances, set, moved and cancelled, while
 * time goes on in steps of every size. */
#include "edge/io/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define TIMERS 500
#define STEPS  20000

struct model {
    struct timer timer;
    bool set, late;         /* late: set for a time that had passed */
    uint64_t at_ms, set_in; /* the step in which it was set */
};

static struct model models[TIMERS];
static uint64_t dice_state = 88172645463325252u;

static uint64_t dice(uint64_t sides)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return dice_state % sides;
}

/* Any distance: a level is as likely as another. */
static uint64_t distance(void)
{
    return dice((uint64_t)1 << (1 + dice(40)));
}

static uint64_t earliest(void)
{
    uint64_t at = UINT64_MAX;
    for (size_t i = 0; i < TIMERS; i++)
        if (models[i].set && models[i].at_ms < at)
            at = models[i].at_ms;
    return at;
}

static void change_some(struct wheel *wheel, uint64_t step)
{
    for (unsigned i = 0; i < 5; i++) {
        struct model *model = &models[dice(TIMERS)];
        if (dice(4) == 0) {
            wheel_cancel(wheel, &model->timer);
            model->set = false;
        } else {
            model->at_ms = wheel->now_ms + distance() - dice(3);
            model->set = true;
            model->late = model->at_ms <= wheel->now_ms;
            model->set_in = step;
            wheel_set(wheel, &model->timer, model->at_ms);
        }
    }
}

/* All that is due comes, oldest first; what a handler sets for now waits for the next advance. */
static void take_due(struct wheel *wheel, uint64_t step)
{
    uint64_t last_ms = 0;
    for (struct timer *timer; (timer = wheel_take(wheel));) {
        struct model *model = (struct model *)timer;
        assert_true(model->set && model->at_ms <= wheel->now_ms);
        assert_true(model->set_in < step);
        if (!model->late) {
            assert_true(model->at_ms >= last_ms);
            last_ms = model->at_ms;
        }
        model->set = false;
        if (dice(4) == 0) {
            model->set = model->late = true;
            model->set_in = step;
            model->at_ms = wheel->now_ms;
            wheel_set(wheel, timer, model->at_ms);
        }
    }
    for (size_t i = 0; i < TIMERS; i++)
        assert_false(models[i].set && models[i].set_in < step && models[i].at_ms <= wheel->now_ms);
}

static void agrees_with_a_list(void **state)
{
    static struct wheel wheel;
    (void)state;
    wheel_open(&wheel, 0xfffffff0u); /* near a wrap of 32 bits */
    for (uint64_t step = 1; step < STEPS; step++) {
        change_some(&wheel, step);
        uint64_t next = wheel_next_ms(&wheel), real = earliest();
        assert_true(next <= real || real <= wheel.now_ms);
        if (real != UINT64_MAX)
            assert_true(next >= wheel.now_ms && next != UINT64_MAX);
        uint64_t to = dice(3) && next != UINT64_MAX ? next : wheel.now_ms + dice(100000);
        wheel_advance(&wheel, to < wheel.now_ms ? wheel.now_ms : to);
        take_due(&wheel, step + 1);
    }
}

static void fires_exactly_and_never_early(void **state)
{
    static struct wheel wheel;
    struct timer timer = {0};
    (void)state;
    wheel_open(&wheel, 1000);
    for (uint64_t wait = 1; wait < 70000; wait += 1 + wait / 3) {
        uint64_t at = wheel.now_ms + wait;
        wheel_set(&wheel, &timer, at);
        wheel_advance(&wheel, at - 1);
        assert_null(wheel_take(&wheel));
        wheel_advance(&wheel, at);
        assert_ptr_equal(wheel_take(&wheel), &timer);
        assert_null(wheel_take(&wheel));
    }
    assert_int_equal(wheel_next_ms(&wheel), UINT64_MAX);
    assert_int_equal(wheel.count, 0);
}

/* A handler may cancel what is due and not yet taken, the last of the list too. */
static void cancels_what_is_already_due(void **state)
{
    static struct wheel wheel;
    struct timer timers[3] = {0};
    (void)state;
    wheel_open(&wheel, 0);
    for (uint64_t i = 0; i < 3; i++)
        wheel_set(&wheel, &timers[i], 10 + i);
    wheel_advance(&wheel, 20);
    assert_ptr_equal(wheel_take(&wheel), &timers[0]);
    wheel_cancel(&wheel, &timers[2]);
    assert_ptr_equal(wheel_take(&wheel), &timers[1]);
    assert_null(wheel_take(&wheel));
    wheel_set(&wheel, &timers[2], 21);
    wheel_advance(&wheel, 21);
    assert_ptr_equal(wheel_take(&wheel), &timers[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_list),
        cmocka_unit_test(fires_exactly_and_never_early),
        cmocka_unit_test(cancels_what_is_already_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
