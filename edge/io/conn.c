#include "edge/io/conn.h"

#include "common/panic.h"
#include "edge/io/conn_inner.h"
#include "edge/io/ring_kernel.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* ---- life ---- */

struct conn *conn_make(struct io *io, int fd, bool server)
{
    uint64_t ref;
    struct conn *conn = slab_take(&io->conns, &ref);
    if (!conn)
        return NULL;
    conn->socket = (struct ring_socket){.fd = fd, .ref = ref};
    conn->server = server;
    conn->timer.kind = TIMER_CONN;
    conn->timer.ref = ref;
    GAUGE_ADD(io->config.metrics, conns_open, 1);
    return conn;
}

void conn_free(struct io *io, struct conn *conn)
{
    assert(conn->socket.in_flight == 0 && conn->socket.fd < 0);
    assert(conn->let_go && !conn->dirty && !conn->shake.waits && io->intake.conn != conn);
    wheel_cancel(&io->wheel, &conn->timer);
    conn_send_drop(io, conn);
    pool_give(&io->pool, conn->rest);
    pool_give(&io->pool, conn->greeting);
    tls_free(conn->tls);
    ws_close(conn->ws);
    door_leave(&io->door, conn->door);
    GAUGE_SUB(io->config.metrics, conns_open, 1);
    slab_give(&io->conns, conn->socket.ref);
}

void conn_touch(struct io *io, struct conn *conn)
{
    if (conn->dirty)
        return;
    conn->dirty = true;
    conn->next = io->dirty;
    io->dirty = conn;
}

void conn_enter(struct io *io, struct conn *conn, enum phase phase, unsigned timeout_ms)
{
    assert(conn->phase < PHASE_LINGER || phase > conn->phase);
    if (phase != PHASE_HANDSHAKE)
        conn_shake_forget(io, conn);
    conn->phase = phase;
    conn->deadline_ms = timeout_ms ? io->now_ms + timeout_ms : 0;
    conn_touch(io, conn);
}

/* ---- the ends ---- */

/* Faults after which nothing can be said any more. */
static bool is_abrupt(enum fault fault)
{
    switch (fault) {
    case FAULT_peer_reset:
    case FAULT_peer_slow:
    case FAULT_connect_failed:
    case FAULT_connect_timeout:
    case FAULT_tls_timeout:
    case FAULT_tls_busy:
    case FAULT_ws_close_timeout:
        return true;
    default:
        return false;
    }
}

static void count_fault(struct io *io, enum fault fault)
{
    COUNT(io->config.metrics, faults[fault]);
}

/* In the language that it speaks just now. */
static void say_last_words(struct io *io, struct conn *conn, enum fault fault)
{
    switch (conn->phase) {
    case PHASE_HEAD:
    case PHASE_BODY:
    case PHASE_ANSWER:
        if (fault_http(fault))
            conn_http_refuse(io, conn, fault);
        return;
    case PHASE_OPEN:
        if (fault_close(fault))
            conn_ws_say_close(io, conn, fault_close(fault), fault_sentence(fault));
        return;
    default:
        return;
    }
}

void conn_fail(struct io *io, struct conn *conn, enum fault fault)
{
    assert(fault != FAULT_NONE);
    if (conn->phase >= PHASE_LINGER) {
        if (conn->phase == PHASE_LINGER && is_abrupt(fault))
            conn_enter(io, conn, PHASE_ENDING, WS_CLOSE_MS);
        return;
    }
    if (conn->end == FAULT_NONE) /* the first reason wins */
        conn->end = fault;
    conn->end_due = !conn->let_go;
    count_fault(io, fault);
    if (!is_abrupt(fault))
        say_last_words(io, conn, fault);
    conn_enter(io, conn, is_abrupt(fault) ? PHASE_ENDING : PHASE_LINGER, WS_CLOSE_MS);
}

void conn_fail_eof(struct io *io, struct conn *conn)
{
    assert(conn->eof);
    bool truncated = conn->tls && conn->phase > PHASE_HANDSHAKE && !conn->eof_clean;
    conn_fail(io, conn, truncated ? FAULT_tls_truncated : FAULT_peer_closed);
}

void conn_end(struct io *io, struct conn *conn)
{
    if (conn->phase >= PHASE_LINGER)
        return;
    conn->end_due = !conn->let_go;
    conn_enter(io, conn, PHASE_LINGER, WS_CLOSE_MS);
}

static void let_go(struct conn *conn)
{
    assert(!conn->let_go);
    conn->let_go = true;
    conn->end_due = false;
}

/* What the owner's farewell means to each phase. */
static void part(struct io *io, struct conn *conn, enum fault fault)
{
    switch (conn->phase) {
    case PHASE_OPEN: {
        uint16_t code = fault == FAULT_NONE ? 1000 : fault_close(fault) ? fault_close(fault) : 1011;
        conn_ws_say_close(io, conn, code, fault == FAULT_NONE ? "" : fault_sentence(fault));
        conn_enter(io, conn, PHASE_CLOSING, WS_CLOSE_MS);
        return;
    }
    case PHASE_RESPOND:
        conn->request.keep_alive = false;
        return;
    case PHASE_HEAD:
    case PHASE_BODY:
    case PHASE_ANSWER:
        if (fault_http(fault))
            conn_http_refuse(io, conn, fault);
        conn_end(io, conn);
        return;
    default:
        if (conn->phase < PHASE_LINGER)
            conn_enter(io, conn, PHASE_ENDING, WS_CLOSE_MS);
        else
            conn_touch(io, conn);
    }
}

void conn_close(struct io *io, struct conn *conn, enum fault fault)
{
    let_go(conn);
    if (fault != FAULT_NONE && conn->end == FAULT_NONE)
        count_fault(io, fault);
    conn->end = conn->end == FAULT_NONE ? fault : conn->end;
    part(io, conn, fault);
}

void conn_abort(struct io *io, struct conn *conn)
{
    let_go(conn);
    if (conn->phase < PHASE_ENDING)
        conn_enter(io, conn, PHASE_ENDING, WS_CLOSE_MS);
    else
        conn_touch(io, conn);
}

void conn_tell_end(struct io *io, struct conn *conn, struct message *message)
{
    *message = (struct message){.kind = MESSAGE_END,
                                .fault = conn->end,
                                .close_code = conn->close_code,
                                .http_status = conn->http_status};
    let_go(conn);
    conn_touch(io, conn);
}

/* ---- messages ---- */

/* One step of what this phase does with bytes. */
static enum pull step(struct io *io, struct conn *conn, struct message *message)
{
    switch (conn->phase) {
    case PHASE_CONNECT:
        return PULL_IDLE;
    case PHASE_HANDSHAKE:
        return conn_shake_hands(io, conn);
    case PHASE_UPGRADE:
        return conn_http_upgraded(io, conn, message);
    case PHASE_HEAD:
        return conn_http_head(io, conn, message);
    case PHASE_BODY:
        return conn_http_body(io, conn, message);
    case PHASE_RESPOND:
        if (conn->more_due)
            return conn_http_ask_more(conn, message);
        return conn_http_hold(io, conn);
    case PHASE_ANSWER:
    case PHASE_MOVE:
        return conn_http_hold(io, conn);
    case PHASE_OPEN:
        return conn_ws_read(io, conn, message);
    case PHASE_CLOSING:
        return conn_ws_await_close(io, conn);
    case PHASE_LINGER:
    case PHASE_ENDING:
    case PHASE_SHUT:
    case PHASE_GONE:
        if (io->intake.conn == conn)
            conn_drop_intake(io);
        return PULL_IDLE;
    }
    never("a phase that is none");
}

bool conn_next(struct io *io, struct conn *conn, struct message *message)
{
    assert(!io->draft.conn);
    while (!conn->let_go) {
        if (conn->end_due) {
            conn_tell_end(io, conn, message);
            return true;
        }
        enum pull pull = step(io, conn, message);
        if (pull == PULL_MESSAGE)
            return true;
        if (pull == PULL_IDLE && !conn->end_due)
            return false;
    }
    return false;
}

void conn_settle(struct io *io, struct conn *conn)
{
    struct message message;
    assert(io->intake.conn == conn);
    while (io->intake.wire.bytes || io->intake.plain.bytes) {
        enum pull pull = step(io, conn, &message);
        assert(pull != PULL_MESSAGE); /* conn_next was not pulled until it said no */
    }
}

void conn_accepted(struct io *io, const struct io_done *done)
{
    struct conn *conn = done->conn;
    if (!conn)
        return;
    COUNT(io->config.metrics, conns_accepted);
    if (conn->phase == PHASE_HEAD) {
        conn_enter(io, conn, PHASE_HEAD, HTTP_FIRST_BYTE_MS);
        return;
    }
    conn_enter(io, conn, PHASE_HANDSHAKE, TLS_HANDSHAKE_MS);
}

void conn_connected(struct io *io, const struct io_done *done)
{
    struct conn *conn = done->conn;
    if (!conn || conn->phase != PHASE_CONNECT) {
        if (conn)
            conn_touch(io, conn);
        return;
    }
    if (done->result < 0) {
        conn_fail(io, conn, FAULT_connect_failed);
        return;
    }
    if (conn->tls) {
        conn_enter(io, conn, PHASE_HANDSHAKE, TLS_HANDSHAKE_MS);
        conn_shake_wait(io, conn);
        return;
    }
    struct block *greeting = conn->greeting;
    conn->greeting = NULL;
    conn_enter(io, conn, PHASE_UPGRADE, UPGRADE_MS);
    conn_send_block(io, conn, greeting);
}

struct conn *conn_dial(struct io *io, const struct dial *dial)
{
    int fd = ring_kernel_socket(dial->address.ss_family);
    if (fd < 0)
        return NULL;
    struct conn *conn = conn_make(io, fd, false);
    if (!conn) {
        ring_kernel_close_fd(fd);
        return NULL;
    }
    conn->peer = dial->address;
    conn->peer_bytes = dial->address_bytes;
    conn->message_bytes_max = dial->message_bytes_max;
    conn->leg = dial->leg;
    conn->owner = dial->owner;
    conn_enter(io, conn, PHASE_CONNECT, CONNECT_MS);
    bool ready = conn_http_greet(io, conn, dial);
    if (ready && dial->tls)
        ready = (conn->tls = tls_dial(io->config.tls_client, dial->host, dial->port));
    if (!ready) {
        conn_abort(io, conn);
        return NULL;
    }
    COUNT(io->config.metrics, conns_dialled);
    ring_connect(io->ring, &conn->socket, (struct sockaddr *)&conn->peer, conn->peer_bytes);
    return conn;
}

/* ---- the turn's end ---- */

/* The bytes are all sent: TLS says so, TCP says so, then the peer's end is awaited. */
static void linger(struct io *io, struct conn *conn)
{
    if (conn->send_bytes || ring_flies(&conn->socket, OP_SEND))
        return;
    if (conn->tls && !conn->notified) {
        struct tls_flow flow = {.out = io->flight, .out_room = sizeof io->flight};
        tls_finish(conn->tls, &flow);
        conn->notified = true;
        if (flow.out_bytes && conn_send_raw(io, conn, span_from(flow.out, flow.out_bytes)))
            return; /* back here when they are sent */
    }
    if (conn->eof)
        conn_enter(io, conn, PHASE_ENDING, WS_CLOSE_MS);
    else if (!conn->awaits_fin && !conn->finished) {
        ring_kernel_finish(conn->socket.fd);
        conn->finished = true;
    }
}

/* Nobody closes until all ops are home. */
static void bring_home(struct io *io, struct conn *conn)
{
    if (conn->socket.in_flight == 0)
        return;
    if (!conn->cancelled)
        ring_cancel(io->ring, &conn->socket);
    conn->cancelled = true;
}

static void end(struct io *io, struct conn *conn)
{
    bring_home(io, conn);
    if (conn->socket.in_flight)
        return;
    conn_send_drop(io, conn);
    ring_shut(io->ring, &conn->socket);
    conn_enter(io, conn, PHASE_SHUT, 0);
}

/* What TLS still had to say (tickets, an answer to a key update) leaves from here: the other core
 * begins with an empty queue. */
static void move(struct io *io, struct conn *conn)
{
    if (conn->send_bytes || ring_flies(&conn->socket, OP_SEND))
        return;
    bring_home(io, conn);
    if (conn->socket.in_flight == 0)
        conn_move_ship(io, conn);
}

static bool wants_bytes(const struct conn *conn)
{
    return conn->phase > PHASE_CONNECT && conn->phase < PHASE_ENDING && conn->phase != PHASE_MOVE &&
           !conn->eof;
}

/* The timer is moved forward only; one that rings early finds that nothing is due. */
static void set_timer(struct io *io, struct conn *conn)
{
    uint64_t at_ms = conn->deadline_ms ? conn->deadline_ms : UINT64_MAX;
    if (conn->phase < PHASE_ENDING && conn->send_deadline_ms && conn->send_deadline_ms < at_ms)
        at_ms = conn->send_deadline_ms;
    if (conn->end_due)
        at_ms = io->now_ms; /* the owner pulls when the timer rings */
    if (at_ms != UINT64_MAX && (!conn->timer.link || at_ms < conn->timer.at_ms))
        wheel_set(&io->wheel, &conn->timer, at_ms);
}

void conn_flush(struct io *io, struct conn *conn)
{
    if (conn->broken)
        conn_fail(io, conn, FAULT_tls_record);
    if (conn->phase == PHASE_MOVE)
        move(io, conn);
    if (conn->pong_owed)
        conn_ws_pong(io, conn);
    if (conn->phase == PHASE_LINGER)
        linger(io, conn);
    if (conn->phase == PHASE_ENDING)
        end(io, conn);
    if (conn->phase < PHASE_ENDING)
        conn_send_flush(io, conn);
    if (wants_bytes(conn) && !ring_flies(&conn->socket, OP_RECEIVE))
        ring_receive(io->ring, &conn->socket);
    set_timer(io, conn);
}

/* ---- time ---- */

static enum fault timeout_fault(const struct conn *conn)
{
    switch (conn->phase) {
    case PHASE_CONNECT:
        return FAULT_connect_timeout;
    case PHASE_HANDSHAKE:
        return FAULT_tls_timeout;
    case PHASE_UPGRADE:
        return FAULT_upgrade_timeout;
    case PHASE_HEAD:
        return conn->rest ? FAULT_http_timeout : FAULT_http_idle;
    case PHASE_BODY:
        return FAULT_http_timeout;
    case PHASE_ANSWER:
        return FAULT_no_control;
    case PHASE_RESPOND:
        return FAULT_peer_slow;
    default:
        return FAULT_ws_close_timeout;
    }
}

static void time_out(struct io *io, struct conn *conn)
{
    conn->deadline_ms = 0;
    if (conn->phase == PHASE_OPEN) {
        conn_ws_look(io, conn);
    } else if (conn->phase < PHASE_LINGER) {
        conn_fail(io, conn, timeout_fault(conn));
    } else if (conn->phase == PHASE_LINGER) {
        conn_enter(io, conn, PHASE_ENDING, WS_CLOSE_MS);
    } else if (conn->phase == PHASE_ENDING && !ring_flies(&conn->socket, OP_CANCEL)) {
        conn->cancelled = false; /* an op slipped through: ask again */
        conn->deadline_ms = io->now_ms + WS_CLOSE_MS;
    }
}

struct conn *conn_expired(struct io *io, const struct timer *timer)
{
    struct conn *conn = slab_find(&io->conns, timer->ref);
    if (!conn)
        return NULL;
    conn_touch(io, conn);
    if (conn->deadline_ms && conn->deadline_ms <= io->now_ms)
        time_out(io, conn);
    else if (conn->phase < PHASE_ENDING && conn->send_deadline_ms &&
             conn->send_deadline_ms <= io->now_ms)
        conn_fail(io, conn, FAULT_peer_slow);
    return conn->let_go ? NULL : conn;
}

size_t conn_footprint_bytes(void)
{
    return sizeof(struct conn) + 2 * sizeof(uint32_t); /* the slab's lists */
}

/* ---- who it belongs to ---- */

uint64_t conn_ref(const struct conn *conn)
{
    return conn->socket.ref;
}

struct conn *conn_find(struct io *io, uint64_t ref)
{
    struct conn *conn = slab_find(&io->conns, ref);
    return conn && !conn->let_go ? conn : NULL;
}

void conn_own(struct conn *conn, uint32_t leg, uint64_t owner)
{
    conn->leg = leg;
    conn->owner = owner;
}

uint32_t conn_leg(const struct conn *conn)
{
    return conn->leg;
}

uint64_t conn_owner(const struct conn *conn)
{
    return conn->owner;
}

void conn_peer(const struct conn *conn, char text[INET6_ADDRSTRLEN])
{
    struct sockaddr_storage peer = conn->peer;
    text[0] = '\0';
    if (conn->server && !ring_kernel_peer(conn->socket.fd, &peer))
        return;
    const void *address = peer.ss_family == AF_INET6
                              ? (const void *)&((const struct sockaddr_in6 *)&peer)->sin6_addr
                              : (const void *)&((const struct sockaddr_in *)&peer)->sin_addr;
    inet_ntop(peer.ss_family, address, text, INET6_ADDRSTRLEN);
}
