#include "common/panic.h"
#include "edge/io/conn_inner.h"
#include "edge/io/ring_kernel.h"

#include <stdlib.h>

/* A connection between two cores: nobody's ring knows it. */
struct conn_parcel {
    int fd;
    uint64_t door_key;
    bool eof, eof_clean;
    struct tls *tls;
    size_t bytes; /* the request at hand and whatever came behind it */
    uint8_t data[];
};

void conn_hand_over(struct io *io, struct conn *conn, struct mail *target, uint32_t letter_kind)
{
    assert(!conn->let_go && conn->server);
    conn->let_go = true;
    conn->end_due = false;
    if (conn->phase != PHASE_ANSWER) { /* it ended meanwhile */
        conn_touch(io, conn);
        return;
    }
    conn->move_target = target;
    conn->move_kind = letter_kind;
    conn_enter(io, conn, PHASE_MOVE, WS_CLOSE_MS);
}

static struct conn_parcel *pack(const struct io *io, const struct conn *conn)
{
    struct span rest = block_span(conn->rest);
    struct conn_parcel *parcel = malloc(sizeof *parcel + rest.bytes);
    if (!parcel)
        return NULL;
    *parcel = (struct conn_parcel){.fd = conn->socket.fd,
                                   .door_key = door_key_of(&io->door, conn->door),
                                   .eof = conn->eof,
                                   .eof_clean = conn->eof_clean,
                                   .tls = conn->tls,
                                   .bytes = rest.bytes};
    memcpy(parcel->data, rest.data, rest.bytes);
    return parcel;
}

/* The letter may be read before mail_send returns: fd and TLS are the other core's from then on,
 * unless it said no. */
void conn_move_ship(struct io *io, struct conn *conn)
{
    assert(conn->phase == PHASE_MOVE && conn->socket.in_flight == 0);
    assert(conn->send_bytes == 0 && conn->rest);
    struct conn_parcel *parcel = pack(io, conn);
    struct letter letter = {.kind = conn->move_kind, .content = parcel};
    if (parcel && mail_send(conn->move_target, letter)) {
        conn->socket.fd = -1;
        conn->tls = NULL;
        conn_enter(io, conn, PHASE_GONE, 0);
        return;
    }
    free(parcel);
    conn->cancelled = false;
    conn->phase = PHASE_ANSWER;
    conn_refuse(io, conn, FAULT_no_capacity);
}

void conn_parcel_free(struct conn_parcel *parcel)
{
    if (!parcel)
        return;
    tls_free(parcel->tls);
    ring_kernel_close_fd(parcel->fd);
    free(parcel);
}

struct conn *conn_adopt(struct io *io, struct conn_parcel *parcel)
{
    struct block *rest = pool_take(&io->pool, parcel->bytes);
    struct conn *conn = rest ? conn_make(io, parcel->fd, true) : NULL;
    if (!conn) {
        COUNT(io->config.metrics, faults[FAULT_no_capacity]);
        pool_give(&io->pool, rest);
        conn_parcel_free(parcel);
        return NULL;
    }
    memcpy(rest->data, parcel->data, parcel->bytes);
    rest->end = parcel->bytes;
    conn->rest = rest;
    conn->door = door_move_in(&io->door, parcel->door_key, io->now_ms);
    conn->tls = parcel->tls;
    conn->eof = parcel->eof;
    conn->eof_clean = parcel->eof_clean;
    conn->phase = PHASE_HEAD;
    conn_enter(io, conn, PHASE_HEAD, HTTP_HEAD_MS);
    free(parcel);
    return conn;
}
