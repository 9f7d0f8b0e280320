/* ws: WebSocket framing of one connection, either role, over wslay's frame level (RFC 6455).
 *
 * What it is: plaintext bytes in, whole messages out; frames composed in place in the caller's
 * buffer. Enforces masking direction, reserved bits and opcodes, control frame rules, shortest
 * lengths, fragmentation, UTF-8 across fragments (failing at the first bad byte), close codes, and
 * the bounds given at open. What it is not: the closing handshake's timing and pongs owed
 * (io/conn). Owner: struct ws is placed in the connection; wslay's context and, when a message
 * comes in pieces, one assembly buffer are allocated and kept (never one per message). Thread: the
 * core's. Bounds: message_bytes_max, WS_FRAGMENTS_MAX. */
#ifndef RINGBRIDGE_EDGE_WIRE_WS_H
#define RINGBRIDGE_EDGE_WIRE_WS_H

#include "common/fault.h"
#include "common/span.h"
#include "edge/wire/decode.h"

enum ws_role { WS_SERVER, WS_CLIENT };

enum ws_opcode { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

struct ws; /* opaque: allocated by ws_open */

struct ws_message {
    enum ws_opcode opcode;
    struct span body;    /* TEXT, BINARY, PING, PONG payload; CLOSE: the reason */
    uint16_t close_code; /* CLOSE: 1005 when none was sent */
};

/* NULL when memory is out. */
struct ws *ws_open(enum ws_role role, size_t message_bytes_max);
void ws_close(struct ws *ws);

/* Takes bytes from the front of *input (moves it) until one whole message or control frame is
 * there. DONE: message->body is valid until the next call on this ws or until input's memory goes,
 * whichever is first. MORE: input is used up. BAD: *fault; nothing more may be read. */
enum decode ws_next(struct ws *ws, struct span *input, struct ws_message *message,
                    enum fault *fault);

/* Bytes of header for a frame of so many payload bytes: 2, 4 or 10, and 4 more when masked. */
size_t ws_header_bytes(enum ws_role role, size_t payload_bytes);

/* Writes the header of a final frame. mask: 4 random bytes for WS_CLIENT, ignored for WS_SERVER. */
void ws_header_write(uint8_t *out, enum ws_role role, enum ws_opcode opcode, size_t payload_bytes,
                     const uint8_t mask[4]);

/* XORs payload with the mask, in place (clients only). Word-wise or wider. */
void ws_mask(uint8_t *payload, size_t payload_bytes, const uint8_t mask[4]);

#endif
