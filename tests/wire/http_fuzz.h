/* What holds for every head, whoever sent it: the same verdict however it dribbles in, and parts
 * that lie within it. */
#ifndef RINGBRIDGE_TESTS_WIRE_HTTP_FUZZ_H
#define RINGBRIDGE_TESTS_WIRE_HTTP_FUZZ_H

#include "common/panic.h"
#include "edge/wire/http.h"

#include <stdlib.h>

typedef enum decode (*http_reader)(struct span input, size_t *scanned, struct http_head *head,
                                   size_t *head_bytes, enum fault *fault);

static inline void assert_within(struct span part, struct span whole)
{
    if (part.bytes)
        assert((part.data >= whole.data && part.data + part.bytes <= whole.data + whole.bytes) ||
               span_is(part, "/"));
}

static inline void assert_sound(const struct http_head *head, size_t head_bytes, struct span text)
{
    assert(head_bytes > 0 && head_bytes <= text.bytes && head->minor <= 1);
    assert(head->fields_count <= HTTP_FIELDS_MAX);
    struct span whole = span_from(text.data, head_bytes);
    assert(memcmp(text.data + head_bytes - 4, "\r\n\r\n", 4) == 0);
    assert_within(head->method, whole);
    assert_within(head->target, whole);
    assert_within(head->path, whole);
    assert_within(head->query, whole);
    for (size_t i = 0; i < head->fields_count; i++) {
        assert(head->fields[i].name.bytes > 0);
        assert_within(head->fields[i].name, whole);
        assert_within(head->fields[i].value, whole);
    }
}

/* The text at once, then byte by byte: same verdict, same fault. */
static inline enum decode assert_dribbles(http_reader reader, struct span text,
                                          struct http_head *head, size_t *head_bytes)
{
    uint8_t *copy = malloc(text.bytes ? text.bytes : 1);
    assert(copy);
    if (text.bytes)
        memcpy(copy, text.data, text.bytes);
    size_t scanned = 0, head_bytes_again = 0;
    enum fault fault = FAULT_NONE, fault_again = FAULT_NONE;
    enum decode decode = reader(span_from(copy, text.bytes), &scanned, head, head_bytes, &fault),
                again = DECODE_MORE;
    if (decode == DECODE_DONE)
        assert_sound(head, *head_bytes, span_from(copy, text.bytes));
    assert((decode == DECODE_BAD) == (fault != FAULT_NONE));
    scanned = 0;
    for (size_t bytes = 0; bytes <= text.bytes && again == DECODE_MORE; bytes++) {
        again = reader(span_from(copy, bytes), &scanned, head, &head_bytes_again, &fault_again);
        assert(scanned <= bytes && (again != DECODE_MORE || scanned + 2 >= bytes));
    }
    assert(decode == again && fault == fault_again);
    assert(decode != DECODE_DONE || *head_bytes == head_bytes_again);
    free(copy);
    return decode;
}

#endif
