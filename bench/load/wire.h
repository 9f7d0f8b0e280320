/* wire: the generator's sockets once they talk: one io_uring under all of them.
 *
 * What it is: WebSockets that the practice peer has opened (TLS and upgrade included) are lent to a
 * ring: multishot receives with the kernel's own arrival times, sends collected and submitted
 * together. Nobody is woken by what arrives: the generator wakes by its clock, sends what is due,
 * then takes what has come. An arrival carries the kernel's time, so that when it is taken does not
 * matter: the generator's lateness is in no latency.
 * What it is not: patient with strangers; a fragmented frame ends a side.
 * Owner: a side is yours, placed by value, and must stay where it is until closed has run; from
 * wire_take on its connection belongs to wire. Thread: one. Bounds: WIRE_BUFFERS receive buffers,
 * messages WIRE_MESSAGE_BYTES_MAX, unsent bytes of a side WIRE_QUEUE_BYTES_MAX. */
#ifndef RINGBRIDGE_BENCH_LOAD_WIRE_H
#define RINGBRIDGE_BENCH_LOAD_WIRE_H

#include "tests/practice/peer.h"

#define WIRE_BUFFERS           1024 /* power of two */
#define WIRE_BUFFER_BYTES      8192
#define WIRE_MESSAGE_BYTES_MAX (1u << 20)
#define WIRE_QUEUE_BYTES_MAX   (8u << 20)

struct wire;

struct wire_hooks {
    /* A text message; body is good until the hook returns. at_ns: when the kernel got it. */
    void (*message)(void *owner, struct span body, uint64_t at_ns);
    /* The last call of a side. why: for people. */
    void (*closed)(void *owner, const char *why);
};

struct wire_bytes {
    uint8_t *data;
    size_t bytes, room;
};

struct wire_side {
    struct wire *wire; /* all private */
    struct peer_conn *conn;
    const struct wire_hooks *hooks;
    void *owner;
    int fd;
    struct ssl_st *ssl;
    bool client, receiving, sending, ending, starving, ended;
    const char *why;
    struct wire_bytes held;          /* received: part of a frame */
    struct wire_bytes queue, flight; /* to be sent; being sent */
    size_t flight_sent;
    struct wire_side *next;
};

/* Wall clock, in which all times here are. */
uint64_t wire_now_ns(void);

/* NULL when io_uring is not to be had. */
struct wire *wire_open(void);

/* Every side must have closed, or never hears again: their connections belong to the loop still. */
void wire_close(struct wire *wire);

/* Takes over an open WebSocket. client: we dialled it, so we mask. False: its peer has something
 * unsent yet; try again after its next turn. Not from within a hook of the peer's. */
bool wire_take(struct wire *wire, struct wire_side *side, struct peer_conn *conn, bool client,
               const struct wire_hooks *hooks, void *owner);

/* Queues one whole text message: header and mask (of zeros) are made here. Goes out with the next
 * wire_turn. Nothing happens on a side that is ending. */
void wire_send(struct wire_side *side, struct span text);

/* Sends a close frame and what is queued, then half-closes; closed follows. */
void wire_finish(struct wire_side *side);

/* Ends a side at once; closed follows. */
void wire_cut(struct wire_side *side, const char *why);

/* After wire_close: frees what a side that never closed still holds. */
void wire_forget(struct wire_side *side);

/* Submits what is queued and takes what has come; never waits. */
void wire_turn(struct wire *wire);

/* Bytes that the side's kernel has not taken. */
size_t wire_queued_bytes(const struct wire_side *side);

#endif
