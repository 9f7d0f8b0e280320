/* G.711: every code and every sample against the tables of Recommendation G.711, built here from
 * their decision values, and against figures that were published. Each test runs under every kernel
 * this machine can run. */
#include "edge/media/g711.h"
#include "edge/media/g711_kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Tables 1 and 2 of G.711, for the positive half: decision[n] is the lowest magnitude that gets
 * number n, in the law's own unit (14 bits for mu-law, 13 for A-law; the half unit of the tables'
 * output values is why value is twice as fine). Both halves of a table are alike. */
struct law {
    int decision[129];
    int value[128]; /* twice the magnitude that number n becomes */
    int shift;      /* from the law's unit to 16 bits */
    uint8_t turned; /* even bits inverted for A-law, all of them for mu-law */
};

/* Mu-law: the first step is 1 wide, fifteen more of 2, then seven segments of sixteen steps, each
 * twice as wide as the last. */
static void build_ulaw(struct law *law)
{
    int n = 0, border = 0;
    law->decision[n++] = border;
    border += 1;
    for (int step = 0; step < 15; step++, border += 2)
        law->decision[n++] = border;
    for (int segment = 1; segment < 8; segment++)
        for (int step = 0; step < 16; step++, border += 2 << segment)
            law->decision[n++] = border;
    law->decision[n] = border;
    for (n = 0; n < 128; n++)
        law->value[n] = n == 0 ? 0 : law->decision[n] + law->decision[n + 1];
    law->shift = 2;
    law->turned = 0xff;
}

/* A-law: two segments of sixteen steps of 2 (in a unit of 1/4096; of 1 in our 13 bits), then six,
 * each twice as wide as the last. */
static void build_alaw(struct law *law)
{
    int n = 0, border = 0;
    for (int segment = 0; segment < 8; segment++)
        for (int step = 0; step < 16; step++, border += segment < 2 ? 1 : 1 << (segment - 1))
            law->decision[n++] = border;
    law->decision[n] = border;
    for (n = 0; n < 128; n++)
        law->value[n] = law->decision[n] + law->decision[n + 1];
    law->shift = 4;
    law->turned = 0xd5;
}

/* The code of number n: for mu-law all bits inverted, for A-law the even ones; the top bit is set
 * for positive samples. */
static uint8_t code_of(const struct law *law, bool negative, int n)
{
    uint8_t turned = law->turned;
    if (negative)
        turned &= 0x7f;
    return (uint8_t)(n ^ turned);
}

static uint8_t slow_encode(const struct law *law, int16_t sample)
{
    bool negative = sample < 0;
    int magnitude = (negative ? -sample - 1 : sample) >> law->shift;
    int n = 127;
    while (magnitude < law->decision[n])
        n--;
    return code_of(law, negative, n);
}

static int slow_decode(const struct law *law, uint8_t code)
{
    bool negative = (code & 0x80) == 0;
    int n = (code ^ law->turned) & 0x7f;
    int magnitude = law->value[n] * (1 << law->shift) / 2;
    return negative ? -magnitude : magnitude;
}

struct codec {
    void (*build)(struct law *law);
    void (*decode)(const uint8_t *codes, int16_t *samples, size_t count);
    void (*encode)(const int16_t *samples, uint8_t *codes, size_t count);
};
static const struct codec ulaw = {build_ulaw, g711_ulaw_decode, g711_ulaw_encode};
static const struct codec alaw = {build_alaw, g711_alaw_decode, g711_alaw_encode};

static void each_kernel(void (*check)(void))
{
    const struct g711_kernel *before = g711_used();
    for (size_t i = 0; g711_kernels[i]; i++) {
        if (!g711_kernels[i]->usable())
            continue;
        g711_use(g711_kernels[i]);
        check();
    }
    g711_use(before);
}

static void every_code(const struct codec *codec)
{
    struct law law;
    uint8_t codes[256];
    int16_t samples[256];
    codec->build(&law);
    for (int i = 0; i < 256; i++)
        codes[i] = (uint8_t)i;
    codec->decode(codes, samples, 256);
    for (int i = 0; i < 256; i++)
        assert_int_equal(samples[i], slow_decode(&law, codes[i]));
}

static void check_every_code(void)
{
    every_code(&ulaw);
    every_code(&alaw);
}

static void test_every_code(void **state)
{
    (void)state;
    each_kernel(check_every_code);
}

static void every_sample(const struct codec *codec)
{
    static int16_t samples[65536];
    static uint8_t codes[65536];
    struct law law;
    codec->build(&law);
    for (int i = 0; i < 65536; i++)
        samples[i] = (int16_t)(i - 32768);
    codec->encode(samples, codes, 65536);
    for (int i = 0; i < 65536; i++)
        assert_int_equal(codes[i], slow_encode(&law, samples[i]));
}

static void check_every_sample(void)
{
    every_sample(&ulaw);
    every_sample(&alaw);
}

static void test_every_sample(void **state)
{
    (void)state;
    each_kernel(check_every_sample);
}

/* What a decoder makes of a code goes back to it: only mu-law's negative zero cannot. */
static void there_and_back(const struct codec *codec, int exception)
{
    uint8_t codes[256], again[256];
    int16_t samples[256];
    for (int i = 0; i < 256; i++)
        codes[i] = (uint8_t)i;
    codec->decode(codes, samples, 256);
    codec->encode(samples, again, 256);
    for (int i = 0; i < 256; i++)
        assert_int_equal(again[i], i == exception ? 0xff : i);
}

static void check_there_and_back(void)
{
    there_and_back(&ulaw, 0x7f);
    there_and_back(&alaw, -1);
}

static void test_there_and_back(void **state)
{
    (void)state;
    each_kernel(check_there_and_back);
}

static int16_t one_sample(const struct codec *codec, uint8_t code)
{
    int16_t sample = 0;
    codec->decode(&code, &sample, 1);
    return sample;
}

static uint8_t one_code(const struct codec *codec, int16_t sample)
{
    uint8_t code = 0;
    codec->encode(&sample, &code, 1);
    return code;
}

/* Values that can be looked up elsewhere: the ends, the zeros, the first step on either side. */
static void check_known(void)
{
    assert_int_equal(one_sample(&ulaw, 0x00), -32124);
    assert_int_equal(one_sample(&ulaw, 0x80), 32124);
    assert_int_equal(one_sample(&ulaw, 0x01), -31100);
    assert_int_equal(one_sample(&ulaw, 0x7e), -8);
    assert_int_equal(one_sample(&ulaw, 0x7f), 0);
    assert_int_equal(one_sample(&ulaw, 0xfe), 8);
    assert_int_equal(one_sample(&ulaw, G711_ULAW_SILENCE), 0);
    assert_int_equal(one_sample(&alaw, 0x55), -8);
    assert_int_equal(one_sample(&alaw, G711_ALAW_SILENCE), 8);
    assert_int_equal(one_sample(&alaw, 0x2a), -32256);
    assert_int_equal(one_sample(&alaw, 0xaa), 32256);
    assert_int_equal(one_sample(&alaw, 0x00), -5504);
    assert_int_equal(one_code(&ulaw, 0), 0xff);
    assert_int_equal(one_code(&ulaw, -1), 0x7f);
    assert_int_equal(one_code(&ulaw, 32767), 0x80);
    assert_int_equal(one_code(&ulaw, -32768), 0x00);
    assert_int_equal(one_code(&alaw, 0), 0xd5);
    assert_int_equal(one_code(&alaw, -1), 0x55);
    assert_int_equal(one_code(&alaw, 32767), 0xaa);
    assert_int_equal(one_code(&alaw, -32768), 0x2a);
}

static void test_known(void **state)
{
    (void)state;
    each_kernel(check_known);
}

static double level_dbm0(const struct codec *codec, const uint8_t period[8], double capacity_dbm0,
                         double loudest)
{
    int16_t samples[8];
    double power = 0;
    codec->decode(period, samples, 8);
    for (int i = 0; i < 8; i++)
        power += (double)samples[i] * samples[i] / 8;
    return capacity_dbm0 + 10 * log10(power / (loudest * loudest / 2));
}

/* Tables 5 and 6 of G.711: eight codes that are a 1 kHz sine at 0 dBm0. The theoretical load
 * capacity is +3.14 dBm0 for A-law, +3.17 dBm0 for mu-law, at the virtual decision values 4096 and
 * 8159. */
static void check_digital_milliwatt(void)
{
    static const uint8_t of_alaw[8] = {0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4};
    static const uint8_t of_ulaw[8] = {0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e};
    assert_true(fabs(level_dbm0(&alaw, of_alaw, 3.14, 4096 * 8)) < 0.05);
    assert_true(fabs(level_dbm0(&ulaw, of_ulaw, 3.17, 8159 * 4)) < 0.05);
}

static void test_digital_milliwatt(void **state)
{
    (void)state;
    each_kernel(check_digital_milliwatt);
}

/* Any count, at any alignment, gives what single samples give, and nothing beside it is touched. */
static void any_count(const struct codec *codec)
{
    uint8_t codes[100], back[102];
    int16_t samples[102], single;
    for (size_t i = 0; i < sizeof codes; i++)
        codes[i] = (uint8_t)(i * 37 + 11);
    for (size_t from = 0; from < 3; from++) {
        for (size_t count = 0; count + from <= 97; count++) {
            memset(samples, 0x5a, sizeof samples);
            memset(back, 0x5a, sizeof back);
            codec->decode(codes + from, samples + 1, count);
            codec->encode(samples + 1, back + 1, count);
            for (size_t i = 0; i < count; i++) {
                codec->decode(codes + from + i, &single, 1);
                assert_int_equal(samples[1 + i], single);
                assert_int_equal(back[1 + i], one_code(codec, single));
            }
            assert_int_equal(samples[0], 0x5a5a);
            assert_int_equal(samples[count + 1], 0x5a5a);
            assert_int_equal(back[0], 0x5a);
            assert_int_equal(back[count + 1], 0x5a);
        }
    }
}

static void check_any_count(void)
{
    any_count(&ulaw);
    any_count(&alaw);
}

static void test_any_count(void **state)
{
    (void)state;
    each_kernel(check_any_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code), cmocka_unit_test(test_every_sample),
        cmocka_unit_test(test_known),      cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_any_count),  cmocka_unit_test(test_digital_milliwatt),
    };
    return cmocka_run_group_tests_name("g711", tests, NULL, NULL);
}
