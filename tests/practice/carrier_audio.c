#include "tests/practice/carrier_audio.h"

#include "common/panic.h"

#include <math.h>
#include <stdlib.h>

/* G.711 table 2a: eight segments, each of sixteen steps twice as wide as the segment's before.
 * In 14-bit magnitudes, shifted by 33, segment s begins at 32 * 2^s and a step is 2 * 2^s wide, so
 * a step is what lies between two such borders and its value is the middle. */
int16_t carrier_audio_decode(uint8_t code)
{
    unsigned bits = ~(unsigned)code & 0xff; /* all bits are sent inverted */
    double width = 2 * pow(2, (bits >> 4) & 7);
    double begin = 16 * width + (bits & 15) * width;
    double magnitude = 4 * (begin + width / 2 - 33); /* 14 bits stand at the top of 16 */
    return (int16_t)(bits & 0x80 ? -magnitude : magnitude);
}

uint8_t carrier_audio_encode(int16_t sample)
{
    /* The reference (G.191) takes the magnitude of a negative sample in ones' complement. */
    double magnitude = floor((sample < 0 ? -1.0 - sample : sample) / 4.0) + 33;
    magnitude = fmin(magnitude, 8191);
    int segment = (int)floor(log2(magnitude)) - 5;
    double width = 2 * pow(2, segment);
    int step = (int)floor((magnitude - 16 * width) / width);
    assert(segment >= 0 && segment <= 7 && step >= 0 && step <= 15);
    unsigned bits = (sample < 0 ? 0x80u : 0u) | (unsigned)segment << 4 | (unsigned)step;
    return (uint8_t)(~bits & 0xff);
}

/* Modified Bessel function of the first kind, order 0, by its series. */
static double bessel(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; k < 64 && term > sum * 1e-16; k++) {
        term *= (x / (2 * k)) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

/* One output sample: a sinc cut off at the lower of both rates' halves, under a Kaiser window of
 * about 90 dB, 32 zero crossings to each side. */
static double interpolate(const int16_t *samples, size_t count, double at, double cutoff)
{
    const double crossings = 32, beta = 9;
    double reach = crossings / cutoff, sum = 0;
    ptrdiff_t first = (ptrdiff_t)ceil(at - reach), last = (ptrdiff_t)floor(at + reach);
    if (first < 0)
        first = 0;
    if (last >= (ptrdiff_t)count)
        last = (ptrdiff_t)count - 1;
    for (ptrdiff_t i = first; i <= last; i++) {
        double x = at - (double)i, w = x / reach;
        double sinc = x == 0 ? 1 : sin(M_PI * cutoff * x) / (M_PI * cutoff * x);
        sum += samples[i] * cutoff * sinc * bessel(beta * sqrt(1 - w * w)) / bessel(beta);
    }
    return sum;
}

uint8_t *carrier_audio_to_telephone(const int16_t *samples, size_t count, unsigned rate,
                                    size_t *bytes)
{
    if (rate < 1000 || rate > 384000)
        return NULL;
    double step = (double)rate / CARRIER_RATE;
    double cutoff = step > 1 ? 0.95 / step : 0.95;
    *bytes = (size_t)floor((double)count / step);
    uint8_t *codes = malloc(*bytes + 1);
    if (!codes)
        return NULL;
    for (size_t i = 0; i < *bytes; i++) {
        double sample = rate == CARRIER_RATE
                            ? samples[i]
                            : interpolate(samples, count, (double)i * step, cutoff);
        sample = fmax(-32768, fmin(32767, round(sample)));
        codes[i] = carrier_audio_encode((int16_t)sample);
    }
    return codes;
}

double carrier_audio_level_db(const uint8_t *codes, size_t count)
{
    double energy = 0;
    for (size_t i = 0; i < count; i++) {
        double sample = carrier_audio_decode(codes[i]) / 32768.0;
        energy += sample * sample;
    }
    return energy > 0 && count ? 10 * log10(energy / (double)count) : -99;
}
