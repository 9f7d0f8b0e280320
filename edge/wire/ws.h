/* ws: WebSocket framing of one connection, either role, over wslay's frame level (RFC 6455).
 *
 * What it is: plaintext bytes in, whole messages out; frames composed in place in the caller's
 * buffer. Enforces masking direction, reserved bits and opcodes, control frame rules, shortest
 * lengths, fragmentation, UTF-8 across fragments (failing at the first bad byte), close codes, and
 * the bounds given at open. What it is not: the closing handshake's timing and pongs owed
 * (io/conn). Owner: ws_open and ws_close; a message that comes in pieces is put together in a
 * buffer lent from the thread's store (assembly.h), so nothing is allocated per message. Thread:
 * opened, read and closed on one thread, which its connections share wslay's reader with. Bounds:
 * message_bytes_max, WS_FRAGMENTS_MAX; memory is taken for bytes that came, never for announced
 * ones.
 *
 * Payloads do not go through wslay: its reader copies them into 4 KiB of its own and unmasks byte
 * by byte (1.8 ns each, 0.7 us for a media message, where we need 0.02). It reads the frames'
 * heads; payloads stay where they are and are unmasked there. */
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

/* message_bytes_max: less than 4 GiB (assert). NULL when memory is out. */
struct ws *ws_open(enum ws_role role, size_t message_bytes_max);
void ws_close(struct ws *ws);

/* Memory of one, without a message that comes in pieces. */
size_t ws_footprint_bytes(void);

/* Another bound than WS_FRAGMENTS_MAX, for programs that outside suites judge. */
void ws_allow_fragments(struct ws *ws, unsigned fragments_max);

/* Takes bytes from the front of *input (moves it) until one whole message or control frame is
 * there. The memory behind input must be writable: masked payloads are unmasked where they lie.
 * DONE: message->body is valid until the next call on this ws or until input's memory goes,
 * whichever is first. MORE: input is used up; after a CLOSE whatever follows is dropped that way.
 * BAD: *fault, for good. */
enum decode ws_next(struct ws *ws, struct span *input, struct ws_message *message,
                    enum fault *fault);

/* Bytes of header for a frame of so many payload bytes: 2, 4 or 10, and 4 more when masked. */
size_t ws_header_bytes(enum ws_role role, size_t payload_bytes);

/* Writes the header of a final frame. mask: 4 random bytes for WS_CLIENT, ignored for WS_SERVER. */
void ws_header_write(uint8_t *out, enum ws_role role, enum ws_opcode opcode, size_t payload_bytes,
                     const uint8_t mask[4]);

/* XORs payload with the mask, in place (clients only), 32 bytes at a step. */
void ws_mask(uint8_t *payload, size_t payload_bytes, const uint8_t mask[4]);

/* May this code stand in a close frame (RFC 6455 section 7.4 and the registry it began)? */
bool ws_close_code_valid(uint16_t code);

#endif
