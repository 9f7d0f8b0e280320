#include "common/panic.h"
#include "edge/io/conn_inner.h"

#include <errno.h>

void conn_drop_intake(struct io *io)
{
    io->intake.wire.bytes = 0;
    io->intake.plain.bytes = 0;
}

bool conn_say_flight(struct io *io, struct conn *conn, const struct tls_flow *flow)
{
    if (conn_send_raw(io, conn, span_from(flow->out, flow->out_bytes)))
        return true;
    conn_fail(io, conn, FAULT_no_capacity);
    return false;
}

static bool decrypt(struct io *io, struct conn *conn)
{
    struct intake *intake = &io->intake;
    struct tls_flow flow = {.in = intake->wire, .out = io->flight, .out_room = sizeof io->flight};
    enum fault fault = FAULT_NONE;
    size_t plain_bytes;
    enum tls_step step = tls_read(conn->tls, &flow, io->plain, &plain_bytes, &fault);
    intake->wire = flow.in;
    intake->plain = span_from(io->plain, plain_bytes);
    if (!conn_say_flight(io, conn, &flow))
        return false;
    if (step == TLS_CLOSED)
        conn->eof = conn->eof_clean = true;
    else if (step == TLS_BAD)
        conn_fail(io, conn, fault);
    if (step != TLS_DONE)
        conn_drop_intake(io);
    return step == TLS_DONE;
}

bool conn_refill(struct io *io, struct conn *conn)
{
    struct intake *intake = &io->intake;
    if (intake->conn != conn)
        return false;
    if (intake->plain.bytes)
        return true;
    if (intake->wire.bytes == 0)
        return false;
    if (conn->tls)
        return decrypt(io, conn);
    intake->plain = intake->wire;
    intake->wire.bytes = 0;
    return true;
}

bool conn_keep_bytes(struct io *io, struct conn *conn, struct span bytes)
{
    struct block *rest = conn->rest;
    if (!rest || block_space(rest) < bytes.bytes) {
        size_t held = rest ? rest->end - rest->start : 0;
        struct block *wider =
            pool_take(&io->pool, held + (held > bytes.bytes ? held : bytes.bytes));
        if (!wider)
            return false;
        if (held)
            memcpy(wider->data, rest->data + rest->start, held);
        wider->end = held;
        pool_give(&io->pool, rest);
        conn->rest = rest = wider;
    }
    memcpy(rest->data + rest->end, bytes.data, bytes.bytes);
    rest->end += bytes.bytes;
    return true;
}

bool conn_keep(struct io *io, struct conn *conn)
{
    if (!conn_refill(io, conn))
        return false;
    bool kept = conn_keep_bytes(io, conn, io->intake.plain);
    io->intake.plain.bytes = 0;
    if (!kept)
        conn_fail(io, conn, FAULT_no_capacity);
    return kept;
}

void conn_received(struct io *io, const struct io_done *done)
{
    struct conn *conn = done->conn;
    if (!conn)
        return;
    if (!ring_more(done->flags))
        conn_touch(io, conn); /* armed again, or the end */
    if (done->result > 0) {
        COUNT_BY(io->config.metrics, bytes_received, done->result);
        conn->heard_ms = io->now_ms;
        return;
    }
    if (done->result == -ENOBUFS) {
        COUNT(io->config.metrics, receive_starved);
        return;
    }
    if (done->result == -ECANCELED)
        return;
    conn->eof = true;
    if (done->result < 0)
        conn_fail(io, conn, FAULT_peer_reset);
}
