/* WebSocket by wslay's event level, and beside it the fast paths for load generators. */
#include "tests/practice/peer_inner.h"

#include "common/panic.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>

#define CLOSE_MS 2000

void peer_ws_accept_key(const char *key, char accept[PEER_ACCEPT_BYTES + 1])
{
    /* RFC 6455 section 1.3 */
    char text[PEER_KEY_BYTES + 40];
    unsigned char digest[SHA_DIGEST_LENGTH];
    int bytes = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    SHA1((const unsigned char *)text, (size_t)bytes, digest);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof digest);
}

/* ---- wslay's questions ---- */

static ssize_t give_bytes(wslay_event_context_ptr ws, uint8_t *data, size_t room, int flags,
                          void *owner)
{
    (void)flags;
    struct peer_conn *conn = owner;
    size_t bytes = conn->window.bytes < room ? conn->window.bytes : room;
    if (bytes == 0) {
        wslay_event_set_error(ws, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(data, conn->window.data, bytes);
    conn->window = span_from(conn->window.data + bytes, conn->window.bytes - bytes);
    return (ssize_t)bytes;
}

static ssize_t take_bytes(wslay_event_context_ptr ws, const uint8_t *data, size_t bytes, int flags,
                          void *owner)
{
    (void)ws, (void)flags;
    peer_queue(owner, span_from(data, bytes));
    return (ssize_t)bytes;
}

static int make_mask(wslay_event_context_ptr ws, uint8_t *mask, size_t bytes, void *owner)
{
    (void)ws, (void)owner;
    return RAND_bytes(mask, (int)bytes) == 1 ? 0 : -1;
}

static void note_close(struct peer_conn *conn, uint16_t code, struct span reason)
{
    conn->close_code = code ? code : 1005;
    size_t bytes =
        reason.bytes < sizeof conn->close_reason ? reason.bytes : sizeof conn->close_reason - 1;
    if (bytes)
        memcpy(conn->close_reason, reason.data, bytes);
    conn->close_reason[bytes] = '\0';
    if (!conn->why)
        conn->why = "closed by peer";
}

static void give_message(struct peer_conn *conn, enum peer_opcode opcode, struct span body)
{
    if (conn->state == PEER_OPEN && conn->hooks->message)
        conn->hooks->message(conn, opcode, body);
}

static void on_message(wslay_event_context_ptr ws,
                       const struct wslay_event_on_msg_recv_arg *message, void *owner)
{
    (void)ws;
    struct peer_conn *conn = owner;
    struct span body = span_from(message->msg, message->msg_length);
    if (message->opcode == WSLAY_CONNECTION_CLOSE) {
        struct span reason =
            body.bytes > 2 ? span_from(body.data + 2, body.bytes - 2) : (struct span){NULL, 0};
        note_close(conn, message->status_code, reason);
    } else {
        give_message(conn, (enum peer_opcode)message->opcode, body);
    }
}

static bool over_to_wslay(struct peer_conn *conn)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = give_bytes,
                                                           .send_callback = take_bytes,
                                                           .genmask_callback = make_mask,
                                                           .on_msg_recv_callback = on_message};
    int failed = conn->client ? wslay_event_context_client_init(&conn->ws, &callbacks, conn)
                              : wslay_event_context_server_init(&conn->ws, &callbacks, conn);
    if (failed)
        return false;
    wslay_event_config_set_max_recv_msg_length(conn->ws, conn->message_bytes_max);
    return true;
}

bool peer_ws_start(struct peer_conn *conn)
{
    if (!over_to_wslay(conn))
        return false;
    conn->speech = PEER_WS;
    peer_timer_clear(conn->loop, &conn->deadline);
    if (conn->hooks->open)
        conn->hooks->open(conn);
    return true;
}

void peer_ws_accept(struct peer_conn *conn, const char *headers)
{
    if (conn->state != PEER_OPEN)
        return;
    assert(conn->speech == PEER_HTTP_OWED && conn->ws_key[0]);
    char accept[PEER_ACCEPT_BYTES + 1];
    peer_ws_accept_key(conn->ws_key, accept);
    peer_queue(conn, span_of("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Accept: "));
    peer_queue(conn, span_of(accept));
    peer_queue(conn, span_of("\r\n"));
    if (headers)
        peer_queue(conn, span_of(headers));
    peer_queue(conn, span_of("\r\n"));
    if (!peer_ws_start(conn))
        peer_over(conn, "out of memory");
}

/* ---- wslay's path ---- */

/* Lets wslay write what it queued; when it wants nothing more, the conversation is over. */
static void let_write(struct peer_conn *conn)
{
    if (conn->state != PEER_OPEN)
        return;
    if (wslay_event_send(conn->ws) != 0) {
        peer_over(conn, "wslay cannot send");
        return;
    }
    if (wslay_event_get_close_sent(conn->ws))
        conn->sent_code = wslay_event_get_status_code_sent(conn->ws);
    if (!wslay_event_want_read(conn->ws) && !wslay_event_want_write(conn->ws)) {
        if (!conn->why)
            conn->why = "broke the protocol";
        peer_finish(conn);
    }
}

static size_t read_careful(struct peer_conn *conn, const uint8_t *data, size_t bytes)
{
    conn->window = span_from(data, bytes);
    int failed = wslay_event_recv(conn->ws);
    conn->window = (struct span){NULL, 0};
    if (failed)
        peer_over(conn, "wslay cannot receive");
    else
        let_write(conn);
    return bytes;
}

void peer_ws_send(struct peer_conn *conn, enum peer_opcode opcode, struct span body)
{
    if (conn->state != PEER_OPEN || conn->speech != PEER_WS)
        return;
    struct wslay_event_msg message = {(uint8_t)opcode, body.data, body.bytes};
    if (wslay_event_queue_msg(conn->ws, &message) == 0)
        let_write(conn);
}

void peer_ws_close(struct peer_conn *conn, uint16_t code, const char *reason)
{
    if (conn->state != PEER_OPEN || conn->speech != PEER_WS) {
        peer_finish(conn);
        return;
    }
    struct span text = reason ? span_of(reason) : (struct span){NULL, 0};
    if (!conn->why)
        conn->why = "closed by us";
    wslay_event_queue_close(conn->ws, code, text.data, text.bytes);
    peer_arm(conn, CLOSE_MS, "close was not answered");
    let_write(conn);
}

/* ---- fast paths ---- */

void peer_ws_send_prebuilt(struct peer_conn *conn, struct span frame)
{
    if (conn->speech == PEER_WS && !conn->sent_code)
        peer_send_raw(conn, frame);
}

void peer_ws_set_fast(struct peer_conn *conn)
{
    assert(conn->speech == PEER_WS);
    conn->fast = true;
}

size_t peer_frame_header(uint8_t *out, enum peer_opcode opcode, size_t body_bytes,
                         const uint8_t mask[4])
{
    size_t bytes = 2, length_bytes = 0;
    uint8_t masked = mask ? 0x80 : 0;
    out[0] = (uint8_t)(0x80 | opcode);
    if (body_bytes < 126) {
        out[1] = (uint8_t)(masked | body_bytes);
    } else {
        length_bytes = body_bytes <= 0xffff ? 2 : 8;
        out[1] = (uint8_t)(masked | (length_bytes == 2 ? 126 : 127));
    }
    for (size_t i = length_bytes; i-- > 0;)
        out[bytes++] = (uint8_t)((uint64_t)body_bytes >> (8 * i));
    if (mask) {
        memcpy(out + bytes, mask, 4);
        bytes += 4;
    }
    assert(bytes <= PEER_FRAME_HEADER_BYTES);
    return bytes;
}

static void mask_bytes(uint8_t *data, size_t bytes, const uint8_t mask[4])
{
    uint64_t wide, word;
    memcpy(&wide, mask, 4);
    memcpy((uint8_t *)&wide + 4, mask, 4);
    if (wide == 0)
        return;
    size_t i = 0;
    for (; i + 8 <= bytes; i += 8) {
        memcpy(&word, data + i, 8);
        word ^= wide;
        memcpy(data + i, &word, 8);
    }
    for (; i < bytes; i++)
        data[i] ^= mask[i % 4];
}

size_t peer_frame_write(uint8_t *out, enum peer_opcode opcode, struct span body,
                        const uint8_t mask[4])
{
    size_t header = peer_frame_header(out, opcode, body.bytes, mask);
    if (body.bytes)
        memcpy(out + header, body.data, body.bytes);
    if (mask)
        mask_bytes(out + header, body.bytes, mask);
    return header + body.bytes;
}

/* Length of the header in data, 0 when it is not whole yet. */
static size_t read_header(const uint8_t *data, size_t bytes, uint64_t *body_bytes)
{
    if (bytes < 2)
        return 0;
    size_t length_bytes = (data[1] & 0x7f) < 126 ? 0 : (data[1] & 0x7f) == 126 ? 2 : 8;
    size_t header = 2 + length_bytes + (data[1] & 0x80 ? 4 : 0);
    if (bytes < header)
        return 0;
    *body_bytes = length_bytes ? 0 : data[1] & 0x7f;
    for (size_t i = 0; i < length_bytes; i++)
        *body_bytes = *body_bytes << 8 | data[2 + i];
    return header;
}

size_t peer_frame_read(uint8_t *data, size_t bytes, bool masked, size_t body_bytes_max,
                       enum peer_opcode *opcode, struct span *body)
{
    uint64_t body_bytes = 0;
    size_t header = read_header(data, bytes, &body_bytes);
    if (header == 0)
        return 0;
    bool is_masked = data[1] & 0x80;
    if ((data[0] & 0xf0) != 0x80 || is_masked != masked || body_bytes > body_bytes_max)
        return PEER_FRAME_BAD;
    if (bytes - header < body_bytes)
        return 0;
    if (masked)
        mask_bytes(data + header, body_bytes, data + header - 4);
    *opcode = (enum peer_opcode)(data[0] & 0x0f);
    *body = span_from(data + header, body_bytes);
    return header + body_bytes;
}

static void answer_fast(struct peer_conn *conn, enum peer_opcode opcode, struct span body)
{
    if (opcode == PEER_CLOSE) {
        unsigned code = body.bytes >= 2 ? (unsigned)body.data[0] << 8 | body.data[1] : 0;
        note_close(conn, (uint16_t)code,
                   body.bytes > 2 ? span_from(body.data + 2, body.bytes - 2)
                                  : (struct span){NULL, 0});
        peer_ws_close(conn, (uint16_t)code, NULL);
        peer_finish(conn);
        return;
    }
    if (opcode == PEER_PING)
        peer_ws_send(conn, PEER_PONG, body);
    give_message(conn, opcode, body);
}

static size_t read_fast(struct peer_conn *conn, uint8_t *data, size_t bytes)
{
    size_t taken = 0;
    while (conn->state == PEER_OPEN) {
        enum peer_opcode opcode;
        struct span body;
        size_t frame = peer_frame_read(data + taken, bytes - taken, !conn->client,
                                       conn->message_bytes_max, &opcode, &body);
        if (frame == PEER_FRAME_BAD)
            peer_over(conn, "frame that the fast path does not take");
        if (frame == 0 || frame == PEER_FRAME_BAD)
            break;
        taken += frame;
        answer_fast(conn, opcode, body);
    }
    return taken;
}

size_t peer_ws_read(struct peer_conn *conn, uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    return conn->fast ? read_fast(conn, data, bytes) : read_careful(conn, data, bytes);
}
