#include "common/base64.h"

#include "common/base64_kernels.h"
#include "common/panic.h"

const struct base64_kernel *const base64_kernels[] = {
#if defined(__x86_64__)
    &base64_avx512,
    &base64_avx2,
#endif
    &base64_plain,
    NULL,
};

/* Set once, before main and so before any thread; read-only from then on. */
static const struct base64_kernel *kernel = &base64_plain;

__attribute__((constructor)) static void choose_kernel(void)
{
    const struct base64_kernel *const *best = base64_kernels;
    while (!(*best)->usable())
        best++;
    kernel = *best;
}

void base64_use(const struct base64_kernel *wanted)
{
    assert(wanted);
    kernel = wanted;
}

const struct base64_kernel *base64_used(void)
{
    return kernel;
}

void base64_encode(struct span input, uint8_t *text)
{
    size_t quanta = input.bytes / 3;
    size_t left = input.bytes % 3;
    kernel->encode(input.data, quanta, text);
    if (left == 0)
        return;
    const uint8_t *last = input.data + quanta * 3;
    text += quanta * 4;
    uint32_t bits = (uint32_t)last[0] << 16;
    if (left == 2)
        bits |= (uint32_t)last[1] << 8;
    text[0] = base64_alphabet[bits >> 18];
    text[1] = base64_alphabet[bits >> 12 & 63];
    text[2] = left == 2 ? base64_alphabet[bits >> 6 & 63] : '=';
    text[3] = '=';
}

ptrdiff_t base64_decoded_bytes(struct span text)
{
    if (text.bytes % 4 != 0)
        return -1;
    if (text.bytes == 0)
        return 0;
    size_t bytes = text.bytes / 4 * 3;
    bool last_pads = text.data[text.bytes - 1] == '=';
    bool other_pads = text.data[text.bytes - 2] == '=';
    if (other_pads && !last_pads)
        return -1;
    return (ptrdiff_t)(bytes - last_pads - other_pads);
}

/* The last quantum when it is padded, as one or two bytes, or -1. A leftover bit that is set would
 * make two texts of one meaning: refused. */
static int decode_padded(const uint8_t *text, size_t padding)
{
    uint32_t a = base64_values[text[0]], b = base64_values[text[1]];
    uint32_t c = padding == 2 ? 0 : base64_values[text[2]];
    uint32_t bits = a << 18 | b << 12 | c << 6;
    uint32_t leftover = padding == 2 ? 0xffff : 0xff;
    if (((a | b | c) & BASE64_BAD) != 0 || (bits & leftover) != 0)
        return -1;
    return (int)(bits >> 8);
}

bool base64_decode(struct span text, uint8_t *bytes)
{
    ptrdiff_t announced = base64_decoded_bytes(text);
    if (announced < 0)
        return false;
    size_t padding = text.bytes / 4 * 3 - (size_t)announced;
    size_t quanta = text.bytes / 4 - (padding != 0);
    if (!kernel->decode(text.data, quanta, bytes))
        return false;
    if (padding == 0)
        return true;
    int last = decode_padded(text.data + quanta * 4, padding);
    if (last < 0)
        return false;
    bytes[quanta * 3] = (uint8_t)(last >> 8);
    if (padding == 1)
        bytes[quanta * 3 + 1] = (uint8_t)last;
    return true;
}

bool base64_valid(struct span text)
{
    ptrdiff_t announced = base64_decoded_bytes(text);
    if (announced < 0)
        return false;
    size_t padding = text.bytes / 4 * 3 - (size_t)announced;
    size_t quanta = text.bytes / 4 - (padding != 0);
    return kernel->valid(text.data, quanta) &&
           (padding == 0 || decode_padded(text.data + quanta * 4, padding) >= 0);
}
