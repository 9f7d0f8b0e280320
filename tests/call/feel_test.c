/* How a call feels: what shares an append, what interrupts, what is said when, and how long the
 * caller waits. Every test is a whole call over real sockets with a clock that only it moves. */
#include "common/base64.h"
#include "common/log.h"
#include "tests/call/scene.h"

#include <stdlib.h>

#define FRAME 160

static uint8_t code_at(uint64_t sample)
{
    return (uint8_t)((sample * 2654435761u) >> 13);
}

static void fill(uint8_t *codes, uint64_t from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        codes[i] = code_at(from + i);
}

/* One frame of the running clock. */
static void say_frame(struct scene *scene, uint64_t number)
{
    uint8_t codes[FRAME];
    fill(codes, number * FRAME, FRAME);
    scene_media(scene, number * 20, codes, FRAME);
    scene_pass(scene, 20);
}

static void say_frames(struct scene *scene, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        say_frame(scene, i);
    scene_settle(scene);
}

static void expect_audio(const struct scene *scene, size_t bytes)
{
    assert_int_equal(bytes, scene->ai.audio_bytes);
    for (size_t i = 0; i < bytes; i++)
        if (scene->ai.audio[i] != code_at(i))
            fail_msg("sample %zu of %zu is not the caller's", i, bytes);
}

static void begin(struct scene *scene, const char *settings)
{
    scene_open(scene, settings, false);
    scene_connect(scene);
    scene_start(scene);
}

/* ---- joining ---- */

static void passes_frames_one_by_one(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{}");
    say_frames(&scene, 12);
    assert_int_equal(12, scene.ai.media);
    expect_audio(&scene, 12 * FRAME);
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
        begin(&scene, choices[i].settings);
        say_frames(&scene, 30);
        assert_int_equal(30 / choices[i].frames, scene.ai.media);
        expect_audio(&scene, 30 * FRAME);
        assert_int_equal(i ? 30 : 0, scene.metrics.frames_joined);
        scene_close(&scene);
    }
}

/* It begins at the hard mark, goes on in between, and ends below the eased one. */
static void joins_under_pressure(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{}");
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
            say_frame(&scene, number++);
        scene_settle(&scene);
        assert_int_equal(course[i].appends, scene.ai.media - before);
    }
    expect_audio(&scene, number * FRAME);
    assert_int_equal(18, scene.metrics.frames_joined);
    assert_int_equal(6, scene.metrics.appends_three);
    scene_close(&scene);
}

/* An organisation's longer appends stay as they are under pressure. */
static void pressure_shortens_nothing(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{\"append_ms\":100}");
    scene.pressure = 100;
    say_frames(&scene, 10);
    assert_int_equal(2, scene.ai.media);
    scene_close(&scene);
}

static void holds_nothing_for_long(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{\"append_ms\":60}");
    say_frames(&scene, 4);
    expect_audio(&scene, 3 * FRAME);
    /* the carrier has stopped: the fourth waits for its append's length, and what may be late */
    scene_pass(&scene, 60 + CALL_JOIN_LATE_MS - 1);
    scene_settle(&scene);
    expect_audio(&scene, 3 * FRAME);
    scene_pass(&scene, 1);
    scene_settle(&scene);
    expect_audio(&scene, 4 * FRAME);
    scene_close(&scene);
}

static void keeps_the_order_at_gaps(void **state)
{
    (void)state;
    struct scene scene;
    uint8_t codes[FRAME];
    begin(&scene, "{\"append_ms\":60}");
    say_frame(&scene, 0); /* held */
    fill(codes, 5 * FRAME, FRAME);
    scene_media(&scene, 100, codes, FRAME); /* four frames are missing */
    scene_settle(&scene);
    scene_pass(&scene, 200); /* and its timer */
    scene_settle(&scene);
    assert_int_equal(6 * FRAME, scene.ai.audio_bytes);
    for (size_t i = 0; i < 6 * FRAME; i++)
        assert_int_equal(i < FRAME || i >= 5 * FRAME ? code_at(i) : 0xff, scene.ai.audio[i]);
    assert_int_equal(4 * FRAME, scene.call->figures.gap_samples);
    assert_int_equal(0, scene.metrics.carrier_31930); /* 80 ms: nobody's loss worth a word */
    scene_media(&scene, 120 + CALL_GAP_TOLD_MS, codes, FRAME);
    scene_settle(&scene);
    assert_int_equal(1, scene.metrics.carrier_31930);
    scene_close(&scene);
}

static void lets_go_at_stop(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{\"append_ms\":100}");
    say_frame(&scene, 0);
    scene_settle(&scene);
    expect_audio(&scene, 0);
    scene_carrier_says(&scene, "{\"event\":\"stop\",\"sequenceNumber\":\"3\",\"stop\":{},"
                               "\"streamSid\":\"MZ00000000000000000000000000000123\"}");
    scene_until(&scene, scene.ai.audio_bytes > 0);
    expect_audio(&scene, FRAME);
    assert_int_equal(1, scene.metrics.ends[END_caller_hung_up]);
    scene_close(&scene);
}

/* ---- an AI that does not read ---- */

/* Straight into the bridge, without a flush between: the send queue grows as if nobody read. */
static void feed(struct scene *scene, uint64_t from, unsigned frames)
{
    for (unsigned i = 0; i < frames; i++) {
        uint8_t codes[FRAME];
        struct call *call = scene->call;
        struct twilio_message media = {.timestamp_ms = (from + i) * 20};
        uint8_t text[4 * FRAME];
        fill(codes, (from + i) * FRAME, FRAME);
        base64_encode(span_from(codes, FRAME), text);
        media.payload = span_from(text, base64_encoded_bytes(FRAME));
        assert_int_equal(END_NONE, up_media(scene->calls, call, &media));
    }
}

/* The carrier stalled and sends five seconds at once: the AI is not slow for that. */
static void loses_nothing_of_a_burst(void **state)
{
    (void)state;
    for (unsigned pcm = 0; pcm < 2; pcm++) {
        struct scene scene;
        begin(&scene, pcm ? "{\"ai\":{\"format\":\"pcm\"}}" : "{}");
        say_frames(&scene, 10);
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
            expect_audio(&scene, 261 * FRAME);
        scene_close(&scene);
    }
}

static void drops_the_oldest_for_a_slow_ai(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{}");
    feed(&scene, 0, 300);
    assert_true(scene.call->up.waiting);
    scene.call->up.waiting_ms -= CALL_STALE_MS; /* and time goes by */
    feed(&scene, 300, 700);                     /* 20 s in all */
    size_t queued = conn_queued_bytes(call_ai(scene.calls, scene.call));
    assert_in_range(queued, AI_QUEUE_BYTES_MAX, AI_QUEUE_BYTES_MAX + 1000);
    assert_int_equal(1, scene.metrics.ai_slow);
    size_t taken = (size_t)scene.call->up.appended;
    uint64_t dropped = scene.call->figures.slow_dropped_bytes;
    assert_int_equal(1000 * FRAME, taken + dropped + CALL_STALE_BYTES_MAX);
    assert_int_equal(dropped, scene.metrics.audio_dropped_slow);
    /* it reads again: what it had, then the last two seconds, then what is said now */
    scene_settle(&scene);
    feed(&scene, 1000, 1);
    scene_settle(&scene);
    assert_int_equal(taken + CALL_STALE_BYTES_MAX + FRAME, scene.ai.audio_bytes);
    for (size_t i = 0; i < scene.ai.audio_bytes; i++)
        assert_int_equal(code_at(i < taken ? i : i + dropped), scene.ai.audio[i]);
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
    feed(&scene, 0, CALL_EARLY_BYTES_MAX / FRAME);
    assert_int_equal(0, scene.call->figures.early_dropped_bytes);
    feed(&scene, CALL_EARLY_BYTES_MAX / FRAME, 1);
    assert_int_equal(FRAME, scene.call->figures.early_dropped_bytes);
    scene_configure(&scene);
    scene_until(&scene, scene.ai.audio_bytes == CALL_EARLY_BYTES_MAX);
    for (size_t i = 0; i < CALL_EARLY_BYTES_MAX; i++)
        assert_int_equal(code_at(i + FRAME), scene.ai.audio[i]);
    scene_close(&scene);
}

/* ---- the greeting ---- */

#define GREETING "{\"ai\":{\"greeting\":\"Good day.\"}}"
#define FIRM     "{\"ai\":{\"greeting\":\"This call is recorded.\",\"greeting_interruptible\":false}}"

static void respond(struct scene *scene, const char *response)
{
    scene_ai_says(scene,
                  "{\"type\":\"response.created\",\"event_id\":\"e3\",\"response\":{\"id\":\"%s\","
                  "\"status\":\"in_progress\"}}",
                  response);
    scene_settle(scene);
}

static void finish(struct scene *scene, const char *response, const char *item)
{
    scene_ai_says(scene,
                  "{\"type\":\"response.output_audio.done\",\"event_id\":\"e4\",\"response_id\":"
                  "\"%s\",\"item_id\":\"%s\",\"output_index\":0,\"content_index\":0}",
                  response, item);
    scene_ai_says(scene,
                  "{\"type\":\"response.done\",\"event_id\":\"e5\",\"response\":{\"id\":\"%s\","
                  "\"status\":\"completed\"}}",
                  response);
    scene_settle(scene);
}

static void speak_up(struct scene *scene, unsigned audio_start_ms)
{
    scene_ai_says(scene,
                  "{\"type\":\"input_audio_buffer.speech_started\",\"event_id\":\"e6\","
                  "\"audio_start_ms\":%u,\"item_id\":\"item_caller\"}",
                  audio_start_ms);
    scene_settle(scene);
}

static void fall_silent(struct scene *scene, unsigned audio_end_ms)
{
    scene_ai_says(scene,
                  "{\"type\":\"input_audio_buffer.speech_stopped\",\"event_id\":\"e7\","
                  "\"audio_end_ms\":%u,\"item_id\":\"item_caller\"}",
                  audio_end_ms);
    scene_settle(scene);
}

static void echo(struct scene *scene, const char *name)
{
    scene_carrier_says(scene,
                       "{\"event\":\"mark\",\"sequenceNumber\":\"%llu\",\"streamSid\":"
                       "\"MZ00000000000000000000000000000123\",\"mark\":{\"name\":\"%s\"}}",
                       (unsigned long long)++scene->sequence, name);
    scene_settle(scene);
}

/* Asked for before anyone has come, kept, and the first thing that leaves. */
static void greets_at_frame_one(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, GREETING, false);
    scene_settle(&scene);
    assert_string_equal("uir", scene.ai.order); /* session.update, item, response.create */
    respond(&scene, "resp_1");
    scene_delta(&scene, "resp_1", "item_1", 0x11, 20000);
    scene_delta(&scene, "resp_1", "item_1", 0x22, 4000);
    finish(&scene, "resp_1", "item_1");
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
    echo(&scene, "m2");
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
        respond(&scene, "resp_1");
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
    respond(&scene, "resp_1");
    scene_delta(&scene, "resp_1", "item_1", 0x11, 20000);
    scene_ai_says(&scene, "{\"type\":\"response.output_audio_transcript.done\",\"event_id\":\"e\","
                          "\"response_id\":\"resp_1\",\"item_id\":\"item_1\",\"output_index\":0,"
                          "\"content_index\":0,\"transcript\":\"Good day.\"}");
    finish(&scene, "resp_1", "item_1");
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
    respond(scene, "resp_1");
    scene_connect(scene);
    scene_start(scene);
    scene_delta(scene, "resp_1", "item_1", 0x11, 16000); /* 2 s */
    scene_settle(scene);
    say_frame(scene, 0);
    scene_settle(scene);
}

static void interrupts_at_once_by_default(void **state)
{
    (void)state;
    struct scene scene;
    greet(&scene, GREETING);
    assert_true(scene_told(&scene.ai, "\"interrupt_response\":true"));
    speak_up(&scene, 0);
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
    speak_up(&scene, 0);
    scene_delta(&scene, "resp_1", "item_1", 0x12, 8000);
    finish(&scene, "resp_1", "item_1");
    for (unsigned i = 1; i < 100; i++)
        say_frame(&scene, i); /* two of three seconds: the caller talks, the greeting goes on */
    scene_settle(&scene);
    assert_int_equal(24000, scene.carrier.audio_bytes);
    assert_null(strchr(scene.carrier.order, 'c'));
    assert_int_equal(0, scene.call->figures.barge_ins);
    assert_int_equal(100 * FRAME, scene.ai.audio_bytes); /* and the AI has heard it all */
    fall_silent(&scene, 2000);
    /* its answer may be interrupted, and then we tell the AI to stop */
    for (unsigned i = 100; i < 152; i++)
        say_frame(&scene, i);
    respond(&scene, "resp_2");
    scene_delta(&scene, "resp_2", "item_2", 0x13, 16000);
    scene_settle(&scene);
    speak_up(&scene, 2900);
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
    respond(&scene, "resp_1");
    scene_delta(&scene, "resp_1", "item_1", 0x11, 16000);
    finish(&scene, "resp_1", "item_1");
    scene_connect(&scene);
    scene_start(&scene);
    say_frames(&scene, 50);
    speak_up(&scene, 0);
    assert_int_equal(0, scene.call->figures.barge_ins);
    assert_null(strchr(scene.carrier.order, 'c'));
    scene_close(&scene);
}

static void short_speech_interrupts_nothing(void **state)
{
    (void)state;
    struct scene scene;
    uint8_t quiet[FRAME];
    memset(quiet, 0xff, sizeof quiet);
    greet(&scene, "{\"ai\":{\"greeting\":\"Good day.\",\"interrupt_after_ms\":200}}");
    speak_up(&scene, 0);
    for (unsigned i = 1; i <= 9; i++)
        say_frame(&scene, i); /* 180 ms */
    for (unsigned i = 10; i < 60; i++) {
        scene_media(&scene, i * 20, quiet, FRAME);
        scene_pass(&scene, 20);
    }
    scene_settle(&scene);
    assert_int_equal(0, scene.call->figures.barge_ins);
    fall_silent(&scene, 1200);
    assert_false(scene.call->speech.open);
    /* and 200 ms do */
    speak_up(&scene, 0);
    for (unsigned i = 60; i < 69; i++)
        say_frame(&scene, i);
    scene_settle(&scene);
    assert_int_equal(0, scene.call->figures.barge_ins);
    say_frame(&scene, 69);
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
    begin(&scene, "{}");
    order(&scene, "First.", true);
    order(&scene, "Second.", false);
    assert_string_equal("ur", scene.ai.order); /* one at a time */
    assert_true(scene_told(&scene.ai, "Say exactly this: First."));
    respond(&scene, "resp_1");
    scene_delta(&scene, "resp_1", "item_1", 0x11, 800);
    finish(&scene, "resp_1", "item_1");
    /* the second is firm: the session is told to be patient, then asked */
    assert_string_equal("urur", scene.ai.order);
    assert_true(scene_told(&scene.ai, "\"interrupt_response\":false"));
    assert_true(scene_told(&scene.ai, "Say exactly this: Second."));
    respond(&scene, "resp_2");
    scene_delta(&scene, "resp_2", "item_2", 0x22, 8000);
    scene_settle(&scene);
    speak_up(&scene, 0);
    assert_int_equal(0, scene.call->figures.barge_ins);
    scene_close(&scene);
}

/* The caller's turn got in first: the AI refuses, and is asked again when that is over. */
static void asks_again_when_refused(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{}");
    order(&scene, "Important.", false);
    assert_string_equal("uur", scene.ai.order);
    respond(&scene, "resp_turn");
    scene_ai_says(&scene, "{\"type\":\"error\",\"event_id\":\"e\",\"error\":{\"type\":"
                          "\"invalid_request_error\",\"code\":"
                          "\"conversation_already_has_active_response\",\"message\":\"Busy.\","
                          "\"event_id\":\"rb-say\"}}");
    scene_settle(&scene);
    scene_delta(&scene, "resp_turn", "item_1", 0x11, 8000);
    scene_settle(&scene);
    speak_up(&scene, 0); /* this one is not the firm one */
    assert_int_equal(1, scene.call->figures.barge_ins);
    finish(&scene, "resp_turn", "item_1");
    assert_int_equal('r', scene.ai.order[scene.ai.letters - 1]);
    assert_int_equal(1, scene.call->speak.count);
    scene_close(&scene);
}

static void bounds_what_waits_to_be_said(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{}");
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
    begin(&scene, "{\"ai\":{\"vad_silence_ms\":500}}");
    for (unsigned i = 0; i < 100; i++)
        say_frame(&scene, i);
    scene_settle(&scene);
    /* speech ended at 1200, the AI waited to 1700, and says so at 2000 */
    fall_silent(&scene, 1700);
    scene_pass(&scene, 300);
    respond(&scene, "resp_1");
    scene_pass(&scene, 40);
    scene_delta(&scene, "resp_1", "item_1", 0x11, 4000);
    scene_settle(&scene);
    assert_int_equal(0, scene.call->figures.turns);
    /* 200 ms of it were played when the first mark came back, 250 ms after it was sent */
    scene_pass(&scene, 550);
    echo(&scene, "m0");
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
    begin(&scene, "{}");
    respond(&scene, "resp_1");
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
        echo(scene, item);
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
        respond(scene, response);
        scene_delta(scene, response, item, 0x11, 1600 + 8 * roll(hour, 4000));
        finish(scene, response, item);
        break;
    case 3:
        speak_up(scene, (unsigned)(frame * 20));
        break;
    default:
        fall_silent(scene, (unsigned)(frame * 20));
        respond(scene, response); /* an AI that did not answer would be replaced */
        finish(scene, response, item);
    }
}

/* 180000 frames, some lost, with everything that happens in a call between them: at the end every
 * sample of the hour has its place, to the sample. */
static void drifts_not_at_all(void **state)
{
    (void)state;
    struct hour hour = {.dice = 20261121};
    struct scene *scene = &hour.scene;
    hour.wanted = malloc(HOUR_FRAMES * FRAME);
    begin(scene, "{\"ai\":{\"interrupt_after_ms\":100,\"session_max_s\":86400}}");
    for (uint64_t frame = 0; frame < HOUR_FRAMES;) {
        unsigned lost =
            frame && frame + 60 < HOUR_FRAMES && roll(&hour, 500) == 0 ? 1 + roll(&hour, 50) : 0;
        memset(hour.wanted + frame * FRAME, 0xff, (size_t)lost * FRAME);
        frame += lost;
        fill(hour.wanted + frame * FRAME, frame * FRAME, FRAME);
        scene_media(scene, 171 + frame * 20, hour.wanted + frame * FRAME, FRAME);
        frame++;
        if (frame % 10 == 0)
            scene_pass(scene, 200);
        if (roll(&hour, 100) == 0)
            spoil(&hour, frame);
    }
    scene_pass(scene, 200);
    scene_settle(scene);
    assert_int_equal((uint64_t)HOUR_FRAMES * FRAME, scene->call->up.samples);
    assert_int_equal((uint64_t)HOUR_FRAMES * FRAME, scene->ai.audio_bytes);
    assert_int_equal((uint64_t)HOUR_FRAMES * FRAME, scene->call->up.appended);
    assert_memory_equal(hour.wanted, scene->ai.audio, (size_t)HOUR_FRAMES * FRAME);
    assert_true(scene->call->figures.gap_samples > 100 * FRAME);
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
        cmocka_unit_test(drifts_not_at_all),
    };
    log_open("feel_test", LOG_TEXT, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
