#include "common/panic.h"
#include "edge/io/conn_inner.h"

#define CONTROL_BYTES_MAX 125
#define NO_STATUS         1005

static enum ws_role role_of(const struct conn *conn)
{
    return conn->server ? WS_SERVER : WS_CLIENT;
}

bool conn_ws_open(struct io *io, struct conn *conn)
{
    assert(!conn->ws);
    conn->ws = ws_open(role_of(conn), conn->message_bytes_max);
    if (conn->ws)
        ws_allow_fragments(conn->ws, io->config.fragments_max);
    return conn->ws;
}

/* ---- frames out ---- */

static uint8_t *begin_frame(struct io *io, struct conn *conn, size_t payload_bytes)
{
    size_t header_bytes = ws_header_bytes(role_of(conn), payload_bytes);
    uint8_t *frame = conn_send_begin(io, conn, header_bytes + payload_bytes);
    return frame ? frame + header_bytes : NULL;
}

/* Header and mask are written when the payload is there. */
static void end_frame(struct io *io, struct conn *conn, enum ws_opcode opcode, size_t payload_bytes)
{
    enum ws_role role = role_of(conn);
    size_t header_bytes = ws_header_bytes(role, payload_bytes);
    uint8_t *frame = io->draft.data;
    uint8_t mask[4] = {0};
    assert(io->draft.conn == conn && io->draft.room == header_bytes + payload_bytes);
    if (role == WS_CLIENT)
        tls_random(mask, sizeof mask);
    ws_header_write(frame, role, opcode, payload_bytes, mask);
    if (role == WS_CLIENT)
        ws_mask(frame + header_bytes, payload_bytes, mask);
    conn_send_end(io, conn, header_bytes + payload_bytes);
}

static uint8_t *begin_message(struct io *io, struct conn *conn, size_t payload_bytes)
{
    conn->starved = false;
    if (conn->phase != PHASE_OPEN || conn->let_go)
        return NULL;
    if (payload_bytes > io->config.send_queue_bytes_max ||
        conn->send_bytes > io->config.send_queue_bytes_max - payload_bytes)
        return NULL;
    uint8_t *out = begin_frame(io, conn, payload_bytes);
    conn->starved = !out;
    return out;
}

bool conn_starved(const struct conn *conn)
{
    return conn->starved;
}

static bool send_message(struct io *io, struct conn *conn, enum ws_opcode opcode,
                         struct span payload)
{
    uint8_t *out = begin_message(io, conn, payload.bytes);
    if (!out)
        return false;
    if (payload.bytes)
        memcpy(out, payload.data, payload.bytes);
    end_frame(io, conn, opcode, payload.bytes);
    return true;
}

uint8_t *conn_frame_begin(struct io *io, struct conn *conn, size_t payload_bytes)
{
    return begin_message(io, conn, payload_bytes);
}

void conn_frame_end(struct io *io, struct conn *conn, size_t payload_bytes)
{
    end_frame(io, conn, WS_TEXT, payload_bytes);
}

bool conn_send_text(struct io *io, struct conn *conn, struct span text)
{
    return send_message(io, conn, WS_TEXT, text);
}

bool conn_send_binary(struct io *io, struct conn *conn, struct span bytes)
{
    return send_message(io, conn, WS_BINARY, bytes);
}

/* Control frames are few by the rules of read_control and short, so they pass the queue's bound. */
static void say_control(struct io *io, struct conn *conn, enum ws_opcode opcode,
                        struct span payload)
{
    assert(payload.bytes <= CONTROL_BYTES_MAX);
    uint8_t *out = begin_frame(io, conn, payload.bytes);
    if (!out)
        return; /* no memory: a peer that misses it ends by its own deadline */
    if (payload.bytes)
        memcpy(out, payload.data, payload.bytes);
    end_frame(io, conn, opcode, payload.bytes);
}

void conn_ws_say_close(struct io *io, struct conn *conn, uint16_t code, const char *reason)
{
    uint8_t payload[CONTROL_BYTES_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};
    size_t reason_bytes = strlen(reason);
    assert(reason_bytes <= sizeof payload - 2);
    memcpy(payload + 2, reason, reason_bytes);
    say_control(io, conn, WS_CLOSE, span_from(payload, code ? 2 + reason_bytes : 0));
}

void conn_ws_pong(struct io *io, struct conn *conn)
{
    assert(conn->pong_owed);
    if (ring_flies(&conn->socket, OP_SEND) && conn->phase == PHASE_OPEN)
        return;
    conn->pong_owed = false;
    if (conn->phase == PHASE_OPEN)
        say_control(io, conn, WS_PONG, span_from(conn->pong, conn->pong_bytes));
}

/* ---- signs of life ---- */

void conn_watch(struct io *io, struct conn *conn, unsigned quiet_ms, unsigned answer_ms)
{
    assert(conn->phase == PHASE_OPEN && quiet_ms && answer_ms);
    conn->quiet_ms = quiet_ms;
    conn->answer_ms = answer_ms;
    conn->heard_ms = io->now_ms;
    conn->deadline_ms = io->now_ms + quiet_ms;
    conn_touch(io, conn);
}

/* The deadline is moved when it is due, not with all that comes. */
void conn_ws_look(struct io *io, struct conn *conn)
{
    assert(conn->phase == PHASE_OPEN && conn->quiet_ms);
    if (conn->asked_ms && conn->heard_ms < conn->asked_ms) {
        conn_fail(io, conn, FAULT_peer_silent);
        return;
    }
    conn->asked_ms = 0;
    conn->deadline_ms = conn->heard_ms + conn->quiet_ms;
    if (conn->deadline_ms > io->now_ms)
        return;
    conn->asked_ms = io->now_ms;
    conn->deadline_ms = io->now_ms + conn->answer_ms;
    say_control(io, conn, WS_PING, span_of(""));
}

/* ---- frames in ---- */

/* A pong goes out at once while the socket takes bytes; while it does not, one is owed, and that
 * is the latest (RFC 6455 section 5.5.3). */
static void owe_pong(struct io *io, struct conn *conn, struct span payload)
{
    assert(payload.bytes <= sizeof conn->pong);
    if (payload.bytes)
        memcpy(conn->pong, payload.data, payload.bytes);
    conn->pong_bytes = (uint8_t)payload.bytes;
    conn->pong_owed = true;
    conn_ws_pong(io, conn);
}

static bool is_flood(struct io *io, struct conn *conn)
{
    if (io->now_ms - conn->controls_at_ms >= 1000) {
        conn->controls_at_ms = io->now_ms;
        conn->controls = 0;
    }
    return ++conn->controls > io->config.controls_per_second;
}

/* Both sides have said close: the server ends TCP first. */
static void shake_off(struct io *io, struct conn *conn)
{
    conn->awaits_fin = !conn->server;
    conn_end(io, conn);
}

static enum pull closed_by_peer(struct io *io, struct conn *conn, const struct ws_message *close,
                                struct message *message)
{
    uint16_t code = close->close_code == NO_STATUS ? 0 : close->close_code;
    conn_ws_say_close(io, conn, code, "");
    conn->close_code = code;
    conn_fail(io, conn, FAULT_ws_closed);
    conn->awaits_fin = !conn->server;
    conn_tell_end(io, conn, message);
    message->body = close->body;
    return PULL_MESSAGE;
}

COLD static enum pull read_control(struct io *io, struct conn *conn,
                                   const struct ws_message *control, struct message *message)
{
    if (control->opcode == WS_CLOSE)
        return closed_by_peer(io, conn, control, message);
    if (is_flood(io, conn))
        conn_fail(io, conn, FAULT_ws_control_flood);
    else if (control->opcode == WS_PING)
        owe_pong(io, conn, control->body);
    return PULL_AGAIN;
}

/* What came with the upgrade lies in rest and goes first; then this turn's bytes. */
static enum decode read_some(struct io *io, struct conn *conn, struct ws_message *message,
                             enum fault *fault)
{
    if (conn->rest && conn->rest->start == conn->rest->end) {
        pool_give(&io->pool, conn->rest);
        conn->rest = NULL;
    }
    if (conn->rest) {
        struct span input = block_span(conn->rest);
        enum decode decode = ws_next(conn->ws, &input, message, fault);
        conn->rest->start = conn->rest->end - input.bytes;
        return decode;
    }
    if (!conn_refill(io, conn))
        return DECODE_MORE;
    return ws_next(conn->ws, &io->intake.plain, message, fault);
}

static bool has_bytes(const struct io *io, const struct conn *conn)
{
    return conn->rest ||
           (io->intake.conn == conn && (io->intake.plain.bytes || io->intake.wire.bytes));
}

enum pull conn_ws_read(struct io *io, struct conn *conn, struct message *message)
{
    struct ws_message frame;
    enum fault fault = FAULT_NONE;
    while (conn->phase == PHASE_OPEN) {
        switch (read_some(io, conn, &frame, &fault)) {
        case DECODE_BAD:
            conn_fail(io, conn, fault);
            return PULL_IDLE;
        case DECODE_MORE:
            if (has_bytes(io, conn))
                continue;
            if (conn->phase == PHASE_OPEN && conn->eof)
                conn_fail_eof(io, conn);
            return PULL_IDLE;
        case DECODE_DONE:
            break;
        }
        if (frame.opcode != WS_TEXT && frame.opcode != WS_BINARY)
            return read_control(io, conn, &frame, message);
        *message = (struct message){.kind = frame.opcode == WS_TEXT ? MESSAGE_TEXT : MESSAGE_BINARY,
                                    .body = frame.body};
        return PULL_MESSAGE;
    }
    return PULL_IDLE;
}

/* We have said close; messages that were under way are dropped. */
enum pull conn_ws_await_close(struct io *io, struct conn *conn)
{
    struct ws_message frame;
    enum fault fault = FAULT_NONE;
    while (conn->phase == PHASE_CLOSING) {
        enum decode decode = read_some(io, conn, &frame, &fault);
        if (decode == DECODE_BAD || (decode == DECODE_DONE && frame.opcode == WS_CLOSE))
            shake_off(io, conn);
        else if (decode == DECODE_MORE && !has_bytes(io, conn)) {
            if (conn->eof)
                conn_end(io, conn);
            return PULL_IDLE;
        }
    }
    return PULL_AGAIN;
}
