#include "bench/load/wire.h"

#include "common/panic.h"

#include <errno.h>
#include <liburing.h>
#include <limits.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#define RING_ENTRIES  4096
#define GROUP         1
#define CONTROL_BYTES 64 /* room for one time stamp */
#define SEALED_BYTES  16384

enum op { OP_RECEIVE = 0, OP_SEND = 1 }; /* lowest bit of a side's address */

struct wire {
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    uint8_t *memory;
    struct msghdr shape; /* of every receive: no name, room for the time */
    struct wire_side *starving;
    uint8_t plain[SEALED_BYTES];
};

uint64_t wire_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static struct io_uring_sqe *get_sqe(struct wire *wire, struct wire_side *side, enum op op)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&wire->ring);
    if (!sqe) {
        io_uring_submit(&wire->ring);
        sqe = io_uring_get_sqe(&wire->ring);
    }
    assert(sqe);
    sqe->user_data = (uint64_t)(uintptr_t)side | op;
    return sqe;
}

/* ---- buffers ---- */

static void give_back(struct wire *wire, unsigned buffer)
{
    io_uring_buf_ring_add(wire->buffers, wire->memory + (size_t)buffer * WIRE_BUFFER_BYTES,
                          WIRE_BUFFER_BYTES, (unsigned short)buffer,
                          io_uring_buf_ring_mask(WIRE_BUFFERS), 0);
    io_uring_buf_ring_advance(wire->buffers, 1);
}

static bool open_buffers(struct wire *wire)
{
    size_t ring_bytes = WIRE_BUFFERS * sizeof(struct io_uring_buf);
    void *place = mmap(NULL, ring_bytes + (size_t)WIRE_BUFFERS * WIRE_BUFFER_BYTES,
                       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED)
        return false;
    wire->buffers = place;
    wire->memory = (uint8_t *)place + ring_bytes;
    io_uring_buf_ring_init(wire->buffers);
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)place, .ring_entries = WIRE_BUFFERS, .bgid = GROUP};
    if (io_uring_register_buf_ring(&wire->ring, &reg, 0) != 0)
        return false;
    for (unsigned i = 0; i < WIRE_BUFFERS; i++)
        give_back(wire, i);
    return true;
}

static bool make_room(struct wire_bytes *in, size_t bytes)
{
    if (in->bytes + bytes <= in->room)
        return true;
    size_t room = in->room ? in->room : 1024;
    while (room < in->bytes + bytes)
        room *= 2;
    uint8_t *grown = realloc(in->data, room);
    if (!grown)
        return false;
    in->data = grown;
    in->room = room;
    return true;
}

static bool add_bytes(struct wire_bytes *to, const uint8_t *data, size_t bytes)
{
    if (!make_room(to, bytes))
        return false;
    if (bytes)
        memcpy(to->data + to->bytes, data, bytes);
    to->bytes += bytes;
    return true;
}

/* ---- the end of a side ---- */

void wire_forget(struct wire_side *side)
{
    free(side->held.data);
    free(side->queue.data);
    free(side->flight.data);
    side->held = side->queue = side->flight = (struct wire_bytes){0};
}

/* When both operations have come home nothing points at the side any more. */
static void settle(struct wire_side *side)
{
    if (!side->ending || side->ended || side->receiving || side->sending || side->starving)
        return;
    side->ended = true;
    wire_forget(side);
    peer_reset(side->conn);
    side->conn = NULL;
    side->hooks->closed(side->owner, side->why);
}

static void end(struct wire_side *side, const char *why)
{
    if (!side->ending) {
        side->ending = true;
        side->why = side->why ? side->why : why;
        shutdown(side->fd, SHUT_RDWR);
    }
}

/* ---- receiving ---- */

static void receive(struct wire_side *side)
{
    struct io_uring_sqe *sqe = get_sqe(side->wire, side, OP_RECEIVE);
    io_uring_prep_recvmsg_multishot(sqe, side->fd, &side->wire->shape, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    side->receiving = true;
}

static void queue_frame(struct wire_side *side, enum peer_opcode opcode, struct span body);

/* Whole frames go to their owner from where they lie; returns how many bytes were taken. */
static size_t read_frames(struct wire_side *side, uint8_t *data, size_t bytes, uint64_t at_ns)
{
    size_t taken = 0;
    while (!side->ending) {
        enum peer_opcode opcode;
        struct span body;
        size_t frame = peer_frame_read(data + taken, bytes - taken, !side->client,
                                       WIRE_MESSAGE_BYTES_MAX, &opcode, &body);
        if (frame == PEER_FRAME_BAD)
            end(side, "frame that the generator does not take");
        if (frame == 0 || frame == PEER_FRAME_BAD)
            break;
        taken += frame;
        if (opcode == PEER_TEXT)
            side->hooks->message(side->owner, body, at_ns);
        else if (opcode == PEER_PING)
            queue_frame(side, PEER_PONG, body);
        else if (opcode == PEER_CLOSE)
            end(side, "closed by peer");
    }
    return taken;
}

static void take_plain(struct wire_side *side, uint8_t *data, size_t bytes, uint64_t at_ns)
{
    if (!side->held.bytes) {
        size_t taken = read_frames(side, data, bytes, at_ns);
        if (taken < bytes && !side->ending && !add_bytes(&side->held, data + taken, bytes - taken))
            end(side, "out of memory");
        return;
    }
    if (!add_bytes(&side->held, data, bytes)) {
        end(side, "out of memory");
        return;
    }
    size_t taken = read_frames(side, side->held.data, side->held.bytes, at_ns);
    side->held.bytes -= taken;
    memmove(side->held.data, side->held.data + taken, side->held.bytes);
}

/* What TLS can open of what it has been given. */
static void take_opened(struct wire_side *side, uint64_t at_ns)
{
    struct wire *wire = side->wire;
    int result;
    while ((result = SSL_read(side->ssl, wire->plain, sizeof wire->plain)) > 0)
        take_plain(side, wire->plain, (size_t)result, at_ns);
    int error = SSL_get_error(side->ssl, result);
    if (error != SSL_ERROR_WANT_READ)
        end(side, error == SSL_ERROR_ZERO_RETURN ? "closed by peer" : "TLS failed");
}

static uint64_t arrival_ns(const struct wire *wire, struct io_uring_recvmsg_out *out)
{
    struct msghdr *shape = (struct msghdr *)&wire->shape;
    struct timespec time;
    for (struct cmsghdr *c = io_uring_recvmsg_cmsg_firsthdr(out, shape); c;
         c = io_uring_recvmsg_cmsg_nexthdr(out, shape, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_TIMESTAMPNS)
            continue;
        memcpy(&time, CMSG_DATA(c), sizeof time);
        if (time.tv_sec)
            return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
    }
    return wire_now_ns(); /* the kernel's stamps begin a moment after the first socket asks */
}

static void take_bytes(struct wire_side *side, unsigned buffer, unsigned bytes)
{
    struct wire *wire = side->wire;
    void *place = wire->memory + (size_t)buffer * WIRE_BUFFER_BYTES;
    struct io_uring_recvmsg_out *out = io_uring_recvmsg_validate(place, (int)bytes, &wire->shape);
    assert(out);
    uint8_t *payload = io_uring_recvmsg_payload(out, &wire->shape);
    unsigned payload_bytes = io_uring_recvmsg_payload_length(out, (int)bytes, &wire->shape);
    if (payload_bytes == 0) {
        end(side, "closed by peer");
    } else if (!side->ssl) {
        take_plain(side, payload, payload_bytes, arrival_ns(wire, out));
    } else {
        BIO_write(SSL_get_rbio(side->ssl), payload, (int)payload_bytes);
        take_opened(side, arrival_ns(wire, out));
    }
}

static void received(struct wire_side *side, const struct io_uring_cqe *cqe)
{
    struct wire *wire = side->wire;
    if (!(cqe->flags & IORING_CQE_F_MORE))
        side->receiving = false;
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        unsigned buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        if (cqe->res > 0 && !side->ending)
            take_bytes(side, buffer, (unsigned)cqe->res);
        give_back(wire, buffer);
    }
    if (cqe->res == -ENOBUFS) {
        side->starving = true; /* armed again when this turn has given its buffers back */
        side->next = wire->starving;
        wire->starving = side;
    } else if (cqe->res <= 0) {
        end(side, cqe->res == 0 ? "closed by peer" : "reset");
    } else if (!side->receiving && !side->ending) {
        receive(side);
    }
    settle(side);
}

static void feed_the_starving(struct wire *wire)
{
    struct wire_side *side = wire->starving;
    wire->starving = NULL;
    while (side) {
        struct wire_side *next = side->next;
        side->starving = false;
        if (!side->ending)
            receive(side);
        settle(side);
        side = next;
    }
}

/* ---- sending ---- */

static void send_flight(struct wire_side *side)
{
    struct io_uring_sqe *sqe = get_sqe(side->wire, side, OP_SEND);
    io_uring_prep_send(sqe, side->fd, side->flight.data + side->flight_sent,
                       side->flight.bytes - side->flight_sent, MSG_NOSIGNAL);
    side->sending = true;
}

static void send_queue(struct wire_side *side)
{
    if (side->sending || side->ending || !side->queue.bytes)
        return;
    struct wire_bytes empty = side->flight;
    empty.bytes = 0;
    side->flight = side->queue;
    side->queue = empty;
    side->flight_sent = 0;
    send_flight(side);
}

static void sent(struct wire_side *side, int result)
{
    side->sending = false;
    if (result < 0) {
        end(side, "reset");
    } else if ((side->flight_sent += (size_t)result) < side->flight.bytes) {
        if (!side->ending)
            send_flight(side);
    } else {
        send_queue(side);
    }
    settle(side);
}

/* Read out, not reset: that would wipe as much memory as the largest record took. */
static void seal(struct wire_side *side)
{
    BIO *sealed = SSL_get_wbio(side->ssl);
    size_t bytes = BIO_ctrl_pending(sealed);
    bool kept = make_room(&side->queue, bytes);
    assert(kept && bytes <= INT_MAX);
    int taken = BIO_read(sealed, side->queue.data + side->queue.bytes, (int)bytes);
    assert(taken == (int)bytes);
    side->queue.bytes += bytes;
}

static void queue_frame(struct wire_side *side, enum peer_opcode opcode, struct span body)
{
    static const uint8_t mask[4] = {0};
    uint8_t frame[16384 + PEER_FRAME_HEADER_BYTES];
    assert(body.bytes <= 16384);
    if (side->ending || side->queue.bytes > WIRE_QUEUE_BYTES_MAX)
        return;
    size_t bytes = peer_frame_write(frame, opcode, body, side->client ? mask : NULL);
    if (side->ssl) {
        if (SSL_write(side->ssl, frame, (int)bytes) == (int)bytes)
            seal(side);
    } else {
        bool kept = add_bytes(&side->queue, frame, bytes);
        assert(kept);
    }
    send_queue(side);
}

void wire_send(struct wire_side *side, struct span text)
{
    queue_frame(side, PEER_TEXT, text);
}

/* The relay closes when it has read our close frame; that ends the receive and so the side. */
void wire_finish(struct wire_side *side)
{
    static const uint8_t normal[2] = {0x03, 0xe8};
    queue_frame(side, PEER_CLOSE, span_from(normal, sizeof normal));
    if (!side->why)
        side->why = "finished";
}

void wire_cut(struct wire_side *side, const char *why)
{
    end(side, why);
}

size_t wire_queued_bytes(const struct wire_side *side)
{
    return side->queue.bytes + side->flight.bytes - side->flight_sent;
}

/* ---- a ring's life ---- */

bool wire_take(struct wire *wire, struct wire_side *side, struct peer_conn *conn, bool client,
               const struct wire_hooks *hooks, void *owner)
{
    struct peer_loan loan;
    if (!peer_lend(conn, &loan))
        return false;
    *side = (struct wire_side){.wire = wire,
                               .conn = conn,
                               .hooks = hooks,
                               .owner = owner,
                               .fd = loan.fd,
                               .ssl = loan.ssl,
                               .client = client};
    setsockopt(side->fd, SOL_SOCKET, SO_TIMESTAMPNS, &(int){1}, sizeof(int));
    bool kept = add_bytes(&side->held, loan.rest.data, loan.rest.bytes);
    assert(kept);
    receive(side);
    if (side->ssl) {
        SSL_set_bio(side->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_clear_mode(side->ssl, SSL_MODE_RELEASE_BUFFERS); /* one taken for each record is dear */
        take_opened(side, wire_now_ns()); /* what it had read and not yet opened */
    }
    return true;
}

void wire_turn(struct wire *wire)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0;
    io_uring_submit_and_get_events(&wire->ring);
    io_uring_for_each_cqe(&wire->ring, head, cqe)
    {
        struct wire_side *side = (struct wire_side *)(uintptr_t)(cqe->user_data & ~1ull);
        if ((cqe->user_data & 1) == OP_RECEIVE)
            received(side, cqe);
        else
            sent(side, cqe->res);
        seen++;
    }
    io_uring_cq_advance(&wire->ring, seen);
    feed_the_starving(wire);
}

struct wire *wire_open(void)
{
    struct wire *wire = calloc(1, sizeof *wire);
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
                                              IORING_SETUP_CLAMP,
                                     .cq_entries = 16 * RING_ENTRIES};
    if (!wire || io_uring_queue_init_params(RING_ENTRIES, &wire->ring, &params) != 0) {
        free(wire);
        return NULL;
    }
    wire->shape.msg_controllen = CONTROL_BYTES;
    if (open_buffers(wire))
        return wire;
    io_uring_queue_exit(&wire->ring);
    free(wire);
    return NULL;
}

void wire_close(struct wire *wire)
{
    if (!wire)
        return;
    io_uring_queue_exit(&wire->ring);
    munmap(wire->buffers, WIRE_BUFFERS * (sizeof(struct io_uring_buf) + WIRE_BUFFER_BYTES));
    free(wire);
}
