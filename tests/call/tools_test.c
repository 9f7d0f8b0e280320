/* Functions that the AI calls: when it gets their results, when it is asked to speak upon them, how
 * a call ends in words, and what another session is told. Every test is a whole call over real
 * sockets with a clock that only it moves; control is away throughout. */
#include "tests/call/scene.h"

#include <stdlib.h>

#define FRAME 160

#define WAITS                                                                                      \
    "{\"ai\":{\"greeting\":\"\",\"tool_waits\":[{\"name\":\"look_up\",\"interim_ms\":2000,"        \
    "\"deadline_ms\":6000},{\"name\":\"bye\",\"at_edge\":\"end_call\"},{\"name\":\"keys\","        \
    "\"at_edge\":\"collect_digits\"},{\"name\":\"patient\",\"interim_ms\":0,"                      \
    "\"deadline_ms\":300000}]}}"

static uint64_t frames;

static void pass(struct scene *scene, unsigned ms)
{
    static const uint8_t codes[FRAME] = {1, 2, 3};
    for (unsigned i = 0; i < ms && scene->call; i += 20) {
        scene_media(scene, frames++ * 20, codes, FRAME);
        scene_pass(scene, 20);
    }
    scene_settle(scene);
}

static void begin(struct scene *scene)
{
    frames = 0;
    scene_open(scene, WAITS, false);
    scene_connect(scene);
    scene_start(scene);
    pass(scene, 100);
}

static unsigned told(const struct scene *scene, const char *piece)
{
    unsigned count = 0;
    for (unsigned i = 0; i < SCENE_TEXTS_MAX; i++)
        count += scene->ai.texts[i] && strstr(scene->ai.texts[i], piece);
    return count;
}

#define CREATE "\"type\":\"response.create\""

static void created(struct scene *scene, const char *response)
{
    scene_ai_says(scene, "{\"type\":\"response.created\",\"response\":{\"id\":\"%s\"}}", response);
    scene_settle(scene);
}

static void done(struct scene *scene, const char *response)
{
    scene_ai_says(scene,
                  "{\"type\":\"response.done\",\"response\":{\"id\":\"%s\",\"status\":"
                  "\"completed\"}}",
                  response);
    scene_settle(scene);
}

static void calls_function(struct scene *scene, const char *response, const char *id,
                           const char *name, const char *arguments)
{
    scene_ai_says(scene,
                  "{\"type\":\"response.output_item.done\",\"response_id\":\"%s\",\"output_index\":"
                  "0,\"item\":{\"id\":\"i_%s\",\"type\":\"function_call\",\"status\":\"completed\","
                  "\"call_id\":\"%s\",\"name\":\"%s\",\"arguments\":\"%s\"}}",
                  response, id, id, name, arguments);
    scene_settle(scene);
}

/* Number of the latest function's event: every call and result of one counts. */
static uint64_t number_of(const struct scene *scene, const char *id)
{
    for (unsigned i = 0; i < TOOLS_PENDING_MAX; i++)
        if (strcmp(scene->call->tools->entries[i].call_id, id) == 0)
            return scene->call->tools->entries[i].number;
    fail_msg("nobody waits for %s", id);
    return 0;
}

static void result(struct scene *scene, uint64_t number, const char *output, enum end end)
{
    struct link_tool_result *order = calloc(1, sizeof *order);
    snprintf(order->call, sizeof order->call, "%s", scene->call->plan->call);
    snprintf(order->output, sizeof order->output, "%s", output);
    order->number = number;
    order->end = end;
    calls_on_letter(scene->calls, &(struct letter){.kind = LETTER_TOOL_RESULT, .content = order});
    scene_settle(scene);
}

static void echo_last(struct scene *scene)
{
    const struct heard *heard = &scene->call->down.heard;
    for (uint32_t mark = heard->mark_first; mark != heard->mark_next; mark++)
        scene_carrier_says(
            scene,
            "{\"event\":\"mark\",\"streamSid\":\"MZ00000000000000000000000000000123\","
            "\"sequenceNumber\":\"%llu\",\"mark\":{\"name\":\"m%u\"}}",
            (unsigned long long)++scene->sequence, mark);
    scene_settle(scene);
}

static void speaks(struct scene *scene, const char *response, const char *item, size_t bytes)
{
    scene_delta(scene, response, item, 0x55, bytes);
    scene_ai_says(scene,
                  "{\"type\":\"response.output_audio.done\",\"response_id\":\"%s\",\"item_id\":"
                  "\"%s\",\"content_index\":0}",
                  response, item);
    scene_settle(scene);
}

/* ---- results ---- */

static void a_result_is_told_and_spoken_upon_when_the_response_is_done(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    created(&scene, "r1");
    calls_function(&scene, "r1", "c1", "look_up", "{\\\"a\\\":\\\"\\u00fc\\\"}");
    result(&scene, number_of(&scene, "c1"), "{\"ok\":true,\"say\":\"\\\"hi\\\"\"}", END_NONE);
    assert_int_equal(told(&scene, "\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":"
                                  "\"{\\\"ok\\\":true,\\\"say\\\":\\\"\\\\\\\"hi\\\\\\\"\\\"}\""),
                     1);
    assert_int_equal(told(&scene, CREATE), 0); /* one response at a time */
    done(&scene, "r1");
    assert_int_equal(told(&scene, CREATE), 1);
    created(&scene, "r2");
    done(&scene, "r2");
    assert_int_equal(told(&scene, CREATE), 1);
    assert_false(tools_open(scene.call));
    scene_close(&scene);
}

static void parallel_results_are_spoken_upon_once(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    created(&scene, "r1");
    calls_function(&scene, "r1", "c1", "look_up", "{}");
    calls_function(&scene, "r1", "c2", "patient", "{}");
    calls_function(&scene, "r1", "c3", "look_up", "");
    done(&scene, "r1");
    uint64_t first = number_of(&scene, "c1");
    result(&scene, number_of(&scene, "c3"), "{\"n\":3}", END_NONE);
    result(&scene, first, "{\"n\":1}", END_NONE);
    assert_int_equal(told(&scene, "function_call_output"), 2);
    assert_int_equal(told(&scene, CREATE), 0);
    result(&scene, first, "{\"n\":4}", END_NONE); /* sent again: taken once */
    result(&scene, 4711, "{\"n\":5}", END_NONE);  /* nobody waits for that */
    assert_int_equal(told(&scene, "function_call_output"), 2);
    result(&scene, number_of(&scene, "c2"), "{\"n\":2}", END_NONE);
    assert_int_equal(told(&scene, "function_call_output"), 3);
    assert_int_equal(told(&scene, CREATE), 1);
    scene_close(&scene);
}

/* The AI answers the caller with what it knows by then: it is not asked a second time. */
static void a_caller_who_speaks_is_answered_once(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    created(&scene, "r1");
    calls_function(&scene, "r1", "c1", "look_up", "{}");
    done(&scene, "r1");
    scene_ai_says(&scene, "{\"type\":\"input_audio_buffer.speech_started\",\"item_id\":\"u1\","
                          "\"audio_start_ms\":10}");
    scene_settle(&scene);
    result(&scene, number_of(&scene, "c1"), "{\"n\":1}", END_NONE);
    assert_int_equal(told(&scene, "function_call_output"), 1);
    assert_int_equal(told(&scene, CREATE), 0);
    scene_ai_says(&scene, "{\"type\":\"input_audio_buffer.speech_stopped\",\"item_id\":\"u1\","
                          "\"audio_end_ms\":90}");
    scene_settle(&scene);
    assert_int_equal(told(&scene, CREATE), 0);
    created(&scene, "r2");
    done(&scene, "r2");
    assert_int_equal(told(&scene, CREATE), 0);
    assert_false(tools_open(scene.call));
    scene_close(&scene);
}

static void what_takes_long_is_said_and_follows_as_a_note(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    created(&scene, "r1");
    calls_function(&scene, "r1", "c1", "look_up", "{}");
    done(&scene, "r1");
    pass(&scene, 1900);
    assert_int_equal(told(&scene, "function_call_output"), 0);
    pass(&scene, 200);
    assert_int_equal(told(&scene, "\\\"status\\\":\\\"running\\\""), 1);
    assert_int_equal(told(&scene, CREATE), 1);
    created(&scene, "r2");
    speaks(&scene, "r2", "a2", 800);
    done(&scene, "r2");
    pass(&scene, 1000);
    result(&scene, number_of(&scene, "c1"), "{\"ok\":true,\"n\":7}", END_NONE);
    assert_int_equal(told(&scene, "function_call_output"), 1);
    assert_int_equal(told(&scene, "\"role\":\"system\""), 1);
    assert_int_equal(told(&scene, "The function look_up that you called earlier has come back: "
                                  "{\\\"ok\\\":true,\\\"n\\\":7}"),
                     1);
    assert_int_equal(told(&scene, CREATE), 2);
    scene_close(&scene);
}

/* Control is away: the AI is told in any case, once, and what comes later changes nothing. */
static void without_control_there_is_an_answer_at_the_deadline(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    created(&scene, "r1");
    calls_function(&scene, "r1", "c1", "look_up", "{}");
    calls_function(&scene, "r1", "c2", "patient", "{}");
    done(&scene, "r1");
    uint64_t number = number_of(&scene, "c1");
    pass(&scene, 6000 + TOOL_GRACE_MS - 200);
    assert_int_equal(told(&scene, "It is not known whether"), 0);
    pass(&scene, 400);
    assert_int_equal(told(&scene, "It is not known whether"), 1);
    assert_int_equal(scene.metrics.tools_abandoned, 1);
    result(&scene, number, "{\"x\":1}", END_NONE);
    assert_int_equal(told(&scene, "\\\"x\\\""), 0);
    assert_non_null(scene.call);
    scene_close(&scene);
}

static void too_many_and_too_long_are_refused_in_words(void **state)
{
    (void)state;
    struct scene scene;
    char id[8], *large = malloc(TOOL_ARGUMENTS_BYTES_MAX + 2);
    begin(&scene);
    created(&scene, "r1");
    memset(large, 'x', TOOL_ARGUMENTS_BYTES_MAX + 1);
    large[TOOL_ARGUMENTS_BYTES_MAX + 1] = '\0';
    calls_function(&scene, "r1", "large", "look_up", large);
    assert_int_equal(told(&scene, "The arguments are too long"), 1);
    large[TOOL_ARGUMENTS_BYTES_MAX] = '\0';
    calls_function(&scene, "r1", "just", "look_up", large);
    assert_int_equal(told(&scene, "The arguments are too long"), 1);
    for (unsigned i = 1; i < TOOLS_PENDING_MAX; i++) {
        snprintf(id, sizeof id, "c%u", i);
        calls_function(&scene, "r1", id, "patient", "{}");
    }
    assert_int_equal(told(&scene, "Too many functions at once"), 0);
    calls_function(&scene, "r1", "over", "patient", "{}");
    assert_int_equal(told(&scene, "Too many functions at once"), 1);
    assert_non_null(scene.call);
    free(large);
    scene_close(&scene);
}

/* ---- another session ---- */

static void a_session_that_is_replaced_learns_what_came_back(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    created(&scene, "r1");
    calls_function(&scene, "r1", "c1", "patient", "{}");
    calls_function(&scene, "r1", "c2", "look_up", "{}");
    done(&scene, "r1");
    uint64_t first = number_of(&scene, "c1");
    scene_break(&scene);
    scene_until(&scene, scene.call->session.lost);
    result(&scene, number_of(&scene, "c2"), "{\"n\":2}", END_NONE);
    scene_until(&scene, scene.ai.sessions == 2 && scene.call->ai.state == AI_READY);
    scene_settle(&scene);
    assert_int_equal(told(&scene, "function_call_output"), 0); /* it knows no such call */
    assert_int_equal(told(&scene, "The function look_up that you called earlier"), 1);
    assert_int_equal(told(&scene, CREATE), 1);
    created(&scene, "r2");
    done(&scene, "r2");
    result(&scene, first, "{\"n\":1}", END_NONE);
    assert_int_equal(told(&scene, "The function patient that you called earlier"), 1);
    assert_int_equal(told(&scene, CREATE), 2);
    scene_close(&scene);
}

static void a_result_that_was_not_spoken_upon_is_told_again(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    created(&scene, "r1");
    calls_function(&scene, "r1", "c1", "look_up", "{}");
    result(&scene, number_of(&scene, "c1"), "{\"n\":1}", END_NONE);
    assert_int_equal(told(&scene, "function_call_output"), 1);
    scene_break(&scene);
    scene_until(&scene, scene.ai.sessions == 2 && scene.call->ai.state == AI_READY);
    scene_settle(&scene);
    assert_int_equal(told(&scene, "that you called earlier"), 1);
    assert_int_equal(told(&scene, CREATE), 1);
    scene_close(&scene);
}

/* ---- the end ---- */

static void the_last_words_are_heard_before_the_end(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    created(&scene, "r1");
    speaks(&scene, "r1", "a1", 8000); /* a second */
    calls_function(&scene, "r1", "c1", "bye", "{}");
    done(&scene, "r1");
    pass(&scene, 900);
    assert_non_null(scene.call);
    pass(&scene, 300);
    assert_non_null(scene.call); /* played by the clock, and no mark has come back */
    echo_last(&scene);
    pass(&scene, 200);
    assert_null(scene.call);
    assert_int_equal(scene.end, END_agent_hung_up);
    assert_int_equal(told(&scene, CREATE), 0);
    scene_close(&scene);
}

static void who_hangs_up_without_a_word_is_asked_for_one(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    created(&scene, "r1");
    calls_function(&scene, "r1", "c1", "bye", "{}");
    pass(&scene, 400);
    assert_non_null(scene.call); /* its response may have words yet */
    done(&scene, "r1");
    assert_int_equal(told(&scene, "Say your last words now"), 1);
    assert_int_equal(told(&scene, CREATE), 1);
    created(&scene, "r2");
    speaks(&scene, "r2", "a2", 1600);
    calls_function(&scene, "r2", "c2", "bye", "{}"); /* once more, as AIs do */
    done(&scene, "r2");
    assert_int_equal(told(&scene, CREATE), 1);
    echo_last(&scene);
    pass(&scene, 400);
    assert_null(scene.call);
    assert_int_equal(scene.end, END_agent_hung_up);
    scene_close(&scene);
}

static void a_caller_who_goes_on_calls_it_off(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    created(&scene, "r1");
    speaks(&scene, "r1", "a1", 8000);
    calls_function(&scene, "r1", "c1", "bye", "{}");
    done(&scene, "r1");
    pass(&scene, 300);
    scene_ai_says(&scene, "{\"type\":\"input_audio_buffer.speech_started\",\"item_id\":\"u1\","
                          "\"audio_start_ms\":300}");
    scene_settle(&scene);
    assert_int_equal(told(&scene, "The caller went on speaking"), 1);
    assert_int_equal(scene.metrics.tools_called_off, 1);
    pass(&scene, 2000);
    assert_non_null(scene.call);
    scene_close(&scene);
}

static void nobody_waits_for_ever_for_marks(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    created(&scene, "r1");
    speaks(&scene, "r1", "a1", 8000);
    calls_function(&scene, "r1", "c1", "bye", "{}");
    done(&scene, "r1");
    pass(&scene, 29000);
    assert_non_null(scene.call);
    pass(&scene, 2000);
    assert_null(scene.call);
    assert_int_equal(scene.end, END_agent_hung_up);
    scene_close(&scene);
}

static void a_result_may_end_the_call(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    created(&scene, "r1");
    speaks(&scene, "r1", "a1", 4000);
    calls_function(&scene, "r1", "c1", "look_up", "{}");
    done(&scene, "r1");
    result(&scene, number_of(&scene, "c1"), "{\"ok\":true}", END_transferred);
    pass(&scene, 300);
    assert_non_null(scene.call);
    assert_int_equal(told(&scene, CREATE), 0);
    /* Whoever interrupts does not change what is decided: he is through at once. */
    scene_ai_says(&scene, "{\"type\":\"input_audio_buffer.speech_started\",\"item_id\":\"u1\","
                          "\"audio_start_ms\":300}");
    scene_until(&scene, !scene.call);
    assert_int_equal(scene.end, END_transferred);
    scene_close(&scene);
}

/* ---- keys ---- */

static void key(struct scene *scene, char digit)
{
    scene_carrier_says(scene,
                       "{\"event\":\"dtmf\",\"streamSid\":\"MZ00000000000000000000000000000123\","
                       "\"sequenceNumber\":\"%llu\",\"dtmf\":{\"track\":\"inbound_track\","
                       "\"digit\":\"%c\"}}",
                       (unsigned long long)++scene->sequence, digit);
    scene_settle(scene);
}

static void collects(struct scene *scene, const char *arguments)
{
    begin(scene);
    created(scene, "r1");
    speaks(scene, "r1", "a1", 8000);
    calls_function(scene, "r1", "c1", "keys", arguments);
    done(scene, "r1");
}

static void keys_end_with_the_key_that_ends_them(void **state)
{
    (void)state;
    struct scene scene;
    collects(&scene, "{}");
    key(&scene, '4');
    key(&scene, '*');
    key(&scene, '#');
    assert_int_equal(told(&scene, "\\\"digits\\\":\\\"4*\\\",\\\"ended_by\\\":\\\"key\\\""), 1);
    key(&scene, '7'); /* nobody collects */
    assert_int_equal(told(&scene, "function_call_output"), 1);
    assert_int_equal(told(&scene, CREATE), 1);
    scene_close(&scene);
}

static void keys_end_with_their_number(void **state)
{
    (void)state;
    struct scene scene;
    collects(&scene, "{\\\"digits_max\\\":3,\\\"finish_on_key\\\":\\\"\\\"}");
    key(&scene, '1');
    key(&scene, '#');
    assert_int_equal(told(&scene, "function_call_output"), 0);
    key(&scene, '2');
    assert_int_equal(told(&scene, "\\\"digits\\\":\\\"1#2\\\",\\\"ended_by\\\":\\\"length\\\""), 1);
    scene_close(&scene);
}

/* The caller's time begins when he has heard what he shall press. */
static void keys_end_with_time(void **state)
{
    (void)state;
    struct scene scene;
    collects(&scene, "{\\\"timeout_s\\\":2}");
    pass(&scene, 2500); /* one second of it was the prompt */
    assert_int_equal(told(&scene, "function_call_output"), 0);
    key(&scene, '5');
    pass(&scene, 1800);
    assert_int_equal(told(&scene, "function_call_output"), 0);
    pass(&scene, 500);
    assert_int_equal(told(&scene, "\\\"digits\\\":\\\"5\\\",\\\"ended_by\\\":\\\"timeout\\\""), 1);
    scene_close(&scene);
}

static void no_key_is_said_in_words(void **state)
{
    (void)state;
    struct scene scene;
    collects(&scene, "what an AI writes");
    calls_function(&scene, "r1", "c2", "keys", "{}");
    assert_int_equal(told(&scene, "Keys are being collected already"), 1);
    pass(&scene, 11500);
    assert_int_equal(told(&scene, "The caller pressed no key in time"), 1);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_is_told_and_spoken_upon_when_the_response_is_done),
        cmocka_unit_test(parallel_results_are_spoken_upon_once),
        cmocka_unit_test(a_caller_who_speaks_is_answered_once),
        cmocka_unit_test(what_takes_long_is_said_and_follows_as_a_note),
        cmocka_unit_test(without_control_there_is_an_answer_at_the_deadline),
        cmocka_unit_test(too_many_and_too_long_are_refused_in_words),
        cmocka_unit_test(a_session_that_is_replaced_learns_what_came_back),
        cmocka_unit_test(a_result_that_was_not_spoken_upon_is_told_again),
        cmocka_unit_test(the_last_words_are_heard_before_the_end),
        cmocka_unit_test(who_hangs_up_without_a_word_is_asked_for_one),
        cmocka_unit_test(a_caller_who_goes_on_calls_it_off),
        cmocka_unit_test(nobody_waits_for_ever_for_marks),
        cmocka_unit_test(a_result_may_end_the_call),
        cmocka_unit_test(keys_end_with_the_key_that_ends_them),
        cmocka_unit_test(keys_end_with_their_number),
        cmocka_unit_test(keys_end_with_time),
        cmocka_unit_test(no_key_is_said_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
