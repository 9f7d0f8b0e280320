/* Media Streams messages under the fuzzer. */
#include "common/panic.h"
#include "edge/limits.h"
#include "edge/wire/twilio.h"
#include "tests/wire/oracle.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What we read we can say again, and read again. */
static void echo(const struct twilio_message *message)
{
    struct twilio_message again;
    size_t bytes = twilio_media_bytes(message->stream_sid, message->payload.bytes);
    uint8_t *text = malloc(bytes);
    assert(text);
    uint8_t *payload = twilio_media_write(text, message->stream_sid, message->payload.bytes);
    if (message->payload.bytes)
        memcpy(payload, message->payload.data, message->payload.bytes);
    oracle_judge_json(span_from(text, bytes));
    /* ours has no track and no timestamp, so it is no message of the carrier's */
    assert(twilio_read(span_from(text, bytes), &again) == FAULT_stream_field);
    assert(span_equal(again.stream_sid, message->stream_sid));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct twilio_message message;
    uint8_t *copy = malloc(size ? size : 1);
    assert(copy);
    if (size)
        memcpy(copy, data, size);
    enum fault fault = twilio_read(span_from(copy, size), &message);
    if (fault == FAULT_NONE && message.event == TWILIO_MEDIA) {
        assert(message.payload.bytes <= 4 * (STREAM_PAYLOAD_BYTES_MAX + 2) / 3);
        echo(&message);
    }
    if (fault == FAULT_NONE && message.event == TWILIO_START) {
        assert(message.call_sid.bytes && message.account_sid.bytes && message.stream_sid.bytes);
        oracle_judge_json(message.parameters);
        oracle_judge_json(message.media_format);
    }
    free(copy);
    return 0;
}
