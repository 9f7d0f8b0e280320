/* The telephone's sound: known mu-law values of G.711, tones through the resampler, WAV files there
 * and back, and a voice that is loud enough to be one. */
#include "tests/practice/carrier_audio.h"
#include "tests/practice/carrier_voice.h"
#include "tests/practice/carrier_wav.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* ITU-T G.711 table 2a, decoder output values, in 16-bit terms. */
static void mulaw_has_the_values_of_the_standard(void **state)
{
    (void)state;
    static const struct {
        uint8_t code;
        int16_t sample;
    } rows[] = {{0x00, -32124}, {0x80, 32124}, {0x0f, -16764}, {0x8f, 16764},
                {0x10, -15996}, {0xff, 0},     {0x7f, 0},      {0xfe, 8},
                {0x7e, -8},     {0xef, 132},   {0x6f, -132},   {0xdf, 396},
                {0xcf, 924},    {0xbf, 1980},  {0xaf, 4092},   {0x9f, 8316}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(carrier_audio_decode(rows[i].code), rows[i].sample);
    assert_int_equal(carrier_audio_encode(0), 0xff);
    assert_int_equal(carrier_audio_encode(-1), 0x7f);
    assert_int_equal(carrier_audio_encode(3), 0xff);
    assert_int_equal(carrier_audio_encode(4), 0xfe);
    assert_int_equal(carrier_audio_encode(-4), 0x7f); /* ones' complement: not the mirror of 4 */
    assert_int_equal(carrier_audio_encode(-5), 0x7e);
    assert_int_equal(carrier_audio_encode(32767), 0x80);
    assert_int_equal(carrier_audio_encode(-32768), 0x00);
}

static void every_code_survives_the_round_trip(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 256; code++) {
        uint8_t again = carrier_audio_encode(carrier_audio_decode((uint8_t)code));
        assert_int_equal(again, code == 0x7f ? 0xff : code); /* the two zeros are one */
    }
}

/* No sample is farther from its decoded value than half the widest step beside it. */
static void encoding_takes_the_nearest_value(void **state)
{
    (void)state;
    for (int sample = -32124; sample <= 32124; sample++) {
        int got = carrier_audio_decode(carrier_audio_encode((int16_t)sample));
        int allowed = 2 + (int)(pow(2, floor(log2(fmax(abs(sample) / 4.0 + 33, 33)))) / 8);
        assert_in_range(abs(got - sample), 0, allowed);
    }
}

static void tone(int16_t *samples, size_t count, double hz, double rate)
{
    for (size_t i = 0; i < count; i++)
        samples[i] = (int16_t)lrint(8000 * sin(2 * M_PI * hz * (double)i / rate));
}

/* Level of one frequency in mu-law, by projection on sine and cosine, in dB of full scale. */
static double level_at(const uint8_t *codes, size_t count, double hz)
{
    double re = 0, im = 0;
    for (size_t i = 0; i < count; i++) {
        double sample = carrier_audio_decode(codes[i]) / 32768.0;
        re += sample * cos(2 * M_PI * hz * (double)i / 8000);
        im += sample * sin(2 * M_PI * hz * (double)i / 8000);
    }
    return 20 * log10(2 * hypot(re, im) / (double)count + 1e-9);
}

static void a_tone_keeps_its_level_and_an_image_is_gone(void **state)
{
    (void)state;
    static const unsigned rates[] = {8000, 11025, 16000, 22050, 24000, 44100, 48000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        size_t count = rates[i] / 2, bytes;
        int16_t *samples = malloc(count * sizeof *samples);
        assert_non_null(samples);
        tone(samples, count, 1000, rates[i]);
        uint8_t *codes = carrier_audio_to_telephone(samples, count, rates[i], &bytes);
        assert_non_null(codes);
        assert_in_range(bytes, 3999, 4000);
        double wanted = 20 * log10(8000.0 / 32768);
        assert_true(fabs(level_at(codes + 400, 3200, 1000) - wanted) < 0.2);
        free(codes);
        if (rates[i] > 11025) { /* 5 kHz would fold to 3 kHz */
            tone(samples, count, 5000, rates[i]);
            codes = carrier_audio_to_telephone(samples, count, rates[i], &bytes);
            assert_non_null(codes);
            assert_true(level_at(codes + 400, 3200, 3000) < -80);
            free(codes);
        }
        free(samples);
    }
}

static void impossible_rates_are_refused(void **state)
{
    (void)state;
    int16_t sample = 0;
    size_t bytes;
    assert_null(carrier_audio_to_telephone(&sample, 1, 999, &bytes));
    assert_null(carrier_audio_to_telephone(&sample, 1, 384001, &bytes));
}

static void a_wav_comes_back_bit_for_bit(void **state)
{
    (void)state;
    char path[] = "/tmp/carrier-wav-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    uint8_t codes[257]; /* odd: a pad byte follows */
    for (size_t i = 0; i < sizeof codes; i++)
        codes[i] = (uint8_t)i;
    assert_true(carrier_wav_save(path, codes, sizeof codes));
    size_t bytes;
    const char *why;
    uint8_t *again = carrier_wav_load(path, &bytes, &why);
    unlink(path);
    assert_non_null(again);
    assert_int_equal(bytes, sizeof codes);
    assert_memory_equal(again, codes, sizeof codes);
    free(again);
}

static void stereo_pcm_is_mixed(void **state)
{
    (void)state;
    static const uint8_t file[] = "RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0\x40\x1f\0\0\0\x7d\0"
                                  "\0\x04\0\x10\0data\x08\0\0\0"
                                  "\xe8\x03\xd0\x07"  /* 1000, 2000 */
                                  "\x18\xfc\x30\xf8"; /* -1000, -2000 */
    size_t bytes;
    const char *why;
    uint8_t *codes = carrier_wav_read(span_from(file, sizeof file - 1), &bytes, &why);
    assert_non_null(codes);
    assert_int_equal(bytes, 2);
    assert_int_equal(codes[0], carrier_audio_encode(1500));
    assert_int_equal(codes[1], carrier_audio_encode(-1500));
    free(codes);
    /* Every cut of the file is either refused or shorter, never read past its end. */
    for (size_t cut = 0; cut < sizeof file - 1; cut++) {
        uint8_t *short_file = malloc(cut + 1);
        assert_non_null(short_file);
        memcpy(short_file, file, cut);
        codes = carrier_wav_read(span_from(short_file, cut), &bytes, &why);
        assert_true(codes ? bytes < 2 : why != NULL);
        free(codes);
        free(short_file);
    }
}

static void a_voice_is_heard(void **state)
{
    (void)state;
    size_t bytes;
    const char *why;
    uint8_t *codes = carrier_voice_say("Hello, can you hear me?", NULL, &bytes, &why);
    assert_non_null(codes);
    assert_in_range(bytes, 8000, 5 * 8000); /* one to five seconds */
    double level = carrier_audio_level_db(codes, bytes);
    assert_true(level > -35 && level < -5);
    free(codes);
    assert_null(carrier_voice_say("x", "no-such-voice", &bytes, &why));
    carrier_voice_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mulaw_has_the_values_of_the_standard),
        cmocka_unit_test(every_code_survives_the_round_trip),
        cmocka_unit_test(encoding_takes_the_nearest_value),
        cmocka_unit_test(a_tone_keeps_its_level_and_an_image_is_gone),
        cmocka_unit_test(impossible_rates_are_refused),
        cmocka_unit_test(a_wav_comes_back_bit_for_bit),
        cmocka_unit_test(stereo_pcm_is_mixed),
        cmocka_unit_test(a_voice_is_heard),
    };
    return cmocka_run_group_tests_name("carrier_audio", tests, NULL, NULL);
}
