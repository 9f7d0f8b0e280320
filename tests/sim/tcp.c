#include "common/panic.h"
#include "edge/io/poison.h"
#include "edge/limits.h"
#include "tests/sim/kernel_inner.h"
#include "tests/sim/trace.h"

#include <errno.h>

#define LISTENERS  4
#define BACKLOG    64
#define STARVED_NS (300 * 1000u) /* a receive without a buffer comes back after so long */

struct listener {
    bool open;
    int fd;
    uint16_t port;
    struct submission accept;
    struct tcp *backlog[BACKLOG];
    uint64_t arrive_ns[BACKLOG];
    unsigned waiting;
};

static struct tcp tcps[TCPS_MAX];
static struct listener listeners[LISTENERS];

/* ---- connections ---- */

struct tcp *tcp_make(uint16_t port)
{
    for (size_t i = 0; i < TCPS_MAX; i++) {
        struct tcp *tcp = &tcps[i];
        if (tcp->used)
            continue;
        struct flow up = tcp->up, down = tcp->down;
        *tcp = (struct tcp){
            .used = true, .fd = -1, .port = port, .up = up, .down = down, .rst_ns = NEVER};
        flow_open(&tcp->up);
        flow_open(&tcp->down);
        return tcp;
    }
    return NULL;
}

void tcp_forget(struct tcp *tcp)
{
    tcp->used = tcp->here || tcp->there || tcp->waiting;
}

int tcp_number(const struct tcp *tcp)
{
    return (int)(tcp - tcps);
}

static bool rst_is_here(const struct tcp *tcp)
{
    return tcp->broken && tcp->by_peer && tcp->rst_ns <= kernel_now_ns();
}

static void take_receive(struct tcp *tcp)
{
    struct submission *op = &tcp->receive;
    uint64_t due_ns = kernel_now_ns() + kernel_lateness_ns();
    if (due_ns < tcp->receive_due_ns)
        due_ns = tcp->receive_due_ns;
    tcp->receive_due_ns = due_ns;
    if (rst_is_here(tcp)) {
        kernel_complete(op, -ECONNRESET, due_ns);
        return;
    }
    struct span here = flow_here(&tcp->up, kernel_now_ns());
    if (here.bytes == 0) {
        kernel_complete(op, 0, due_ns);
        return;
    }
    bool starved =
        kernel_chance(kernel_weather()->starve_permille) || !fake_ring_has_buffer(op->ring);
    if (kernel_buffer_fails() || starved) {
        kernel_complete(op, -ENOBUFS, due_ns + STARVED_NS);
        tcp->receive_due_ns = due_ns + STARVED_NS;
        return;
    }
    size_t bytes = here.bytes < RECEIVE_BUFFER_BYTES ? here.bytes : RECEIVE_BUFFER_BYTES;
    if (bytes > 1 && kernel_chance(kernel_weather()->cut_permille)) {
        bytes = 1 + kernel_below(bytes);
        op->act_ns = kernel_now_ns() + kernel_travel_ns() / 8;
    }
    uint32_t flags = fake_ring_fill(op->ring, here.data, bytes);
    flow_take(&tcp->up, bytes);
    op->active = !kernel_chance(kernel_weather()->ends_permille);
    kernel_post(op->ring, op->sqe.user_data, (int)bytes,
                flags | (op->active ? IORING_CQE_F_MORE : 0), due_ns);
}

static void step_receive(struct tcp *tcp)
{
    while (tcp->receive.active && tcp->receive.act_ns <= kernel_now_ns() &&
           (rst_is_here(tcp) || flow_here(&tcp->up, kernel_now_ns()).bytes ||
            flow_over(&tcp->up, kernel_now_ns())))
        take_receive(tcp);
}

static size_t room_of(const struct tcp *tcp)
{
    size_t untaken = flow_untaken(&tcp->down);
    if (!tcp->there) /* nobody reads: its kernel answers with RST soon */
        return SIZE_MAX;
    size_t room = tcp->room_bytes ? tcp->room_bytes : kernel_weather()->room_bytes;
    return untaken < room ? room - untaken : 0;
}

/* The bytes are read now, the answer comes later: until then they are the kernel's. */
static void take_send(struct tcp *tcp)
{
    struct submission *op = &tcp->send;
    size_t bytes = op->sqe.len, room = room_of(tcp);
    expect(!tcp->finished, "a send behind FIN");
    const uint8_t *data = (const uint8_t *)(uintptr_t)op->sqe.addr;
    expect(addressable(data, bytes), "a send of %zu bytes that are nobody's", bytes);
    if (bytes > room)
        bytes = room;
    if (bytes > 1 && kernel_chance(kernel_weather()->short_permille))
        bytes = 1 + kernel_below(bytes);
    if (tcp->there)
        flow_say(&tcp->down, span_from(data, bytes), kernel_now_ns() + kernel_travel_ns());
    trace_bytes("core sends", tcp_number(tcp), span_from(data, bytes));
    kernel_complete(op, (int)bytes, kernel_now_ns() + kernel_lateness_ns());
}

static void step_send(struct tcp *tcp)
{
    struct submission *op = &tcp->send;
    if (!op->active || op->act_ns > kernel_now_ns())
        return;
    if (rst_is_here(tcp))
        kernel_complete(op, kernel_chance(500) ? -EPIPE : -ECONNRESET,
                        kernel_now_ns() + kernel_lateness_ns());
    else if (room_of(tcp))
        take_send(tcp);
}

static void step_connect(struct tcp *tcp)
{
    struct submission *op = &tcp->connect;
    if (!op->active || op->act_ns > kernel_now_ns())
        return;
    op->act_ns = NEVER;
    tcp->port = ntohs(op->address.sin_port);
    enum dialled dialled = kernel_chance(kernel_weather()->connect_fails_permille)
                               ? DIAL_REFUSED
                               : world_dialled(tcp->port, tcp);
    trace("dialled: port, how", tcp->port, dialled, tcp_number(tcp));
    if (dialled == DIAL_IGNORED)
        return;
    tcp->connected = tcp->there = dialled == DIAL_ANSWERED;
    kernel_complete(op, tcp->connected ? 0 : -ECONNREFUSED, kernel_now_ns() + kernel_lateness_ns());
}

static uint64_t next_of_tcp(struct tcp *tcp)
{
    uint64_t next_ns = NEVER;
    if (tcp->receive.active) {
        next_ns = flow_next_ns(&tcp->up, kernel_now_ns());
        if (tcp->receive.act_ns > kernel_now_ns())
            next_ns = sooner(next_ns, tcp->receive.act_ns);
        if (tcp->broken && tcp->by_peer)
            next_ns = sooner(next_ns, tcp->rst_ns);
    }
    if (tcp->send.active && tcp->send.act_ns > kernel_now_ns())
        next_ns = sooner(next_ns, tcp->send.act_ns);
    if (tcp->connect.active)
        next_ns = sooner(next_ns, tcp->connect.act_ns);
    return next_ns;
}

static uint64_t step_connections(void)
{
    uint64_t next_ns = NEVER;
    for (size_t i = 0; i < TCPS_MAX; i++) {
        struct tcp *tcp = &tcps[i];
        if (!tcp->used || !tcp->here)
            continue;
        step_connect(tcp);
        step_receive(tcp);
        step_send(tcp);
        next_ns = sooner(next_ns, next_of_tcp(tcp));
    }
    return next_ns;
}
/* ---- ops asked back ---- */

static unsigned cancel_op(struct submission *op, uint64_t not_before_ns)
{
    if (!op->active)
        return 0;
    uint64_t due_ns = kernel_now_ns() + kernel_lateness_ns();
    kernel_complete(op, -ECANCELED, due_ns > not_before_ns ? due_ns : not_before_ns);
    return 1;
}

/* A send may be done after all. */
static unsigned cancel_send(struct tcp *tcp)
{
    struct submission *op = &tcp->send;
    if (!op->active || !kernel_chance(kernel_weather()->raced_permille) || rst_is_here(tcp) ||
        !room_of(tcp))
        return cancel_op(op, 0);
    take_send(tcp);
    return 1;
}

unsigned tcp_cancel(struct tcp *tcp)
{
    if (!tcp->slipped && kernel_chance(kernel_weather()->slip_permille)) {
        tcp->slipped = true;
        return 0;
    }
    return cancel_op(&tcp->connect, 0) + cancel_op(&tcp->receive, tcp->receive_due_ns) +
           cancel_send(tcp);
}

unsigned tcp_cancel_accept(struct listener *listener)
{
    return cancel_op(&listener->accept, 0);
}

struct submission *tcp_op(struct tcp *tcp, uint8_t opcode)
{
    switch (opcode) {
    case IORING_OP_RECV:
        return &tcp->receive;
    case IORING_OP_SEND:
        return &tcp->send;
    case IORING_OP_CONNECT:
        return &tcp->connect;
    default:
        return NULL;
    }
}

struct submission *tcp_accept_op(struct listener *listener)
{
    return &listener->accept;
}

/* ---- listeners ---- */

static void accept_one(struct listener *listener)
{
    struct submission *op = &listener->accept;
    struct tcp *tcp = listener->backlog[0];
    int fd = kernel_chance(kernel_weather()->accept_fails_permille)
                 ? -ECONNABORTED
                 : kernel_open_descriptor(tcp, NULL);
    if (fd != -EMFILE) { /* else it waits for a descriptor */
        listener->waiting--;
        memmove(listener->backlog, listener->backlog + 1,
                listener->waiting * sizeof *listener->backlog);
        memmove(listener->arrive_ns, listener->arrive_ns + 1,
                listener->waiting * sizeof *listener->arrive_ns);
        tcp->waiting = false;
        tcp->here = fd >= 0;
        tcp->fd = fd;
        tcp_forget(tcp);
    }
    if (fd < 0 && fd != -EMFILE) {
        tcp->broken = true;
        tcp->rst_ns = kernel_now_ns() + kernel_travel_ns();
    }
    op->active = fd >= 0 && !kernel_chance(kernel_weather()->ends_permille);
    kernel_post(op->ring, op->sqe.user_data, fd, op->active ? IORING_CQE_F_MORE : 0,
                kernel_now_ns() + (fd >= 0 ? 0 : kernel_lateness_ns()));
}

static uint64_t step_listeners(void)
{
    uint64_t next_ns = NEVER;
    for (size_t i = 0; i < LISTENERS; i++) {
        struct listener *listener = &listeners[i];
        while (listener->open && listener->accept.active && listener->waiting &&
               listener->arrive_ns[0] <= kernel_now_ns())
            accept_one(listener);
        if (listener->open && listener->accept.active && listener->waiting)
            next_ns = sooner(next_ns, listener->arrive_ns[0]);
    }
    return next_ns;
}

uint64_t tcp_step(void)
{
    uint64_t next_ns = step_listeners();
    return sooner(next_ns, step_connections());
}

/* ---- the core's calls ---- */

/* The core's end is gone. Unread bytes make it a reset. */
void tcp_drop(struct tcp *tcp)
{
    expect(!tcp->receive.active && !tcp->send.active && !tcp->connect.active,
           "closed with ops in flight");
    tcp->here = false;
    tcp->fd = -1;
    if (tcp->there && flow_untaken(&tcp->up) && !tcp->broken) {
        tcp->broken = true;
        tcp->by_peer = false;
        tcp->rst_ns = kernel_now_ns() + kernel_travel_ns();
    }
    flow_finish(&tcp->down, kernel_now_ns() + kernel_travel_ns());
    tcp_forget(tcp);
}

void tcp_drop_listener(struct listener *listener)
{
    expect(!listener->accept.active, "a listener closed with an accept in flight");
    listener->open = false;
    for (unsigned i = 0; i < listener->waiting; i++) {
        struct tcp *tcp = listener->backlog[i];
        tcp->broken = true;
        tcp->rst_ns = kernel_now_ns() + kernel_travel_ns();
        tcp->waiting = false;
        tcp_forget(tcp);
    }
    listener->waiting = 0;
}

int ring_kernel_listen(const struct sockaddr *address, socklen_t address_bytes, uint16_t *port)
{
    (void)address_bytes;
    for (size_t i = 0; i < LISTENERS; i++) {
        struct listener *listener = &listeners[i];
        if (listener->open)
            continue;
        int fd = kernel_open_descriptor(NULL, listener);
        if (fd < 0)
            return fd;
        *port = ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
        *listener = (struct listener){.open = true, .fd = fd, .port = *port};
        return fd;
    }
    return -EMFILE;
}

int ring_kernel_socket(int family)
{
    (void)family;
    struct tcp *tcp = kernel_chance(kernel_weather()->socket_fails_permille) ? NULL : tcp_make(0);
    if (!tcp)
        return -EMFILE;
    tcp->fd = kernel_open_descriptor(tcp, NULL);
    tcp->here = tcp->dialled = tcp->fd >= 0;
    tcp_forget(tcp);
    return tcp->fd;
}

/* What lies here is little in any case. */
void ring_kernel_limit_unsent(int fd)
{
    assert(kernel_descriptor(fd)->tcp);
}

void ring_kernel_finish(int fd)
{
    struct tcp *tcp = kernel_descriptor(fd)->tcp;
    expect(tcp && !tcp->finished && !tcp->send.active,
           "FIN twice (%d) or with a send in flight (%d)", tcp->finished, tcp->send.active);
    tcp->finished = true;
    flow_finish(&tcp->down, kernel_now_ns() + kernel_travel_ns());
}

/* ---- the far ends ---- */

struct tcp *tcp_connect(uint16_t port)
{
    for (size_t i = 0; i < LISTENERS; i++) {
        struct listener *listener = &listeners[i];
        if (!listener->open || listener->port != port || listener->waiting == BACKLOG)
            continue;
        struct tcp *tcp = tcp_make(port);
        if (!tcp)
            return NULL;
        tcp->there = tcp->connected = tcp->waiting = true;
        listener->arrive_ns[listener->waiting] = kernel_now_ns() + kernel_travel_ns();
        listener->backlog[listener->waiting++] = tcp;
        return tcp;
    }
    return NULL;
}

void tcp_say(struct tcp *tcp, const void *data, size_t bytes)
{
    if (!tcp->broken && tcp->up.fin_ns == NEVER)
        flow_say(&tcp->up, span_from(data, bytes), kernel_now_ns() + kernel_travel_ns());
}

static bool rst_arrived(const struct tcp *tcp)
{
    return tcp->broken && (tcp->by_peer || tcp->rst_ns <= kernel_now_ns());
}

size_t tcp_hear(struct tcp *tcp, void *out, size_t room)
{
    if (rst_arrived(tcp))
        return 0;
    struct span here = flow_here(&tcp->down, kernel_now_ns());
    size_t bytes = here.bytes < room ? here.bytes : room;
    if (bytes)
        memcpy(out, here.data, bytes);
    flow_take(&tcp->down, bytes);
    return bytes;
}

size_t tcp_waiting(struct tcp *tcp)
{
    return rst_arrived(tcp) ? 0 : flow_here(&tcp->down, kernel_now_ns()).bytes;
}

void tcp_narrow(struct tcp *tcp, size_t room_bytes)
{
    tcp->room_bytes = room_bytes;
}

void tcp_finish(struct tcp *tcp)
{
    if (!tcp->broken)
        flow_finish(&tcp->up, kernel_now_ns() + kernel_travel_ns());
}

void tcp_reset(struct tcp *tcp)
{
    if (tcp->broken)
        return;
    tcp->broken = tcp->by_peer = true;
    tcp->rst_ns = kernel_now_ns() + kernel_travel_ns();
}

bool tcp_was_reset(const struct tcp *tcp)
{
    return rst_arrived(tcp);
}

bool tcp_over(const struct tcp *tcp)
{
    return rst_arrived(tcp) || flow_over(&tcp->down, kernel_now_ns());
}

/* Unread bytes, or a side that is still talking: the core is told with a reset. */
void tcp_leave(struct tcp *tcp)
{
    if (!tcp_over(tcp) && tcp->up.fin_ns == NEVER)
        tcp_reset(tcp);
    else
        tcp_finish(tcp);
    tcp->there = false;
    tcp_forget(tcp);
}

uint64_t tcp_arrival_ns(struct tcp *tcp)
{
    if (tcp->broken && !tcp->by_peer && tcp->rst_ns > kernel_now_ns())
        return tcp->rst_ns;
    return flow_next_ns(&tcp->down, kernel_now_ns());
}
/* ---- life ---- */

void tcp_close_all(void)
{
    for (size_t i = 0; i < TCPS_MAX; i++) {
        struct tcp *tcp = &tcps[i];
        expect(!tcp->used || !tcp->here, "connection %zu is open, fd %d", i, tcp->fd);
        tcp->used = tcp->there = false;
    }
}

void tcp_free_all(void)
{
    for (size_t i = 0; i < TCPS_MAX; i++) {
        flow_free(&tcps[i].up);
        flow_free(&tcps[i].down);
    }
}
