#include "tests/io/stage.h"

#include "common/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the clock ---- */

static uint64_t skipped_ns;

uint64_t clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec +
           __atomic_load_n(&skipped_ns, __ATOMIC_RELAXED);
}

int64_t clock_wall_ms(void)
{
    return (int64_t)(clock_monotonic_ns() / 1000000);
}

void stage_skip(unsigned ms)
{
    __atomic_add_fetch(&skipped_ns, (uint64_t)ms * 1000000u, __ATOMIC_RELAXED);
}

/* ---- the owner ---- */

static void note_body(struct stage *stage, struct span body)
{
    stage->body_bytes = body.bytes;
    if (body.bytes)
        memcpy(stage->body, body.data,
               body.bytes < sizeof stage->body ? body.bytes : sizeof stage->body);
}

static void answer(struct stage *stage, struct conn *conn, const struct message *message)
{
    const struct http_head *head = message->head;
    stage->requests++;
    span_copy_text(head->method, stage->method, sizeof stage->method);
    span_copy_text(head->target, stage->target, sizeof stage->target);
    note_body(stage, message->body);
    if (head->upgrade && span_is(head->path, "/ws")) {
        conn_upgrade(stage->io, conn, stage->message_bytes_max);
        stage->opened = conn;
    } else if (span_is(head->path, "/hold")) {
        assert_true(stage->held_count < STAGE_HELD_MAX);
        stage->held[stage->held_count++] = conn;
    } else if (span_is(head->path, "/move")) {
        conn_hand_over(stage->io, conn, stage->move_to, 1);
    } else if (span_is(head->path, "/refuse")) {
        conn_refuse(stage->io, conn, FAULT_not_found);
    } else {
        conn_respond(stage->io, conn, 200, "text/plain", "", message->body,
                     span_is(head->path, "/close"));
    }
}

static void take(struct stage *stage, struct conn *conn, const struct message *message)
{
    stage->kind = message->kind;
    switch (message->kind) {
    case MESSAGE_REQUEST:
        answer(stage, conn, message);
        break;
    case MESSAGE_MORE:
        stage->mores++;
        break;
    case MESSAGE_OPEN:
        stage->opens++;
        stage->opened = conn;
        break;
    case MESSAGE_TEXT:
    case MESSAGE_BINARY:
        stage->messages++;
        note_body(stage, message->body);
        if (!stage->deaf && message->kind == MESSAGE_TEXT)
            conn_send_text(stage->io, conn, message->body);
        else if (!stage->deaf)
            conn_send_binary(stage->io, conn, message->body);
        break;
    case MESSAGE_END:
        stage->ends++;
        stage->end = *message;
        span_copy_text(message->body, stage->end_reason, sizeof stage->end_reason);
        break;
    }
}

static void pull(struct stage *stage, struct conn *conn)
{
    struct message message;
    while (conn && conn_next(stage->io, conn, &message))
        take(stage, conn, &message);
}

void stage_turn(struct stage *stage, unsigned wait_ms)
{
    struct io_done done;
    struct timer *timer;
    io_wait(stage->io, wait_ms);
    while (io_next(stage->io, &done)) {
        if (done.op == OP_ACCEPT)
            conn_accepted(stage->io, &done);
        else if (done.op == OP_CONNECT)
            conn_connected(stage->io, &done);
        else if (done.op == OP_RECEIVE)
            conn_received(stage->io, &done);
        else if (done.op == OP_SEND)
            conn_sent(stage->io, &done);
        pull(stage, done.conn);
    }
    while ((timer = wheel_take(io_wheel(stage->io))))
        pull(stage, conn_expired(stage->io, timer));
    io_flush(stage->io);
}

uint16_t stage_listen(struct stage *stage, bool tls)
{
    char error[256];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (!io_listen(stage->io, (struct sockaddr *)&address, sizeof address, tls, error,
                   sizeof error))
        fail_msg("%s", error);
    return io_port(stage->io);
}

void stage_open(struct stage *stage, struct io_config config, bool tls)
{
    char error[256];
    *stage = (struct stage){.message_bytes_max = 65536};
    config.metrics = &stage->metrics;
    config.doorbell = config.doorbell ? config.doorbell : -1;
    config.conns_max = config.conns_max ? config.conns_max : 256;
    config.receive_buffers = config.receive_buffers ? config.receive_buffers : 64;
    config.ring_entries = config.ring_entries ? config.ring_entries : 64;
    stage->io = io_open(&config, error, sizeof error);
    if (!stage->io)
        fail_msg("%s", error);
    stage->port = stage_listen(stage, tls);
    stage_turn(stage, 0);
}

void stage_close(struct stage *stage)
{
    io_close(stage->io);
    assert_int_equal(stage->metrics.conns_open, 0);
    assert_int_equal(stage->metrics.send_queued_bytes, 0);
}

struct dial stage_dial(uint16_t port, bool tls, const char *target)
{
    struct dial dial = {.address_bytes = sizeof(struct sockaddr_in),
                        .host = "localhost",
                        .port = port,
                        .tls = tls,
                        .target = target,
                        .headers = "",
                        .message_bytes_max = 65536};
    struct sockaddr_in *address = (struct sockaddr_in *)&dial.address;
    address->sin_family = AF_INET;
    address->sin_port = htons(port);
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return dial;
}

/* ---- raw peers ---- */

struct peer *peer_open(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct peer *peer = calloc(1, sizeof *peer);
    assert_non_null(peer);
    peer->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(peer->fd, (struct sockaddr *)&address, sizeof address), 0);
    return peer;
}

void peer_close(struct peer *peer)
{
    close(peer->fd);
    free(peer);
}

void peer_reset(struct peer *peer)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    peer_close(peer);
}

size_t peer_offer(struct peer *peer, const void *data, size_t bytes)
{
    ssize_t sent = send(peer->fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent > 0 ? (size_t)sent : 0;
}

void peer_send(struct stage *stage, struct peer *peer, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    for (size_t turns = 0; bytes && !peer->eof && !peer->reset; turns++) {
        size_t sent = peer_offer(peer, at, bytes);
        at += sent;
        bytes -= sent;
        if (bytes)
            stage_turn(stage, 1);
        peer_read(peer);
        assert_true(turns < 100000);
    }
}

void peer_say(struct stage *stage, struct peer *peer, const char *text)
{
    peer_send(stage, peer, text, strlen(text));
}

size_t peer_read(struct peer *peer)
{
    while (!peer->eof && !peer->reset && peer->bytes < sizeof peer->data - 1) {
        ssize_t got = recv(peer->fd, peer->data + peer->bytes, sizeof peer->data - 1 - peer->bytes,
                           MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            break;
        if (got < 0)
            peer->reset = true;
        else if (got == 0)
            peer->eof = true;
        else
            peer->bytes += (size_t)got;
    }
    peer->data[peer->bytes] = 0;
    return peer->bytes;
}

bool peer_over(struct peer *peer)
{
    peer_read(peer);
    return peer->eof || peer->reset;
}

void peer_forget(struct peer *peer)
{
    peer_read(peer);
    peer->bytes = 0;
}

bool peer_has(struct peer *peer, const char *text)
{
    peer_read(peer);
    return memmem(peer->data, peer->bytes, text, strlen(text));
}

void peer_upgrade(struct stage *stage, struct peer *peer)
{
    peer_say(stage, peer,
             "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    stage_until(stage, peer_has(peer, "\r\n\r\n"));
    assert_true(peer_has(peer, "HTTP/1.1 101 "));
    /* the key and its answer are RFC 6455's own example, section 1.3 */
    assert_true(peer_has(peer, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    peer_forget(peer);
}

void peer_frame(struct stage *stage, struct peer *peer, uint8_t first, const void *payload,
                size_t bytes)
{
    static const uint8_t mask[4] = {0x11, 0x22, 0x33, 0x44};
    uint8_t *frame = malloc(bytes + 14);
    size_t head = 2;
    assert_non_null(frame);
    frame[0] = first;
    frame[1] = (uint8_t)(0x80 | (bytes < 126 ? bytes : bytes < 65536 ? 126 : 127));
    for (int shift = bytes < 126 ? -8 : bytes < 65536 ? 8 : 56; shift >= 0; shift -= 8)
        frame[head++] = (uint8_t)(bytes >> shift);
    memcpy(frame + head, mask, 4);
    head += 4;
    for (size_t i = 0; i < bytes; i++)
        frame[head + i] = ((const uint8_t *)payload)[i] ^ mask[i % 4];
    peer_send(stage, peer, frame, head + bytes);
    free(frame);
}
