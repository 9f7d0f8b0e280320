/* What the kernel offers for a frame's way through a socket, each against the way the edge goes: a
 * send, and a multishot receive into provided buffers. PAIRS connected sockets over loopback; one
 * run sends a frame on each and takes all of them, as a busy turn does. Ratios are of both ends,
 * and of everything between them. */
#include "bench/micro/micro.h"

#include "common/panic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAIRS       32
#define FRAME       360 /* a media message of mu-law */
#define BUFFERS     256 /* power of two */
#define AREA_BYTES  (4u << 20)
#define GROUP       1
#define INCREMENTAL 2         /* IOU_PBUF_RING_INC, Linux 6.12: not in older headers */
#define BUNDLE      (1 << 4)  /* IORING_RECVSEND_BUNDLE, Linux 6.10 */
#define BUFFER_MORE (1u << 4) /* IORING_CQE_F_BUF_MORE */

enum tag { SEND = 1, RECEIVE, NOTE };

/* One way of doing it. */
struct way {
    const char *name;
    unsigned setup;        /* instead of DEFER_TASKRUN, or more */
    bool fixed_files;      /* registered files */
    bool fixed_ring;       /* the ring's own descriptor registered */
    bool zero_copy;        /* SEND_ZC .. */
    bool fixed_buffers;    /* .. from registered memory */
    bool incremental;      /* a large buffer is used up piece by piece */
    bool bundle;           /* one answer may stand for several buffers */
    unsigned buffer_bytes; /* of a receive buffer */
};

static const struct way ways[] = {
    {.name = "as the edge does", .buffer_bytes = 4096},
    {.name = "registered files", .buffer_bytes = 4096, .fixed_files = true},
    {.name = "registered ring descriptor", .buffer_bytes = 4096, .fixed_ring = true},
    {.name = "COOP_TASKRUN", .buffer_bytes = 4096, .setup = IORING_SETUP_COOP_TASKRUN},
    {.name = "larger receive buffers, 16 KiB", .buffer_bytes = 16384},
    {.name = "incremental buffers, 64 KiB", .buffer_bytes = 65536, .incremental = true},
    {.name = "bundled receives", .buffer_bytes = 4096, .bundle = true},
    {.name = "zero-copy send", .buffer_bytes = 4096, .zero_copy = true},
    {.name = "the same, registered memory",
     .buffer_bytes = 4096,
     .zero_copy = true,
     .fixed_buffers = true},
};

struct bed {
    const struct way *way;
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    uint8_t *area, *frame;
    unsigned buffers_count;
    int fds[2 * PAIRS]; /* senders, then receivers */
    size_t taken_bytes, notes_due;
};

static struct io_uring_sqe *get_sqe(struct bed *bed)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&bed->ring);
    assert(sqe);
    return sqe;
}

static void use_file(const struct bed *bed, struct io_uring_sqe *sqe, int index)
{
    sqe->fd = bed->way->fixed_files ? index : bed->fds[index];
    if (bed->way->fixed_files)
        sqe->flags |= IOSQE_FIXED_FILE;
}

static void arm(struct bed *bed, int index)
{
    struct io_uring_sqe *sqe = get_sqe(bed);
    io_uring_prep_recv_multishot(sqe, -1, NULL, 0, 0);
    use_file(bed, sqe, index);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    if (bed->way->bundle)
        sqe->ioprio |= BUNDLE;
    sqe->user_data = (uint64_t)RECEIVE << 32 | (uint32_t)index;
}

static void send_frame(struct bed *bed, int index)
{
    struct io_uring_sqe *sqe = get_sqe(bed);
    if (bed->way->fixed_buffers)
        io_uring_prep_send_zc_fixed(sqe, -1, bed->frame, FRAME, MSG_NOSIGNAL, 0, 0);
    else if (bed->way->zero_copy)
        io_uring_prep_send_zc(sqe, -1, bed->frame, FRAME, MSG_NOSIGNAL, 0);
    else
        io_uring_prep_send(sqe, -1, bed->frame, FRAME, MSG_NOSIGNAL);
    use_file(bed, sqe, index);
    sqe->user_data = (uint64_t)SEND << 32 | (uint32_t)index;
}

static void give(struct bed *bed, unsigned buffer)
{
    unsigned bytes = bed->way->buffer_bytes;
    io_uring_buf_ring_add(bed->buffers, bed->area + (size_t)buffer * bytes, bytes,
                          (unsigned short)buffer,
                          io_uring_buf_ring_mask((uint32_t)bed->buffers_count), 0);
    io_uring_buf_ring_advance(bed->buffers, 1);
}

static void received(struct bed *bed, const struct io_uring_cqe *cqe)
{
    assert(cqe->res > 0);
    unsigned bytes = bed->way->buffer_bytes, first = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    bed->taken_bytes += (size_t)cqe->res;
    for (unsigned i = 0; i * bytes < (unsigned)cqe->res; i++) /* several only in a bundle */
        if (!(bed->way->incremental && cqe->flags & BUFFER_MORE))
            give(bed, (first + i) & (bed->buffers_count - 1));
    if (!(cqe->flags & IORING_CQE_F_MORE))
        arm(bed, (int)(uint32_t)cqe->user_data);
}

static void reap(struct bed *bed)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0;
    int entered = io_uring_submit_and_wait(&bed->ring, 1);
    assert(entered >= 0);
    io_uring_for_each_cqe(&bed->ring, head, cqe)
    {
        seen++;
        if (cqe->flags & IORING_CQE_F_NOTIF) {
            bed->notes_due--;
        } else if (cqe->user_data >> 32 == RECEIVE) {
            received(bed, cqe);
        } else {
            assert(cqe->res == FRAME);
            bed->notes_due += cqe->flags & IORING_CQE_F_MORE ? 1 : 0;
        }
    }
    io_uring_cq_advance(&bed->ring, seen);
}

static void run(void *context)
{
    struct bed *bed = context;
    bed->taken_bytes = 0;
    for (int i = 0; i < PAIRS; i++)
        send_frame(bed, i);
    while (bed->taken_bytes < (size_t)PAIRS * FRAME || bed->notes_due)
        reap(bed);
}

/* ---- making and unmaking ---- */

static void connect_pairs(int *fds)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int failed = bind(listener, (struct sockaddr *)&address, sizeof address) ||
                 listen(listener, PAIRS) ||
                 getsockname(listener, (struct sockaddr *)&address, &bytes);
    for (int i = 0; i < PAIRS && !failed; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        failed = connect(fds[i], (struct sockaddr *)&address, sizeof address);
        fds[PAIRS + i] = accept(listener, NULL, NULL);
        for (int end = 0; end < 2; end++)
            setsockopt(fds[i + end * PAIRS], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    }
    assert(!failed);
    close(listener);
}

static bool open_buffers(struct bed *bed)
{
    bed->buffers_count = AREA_BYTES / bed->way->buffer_bytes;
    if (bed->buffers_count > BUFFERS)
        bed->buffers_count = BUFFERS;
    bed->area = mmap(NULL, 2 * AREA_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    assert(bed->area != MAP_FAILED);
    bed->buffers = (void *)(bed->area + AREA_BYTES);
    bed->frame = bed->area + AREA_BYTES + AREA_BYTES / 2;
    io_uring_buf_ring_init(bed->buffers);
    struct io_uring_buf_reg reg = {.ring_addr = (uint64_t)(uintptr_t)bed->buffers,
                                   .ring_entries = bed->buffers_count,
                                   .bgid = GROUP};
    memcpy((uint8_t *)&reg + offsetof(struct io_uring_buf_reg, bgid) + sizeof reg.bgid,
           &(uint16_t){bed->way->incremental ? INCREMENTAL : 0}, sizeof(uint16_t));
    if (io_uring_register_buf_ring(&bed->ring, &reg, 0) != 0)
        return false;
    for (unsigned i = 0; i < bed->buffers_count; i++)
        give(bed, i);
    return true;
}

static bool open_bed(struct bed *bed, const struct way *way)
{
    *bed = (struct bed){.way = way};
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER};
    params.flags |= way->setup ? way->setup : IORING_SETUP_DEFER_TASKRUN;
    if (io_uring_queue_init_params(512, &bed->ring, &params) != 0)
        return false;
    connect_pairs(bed->fds);
    if (!open_buffers(bed))
        return false;
    struct iovec memory = {bed->frame, 4096};
    if ((way->fixed_files && io_uring_register_files(&bed->ring, bed->fds, 2 * PAIRS) != 0) ||
        (way->fixed_buffers && io_uring_register_buffers(&bed->ring, &memory, 1) != 0) ||
        (way->fixed_ring && io_uring_register_ring_fd(&bed->ring) != 1))
        return false;
    for (int i = PAIRS; i < 2 * PAIRS; i++)
        arm(bed, i);
    io_uring_submit(&bed->ring);
    return true;
}

static void close_bed(struct bed *bed)
{
    io_uring_queue_exit(&bed->ring);
    for (int i = 0; i < 2 * PAIRS; i++)
        if (bed->fds[i] > 0)
            close(bed->fds[i]);
    if (bed->area)
        munmap(bed->area, 2 * AREA_BYTES);
}

/* ---- a letter from core to core ---- */

struct post {
    struct io_uring from, to;
    int bell;
};

static void take_one(struct io_uring *ring)
{
    struct io_uring_cqe *cqe;
    int failed = io_uring_wait_cqe(ring, &cqe);
    assert(!failed && cqe->res >= 0);
    io_uring_cqe_seen(ring, cqe);
}

static void ring_bell(void *context)
{
    struct post *post = context;
    eventfd_t value;
    eventfd_write(post->bell, 1);
    take_one(&post->to);
    eventfd_read(post->bell, &value);
}

static void post_message(void *context)
{
    struct post *post = context;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&post->from);
    io_uring_prep_msg_ring(sqe, post->to.ring_fd, 0, 7, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_submit(&post->from);
    take_one(&post->to);
}

static void measure_letters(void)
{
    struct post post;
    struct io_uring_params plain = {.flags =
                                        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    struct io_uring_params other = plain;
    if (io_uring_queue_init_params(64, &post.from, &plain) != 0 ||
        io_uring_queue_init_params(64, &post.to, &other) != 0)
        return;
    post.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&post.to);
    io_uring_prep_poll_multishot(sqe, post.bell, POLLIN);
    io_uring_submit(&post.to);
    micro_group("waking another core, both ends in one thread");
    micro_row("eventfd and multishot poll, as the edge does", ring_bell, &post, 0);
    micro_row("MSG_RING", post_message, &post, 0);
    io_uring_queue_exit(&post.from);
    io_uring_queue_exit(&post.to);
    close(post.bell);
}

void micro_ring(void)
{
    struct bed bed;
    micro_group("32 frames of 360 bytes, sent and received");
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (open_bed(&bed, &ways[i]))
            micro_row(ways[i].name, run, &bed, (size_t)2 * PAIRS * FRAME);
        else
            printf("  %-42s this kernel has it not\n", ways[i].name);
        close_bed(&bed);
    }
    measure_letters();
}
