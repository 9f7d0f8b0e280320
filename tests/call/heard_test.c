/* The ledger of what the caller heard, against a carrier that plays in real time. */
#include "edge/call/heard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS(ms) ((uint64_t)(ms)*HEARD_SAMPLES_PER_MS)

static struct span item(const char *id)
{
    return span_of(id);
}

static void nothing_sent_nothing_plays(void **state)
{
    (void)state;
    struct heard heard;
    struct heard_item *cut[CALL_ITEMS_MAX];
    heard_open(&heard);
    assert_false(heard_playing(&heard, MS(5000)));
    assert_int_equal(heard_playhead(&heard, MS(5000)), 0);
    assert_int_equal(heard_interrupt(&heard, MS(5000), cut), 0);
    heard_close(&heard);
}

/* A second of speech received at once is heard a second later, not at once. */
static void the_playhead_moves_in_real_time(void **state)
{
    (void)state;
    struct heard heard;
    heard_open(&heard);
    assert_true(heard_sent(&heard, item("a"), 0, MS(1000), MS(300), 1));
    assert_int_equal(heard_playhead(&heard, MS(300)), 0);
    assert_int_equal(heard_playhead(&heard, MS(550)), MS(250));
    assert_true(heard_playing(&heard, MS(1299)));
    assert_int_equal(heard_playhead(&heard, MS(1300)), MS(1000));
    assert_int_equal(heard_playhead(&heard, MS(9000)), MS(1000));
    assert_false(heard_playing(&heard, MS(1300)));
    heard_close(&heard);
}

/* Audio sent into an empty buffer starts to play then, not when the previous one ended. */
static void a_pause_is_not_heard_as_speech(void **state)
{
    (void)state;
    struct heard heard;
    heard_open(&heard);
    heard_sent(&heard, item("a"), 0, MS(100), 0, 1);
    heard_sent(&heard, item("b"), 0, MS(100), MS(5000), 1);
    assert_int_equal(heard_playhead(&heard, MS(5040)), MS(140));
    heard_close(&heard);
}

/* The echo of a mark is the truth: a carrier that began late moves the playhead back. */
static void a_mark_corrects_the_estimate(void **state)
{
    (void)state;
    struct heard heard;
    heard_open(&heard);
    heard_sent(&heard, item("a"), 0, MS(400), 0, 1);
    assert_true(heard_mark_due(&heard, false));
    uint32_t first = heard_mark(&heard);
    heard_sent(&heard, item("a"), 0, MS(600), 0, 1);
    assert_int_equal(heard_playhead(&heard, MS(460)), MS(460));
    assert_true(heard_echo(&heard, first, MS(460)));
    assert_int_equal(heard_playhead(&heard, MS(460)), MS(400));
    assert_int_equal(heard_playhead(&heard, MS(500)), MS(440));
    assert_false(heard_echo(&heard, first, MS(600))); /* a second echo changes nothing */
    assert_int_equal(heard_playhead(&heard, MS(500)), MS(440));
    heard_close(&heard);
}

static void marks_come_at_most_every_200_ms(void **state)
{
    (void)state;
    struct heard heard;
    heard_open(&heard);
    heard_sent(&heard, item("a"), 0, MS(199), 0, 1);
    assert_false(heard_mark_due(&heard, false));
    assert_true(heard_mark_due(&heard, true));
    heard_sent(&heard, item("a"), 0, MS(1), 0, 1);
    assert_true(heard_mark_due(&heard, false));
    heard_mark(&heard);
    assert_false(heard_mark_due(&heard, true)); /* nothing new to mark */
    for (unsigned i = 1; i < CALL_MARKS_MAX; i++) {
        heard_sent(&heard, item("a"), 0, MS(200), 0, 1);
        assert_true(heard_mark_due(&heard, false));
        heard_mark(&heard);
    }
    heard_sent(&heard, item("a"), 0, MS(200), 0, 1);
    assert_false(heard_mark_due(&heard, false)); /* the ring of marks is full */
    heard_close(&heard);
}

/* Two items queued, the first half heard: it is cut there, the second at 0. */
static void an_interruption_cuts_each_item_where_it_was(void **state)
{
    (void)state;
    struct heard heard;
    struct heard_item *cut[CALL_ITEMS_MAX];
    heard_open(&heard);
    heard_sent(&heard, item("a"), 0, MS(1000), 0, 1);
    heard_sent_whole(&heard, item("a"));
    heard_sent(&heard, item("b"), 2, MS(1000), 0, 1);
    uint32_t mark = heard_mark(&heard);
    assert_int_equal(heard_interrupt(&heard, MS(400), cut), 2);
    assert_string_equal(cut[0]->id, "a");
    assert_int_equal(cut[0]->heard, MS(400));
    assert_string_equal(cut[1]->id, "b");
    assert_int_equal(cut[1]->heard, 0);
    assert_int_equal(cut[1]->content_index, 2);
    assert_false(heard_playing(&heard, MS(400)));
    assert_false(heard_echo(&heard, mark, MS(401))); /* flushed, not heard */
    assert_int_equal(heard_playhead(&heard, MS(500)), MS(400));
    assert_false(heard_sent(&heard, item("a"), 0, 1, MS(500), 1)); /* late audio of a cut item */
    assert_int_equal(heard_interrupt(&heard, MS(500), cut), 0);
    heard_close(&heard);
}

static void an_item_played_out_is_not_cut(void **state)
{
    (void)state;
    struct heard heard;
    struct heard_item *cut[CALL_ITEMS_MAX];
    heard_open(&heard);
    heard_sent(&heard, item("a"), 0, MS(100), 0, 1);
    heard_sent_whole(&heard, item("a"));
    heard_sent(&heard, item("b"), 0, MS(100), 0, 1);
    assert_int_equal(heard_interrupt(&heard, MS(150), cut), 1);
    assert_string_equal(cut[0]->id, "b");
    assert_int_equal(cut[0]->heard, MS(50));
    heard_close(&heard);
}

/* A message is told once, when its text is final and it was played out or cut. */
static void a_message_is_told_once_and_not_too_early(void **state)
{
    (void)state;
    struct heard heard;
    heard_open(&heard);
    heard_text(&heard, item("a"), span_of("Hel"), false);
    heard_text(&heard, item("a"), span_of("lo"), false);
    heard_sent(&heard, item("a"), 0, MS(500), 0, 77);
    heard_sent_whole(&heard, item("a"));
    assert_null(heard_tellable(&heard, MS(600), false)); /* the text may still change */
    heard_text(&heard, item("a"), span_of("Hello."), true);
    assert_null(heard_tellable(&heard, MS(499), false)); /* still being played */
    struct heard_item *told = heard_tellable(&heard, MS(500), false);
    assert_non_null(told);
    assert_memory_equal(told->text, "Hello.", 6);
    assert_int_equal(told->text_bytes, 6);
    assert_int_equal(told->heard, MS(500));
    assert_int_equal(told->began_at_ms, 77);
    heard_told(&heard, told);
    assert_null(heard_tellable(&heard, MS(500), true));
    heard_close(&heard);
}

/* The caller hangs up in the middle: what was said so far is told with what was heard of it. */
static void the_end_tells_what_there_is(void **state)
{
    (void)state;
    struct heard heard;
    heard_open(&heard);
    heard_sent(&heard, item("a"), 0, MS(500), 0, 1);
    heard_text(&heard, item("a"), span_of("I was about"), false);
    struct heard_item *told = heard_tellable(&heard, MS(120), true);
    assert_non_null(told);
    assert_int_equal(told->heard, MS(120));
    assert_memory_equal(told->text, "I was about", 11);
    heard_told(&heard, told);
    heard_close(&heard);
}

static void hostile_ids_and_too_many_items_are_refused(void **state)
{
    (void)state;
    struct heard heard;
    char id[HEARD_ID_BYTES_MAX + 1];
    heard_open(&heard);
    memset(id, 'x', sizeof id);
    assert_false(heard_sent(&heard, span_from(id, HEARD_ID_BYTES_MAX), 0, 1, 0, 1));
    assert_true(heard_sent(&heard, span_from(id, HEARD_ID_BYTES_MAX - 1), 0, 1, 0, 1));
    assert_false(heard_sent(&heard, span_from(id, 0), 0, 1, 0, 1));
    assert_false(heard_sent(&heard, span_from("a\0b", 3), 0, 1, 0, 1));
    for (char name[] = "a"; name[0] < 'a' + CALL_ITEMS_MAX - 1; name[0]++)
        assert_true(heard_sent(&heard, item(name), 0, 1, 0, 1));
    assert_false(heard_sent(&heard, item("one more"), 0, 1, 0, 1));
    struct heard_item *done = heard_tellable(&heard, MS(1000), true);
    heard_told(&heard, done);
    assert_true(heard_sent(&heard, item("one more"), 0, 1, 0, 1)); /* a told row makes room */
    heard_close(&heard);
}

/* An AI that never says in words what it speaks does not use up the rows. */
static void wordless_items_make_room(void **state)
{
    (void)state;
    struct heard heard;
    heard_open(&heard);
    for (unsigned i = 0; i < 3 * CALL_ITEMS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "item %u", i);
        uint64_t now = MS(1000) * i;
        assert_true(heard_sent(&heard, item(name), 0, 8000, now, 1));
        heard_sent_whole(&heard, item(name));
        assert_true(heard_echo(&heard, heard_mark(&heard), now + MS(1000)));
    }
    heard_close(&heard);
}

static void text_has_a_bound(void **state)
{
    (void)state;
    struct heard heard;
    static char text[HEARD_TEXT_BYTES_MAX];
    memset(text, 'a', sizeof text);
    heard_open(&heard);
    assert_true(heard_text(&heard, item("a"), span_from(text, sizeof text - 1), false));
    assert_true(heard_text(&heard, item("a"), span_from("b", 1), false));
    assert_true(heard_text(&heard, item("a"), span_from("c", 1), false));
    assert_int_equal(heard.items[0].text_bytes, HEARD_TEXT_BYTES_MAX);
    assert_int_equal(heard.items[0].text[HEARD_TEXT_BYTES_MAX - 1], 'b');
    heard_close(&heard);
}

/* An hour of speech with an interruption every few seconds: the playhead never leaves the truth by
 * a sample. The truth is a carrier's buffer kept here in the plainest way. */
static void an_hour_without_drift(void **state)
{
    (void)state;
    struct heard heard;
    uint64_t now = 0, sent = 0, played = 0;
    unsigned dice = 12345;
    char id[16];
    heard_open(&heard);
    for (unsigned turn = 0; now < MS(3600000); turn++) {
        struct heard_item *cut[CALL_ITEMS_MAX], *done;
        snprintf(id, sizeof id, "i%u", turn);
        for (unsigned delta = 0; delta < 20; delta++) {
            dice = dice * 1103515245 + 12345;
            uint64_t samples = 1 + dice / 65536 % 1600, pause = dice / 7 % 900;
            assert_true(heard_sent(&heard, item(id), 0, samples, now, 1));
            sent += samples;
            now += pause;
            played = played + pause < sent ? played + pause : sent;
            assert_int_equal(heard_playhead(&heard, now), played);
        }
        bool interrupt = dice & 1 << 20;
        if (!interrupt) {
            heard_sent_whole(&heard, item(id));
            now += sent - played;
            played = sent;
        }
        heard_interrupt(&heard, now, cut);
        sent = played;
        heard_text(&heard, item(id), span_of("t"), true);
        while ((done = heard_tellable(&heard, now, false)))
            heard_told(&heard, done);
    }
    heard_close(&heard);
}

/* A response that is cancelled may end without a last word about its items. */
static void items_of_cancelled_responses_make_room(void **state)
{
    (void)state;
    struct heard heard;
    struct heard_item *cut[CALL_ITEMS_MAX], *told;
    heard_open(&heard);
    for (unsigned i = 0; i < 5 * CALL_ITEMS_MAX; i++) {
        char id[16];
        uint64_t now = MS(1000 * i);
        snprintf(id, sizeof id, "item%u", i);
        assert_true(heard_sent(&heard, item(id), 0, MS(800), now, 1));
        heard_text(&heard, item(id), span_of("half a sen"), false);
        assert_int_equal(heard_interrupt(&heard, now + MS(300), cut), 1);
        assert_null(heard_tellable(&heard, now + MS(300), false));
        heard_done(&heard);
        told = heard_tellable(&heard, now + MS(300), false);
        assert_non_null(told);
        assert_int_equal(told->heard, MS(300));
        heard_told(&heard, told);
    }
    heard_close(&heard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_sent_nothing_plays),
        cmocka_unit_test(the_playhead_moves_in_real_time),
        cmocka_unit_test(a_pause_is_not_heard_as_speech),
        cmocka_unit_test(a_mark_corrects_the_estimate),
        cmocka_unit_test(marks_come_at_most_every_200_ms),
        cmocka_unit_test(an_interruption_cuts_each_item_where_it_was),
        cmocka_unit_test(an_item_played_out_is_not_cut),
        cmocka_unit_test(a_message_is_told_once_and_not_too_early),
        cmocka_unit_test(the_end_tells_what_there_is),
        cmocka_unit_test(hostile_ids_and_too_many_items_are_refused),
        cmocka_unit_test(wordless_items_make_room),
        cmocka_unit_test(items_of_cancelled_responses_make_room),
        cmocka_unit_test(text_has_a_bound),
        cmocka_unit_test(an_hour_without_drift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
