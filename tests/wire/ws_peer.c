#include "tests/wire/ws_peer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct ws_peer peer;
const uint8_t peer_mask[4] = {0x37, 0xfa, 0x21, 0x3d};

void peer_begin(void)
{
    peer.stream_bytes = 0;
}

void peer_put(const void *bytes, size_t count)
{
    assert_true(peer.stream_bytes + count <= sizeof peer.stream);
    memcpy(peer.stream + peer.stream_bytes, bytes, count);
    peer.stream_bytes += count;
}

void peer_number(uint64_t number, unsigned bytes)
{
    while (bytes--)
        peer_put(&(uint8_t){(uint8_t)(number >> 8 * bytes)}, 1);
}

void peer_frame(enum ws_role reader, uint8_t first, const void *payload, size_t bytes)
{
    uint8_t masked = reader == WS_SERVER ? 0x80 : 0;
    peer_put(&first, 1);
    peer_put(&(uint8_t){(uint8_t)(masked | (bytes < 126 ? bytes : bytes < 65536 ? 126 : 127))}, 1);
    peer_number(bytes, bytes < 126 ? 0 : bytes < 65536 ? 2 : 8);
    if (masked)
        peer_put(peer_mask, sizeof peer_mask);
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = ((const uint8_t *)payload)[i];
        peer_put(&(uint8_t){masked ? byte ^ peer_mask[i % 4] : byte}, 1);
    }
}

void peer_text(enum ws_role reader, uint8_t first, const char *text)
{
    peer_frame(reader, first, text, strlen(text));
}

enum decode peer_feed(const void *bytes, size_t count, struct span *input)
{
    memcpy(peer.input, bytes, count);
    *input = span_from(peer.input, count);
    return ws_next(peer.ws, input, &peer.message, &peer.fault);
}

void peer_expect(enum ws_opcode opcode, const char *body)
{
    assert_int_equal(peer.message.opcode, opcode);
    assert_int_equal(peer.message.body.bytes, strlen(body));
    if (body[0])
        assert_memory_equal(peer.message.body.data, body, strlen(body));
}
