/* What becomes of a plan's wish to have the call recorded. */
#include "common/log.h"
#include "tests/call/scene.h"

#define FRAME 160

static void call_with(struct scene *scene, const char *settings)
{
    static const uint8_t codes[FRAME] = {1, 2, 3};
    scene_open(scene, settings, false);
    scene_connect(scene);
    assert_int_equal(scene->metrics.recordings_refused, 0); /* nothing to record yet */
    scene_start(scene);
    for (uint64_t i = 0; i < 3; i++) {
        scene_media(scene, i * 20, codes, FRAME);
        scene_pass(scene, 20);
    }
    scene_settle(scene);
    assert_non_null(scene->call);
    assert_int_equal(scene->ai.audio_bytes, 3 * FRAME);
}

/* Once per call, and the call is as good as any other. */
static void refuses_without_a_spool_and_goes_on(void **state)
{
    (void)state;
    struct scene scene;
    call_with(&scene, "{\"record\":true}");
    assert_int_equal(scene.metrics.recordings_refused, 1);
    scene_close(&scene);
}

static void refuses_nothing_that_nobody_asked_for(void **state)
{
    (void)state;
    struct scene scene;
    call_with(&scene, "{\"record\":false}");
    assert_int_equal(scene.metrics.recordings_refused, 0);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_without_a_spool_and_goes_on),
        cmocka_unit_test(refuses_nothing_that_nobody_asked_for),
    };
    log_open("record_test", LOG_TEXT, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
