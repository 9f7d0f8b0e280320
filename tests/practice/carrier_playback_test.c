/* Twilio's playback buffer: time is an argument, so every millisecond here is exact. */
#include "tests/practice/carrier_audio.h"
#include "tests/practice/carrier_playback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS 1000000ull
#define T0 (1000 * MS)

static uint8_t tone_bytes[CARRIER_PLAYBACK_BYTES_MAX];

static struct span speech(uint64_t ms)
{
    return span_from(tone_bytes, (size_t)(8 * ms));
}

static int open_playback(void **state)
{
    memset(tone_bytes, 0x55, sizeof tone_bytes);
    struct carrier_playback *playback = malloc(sizeof *playback);
    carrier_playback_open(playback, T0);
    *state = playback;
    return 0;
}

static int close_playback(void **state)
{
    carrier_playback_close(*state);
    free(*state);
    return 0;
}

static void expect_mark(struct carrier_playback *playback, uint64_t now_ns, const char *name,
                        bool flushed, double played_ms)
{
    struct carrier_mark mark;
    assert_true(carrier_playback_next(playback, now_ns, &mark));
    assert_string_equal(mark.name, name);
    assert_int_equal(mark.flushed, flushed);
    assert_true(mark.played_ms == played_ms);
    free(mark.name);
}

static void expect_none(struct carrier_playback *playback, uint64_t now_ns)
{
    struct carrier_mark mark;
    assert_false(carrier_playback_next(playback, now_ns, &mark));
}

static void a_mark_waits_for_the_audio_before_it(void **state)
{
    struct carrier_playback *playback = *state;
    assert_true(carrier_playback_media(playback, T0 + 5 * MS, speech(100)));
    assert_true(carrier_playback_mark(playback, T0 + 5 * MS, span_of("a")));
    assert_true(carrier_playback_media(playback, T0 + 6 * MS, speech(50)));
    assert_true(carrier_playback_mark(playback, T0 + 6 * MS, span_of("b")));
    assert_int_equal(carrier_playback_due_ns(playback), T0 + 105 * MS);
    expect_none(playback, T0 + 105 * MS - 1);
    expect_mark(playback, T0 + 105 * MS, "a", false, 100);
    expect_none(playback, T0 + 155 * MS - 1);
    assert_int_equal(carrier_playback_due_ns(playback), T0 + 155 * MS);
    expect_mark(playback, T0 + 170 * MS, "b", false, 150); /* asked late: still the exact figure */
    assert_int_equal(carrier_playback_due_ns(playback), 0);
}

static void a_mark_in_an_empty_buffer_comes_back_at_once(void **state)
{
    struct carrier_playback *playback = *state;
    assert_true(carrier_playback_mark(playback, T0 + MS, span_of("first")));
    expect_mark(playback, T0 + MS, "first", false, 0);
    assert_true(carrier_playback_media(playback, T0 + 2 * MS, speech(20)));
    assert_true(carrier_playback_mark(playback, T0 + 90 * MS, span_of("after")));
    struct carrier_mark mark;
    assert_true(carrier_playback_next(playback, T0 + 90 * MS, &mark));
    assert_int_equal(mark.returned_ns, T0 + 90 * MS); /* not when the audio ended */
    free(mark.name);
}

static void clear_throws_away_and_returns_every_mark(void **state)
{
    struct carrier_playback *playback = *state;
    carrier_playback_media(playback, T0, speech(200));
    carrier_playback_mark(playback, T0, span_of("heard"));
    carrier_playback_media(playback, T0, speech(200));
    carrier_playback_mark(playback, T0, span_of("cut"));
    carrier_playback_media(playback, T0, speech(600));
    carrier_playback_mark(playback, T0, span_of("never"));
    struct carrier_cleared cleared = carrier_playback_clear(playback, T0 + 345 * MS + MS / 2);
    assert_true(cleared.played_ms == 345.5);
    assert_true(cleared.speech_ms == 345.5);
    assert_true(cleared.thrown_ms == 654.5);
    assert_int_equal(cleared.marks, 2);
    expect_mark(playback, T0 + 346 * MS, "heard", false, 200);
    expect_mark(playback, T0 + 346 * MS, "cut", true, 345.5);
    expect_mark(playback, T0 + 346 * MS, "never", true, 345.5);
    expect_none(playback, T0 + 400 * MS);
    assert_int_equal(carrier_playback_queued(playback, T0 + 400 * MS), 0);
    /* What comes next plays at once and is a new speech. */
    carrier_playback_media(playback, T0 + 400 * MS, speech(40));
    carrier_playback_mark(playback, T0 + 400 * MS, span_of("new"));
    expect_none(playback, T0 + 440 * MS - 1);
    struct carrier_mark mark;
    assert_true(carrier_playback_next(playback, T0 + 440 * MS, &mark));
    assert_true(mark.speech_ms == 40);
    assert_true(mark.played_ms == 385.5);
    free(mark.name);
}

static void clearing_nothing_is_harmless(void **state)
{
    struct carrier_playback *playback = *state;
    struct carrier_cleared cleared = carrier_playback_clear(playback, T0 + MS);
    assert_true(cleared.thrown_ms == 0 && cleared.marks == 0);
}

static void ten_minutes_fit_and_one_byte_more_does_not(void **state)
{
    struct carrier_playback *playback = *state;
    assert_true(carrier_playback_media(playback, T0, speech(10ull * 60 * 1000)));
    assert_false(carrier_playback_media(playback, T0, span_from(tone_bytes, 1)));
    assert_int_equal(playback->refused_bytes, 1);
    assert_false(carrier_playback_media(playback, T0 + MS, span_from(tone_bytes, 9)));
    assert_true(carrier_playback_media(playback, T0 + MS, span_from(tone_bytes, 8)));
}

static void too_many_or_odd_marks_are_refused(void **state)
{
    struct carrier_playback *playback = *state;
    assert_false(carrier_playback_mark(playback, T0, span_from("a\0b", 3)));
    carrier_playback_media(playback, T0, speech(1000));
    for (size_t i = 0; i < CARRIER_MARKS_MAX; i++)
        assert_true(carrier_playback_mark(playback, T0, span_of("m")));
    assert_false(carrier_playback_mark(playback, T0, span_of("one more")));
}

static void the_line_is_kept_with_its_silence(void **state)
{
    struct carrier_playback *playback = *state;
    carrier_playback_media(playback, T0 + 10 * MS, speech(20));
    carrier_playback_media(playback, T0 + 50 * MS, speech(10));
    carrier_playback_finish(playback, T0 + 70 * MS);
    assert_int_equal(playback->heard_bytes, 8 * 70);
    for (size_t i = 0; i < playback->heard_bytes; i++) {
        size_t ms = i / 8;
        bool sound = (ms >= 10 && ms < 30) || (ms >= 50 && ms < 60);
        assert_int_equal(playback->heard[i], sound ? 0x55 : CARRIER_SILENCE);
    }
    assert_int_equal(playback->runs, 2);
}

/* Deltas that arrive just in time, polled at odd moments, play without a gap or a double sample. */
static void just_in_time_is_gapless(void **state)
{
    struct carrier_playback *playback = *state;
    uint8_t frame[160];
    for (unsigned i = 0; i < 500; i++) {
        for (size_t k = 0; k < sizeof frame; k++)
            frame[k] = (uint8_t)(i * sizeof frame + k);
        uint64_t now = T0 + i * 20 * MS;
        carrier_playback_queued(playback, now + 7 * MS * (i % 3) - 14 * MS * (i > 0));
        carrier_playback_media(playback, now > 0 ? now + MS : 0, span_from(frame, sizeof frame));
    }
    carrier_playback_finish(playback, T0 + 500 * 20 * MS + MS);
    assert_int_equal(playback->position, 500 * 160);
    for (size_t i = 8; i < playback->heard_bytes; i++)
        assert_int_equal(playback->heard[i], (uint8_t)(i - 8));
}

static void a_long_pause_begins_a_new_speech(void **state)
{
    struct carrier_playback *playback = *state;
    carrier_playback_media(playback, T0, speech(100));
    carrier_playback_media(playback, T0 + 400 * MS, speech(100)); /* 300 ms of silence: the same */
    carrier_playback_queued(playback, T0 + 550 * MS);
    assert_int_equal(playback->speech_bytes, 8 * 200);
    carrier_playback_media(playback, T0 + 901 * MS, speech(100)); /* 401 ms: another */
    carrier_playback_queued(playback, T0 + 950 * MS);
    assert_int_equal(playback->speech_bytes, 8 * 49);
}

#define with_playback(test) cmocka_unit_test_setup_teardown(test, open_playback, close_playback)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_playback(a_mark_waits_for_the_audio_before_it),
        with_playback(a_mark_in_an_empty_buffer_comes_back_at_once),
        with_playback(clear_throws_away_and_returns_every_mark),
        with_playback(clearing_nothing_is_harmless),
        with_playback(ten_minutes_fit_and_one_byte_more_does_not),
        with_playback(too_many_or_odd_marks_are_refused),
        with_playback(the_line_is_kept_with_its_silence),
        with_playback(just_in_time_is_gapless),
        with_playback(a_long_pause_begins_a_new_speech),
    };
    return cmocka_run_group_tests_name("carrier_playback", tests, NULL, NULL);
}
