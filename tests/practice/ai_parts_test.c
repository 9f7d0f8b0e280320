/* The practice AI's ear and voice, apart from any socket. */
#include "tests/practice/ai_audio.h"
#include "tests/practice/ai_script.h"
#include "tests/practice/ai_vad.h"
#include "tests/practice/ai_voice.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* ITU-T G.711, tables 1a and 2a: decision values' ends and some codes between, as 16-bit values. */
static void test_g711_known(void **state)
{
    (void)state;
    assert_int_equal(ai_audio_mu_decode(0xff), 0);
    assert_int_equal(ai_audio_mu_decode(0x7f), 0);
    assert_int_equal(ai_audio_mu_decode(0x80), 32124);
    assert_int_equal(ai_audio_mu_decode(0x00), -32124);
    assert_int_equal(ai_audio_mu_decode(0xfe), 8);
    assert_int_equal(ai_audio_a_decode(0xd5), 8);
    assert_int_equal(ai_audio_a_decode(0x55), -8);
    assert_int_equal(ai_audio_a_decode(0xaa), 32256);
    assert_int_equal(ai_audio_a_decode(0x2a), -32256);
    assert_int_equal(ai_audio_mu_encode(0), 0xff);
    assert_int_equal(ai_audio_a_encode(0), 0xd5);
}

/* Every code comes back as itself; every sample stays within half a step of its segment (decision
 * values are no midpoints where the step doubles), and more never becomes less. */
static void test_g711_all(void **state)
{
    (void)state;
    for (int code = 0; code < 256; code++) {
        assert_int_equal(ai_audio_a_encode(ai_audio_a_decode((uint8_t)code)), code);
        if (code != 0x7f) /* the other zero */
            assert_int_equal(ai_audio_mu_encode(ai_audio_mu_decode((uint8_t)code)), code);
    }
    int mu_before = -32768, a_before = -32768;
    for (int sample = -32000; sample <= 32000; sample++) {
        int mu = ai_audio_mu_decode(ai_audio_mu_encode((int16_t)sample));
        int a = ai_audio_a_decode(ai_audio_a_encode((int16_t)sample));
        assert_true(abs(mu - sample) <= (abs(sample) + 132) / 32 + 1);
        assert_true(abs(a - sample) <= (abs(sample) < 256 ? 8 : abs(sample) / 32 + 1));
        assert_true(mu >= mu_before && a >= a_before);
        mu_before = mu;
        a_before = a;
    }
}

static void test_base64(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}}; /* RFC 4648 section 10 */
    static const char *const wrong[] = {
        "Zg=", "Zg", "Zh==", "Zm9=", "Zg==Zg==", "Zm+=", "Z===", "Zm 8", "Zm-_", "====", "Zm8=\n"};
    uint8_t data[64];
    char text[64];
    size_t bytes;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        size_t letters = ai_audio_base64(span_of(vectors[i][0]), text);
        assert_true(span_is(span_from(text, letters), vectors[i][1]));
        assert_true(ai_audio_unbase64(span_of(vectors[i][1]), data, &bytes));
        assert_true(span_is(span_from(data, bytes), vectors[i][0]));
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(ai_audio_unbase64(span_of(wrong[i]), data, &bytes));
}

/* Signal to error, in dB, of a sine after conversion against the sine itself. */
static double sine_ratio(unsigned rate, unsigned to_rate, double hertz)
{
    size_t count = rate, to_count;
    int16_t *samples = malloc(count * sizeof *samples);
    for (size_t i = 0; i < count; i++)
        samples[i] = (int16_t)lrint(12000 * sin(2 * M_PI * hertz * (double)i / rate));
    int16_t *result = ai_audio_resample(samples, count, rate, to_rate, &to_count);
    assert_non_null(result);
    assert_int_equal(to_count, to_rate);
    double signal = 0, error = 0;
    for (size_t i = to_count / 10; i < to_count * 9 / 10; i++) {
        double right = 12000 * sin(2 * M_PI * hertz * (double)i / to_rate);
        signal += right * right;
        error += (result[i] - right) * (result[i] - right);
    }
    free(samples);
    free(result);
    return 10 * log10(signal / error);
}

static void test_resampling(void **state)
{
    (void)state;
    assert_true(sine_ratio(22050, 24000, 1000) > 75);
    assert_true(sine_ratio(22050, 24000, 7000) > 70);
    assert_true(sine_ratio(22050, 8000, 440) > 75);
    assert_true(sine_ratio(22050, 8000, 3000) > 70);
    size_t count = 22050, to_count;
    int16_t *samples = malloc(count * sizeof *samples);
    for (size_t i = 0; i < count; i++)
        samples[i] = (int16_t)lrint(12000 * sin(2 * M_PI * 5000 * (double)i / 22050));
    int16_t *result = ai_audio_resample(samples, count, 22050, 8000, &to_count);
    for (size_t i = 800; i < to_count - 800; i++)
        assert_true(abs(result[i]) < 8); /* nothing of 5 kHz is left to alias */
    free(samples);
    free(result);
}

static uint64_t hear(struct ai_vad *vad, int level, unsigned ms, enum ai_vad_event wanted)
{
    int16_t samples[80];
    uint64_t at_ms = 0;
    for (unsigned spent = 0; spent < ms; spent += 10) {
        size_t used;
        for (size_t i = 0; i < 80; i++)
            samples[i] = (int16_t)(i % 8 < 4 ? level : -level);
        enum ai_vad_event event = ai_vad_hear(vad, samples, 80, &used);
        assert_int_equal(used, 80);
        if (event != AI_VAD_NOTHING) {
            assert_int_equal(event, wanted);
            assert_int_equal(at_ms, 0); /* only once */
            at_ms = vad->heard_ms;
        }
    }
    return at_ms;
}

static void test_vad(void **state)
{
    (void)state;
    struct ai_vad vad = {0};
    ai_vad_configure(&vad, 8000, 0.5, 200); /* -40 dB: 328 of 32768 */
    assert_int_equal(hear(&vad, 300, 1000, AI_VAD_NOTHING), 0);
    assert_int_equal(hear(&vad, 3000, 30, AI_VAD_NOTHING), 0);
    assert_int_equal(hear(&vad, 0, 70, AI_VAD_NOTHING), 0);
    assert_int_equal(hear(&vad, 350, 500, AI_VAD_STARTED), 1140);
    assert_int_equal(hear(&vad, 0, 190, AI_VAD_NOTHING), 0);
    assert_int_equal(hear(&vad, 350, 10, AI_VAD_NOTHING), 0);
    assert_int_equal(hear(&vad, 0, 300, AI_VAD_STOPPED), 2000);
    ai_vad_configure(&vad, 8000, 1.0, 200); /* -20 dB: 3277 */
    assert_int_equal(hear(&vad, 3000, 500, AI_VAD_NOTHING), 0);
    assert_int_not_equal(hear(&vad, 3500, 500, AI_VAD_STARTED), 0);
}

static void test_voice(void **state)
{
    (void)state;
    assert_true(ai_voice_open());
    struct span wide = ai_voice_say("One two three.", "marin", AI_PCM);
    struct span narrow = ai_voice_say("One two three.", "marin", AI_PCMU);
    assert_true(wide.bytes > 24000);
    assert_in_range(narrow.bytes, wide.bytes / 6 - 8, wide.bytes / 6 + 8);
    assert_ptr_equal(ai_voice_say("One two three.", "marin", AI_PCM).data, wide.data);
    struct span other = ai_voice_say("One two three.", "cedar", AI_PCM);
    assert_false(span_equal(wide, other));
    ai_voice_close();
}

static void answer_is(struct ai_script *script, enum ai_cause cause, const char *heard,
                      const char *say)
{
    struct ai_prompt prompt = {.cause = cause, .heard = heard};
    struct ai_answer answer;
    ai_script_answer(script, &prompt, &answer);
    assert_string_equal(answer.say, say);
    assert_null(answer.calls);
    free(answer.say);
}

static void test_script(void **state)
{
    (void)state;
    struct ai_script *script = ai_script_open(NULL);
    assert_non_null(script);
    answer_is(script, AI_CAUSE_TEXT, "Say exactly this: He said \"no\": end",
              "He said \"no\": end");
    answer_is(script, AI_CAUSE_TEXT, "Greet with \"Good day.\" now", "Good day.");
    answer_is(script, AI_CAUSE_TEXT, "Say: hi", "hi");
    answer_is(script, AI_CAUSE_TEXT, "Say something",
              "Hello, this is the practice agent. How can I help you?");
    answer_is(script, AI_CAUSE_SPEECH, "a boiler",
              "You said: a boiler. What else can I do for you?");
    answer_is(script, AI_CAUSE_IDLE, "", "Are you still there?");
    ai_script_close(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_g711_known), cmocka_unit_test(test_g711_all),
        cmocka_unit_test(test_base64),     cmocka_unit_test(test_resampling),
        cmocka_unit_test(test_vad),        cmocka_unit_test(test_voice),
        cmocka_unit_test(test_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
