/* One caller frame of mu-law from the carrier's WebSocket to the AI's, by the edge's own leaves:
 * what is left of a frame when the kernel is taken away. Bytes stay in memory. */
#include "bench/micro/micro.h"

#include "common/base64.h"
#include "common/panic.h"
#include "edge/wire/realtime.h"
#include "edge/wire/twilio.h"
#include "edge/wire/ws.h"

#include <string.h>

#define TEXT                                                                                       \
    "{\"event\":\"media\",\"sequenceNumber\":\"1234\",\"media\":{\"track\":\"inbound\",\"chunk\":" \
    "\"1232\",\"timestamp\":\"24680\",\"payload\":\""
#define TAIL "\"},\"streamSid\":\"MZ0123456789abcdef0123456789abcdef\"}"

static struct {
    struct ws *carrier;
    uint8_t frame[1024], in[1024], out[1024];
    size_t frame_bytes;
} work;

static void copy(void *unused)
{
    (void)unused;
    memcpy(work.out, work.frame, work.frame_bytes);
    __asm__ volatile("" ::: "memory");
}

static void relay_frame(void *unused)
{
    (void)unused;
    static const uint8_t mask[4] = {1, 2, 3, 4};
    struct span input = span_from(work.in, work.frame_bytes);
    struct ws_message message;
    struct twilio_message media;
    enum fault fault = FAULT_NONE;
    memcpy(work.in, work.frame, work.frame_bytes); /* it is unmasked where it lies */
    enum decode decoded = ws_next(work.carrier, &input, &message, &fault);
    assert(decoded == DECODE_DONE);
    fault = twilio_read(message.body, &media);
    assert(fault == FAULT_NONE && base64_valid(media.payload));
    size_t body = realtime_append_bytes(media.payload.bytes);
    size_t header = ws_header_bytes(WS_CLIENT, body);
    memcpy(realtime_append_write(work.out + header, media.payload.bytes), media.payload.data,
           media.payload.bytes);
    ws_header_write(work.out, WS_CLIENT, WS_TEXT, body, mask);
    ws_mask(work.out + header, body, mask);
    __asm__ volatile("" ::: "memory");
}

static void compose(void)
{
    static const uint8_t mask[4] = {5, 6, 7, 8};
    uint8_t codes[160];
    size_t body = strlen(TEXT) + base64_encoded_bytes(sizeof codes) + strlen(TAIL);
    size_t header = ws_header_bytes(WS_CLIENT, body);
    uint8_t *at = work.frame + header;
    for (size_t i = 0; i < sizeof codes; i++)
        codes[i] = (uint8_t)(i * 151 + 7);
    memcpy(at, TEXT, strlen(TEXT));
    base64_encode(span_from(codes, sizeof codes), at + strlen(TEXT));
    memcpy(at + body - strlen(TAIL), TAIL, strlen(TAIL));
    ws_header_write(work.frame, WS_CLIENT, WS_TEXT, body, mask);
    ws_mask(at, body, mask);
    work.frame_bytes = header + body;
}

void micro_relay(void)
{
    work.carrier = ws_open(WS_SERVER, 65536);
    assert(work.carrier);
    compose();
    micro_group("one caller frame, WebSocket to WebSocket");
    micro_row("memcpy of the message", copy, NULL, 2 * work.frame_bytes);
    micro_row("frame, JSON, base64, append, frame", relay_frame, NULL, 2 * work.frame_bytes);
    ws_close(work.carrier);
}
