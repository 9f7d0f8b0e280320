/* Realtime server events under the fuzzer. */
#include "common/panic.h"
#include "edge/wire/realtime.h"
#include "tests/wire/oracle.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void truncate_again(const struct realtime_event *event)
{
    size_t most = REALTIME_TRUNCATE_BYTES_MAX + event->item_id.bytes;
    uint8_t *text = malloc(most);
    assert(text);
    size_t bytes =
        realtime_truncate_write(text, event->item_id, event->content_index, event->audio_ms);
    assert(bytes <= most);
    oracle_judge_json(span_from(text, bytes));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct realtime_event event;
    uint8_t *copy = malloc(size ? size : 1);
    assert(copy);
    if (size)
        memcpy(copy, data, size);
    if (realtime_read(span_from(copy, size), &event) == FAULT_NONE) {
        if (event.item_id.bytes)
            truncate_again(&event);
        if (event.usage.bytes)
            oracle_judge_json(event.usage);
        if (event.kind == REALTIME_AUDIO_DELTA)
            assert(event.item_id.data && event.response_id.data && event.audio.data);
        if (event.kind == REALTIME_TOOL_CALL)
            assert(event.call_id.data && event.name.data && event.arguments.data);
    }
    free(copy);
    return 0;
}
