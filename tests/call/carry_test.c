/* What the caller says, on its way to the AI: what shares an append, what is dropped when the AI
 * does not read, and an hour without drift. Every test is a whole call over real sockets with a
 * clock that only it moves. */
#include "common/base64.h"
#include "tests/call/voice.h"

#include <stdlib.h>

/* ---- joining ---- */

static void passes_frames_one_by_one(void **state)
{
    (void)state;
    struct scene scene;
    voice_begin(&scene, "{}");
    voice_frames(&scene, 12);
    assert_int_equal(12, scene.ai.media);
    voice_expect(&scene, 12 * VOICE_FRAME);
    assert_int_equal(12, scene.metrics.appends_one);
    assert_int_equal(0, scene.metrics.frames_joined);
    scene_close(&scene);
}

static void joins_what_was_chosen(void **state)
{
    (void)state;
    static const struct {
        const char *settings;
        unsigned frames;
    } choices[] = {{"{\"append_ms\":20}", 1},
                   {"{\"append_ms\":40}", 2},
                   {"{\"append_ms\":60}", 3},
                   {"{\"append_ms\":100}", 5}};
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        struct scene scene;
        voice_begin(&scene, choices[i].settings);
        voice_frames(&scene, 30);
        assert_int_equal(30 / choices[i].frames, scene.ai.media);
        voice_expect(&scene, 30 * VOICE_FRAME);
        assert_int_equal(i ? 30 : 0, scene.metrics.frames_joined);
        scene_close(&scene);
    }
}

/* It begins at the hard mark, goes on in between, and ends below the eased one. */
static void joins_under_pressure(void **state)
{
    (void)state;
    struct scene scene;
    voice_begin(&scene, "{}");
    static const struct {
        unsigned pressure, appends; /* by six frames */
    } course[] = {{CORE_PRESSURE_HARD - 1, 6},
                  {CORE_PRESSURE_HARD, 2},
                  {CORE_PRESSURE_EASED, 2},
                  {CORE_PRESSURE_EASED - 1, 6},
                  {CORE_PRESSURE_EASED, 6},
                  {100, 2},
                  {0, 6}};
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof course / sizeof course[0]; i++) {
        unsigned before = scene.ai.media;
        scene.pressure = course[i].pressure;
        scene_turn(&scene);
        for (unsigned frame = 0; frame < 6; frame++)
            voice_frame(&scene, number++);
        scene_settle(&scene);
        assert_int_equal(course[i].appends, scene.ai.media - before);
    }
    voice_expect(&scene, number * VOICE_FRAME);
    assert_int_equal(18, scene.metrics.frames_joined);
    assert_int_equal(6, scene.metrics.appends_three);
    scene_close(&scene);
}

/* An organisation's longer appends stay as they are under pressure. */
static void pressure_shortens_nothing(void **state)
{
    (void)state;
    struct scene scene;
    voice_begin(&scene, "{\"append_ms\":100}");
    scene.pressure = 100;
    voice_frames(&scene, 10);
    assert_int_equal(2, scene.ai.media);
    scene_close(&scene);
}

static void holds_nothing_for_long(void **state)
{
    (void)state;
    struct scene scene;
    voice_begin(&scene, "{\"append_ms\":60}");
    voice_frames(&scene, 4);
    voice_expect(&scene, 3 * VOICE_FRAME);
    /* the carrier has stopped: the fourth waits for its append's length, and what may be late */
    scene_pass(&scene, 60 + CALL_JOIN_LATE_MS - 1);
    scene_settle(&scene);
    voice_expect(&scene, 3 * VOICE_FRAME);
    scene_pass(&scene, 1);
    scene_settle(&scene);
    voice_expect(&scene, 4 * VOICE_FRAME);
    scene_close(&scene);
}

static void keeps_the_order_at_gaps(void **state)
{
    (void)state;
    struct scene scene;
    uint8_t codes[VOICE_FRAME];
    voice_begin(&scene, "{\"append_ms\":60}");
    voice_frame(&scene, 0); /* held */
    voice_fill(codes, 5 * VOICE_FRAME, VOICE_FRAME);
    scene_media(&scene, 100, codes, VOICE_FRAME); /* four frames are missing */
    scene_settle(&scene);
    scene_pass(&scene, 200); /* and its timer */
    scene_settle(&scene);
    assert_int_equal(6 * VOICE_FRAME, scene.ai.audio_bytes);
    for (size_t i = 0; i < 6 * VOICE_FRAME; i++)
        assert_int_equal(i < VOICE_FRAME || i >= 5 * VOICE_FRAME ? voice_code(i) : 0xff,
                         scene.ai.audio[i]);
    assert_int_equal(4 * VOICE_FRAME, scene.call->figures.gap_samples);
    assert_int_equal(0, scene.metrics.carrier_31930); /* 80 ms: nobody's loss worth a word */
    scene_media(&scene, 120 + CALL_GAP_TOLD_MS, codes, VOICE_FRAME);
    scene_settle(&scene);
    assert_int_equal(1, scene.metrics.carrier_31930);
    scene_close(&scene);
}

static void lets_go_at_stop(void **state)
{
    (void)state;
    struct scene scene;
    voice_begin(&scene, "{\"append_ms\":100}");
    voice_frame(&scene, 0);
    scene_settle(&scene);
    voice_expect(&scene, 0);
    scene_carrier_says(&scene, "{\"event\":\"stop\",\"sequenceNumber\":\"3\",\"stop\":{},"
                               "\"streamSid\":\"MZ00000000000000000000000000000123\"}");
    scene_until(&scene, scene.ai.audio_bytes > 0);
    voice_expect(&scene, VOICE_FRAME);
    assert_int_equal(1, scene.metrics.ends[END_caller_hung_up]);
    scene_close(&scene);
}

/* ---- an AI that does not read ---- */

/* Straight into the bridge, without a flush between: the send queue grows as if nobody read. */
static void feed(struct scene *scene, uint64_t from, unsigned frames)
{
    for (unsigned i = 0; i < frames; i++) {
        uint8_t codes[VOICE_FRAME];
        struct call *call = scene->call;
        struct twilio_message media = {.timestamp_ms = (from + i) * 20};
        uint8_t text[4 * VOICE_FRAME];
        voice_fill(codes, (from + i) * VOICE_FRAME, VOICE_FRAME);
        base64_encode(span_from(codes, VOICE_FRAME), text);
        media.payload = span_from(text, base64_encoded_bytes(VOICE_FRAME));
        assert_int_equal(END_NONE, up_media(scene->calls, call, &media));
    }
}

/* The carrier stalled and sends five seconds at once: the AI is not slow for that. */
static void loses_nothing_of_a_burst(void **state)
{
    (void)state;
    for (unsigned pcm = 0; pcm < 2; pcm++) {
        struct scene scene;
        voice_begin(&scene, pcm ? "{\"ai\":{\"format\":\"pcm\"}}" : "{}");
        voice_frames(&scene, 10);
        size_t each = scene.ai.audio_bytes / 10;
        feed(&scene, 10, 250);
        assert_true(scene.call->up.waiting); /* or the test proves nothing */
        scene_settle(&scene);
        feed(&scene, 260, 1);
        scene_settle(&scene);
        assert_false(scene.call->up.waiting);
        assert_int_equal(0, scene.call->figures.slow_dropped_bytes);
        if (pcm)
            assert_in_range(scene.ai.audio_bytes, 260 * each, 262 * each);
        else
            voice_expect(&scene, 261 * VOICE_FRAME);
        scene_close(&scene);
    }
}

static void drops_the_oldest_for_a_slow_ai(void **state)
{
    (void)state;
    struct scene scene;
    voice_begin(&scene, "{}");
    feed(&scene, 0, 300);
    assert_true(scene.call->up.waiting);
    scene.call->up.waiting_ms -= CALL_STALE_MS; /* and time goes by */
    feed(&scene, 300, 700);                     /* 20 s in all */
    size_t queued = conn_queued_bytes(call_ai(scene.calls, scene.call));
    assert_in_range(queued, AI_QUEUE_BYTES_MAX, AI_QUEUE_BYTES_MAX + 1000);
    assert_int_equal(1, scene.metrics.ai_slow);
    size_t taken = (size_t)scene.call->up.appended;
    uint64_t dropped = scene.call->figures.slow_dropped_bytes;
    assert_int_equal(1000 * VOICE_FRAME, taken + dropped + CALL_STALE_BYTES_MAX);
    assert_int_equal(dropped, scene.metrics.audio_dropped_slow);
    /* it reads again: what it had, then the last two seconds, then what is said now */
    scene_settle(&scene);
    feed(&scene, 1000, 1);
    scene_settle(&scene);
    assert_int_equal(taken + CALL_STALE_BYTES_MAX + VOICE_FRAME, scene.ai.audio_bytes);
    for (size_t i = 0; i < scene.ai.audio_bytes; i++)
        assert_int_equal(voice_code(i < taken ? i : i + dropped), scene.ai.audio[i]);
    assert_int_equal(dropped, scene.call->figures.slow_dropped_bytes);
    scene_close(&scene);
}

static void keeps_within_bounds_before_the_ai_is_ready(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, "{}", true);
    scene_connect(&scene);
    scene_start(&scene);
    feed(&scene, 0, CALL_EARLY_BYTES_MAX / VOICE_FRAME);
    assert_int_equal(0, scene.call->figures.early_dropped_bytes);
    feed(&scene, CALL_EARLY_BYTES_MAX / VOICE_FRAME, 1);
    assert_int_equal(VOICE_FRAME, scene.call->figures.early_dropped_bytes);
    scene_configure(&scene);
    scene_until(&scene, scene.ai.audio_bytes == CALL_EARLY_BYTES_MAX);
    for (size_t i = 0; i < CALL_EARLY_BYTES_MAX; i++)
        assert_int_equal(voice_code(i + VOICE_FRAME), scene.ai.audio[i]);
    scene_close(&scene);
}

/* ---- an hour ---- */

#define HOUR_FRAMES 180000u

struct hour {
    struct scene scene;
    uint8_t *wanted;
    size_t bytes;
    uint64_t dice;
};

static unsigned roll(struct hour *hour, unsigned sides)
{
    hour->dice = hour->dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(hour->dice >> 40) % sides;
}

static void spoil(struct hour *hour, uint64_t frame)
{
    struct scene *scene = &hour->scene;
    char response[32], item[32];
    snprintf(response, sizeof response, "resp_%u", (unsigned)frame);
    snprintf(item, sizeof item, "item_%u", (unsigned)frame);
    switch (roll(hour, 6)) {
    case 5:
        snprintf(item, sizeof item, "m%u", scene->call->down.heard.mark_next - 1);
        voice_echo(scene, item);
        break;
    case 0:
        scene_carrier_says(scene,
                           "{\"event\":\"dtmf\",\"streamSid\":\"MZ00000000000000000000000000000123"
                           "\",\"sequenceNumber\":\"%llu\",\"dtmf\":{\"track\":\"inbound_track\","
                           "\"digit\":\"5\"}}",
                           (unsigned long long)++scene->sequence);
        break;
    case 1:
        scene->pressure = scene->pressure ? 0 : 100;
        break;
    case 2:
        voice_respond(scene, response);
        scene_delta(scene, response, item, 0x11, 1600 + 8 * roll(hour, 4000));
        voice_finish(scene, response, item);
        break;
    case 3:
        voice_speak_up(scene, (unsigned)(frame * 20));
        break;
    default:
        voice_fall_silent(scene, (unsigned)(frame * 20));
        voice_respond(scene, response); /* an AI that did not answer would be replaced */
        voice_finish(scene, response, item);
    }
}

/* 180000 frames, some lost, with everything that happens in a call between them: at the end every
 * sample of the hour has its place, to the sample. */
static void drifts_not_at_all(void **state)
{
    (void)state;
    struct hour hour = {.dice = 20261121};
    struct scene *scene = &hour.scene;
    hour.wanted = malloc(HOUR_FRAMES * VOICE_FRAME);
    voice_begin(scene, "{\"ai\":{\"interrupt_after_ms\":100,\"session_max_s\":86400}}");
    for (uint64_t frame = 0; frame < HOUR_FRAMES;) {
        unsigned lost =
            frame && frame + 60 < HOUR_FRAMES && roll(&hour, 500) == 0 ? 1 + roll(&hour, 50) : 0;
        memset(hour.wanted + frame * VOICE_FRAME, 0xff, (size_t)lost * VOICE_FRAME);
        frame += lost;
        voice_fill(hour.wanted + frame * VOICE_FRAME, frame * VOICE_FRAME, VOICE_FRAME);
        scene_media(scene, 171 + frame * 20, hour.wanted + frame * VOICE_FRAME, VOICE_FRAME);
        frame++;
        if (frame % 10 == 0)
            scene_pass(scene, 200);
        if (roll(&hour, 100) == 0)
            spoil(&hour, frame);
    }
    scene_pass(scene, 200);
    scene_settle(scene);
    assert_int_equal((uint64_t)HOUR_FRAMES * VOICE_FRAME, scene->call->up.samples);
    assert_int_equal((uint64_t)HOUR_FRAMES * VOICE_FRAME, scene->ai.audio_bytes);
    assert_int_equal((uint64_t)HOUR_FRAMES * VOICE_FRAME, scene->call->up.appended);
    assert_memory_equal(hour.wanted, scene->ai.audio, (size_t)HOUR_FRAMES * VOICE_FRAME);
    assert_true(scene->call->figures.gap_samples > 100 * VOICE_FRAME);
    assert_true(scene->call->figures.barge_ins > 10 && scene->metrics.frames_joined > 10000);
    scene_close(scene);
    free(hour.wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_frames_one_by_one),
        cmocka_unit_test(joins_what_was_chosen),
        cmocka_unit_test(joins_under_pressure),
        cmocka_unit_test(pressure_shortens_nothing),
        cmocka_unit_test(holds_nothing_for_long),
        cmocka_unit_test(keeps_the_order_at_gaps),
        cmocka_unit_test(lets_go_at_stop),
        cmocka_unit_test(loses_nothing_of_a_burst),
        cmocka_unit_test(drops_the_oldest_for_a_slow_ai),
        cmocka_unit_test(keeps_within_bounds_before_the_ai_is_ready),
        cmocka_unit_test(drifts_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
