/* floor: the least that a relay can do. One pinned thread, one io_uring: what an accepted socket
 * says goes to a dialled one, and back, byte for byte, as it comes. No TLS, no HTTP, no WebSocket,
 * no look at a single byte. What the edge costs more than this is what the edge does.
 *
 *   floor --listen 127.0.0.1:PORT --to 127.0.0.1:PORT [--cpu N] [--frames on]
 *
 * When it is late, what piled up in a socket goes on in one receive and one send. With --frames on
 * it looks where WebSocket frames end, and sends each by itself: what a relay of frames costs at
 * least.
 *
 * It uses the ring as the edge does (multishot accept and receive, provided buffers, one send in
 * flight per socket, submission and waiting in one system call), so that the two differ in work,
 * not in manners. Prints "ready" when it listens; ends with SIGTERM or SIGINT. */
#include "common/panic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define RING_ENTRIES 8192
#define BUFFERS      8192 /* power of two */
#define BUFFER_BYTES 4096
#define SIDES_MAX    32768
#define GROUP        1
#define HEAD_END     0x0d0a0d0au /* "\r\n\r\n" */

enum op { OP_ACCEPT = 1, OP_CONNECT, OP_RECEIVE, OP_SEND, OP_SIGNAL };

/* Where the frames end in what goes to a socket: behind the HTTP head, whose end is told by its
 * last four bytes; then a frame's own head says how long it is. */
struct cut {
    bool framed;
    uint32_t tail; /* the last four bytes of the HTTP head so far */
    uint8_t head[14];
    unsigned head_bytes;
    uint64_t left; /* of the frame that is being sent, behind its head */
};

/* One of the two sockets of a pair; the other is at index ^ 1. */
struct side {
    int fd;
    bool used, connected, receiving, sending, finished, closing;
    int first, last;    /* queue of buffers to be sent, -1: empty */
    unsigned sent;      /* of the first buffer */
    unsigned piece_end; /* in it, of what is being sent */
    struct cut cut;
};

static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static uint8_t *memory;
static int next_buffer[BUFFERS];
static unsigned buffer_bytes[BUFFERS];
static struct side sides[SIDES_MAX];
static int free_pairs[SIDES_MAX / 2], free_count;
static struct sockaddr_in target;
static int starving[SIDES_MAX], starving_count; /* receives that found no buffer */
static bool by_frames;
static unsigned long long sends;

static uint64_t tag(enum op op, int side)
{
    return (uint64_t)op << 32 | (uint32_t)side;
}

static struct io_uring_sqe *get_sqe(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (!sqe) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    assert(sqe);
    return sqe;
}

/* ---- buffers ---- */

static uint8_t *buffer_at(int buffer)
{
    return memory + (size_t)buffer * BUFFER_BYTES;
}

static void give_back(int buffer)
{
    io_uring_buf_ring_add(buffers, buffer_at(buffer), BUFFER_BYTES, (unsigned short)buffer,
                          io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(buffers, 1);
}

static void open_buffers(void)
{
    size_t ring_bytes = BUFFERS * sizeof(struct io_uring_buf);
    void *place = mmap(NULL, ring_bytes + (size_t)BUFFERS * BUFFER_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(place != MAP_FAILED);
    buffers = place;
    memory = (uint8_t *)place + ring_bytes;
    memset(memory, 1, (size_t)BUFFERS * BUFFER_BYTES); /* resident now, not call by call */
    io_uring_buf_ring_init(buffers);
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)buffers, .ring_entries = BUFFERS, .bgid = GROUP};
    int failed = io_uring_register_buf_ring(&ring, &reg, 0);
    assert(!failed);
    for (int i = 0; i < BUFFERS; i++)
        give_back(i);
}

/* ---- one side ---- */

static void receive(int side)
{
    struct io_uring_sqe *sqe = get_sqe();
    io_uring_prep_recv_multishot(sqe, sides[side].fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    sqe->user_data = tag(OP_RECEIVE, side);
    sides[side].receiving = true;
}

/* How long the head at hand is, by its first two bytes. */
static unsigned head_bytes(const struct cut *cut)
{
    unsigned length = cut->head[1] & 0x7f, mask = cut->head[1] & 0x80 ? 4u : 0u;
    return 2 + (length == 127 ? 8u : length == 126 ? 2u : 0u) + mask;
}

static uint64_t payload_bytes(const struct cut *cut)
{
    unsigned length = cut->head[1] & 0x7f, more = length == 127 ? 8u : length == 126 ? 2u : 0u;
    uint64_t bytes = more ? 0 : length;
    for (unsigned i = 0; i < more; i++)
        bytes = bytes << 8 | cut->head[2 + i];
    return bytes;
}

/* Bytes of these up to where something ends: the HTTP head, or a frame. */
static unsigned cut_off(struct cut *cut, const uint8_t *data, unsigned bytes)
{
    unsigned at = 0;
    while (!cut->framed && at < bytes) {
        cut->tail = cut->tail << 8 | data[at++];
        cut->framed = cut->tail == HEAD_END;
        if (cut->framed)
            return at;
    }
    while (cut->framed && cut->left == 0 && at < bytes) {
        cut->head[cut->head_bytes++] = data[at++];
        if (cut->head_bytes < 2 || cut->head_bytes < head_bytes(cut))
            continue;
        cut->left = payload_bytes(cut);
        cut->head_bytes = 0;
        break;
    }
    unsigned rest = cut->left < bytes - at ? (unsigned)cut->left : bytes - at;
    cut->left -= rest;
    return at + rest;
}

static void send_first(int side)
{
    struct side *to = &sides[side];
    const uint8_t *data = buffer_at(to->first);
    if (to->sent == to->piece_end) /* else the last send was short */
        to->piece_end = by_frames ? to->sent + cut_off(&to->cut, data + to->sent,
                                                       buffer_bytes[to->first] - to->sent)
                                  : buffer_bytes[to->first];
    struct io_uring_sqe *sqe = get_sqe();
    io_uring_prep_send(sqe, to->fd, data + to->sent, to->piece_end - to->sent, MSG_NOSIGNAL);
    sends++;
    sqe->user_data = tag(OP_SEND, side);
    to->sending = true;
}

/* Frees a pair when both sockets have no operation in flight. */
static void settle(int side)
{
    struct side *one = &sides[side & ~1], *two = &sides[side | 1];
    if (!one->closing || one->receiving || one->sending || two->receiving || two->sending)
        return;
    for (int i = 0; i < 2; i++) {
        struct side *half = i ? two : one;
        for (int buffer = half->first; buffer >= 0; buffer = next_buffer[buffer])
            give_back(buffer);
        if (half->fd >= 0)
            close(half->fd);
        *half = (struct side){.fd = -1, .first = -1, .last = -1};
    }
    free_pairs[free_count++] = side & ~1;
}

static void end_pair(int side)
{
    struct side *one = &sides[side & ~1], *two = &sides[side | 1];
    if (!one->closing) {
        one->closing = two->closing = true;
        shutdown(one->fd, SHUT_RDWR);
        shutdown(two->fd, SHUT_RDWR);
    }
    settle(side);
}

static void queue(int side, int buffer)
{
    struct side *to = &sides[side];
    next_buffer[buffer] = -1;
    if (to->first < 0)
        to->first = buffer;
    else
        next_buffer[to->last] = buffer;
    to->last = buffer;
    if (!to->sending && to->connected)
        send_first(side);
}

/* ---- completions ---- */

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static void accept_next(int listener)
{
    struct io_uring_sqe *sqe = get_sqe();
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    sqe->user_data = tag(OP_ACCEPT, listener);
}

static void accepted(int listener, const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE))
        accept_next(listener);
    if (cqe->res < 0)
        return;
    int out = free_count ? dial() : -1;
    if (out < 0) {
        close(cqe->res);
        return;
    }
    setsockopt(cqe->res, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    int side = free_pairs[--free_count];
    sides[side] =
        (struct side){.fd = cqe->res, .used = true, .connected = true, .first = -1, .last = -1};
    sides[side + 1] = (struct side){.fd = out, .used = true, .first = -1, .last = -1};
    struct io_uring_sqe *sqe = get_sqe();
    io_uring_prep_connect(sqe, out, (struct sockaddr *)&target, sizeof target);
    sqe->user_data = tag(OP_CONNECT, side + 1);
    sides[side + 1].sending = true; /* the connect stands for a send in the ledger */
    receive(side);
}

static void connected(int side, int result)
{
    sides[side].sending = false;
    if (result < 0 || sides[side].closing) {
        end_pair(side);
        return;
    }
    sides[side].connected = true;
    receive(side);
    if (sides[side].first >= 0)
        send_first(side);
}

static void received(int side, const struct io_uring_cqe *cqe)
{
    struct side *from = &sides[side];
    if (!(cqe->flags & IORING_CQE_F_MORE))
        from->receiving = false;
    if (cqe->res > 0) {
        int buffer = (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        buffer_bytes[buffer] = (unsigned)cqe->res;
        if (from->closing)
            give_back(buffer);
        else
            queue(side ^ 1, buffer);
    }
    if (from->closing) {
        settle(side);
    } else if (cqe->res == -ENOBUFS) {
        starving[starving_count++] = side; /* silent until somebody arms it again */
    } else if (cqe->res <= 0) {
        from->finished = true;
        if (sides[side ^ 1].first < 0)
            end_pair(side);
    } else if (!from->receiving) {
        receive(side);
    }
}

static void sent(int side, int result)
{
    struct side *to = &sides[side];
    to->sending = false;
    if (result < 0 || to->closing) {
        end_pair(side);
        return;
    }
    to->sent += (unsigned)result;
    if (to->sent == buffer_bytes[to->first]) {
        int done = to->first;
        to->first = next_buffer[done];
        to->sent = to->piece_end = 0;
        give_back(done);
    }
    if (to->first >= 0)
        send_first(side);
    else if (sides[side ^ 1].finished)
        end_pair(side);
}

static void feed_the_starving(void)
{
    int count = starving_count;
    starving_count = 0;
    for (int i = 0; i < count; i++) {
        if (sides[starving[i]].closing)
            settle(starving[i]);
        else if (sides[starving[i]].used)
            receive(starving[i]);
    }
}

/* False: the signal came. */
static bool complete(const struct io_uring_cqe *cqe)
{
    int index = (int)(uint32_t)cqe->user_data;
    switch ((enum op)(cqe->user_data >> 32)) {
    case OP_ACCEPT:
        accepted(index, cqe);
        break;
    case OP_CONNECT:
        connected(index, cqe->res);
        break;
    case OP_RECEIVE:
        received(index, cqe);
        break;
    case OP_SEND:
        sent(index, cqe->res);
        break;
    case OP_SIGNAL:
        return false;
    }
    return true;
}

static void run(int listener, int signals)
{
    accept_next(listener);
    struct io_uring_sqe *sqe = get_sqe();
    io_uring_prep_poll_add(sqe, signals, POLLIN);
    sqe->user_data = tag(OP_SIGNAL, 0);
    bool going = true;
    while (going) {
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;
        int waited = io_uring_submit_and_wait(&ring, 1);
        assert(waited >= 0 || waited == -EINTR || waited == -EAGAIN);
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            going = complete(cqe) && going;
            seen++;
        }
        io_uring_cq_advance(&ring, seen);
        feed_the_starving();
    }
}

/* ---- setting up ---- */

static bool read_address(const char *text, struct sockaddr_in *address)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host)
        return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
    return inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

static int open_listener(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (const struct sockaddr *)address, sizeof *address) != 0 || listen(fd, 4096) != 0)
        return -1;
    return fd;
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        fprintf(stderr, "floor: cannot be pinned to processor %d\n", cpu);
}

static int open_ring(void)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
                                              IORING_SETUP_CLAMP,
                                     .cq_entries = 4 * RING_ENTRIES};
    return io_uring_queue_init_params(RING_ENTRIES, &ring, &params);
}

int main(int argc, char **argv)
{
    struct sockaddr_in listen_on = {0};
    bool known = true;
    for (int i = 1; i + 1 < argc && known; i += 2) {
        if (strcmp(argv[i], "--listen") == 0)
            known = read_address(argv[i + 1], &listen_on);
        else if (strcmp(argv[i], "--to") == 0)
            known = read_address(argv[i + 1], &target);
        else if (strcmp(argv[i], "--cpu") == 0)
            pin(atoi(argv[i + 1]));
        else if (strcmp(argv[i], "--frames") == 0)
            by_frames = strcmp(argv[i + 1], "on") == 0;
        else
            known = false;
    }
    if (!known || argc % 2 == 0 || !listen_on.sin_family || !target.sin_family) {
        fprintf(stderr, "floor --listen ADDR:PORT --to ADDR:PORT [--cpu N] [--frames on]\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int signals = open_signals();
    int listener = open_listener(&listen_on);
    if (listener < 0 || open_ring() != 0) {
        fprintf(stderr, "floor: cannot listen, or io_uring is forbidden: %s\n", strerror(errno));
        return 1;
    }
    open_buffers();
    for (int pair = SIDES_MAX / 2 - 1; pair >= 0; pair--)
        free_pairs[free_count++] = 2 * pair;
    struct sockaddr_in bound;
    socklen_t bound_bytes = sizeof bound;
    getsockname(listener, (struct sockaddr *)&bound, &bound_bytes);
    printf("ready %u\n", ntohs(bound.sin_port));
    fflush(stdout);
    run(listener, signals);
    printf("sends %llu\n", sends);
    io_uring_queue_exit(&ring);
    return 0;
}
