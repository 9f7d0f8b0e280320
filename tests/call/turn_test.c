/* A turn's moments, and what is none. */
#include "edge/call/turn.h"

#include <stddef.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MS        1000000u
#define SAMPLE_NS 125000u

static struct turn sent_turn(void)
{
    struct turn turn = {.stage = TURN_NONE};
    turn_spoken(&turn, 1000 * MS, 1500 * MS);
    turn_answering(&turn);
    turn_sent(&turn, 1800 * MS, 1801 * MS, 8000);
    return turn;
}

static void splits_a_turn(void **state)
{
    (void)state;
    struct turn turn = sent_turn();
    struct turn_parts parts;
    assert_false(turn_played(&turn, 1900 * MS, 8000, SAMPLE_NS, &parts)); /* just before it */
    assert_true(turn_played(&turn, 2101 * MS, 8000 + 1600, SAMPLE_NS, &parts));
    assert_int_equal(500000, parts.vad_us);
    assert_int_equal(300000, parts.ai_us);
    assert_int_equal(1000, parts.edge_us);
    assert_int_equal(100000, parts.carrier_us);
    assert_int_equal(901000, parts.whole_us);
    assert_int_equal(parts.whole_us, parts.vad_us + parts.ai_us + parts.edge_us + parts.carrier_us);
    assert_false(turn_played(&turn, 2200 * MS, 20000, SAMPLE_NS, &parts)); /* once */
}

static void never_runs_backwards(void **state)
{
    (void)state;
    struct turn turn = sent_turn();
    struct turn_parts parts;
    assert_true(turn_played(&turn, 1850 * MS, 8000 + 8000, SAMPLE_NS, &parts));
    assert_int_equal(0, parts.carrier_us);
    turn = sent_turn();
    assert_true(turn_played(&turn, 1850 * MS, UINT32_MAX, SAMPLE_NS, &parts));
    assert_int_equal(0, parts.carrier_us);
    turn_spoken(&turn, 3000 * MS, 2000 * MS); /* silent after it was noticed: at once, then */
    turn_answering(&turn);
    turn_sent(&turn, 2000 * MS, 2000 * MS, 0);
    assert_true(turn_played(&turn, 2000 * MS, 1, SAMPLE_NS, &parts));
    assert_int_equal(0, parts.whole_us);
}

static void takes_nothing_out_of_turn(void **state)
{
    (void)state;
    struct turn_parts parts;
    struct turn turn = {.stage = TURN_NONE};
    turn_answering(&turn); /* a response nobody spoke for */
    turn_sent(&turn, 1, 2, 0);
    assert_false(turn_played(&turn, 3 * MS, 100, SAMPLE_NS, &parts));
    turn_spoken(&turn, 1 * MS, 2 * MS);
    turn_sent(&turn, 3 * MS, 3 * MS, 0); /* audio of a response from before */
    assert_false(turn_played(&turn, 4 * MS, 100, SAMPLE_NS, &parts));
    turn_answering(&turn);
    turn_forget(&turn); /* the caller speaks on */
    turn_sent(&turn, 5 * MS, 5 * MS, 0);
    assert_false(turn_played(&turn, 6 * MS, 100, SAMPLE_NS, &parts));
}

static void keeps_the_first_audio(void **state)
{
    (void)state;
    struct turn turn = sent_turn();
    struct turn_parts parts;
    turn_sent(&turn, 1900 * MS, 1900 * MS, 16000);
    assert_true(turn_played(&turn, 1801 * MS, 8001, SAMPLE_NS, &parts));
    assert_int_equal(300000, parts.ai_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_a_turn),
        cmocka_unit_test(never_runs_backwards),
        cmocka_unit_test(takes_nothing_out_of_turn),
        cmocka_unit_test(keeps_the_first_audio),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
