/* One AI session after another: what the new one is told, which of the caller's samples it hears,
 * and when a call is given up. Every test is a whole call over real sockets with a clock that only
 * it moves. */
#include "tests/call/scene.h"

#include <stdlib.h>

#define FRAME 160

static uint8_t code_at(uint64_t sample)
{
    return (uint8_t)((sample * 2654435761u) >> 13);
}

static void say_frame(struct scene *scene, uint64_t number)
{
    uint8_t codes[FRAME];
    for (size_t i = 0; i < FRAME; i++)
        codes[i] = code_at(number * FRAME + i);
    scene_media(scene, number * 20, codes, FRAME);
    scene_pass(scene, 20);
}

static void begin(struct scene *scene, const char *settings)
{
    scene_open(scene, settings, false);
    scene_connect(scene);
    scene_start(scene);
}

static void wait_ready(struct scene *scene, unsigned sessions)
{
    scene_until(scene, scene->ai.sessions == sessions && scene->call->ai.state == AI_READY &&
                           !scene->call->session.lost);
    scene_settle(scene);
}

/* What was heard from byte on is what the caller said from sample on. */
static void expect_from(const struct scene *scene, size_t byte, uint64_t sample)
{
    assert_true(scene->ai.audio_bytes > byte);
    for (size_t i = byte; i < scene->ai.audio_bytes; i++, sample++)
        if (scene->ai.audio[i] != code_at(sample))
            fail_msg("byte %zu is not the caller's sample %llu", i, (unsigned long long)sample);
}

/* What was on its way when it broke comes once more. */
static void silence_is_carried_over_to_the_sample(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{}");
    for (uint64_t i = 0; i < 10; i++)
        say_frame(&scene, i);
    scene_settle(&scene);
    size_t before = scene.ai.audio_bytes;
    assert_int_equal(before, 10 * FRAME);
    scene_break(&scene);
    for (uint64_t i = 10; i < 14; i++) /* on their way while nobody is there */
        say_frame(&scene, i);
    wait_ready(&scene, 2);
    for (uint64_t i = 14; i < 20; i++)
        say_frame(&scene, i);
    scene_settle(&scene);
    assert_int_equal(scene.ai.audio_bytes - before, 20 * FRAME);
    expect_from(&scene, before, 0);
    assert_int_equal(scene.metrics.sessions_lost, 1);
    assert_int_equal(scene.metrics.sessions_resumed, 1);
    scene_close(&scene);
}

/* Nobody has written down what he says: the new one hears it from its beginning, prefix and all. */
static void a_sentence_is_heard_again_from_its_beginning(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{\"ai\":{\"vad_prefix_ms\":100,\"transcription_model\":\"hearer\"}}");
    for (uint64_t i = 0; i < 50; i++)
        say_frame(&scene, i);
    scene_ai_says(&scene, "{\"type\":\"input_audio_buffer.speech_started\",\"item_id\":\"c1\","
                          "\"audio_start_ms\":800}");
    scene_settle(&scene);
    assert_true(scene.call->session.speaking);
    size_t before = scene.ai.audio_bytes;
    assert_int_equal(before, 50 * FRAME);
    scene_break(&scene);
    wait_ready(&scene, 2);
    say_frame(&scene, 50);
    scene_settle(&scene);
    assert_int_equal(scene.ai.audio_bytes - before, 200 * 8 + FRAME);
    expect_from(&scene, before, 800 * 8);
    scene_close(&scene);
}

static void of_a_long_one_the_last_two_seconds(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{\"ai\":{\"transcription_model\":\"hearer\"}}");
    for (uint64_t i = 0; i < 200; i++)
        say_frame(&scene, i);
    scene_ai_says(&scene, "{\"type\":\"input_audio_buffer.speech_started\",\"item_id\":\"c1\","
                          "\"audio_start_ms\":100}");
    scene_settle(&scene);
    size_t before = scene.ai.audio_bytes;
    scene_break(&scene);
    wait_ready(&scene, 2);
    assert_int_equal(scene.ai.audio_bytes - before, CALL_RECENT_BYTES);
    expect_from(&scene, before, 200 * FRAME - CALL_RECENT_BYTES);
    scene_close(&scene);
}

static void what_was_said_is_told_once_in_order(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{\"ai\":{\"transcription_model\":\"hearer\"}}");
    say_frame(&scene, 0);
    scene_ai_says(&scene, "{\"type\":\"input_audio_buffer.speech_started\",\"item_id\":\"c1\","
                          "\"audio_start_ms\":10}");
    scene_ai_says(&scene, "{\"type\":\"conversation.item.input_audio_transcription.completed\","
                          "\"item_id\":\"c1\",\"transcript\":\"Say \\\"hi\\\"\"}");
    scene_ai_says(&scene, "{\"type\":\"response.created\",\"response\":{\"id\":\"r1\"}}");
    scene_delta(&scene, "r1", "a1", 0x55, 800);
    scene_ai_says(&scene, "{\"type\":\"response.output_audio_transcript.delta\",\"response_id\":"
                          "\"r1\",\"item_id\":\"a1\",\"delta\":\"Hello there\"}");
    scene_settle(&scene);
    assert_false(scene.call->session.speaking);
    scene_break(&scene);
    wait_ready(&scene, 2);
    assert_true(scene_told(&scene.ai, "\"role\":\"user\",\"content\":[{\"type\":\"input_text\","
                                      "\"text\":\"Say \\\"hi\\\"\"}]"));
    assert_true(scene_told(&scene.ai, "\"role\":\"assistant\",\"content\":[{\"type\":"
                                      "\"output_text\",\"text\":\"Hello there\"}]"));
    assert_true(scene_told(&scene.ai, "\"type\":\"response.create\"")); /* it was in the middle */
    /* Items of the session that is gone are not truncated in the new one. */
    scene_ai_says(&scene, "{\"type\":\"input_audio_buffer.speech_started\",\"item_id\":\"c2\","
                          "\"audio_start_ms\":1}");
    scene_settle(&scene);
    assert_false(scene_told(&scene.ai, "conversation.item.truncate"));
    assert_int_equal(scene.metrics.barge_ins, 1); /* but the carrier fell silent */
    scene_close(&scene);
}

static void an_answer_that_does_not_begin_is_asked_for(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{}");
    say_frame(&scene, 0);
    scene_ai_says(&scene, "{\"type\":\"input_audio_buffer.speech_stopped\",\"item_id\":\"c1\","
                          "\"audio_end_ms\":20}");
    scene_settle(&scene);
    for (uint64_t i = 1; i < SESSION_ANSWER_MS / 20 - 5; i++)
        say_frame(&scene, i);
    scene_settle(&scene);
    assert_int_equal(scene.metrics.sessions_nudged, 0);
    for (uint64_t i = SESSION_ANSWER_MS / 20 - 5; i < SESSION_ANSWER_MS / 20 + 5; i++)
        say_frame(&scene, i);
    scene_settle(&scene);
    assert_int_equal(scene.metrics.sessions_nudged, 1);
    assert_true(scene_told(&scene.ai, "\"type\":\"response.create\""));
    assert_int_equal(scene.ai.sessions, 1);
    for (uint64_t i = SESSION_ANSWER_MS / 20 + 5; i < 2 * SESSION_ANSWER_MS / 20 + 10; i++)
        say_frame(&scene, i);
    wait_ready(&scene, 2);
    scene_close(&scene);
}

static void losses_in_a_row_end_the_call(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{}");
    for (unsigned loss = 1; loss <= SESSION_QUICK_LOSSES_MAX; loss++) {
        say_frame(&scene, loss);
        scene_break(&scene);
        wait_ready(&scene, loss + 1);
    }
    scene_break(&scene);
    scene_until(&scene, !scene.call);
    assert_int_equal(scene.end, END_ai_lost);
    scene_close(&scene);
}

static void without_a_first_session_there_is_nothing_to_go_on_with(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, "{}", true);
    scene_break(&scene);
    scene_until(&scene, !scene.call);
    assert_int_equal(scene.ai.sessions, 1);
    scene_close(&scene);
}

/* ---- renewal: session_max_s 20 means a successor from 15 s on, and the cap at 18.75 s ---- */

static void say_until(struct scene *scene, uint64_t *frame, uint64_t frames)
{
    while (*frame < frames)
        say_frame(scene, (*frame)++);
    scene_settle(scene);
}

static void open_growing_old(struct scene *scene, uint64_t *frame)
{
    begin(scene, "{\"ai\":{\"session_max_s\":20}}");
    scene_ai_says(scene, "{\"type\":\"response.created\",\"response\":{\"id\":\"r1\"}}");
    scene_settle(scene);
    say_until(scene, frame, 16 * 50);
    assert_int_equal(scene->ai.sessions, 2); /* it is there, and waits for a pause */
}

static void expect_taken_over(struct scene *scene, uint64_t frame)
{
    assert_int_equal(scene->metrics.sessions_renewed, 1);
    assert_int_equal(scene->metrics.sessions_lost, 0);
    assert_int_equal(scene->call->next_ai.state, AI_GONE);
    assert_int_equal(scene->ai.audio_bytes, frame * FRAME + CALL_OVERLAP_BYTES);
}

/* A pause is when nobody speaks. The old one hears every sample up to it, the new one from half a
 * second before. */
static void an_old_session_is_renewed_in_a_pause(void **state)
{
    (void)state;
    struct scene scene;
    uint64_t frame = 0;
    open_growing_old(&scene, &frame);
    assert_int_equal(scene.call->next_ai.state, AI_READY);
    assert_int_equal(scene.metrics.sessions_renewed, 0);
    scene_former_says(&scene, "{\"type\":\"response.done\",\"response\":{\"id\":\"r1\","
                              "\"status\":\"completed\"}}");
    scene_settle(&scene);
    for (unsigned i = 0; scene.metrics.sessions_renewed == 0 && i < 30; i++)
        scene_pass(&scene, 20); /* nothing is on its way to the first one then */
    scene_settle(&scene);
    uint64_t taken = frame;
    assert_int_equal(scene.ai.close_code, 1000);
    assert_int_equal(scene.ai.sessions, 2);
    say_until(&scene, &frame, frame + 50);
    expect_taken_over(&scene, frame);
    expect_from(&scene, taken * FRAME, taken * FRAME - CALL_OVERLAP_BYTES);
    scene.ai.audio_bytes = taken * FRAME; /* what the first one heard */
    expect_from(&scene, 0, 0);
    scene_close(&scene);
}

static void a_successor_that_fails_costs_nothing(void **state)
{
    (void)state;
    struct scene scene;
    uint64_t frame = 0;
    open_growing_old(&scene, &frame);
    scene_break(&scene);
    scene_settle(&scene);
    assert_int_equal(scene.metrics.successors_failed, 1);
    assert_int_equal(scene.call->ai.state, AI_READY);
    assert_int_equal(scene.ai.audio_bytes, frame * FRAME);
    scene.ai.conn = scene.ai.former; /* the first is the only one again */
    say_until(&scene, &frame, frame + 25);
    assert_int_equal(scene.ai.sessions, 2); /* not at once */
    scene_ai_says(&scene, "{\"type\":\"error\",\"error\":{\"code\":\"session_expired\"}}");
    wait_ready(&scene, 3);
    assert_int_equal(scene.metrics.sessions_lost, 1);
    scene_close(&scene);
}

static void another_successor_is_dialled_and_steps_in_when_it_breaks(void **state)
{
    (void)state;
    struct scene scene;
    uint64_t frame = 0;
    begin(&scene, "{\"ai\":{\"session_max_s\":60}}"); /* from 45 s on; the cap at 56.25 s */
    scene_ai_says(&scene, "{\"type\":\"response.created\",\"response\":{\"id\":\"r1\"}}");
    say_until(&scene, &frame, 46 * 50);
    assert_int_equal(scene.ai.sessions, 2);
    uint64_t first = scene.ai.former;
    scene_break(&scene);
    scene_settle(&scene);
    say_until(&scene, &frame, 52 * 50);
    assert_int_equal(scene.ai.sessions, 3);
    assert_int_equal(scene.metrics.successors_failed, 1);
    scene.ai.former = first;
    scene_break_former(&scene);
    scene_until(&scene, scene.metrics.sessions_resumed == 1);
    scene_settle(&scene);
    assert_int_equal(scene.ai.sessions, 3); /* nobody had to be dialled */
    assert_true(scene_told(&scene.ai, "\"type\":\"response.create\""));
    say_until(&scene, &frame, frame + 10);
    assert_int_equal(scene.ai.audio_bytes, frame * FRAME + CALL_RECENT_BYTES);
    scene_close(&scene);
}

static void one_on_its_way_steps_in_as_well(void **state)
{
    (void)state;
    struct scene scene;
    uint64_t frame = 0;
    begin(&scene, "{\"ai\":{\"session_max_s\":20}}");
    scene.unconfigured = true;
    scene_ai_says(&scene, "{\"type\":\"response.created\",\"response\":{\"id\":\"r1\"}}");
    say_until(&scene, &frame, 15 * 50 + 20);
    assert_int_equal(scene.call->next_ai.state, AI_CONFIGURING);
    scene_break_former(&scene);
    scene_until(&scene, scene.call->session.lost);
    assert_int_equal(scene.call->ai.state, AI_CONFIGURING);
    scene_configure(&scene);
    wait_ready(&scene, 2);
    say_until(&scene, &frame, frame + 10);
    assert_int_equal(scene.ai.audio_bytes, frame * FRAME + CALL_RECENT_BYTES);
    scene_close(&scene);
}

static void at_the_cap_it_is_renewed_in_any_case(void **state)
{
    (void)state;
    struct scene scene;
    uint64_t frame = 0;
    open_growing_old(&scene, &frame);
    say_until(&scene, &frame, 18 * 50);
    assert_int_equal(scene.metrics.sessions_renewed, 0);
    say_until(&scene, &frame, 19 * 50 + 10);
    expect_taken_over(&scene, frame);
    assert_true(scene_told(&scene.ai, "\"type\":\"response.create\"")); /* it was cut short */
    scene_close(&scene);
}

/* No FIN, no RST, no pong, and the socket goes on taking what is sent. */
static void an_ai_gone_without_a_word_is_found(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{}");
    uint64_t frame = 0;
    while (frame < 3 * (SESSION_QUIET_MS + SESSION_SIGN_MS) / 20) /* it answers when asked */
        say_frame(&scene, frame++);
    scene_settle(&scene);
    assert_int_equal(scene.ai.sessions, 1);
    size_t before = scene.ai.audio_bytes;
    assert_int_equal(before, frame * FRAME);
    scene_mute(&scene);
    uint64_t muted = frame, latest = (SESSION_QUIET_MS + SESSION_SIGN_MS) / 20;
    while (frame < muted + latest + 2 && scene.metrics.sessions_lost == 0)
        say_frame(&scene, frame++);
    assert_int_equal(scene.metrics.sessions_lost, 1);
    assert_true(frame > muted + SESSION_SIGN_MS / 20);
    assert_int_equal(scene.metrics.faults[FAULT_peer_silent], 1);
    assert_int_equal(scene.call->session.cause, END_ai_lost);
    wait_ready(&scene, 2);
    say_frame(&scene, frame++);
    scene_settle(&scene);
    assert_int_equal(scene.ai.audio_bytes - before, CALL_RECENT_BYTES + FRAME);
    expect_from(&scene, before, frame * FRAME - FRAME - CALL_RECENT_BYTES);
    scene_close(&scene);
}

/* The next one is as dead: the call ends, and says of what. */
static void and_when_all_are_gone_the_call_ends(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{}");
    uint64_t frame = 0;
    while (scene.call && frame < 5000) {
        if (scene.ai.conn && scene.call->ai.state == AI_READY && !scene.call->session.lost)
            scene_mute(&scene);
        say_frame(&scene, frame++);
    }
    assert_null(scene.call);
    assert_int_equal(scene.end, END_ai_lost);
    assert_int_equal(scene.ai.sessions, 1 + SESSION_QUICK_LOSSES_MAX);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_carried_over_to_the_sample),
        cmocka_unit_test(a_sentence_is_heard_again_from_its_beginning),
        cmocka_unit_test(of_a_long_one_the_last_two_seconds),
        cmocka_unit_test(what_was_said_is_told_once_in_order),
        cmocka_unit_test(an_answer_that_does_not_begin_is_asked_for),
        cmocka_unit_test(losses_in_a_row_end_the_call),
        cmocka_unit_test(without_a_first_session_there_is_nothing_to_go_on_with),
        cmocka_unit_test(an_old_session_is_renewed_in_a_pause),
        cmocka_unit_test(a_successor_that_fails_costs_nothing),
        cmocka_unit_test(another_successor_is_dialled_and_steps_in_when_it_breaks),
        cmocka_unit_test(one_on_its_way_steps_in_as_well),
        cmocka_unit_test(at_the_cap_it_is_renewed_in_any_case),
        cmocka_unit_test(an_ai_gone_without_a_word_is_found),
        cmocka_unit_test(and_when_all_are_gone_the_call_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
