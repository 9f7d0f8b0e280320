/* Response heads under the fuzzer. */
#include "tests/wire/http_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head head;
    size_t head_bytes = 0;
    if (assert_dribbles(http_response_read, span_from(data, size), &head, &head_bytes) ==
        DECODE_DONE) {
        assert(head.status >= 100 && head.status <= 599);
        assert(!head.upgrade || head.status == 101);
    }
    return 0;
}
