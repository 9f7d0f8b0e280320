#include "edge/io/ring_kernel.h"

#include "common/panic.h"
#include "edge/limits.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LISTEN_BACKLOG 1024

/* From the kernel we want down to the oldest that has multishot receive (6.0). */
static const unsigned setups[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_R_DISABLED,
    IORING_SETUP_R_DISABLED,
};

static void explain(int problem, char *error, size_t room)
{
    switch (-problem) {
    case EPERM:
    case EACCES:
        snprintf(error, room,
                 "io_uring is forbidden here: set kernel.io_uring_disabled=0, or allow io_uring in "
                 "the container's seccomp profile");
        return;
    case ENOSYS:
    case EINVAL:
        snprintf(error, room, "this kernel is too old: io_uring as of Linux 6.0 is needed");
        return;
    case ENOMEM:
        snprintf(error, room,
                 "not enough memory for io_uring: raise the limit of locked memory (ulimit -l)");
        return;
    default:
        snprintf(error, room, "io_uring cannot be set up: %s", strerror(-problem));
    }
}

static int set_up(struct ring *ring, const struct ring_config *config)
{
    int problem = -EINVAL;
    for (size_t i = 0; i < sizeof setups / sizeof setups[0] && problem == -EINVAL; i++) {
        struct io_uring_params params = {
            .flags = setups[i] | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
            .cq_entries = config->answers,
        };
        problem = io_uring_queue_init_params(config->entries, &ring->uring, &params);
    }
    return problem;
}

/* Pages of our own: the kernel writes into them, so they must not share a page with anything. */
static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static size_t buffer_ring_bytes(unsigned buffers)
{
    return buffers * sizeof(struct io_uring_buf);
}

static int register_buffers(struct ring *ring, const struct ring_config *config)
{
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)ring->buffer_ring,
        .ring_entries = config->buffers,
        .bgid = RING_BUFFER_GROUP,
    };
    return io_uring_register_buf_ring(&ring->uring, &registration, 0);
}

/* What a filter of system calls cannot see: from the moment it is awake, the ring does these and
 * nothing else. A new op has to be added here, or it ends with EACCES. */
static int restrict_ops(struct ring *ring)
{
    static const uint8_t ops[] = {
        IORING_OP_NOP,           IORING_OP_ACCEPT, IORING_OP_CONNECT,  IORING_OP_RECV,
        IORING_OP_SEND,          IORING_OP_CLOSE,  IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
        IORING_OP_OPENAT,        IORING_OP_WRITE,  IORING_OP_RENAMEAT, IORING_OP_TIMEOUT,
        IORING_OP_TIMEOUT_REMOVE};
    struct io_uring_restriction list[sizeof ops + 3] = {
        {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
         .sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS},
        {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_RING_FDS},
        {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_UNREGISTER_RING_FDS}};
    for (size_t i = 0; i < sizeof ops; i++)
        list[3 + i] =
            (struct io_uring_restriction){.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = ops[i]};
    /* liburing 2.3 declares io_uring_register_restrictions and does not export it */
    long result = syscall(__NR_io_uring_register, ring->uring.ring_fd, IORING_REGISTER_RESTRICTIONS,
                          list, sizeof ops + 3);
    return result < 0 ? -errno : 0;
}

bool ring_kernel_open(struct ring *ring, const struct ring_config *config, char *error, size_t room)
{
    size_t bytes = (size_t)config->buffers * RECEIVE_BUFFER_BYTES;
    int problem = set_up(ring, config);
    if (problem)
        goto failed;
    problem = -ENOMEM;
    ring->buffer_ring = map(buffer_ring_bytes(config->buffers));
    if (!ring->buffer_ring)
        goto failed_ring;
    ring->buffers = map(bytes);
    if (!ring->buffers)
        goto failed_buffer_ring;
    problem = register_buffers(ring, config);
    if (!problem)
        problem = restrict_ops(ring);
    if (problem)
        goto failed_buffers;
    return true;

failed_buffers:
    munmap(ring->buffers, bytes);
failed_buffer_ring:
    munmap(ring->buffer_ring, buffer_ring_bytes(config->buffers));
failed_ring:
    io_uring_queue_exit(&ring->uring);
failed:
    explain(problem, error, room);
    return false;
}

void ring_kernel_close(struct ring *ring)
{
    io_uring_queue_exit(&ring->uring);
    munmap(ring->buffer_ring, buffer_ring_bytes(ring->buffers_count));
    munmap(ring->buffers, (size_t)ring->buffers_count * RECEIVE_BUFFER_BYTES);
}

/* The ring was made asleep, perhaps by the boot thread; whoever wakes it is its single issuer. The
 * registered descriptor saves a look-up per call; being refused it is no harm. */
static void wake_up(struct ring *ring)
{
    /* liburing 2.3 declares io_uring_enable_rings and does not export it */
    long problem =
        syscall(__NR_io_uring_register, ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    assert(problem == 0);
    io_uring_register_ring_fd(&ring->uring);
    ring->awake = true;
}

/* What may come back: a signal, no memory at this instant, a wait that ran out. What was not taken
 * stays in the queue and goes with the next call. */
static void check(int result)
{
    assert(result >= 0 || result == -EINTR || result == -EAGAIN || result == -ENOMEM ||
           result == -EBUSY);
}

void ring_kernel_submit(struct ring *ring)
{
    if (!ring->awake)
        wake_up(ring);
    do
        check(io_uring_submit_and_get_events(&ring->uring));
    while (io_uring_sq_ready(&ring->uring) == ring->uring.sq.ring_entries);
}

/* A wait that names its own end sets a timer of the kernel's each time and takes it back each time,
 * thousands of times a second. So one timer stays set over many waits: it ends the wait in which it
 * rings, perhaps for nothing, and moves only when something is due before it. */
static void set_alarm(struct ring *ring, uint64_t now_ns, uint64_t until_ns)
{
    if (ring->alarm_ns >= now_ns && ring->alarm_ns <= until_ns)
        return;
    struct io_uring_sqe *sqe = ring_prepare(ring);
    ring->alarm =
        (struct __kernel_timespec){.tv_sec = (int64_t)((until_ns - now_ns) / 1000000000u),
                                   .tv_nsec = (long long)((until_ns - now_ns) % 1000000000u)};
    if (ring->alarm_ns) { /* too late when it has just rung: then the wait ends at once */
        io_uring_prep_timeout_update(sqe, &ring->alarm, RING_ALARM, 0);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        sqe->user_data = 0;
    } else {
        io_uring_prep_timeout(sqe, &ring->alarm, 0, 0);
        sqe->user_data = RING_ALARM;
    }
    ring->alarm_ns = until_ns;
}

void ring_kernel_wait(struct ring *ring, uint64_t now_ns, uint64_t until_ns)
{
    if (!ring->awake)
        wake_up(ring);
    set_alarm(ring, now_ns, until_ns);
    check(io_uring_submit_and_wait(&ring->uring, 1));
}

static void set_option(int fd, int level, int option)
{
    int one = 1;
    setsockopt(fd, level, option, &one, sizeof one);
}

/* What the peer has not asked for waits here, where it is counted and bounded, and not for
 * minutes in the kernel. */
void ring_kernel_limit_unsent(int fd)
{
    int bytes = SEND_UNSENT_BYTES;
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage bound = {0};
    socklen_t bytes = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &bytes) != 0)
        return 0;
    return ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                             : ((struct sockaddr_in *)&bound)->sin_port);
}

int ring_kernel_listen(const struct sockaddr *address, socklen_t address_bytes, uint16_t *port)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    set_option(fd, SOL_SOCKET, SO_REUSEPORT);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    if (bind(fd, address, address_bytes) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        int problem = -errno;
        close(fd);
        return problem;
    }
    *port = bound_port(fd);
    return fd;
}

int ring_kernel_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    ring_kernel_limit_unsent(fd);
    return fd;
}

void ring_kernel_finish(int fd)
{
    shutdown(fd, SHUT_WR); /* fails only when the peer is gone, which the receive will say */
}

bool ring_kernel_peer(int fd, struct sockaddr_storage *address)
{
    socklen_t bytes = sizeof *address;
    return getpeername(fd, (struct sockaddr *)address, &bytes) == 0;
}

int ring_kernel_lock(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
}

void ring_kernel_close_fd(int fd)
{
    close(fd);
}
