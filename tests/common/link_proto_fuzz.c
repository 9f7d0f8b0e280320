/* link_proto under the fuzzer: a stream of frames, each within its input, each the same when it is
 * encoded again, and the same when its bytes come one by one. */
#include "common/link_proto.h"
#include "common/panic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_frame(struct span input, const struct link_frame *frame, size_t used)
{
    uint8_t header[LINK_HEADER_BYTES];
    assert(used >= LINK_HEADER_BYTES && used <= input.bytes && used <= LINK_FRAME_BYTES_MAX);
    assert(frame->json.data == input.data + LINK_HEADER_BYTES);
    assert(frame->raw.data == frame->json.data + frame->json.bytes);
    assert(frame->raw.data + frame->raw.bytes == input.data + used);
    link_encode_header(header, (enum link_type)frame->type, frame->id, frame->json.bytes,
                       frame->raw.bytes);
    assert(memcmp(header, input.data, LINK_HEADER_BYTES) == 0);
}

/* Nothing shorter than the whole frame is taken for one. */
static void check_beginnings(struct span input, size_t used)
{
    struct link_frame frame;
    size_t told;
    for (size_t length = 0; length < used && length < 64; length++) {
        assert(link_decode(span_from(input.data, length), &frame, &told) == LINK_MORE);
        assert(told == (length < LINK_HEADER_BYTES ? 0 : used));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = span_from(data, size);
    struct link_frame frame;
    size_t used;
    while (link_decode(input, &frame, &used) == LINK_DONE) {
        check_frame(input, &frame, used);
        check_beginnings(input, used);
        input = span_from(input.data + used, input.bytes - used);
    }
    return 0;
}
