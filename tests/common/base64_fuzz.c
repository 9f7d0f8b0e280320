/* base64 under the fuzzer: all kernels agree on every text, and every text that passes is the one
 * text of its meaning. */
#include "common/base64.h"
#include "common/base64_kernels.h"
#include "common/panic.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Exact allocations, so that the sanitizer sees one byte too many. */
static uint8_t *room_for(size_t bytes)
{
    uint8_t *room = malloc(bytes ? bytes : 1);
    assert(room);
    return room;
}

static void check_decode(struct span text, const struct base64_kernel *judge)
{
    ptrdiff_t announced = base64_decoded_bytes(text);
    size_t bytes = announced < 0 ? 0 : (size_t)announced;
    uint8_t *wanted = room_for(bytes), *got = room_for(bytes), *again = room_for(text.bytes);
    base64_use(&base64_plain);
    bool right = base64_decode(text, wanted);
    assert(base64_valid(text) == right);
    base64_use(judge);
    assert(base64_valid(text) == right);
    assert(base64_decode(text, got) == right);
    if (right) {
        assert(bytes == 0 || memcmp(got, wanted, bytes) == 0);
        assert(base64_encoded_bytes(bytes) == text.bytes);
        base64_encode(span_from(got, bytes), again);
        assert(span_equal(span_from(again, text.bytes), text));
    }
    free(again);
    free(got);
    free(wanted);
}

static void check_encode(struct span input, const struct base64_kernel *judge)
{
    size_t length = base64_encoded_bytes(input.bytes);
    uint8_t *wanted = room_for(length), *got = room_for(length), *back = room_for(input.bytes);
    base64_use(&base64_plain);
    base64_encode(input, wanted);
    base64_use(judge);
    base64_encode(input, got);
    assert(span_equal(span_from(got, length), span_from(wanted, length)));
    assert(base64_decode(span_from(got, length), back));
    assert(span_equal(span_from(back, input.bytes), input));
    free(back);
    free(got);
    free(wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t i = 0; base64_kernels[i]; i++) {
        if (!base64_kernels[i]->usable())
            continue;
        check_decode(span_from(data, size), base64_kernels[i]);
        check_encode(span_from(data, size), base64_kernels[i]);
    }
    return 0;
}
