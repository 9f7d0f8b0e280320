/* span: a run of bytes that somebody else owns.
 *
 * What it is: pointer and length, passed by value. What it is not: a string (no NUL is promised) or
 * an owner (it frees nothing). How long the bytes live is said by whoever hands out the span.
 * Thread: any. Bound: the length. */
#ifndef RINGBRIDGE_COMMON_SPAN_H
#define RINGBRIDGE_COMMON_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data;
    size_t bytes;
};

/* A span over a string literal or NUL-terminated text, without its NUL. */
static inline struct span span_of(const char *text)
{
    return (struct span){(const uint8_t *)text, strlen(text)};
}

static inline struct span span_from(const void *data, size_t bytes)
{
    return (struct span){(const uint8_t *)data, bytes};
}

/* Same bytes, same length. Not constant time: never for secrets. */
static inline bool span_equal(struct span left, struct span right)
{
    return left.bytes == right.bytes &&
           (left.bytes == 0 || memcmp(left.data, right.data, left.bytes) == 0);
}

static inline bool span_is(struct span span, const char *text)
{
    return span_equal(span, span_of(text));
}

static inline bool span_starts(struct span span, const char *prefix)
{
    size_t bytes = strlen(prefix);
    return span.bytes >= bytes && memcmp(span.data, prefix, bytes) == 0;
}

/* Same bytes? Time depends on the lengths only, never on where they differ. For secrets. */
static inline bool span_equal_secret(struct span left, struct span right)
{
    if (left.bytes != right.bytes)
        return false;
    uint8_t difference = 0;
    for (size_t i = 0; i < left.bytes; i++)
        difference = (uint8_t)(difference | (left.data[i] ^ right.data[i]));
    return difference == 0;
}

/* Copies span into text[room] with a closing NUL. False (and an empty text) when it does not fit or
 * holds a NUL byte. */
static inline bool span_copy_text(struct span span, char *text, size_t room)
{
    if (room == 0)
        return false;
    text[0] = '\0';
    if (span.bytes >= room || (span.bytes && memchr(span.data, 0, span.bytes)))
        return false;
    if (span.bytes)
        memcpy(text, span.data, span.bytes);
    text[span.bytes] = '\0';
    return true;
}

#endif
