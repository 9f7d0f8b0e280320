/* The tap of a call against a carrier that plays what it is sent, sample by sample. */
#include "edge/call/tap.h"
#include "edge/limits.h"
#include "edge/media/g711.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SILENCE G711_ULAW_SILENCE
#define FRAME   160

/* A code that says whose and which sample it is, as far as a byte can; never silence. */
static uint8_t code_at(uint64_t sample, unsigned whose)
{
    return (uint8_t)((sample * 2654435761u + whose * 40503u) >> 13 & 0x7f);
}

/* One tap with its ledger, and what it has yielded so far. */
struct desk {
    struct heard heard;
    struct slab chunks;
    struct tap tap;
    uint64_t clock; /* of the carrier */
    uint8_t *caller, *agent;
    size_t bytes, room;
};

static void open_desk(struct desk *desk, unsigned chunks, uint64_t at_sample)
{
    *desk = (struct desk){.clock = at_sample};
    heard_open(&desk->heard);
    assert_true(slab_open(&desk->chunks, chunks, TAP_CHUNK_BYTES));
    tap_open(&desk->tap, &desk->chunks, &desk->heard, at_sample);
}

static void close_desk(struct desk *desk)
{
    tap_close(&desk->tap);
    assert_int_equal(desk->chunks.live, 0);
    slab_close(&desk->chunks);
    heard_close(&desk->heard);
    free(desk->caller);
    free(desk->agent);
}

static void keep(struct desk *desk, const struct tap_piece *piece)
{
    if (desk->bytes == 0 && desk->room == 0)
        desk->bytes = (size_t)piece->first_sample; /* nothing was asked for before */
    assert_int_equal(piece->first_sample, desk->bytes);
    assert_int_equal(piece->first_sample % TAP_PIECE_SAMPLES, 0);
    if (desk->bytes + piece->samples > desk->room) {
        desk->room = 2 * (desk->bytes + piece->samples);
        desk->caller = realloc(desk->caller, desk->room);
        desk->agent = realloc(desk->agent, desk->room);
    }
    memcpy(desk->caller + desk->bytes, piece->caller, piece->samples);
    memcpy(desk->agent + desk->bytes, piece->agent, piece->samples);
    desk->bytes += piece->samples;
}

/* The carrier's clock goes on by so many samples of the caller. */
static void hear(struct desk *desk, size_t samples)
{
    uint8_t codes[8192];
    struct tap_piece piece;
    for (size_t i = 0; i < samples; i++)
        codes[i] = code_at(desk->clock + i, 1);
    tap_hear(&desk->tap, codes, samples);
    while (tap_next(&desk->tap, &piece)) {
        assert_int_equal(piece.samples, TAP_PIECE_SAMPLES);
        keep(desk, &piece);
    }
    desk->clock += samples;
    assert_int_equal(tap_clock(&desk->tap), desk->clock);
}

/* Agent audio of so many samples leaves, so long after the last frame. */
static void say(struct desk *desk, const char *item, size_t samples, unsigned since)
{
    static uint8_t codes[1 << 16];
    assert_true(samples <= sizeof codes);
    for (size_t i = 0; i < samples; i++)
        codes[i] = code_at(desk->heard.sent + i, 2);
    tap_say(&desk->tap, codes, samples);
    assert_true(heard_sent(&desk->heard, span_of(item), 0, samples, desk->clock + since, 1));
}

static struct tap_unheard interrupt(struct desk *desk, unsigned since)
{
    struct heard_item *cut[CALL_ITEMS_MAX];
    heard_interrupt(&desk->heard, desk->clock + since, cut);
    return tap_cut(&desk->tap);
}

static void finish(struct desk *desk)
{
    struct tap_piece piece;
    if (tap_rest(&desk->tap, &piece))
        keep(desk, &piece);
    assert_false(tap_rest(&desk->tap, &piece));
}

/* From here to there: these samples of the agent, or silence. */
static void expect_said(const struct desk *desk, uint64_t from, uint64_t until, uint64_t position)
{
    assert_true(until <= desk->bytes);
    for (uint64_t i = from; i < until; i++)
        if (desk->agent[i] != code_at(position + i - from, 2))
            fail_msg("sample %llu is not the agent's %llu", (unsigned long long)i,
                     (unsigned long long)(position + i - from));
}

static void expect_silence(const struct desk *desk, uint64_t from, uint64_t until)
{
    assert_true(until <= desk->bytes);
    for (uint64_t i = from; i < until; i++)
        if (desk->agent[i] != SILENCE)
            fail_msg("sample %llu is not silent", (unsigned long long)i);
}

static void expect_caller(const struct desk *desk, uint64_t from)
{
    for (uint64_t i = from; i < desk->bytes; i++)
        if (desk->caller[i] != code_at(i, 1))
            fail_msg("sample %llu is not the caller's", (unsigned long long)i);
}

/* ---- the tracks ---- */

static void yields_whole_pieces_whatever_comes(void **state)
{
    static const size_t sizes[] = {160, 160, 1, 159, 80, 240, 0, 8192, 7, 33};
    (void)state;
    struct desk desk;
    open_desk(&desk, 4, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        hear(&desk, sizes[i]);
        assert_int_equal(desk.bytes, desk.clock - desk.clock % TAP_PIECE_SAMPLES);
    }
    finish(&desk);
    assert_int_equal(desk.bytes, desk.clock); /* to the sample */
    expect_caller(&desk, 0);
    expect_silence(&desk, 0, desk.bytes);
    close_desk(&desk);
}

/* Two seconds that came at once are heard for two seconds, from the sample on at which they were
 * sent, which lies between two frames. */
static void lets_the_agent_out_by_the_clock(void **state)
{
    (void)state;
    struct desk desk;
    open_desk(&desk, 8, 0);
    hear(&desk, 160);
    say(&desk, "a", 16000, 56);
    for (unsigned i = 0; i < 110; i++)
        hear(&desk, FRAME);
    expect_silence(&desk, 0, 216);
    expect_said(&desk, 216, 16216, 0);
    expect_silence(&desk, 16216, desk.bytes);
    expect_caller(&desk, 0);
    assert_int_equal(desk.chunks.live, 0);
    close_desk(&desk);
}

/* What is sent while something is heard follows it; what comes after a pause begins there. */
static void keeps_pauses_and_joins_the_rest(void **state)
{
    (void)state;
    struct desk desk;
    open_desk(&desk, 8, 0);
    say(&desk, "a", 400, 0);
    hear(&desk, 160);
    say(&desk, "a", 400, 3);
    for (unsigned i = 0; i < 9; i++)
        hear(&desk, FRAME);
    say(&desk, "b", 100, 10);
    hear(&desk, FRAME);
    expect_said(&desk, 0, 800, 0);
    expect_silence(&desk, 800, 1610);
    expect_said(&desk, 1610, 1710, 800);
    expect_silence(&desk, 1710, 1760);
    close_desk(&desk);
}

/* ---- interruptions ---- */

/* The caller hears the agent up to the moment of the cut, not to the frame; the rest never. */
static void cuts_to_the_sample(void **state)
{
    (void)state;
    struct desk desk;
    open_desk(&desk, 8, 0);
    say(&desk, "a", 24000, 0);
    hear(&desk, 320);
    assert_int_equal(interrupt(&desk, 77).samples, 0);
    assert_int_equal(desk.chunks.live, 1); /* 77 samples wait for their frame */
    hear(&desk, 320);
    say(&desk, "b", 200, 5);
    hear(&desk, 320);
    expect_said(&desk, 0, 397, 0);
    expect_silence(&desk, 397, 645);
    expect_said(&desk, 645, 845, 397);
    expect_silence(&desk, 845, 960);
    close_desk(&desk);
}

static void cuts_what_had_not_begun(void **state)
{
    (void)state;
    struct desk desk;
    open_desk(&desk, 8, 0);
    hear(&desk, 160);
    say(&desk, "a", 9000, 0);
    interrupt(&desk, 0);
    assert_int_equal(desk.chunks.live, 0);
    hear(&desk, 320);
    expect_silence(&desk, 0, 480);
    close_desk(&desk);
}

/* The carrier plays 200 ms later than the ledger thought; the mark says so. Words are not torn by
 * it, but what an interruption then takes back had been let out already, and is told. */
static void tells_what_was_let_out_and_never_heard(void **state)
{
    (void)state;
    struct desk desk;
    open_desk(&desk, 8, 0);
    say(&desk, "a", 1600, 0);
    uint32_t mark = heard_mark(&desk.heard);
    say(&desk, "a", 6400, 0);
    for (unsigned i = 0; i < 20; i++)
        hear(&desk, FRAME);
    heard_echo(&desk.heard, mark, desk.clock);
    hear(&desk, 80);
    struct tap_unheard unheard = interrupt(&desk, 0);
    expect_said(&desk, 0, 3200, 0);
    assert_int_equal(unheard.first_sample, 1680);
    assert_int_equal(unheard.samples, 1600);
    say(&desk, "b", 1000, 0);
    hear(&desk, 240);
    expect_silence(&desk, 3200, 3280); /* it was still at hand, and is erased */
    expect_said(&desk, 3280, 3520, 1680);
    close_desk(&desk);
}

static void a_late_mark_tears_no_word(void **state)
{
    (void)state;
    struct desk desk;
    open_desk(&desk, 8, 0);
    say(&desk, "a", 1600, 0);
    uint32_t first = heard_mark(&desk.heard);
    say(&desk, "a", 1600, 0);
    uint32_t second = heard_mark(&desk.heard);
    for (unsigned i = 0; i < 12; i++)
        hear(&desk, FRAME);
    heard_echo(&desk.heard, first, desk.clock); /* 40 ms late */
    for (unsigned i = 0; i < 9; i++)
        hear(&desk, FRAME);
    heard_echo(&desk.heard, second, desk.clock - 100);
    say(&desk, "b", 800, 0);
    hear(&desk, 1600);
    expect_said(&desk, 0, 3200, 0);
    expect_silence(&desk, 3200, 3360);
    expect_said(&desk, 3360, 4160, 3200);
    close_desk(&desk);
}

/* ---- in the middle, and without memory ---- */

/* Opened while something is heard that was sent before: that is not there, what follows is, in its
 * time. */
static void joins_in_the_middle(void **state)
{
    (void)state;
    struct desk desk;
    open_desk(&desk, 8, 0);
    say(&desk, "a", 2000, 0);
    hear(&desk, 1000);
    tap_close(&desk.tap);
    desk.bytes = desk.room = 0;
    tap_open(&desk.tap, &desk.chunks, &desk.heard, desk.clock);
    say(&desk, "a", 500, 10);
    hear(&desk, 2000);
    expect_silence(&desk, 960, 2000);
    expect_said(&desk, 2000, 2500, 2000);
    expect_silence(&desk, 2500, 2880);
    for (uint64_t i = 960; i < 1000; i++)
        assert_int_equal(desk.caller[i], SILENCE);
    expect_caller(&desk, 1000);
    close_desk(&desk);
}

/* Where there was no chunk there is silence, and what comes behind it is in its place. */
static void keeps_the_place_of_what_it_cannot_keep(void **state)
{
    (void)state;
    struct desk desk;
    open_desk(&desk, 1, 0);
    say(&desk, "a", 6000, 0);
    uint64_t lost = desk.tap.lost_samples, kept = 6000 - lost;
    assert_in_range(kept, 1, TAP_CHUNK_BYTES);
    for (unsigned i = 0; i < 30; i++)
        hear(&desk, FRAME);
    say(&desk, "a", 100, 0);
    for (unsigned i = 0; i < 10; i++)
        hear(&desk, FRAME);
    expect_said(&desk, 0, kept, 0);
    expect_silence(&desk, kept, 6000);
    expect_said(&desk, 6000, 6100, 6000);
    assert_int_equal(desk.tap.lost_samples, lost);
    close_desk(&desk);
}

/* ---- an hour ---- */

#define HOUR ((uint64_t)3600 * 8000)

/* A carrier that plays: what was sent waits, one sample leaves per sample of its clock. */
struct ear {
    uint64_t from, until; /* positions that wait */
    uint64_t say_at, cut_at;
    size_t say_samples;
};

static uint64_t dice = 20261121;

static unsigned roll(unsigned sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice >> 40) % sides;
}

static uint8_t play(struct ear *ear, uint64_t now)
{
    if (ear->say_samples && now == ear->say_at) {
        ear->until += ear->say_samples;
        ear->say_samples = 0;
    }
    if (now == ear->cut_at)
        ear->until = ear->from;
    return ear->from < ear->until ? code_at(ear->from++, 2) : SILENCE;
}

/* Utterances of up to eight seconds, pauses, interruptions, frames of all sizes: at the end every
 * sample of both sides has its place. */
static void an_hour_is_exact(void **state)
{
    (void)state;
    struct desk desk;
    struct ear ear = {.cut_at = UINT64_MAX};
    uint8_t *wanted = malloc(HOUR + 8192);
    unsigned number = 0, cuts = 0;
    open_desk(&desk, 64, 0);
    while (desk.clock < HOUR) {
        size_t samples = roll(20) ? FRAME : 1 + roll(4000);
        char item[16];
        if (roll(50) == 0 && ear.until - ear.from < 8000) {
            snprintf(item, sizeof item, "i%u", number++);
            unsigned since = roll((unsigned)(samples < FRAME ? samples : FRAME));
            ear.say_at = desk.clock + since;
            ear.say_samples = 8 * (1 + roll(8000));
            size_t said = ear.say_samples;
            say(&desk, item, said, since);
            heard_sent_whole(&desk.heard, span_of(item));
            heard_text(&desk.heard, span_of(item), span_of("x"), true);
        } else if (roll(100) == 0) {
            unsigned since = roll((unsigned)(samples < FRAME ? samples : FRAME));
            ear.cut_at = desk.clock + since;
            cuts += interrupt(&desk, since).samples == 0;
        }
        for (struct heard_item *told; (told = heard_tellable(&desk.heard, desk.clock, false));)
            heard_told(&desk.heard, told);
        for (size_t i = 0; i < samples; i++)
            wanted[desk.clock + i] = play(&ear, desk.clock + i);
        hear(&desk, samples);
    }
    finish(&desk);
    assert_int_equal(desk.bytes, desk.clock);
    assert_memory_equal(desk.agent, wanted, desk.bytes);
    expect_caller(&desk, 0);
    assert_true(number > 500 && cuts > 500);
    assert_int_equal(desk.tap.lost_samples, 0);
    free(wanted);
    close_desk(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yields_whole_pieces_whatever_comes),
        cmocka_unit_test(lets_the_agent_out_by_the_clock),
        cmocka_unit_test(keeps_pauses_and_joins_the_rest),
        cmocka_unit_test(cuts_to_the_sample),
        cmocka_unit_test(cuts_what_had_not_begun),
        cmocka_unit_test(tells_what_was_let_out_and_never_heard),
        cmocka_unit_test(a_late_mark_tears_no_word),
        cmocka_unit_test(joins_in_the_middle),
        cmocka_unit_test(keeps_the_place_of_what_it_cannot_keep),
        cmocka_unit_test(an_hour_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
