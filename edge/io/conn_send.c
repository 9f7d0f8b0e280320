#include "common/panic.h"
#include "edge/io/conn_inner.h"
#include "edge/io/ring_kernel.h"

/* A block holds what one turn sends to a busy leg; a queue that has grown takes larger ones, so
 * that one send moves much of it. */
#define BLOCK_BYTES       (4096 - sizeof(struct block))
#define BLOCK_BYTES_LARGE (65536 - sizeof(struct block))

static size_t larger(size_t left, size_t right)
{
    return left > right ? left : right;
}

static void append(struct conn *conn, struct block *block)
{
    assert(!block->next);
    if (conn->send_last)
        conn->send_last->next = block;
    else
        conn->send_first = block;
    conn->send_last = block;
}

/* The queue's last block, with room for so many bytes. Bytes may be added behind those that the
 * kernel reads: it was told how many. */
static struct block *last_with_room(struct io *io, struct conn *conn, size_t bytes)
{
    if (conn->send_last && block_space(conn->send_last) >= bytes)
        return conn->send_last;
    size_t usual = conn->send_bytes < BLOCK_BYTES_LARGE ? BLOCK_BYTES : BLOCK_BYTES_LARGE;
    struct block *block = pool_take(&io->pool, larger(bytes, usual));
    if (block)
        append(conn, block);
    return block;
}

/* So many bytes of the last block are new. */
static void queued(struct io *io, struct conn *conn, size_t bytes)
{
    struct block *block = conn->send_last;
    assert(bytes <= block_space(block));
    block->end += bytes;
    if (conn->send_bytes == 0)
        conn->send_deadline_ms = io->now_ms + SEND_PROGRESS_MS;
    conn->send_bytes += bytes;
    GAUGE_ADD(io->config.metrics, send_queued_bytes, bytes);
    conn_touch(io, conn);
}

static void unqueued(struct io *io, struct conn *conn, size_t bytes)
{
    assert(bytes <= conn->send_bytes);
    conn->send_bytes -= bytes;
    GAUGE_SUB(io->config.metrics, send_queued_bytes, bytes);
}

uint8_t *conn_send_begin(struct io *io, struct conn *conn, size_t bytes)
{
    assert(!io->draft.conn && bytes > 0);
    struct draft draft = {.conn = conn, .room = bytes};
    size_t room = conn->tls ? tls_sealed_bytes_max(conn->tls, bytes) : bytes;
    struct block *last = last_with_room(io, conn, room);
    if (!last)
        return NULL;
    if (!conn->tls) {
        draft.data = last->data + last->end;
    } else if (bytes <= sizeof io->scratch) {
        draft.data = io->scratch;
    } else {
        draft.borrowed = pool_take(&io->pool, bytes);
        if (!draft.borrowed)
            return NULL;
        draft.data = draft.borrowed->data;
    }
    io->draft = draft;
    return draft.data;
}

static void seal(struct io *io, struct conn *conn, struct span plain)
{
    struct block *last = conn->send_last;
    struct tls_flow flow = {.out = last->data + last->end, .out_room = block_space(last)};
    bool sealed = tls_write(conn->tls, &flow, plain);
    queued(io, conn, flow.out_bytes);
    conn->broken |= !sealed;
}

void conn_send_end(struct io *io, struct conn *conn, size_t bytes)
{
    struct draft draft = io->draft;
    assert(draft.conn == conn && draft.room == bytes);
    io->draft = (struct draft){0};
    if (conn->tls)
        seal(io, conn, span_from(draft.data, bytes));
    else
        queued(io, conn, bytes);
    pool_give(&io->pool, draft.borrowed);
}

bool conn_send_copy(struct io *io, struct conn *conn, struct span bytes)
{
    uint8_t *data = conn_send_begin(io, conn, bytes.bytes);
    if (!data)
        return false;
    memcpy(data, bytes.data, bytes.bytes);
    conn_send_end(io, conn, bytes.bytes);
    return true;
}

bool conn_send_raw(struct io *io, struct conn *conn, struct span bytes)
{
    if (bytes.bytes == 0)
        return true;
    struct block *last = last_with_room(io, conn, bytes.bytes);
    if (!last)
        return false;
    memcpy(last->data + last->end, bytes.data, bytes.bytes);
    queued(io, conn, bytes.bytes);
    return true;
}

bool conn_send_block(struct io *io, struct conn *conn, struct block *block)
{
    bool taken = true;
    if (conn->tls) {
        taken = conn_send_copy(io, conn, block_span(block));
        pool_give(&io->pool, block);
        explicit_bzero(io->scratch, sizeof io->scratch);
    } else {
        size_t bytes = block->end;
        block->end = 0;
        append(conn, block);
        queued(io, conn, bytes);
    }
    return taken;
}

/* The first block is used up. */
static void shift(struct io *io, struct conn *conn)
{
    struct block *first = conn->send_first;
    assert(first->start == first->end);
    conn->send_first = first->next;
    if (!conn->send_first)
        conn->send_last = NULL;
    pool_give(&io->pool, first);
}

void conn_send_flush(struct io *io, struct conn *conn)
{
    if (ring_flies(&conn->socket, OP_SEND))
        return;
    while (conn->send_first && conn->send_first->start == conn->send_first->end)
        shift(io, conn); /* room was made, then nothing came of it */
    if (!conn->send_first)
        return;
    struct span bytes = block_span(conn->send_first);
    conn->flying_bytes = bytes.bytes;
    ring_send(io->ring, &conn->socket, bytes);
}

void conn_send_drop(struct io *io, struct conn *conn)
{
    assert(!ring_flies(&conn->socket, OP_SEND));
    while (conn->send_first) {
        struct block *block = conn->send_first;
        conn->send_first = block->next;
        pool_give(&io->pool, block);
    }
    conn->send_last = NULL;
    unqueued(io, conn, conn->send_bytes);
    conn->send_deadline_ms = 0;
}

/* The kernel took so many bytes. */
static void taken(struct io *io, struct conn *conn, size_t bytes)
{
    struct block *first = conn->send_first;
    assert(first && bytes <= conn->flying_bytes);
    if (bytes < conn->flying_bytes)
        COUNT(io->config.metrics, send_short);
    COUNT_BY(io->config.metrics, bytes_sent, bytes);
    first->start += bytes;
    unqueued(io, conn, bytes);
    conn->send_deadline_ms = conn->send_bytes ? io->now_ms + SEND_PROGRESS_MS : 0;
    if (first->start == first->end)
        shift(io, conn);
}

void conn_sent(struct io *io, const struct io_done *done)
{
    struct conn *conn = done->conn;
    if (!conn)
        return;
    if (done->result > 0)
        taken(io, conn, (size_t)done->result);
    conn->flying_bytes = 0;
    if (conn->phase >= PHASE_ENDING) {
        conn_touch(io, conn);
        return;
    }
    if (done->result <= 0) {
        conn_fail(io, conn, FAULT_peer_reset);
        return;
    }
    if (conn->send_bytes || conn->pong_owed || conn->phase == PHASE_LINGER ||
        conn->phase == PHASE_MOVE)
        conn_touch(io, conn);
    if (conn->send_bytes == 0 && conn->phase == PHASE_RESPOND)
        conn_http_responded(io, conn);
}

void conn_keep_short(const struct conn *conn)
{
    ring_kernel_limit_unsent(conn->socket.fd);
}

size_t conn_queued_bytes(const struct conn *conn)
{
    return conn->send_bytes;
}
