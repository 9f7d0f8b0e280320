/* How a call feels: what interrupts, what is said when, and how long the caller waits. Every test
 * is a whole call over real sockets with a clock that only it moves. */
#include "tests/call/voice.h"

#include <stdlib.h>

/* ---- the greeting ---- */

#define GREETING "{\"ai\":{\"greeting\":\"Good day.\"}}"
#define FIRM     "{\"ai\":{\"greeting\":\"This call is recorded.\",\"greeting_interruptible\":false}}"

/* Asked for before anyone has come, kept, and the first thing that leaves. */
static void greets_at_frame_one(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, GREETING, false);
    scene_settle(&scene);
    assert_string_equal("uir", scene.ai.order); /* session.update, item, response.create */
    voice_respond(&scene, "resp_1");
    scene_delta(&scene, "resp_1", "item_1", 0x11, 20000);
    scene_delta(&scene, "resp_1", "item_1", 0x22, 4000);
    voice_finish(&scene, "resp_1", "item_1");
    assert_int_equal(0, scene.call->figures.late_dropped_bytes);
    scene_connect(&scene);
    scene_settle(&scene);
    assert_int_equal(0, scene.carrier.letters); /* there is no stream to say it to */
    scene_start(&scene);
    scene_settle(&scene);
    assert_string_equal("amamam", scene.carrier.order);
    assert_int_equal(24000, scene.carrier.audio_bytes);
    for (size_t i = 0; i < 24000; i++)
        assert_int_equal(i < 20000 ? 0x11 : 0x22, scene.carrier.audio[i]);
    assert_null(scene.call->down.ahead);
    assert_int_equal(1, scene.metrics.first_audio_ready.buckets[0]);
    /* from here on the ledger is exact: 3 s were sent, and a mark says that all was played */
    assert_int_equal(24000, scene.call->down.heard.sent);
    scene_pass(&scene, 1);
    voice_echo(&scene, "m2");
    assert_false(heard_playing(&scene.call->down.heard, up_clock(scene.calls, scene.call)));
    assert_int_equal(3, scene.ai.letters); /* it was asked for once */
    scene_close(&scene);
}

static void keeps_a_greeting_within_its_bound(void **state)
{
    (void)state;
    for (int over = -1; over <= 1; over++) {
        struct scene scene;
        scene_open(&scene, GREETING, false);
        voice_respond(&scene, "resp_1");
        size_t bytes = (size_t)((int)CALL_AHEAD_BYTES_MAX + over);
        scene_delta(&scene, "resp_1", "item_1", 0x33, bytes);
        scene_settle(&scene);
        bool stopped = over >= 0;
        assert_true(stopped == (strchr(scene.ai.order, 'x') != NULL));
        assert_true(stopped == scene_told(&scene.ai, "\"audio_end_ms\":30000"));
        assert_int_equal(stopped, scene.metrics.greetings_cut);
        scene_delta(&scene, "resp_1", "item_1", 0x44, 800); /* on its way when it was told */
        scene_settle(&scene);
        scene_connect(&scene);
        scene_start(&scene);
        scene_settle(&scene);
        assert_int_equal(CALL_AHEAD_BYTES_MAX, scene.carrier.audio_bytes);
        scene_close(&scene);
    }
}

/* Nobody comes: nothing is left, and nothing is on record as said. */
static void forgets_a_greeting_nobody_came_for(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, GREETING, false);
    voice_respond(&scene, "resp_1");
    scene_delta(&scene, "resp_1", "item_1", 0x11, 20000);
    scene_ai_says(&scene, "{\"type\":\"response.output_audio_transcript.done\",\"event_id\":\"e\","
                          "\"response_id\":\"resp_1\",\"item_id\":\"item_1\",\"output_index\":0,"
                          "\"content_index\":0,\"transcript\":\"Good day.\"}");
    voice_finish(&scene, "resp_1", "item_1");
    uint64_t events = scene.call->event_seq;
    struct call *call = scene.call;
    call_end(scene.calls, call, END_carrier_no_show);
    assert_int_equal(events + 1, call->event_seq); /* ended, and no message */
    scene_settle(&scene);
    assert_int_equal(0, calls_count(scene.calls));
    scene_close(&scene);
}

/* ---- interruptions ---- */

static void greet(struct scene *scene, const char *settings)
{
    scene_open(scene, settings, false);
    scene_settle(scene);
    voice_respond(scene, "resp_1");
    scene_connect(scene);
    scene_start(scene);
    scene_delta(scene, "resp_1", "item_1", 0x11, 16000); /* 2 s */
    scene_settle(scene);
    voice_frame(scene, 0);
    scene_settle(scene);
}

static void interrupts_at_once_by_default(void **state)
{
    (void)state;
    struct scene scene;
    greet(&scene, GREETING);
    assert_true(scene_told(&scene.ai, "\"interrupt_response\":true"));
    voice_speak_up(&scene, 0);
    assert_non_null(strchr(scene.carrier.order, 'c'));
    assert_null(strchr(scene.ai.order, 'x')); /* the AI cancels by itself */
    assert_non_null(strchr(scene.ai.order, 't'));
    assert_int_equal(1, scene.call->figures.barge_ins);
    scene_close(&scene);
}

static void hears_a_firm_greeting_whole(void **state)
{
    (void)state;
    struct scene scene;
    greet(&scene, FIRM);
    assert_true(scene_told(&scene.ai, "\"interrupt_response\":false"));
    voice_speak_up(&scene, 0);
    scene_delta(&scene, "resp_1", "item_1", 0x12, 8000);
    voice_finish(&scene, "resp_1", "item_1");
    for (unsigned i = 1; i < 100; i++)
        voice_frame(&scene, i); /* two of three seconds: the caller talks, the greeting goes on */
    scene_settle(&scene);
    assert_int_equal(24000, scene.carrier.audio_bytes);
    assert_null(strchr(scene.carrier.order, 'c'));
    assert_int_equal(0, scene.call->figures.barge_ins);
    assert_int_equal(100 * VOICE_FRAME, scene.ai.audio_bytes); /* and the AI has heard it all */
    voice_fall_silent(&scene, 2000);
    /* its answer may be interrupted, and then we tell the AI to stop */
    for (unsigned i = 100; i < 152; i++)
        voice_frame(&scene, i);
    voice_respond(&scene, "resp_2");
    scene_delta(&scene, "resp_2", "item_2", 0x13, 16000);
    scene_settle(&scene);
    voice_speak_up(&scene, 2900);
    assert_non_null(strchr(scene.carrier.order, 'c'));
    assert_non_null(strstr(scene.ai.order, "xt"));
    assert_int_equal(1, scene.call->figures.barge_ins);
    scene_close(&scene);
}

/* The same when all of it was there, and its response done, before the stream began. */
static void hears_a_firm_greeting_whole_from_frame_one(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, FIRM, false);
    voice_respond(&scene, "resp_1");
    scene_delta(&scene, "resp_1", "item_1", 0x11, 16000);
    voice_finish(&scene, "resp_1", "item_1");
    scene_connect(&scene);
    scene_start(&scene);
    voice_frames(&scene, 50);
    voice_speak_up(&scene, 0);
    assert_int_equal(0, scene.call->figures.barge_ins);
    assert_null(strchr(scene.carrier.order, 'c'));
    scene_close(&scene);
}

static void short_speech_interrupts_nothing(void **state)
{
    (void)state;
    struct scene scene;
    uint8_t quiet[VOICE_FRAME];
    memset(quiet, 0xff, sizeof quiet);
    greet(&scene, "{\"ai\":{\"greeting\":\"Good day.\",\"interrupt_after_ms\":200}}");
    voice_speak_up(&scene, 0);
    for (unsigned i = 1; i <= 9; i++)
        voice_frame(&scene, i); /* 180 ms */
    for (unsigned i = 10; i < 60; i++) {
        scene_media(&scene, i * 20, quiet, VOICE_FRAME);
        scene_pass(&scene, 20);
    }
    scene_settle(&scene);
    assert_int_equal(0, scene.call->figures.barge_ins);
    voice_fall_silent(&scene, 1200);
    assert_false(scene.call->speech.open);
    /* and 200 ms do */
    voice_speak_up(&scene, 0);
    for (unsigned i = 60; i < 69; i++)
        voice_frame(&scene, i);
    scene_settle(&scene);
    assert_int_equal(0, scene.call->figures.barge_ins);
    voice_frame(&scene, 69);
    scene_settle(&scene);
    assert_int_equal(1, scene.call->figures.barge_ins);
    assert_non_null(strstr(scene.ai.order, "xt"));
    scene_close(&scene);
}

/* ---- orders to say something ---- */

static void order(struct scene *scene, const char *text, bool interruptible)
{
    struct link_say *say = calloc(1, sizeof *say);
    snprintf(say->call, sizeof say->call, "%s", scene->call->plan->call);
    snprintf(say->text, sizeof say->text, "%s", text);
    say->interruptible = interruptible;
    calls_on_letter(scene->calls, &(struct letter){.kind = LETTER_SAY, .content = say});
    scene_settle(scene);
}

static void says_what_is_ordered(void **state)
{
    (void)state;
    struct scene scene;
    voice_begin(&scene, "{}");
    order(&scene, "First.", true);
    order(&scene, "Second.", false);
    assert_string_equal("ur", scene.ai.order); /* one at a time */
    assert_true(scene_told(&scene.ai, "Say exactly this: First."));
    voice_respond(&scene, "resp_1");
    scene_delta(&scene, "resp_1", "item_1", 0x11, 800);
    voice_finish(&scene, "resp_1", "item_1");
    /* the second is firm: the session is told to be patient, then asked */
    assert_string_equal("urur", scene.ai.order);
    assert_true(scene_told(&scene.ai, "\"interrupt_response\":false"));
    assert_true(scene_told(&scene.ai, "Say exactly this: Second."));
    voice_respond(&scene, "resp_2");
    scene_delta(&scene, "resp_2", "item_2", 0x22, 8000);
    scene_settle(&scene);
    voice_speak_up(&scene, 0);
    assert_int_equal(0, scene.call->figures.barge_ins);
    scene_close(&scene);
}

/* The caller's turn got in first: the AI refuses, and is asked again when that is over. */
static void asks_again_when_refused(void **state)
{
    (void)state;
    struct scene scene;
    voice_begin(&scene, "{}");
    order(&scene, "Important.", false);
    assert_string_equal("uur", scene.ai.order);
    voice_respond(&scene, "resp_turn");
    scene_ai_says(&scene, "{\"type\":\"error\",\"event_id\":\"e\",\"error\":{\"type\":"
                          "\"invalid_request_error\",\"code\":"
                          "\"conversation_already_has_active_response\",\"message\":\"Busy.\","
                          "\"event_id\":\"rb-say\"}}");
    scene_settle(&scene);
    scene_delta(&scene, "resp_turn", "item_1", 0x11, 8000);
    scene_settle(&scene);
    voice_speak_up(&scene, 0); /* this one is not the firm one */
    assert_int_equal(1, scene.call->figures.barge_ins);
    voice_finish(&scene, "resp_turn", "item_1");
    assert_int_equal('r', scene.ai.order[scene.ai.letters - 1]);
    assert_int_equal(1, scene.call->speak.count);
    scene_close(&scene);
}

static void bounds_what_waits_to_be_said(void **state)
{
    (void)state;
    struct scene scene;
    voice_begin(&scene, "{}");
    for (unsigned i = 0; i < CALL_SAYS_MAX; i++)
        order(&scene, "Again.", true);
    assert_int_equal(CALL_SAYS_MAX - 1, scene.call->speak.count);
    assert_int_equal(1, scene.metrics.says_dropped);
    scene_close(&scene);
}

/* ---- how long the caller waits ---- */

static void measures_a_turn(void **state)
{
    (void)state;
    struct scene scene;
    voice_begin(&scene, "{\"ai\":{\"vad_silence_ms\":500}}");
    for (unsigned i = 0; i < 100; i++)
        voice_frame(&scene, i);
    scene_settle(&scene);
    /* speech ended at 1200, the AI waited to 1700, and says so at 2000 */
    voice_fall_silent(&scene, 1700);
    scene_pass(&scene, 300);
    voice_respond(&scene, "resp_1");
    scene_pass(&scene, 40);
    scene_delta(&scene, "resp_1", "item_1", 0x11, 4000);
    scene_settle(&scene);
    assert_int_equal(0, scene.call->figures.turns);
    /* 200 ms of it were played when the first mark came back, 250 ms after it was sent */
    scene_pass(&scene, 550);
    voice_echo(&scene, "m0");
    assert_int_equal(1, scene.call->figures.turns);
    uint64_t whole_ms = scene.call->figures.turns_us / 1000;
    /* 800 of VAD, 340 of the AI, 0 of ours, 550 - 500 of the carrier */
    assert_int_equal(800 + 340 + 50, whole_ms);
    assert_int_equal(800000, scene.metrics.turn_vad.sum_us);
    assert_int_equal(340000, scene.metrics.turn_ai.sum_us);
    assert_int_equal(0, scene.metrics.turn_edge.sum_us);
    assert_int_equal(50000, scene.metrics.turn_carrier.sum_us);
    scene_close(&scene);
}

/* ---- ten minutes at the carrier ---- */

static void never_overfills_the_carrier(void **state)
{
    (void)state;
    struct scene scene;
    voice_begin(&scene, "{}");
    voice_respond(&scene, "resp_1");
    for (unsigned s = 0; s < CALL_UNPLAYED_MS_MAX / 1000; s++)
        scene_delta(&scene, "resp_1", "item_1", 0x11, 8000), scene_settle(&scene);
    assert_int_equal(0, scene.metrics.carrier_31931);
    scene_delta(&scene, "resp_1", "item_1", 0x11, 8);
    scene_settle(&scene);
    assert_int_equal(1, scene.metrics.carrier_31931);
    assert_non_null(strstr(scene.ai.order, "xt"));
    assert_true(scene_told(&scene.ai, "\"audio_end_ms\":540001"));
    size_t sent = scene.carrier.audio_bytes;
    scene_delta(&scene, "resp_1", "item_1", 0x11, 8000);
    scene_settle(&scene);
    assert_int_equal(sent, scene.carrier.audio_bytes);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greets_at_frame_one),
        cmocka_unit_test(keeps_a_greeting_within_its_bound),
        cmocka_unit_test(forgets_a_greeting_nobody_came_for),
        cmocka_unit_test(interrupts_at_once_by_default),
        cmocka_unit_test(hears_a_firm_greeting_whole),
        cmocka_unit_test(hears_a_firm_greeting_whole_from_frame_one),
        cmocka_unit_test(short_speech_interrupts_nothing),
        cmocka_unit_test(says_what_is_ordered),
        cmocka_unit_test(asks_again_when_refused),
        cmocka_unit_test(bounds_what_waits_to_be_said),
        cmocka_unit_test(measures_a_turn),
        cmocka_unit_test(never_overfills_the_carrier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
