#include "edge/io/ring.h"

#include "common/panic.h"
#include "edge/io/poison.h"
#include "edge/io/ring_kernel.h"
#include "edge/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

_Static_assert(OP_COUNT <= 32, "the ledger is one bit per op in 32 bits");

static uint64_t tag(enum op op, uint64_t ref)
{
    assert(ref >> 56 == 0);
    return (uint64_t)op << 56 | ref;
}

static uint8_t *buffer_at(const struct ring *ring, uint16_t buffer)
{
    assert(buffer < ring->buffers_count);
    return ring->buffers + (size_t)buffer * RECEIVE_BUFFER_BYTES;
}

static void lend(struct ring *ring, uint16_t buffer)
{
    uint8_t *memory = buffer_at(ring, buffer);
    poison(memory, RECEIVE_BUFFER_BYTES);
    io_uring_buf_ring_add(ring->buffer_ring, memory, RECEIVE_BUFFER_BYTES, buffer,
                          io_uring_buf_ring_mask(ring->buffers_count), 0);
    io_uring_buf_ring_advance(ring->buffer_ring, 1);
}

/* Those that go round are few, so that the cache holds them; a receive that found none brings one
 * more among them. */
static void widen(struct ring *ring)
{
    if (ring->buffers_used < ring->buffers_count)
        lend(ring, (uint16_t)ring->buffers_used++);
}

struct ring *ring_open(const struct ring_config *config, char *error, size_t room)
{
    assert(config->buffers && (config->buffers & (config->buffers - 1)) == 0);
    struct ring *ring = calloc(1, sizeof *ring);
    if (!ring)
        return NULL;
    if (!ring_kernel_open(ring, config, error, room)) {
        free(ring);
        return NULL;
    }
    ring->buffers_count = config->buffers;
    io_uring_buf_ring_init(ring->buffer_ring);
    for (unsigned i = 0; i < BUFFERS_GOING_ROUND; i++)
        widen(ring);
    return ring;
}

void ring_close(struct ring *ring)
{
    assert(ring->buffers_out == 0);
    unpoison(ring->buffers, (size_t)ring->buffers_count * RECEIVE_BUFFER_BYTES);
    ring_kernel_close(ring);
    free(ring);
}

struct io_uring_sqe *ring_prepare(struct ring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    if (!sqe) {
        ring_kernel_submit(ring);
        sqe = io_uring_get_sqe(&ring->uring);
    }
    assert(sqe);
    return sqe;
}

static void depart(struct io_uring_sqe *sqe, struct ring_socket *socket, enum op op)
{
    assert(socket->fd >= 0);
    assert(!ring_flies(socket, op));
    socket->in_flight |= 1u << op;
    sqe->user_data = tag(op, socket->ref);
}

void ring_accept(struct ring *ring, struct ring_socket *socket)
{
    struct io_uring_sqe *sqe = ring_prepare(ring);
    io_uring_prep_multishot_accept(sqe, socket->fd, NULL, NULL, SOCK_CLOEXEC);
    depart(sqe, socket, OP_ACCEPT);
}

void ring_connect(struct ring *ring, struct ring_socket *socket, const struct sockaddr *address,
                  socklen_t address_bytes)
{
    struct io_uring_sqe *sqe = ring_prepare(ring);
    io_uring_prep_connect(sqe, socket->fd, address, address_bytes);
    depart(sqe, socket, OP_CONNECT);
}

void ring_receive(struct ring *ring, struct ring_socket *socket)
{
    struct io_uring_sqe *sqe = ring_prepare(ring);
    io_uring_prep_recv_multishot(sqe, socket->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = RING_BUFFER_GROUP;
    depart(sqe, socket, OP_RECEIVE);
}

void ring_send(struct ring *ring, struct ring_socket *socket, struct span bytes)
{
    assert(bytes.bytes > 0);
    assert(addressable(bytes.data, bytes.bytes));
    struct io_uring_sqe *sqe = ring_prepare(ring);
    io_uring_prep_send(sqe, socket->fd, bytes.data, bytes.bytes, MSG_NOSIGNAL);
    depart(sqe, socket, OP_SEND);
}

void ring_cancel(struct ring *ring, struct ring_socket *socket)
{
    assert(socket->in_flight != 0);
    struct io_uring_sqe *sqe = ring_prepare(ring);
    io_uring_prep_cancel_fd(sqe, socket->fd, IORING_ASYNC_CANCEL_ALL);
    depart(sqe, socket, OP_CANCEL);
}

void ring_shut(struct ring *ring, struct ring_socket *socket)
{
    assert(socket->in_flight == 0);
    struct io_uring_sqe *sqe = ring_prepare(ring);
    io_uring_prep_close(sqe, socket->fd);
    depart(sqe, socket, OP_CLOSE);
}

void ring_drop(struct ring *ring, int fd)
{
    struct io_uring_sqe *sqe = ring_prepare(ring);
    io_uring_prep_close(sqe, fd);
    sqe->user_data = tag(OP_NONE, 0);
}

void ring_watch(struct ring *ring, struct ring_socket *socket)
{
    struct io_uring_sqe *sqe = ring_prepare(ring);
    io_uring_prep_poll_multishot(sqe, socket->fd, POLLIN);
    depart(sqe, socket, OP_WAKE);
}

static void depart_file(struct io_uring_sqe *sqe, struct ring_socket *socket, enum op op)
{
    assert(socket->in_flight == 0);
    socket->in_flight = 1u << op;
    sqe->user_data = tag(op, socket->ref);
}

void ring_file_open(struct ring *ring, struct ring_socket *socket, int directory, const char *name)
{
    assert(socket->fd < 0);
    struct io_uring_sqe *sqe = ring_prepare(ring);
    io_uring_prep_openat(sqe, directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                         S_IRUSR | S_IWUSR);
    depart_file(sqe, socket, OP_FILE_OPEN);
}

void ring_file_rename(struct ring *ring, struct ring_socket *socket, int directory,
                      const char *from, const char *to)
{
    struct io_uring_sqe *sqe = ring_prepare(ring);
    io_uring_prep_renameat(sqe, directory, from, directory, to, RENAME_NOREPLACE);
    depart_file(sqe, socket, OP_FILE_RENAME);
}

void ring_file_write(struct ring *ring, struct ring_socket *socket, struct span bytes,
                     uint64_t offset)
{
    assert(socket->fd >= 0 && bytes.bytes > 0 && bytes.bytes <= INT32_MAX);
    assert(addressable(bytes.data, bytes.bytes));
    struct io_uring_sqe *sqe = ring_prepare(ring);
    io_uring_prep_write(sqe, socket->fd, bytes.data, (unsigned)bytes.bytes, offset);
    depart_file(sqe, socket, OP_FILE_WRITE);
}

void ring_file_close(struct ring *ring, struct ring_socket *socket)
{
    struct io_uring_sqe *sqe = ring_prepare(ring);
    if (socket->fd >= 0)
        io_uring_prep_close(sqe, socket->fd);
    else
        io_uring_prep_nop(sqe);
    depart_file(sqe, socket, OP_FILE_CLOSE);
}

/* The queue was sized for every possible answer; one that was dropped would be waited for in vain,
 * for ever. */
static void check_overflow(const struct ring *ring)
{
    assert(IO_URING_READ_ONCE(*ring->uring.cq.koverflow) == 0);
}

void ring_submit(struct ring *ring)
{
    assert(ring->buffers_out == 0);
    if (io_uring_sq_ready(&ring->uring) == 0)
        return;
    ring_kernel_submit(ring);
    check_overflow(ring);
}

void ring_wait(struct ring *ring, uint64_t now_ns, uint64_t until_ns)
{
    assert(ring->buffers_out == 0);
    if (until_ns > now_ns)
        ring_kernel_wait(ring, now_ns, until_ns);
    else
        ring_kernel_submit(ring);
    check_overflow(ring);
}

unsigned ring_ready(const struct ring *ring)
{
    return io_uring_cq_ready(&ring->uring);
}

bool ring_take(struct ring *ring, struct ring_answer *answer)
{
    if (io_uring_cq_ready(&ring->uring) == 0)
        return false;
    const struct io_uring_cq *queue = &ring->uring.cq;
    const struct io_uring_cqe *cqe = &queue->cqes[*queue->khead & queue->ring_mask];
    uint64_t op = cqe->user_data >> 56;
    assert(op < OP_COUNT);
    *answer = (struct ring_answer){.op = (enum op)op,
                                   .ref = cqe->user_data & (UINT64_MAX >> 8),
                                   .result = cqe->res,
                                   .flags = cqe->flags};
    io_uring_cq_advance(&ring->uring, 1);
    if (op == OP_ALARM)
        ring->alarm_ns = 0;
    if (op == OP_RECEIVE && answer->result == -ENOBUFS)
        widen(ring);
    return true;
}

bool ring_more(uint32_t flags)
{
    return flags & IORING_CQE_F_MORE;
}

void ring_landed(struct ring_socket *socket, const struct ring_answer *answer)
{
    assert(socket->ref == answer->ref);
    assert(ring_flies(socket, answer->op));
    if (!ring_more(answer->flags))
        socket->in_flight &= ~(1u << answer->op);
}

bool ring_has_buffer(uint32_t flags)
{
    return flags & IORING_CQE_F_BUFFER;
}

struct span ring_buffer(struct ring *ring, uint32_t flags, int result, uint16_t *buffer)
{
    assert(ring_has_buffer(flags));
    assert(result >= 0 && result <= RECEIVE_BUFFER_BYTES);
    *buffer = (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT);
    uint8_t *memory = buffer_at(ring, *buffer);
    unpoison(memory, (size_t)result);
    ring->buffers_out++;
    return span_from(memory, (size_t)result);
}

void ring_give_back(struct ring *ring, uint16_t buffer)
{
    assert(ring->buffers_out > 0);
    ring->buffers_out--;
    lend(ring, buffer);
}

size_t ring_footprint_bytes(const struct ring_config *config)
{
    return sizeof(struct ring) +
           (size_t)config->buffers * (RECEIVE_BUFFER_BYTES + sizeof(struct io_uring_buf)) +
           (size_t)config->entries * sizeof(struct io_uring_sqe) +
           (size_t)config->answers * sizeof(struct io_uring_cqe);
}
