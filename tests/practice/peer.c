/* The life of one socket: born by accept or dial, read, written, finished, buried. */
#include "tests/practice/peer_inner.h"

#include "common/panic.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FINISH_MS 1000 /* how long we wait for the other side's end */

bool peer_buffer_add(struct peer_buffer *buffer, struct span bytes)
{
    if (buffer->start == buffer->bytes)
        buffer->start = buffer->bytes = 0;
    if (buffer->bytes + bytes.bytes > buffer->room && buffer->start) {
        memmove(buffer->data, buffer->data + buffer->start, buffer->bytes - buffer->start);
        buffer->bytes -= buffer->start;
        buffer->start = 0;
    }
    if (buffer->bytes + bytes.bytes > buffer->room) {
        size_t room = buffer->room ? buffer->room : 1024;
        while (room < buffer->bytes + bytes.bytes)
            room *= 2;
        uint8_t *data = realloc(buffer->data, room);
        if (!data)
            return false;
        buffer->data = data;
        buffer->room = room;
    }
    if (bytes.bytes)
        memcpy(buffer->data + buffer->bytes, bytes.data, bytes.bytes);
    buffer->bytes += bytes.bytes;
    return true;
}

struct span peer_buffer_rest(const struct peer_buffer *buffer)
{
    if (buffer->start == buffer->bytes)
        return (struct span){NULL, 0};
    return span_from(buffer->data + buffer->start, buffer->bytes - buffer->start);
}

void peer_buffer_take(struct peer_buffer *buffer, size_t bytes)
{
    assert(bytes <= buffer->bytes - buffer->start);
    buffer->start += bytes;
}

/* ---- birth and end ---- */

static void tell_epoll(struct peer_conn *conn)
{
    bool write = conn->state == PEER_CONNECTING || conn->had_to_wait;
    uint32_t interest = (conn->paused ? 0 : (uint32_t)EPOLLIN) | (write ? (uint32_t)EPOLLOUT : 0);
    if (interest == conn->interest || conn->state == PEER_OVER)
        return;
    struct epoll_event event = {.events = interest, .data.ptr = conn};
    if (epoll_ctl(conn->loop->epoll, EPOLL_CTL_MOD, conn->source.fd, &event) == 0)
        conn->interest = interest;
}

static void deadline_passed(void *owner)
{
    struct peer_conn *conn = owner;
    peer_over(conn, conn->deadline_why);
}

struct peer_conn *peer_new(struct peer_loop *loop, int fd, bool client)
{
    struct peer_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    conn->source = (struct peer_source){PEER_SOURCE_CONN, fd};
    conn->loop = loop;
    conn->client = client;
    conn->close_code = 1006;
    conn->deadline = (struct peer_timer){.fire = deadline_passed, .owner = conn};
    conn->interest = client ? (uint32_t)(EPOLLIN | EPOLLOUT) : (uint32_t)EPOLLIN;
    struct epoll_event event = {.events = conn->interest, .data.ptr = conn};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        free(conn);
        return NULL;
    }
    conn->next = loop->conns;
    if (conn->next)
        conn->next->previous = conn;
    loop->conns = conn;
    return conn;
}

void peer_arm(struct peer_conn *conn, unsigned after_ms, const char *why)
{
    conn->deadline_why = why;
    peer_timer_set(conn->loop, &conn->deadline, conn->loop->now_ns + (uint64_t)after_ms * 1000000);
}

void peer_over(struct peer_conn *conn, const char *why)
{
    if (conn->state == PEER_OVER)
        return;
    if (!conn->why)
        conn->why = why;
    conn->state = PEER_OVER;
    peer_timer_clear(conn->loop, &conn->deadline);
    peer_loop_touch(conn);
}

void peer_bury(struct peer_conn *conn)
{
    assert(conn->state == PEER_OVER && !conn->touched);
    if (conn->hooks && conn->hooks->closed) {
        struct peer_ending ending = {.why = conn->why,
                                     .websocket = conn->speech == PEER_WS,
                                     .close_code = conn->close_code,
                                     .reason = span_of(conn->close_reason),
                                     .sent_code = conn->sent_code};
        conn->hooks->closed(conn, &ending);
    }
    assert(!conn->touched && !conn->deadline.place);
    if (conn->next)
        conn->next->previous = conn->previous;
    if (conn->previous)
        conn->previous->next = conn->next;
    else
        conn->loop->conns = conn->next;
    if (conn->reset)
        setsockopt(conn->source.fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0},
                   sizeof(struct linger));
    SSL_free(conn->ssl);
    close(conn->source.fd);
    if (conn->ws)
        wslay_event_context_free(conn->ws);
    free(conn->in.data);
    free(conn->out.data);
    free(conn->host);
    free(conn);
}

void peer_reset(struct peer_conn *conn)
{
    conn->reset = true;
    peer_over(conn, "reset by us");
}

void peer_finish(struct peer_conn *conn)
{
    if (conn->state == PEER_FINISHING || conn->state == PEER_OVER)
        return;
    if (conn->state != PEER_OPEN) {
        peer_over(conn, "given up by us");
        return;
    }
    conn->state = PEER_FINISHING;
    conn->paused = false;
    if (!conn->why)
        conn->why = "finished";
    peer_arm(conn, FINISH_MS, "finished");
    peer_loop_touch(conn);
}

/* ---- writing ---- */

/* Bytes that the transport took, 0 when it is full, -1 when it is dead. */
static ssize_t write_some(struct peer_conn *conn, struct span bytes)
{
    if (!conn->ssl) {
        ssize_t sent = send(conn->source.fd, bytes.data, bytes.bytes, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        return sent;
    }
    int most = bytes.bytes < INT_MAX ? (int)bytes.bytes : INT_MAX;
    int sent = SSL_write(conn->ssl, bytes.data, most);
    if (sent > 0)
        return sent;
    int error = SSL_get_error(conn->ssl, sent);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void half_close(struct peer_conn *conn)
{
    conn->half_closed = true;
    if (conn->ssl)
        SSL_shutdown(conn->ssl);
    shutdown(conn->source.fd, SHUT_WR);
}

static void flush(struct peer_conn *conn)
{
    if (conn->state != PEER_OPEN && conn->state != PEER_FINISHING)
        return;
    struct span rest = peer_buffer_rest(&conn->out);
    while (rest.bytes) {
        ssize_t sent = write_some(conn, rest);
        if (sent < 0) {
            peer_over(conn, "reset");
            return;
        }
        if (sent == 0) {
            conn->had_to_wait = true;
            tell_epoll(conn);
            return;
        }
        peer_buffer_take(&conn->out, (size_t)sent);
        rest = peer_buffer_rest(&conn->out);
    }
    bool waited = conn->had_to_wait;
    conn->had_to_wait = false;
    tell_epoll(conn);
    if (waited && conn->state == PEER_OPEN && conn->hooks->drained)
        conn->hooks->drained(conn);
    if (conn->state == PEER_FINISHING && !conn->half_closed && !peer_buffer_rest(&conn->out).bytes)
        half_close(conn);
}

void peer_queue(struct peer_conn *conn, struct span bytes)
{
    if (conn->state == PEER_OVER || conn->state == PEER_FINISHING)
        return;
    if (!peer_buffer_add(&conn->out, bytes)) {
        peer_over(conn, "out of memory");
        return;
    }
    if (peer_buffer_rest(&conn->out).bytes > PEER_QUEUE_BYTES_MAX)
        peer_over(conn, "does not read: send queue full");
    peer_loop_touch(conn);
}

void peer_send_raw(struct peer_conn *conn, struct span bytes)
{
    if (conn->state == PEER_OPEN && !peer_buffer_rest(&conn->out).bytes) {
        ssize_t sent = write_some(conn, bytes);
        if (sent < 0) {
            peer_over(conn, "reset");
            return;
        }
        bytes = span_from(bytes.data + sent, bytes.bytes - (size_t)sent);
    }
    if (bytes.bytes)
        peer_queue(conn, bytes);
}

/* ---- reading ---- */

/* Hands bytes to whoever reads now; returns how many were taken. */
static size_t feed(struct peer_conn *conn, uint8_t *data, size_t bytes, bool at_end)
{
    size_t taken = 0;
    while (conn->state == PEER_OPEN && (taken < bytes || at_end)) {
        size_t more = 0;
        if (conn->speech == PEER_WS)
            more = peer_ws_read(conn, data + taken, bytes - taken);
        else if (conn->speech != PEER_HTTP_OWED)
            more = peer_http_read(conn, span_from(data + taken, bytes - taken), at_end);
        if (more == 0)
            break;
        taken += more;
    }
    return conn->state == PEER_OPEN ? taken : bytes;
}

static void feed_held(struct peer_conn *conn, bool at_end)
{
    struct peer_buffer held = conn->in; /* hooks cannot reach it, yet nothing may point at it */
    conn->in = (struct peer_buffer){0};
    struct span rest = peer_buffer_rest(&held);
    size_t taken = feed(conn, held.data + held.start, rest.bytes, at_end);
    assert(peer_buffer_rest(&conn->in).bytes == 0);
    free(conn->in.data);
    conn->in = held;
    peer_buffer_take(&conn->in, taken);
    if (conn->in.start == conn->in.bytes && conn->in.room > PEER_SCRATCH_BYTES) {
        free(conn->in.data);
        conn->in = (struct peer_buffer){0};
    }
}

static void take_in(struct peer_conn *conn, size_t bytes)
{
    uint8_t *scratch = conn->loop->scratch;
    if (conn->state == PEER_FINISHING)
        return;
    if (!peer_buffer_rest(&conn->in).bytes) {
        size_t taken = feed(conn, scratch, bytes, false);
        if (taken < bytes && !peer_buffer_add(&conn->in, span_from(scratch + taken, bytes - taken)))
            peer_over(conn, "out of memory");
        return;
    }
    if (!peer_buffer_add(&conn->in, span_from(scratch, bytes)))
        peer_over(conn, "out of memory");
    else
        feed_held(conn, false);
    if (peer_buffer_rest(&conn->in).bytes > conn->message_bytes_max + 2 * PEER_HEAD_BYTES_MAX)
        peer_over(conn, "message too long");
}

static void came_to_end(struct peer_conn *conn, const char *why)
{
    if (conn->state == PEER_OPEN && conn->speech == PEER_HTTP_CLIENT)
        feed_held(conn, true);
    if (conn->state == PEER_FINISHING)
        peer_over(conn, "finished");
    else
        peer_over(conn, why);
}

static void read_plain(struct peer_conn *conn)
{
    ssize_t got = recv(conn->source.fd, conn->loop->scratch, PEER_SCRATCH_BYTES, 0);
    if (got > 0)
        take_in(conn, (size_t)got);
    else if (got == 0)
        came_to_end(conn, "closed by peer");
    else if (errno != EAGAIN && errno != EINTR)
        came_to_end(conn, "reset");
}

/* OpenSSL may hold whole records that epoll knows nothing of: read until it wants more, at most one
 * scratch full a turn. */
static void read_sealed(struct peer_conn *conn)
{
    size_t bytes = 0;
    int result = 1;
    while (bytes < PEER_SCRATCH_BYTES) {
        result =
            SSL_read(conn->ssl, conn->loop->scratch + bytes, (int)(PEER_SCRATCH_BYTES - bytes));
        if (result <= 0)
            break;
        bytes += (size_t)result;
    }
    conn->more_in_tls = result > 0;
    if (conn->more_in_tls)
        peer_loop_touch(conn);
    int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(conn->ssl, result);
    if (bytes)
        take_in(conn, bytes);
    if (error == SSL_ERROR_ZERO_RETURN)
        came_to_end(conn, "closed by peer");
    else if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ &&
             error != SSL_ERROR_WANT_WRITE)
        came_to_end(conn, "reset");
}

static void read_some(struct peer_conn *conn)
{
    if (conn->paused || (conn->state != PEER_OPEN && conn->state != PEER_FINISHING))
        return;
    if (conn->ssl)
        read_sealed(conn);
    else
        read_plain(conn);
}

void peer_settle(struct peer_conn *conn)
{
    if (conn->more_in_tls) {
        conn->more_in_tls = false;
        read_some(conn);
    }
    if (conn->state == PEER_OPEN && !conn->paused && conn->speech != PEER_HTTP_OWED &&
        peer_buffer_rest(&conn->in).bytes)
        feed_held(conn, false);
    flush(conn);
}

/* ---- events ---- */

static void shake_hands(struct peer_conn *conn)
{
    int result = SSL_do_handshake(conn->ssl);
    if (result == 1) {
        conn->had_to_wait = false;
        peer_ready(conn);
        read_some(conn); /* what came with the last handshake bytes is inside OpenSSL now */
        return;
    }
    int error = SSL_get_error(conn->ssl, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        peer_over(conn, "TLS handshake failed");
        return;
    }
    conn->had_to_wait = error == SSL_ERROR_WANT_WRITE;
    tell_epoll(conn);
}

static void connected(struct peer_conn *conn)
{
    int error = 0;
    socklen_t bytes = sizeof error;
    getsockopt(conn->source.fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
    if (error) {
        peer_over(conn, "cannot connect");
        return;
    }
    if (conn->ssl) {
        conn->state = PEER_HANDSHAKING;
        shake_hands(conn);
    } else {
        peer_ready(conn);
    }
}

void peer_ready(struct peer_conn *conn)
{
    conn->state = PEER_OPEN;
    tell_epoll(conn);
    peer_loop_touch(conn);
}

void peer_events(struct peer_conn *conn, uint32_t events)
{
    if (conn->state == PEER_OVER)
        return;
    if (conn->state == PEER_CONNECTING) {
        connected(conn);
        return;
    }
    if (conn->state == PEER_HANDSHAKING) {
        shake_hands(conn);
        return;
    }
    if (conn->paused && events & (EPOLLERR | EPOLLHUP)) {
        peer_over(conn, "reset");
        return;
    }
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        read_some(conn);
    if (events & EPOLLOUT)
        peer_loop_touch(conn);
}

/* ---- small change ---- */

void *peer_owner(const struct peer_conn *conn)
{
    return conn->owner;
}

void peer_set_owner(struct peer_conn *conn, void *owner)
{
    conn->owner = owner;
}

void peer_set_hooks(struct peer_conn *conn, const struct peer_hooks *hooks)
{
    conn->hooks = hooks;
}

struct peer_loop *peer_loop_of(const struct peer_conn *conn)
{
    return conn->loop;
}

size_t peer_queued_bytes(const struct peer_conn *conn)
{
    return peer_buffer_rest(&conn->out).bytes;
}

bool peer_lend(struct peer_conn *conn, struct peer_loan *loan)
{
    static const struct peer_hooks nobody = {0};
    if (conn->state != PEER_OPEN || conn->speech != PEER_WS || conn->touched ||
        peer_buffer_rest(&conn->out).bytes)
        return false;
    epoll_ctl(conn->loop->epoll, EPOLL_CTL_DEL, conn->source.fd, NULL);
    conn->hooks = &nobody;
    *loan = (struct peer_loan){conn->source.fd, conn->ssl, peer_buffer_rest(&conn->in)};
    return true;
}

void peer_pause(struct peer_conn *conn)
{
    if (conn->state != PEER_OPEN)
        return;
    conn->paused = true;
    tell_epoll(conn);
}

void peer_resume(struct peer_conn *conn)
{
    conn->paused = false;
    conn->more_in_tls = conn->ssl != NULL;
    tell_epoll(conn);
    peer_loop_touch(conn);
}
