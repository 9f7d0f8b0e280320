#include "common/clock.h"
#include "common/panic.h"
#include "edge/io/conn_inner.h"

#define NS_PER_US 1000u

/* ---- who waits ---- */

static struct shakes *queue_of(struct io *io, const struct conn *conn)
{
    return conn->server ? &io->strangers : &io->dialled;
}

void conn_shake_wait(struct io *io, struct conn *conn)
{
    struct shakes *queue = queue_of(io, conn);
    assert(conn->phase == PHASE_HANDSHAKE);
    if (conn->shake.waits)
        return;
    conn->shake.waits = true;
    conn->shake.since_ns = io->now_ns;
    conn->shake.next = NULL;
    conn->shake.last = queue->last;
    *(queue->last ? &queue->last->shake.next : &queue->first) = conn;
    queue->last = conn;
    queue->count++;
    GAUGE_ADD(io->config.metrics, shakes_waiting, 1);
}

void conn_shake_forget(struct io *io, struct conn *conn)
{
    struct shakes *queue = queue_of(io, conn);
    if (!conn->shake.waits)
        return;
    assert(queue->count > 0);
    *(conn->shake.last ? &conn->shake.last->shake.next : &queue->first) = conn->shake.next;
    *(conn->shake.next ? &conn->shake.next->shake.last : &queue->last) = conn->shake.last;
    conn->shake.waits = false;
    queue->count--;
    GAUGE_SUB(io->config.metrics, shakes_waiting, 1);
}

/* A stranger's first flight asks for the costly part, and so does everything when we dial. A
 * stranger's later flights cost little, and may have a request of any size behind them. */
static bool costs_much(const struct conn *conn)
{
    return !conn->server || !conn->tls;
}

/* Keeps what came until its turn. Who comes when too many wait is turned away at once: later it
 * would only have waited longer for the same. */
static void wait_for_turn(struct io *io, struct conn *conn)
{
    struct span *came = &io->intake.wire;
    if (io->intake.conn == conn && came->bytes) {
        size_t held = conn->rest ? block_span(conn->rest).bytes : 0;
        bool kept = false;
        if (held + came->bytes > TLS_HELLO_BYTES_MAX)
            conn_fail(io, conn, FAULT_tls_handshake);
        else if (conn->server && !conn->shake.waits &&
                 io->strangers.count >= io->config.strangers_max)
            conn_fail(io, conn, FAULT_tls_busy);
        else if (!(kept = conn_keep_bytes(io, conn, *came)))
            conn_fail(io, conn, FAULT_no_capacity);
        came->bytes = 0;
        if (!kept)
            return;
    }
    if (conn->rest)
        conn_shake_wait(io, conn);
    else if (conn->eof && !conn->shake.waits)
        conn_fail_eof(io, conn);
}

/* ---- whose turn it is ---- */

void conn_shake_allow(struct io *io, bool frames_wait)
{
    io->shakes_left = frames_wait ? 1 : io->config.shakes_max;
    io->shakes_until_ns = 0;
}

static struct conn *choose(struct io *io)
{
    struct conn *stranger = io->strangers.first, *dialled = io->dialled.first;
    struct conn *chosen = io->strangers_next ? stranger : dialled;
    io->strangers_next = !io->strangers_next;
    return chosen ? chosen : stranger ? stranger : dialled;
}

static bool may_go_on(struct io *io)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (io->shakes_left == 0)
        return false;
    if (io->shakes_until_ns == 0)
        io->shakes_until_ns = now_ns + SHAKE_TURN_US * NS_PER_US;
    else if (now_ns >= io->shakes_until_ns)
        io->shakes_left = 0;
    return io->shakes_left > 0;
}

struct conn *conn_shake_next(struct io *io)
{
    if ((!io->dialled.first && !io->strangers.first) || !may_go_on(io))
        return NULL;
    struct conn *conn = choose(io);
    assert(!io->intake.conn && conn->phase == PHASE_HANDSHAKE);
    uint64_t waited_ns = io->now_ns - conn->shake.since_ns;
    histogram_add(&io->config.metrics->shake_wait, waited_ns / NS_PER_US);
    conn_shake_forget(io, conn);
    io->shakes_left--;
    io->intake = (struct intake){.conn = conn, .kept = conn->rest, .shake = true};
    if (conn->rest)
        io->intake.wire = block_span(conn->rest);
    conn->rest = NULL;
    return conn;
}

/* ---- the handshake ---- */

static void count_handshake(struct io *io, const struct conn *conn)
{
    bool resumed = tls_resumed(conn->tls);
    if (conn->server && resumed)
        COUNT(io->config.metrics, shakes_accepted_resumed);
    else if (conn->server)
        COUNT(io->config.metrics, shakes_accepted_full);
    else if (resumed)
        COUNT(io->config.metrics, shakes_dialled_resumed);
    else
        COUNT(io->config.metrics, shakes_dialled_full);
}

/* TLS is there: HTTP begins. */
static enum pull secured(struct io *io, struct conn *conn)
{
    count_handshake(io, conn);
    if (conn->server) {
        conn_enter(io, conn, PHASE_HEAD, HTTP_FIRST_BYTE_MS);
        return PULL_AGAIN;
    }
    struct block *greeting = conn->greeting;
    conn->greeting = NULL;
    conn_enter(io, conn, PHASE_UPGRADE, UPGRADE_MS);
    if (!conn_send_block(io, conn, greeting))
        conn_fail(io, conn, FAULT_no_capacity);
    return PULL_AGAIN;
}

/* As far as the bytes go. */
static enum pull shake(struct io *io, struct conn *conn)
{
    bool ours = io->intake.conn == conn;
    struct tls_flow flow = {.in = ours ? io->intake.wire : span_from(NULL, 0),
                            .out = io->flight,
                            .out_room = sizeof io->flight};
    enum fault fault = FAULT_NONE;
    enum tls_step step = tls_handshake(conn->tls, &flow, &fault);
    if (ours)
        io->intake.wire = flow.in;
    if (!conn_say_flight(io, conn, &flow))
        return PULL_IDLE;
    if (step == TLS_DONE)
        return secured(io, conn);
    if (step == TLS_BAD)
        conn_fail(io, conn, fault);
    else if (conn->eof)
        conn_fail_eof(io, conn);
    return PULL_IDLE;
}

enum pull conn_shake_hands(struct io *io, struct conn *conn)
{
    bool its_turn = io->intake.shake && io->intake.conn == conn;
    if (!its_turn && costs_much(conn)) {
        wait_for_turn(io, conn);
        return PULL_IDLE;
    }
    if (!conn->tls)
        conn->tls = tls_accept(io->config.tls_server);
    if (conn->tls)
        return shake(io, conn);
    conn_fail(io, conn, FAULT_no_capacity);
    return PULL_IDLE;
}
