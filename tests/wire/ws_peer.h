/* ws_peer: the other side of a WebSocket reader in its tests: writes streams from the RFC's picture
 * and not by ws.c, and feeds them to one reader, step by step. Failures are cmocka's. Thread: one.
 */
#ifndef RINGBRIDGE_TESTS_WIRE_WS_PEER_H
#define RINGBRIDGE_TESTS_WIRE_WS_PEER_H

#include "tests/wire/oracle.h"

extern struct ws_peer {
    uint8_t stream[300000];
    size_t stream_bytes;
    uint8_t input[300000]; /* what is read, in memory of its own */
    struct ws *ws;         /* who reads; the test's */
    enum fault fault;
    struct ws_message message;
} peer;
extern const uint8_t peer_mask[4];

/* An empty stream, and what comes into it. */
void peer_begin(void);
void peer_put(const void *bytes, size_t count);
void peer_number(uint64_t number, unsigned bytes);
/* first: FIN, reserved bits, opcode. Frames of clients are masked. */
void peer_frame(enum ws_role reader, uint8_t first, const void *payload, size_t bytes);
void peer_text(enum ws_role reader, uint8_t first, const char *text);

/* What the reader says to these bytes; fault or message are filled in. */
enum decode peer_feed(const void *bytes, size_t count, struct span *input);
void peer_expect(enum ws_opcode opcode, const char *body);

#endif
