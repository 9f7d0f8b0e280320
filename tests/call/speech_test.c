/* How long somebody has spoken, by what can be heard. */
#include "edge/call/speech.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FRAME 160

static void hear(struct speech *speech, int16_t level, unsigned frames)
{
    int16_t samples[FRAME];
    for (unsigned i = 0; i < FRAME; i++)
        samples[i] = (int16_t)(i % 2 ? level : -level);
    while (frames--)
        speech_hear(speech, samples, FRAME);
}

static void counts_at_once_when_nothing_is_asked(void **state)
{
    (void)state;
    struct speech speech = {.open = false};
    assert_false(speech_counts(&speech));
    speech_begin(&speech, 0, 0);
    assert_true(speech_counts(&speech));
    speech_end(&speech);
    assert_false(speech_counts(&speech));
}

static void counts_what_is_loud(void **state)
{
    (void)state;
    struct speech speech;
    speech_begin(&speech, 100, 0);
    hear(&speech, 3000, 4);
    assert_false(speech_counts(&speech));
    hear(&speech, 0, 50);  /* a pause is no speech, however long */
    hear(&speech, 90, 50); /* nor is what is 30 dB quieter */
    assert_false(speech_counts(&speech));
    hear(&speech, 100, 1); /* less than 30 dB */
    assert_true(speech_counts(&speech));
}

static void takes_noise_for_silence(void **state)
{
    (void)state;
    struct speech speech;
    speech_begin(&speech, 40, 0);
    hear(&speech, 58, 100); /* full scale of 16 bits is 55 dB above this */
    assert_false(speech_counts(&speech));
    hear(&speech, 59, 2);
    assert_true(speech_counts(&speech));
}

static void begins_with_what_has_passed(void **state)
{
    (void)state;
    struct speech speech;
    speech_begin(&speech, 200, 180);
    assert_false(speech_counts(&speech));
    hear(&speech, 3000, 1);
    assert_true(speech_counts(&speech));
    speech_begin(&speech, 200, 200);
    assert_true(speech_counts(&speech));
    speech_begin(&speech, 2000, UINT32_MAX); /* whatever an AI says */
    assert_true(speech_counts(&speech));
}

static void hears_the_loudest_there_is(void **state)
{
    (void)state;
    struct speech speech;
    speech_begin(&speech, 20, 0);
    hear(&speech, INT16_MAX, 1);
    assert_true(speech_counts(&speech));
    int16_t lowest[FRAME];
    for (unsigned i = 0; i < FRAME; i++)
        lowest[i] = INT16_MIN;
    speech_hear(&speech, lowest, FRAME);
    assert_int_equal(1u << 30, speech.loudest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_at_once_when_nothing_is_asked),
        cmocka_unit_test(counts_what_is_loud),
        cmocka_unit_test(takes_noise_for_silence),
        cmocka_unit_test(begins_with_what_has_passed),
        cmocka_unit_test(hears_the_loudest_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
