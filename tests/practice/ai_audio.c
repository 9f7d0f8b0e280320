#include "tests/practice/ai_audio.h"

#include <math.h>
#include <stdlib.h>

#define HALF_TAPS 32 /* zero crossings on each side of the kernel */
#define KAISER    9.0

unsigned ai_audio_rate(enum ai_format format)
{
    return format == AI_PCM ? 24000 : 8000;
}

size_t ai_audio_bytes_per_ms(enum ai_format format)
{
    return format == AI_PCM ? 48 : 8;
}

const char *ai_audio_name(enum ai_format format)
{
    static const char *const names[] = {"audio/pcm", "audio/pcmu", "audio/pcma"};
    return names[format];
}

/* ---- G.711: eight segments, each twice as wide as the one before ---- */

static int top_bit(int magnitude)
{
    int bit = 0;
    while (magnitude >>= 1)
        bit++;
    return bit;
}

uint8_t ai_audio_mu_encode(int16_t sample)
{
    int sign = sample < 0 ? 0x80 : 0;
    int magnitude = sample < 0 ? -(int)sample : sample;
    magnitude = (magnitude > 32635 ? 32635 : magnitude) + 0x84;
    int segment = top_bit(magnitude) - 7;
    return (uint8_t) ~(sign | segment << 4 | ((magnitude >> (segment + 3)) & 15));
}

int16_t ai_audio_mu_decode(uint8_t code)
{
    int bits = ~code & 0xff;
    int magnitude = ((((bits & 15) << 3) + 0x84) << (bits >> 4 & 7)) - 0x84;
    return (int16_t)(bits & 0x80 ? -magnitude : magnitude);
}

uint8_t ai_audio_a_encode(int16_t sample)
{
    int sign = sample >= 0 ? 0x80 : 0;
    int magnitude = sample >= 0 ? sample : -(int)sample - 1;
    int segment = magnitude < 256 ? 0 : top_bit(magnitude) - 7;
    int mantissa = magnitude >> (segment ? segment + 3 : 4) & 15;
    return (uint8_t)((sign | segment << 4 | mantissa) ^ 0x55);
}

int16_t ai_audio_a_decode(uint8_t code)
{
    int bits = code ^ 0x55;
    int segment = bits >> 4 & 7;
    int magnitude = ((bits & 15) << 4) + (segment ? 0x108 : 8);
    if (segment > 1)
        magnitude <<= segment - 1;
    return (int16_t)(bits & 0x80 ? magnitude : -magnitude);
}

size_t ai_audio_decode(enum ai_format format, struct span bytes, int16_t *samples)
{
    size_t count = format == AI_PCM ? bytes.bytes / 2 : bytes.bytes;
    for (size_t i = 0; i < count; i++) {
        if (format == AI_PCM)
            samples[i] = (int16_t)(bytes.data[2 * i] | bytes.data[2 * i + 1] << 8);
        else
            samples[i] = format == AI_PCMU ? ai_audio_mu_decode(bytes.data[i])
                                           : ai_audio_a_decode(bytes.data[i]);
    }
    return count;
}

uint8_t *ai_audio_encode(enum ai_format format, const int16_t *samples, size_t count, size_t *bytes)
{
    *bytes = format == AI_PCM ? 2 * count : count;
    uint8_t *data = malloc(*bytes + 1);
    if (!data)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (format == AI_PCM) {
            data[2 * i] = (uint8_t)(samples[i] & 0xff);
            data[2 * i + 1] = (uint8_t)((uint16_t)samples[i] >> 8);
        } else {
            data[i] =
                format == AI_PCMU ? ai_audio_mu_encode(samples[i]) : ai_audio_a_encode(samples[i]);
        }
    }
    return data;
}

/* ---- resampling ---- */

static double bessel(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; k < 40; k++) {
        term *= x / (2 * k) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

/* Low pass at cutoff (of the input rate, 0.5 is Nyquist), t in input samples. */
static double kernel(double t, double cutoff, double half_width)
{
    double edge = t / half_width;
    if (edge <= -1 || edge >= 1)
        return 0;
    double window = bessel(KAISER * sqrt(1 - edge * edge)) / bessel(KAISER);
    double angle = 2 * M_PI * cutoff * t;
    return 2 * cutoff * window * (fabs(angle) < 1e-12 ? 1 : sin(angle) / angle);
}

static unsigned common_divisor(unsigned left, unsigned right)
{
    return right ? common_divisor(right, left % right) : left;
}

static int16_t one_sample(const int16_t *samples, size_t count, ptrdiff_t first, const double *taps,
                          ptrdiff_t taps_count)
{
    double sum = 0;
    for (ptrdiff_t k = 0; k < taps_count; k++)
        if (first + k >= 0 && first + k < (ptrdiff_t)count)
            sum += samples[first + k] * taps[k];
    sum = sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum;
    return (int16_t)lrint(sum);
}

int16_t *ai_audio_resample(const int16_t *samples, size_t count, unsigned rate, unsigned to_rate,
                           size_t *to_count)
{
    unsigned divisor = common_divisor(rate, to_rate);
    unsigned up = to_rate / divisor, down = rate / divisor;
    double cutoff = 0.46 * (to_rate < rate ? (double)to_rate / rate : 1);
    double half_width = HALF_TAPS / (2 * cutoff);
    ptrdiff_t half = (ptrdiff_t)half_width + 1, taps_count = 2 * half;
    *to_count = count * up / down;
    double *taps = malloc(up * (size_t)taps_count * sizeof *taps);
    int16_t *result = malloc((*to_count + 1) * sizeof *result);
    if (!taps || !result) {
        free(taps);
        free(result);
        return NULL;
    }
    for (unsigned phase = 0; phase < up; phase++)
        for (ptrdiff_t k = 0; k < taps_count; k++)
            taps[phase * (size_t)taps_count + (size_t)k] =
                kernel((double)(k - half + 1) - (double)phase / up, cutoff, half_width);
    for (size_t n = 0; n < *to_count; n++) {
        ptrdiff_t whole = (ptrdiff_t)(n * down / up);
        size_t phase = n * down % up;
        result[n] = one_sample(samples, count, whole - half + 1, taps + phase * (size_t)taps_count,
                               taps_count);
    }
    free(taps);
    return result;
}

/* ---- base64, RFC 4648 section 4 ---- */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t ai_audio_base64(struct span bytes, char *text)
{
    size_t length = 0;
    for (size_t i = 0; i < bytes.bytes; i += 3) {
        unsigned group = (unsigned)bytes.data[i] << 16;
        size_t rest = bytes.bytes - i;
        if (rest > 1)
            group |= (unsigned)bytes.data[i + 1] << 8;
        if (rest > 2)
            group |= bytes.data[i + 2];
        text[length++] = letters[group >> 18];
        text[length++] = letters[group >> 12 & 63];
        text[length++] = rest > 1 ? letters[group >> 6 & 63] : '=';
        text[length++] = rest > 2 ? letters[group & 63] : '=';
    }
    return length;
}

static const int8_t *values(void)
{
    static int8_t table[256];
    if (table['B'] == 0) {
        memset(table, -1, sizeof table);
        for (int8_t i = 0; i < 64; i++)
            table[(uint8_t)letters[i]] = i;
    }
    return table;
}

bool ai_audio_unbase64(struct span text, uint8_t *data, size_t *bytes)
{
    const int8_t *value = values();
    *bytes = 0;
    if (text.bytes % 4)
        return false;
    for (size_t i = 0; i < text.bytes; i += 4) {
        const uint8_t *in = text.data + i;
        bool last = i + 4 == text.bytes;
        size_t padding = last && in[3] == '=' ? (in[2] == '=' ? 2 : 1) : 0;
        int a = value[in[0]], b = value[in[1]];
        int c = padding == 2 ? 0 : value[in[2]], d = padding ? 0 : value[in[3]];
        if (a < 0 || b < 0 || c < 0 || d < 0)
            return false;
        if ((padding == 2 && b & 15) || (padding == 1 && c & 3))
            return false; /* leftover bits must be zero */
        int group = a << 18 | b << 12 | c << 6 | d;
        data[(*bytes)++] = (uint8_t)(group >> 16);
        if (padding < 2)
            data[(*bytes)++] = (uint8_t)(group >> 8);
        if (padding < 1)
            data[(*bytes)++] = (uint8_t)group;
    }
    return true;
}
