/* What an AI gives to the edge's own functions: raw JSON string content of any kind. */
#include "common/panic.h"
#include "edge/wire/arguments.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arguments_digits digits;
    uint8_t *copy = malloc(size ? size : 1);
    assert(copy);
    if (size)
        memcpy(copy, data, size);
    arguments_read_digits(span_from(copy, size), &digits);
    assert(digits.digits_max >= 1 && digits.digits_max <= ARGUMENTS_DIGITS_MAX);
    assert(digits.timeout_s >= 1 && digits.timeout_s <= 60);
    assert(!digits.finish_on_key || strchr("0123456789*#", digits.finish_on_key));
    free(copy);
    return 0;
}
