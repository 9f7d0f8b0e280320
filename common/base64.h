/* base64: RFC 4648 section 4, standard alphabet, padded, canonical only. SIMD where the processor
 * has it (chosen once at run time), plain C elsewhere, equal results bit for bit.
 *
 * Pure. Thread: any. Bound: the caller's lengths. Buffers may not overlap. */
#ifndef RINGBRIDGE_COMMON_BASE64_H
#define RINGBRIDGE_COMMON_BASE64_H

#include "common/span.h"

/* Text length for so many bytes, padding included. */
static inline size_t base64_encoded_bytes(size_t bytes)
{
    return (bytes + 2) / 3 * 4;
}

/* Writes base64_encoded_bytes(input.bytes) characters, no NUL. */
void base64_encode(struct span input, uint8_t *text);

/* Length the text would decode to, or -1 when its length or padding cannot be right. Looks at the
 * length and the last two characters only. */
ptrdiff_t base64_decoded_bytes(struct span text);

/* Decodes into bytes (room for base64_decoded_bytes). False when a character, the padding or a
 * leftover bit is wrong; bytes then holds rubbish but nothing is written past the announced length.
 */
bool base64_decode(struct span text, uint8_t *bytes);

/* The same judgement without writing. For payloads that are passed through untouched. */
bool base64_valid(struct span text);

#endif
