/* resample: the bits against a slow reference in 64-bit integers, whatever the cuts; the filter's
 * response in double precision, from its taps and from sines through the real code. Tests that
 * can, run under every kernel this machine can run. */
#include "edge/media/g711.h"
#include "edge/media/resample.h"
#include "edge/media/resample_kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT 24000 /* three seconds of speech */
#define FRAME 160
#define REACH 60 /* the prototype's half length at 24 kHz */

static const enum resample_ratio ratios[] = {RESAMPLE_8_TO_16, RESAMPLE_8_TO_24, RESAMPLE_16_TO_8,
                                             RESAMPLE_24_TO_8};

/* The second build of this test (resample_emulated_test) compiles the AVX-512 kernel over an
 * emulation of its instructions, so that it runs everywhere. */
#if defined(EMULATED)
static bool runs_here(const struct resample_kernel *kernel)
{
    return kernel == &resample_avx512;
}
#else
static bool runs_here(const struct resample_kernel *kernel)
{
    return kernel->usable();
}
#endif

static void each_kernel(void (*check)(enum resample_ratio ratio))
{
    const struct resample_kernel *before = resample_used();
    int ran = 0;
    for (size_t i = 0; resample_kernels[i]; i++) {
        if (!runs_here(resample_kernels[i]))
            continue;
        resample_use(resample_kernels[i]);
        for (size_t r = 0; r < RESAMPLE_RATIOS; r++)
            check(ratios[r]);
        ran++;
    }
    resample_use(before);
    assert_true(ran > 0);
}

/* One filter at the higher rate, as a textbook has it: weight[REACH + d] is how much a sample d
 * steps before the output counts, in units of 2^-(shift + 3). Every place must be filled once. */
struct prototype {
    int64_t weight[2 * REACH + 1];
    int factor, bits;
};

static void put_weight(struct prototype *prototype, int d, int64_t weight)
{
    assert_in_range(REACH + d, 0, 2 * REACH);
    assert_int_equal(prototype->weight[REACH + d], 0);
    prototype->weight[REACH + d] = weight;
}

static void build_prototype(struct prototype *prototype, enum resample_ratio ratio)
{
    const struct resample_taps *taps = &resample_taps[ratio];
    *prototype = (struct prototype){.factor = taps->factor, .bits = taps->shift + 3};
    put_weight(prototype, 0, taps->raises ? (int64_t)1 << prototype->bits : taps->unit * 8);
    for (int phase = 1; phase < taps->factor; phase++) {
        for (int k = 0; k < RESAMPLE_TAPS; k++) {
            int64_t weight = taps->fine[phase - 1][k];
            int c = k - RESAMPLE_COARSE_FIRST;
            if (c >= 0 && c < RESAMPLE_COARSE_TAPS)
                weight += 8 * taps->coarse[phase - 1][c];
            put_weight(prototype,
                       taps->raises ? phase - (k - RESAMPLE_COPIED) * taps->factor
                                    : -(k - RESAMPLE_MIDDLE) * taps->factor - phase,
                       weight);
        }
    }
}

static int16_t saturated(int64_t value)
{
    return (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
}

/* Raising is stuffing zeros and filtering; reducing is filtering and throwing away. */
static size_t reference_run(enum resample_ratio ratio, const int16_t *in, size_t samples,
                            int16_t *out)
{
    struct prototype prototype;
    build_prototype(&prototype, ratio);
    bool raises = resample_taps[ratio].raises;
    int factor = prototype.factor;
    int in_spacing = raises ? factor : 1, out_spacing = raises ? 1 : factor;
    int delay = (int)resample_delay_samples(ratio) * out_spacing;
    size_t count = raises ? samples * (size_t)factor : samples / (size_t)factor;
    for (size_t o = 0; o < count; o++) {
        int64_t sum = (int64_t)1 << (prototype.bits - 1);
        int moment = (int)o * out_spacing - delay;
        for (int i = 0; i < (int)samples; i++) {
            int d = moment - i * in_spacing;
            if (d >= -REACH && d <= REACH)
                sum += in[i] * prototype.weight[REACH + d];
        }
        out[o] = saturated(sum >> prototype.bits);
    }
    return count;
}

static uint32_t dice = 1;

static uint32_t roll(uint32_t sides)
{
    dice = dice * 1664525u + 1013904223u;
    return (dice >> 8) % sides;
}

static void fill_noise(int16_t *samples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        samples[i] = (int16_t)((int)roll(65536) - 32768);
}

/* Full scale, changing sign where it hurts most: the reference's own weights, turned round. */
static void fill_worst(int16_t *samples, size_t count, enum resample_ratio ratio, int sign)
{
    struct prototype prototype;
    build_prototype(&prototype, ratio);
    int spacing = resample_taps[ratio].raises ? prototype.factor : 1;
    int offset = resample_taps[ratio].raises ? 1 : 0;
    for (int i = 0; i < (int)count; i++) {
        int d = (20 - i) * spacing + offset;
        int64_t weight = d >= -REACH && d <= REACH ? prototype.weight[REACH + d] : i % 2;
        samples[i] = weight * sign < 0 ? INT16_MIN : INT16_MAX;
    }
}

static void expect_reference(enum resample_ratio ratio, const int16_t *in, size_t samples)
{
    static int16_t wanted[9000], got[9000];
    struct resample resample;
    resample_open(&resample, ratio);
    size_t count = reference_run(ratio, in, samples, wanted);
    assert_int_equal(resample_out_max(&resample, samples), count);
    assert_int_equal(resample_run(&resample, in, samples, got), count);
    assert_memory_equal(got, wanted, count * sizeof got[0]);
}

static void check_reference(enum resample_ratio ratio)
{
    static int16_t in[3000];
    fill_noise(in, 3000);
    expect_reference(ratio, in, 3000);
    for (size_t samples = 0; samples < 130; samples++)
        expect_reference(ratio, in, samples);
    for (int sign = -1; sign <= 1; sign += 2) {
        fill_worst(in, 400, ratio, sign);
        expect_reference(ratio, in, 400);
    }
}

static void test_reference(void **state)
{
    (void)state;
    each_kernel(check_reference);
}

/* No input can make either 32-bit sum, or the two together, leave its range. */
static void test_sums_fit(void **state)
{
    (void)state;
    for (size_t r = 0; r < RESAMPLE_RATIOS; r++) {
        const struct resample_taps *taps = &resample_taps[ratios[r]];
        int64_t fine_most = 0, coarse_most = 0;
        for (int phase = 0; phase + 1 < taps->factor; phase++) {
            int64_t fine = 0, coarse = 0;
            for (int k = 0; k < RESAMPLE_TAPS; k++)
                fine += llabs(taps->fine[phase][k]);
            for (int k = 0; k < RESAMPLE_COARSE_TAPS; k++)
                coarse += llabs(taps->coarse[phase][k]);
            fine_most =
                taps->raises && fine_most > fine ? fine_most : fine + !taps->raises * fine_most;
            coarse_most = taps->raises && coarse_most > coarse
                              ? coarse_most
                              : coarse + !taps->raises * coarse_most;
        }
        int64_t fine_sum = (4 << taps->shift) + 32768 * fine_most;
        int64_t coarse_sum = 32768 * (coarse_most + taps->unit);
        print_message("ratio %zu: fine %.3f, coarse %.3f, both %.3f of the room\n", r,
                      (double)fine_sum / INT32_MAX, (double)coarse_sum / INT32_MAX,
                      (double)(fine_sum / 8 + coarse_sum) / INT32_MAX);
        assert_true(fine_sum <= INT32_MAX);
        assert_true(coarse_sum <= INT32_MAX);
        assert_true(fine_sum / 8 + 1 + coarse_sum <= INT32_MAX);
    }
}

/* The same samples cut in every way give the same bits: this is what "no clicks" means. */
static void check_chunks(enum resample_ratio ratio)
{
    static int16_t in[4000], whole[12000], pieces[12000];
    struct resample resample;
    fill_noise(in, 4000);
    resample_open(&resample, ratio);
    size_t count = resample_run(&resample, in, 4000, whole);
    for (int round = 0; round < 60; round++) {
        uint32_t longest = round == 0 ? 1 : round == 1 ? 2 : 1 + roll(1200);
        size_t taken = 0, written = 0;
        resample_open(&resample, ratio);
        while (taken < 4000) {
            size_t chunk = round == 0 ? 1 : roll(longest + 1);
            if (chunk > 4000 - taken)
                chunk = 4000 - taken;
            size_t room = resample_out_max(&resample, chunk);
            assert_int_equal(resample_run(&resample, in + taken, chunk, pieces + written), room);
            written += room;
            taken += chunk;
        }
        assert_int_equal(written, count);
        assert_memory_equal(pieces, whole, count * sizeof whole[0]);
    }
}

static void test_chunks(void **state)
{
    (void)state;
    each_kernel(check_chunks);
}

/* Exactly the announced samples are written, for every length. */
static void check_bounds(enum resample_ratio ratio)
{
    static int16_t in[800], out[2402];
    fill_noise(in, 800);
    for (size_t samples = 0; samples <= 800; samples += samples < 100 ? 1 : 37) {
        struct resample resample;
        resample_open(&resample, ratio);
        memset(out, 0x5a, sizeof out);
        size_t count = resample_run(&resample, in, samples, out + 1);
        assert_int_equal(out[0], 0x5a5a);
        for (size_t i = count + 1; i < count + 60 && i < 2402; i++)
            assert_int_equal(out[i], 0x5a5a);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    each_kernel(check_bounds);
}

/* Silence stays silence, a constant stays itself, old samples pass untouched and late by the
 * delay. */
static void check_plain_truths(enum resample_ratio ratio)
{
    static int16_t in[2400], out[7200];
    const struct resample_taps *taps = &resample_taps[ratio];
    size_t delay = resample_delay_samples(ratio), factor = taps->factor;
    struct resample resample;
    assert_true((double)delay / (taps->raises ? 8.0 * taps->factor : 8.0) < 3.0);
    memset(in, 0, sizeof in);
    resample_open(&resample, ratio);
    size_t count = resample_run(&resample, in, 2400, out);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(out[i], 0);
    for (size_t i = 0; i < 2400; i++)
        in[i] = -1234;
    resample_open(&resample, ratio);
    resample_run(&resample, in, 2400, out);
    for (size_t i = 2 * delay; i < count; i++)
        assert_int_equal(out[i], -1234);
    if (!taps->raises)
        return;
    fill_noise(in, 2400);
    resample_open(&resample, ratio);
    resample_run(&resample, in, 2400, out);
    for (size_t i = 0; i + delay / factor < 2400; i++)
        assert_int_equal(out[i * factor + delay], in[i]);
}

static void test_plain_truths(void **state)
{
    (void)state;
    each_kernel(check_plain_truths);
}

/* Gain at one frequency of the higher rate, 1 where nothing is changed. The filter is symmetric, so
 * its response is a sum of cosines. */
static double gain_at(const struct prototype *prototype, bool raises, double hz)
{
    double sum = 0, unit = (double)((int64_t)1 << prototype->bits);
    for (int d = -REACH; d <= REACH; d++)
        sum += (double)prototype->weight[REACH + d] *
               cos(2 * M_PI * hz * d / (8000.0 * prototype->factor));
    return fabs(sum) / unit / (raises ? prototype->factor : 1);
}

static void test_response(void **state)
{
    (void)state;
    for (size_t r = 0; r < RESAMPLE_RATIOS; r++) {
        struct prototype prototype;
        bool raises = resample_taps[ratios[r]].raises;
        double flat = 0, stop = 0;
        build_prototype(&prototype, ratios[r]);
        for (int d = 0; d <= REACH; d++)
            assert_int_equal(prototype.weight[REACH + d], prototype.weight[REACH - d]);
        for (double hz = 0; hz <= 3400; hz += 1)
            flat = fmax(flat, fabs(20 * log10(gain_at(&prototype, raises, hz))));
        for (double hz = 4600; hz <= 4000.0 * prototype.factor; hz += 1)
            stop = fmax(stop, gain_at(&prototype, raises, hz));
        print_message("ratio %zu: flat to %.5f dB, %.1f dB from 4.6 kHz, %.2f dB at 4 kHz\n", r,
                      flat, 20 * log10(stop), 20 * log10(gain_at(&prototype, raises, 4000)));
        assert_true(flat < 0.001);
        assert_true(20 * log10(stop) < -91);
    }
}

/* Amplitude of one frequency in a whole number of its periods. */
static double amplitude_at(const int16_t *samples, size_t count, double hz, double rate)
{
    double re = 0, im = 0;
    for (size_t i = 0; i < count; i++) {
        double turn = 2 * M_PI * fmod(hz * (double)i / rate, 1.0);
        re += samples[i] * cos(turn);
        im += samples[i] * sin(turn);
    }
    return 2 * sqrt(re * re + im * im) / (double)count;
}

static void add_sine(double *wave, size_t count, double hz, double rate, double amplitude)
{
    for (size_t i = 0; i < count; i++)
        wave[i] += amplitude * sin(2 * M_PI * fmod(hz * (double)i / rate, 1.0) + 0.3);
}

/* Runs 200 ms of two sines and keeps the last 100 ms, in which multiples of 10 Hz are whole. The
 * second sine keeps the rounding busy, so that what is measured is the filter. */
static size_t run_sines(enum resample_ratio ratio, double hz, double other_hz, int16_t *out)
{
    static double wave[4800];
    static int16_t in[4800], all[4800];
    const struct resample_taps *taps = &resample_taps[ratio];
    double rate = taps->raises ? 8000 : 8000.0 * taps->factor;
    size_t samples = (size_t)(rate / 5);
    struct resample resample;
    memset(wave, 0, sizeof wave);
    add_sine(wave, samples, hz, rate, 15000);
    add_sine(wave, samples, other_hz, rate, 15000);
    for (size_t i = 0; i < samples; i++)
        in[i] = (int16_t)lrint(wave[i]);
    resample_open(&resample, ratio);
    size_t count = resample_run(&resample, in, samples, all);
    memcpy(out, all + count / 2, count / 2 * sizeof out[0]);
    return count / 2;
}

/* Raising: the sine itself within 0.1 dB, each of its images 90 dB below it. */
static void check_raised_sine(enum resample_ratio ratio, double hz, double *flat, double *worst)
{
    static int16_t out[2400];
    double rate = 8000.0 * resample_taps[ratio].factor;
    size_t count = run_sines(ratio, hz, hz == 1010 ? 1230 : 1010, out);
    *flat = fmax(*flat, fabs(20 * log10(amplitude_at(out, count, hz, rate) / 15000)));
    for (int fold = 1; fold < resample_taps[ratio].factor; fold++) {
        *worst = fmax(*worst, amplitude_at(out, count, 8000.0 * fold - hz, rate));
        if (8000.0 * fold + hz < rate / 2)
            *worst = fmax(*worst, amplitude_at(out, count, 8000.0 * fold + hz, rate));
    }
}

/* Reducing: a sine below 3.4 kHz stays, one above 4.6 kHz is gone from where it would fold to. */
static void check_reduced_sine(enum resample_ratio ratio, double hz, double *flat, double *worst)
{
    static int16_t out[2400];
    size_t count = run_sines(ratio, hz, fabs(hz - 7000) < 20 || hz == 1010 ? 1230 : 1010, out);
    double folded = fabs(hz - 8000 * round(hz / 8000));
    double amplitude = amplitude_at(out, count, folded, 8000);
    if (hz <= 3400)
        *flat = fmax(*flat, fabs(20 * log10(amplitude / 15000)));
    else
        *worst = fmax(*worst, amplitude);
}

static void check_sines(enum resample_ratio ratio)
{
    const struct resample_taps *taps = &resample_taps[ratio];
    double flat = 0, worst = 1e-9;
    for (double hz = 70; hz <= 3400; hz += 110) {
        if (taps->raises)
            check_raised_sine(ratio, hz, &flat, &worst);
        else
            check_reduced_sine(ratio, hz, &flat, &worst);
    }
    /* 20 Hz aside of where it would fold onto the companion. */
    for (double hz = 4600; !taps->raises && hz < 4000.0 * taps->factor; hz += 130)
        if (fabs(fabs(hz - 8000 * round(hz / 8000)) - 1010) > 15)
            check_reduced_sine(ratio, hz, &flat, &worst);
    print_message("%s ratio %d: flat to %.4f dB, %.1f dB\n", resample_used()->name, (int)ratio,
                  flat, 20 * log10(worst / 15000));
    assert_true(flat < 0.01);
    assert_true(20 * log10(worst / 15000) < -90);
}

static void test_sines(void **state)
{
    (void)state;
    each_kernel(check_sines);
}

/* Three seconds like speech: a gliding voice with harmonics up to 3.4 kHz under three formants, in
 * syllables, with pauses. */
static void fill_speech(int16_t *samples, size_t count)
{
    double phase = 0;
    for (size_t i = 0; i < count; i++) {
        double seconds = (double)i / 8000, sum = 0;
        double pitch = 130 + 40 * sin(2 * M_PI * 0.7 * seconds) + 15 * sin(2 * M_PI * 5 * seconds);
        double loud = fmax(0, sin(2 * M_PI * 2.1 * seconds)) * 9000;
        phase += 2 * M_PI * pitch / 8000;
        for (int h = 1; h * pitch < 3400; h++) {
            double hz = h * pitch, envelope = 0;
            static const double formants[3] = {600, 1400, 2600};
            for (int f = 0; f < 3; f++)
                envelope += exp(-fabs(hz - formants[f]) / 180) / (1 + f);
            sum += envelope * sin(h * phase + h * h);
        }
        samples[i] = saturated(lrint(loud * sum / 3));
    }
}

static double snr_db(const int16_t *original, const int16_t *copy, size_t count)
{
    double signal = 0, noise = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = original[i] - copy[i];
        signal += (double)original[i] * original[i];
        noise += difference * difference;
    }
    return 10 * log10(signal / noise);
}

/* Frame by frame, as a call does it. */
static void there_and_back(struct resample *raiser, struct resample *reducer, const int16_t *in,
                           int16_t *out)
{
    int16_t raised[3 * FRAME];
    for (size_t i = 0; i < COUNT; i += FRAME) {
        size_t count = resample_run(raiser, in + i, FRAME, raised);
        assert_int_equal(resample_run(reducer, raised, count, out + i), FRAME);
    }
}

/* 8 kHz up and down again: by itself far better than the law in between, and with mu-law on both
 * ends above what the product promises. */
static void check_round_trip(enum resample_ratio up, enum resample_ratio down)
{
    static int16_t speech[COUNT], back[COUNT], heard[COUNT];
    static uint8_t codes[COUNT];
    struct resample raiser, reducer;
    size_t late = resample_delay_samples(up) / resample_taps[up].factor;
    late += resample_delay_samples(down);
    fill_speech(speech, COUNT);
    resample_open(&raiser, up);
    resample_open(&reducer, down);
    there_and_back(&raiser, &reducer, speech, back);
    double alone = snr_db(speech, back + late, COUNT - late);

    g711_ulaw_encode(speech, codes, COUNT);
    g711_ulaw_decode(codes, heard, COUNT);
    double law = snr_db(speech, heard, COUNT);
    resample_open(&raiser, up);
    resample_open(&reducer, down);
    there_and_back(&raiser, &reducer, heard, back);
    g711_ulaw_encode(back, codes, COUNT);
    g711_ulaw_decode(codes, back, COUNT);
    double whole = snr_db(speech, back + late, COUNT - late);
    double added = snr_db(heard, back + late, COUNT - late);
    print_message("up and down: %.1f dB; mu-law once: %.1f dB; mu-law, up, down, mu-law: %.1f dB "
                  "of the speech, %.1f dB of what came in\n",
                  alone, law, whole, added);
    assert_true(alone > 70);
    assert_true(whole > 34);
    assert_true(added > 34);
}

static void test_round_trip(void **state)
{
    (void)state;
    check_round_trip(RESAMPLE_8_TO_24, RESAMPLE_24_TO_8);
    check_round_trip(RESAMPLE_8_TO_16, RESAMPLE_16_TO_8);
}

/* It stands in a call's slot, twice. */
static void test_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct resample) <= 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_fit),     cmocka_unit_test(test_response),
        cmocka_unit_test(test_plain_truths), cmocka_unit_test(test_reference),
        cmocka_unit_test(test_bounds),       cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_sines),        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_small),
    };
    return cmocka_run_group_tests_name("resample", tests, NULL, NULL);
}
