/* The caller's manners: when he speaks, when he interrupts, when he gives up. */
#include "tests/practice/carrier_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MS 1000000ull

static uint8_t sound[500]; /* 3 frames and 20 bytes */

static struct carrier_script script_of(enum carrier_item_kind kind, const char *text)
{
    memset(sound, 0x42, sizeof sound);
    struct carrier_script script = {
        .count = 1, .greeting_ms = 1000, .quiet_ms = 200, .patience_ms = 2000, .barge_in_ms = 300};
    script.items[0] =
        (struct carrier_item){.kind = kind, .text = text, .codes = sound, .bytes = sizeof sound};
    return script;
}

static const struct carrier_agent silent_long = {.quiet_ms = 100000};

/* Steps of 20 ms with an agent that does the same all the time; returns the first step that is not
 * listening, or -1. */
static int first_act(const struct carrier_script *script, struct carrier_caller *caller,
                     const struct carrier_agent *agent, int steps, int from)
{
    uint8_t frame[CARRIER_FRAME_BYTES];
    for (int i = from; i < from + steps; i++)
        if (carrier_script_frame(script, caller, (uint64_t)i * 20 * MS, agent, frame) !=
            CARRIER_LISTENS)
            return i;
    return -1;
}

static void the_caller_waits_for_a_greeting_but_not_for_ever(void **state)
{
    (void)state;
    struct carrier_script script = script_of(CARRIER_SAY, "hello");
    struct carrier_caller caller;
    carrier_script_begin(&caller, 0);
    assert_int_equal(first_act(&script, &caller, &silent_long, 200, 0), 50); /* 1000 ms */
}

static void he_speaks_when_the_agent_has_been_quiet(void **state)
{
    (void)state;
    struct carrier_script script = script_of(CARRIER_SAY, "hello");
    struct carrier_caller caller;
    carrier_script_begin(&caller, 0);
    struct carrier_agent speaks = {.speaking = true, .speech_ms = 500};
    struct carrier_agent pauses = {.quiet_ms = 199}, quiet = {.quiet_ms = 200};
    assert_int_equal(first_act(&script, &caller, &speaks, 10, 0), -1);
    assert_int_equal(first_act(&script, &caller, &pauses, 10, 10), -1);
    assert_int_equal(first_act(&script, &caller, &quiet, 10, 20), 20); /* long before 1000 ms */
}

static void an_utterance_is_whole_and_padded(void **state)
{
    (void)state;
    struct carrier_script script = script_of(CARRIER_SAY, "hello");
    struct carrier_caller caller;
    carrier_script_begin(&caller, 0);
    static const enum carrier_act acts[] = {CARRIER_BEGINS, CARRIER_SPEAKS, CARRIER_SPEAKS,
                                            CARRIER_ENDS};
    uint8_t frame[CARRIER_FRAME_BYTES];
    for (unsigned i = 0; i < 4; i++) {
        enum carrier_act act =
            carrier_script_frame(&script, &caller, (1000 + 20 * i) * MS, &silent_long, frame);
        assert_int_equal(act, acts[i]);
        for (size_t k = 0; k < sizeof frame; k++)
            assert_int_equal(frame[k], i * 160 + k < sizeof sound ? 0x42 : CARRIER_SILENCE);
    }
    assert_int_equal(caller.item, 1);
}

static void he_hangs_up_after_the_answer_or_without_one(void **state)
{
    (void)state;
    struct carrier_script script = script_of(CARRIER_SAY, "hello");
    struct carrier_caller caller;
    uint8_t frame[CARRIER_FRAME_BYTES];
    carrier_script_begin(&caller, 0);
    for (unsigned i = 0; i < 4; i++)
        carrier_script_frame(&script, &caller, (1000 + 20 * i) * MS, &silent_long, frame);
    struct carrier_caller waiting = caller;
    assert_int_equal(first_act(&script, &waiting, &silent_long, 300, 54), 153); /* 1060 + 2000 */
    struct carrier_agent speaks = {.speaking = true};
    assert_int_equal(first_act(&script, &caller, &speaks, 10, 54), -1);
    assert_int_equal(carrier_script_frame(&script, &caller, 64 * 20 * MS, &silent_long, frame),
                     CARRIER_HANGS_UP);
    script.stays = true;
    assert_int_equal(first_act(&script, &caller, &silent_long, 500, 65), -1);
}

static void he_interrupts_in_the_middle_of_speech(void **state)
{
    (void)state;
    struct carrier_script script = script_of(CARRIER_INTERRUPT, "wait");
    struct carrier_caller caller;
    carrier_script_begin(&caller, 0);
    struct carrier_agent early = {.speaking = true, .speech_ms = 299};
    struct carrier_agent due = {.speaking = true, .speech_ms = 300};
    assert_int_equal(first_act(&script, &caller, &early, 10, 0), -1);
    assert_int_equal(first_act(&script, &caller, &silent_long, 10, 10), -1);
    assert_int_equal(first_act(&script, &caller, &due, 10, 20), 20);
}

static void keys_are_pressed_one_by_one(void **state)
{
    (void)state;
    struct carrier_script script = script_of(CARRIER_PRESS, "4#");
    struct carrier_caller caller;
    carrier_script_begin(&caller, 0);
    uint8_t frame[CARRIER_FRAME_BYTES];
    char pressed[8] = "";
    size_t count = 0;
    unsigned at[2] = {0};
    for (unsigned i = 50; i < 100; i++) {
        enum carrier_act act =
            carrier_script_frame(&script, &caller, i * 20 * MS, &silent_long, frame);
        if (act != CARRIER_PRESSES)
            continue;
        at[count] = i;
        pressed[count++] = caller.digit;
    }
    assert_string_equal(pressed, "4#");
    assert_int_equal(at[1] - at[0], 12);
    assert_int_equal(caller.item, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_caller_waits_for_a_greeting_but_not_for_ever),
        cmocka_unit_test(he_speaks_when_the_agent_has_been_quiet),
        cmocka_unit_test(an_utterance_is_whole_and_padded),
        cmocka_unit_test(he_hangs_up_after_the_answer_or_without_one),
        cmocka_unit_test(he_interrupts_in_the_middle_of_speech),
        cmocka_unit_test(keys_are_pressed_one_by_one),
    };
    return cmocka_run_group_tests_name("carrier_script", tests, NULL, NULL);
}
