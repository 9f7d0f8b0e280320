/* G.711 in plain C. A code is a sign, a segment (which power of two) and four bits of mantissa; the
 * leading one is not sent. Arithmetic instead of tables: it is as short, and stays out of the
 * cache.
 */
#include "edge/media/g711_kernels.h"

/* Mu-law magnitudes are kept 33 too large, which puts the segments' borders at powers of two: 33 in
 * the law's 14 bits is 0x84 in our 16. */
#define ULAW_BIAS      33
#define ULAW_LOUDEST   8191
#define ULAW_BIAS_WIDE (ULAW_BIAS << 2)

static bool always(void)
{
    return true;
}

/* How many bits a number below 128 needs. */
static unsigned bits_of(unsigned number)
{
    return number == 0 ? 0 : 32 - (unsigned)__builtin_clz(number);
}

/* Without its sign, by complement: -1 becomes 0. */
static unsigned magnitude_of(int16_t sample)
{
    return (unsigned)(sample < 0 ? ~sample : sample);
}

static int16_t signed_by(unsigned code, int magnitude)
{
    return (int16_t)(code & 0x80 ? magnitude : -magnitude);
}

static void ulaw_decode(const uint8_t *codes, int16_t *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned upright = ~(unsigned)codes[i];
        unsigned segment = upright >> 4 & 7;
        unsigned biased = ((upright & 15) << 3 | ULAW_BIAS_WIDE) << segment;
        samples[i] = signed_by(codes[i], (int)biased - ULAW_BIAS_WIDE);
    }
}

static void ulaw_encode(const int16_t *samples, uint8_t *codes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned biased = (magnitude_of(samples[i]) >> 2) + ULAW_BIAS;
        if (biased > ULAW_LOUDEST)
            biased = ULAW_LOUDEST;
        unsigned segment = bits_of(biased >> 6);
        unsigned code = segment << 4 | (biased >> (segment + 1) & 15);
        codes[i] = (uint8_t)(code ^ (samples[i] < 0 ? 0x7f : 0xff));
    }
}

static void alaw_decode(const uint8_t *codes, int16_t *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned upright = codes[i] ^ 0x55;
        unsigned segment = upright >> 4 & 7;
        unsigned magnitude = (upright & 15) << 4 | 8; /* the middle of its step */
        if (segment > 0)
            magnitude = (magnitude | 0x100) << (segment - 1);
        samples[i] = signed_by(codes[i], (int)magnitude);
    }
}

static void alaw_encode(const int16_t *samples, uint8_t *codes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned magnitude = magnitude_of(samples[i]) >> 4;
        unsigned segment = bits_of(magnitude >> 4);
        unsigned mantissa = (segment > 1 ? magnitude >> (segment - 1) : magnitude) & 15;
        codes[i] = (uint8_t)((segment << 4 | mantissa) ^ (samples[i] < 0 ? 0x55 : 0xd5));
    }
}

const struct g711_kernel g711_plain = {"plain",     always,      ulaw_decode,
                                       ulaw_encode, alaw_decode, alaw_encode};
