/* When a core is called stuck, and when that would be a lie. */
#include "edge/report/pulse.h"
#include "tests/report/check.h"

static struct metrics first, second;
static const struct metrics *const cores[] = {&first, &second};

static int begin(void **state)
{
    static struct pulse pulse;
    first.turns = second.turns = 0;
    pulse_open(&pulse, cores, 2, 10000);
    *state = &pulse;
    return 0;
}

static void tells_the_core_that_stands_still(void **state)
{
    struct pulse *pulse = *state;
    uint64_t now_ms = 10000;
    for (int look = 0; look < 20; look++) {
        COUNT(&first, turns);
        if (look < 10)
            COUNT(&second, turns);
        pulse_look(pulse, now_ms += PULSE_LOOK_MS);
        assert_int_equal(look < 13 ? -1 : 1, pulse_stuck(pulse)); /* four looks without a turn */
    }
    COUNT(&second, turns);
    pulse_look(pulse, ++now_ms);
    assert_int_equal(-1, pulse_stuck(pulse));
}

/* An idle core turns once between two looks or so, and is well. */
static void is_content_with_an_idle_core(void **state)
{
    struct pulse *pulse = *state;
    uint64_t now_ms = 10000;
    for (int look = 0; look < 100; look++) {
        if (look % 3 == 0) {
            COUNT(&first, turns);
            COUNT(&second, turns);
        }
        pulse_look(pulse, now_ms += PULSE_LOOK_MS);
        assert_int_equal(-1, pulse_stuck(pulse));
    }
}

/* Stopped for an hour, then looked at before the cores had a chance: not their fault. */
static void does_not_judge_by_its_own_sleep(void **state)
{
    struct pulse *pulse = *state;
    COUNT(&first, turns);
    COUNT(&second, turns);
    pulse_look(pulse, 10100);
    pulse_look(pulse, 10100 + 3600000);
    pulse_look(pulse, 10101 + 3600000);
    assert_int_equal(-1, pulse_stuck(pulse));
}

/* Asking often does not make a core stuck any sooner, and not asking at all no later. */
static void counts_time_not_looks(void **state)
{
    struct pulse *pulse = *state;
    for (uint64_t now_ms = 10001; now_ms < 10000 + PULSE_STILL_MS; now_ms++) {
        pulse_look(pulse, now_ms);
        assert_int_equal(-1, pulse_stuck(pulse));
    }
    pulse_look(pulse, 10000 + PULSE_STILL_MS);
    assert_int_equal(0, pulse_stuck(pulse));
}

static void lets_an_ended_core_rest(void **state)
{
    struct pulse *pulse = *state;
    uint64_t now_ms = 10000;
    GAUGE_SET(&second, over, 1);
    for (int look = 0; look < 20; look++) {
        COUNT(&first, turns);
        pulse_look(pulse, now_ms += PULSE_LOOK_MS);
        assert_int_equal(-1, pulse_stuck(pulse));
    }
    GAUGE_SET(&second, over, 0);
}

static void tells_long_turns_once(void **state)
{
    struct pulse *pulse = *state;
    struct pulse_stall stall;
    assert_false(pulse_stalled(pulse, &stall));
    COUNT_BY(&second, stalled_us, 250000);
    COUNT_BY(&second, turns_stalled, 2);
    COUNT_BY(&first, stalled_us, 101000);
    COUNT(&first, turns_stalled);
    assert_true(pulse_stalled(pulse, &stall));
    assert_true(stall.core == 0 && stall.turns == 1 && stall.ms == 101);
    assert_true(pulse_stalled(pulse, &stall));
    assert_true(stall.core == 1 && stall.turns == 2 && stall.ms == 250);
    assert_false(pulse_stalled(pulse, &stall));
}

#define with(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with(tells_the_core_that_stands_still), with(is_content_with_an_idle_core),
        with(does_not_judge_by_its_own_sleep),  with(counts_time_not_looks),
        with(lets_an_ended_core_rest),          with(tells_long_turns_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
