#include "tests/io/fake_kernel.h"

#include "common/clock.h"
#include "common/panic.h"
#include "edge/io/tls.h"
#include "edge/limits.h"
#include "tests/io/fake_ring.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#define OPS_MAX     48 /* 8 connections, their listener */
#define SOCKETS_MAX 16
#define FD_BASE     100
#define SENT_MAX    2048
#define FAKE_FILES  8
#define FILE_BASE   200
#define FILE_ROOM   65536

struct fake_op {
    bool active;
    struct io_uring_sqe sqe;
};

struct fake_socket {
    bool open, listens, finished;
    char sent[SENT_MAX]; /* what it said first: a client's upgrade request */
    size_t sent_bytes;
};

/* A file, from the open that asks for it; it stays behind when it is closed. */
struct fake_file {
    bool used, open;
    char name[80];
    uint8_t data[FILE_ROOM];
    size_t bytes;
    struct fake_op op;
};

static struct {
    struct span script;
    uint64_t now_ns;
    struct fake_op ops[OPS_MAX];
    struct fake_socket sockets[SOCKETS_MAX];
    struct fake_file files[FAKE_FILES];
    bool disk_hangs;
} world;

/* ---- the string ---- */

static uint8_t next_byte(void)
{
    if (world.script.bytes == 0)
        return 0;
    uint8_t byte = world.script.data[0];
    world.script.data++;
    world.script.bytes--;
    return byte;
}

void fake_kernel_begin(struct span script)
{
    assert(fake_kernel_open_count() == 0);
    memset(&world, 0, sizeof world);
    world.script = script;
    world.now_ns = 1000000000u;
}

bool fake_kernel_over(void)
{
    return world.script.bytes == 0;
}

unsigned fake_kernel_dice(unsigned sides)
{
    return next_byte() % sides;
}

unsigned fake_kernel_open_count(void)
{
    unsigned count = 0;
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        count += world.sockets[i].open;
    for (size_t i = 0; i < FAKE_FILES; i++)
        count += world.files[i].open;
    return count;
}

/* ---- the clock ---- */

uint64_t clock_monotonic_ns(void)
{
    return world.now_ns;
}

int64_t clock_wall_ms(void)
{
    return (int64_t)(world.now_ns / 1000000);
}

/* ---- files ---- */

void fake_kernel_hang_disk(bool hangs)
{
    world.disk_hangs = hangs;
}

struct span fake_kernel_file(const char *name)
{
    for (size_t i = 0; i < FAKE_FILES; i++)
        if (world.files[i].used && strcmp(world.files[i].name, name) == 0)
            return span_from(world.files[i].data, world.files[i].bytes);
    return (struct span){NULL, 0};
}

static bool is_file_op(const struct io_uring_sqe *sqe)
{
    return sqe->opcode == IORING_OP_OPENAT || sqe->opcode == IORING_OP_RENAMEAT ||
           sqe->opcode == IORING_OP_WRITE || sqe->opcode == IORING_OP_NOP ||
           (sqe->opcode == IORING_OP_CLOSE && sqe->fd >= FILE_BASE);
}

static struct fake_file *new_file(void)
{
    for (size_t i = 0; i < FAKE_FILES; i++)
        if (!world.files[i].used) {
            world.files[i] = (struct fake_file){.used = true};
            return &world.files[i];
        }
    never("more files than a history makes");
}

/* Whom an op is about: an open makes one, a rename names it, all else has its descriptor. */
static struct fake_file *file_of(const struct io_uring_sqe *sqe)
{
    if (sqe->opcode == IORING_OP_OPENAT || sqe->opcode == IORING_OP_NOP)
        return new_file();
    if (sqe->opcode != IORING_OP_RENAMEAT) {
        assert(sqe->fd >= FILE_BASE && sqe->fd < FILE_BASE + FAKE_FILES);
        return &world.files[sqe->fd - FILE_BASE];
    }
    for (size_t i = 0; i < FAKE_FILES; i++)
        if (world.files[i].open &&
            strcmp(world.files[i].name, (const char *)(uintptr_t)sqe->addr) == 0)
            return &world.files[i];
    never("a file is renamed that is not there");
}

static void start_file_op(const struct io_uring_sqe *sqe)
{
    struct fake_file *file = file_of(sqe);
    assert(!file->op.active);
    assert(file->open || sqe->opcode == IORING_OP_OPENAT || sqe->opcode == IORING_OP_NOP);
    file->op = (struct fake_op){.active = true, .sqe = *sqe};
}

/* The disk is well for as long as the string says 0. */
static int misfortune(void)
{
    static const int problems[] = {-ENOSPC, -EIO, -EACCES, -EDQUOT, -EINTR, -EAGAIN};
    unsigned die = fake_kernel_dice(64);
    return die < 58 ? 0 : problems[die - 58];
}

static int take_write(struct fake_file *file)
{
    const struct io_uring_sqe *sqe = &file->op.sqe;
    const uint8_t *data = (const uint8_t *)(uintptr_t)sqe->addr;
    size_t bytes = fake_kernel_dice(2) ? 1 + fake_kernel_dice(256) % sqe->len : sqe->len;
    assert(sqe->off == file->bytes && sqe->len > 0); /* at its end, without a hole */
    assert(file->bytes + bytes <= FILE_ROOM);
    memcpy(file->data + file->bytes, data, bytes); /* and the sanitizer looks at it */
    file->bytes += bytes;
    return (int)bytes;
}

static int do_file_op(struct fake_file *file)
{
    const struct io_uring_sqe *sqe = &file->op.sqe;
    int problem = misfortune();
    switch (sqe->opcode) {
    case IORING_OP_OPENAT:
        snprintf(file->name, sizeof file->name, "%s", (const char *)(uintptr_t)sqe->addr);
        file->open = problem == 0;
        file->used = file->open;
        return problem ? problem : FILE_BASE + (int)(file - world.files);
    case IORING_OP_RENAMEAT:
        if (problem == 0)
            snprintf(file->name, sizeof file->name, "%s", (const char *)(uintptr_t)sqe->addr2);
        return problem;
    case IORING_OP_WRITE:
        return problem ? problem : take_write(file);
    case IORING_OP_CLOSE:
        file->open = false;
        return 0;
    default: /* the no-op of one that was never opened */
        file->used = false;
        return 0;
    }
}

/* ---- sockets and ops ---- */

static struct fake_socket *socket_of(int fd)
{
    assert(fd >= FD_BASE && fd < FD_BASE + SOCKETS_MAX);
    struct fake_socket *socket = &world.sockets[fd - FD_BASE];
    assert(socket->open);
    return socket;
}

static int open_socket(bool listens)
{
    for (int i = 0; i < SOCKETS_MAX; i++)
        if (!world.sockets[i].open) {
            world.sockets[i] = (struct fake_socket){.open = true, .listens = listens};
            return FD_BASE + i;
        }
    return -EMFILE;
}

static struct fake_op *find_op(int fd, uint8_t opcode)
{
    for (size_t i = 0; i < OPS_MAX; i++)
        if (world.ops[i].active && world.ops[i].sqe.fd == fd && world.ops[i].sqe.opcode == opcode)
            return &world.ops[i];
    return NULL;
}

static void complete(struct ring *ring, struct fake_op *op, int result)
{
    op->active = false;
    fake_ring_answer(ring, op->sqe.user_data, result, 0);
}

static void start(const struct io_uring_sqe *sqe)
{
    size_t at = 0;
    socket_of(sqe->fd);
    assert(!find_op(sqe->fd, sqe->opcode)); /* the ledger allows one of a kind */
    while (at < OPS_MAX && world.ops[at].active)
        at++;
    assert(at < OPS_MAX);
    world.ops[at] = (struct fake_op){.active = true, .sqe = *sqe};
}

static int take_send(struct fake_op *op, size_t bytes)
{
    struct fake_socket *socket = socket_of(op->sqe.fd);
    const char *data = (const char *)(uintptr_t)op->sqe.addr;
    assert(bytes > 0 && bytes <= op->sqe.len && !socket->finished);
    size_t room = SENT_MAX - 1 - socket->sent_bytes;
    size_t kept = bytes < room ? bytes : room;
    memcpy(socket->sent + socket->sent_bytes, data, kept); /* and the sanitizer looks at it */
    socket->sent_bytes += kept;
    return (int)bytes;
}

/* Ops come back one by one; a send may still have got through. */
static void cancel(struct ring *ring, const struct io_uring_sqe *sqe)
{
    int count = 0;
    bool first = fake_kernel_dice(2), raced = fake_kernel_dice(2);
    if (first)
        fake_ring_answer(ring, sqe->user_data, 1, 0);
    for (size_t i = 0; i < OPS_MAX; i++) {
        struct fake_op *op = &world.ops[i];
        if (!op->active || op->sqe.fd != sqe->fd)
            continue;
        count++;
        if (op->sqe.opcode == IORING_OP_SEND && raced)
            complete(ring, op, take_send(op, op->sqe.len));
        else
            complete(ring, op, -ECANCELED);
    }
    if (!first)
        fake_ring_answer(ring, sqe->user_data, count ? count : -ENOENT, 0);
}

static void close_socket(struct ring *ring, const struct io_uring_sqe *sqe)
{
    for (size_t i = 0; i < OPS_MAX; i++)
        assert(!world.ops[i].active || world.ops[i].sqe.fd != sqe->fd);
    socket_of(sqe->fd)->open = false;
    fake_ring_answer(ring, sqe->user_data, 0, 0);
}

/* Some of the files' ops are answered; none when there are none, so that no die is rolled. */
static void answer_files(struct ring *ring, bool all)
{
    for (size_t i = 0; i < FAKE_FILES; i++) {
        struct fake_file *file = &world.files[i];
        if (!file->op.active || world.disk_hangs || (!all && fake_kernel_dice(4) == 0))
            continue;
        file->op.active = false;
        int result = do_file_op(file);
        fake_ring_answer(ring, file->op.sqe.user_data, result, 0);
    }
}

static void take_submissions(struct ring *ring)
{
    for (const struct io_uring_sqe *sqe; (sqe = fake_ring_take(ring));) {
        if (is_file_op(sqe))
            start_file_op(sqe);
        else if (sqe->opcode == IORING_OP_CLOSE)
            close_socket(ring, sqe);
        else if (sqe->opcode == IORING_OP_ASYNC_CANCEL)
            cancel(ring, sqe);
        else
            start(sqe);
    }
}

/* ---- what happens ---- */

/* Bytes for a receive; no buffer free: it ends, and stays silent until it is armed again. */
static void deliver(struct ring *ring, struct fake_op *op, const void *data, size_t bytes)
{
    if (!fake_ring_has_buffer(ring)) {
        complete(ring, op, -ENOBUFS);
        return;
    }
    uint32_t flags = fake_ring_fill(ring, data, bytes);
    op->active = fake_kernel_dice(8) != 7; /* a multishot may end for reasons of its own */
    fake_ring_answer(ring, op->sqe.user_data, (int)bytes,
                     flags | (op->active ? IORING_CQE_F_MORE : 0));
}

/* The string's bytes; or a whole buffer of one byte, so that short strings reach large bounds. */
static void deliver_script(struct ring *ring, struct fake_op *op)
{
    uint8_t filler[RECEIVE_BUFFER_BYTES];
    size_t bytes = next_byte() + 1u;
    if (bytes == 256) {
        memset(filler, next_byte(), sizeof filler);
        deliver(ring, op, filler, sizeof filler);
        return;
    }
    bytes = bytes < world.script.bytes ? bytes : world.script.bytes;
    if (bytes == 0)
        return;
    const uint8_t *data = world.script.data;
    world.script.data += bytes;
    world.script.bytes -= bytes;
    deliver(ring, op, data, bytes);
}

/* The one answer to an upgrade that a client accepts, plain or as fake_tls.c's record. */
static void deliver_accept(struct ring *ring, struct fake_op *op)
{
    char head[256], accept[29];
    struct fake_socket *socket = socket_of(op->sqe.fd);
    char *key = strstr(socket->sent, "Sec-WebSocket-Key: ");
    if (!key || strlen(key) < 19 + 24)
        return;
    tls_websocket_accept(span_from(key + 19, 24), accept);
    char *text = fake_kernel_dice(2) ? head + 2 : head;
    int bytes = snprintf(text, sizeof head - 2,
                         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                         accept);
    head[0] = text == head ? head[0] : 0;
    head[1] = text == head ? head[1] : (char)bytes;
    deliver(ring, op, head, (size_t)(text - head + bytes));
}

static void accept_one(struct ring *ring, struct fake_op *op)
{
    int fd = open_socket(false);
    bool more = fd >= 0 && fake_kernel_dice(8) != 7;
    op->active = more;
    fake_ring_answer(ring, op->sqe.user_data, fd, more ? IORING_CQE_F_MORE : 0);
}

/* One thing, at the socket that the string names. */
static void happen(struct ring *ring)
{
    static const int ends[] = {0, -ECONNRESET, -ETIMEDOUT, -ENOBUFS};
    unsigned what = fake_kernel_dice(10);
    int fd = FD_BASE + (int)fake_kernel_dice(16);
    struct fake_op *receive = find_op(fd, IORING_OP_RECV), *send = find_op(fd, IORING_OP_SEND);
    struct fake_op *connect = find_op(fd, IORING_OP_CONNECT);
    struct fake_op *accept = find_op(fd, IORING_OP_ACCEPT);
    if (what == 0 && accept)
        accept_one(ring, accept);
    else if (what <= 3 && receive)
        deliver_script(ring, receive);
    else if (what == 4 && receive)
        deliver_accept(ring, receive);
    else if (what == 5 && receive)
        complete(ring, receive, ends[fake_kernel_dice(4)]);
    else if (what == 6 && send)
        complete(ring, send, take_send(send, 1 + fake_kernel_dice(256) % send->sqe.len));
    else if (what == 7 && send)
        complete(ring, send, -EPIPE);
    else if (what == 8 && connect)
        complete(ring, connect, fake_kernel_dice(4) ? 0 : -ECONNREFUSED);
    else if (what == 9)
        world.now_ns += (uint64_t)fake_kernel_dice(256) * fake_kernel_dice(256) * 1000000u;
    else if (send)
        complete(ring, send, take_send(send, send->sqe.len));
}

/* The string is used up: whatever waits is let go. */
static void wind_down(struct ring *ring)
{
    answer_files(ring, true);
    for (size_t i = 0; i < OPS_MAX; i++) {
        struct fake_op *op = &world.ops[i];
        if (!op->active)
            continue;
        if (op->sqe.opcode == IORING_OP_SEND)
            complete(ring, op, take_send(op, op->sqe.len));
        else if (op->sqe.opcode == IORING_OP_RECV)
            complete(ring, op, 0);
        else if (op->sqe.opcode == IORING_OP_CONNECT)
            complete(ring, op, -ECONNREFUSED);
    }
    world.now_ns += 5000000u;
}

/* ---- ring_kernel.h ---- */

bool ring_kernel_open(struct ring *ring, const struct ring_config *config, char *error, size_t room)
{
    if (!fake_ring_open(ring, config)) {
        snprintf(error, room, "no memory for a fake kernel");
        return false;
    }
    return true;
}

void ring_kernel_close(struct ring *ring)
{
    for (size_t i = 0; i < OPS_MAX; i++)
        assert(!world.ops[i].active);
    fake_ring_close(ring);
}

void ring_kernel_submit(struct ring *ring)
{
    take_submissions(ring);
}

void ring_kernel_wait(struct ring *ring, uint64_t now_ns, uint64_t until_ns)
{
    (void)now_ns;
    take_submissions(ring);
    if (world.script.bytes == 0) {
        wind_down(ring);
        return;
    }
    for (unsigned left = 1 + fake_kernel_dice(4); left; left--)
        happen(ring);
    answer_files(ring, false);
    if (ring_ready(ring) == 0 && world.now_ns < until_ns) /* nothing came: the wait ran out */
        world.now_ns = until_ns;
}

int ring_kernel_listen(const struct sockaddr *address, socklen_t address_bytes, uint16_t *port)
{
    (void)address, (void)address_bytes;
    *port = 1;
    return open_socket(true);
}

int ring_kernel_socket(int family)
{
    (void)family;
    return open_socket(false);
}

void ring_kernel_limit_unsent(int fd)
{
    (void)fd;
}

void ring_kernel_finish(int fd)
{
    struct fake_socket *socket = socket_of(fd);
    assert(!socket->finished && !find_op(fd, IORING_OP_SEND));
    socket->finished = true;
}

bool ring_kernel_peer(int fd, struct sockaddr_storage *address)
{
    socket_of(fd);
    *(struct sockaddr_in *)address = (struct sockaddr_in){.sin_family = AF_INET};
    return true;
}

int ring_kernel_lock(int fd)
{
    assert(world.files[fd - FILE_BASE].open);
    return fake_kernel_dice(16) == 15 ? -EWOULDBLOCK : 0;
}

void ring_kernel_close_fd(int fd)
{
    socket_of(fd)->open = false;
}
