/* resample_design: makes resample_taps.c. Run at one's desk, not in the build; a test compares its
 * output with the table in the tree, so that the two cannot drift apart.
 *
 *      resample_design > edge/media/resample_taps.c
 *
 * The ideal interpolator between samples of 8 kHz is sinc(t), t in samples. Cut to HALF samples on
 * either side by a Kaiser window it keeps two properties: it is 1 at t = 0 and 0 at all other
 * integers, so that old samples pass untouched, and its response is symmetric around 4 kHz.
 * Kaiser's rules for a stop band of 92 dB from 4.6 kHz and a pass band to 3.4 kHz ask for HALF = 20
 * and a beta near 9.2; BETA is the value near it whose rounded taps keep most of that (at
 * least 91.3 dB in all four ratios; resample_test measures it).
 *
 * Raising by R: the sample p/R after position i is the sum of x[i + k] * sinc(k - p/R). Reducing by
 * R: the same prototype centred on every R-th sample, its weights divided by R. There the middle's
 * weight is rounded first and all others follow it, so that the balance between phases, which the
 * stop band lives on, stays exact; for R = 3 this makes the whole 0.0003 dB too loud. */
#include "edge/media/resample_kernels.h"

#include <math.h>
#include <stdio.h>

#define HALF 20
#define BETA 9.32
#define FINE 8 /* fine units in a coarse one */

/* Modified Bessel function of the first kind, order 0, by its series. */
static double bessel_i0(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; k < 60; k++) {
        term *= x / (2 * k);
        sum += term * term;
    }
    return sum;
}

static double prototype(double t)
{
    double window = bessel_i0(BETA * sqrt(1 - t * t / (HALF * HALF))) / bessel_i0(BETA);
    return sin(M_PI * t) / (M_PI * t) * window;
}

/* Splits one tap, in fine units, into its two parts. */
static void split(long tap, size_t k, int16_t *fine, int16_t *coarse)
{
    long whole = 0;
    if (k >= RESAMPLE_COARSE_FIRST && k < RESAMPLE_COARSE_FIRST + RESAMPLE_COARSE_TAPS) {
        whole = lround((double)tap / FINE);
        coarse[k - RESAMPLE_COARSE_FIRST] = (int16_t)whole;
    }
    fine[k] = (int16_t)(tap - whole * FINE);
}

/* Raising, tap k of phase p stands k - 19 - p/R away from the moment asked for; reducing, the k-th
 * sample of stream p stands k - 20 + p/R away. */
static double distance(const struct resample_taps *taps, int phase, size_t k)
{
    double part = (double)phase / taps->factor;
    return taps->raises ? (double)k - RESAMPLE_COPIED - part : (double)k - RESAMPLE_MIDDLE + part;
}

static void design(struct resample_taps *taps, bool raises, int factor)
{
    *taps = (struct resample_taps){.factor = (uint8_t)factor, .raises = raises};
    taps->in_step = raises ? 1 : (uint8_t)factor;
    taps->shift = raises ? 14 : 15;
    taps->unit = raises ? 0 : (int16_t)lround(32768.0 / factor);
    taps->delay = (int16_t)(raises ? HALF * factor : HALF - 1);
    double scale = FINE * (raises ? 16384.0 : (double)taps->unit);
    for (int phase = 1; phase < factor; phase++)
        for (size_t k = 0; k < RESAMPLE_TAPS; k++)
            split(lround(prototype(distance(taps, phase, k)) * scale), k, taps->fine[phase - 1],
                  taps->coarse[phase - 1]);
}

static void print_row(const char *name, const int16_t taps[], size_t count)
{
    printf("        %s{", name);
    for (size_t k = 0; k < count; k++)
        printf("%s%d", k == 0 ? "" : k % 10 == 0 ? ",\n          " : ", ", taps[k]);
    printf("}");
}

static void print_taps(const struct resample_taps *taps, const char *name)
{
    printf("    [%s] = {.factor = %d, .raises = %d, .in_step = %d, .shift = %d, .unit = %d,\n",
           name, taps->factor, taps->raises, taps->in_step, taps->shift, taps->unit);
    printf("        .delay = %d,\n", taps->delay);
    print_row(".fine = {", taps->fine[0], RESAMPLE_TAPS);
    printf(",\n");
    print_row("         ", taps->fine[1], RESAMPLE_TAPS);
    printf("},\n");
    print_row(".coarse = {", taps->coarse[0], RESAMPLE_COARSE_TAPS);
    printf(",\n");
    print_row("           ", taps->coarse[1], RESAMPLE_COARSE_TAPS);
    printf("}},\n");
}

int main(void)
{
    static const struct {
        const char *name;
        bool raises;
        int factor;
    } ratios[RESAMPLE_RATIOS] = {{"RESAMPLE_8_TO_16", true, 2},
                                 {"RESAMPLE_8_TO_24", true, 3},
                                 {"RESAMPLE_16_TO_8", false, 2},
                                 {"RESAMPLE_24_TO_8", false, 3}};
    printf("/* Written by resample_design.c, which says what these numbers are. Do not edit. */\n");
    printf("#include \"edge/media/resample_kernels.h\"\n\n");
    printf("/* clang-format off */\n");
    printf("const struct resample_taps resample_taps[RESAMPLE_RATIOS] = {\n");
    for (size_t i = 0; i < RESAMPLE_RATIOS; i++) {
        struct resample_taps taps;
        design(&taps, ratios[i].raises, ratios[i].factor);
        print_taps(&taps, ratios[i].name);
    }
    printf("};\n");
    return 0;
}
