#include "common/clock.h"
#include "common/panic.h"
#include "tests/sim/kernel_inner.h"
#include "tests/sim/trace.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#define FD_BASE       1000 /* below: eventfds, which are real */
#define FDS_MAX       256
#define RINGS         2
#define ANSWERS_MAX   8192
#define CLOCK_STEP_NS 100
#define REF           (UINT64_MAX >> 8) /* of user_data: whose it is */

struct bell {
    struct ring *ring;
    struct submission poll;
};

struct answer {
    struct ring *ring;
    uint64_t user_data, due_ns;
    int result;
    uint32_t flags;
};

static struct {
    struct weather weather;
    struct scarcity scarcity, used;
    struct dice dice;
    uint64_t now_ns;
    int64_t wall_ms;
    struct bell bells[RINGS];
    struct descriptor fds[FDS_MAX];
    struct answer answers[ANSWERS_MAX]; /* in order of their time */
    unsigned answers_count;
    struct {
        struct ring *ring;
        uint64_t until_ns; /* it waits for so long; 0: it is at work */
    } rings[RINGS];
    bool alone;
} kernel;

/* ---- the clocks ---- */

uint64_t kernel_now_ns(void)
{
    return kernel.now_ns;
}

int64_t kernel_wall_ms(void)
{
    return kernel.wall_ms + (int64_t)(kernel.now_ns / MS);
}

uint64_t clock_monotonic_ns(void)
{
    kernel.now_ns += CLOCK_STEP_NS;
    return kernel.now_ns;
}

int64_t clock_wall_ms(void)
{
    return kernel_wall_ms();
}

/* ---- chance ---- */

const struct weather *kernel_weather(void)
{
    return &kernel.weather;
}

uint64_t kernel_below(uint64_t sides)
{
    return dice_below(&kernel.dice, sides);
}

bool kernel_chance(unsigned permille)
{
    return dice_chance(&kernel.dice, permille);
}

uint64_t kernel_travel_ns(void)
{
    return dice_between(&kernel.dice, kernel.weather.latency_ns_least,
                        kernel.weather.latency_ns_most);
}

uint64_t kernel_lateness_ns(void)
{
    return kernel_chance(kernel.weather.late_permille)
               ? dice_below(&kernel.dice, kernel.weather.late_ns_max)
               : 0;
}

static bool runs_out(uint64_t *used, uint64_t scarce)
{
    return ++*used == scarce;
}

bool kernel_buffer_fails(void)
{
    return runs_out(&kernel.used.buffer, kernel.scarcity.buffer);
}

/* ---- descriptors ---- */

struct descriptor *kernel_descriptor(int fd)
{
    expect(fd >= FD_BASE && fd < FD_BASE + FDS_MAX, "fd %d", fd);
    struct descriptor *descriptor = &kernel.fds[fd - FD_BASE];
    expect(descriptor->open, "fd %d", fd);
    return descriptor;
}

/* The lowest that is free, as kernels do: numbers are used again at once. */
int kernel_open_descriptor(struct tcp *tcp, struct listener *listener)
{
    if (runs_out(&kernel.used.descriptor, kernel.scarcity.descriptor))
        return -EMFILE;
    for (int i = 0; i < FDS_MAX; i++)
        if (!kernel.fds[i].open) {
            kernel.fds[i] = (struct descriptor){.open = true, .tcp = tcp, .listener = listener};
            return FD_BASE + i;
        }
    return -EMFILE;
}

unsigned kernel_open_count(void)
{
    unsigned count = 0;
    for (size_t i = 0; i < FDS_MAX; i++)
        count += kernel.fds[i].open;
    return count;
}

uint64_t kernel_descriptors(void)
{
    return kernel.used.descriptor;
}

uint64_t kernel_buffers(void)
{
    return kernel.used.buffer;
}

/* ---- answers ---- */

void kernel_post(struct ring *ring, uint64_t user_data, int result, uint32_t flags, uint64_t due_ns)
{
    unsigned at = kernel.answers_count++;
    expect(at < ANSWERS_MAX, "answers pile up");
    for (; at > 0 && kernel.answers[at - 1].due_ns > due_ns; at--)
        kernel.answers[at] = kernel.answers[at - 1];
    kernel.answers[at] = (struct answer){ring, user_data, due_ns, result, flags};
}

void kernel_complete(struct submission *op, int result, uint64_t due_ns)
{
    expect(op->active, "op %d", op->sqe.opcode);
    op->active = false;
    kernel_post(op->ring, op->sqe.user_data, result, 0, due_ns);
}

static void deliver_answers(void)
{
    unsigned due = 0;
    for (; due < kernel.answers_count && kernel.answers[due].due_ns <= kernel.now_ns; due++) {
        struct answer *answer = &kernel.answers[due];
        trace("answer: op, result", (int64_t)(answer->user_data >> 56), answer->result,
              (int64_t)(answer->user_data & 0xffffff));
        fake_ring_answer(answer->ring, answer->user_data, answer->result, answer->flags);
    }
    kernel.answers_count -= due;
    memmove(kernel.answers, kernel.answers + due, kernel.answers_count * sizeof *kernel.answers);
}
static bool rings(int eventfd)
{
    struct pollfd poll_fd = {.fd = eventfd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) > 0;
}

/* A ring that has been told and has not answered is not told again. */
static void step_bells(const struct ring *waiting)
{
    for (size_t i = 0; i < RINGS; i++) {
        struct submission *op = &kernel.bells[i].poll;
        if (!op->active || op->ring != waiting || !rings(op->sqe.fd))
            continue;
        op->active = !kernel_chance(kernel.weather.ends_permille);
        kernel_post(op->ring, op->sqe.user_data, POLLIN, op->active ? IORING_CQE_F_MORE : 0,
                    kernel.now_ns);
    }
}
/* ---- submissions ---- */

static struct submission *bell_op(int fd)
{
    for (size_t i = 0; i < RINGS; i++)
        if (kernel.bells[i].poll.active && kernel.bells[i].poll.sqe.fd == fd)
            return &kernel.bells[i].poll;
    for (size_t i = 0; i < RINGS; i++)
        if (!kernel.bells[i].poll.active)
            return &kernel.bells[i].poll;
    return NULL;
}

/* Where a kernel keeps it. An opcode that is not here wants to be simulated first. */
static struct submission *op_of(const struct io_uring_sqe *sqe)
{
    switch (sqe->opcode) {
    case IORING_OP_POLL_ADD:
        return bell_op(sqe->fd);
    case IORING_OP_ACCEPT:
        return tcp_accept_op(kernel_descriptor(sqe->fd)->listener);
    case IORING_OP_RECV:
    case IORING_OP_SEND:
    case IORING_OP_CONNECT:
        return tcp_op(kernel_descriptor(sqe->fd)->tcp, sqe->opcode);
    case IORING_OP_OPENAT:
    case IORING_OP_RENAMEAT:
    case IORING_OP_WRITE:
        return disk_op(sqe);
    default:
        sim_fail("the opcode %u is not simulated (tests/sim/kernel.c)", sqe->opcode);
    }
}

static bool is_of_a_file(const struct io_uring_sqe *sqe)
{
    return sqe->opcode == IORING_OP_OPENAT || sqe->opcode == IORING_OP_RENAMEAT ||
           sqe->opcode == IORING_OP_WRITE;
}

static void start(struct ring *ring, const struct io_uring_sqe *sqe)
{
    struct submission *op = op_of(sqe);
    expect(op && !op->active, "op %d of fd %d", sqe->opcode, sqe->fd);
    *op = (struct submission){.active = true, .sqe = *sqe, .ring = ring, .act_ns = kernel.now_ns};
    if (sqe->opcode == IORING_OP_CONNECT) {
        memcpy(&op->address, (const void *)(uintptr_t)sqe->addr, sizeof op->address);
        op->act_ns += 2 * kernel_travel_ns();
    } else if (sqe->opcode == IORING_OP_SEND) {
        op->act_ns += kernel_chance(kernel.weather.late_permille) ? kernel_lateness_ns() : 0;
    } else if (is_of_a_file(sqe)) {
        disk_begin(op);
    }
}

static unsigned cancel_bell(int fd)
{
    struct submission *op = bell_op(fd);
    if (!op || !op->active)
        return 0;
    kernel_complete(op, -ECANCELED, kernel.now_ns + kernel_lateness_ns());
    return 1;
}

static void cancel(struct ring *ring, const struct io_uring_sqe *sqe)
{
    unsigned count;
    if (sqe->fd < FD_BASE) {
        count = cancel_bell(sqe->fd);
    } else {
        struct descriptor *descriptor = kernel_descriptor(sqe->fd);
        expect(!descriptor->file, "what a file is asked for is not asked back");
        count =
            descriptor->tcp ? tcp_cancel(descriptor->tcp) : tcp_cancel_accept(descriptor->listener);
    }
    kernel_post(ring, sqe->user_data, count ? (int)count : -ENOENT, 0,
                kernel.now_ns + kernel_lateness_ns());
}

/* Returns when that is answered. */
static uint64_t close_descriptor(int fd)
{
    uint64_t due_ns = kernel.now_ns;
    struct descriptor *descriptor = kernel_descriptor(fd);
    if (descriptor->file)
        due_ns = disk_drop(descriptor->file);
    else if (descriptor->listener)
        tcp_drop_listener(descriptor->listener);
    else
        tcp_drop(descriptor->tcp);
    *descriptor = (struct descriptor){0};
    return due_ns + kernel_lateness_ns();
}

/* Files and connections have numbers of their own. */
static bool is_file(uint64_t user_data)
{
    return user_data >> 56 >= OP_FILE_OPEN;
}

/* Who closes has got all answers: later ones would be taken for somebody else's. */
static void check_home(const struct ring *ring, uint64_t user_data)
{
    uint64_t ref = user_data & REF;
    for (unsigned i = 0; ref && i < kernel.answers_count; i++) {
        const struct answer *answer = &kernel.answers[i];
        expect(answer->ring != ring || (answer->user_data & REF) != ref ||
                   is_file(answer->user_data) != is_file(user_data),
               "closed with the answer of op %d on its way", (int)(answer->user_data >> 56));
    }
}

static unsigned file_answers_there(const struct ring *ring)
{
    const struct io_uring_cq *queue = &ring->uring.cq;
    unsigned count = 0;
    for (unsigned at = *queue->khead; at != *queue->ktail; at++)
        count += is_file(queue->cqes[at & queue->ring_mask].user_data);
    return count;
}

/* A close is among the disk's until it is answered; an answer counts until it is taken. */
unsigned kernel_file_ops(void)
{
    unsigned count = disk_busy();
    for (size_t i = 0; i < RINGS; i++)
        count += kernel.rings[i].ring ? file_answers_there(kernel.rings[i].ring) : 0;
    for (unsigned i = 0; i < kernel.answers_count; i++)
        count += is_file(kernel.answers[i].user_data) &&
                 kernel.answers[i].due_ns <= kernel.now_ns + kernel.weather.late_ns_max;
    return count;
}

static void take_submissions(struct ring *ring)
{
    for (const struct io_uring_sqe *sqe; (sqe = fake_ring_take(ring));) {
        trace("submit: opcode, fd", sqe->opcode, sqe->fd, (int64_t)sqe->len);
        if (sqe->opcode == IORING_OP_CLOSE) {
            check_home(ring, sqe->user_data);
            kernel_post(ring, sqe->user_data, 0, 0, close_descriptor(sqe->fd));
        } else if (sqe->opcode == IORING_OP_NOP) {
            kernel_post(ring, sqe->user_data, 0, 0, kernel.now_ns + kernel_lateness_ns());
        } else if (sqe->opcode == IORING_OP_ASYNC_CANCEL) {
            cancel(ring, sqe);
        } else {
            start(ring, sqe);
        }
    }
}
/* ---- ring_kernel.h ---- */

bool ring_kernel_open(struct ring *ring, const struct ring_config *config, char *error, size_t room)
{
    size_t at = kernel.rings[0].ring ? 1 : 0;
    if (!fake_ring_open(ring, config)) {
        snprintf(error, room, "no memory");
        return false;
    }
    assert(!kernel.rings[at].ring);
    kernel.rings[at].ring = ring;
    kernel.rings[at].until_ns = 0;
    return true;
}

void ring_kernel_close(struct ring *ring)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < kernel.answers_count; i++) { /* of strangers that were closed */
        struct answer *answer = &kernel.answers[i];
        expect(answer->ring != ring || answer->user_data >> 56 == 0, "an answer on its way, op %d",
               (int)(answer->user_data >> 56));
        if (answer->ring != ring)
            kernel.answers[kept++] = *answer;
    }
    kernel.answers_count = kept;
    for (size_t i = 0; i < RINGS; i++)
        if (kernel.rings[i].ring == ring)
            kernel.rings[i].ring = NULL;
    fake_ring_close(ring);
}

/* What is due now; returns when something is due next. */
static uint64_t happen(struct ring *ring)
{
    uint64_t next_ns = world_step(kernel.now_ns);
    next_ns = sooner(next_ns, tcp_step());
    next_ns = sooner(next_ns, disk_step());
    step_bells(ring);
    deliver_answers();
    if (kernel.answers_count)
        next_ns = sooner(next_ns, kernel.answers[0].due_ns);
    return next_ns;
}

static bool rings_for(const struct ring *ring)
{
    for (size_t i = 0; i < RINGS; i++) {
        const struct submission *op = &kernel.bells[i].poll;
        if (op->active && op->ring == ring && rings(op->sqe.fd))
            return true;
    }
    return false;
}

/* Cores take turns on one thread: one whose time has come, or for which something is there, is not
 * kept waiting by the other's wait. To the other that is a wake-up for nothing. */
static bool others_wait(const struct ring *ring)
{
    for (size_t i = 0; i < RINGS && !kernel.alone; i++) {
        struct ring *other = kernel.rings[i].ring;
        if (other && other != ring &&
            (kernel.rings[i].until_ns <= kernel.now_ns || ring_ready(other) ||
             io_uring_sq_ready(&other->uring) || rings_for(other)))
            return true;
    }
    return false;
}

static void note_wait(const struct ring *ring, uint64_t until_ns)
{
    for (size_t i = 0; i < RINGS; i++)
        if (kernel.rings[i].ring == ring)
            kernel.rings[i].until_ns = until_ns;
}

static void work(void)
{
    kernel.now_ns += dice_below(&kernel.dice, kernel.weather.work_ns_max);
    if (kernel_chance(kernel.weather.stall_permille) && kernel_chance(100))
        kernel.now_ns += dice_below(&kernel.dice, 300 * MS);
    if (kernel_chance(kernel.weather.wall_permille) && kernel_chance(100))
        kernel.wall_ms += (int64_t)dice_between(&kernel.dice, 0, 7200000) - 3600000;
}

void ring_kernel_submit(struct ring *ring)
{
    world_enter();
    work();
    take_submissions(ring);
    happen(ring);
    world_leave();
}

void ring_kernel_wait(struct ring *ring, uint64_t now_ns, uint64_t until_ns)
{
    world_enter();
    work();
    take_submissions(ring);
    until_ns = kernel.now_ns + (until_ns - now_ns);
    bool more = kernel_chance(kernel.weather.gather_permille);
    note_wait(ring, until_ns);
    for (;;) {
        uint64_t next_ns = happen(ring);
        if (kernel.now_ns >= until_ns || others_wait(ring))
            break;
        if (ring_ready(ring)) {
            if (!more)
                break;
            more = false;
            until_ns = sooner(until_ns, kernel.now_ns + dice_below(&kernel.dice, 2 * MS));
        }
        if (next_ns <= kernel.now_ns)
            next_ns = kernel.now_ns + 1000;
        kernel.now_ns = sooner(next_ns, until_ns);
    }
    if (ring_ready(ring))
        note_wait(ring, 0);
    world_leave();
}

bool ring_kernel_peer(int fd, struct sockaddr_storage *address)
{
    kernel_descriptor(fd);
    *(struct sockaddr_in *)address = (struct sockaddr_in){.sin_family = AF_INET};
    return true;
}

void ring_kernel_close_fd(int fd)
{
    close_descriptor(fd);
}
/* ---- life ---- */

void kernel_open(struct weather weather, struct scarcity scarcity, uint64_t seed)
{
    expect(kernel.answers_count == 0, "the last history has left answers");
    kernel.weather = weather;
    kernel.scarcity = scarcity;
    kernel.used = (struct scarcity){0};
    kernel.dice = dice_open(seed, 1);
    kernel.now_ns = 1000 * SECOND;
    kernel.wall_ms = 1789000000000;
    kernel.alone = false;
    disk_open(&weather.disk, seed);
}

void kernel_turns(unsigned core)
{
    kernel.rings[core].until_ns = 0;
}

void kernel_alone(bool alone)
{
    kernel.alone = alone;
}

void kernel_close(void)
{
    tcp_close_all();
    disk_close();
    expect(kernel_open_count() == 0, "%u descriptors are open", kernel_open_count());
    for (size_t i = 0; i < RINGS; i++)
        expect(!kernel.bells[i].poll.active, "a doorbell is watched");
    kernel.answers_count = 0;
}

void kernel_free(void)
{
    tcp_free_all();
    disk_free();
}
