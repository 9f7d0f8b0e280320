/* base64 in plain C: what every machine can run, and what the other kernels are judged by. */
#include "common/base64_kernels.h"

const uint8_t base64_alphabet[65] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#define BAD    BASE64_BAD
#define BAD_8  BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD
#define BAD_32 BAD_8, BAD_8, BAD_8, BAD_8

/* clang-format off */
const uint8_t base64_values[256] = {
    BAD_32,
    BAD_8, BAD, BAD, BAD, 62, BAD, BAD, BAD, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, BAD, BAD, BAD, BAD, BAD,
    BAD, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, BAD, BAD, BAD, BAD, BAD,
    BAD_32, BAD_32, BAD_32, BAD_32,
};
/* clang-format on */

static bool always(void)
{
    return true;
}

static void encode(const uint8_t *bytes, size_t quanta, uint8_t *text)
{
    for (; quanta > 0; quanta--, bytes += 3, text += 4) {
        uint32_t bits = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
        text[0] = base64_alphabet[bits >> 18];
        text[1] = base64_alphabet[bits >> 12 & 63];
        text[2] = base64_alphabet[bits >> 6 & 63];
        text[3] = base64_alphabet[bits & 63];
    }
}

/* Faults are collected and asked for once at the end: good input, which is nearly all of it, runs
 * without a branch. */
static bool decode(const uint8_t *text, size_t quanta, uint8_t *bytes)
{
    uint32_t seen = 0;
    for (; quanta > 0; quanta--, text += 4, bytes += 3) {
        uint32_t a = base64_values[text[0]], b = base64_values[text[1]];
        uint32_t c = base64_values[text[2]], d = base64_values[text[3]];
        seen |= a | b | c | d;
        bytes[0] = (uint8_t)(a << 2 | b >> 4);
        bytes[1] = (uint8_t)(b << 4 | c >> 2);
        bytes[2] = (uint8_t)(c << 6 | d);
    }
    return (seen & BASE64_BAD) == 0;
}

static bool valid(const uint8_t *text, size_t quanta)
{
    uint32_t seen = 0;
    for (; quanta > 0; quanta--, text += 4)
        seen |= (uint32_t)base64_values[text[0]] | base64_values[text[1]] | base64_values[text[2]] |
                base64_values[text[3]];
    return (seen & BASE64_BAD) == 0;
}

const struct base64_kernel base64_plain = {"plain", always, encode, decode, valid};
